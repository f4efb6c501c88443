import { type NewPlan, Problem } from "@maru/contract";
import { limitProblem, spanSeconds } from "@maru/domain";
import { type Admin, AdminError } from "@maru/store/admin";
import type { Handlers } from "../http/bind.ts";

/** What operators do to quota policy. `admin` is null where the installation has no operator token: then nobody gets here. */
export function operatorRoutes(admin: Admin | null) {
  const act = async <T>(action: (admin: Admin) => Promise<T>): Promise<T> => {
    if (admin === null) throw new Problem("not_found", "There is nothing at this path.");
    try {
      return await action(admin);
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      const code = (
        {
          not_found: "not_found",
          taken: "name_taken",
          other_grant: "idempotency_mismatch",
          conflict: "plan_conflict",
        } as const
      )[error.kind];
      throw new Problem(code, error.message);
    }
  };
  const planOf = async (store: Admin, id: string) => {
    const plan = (await store.plans()).find((item) => item.id === id);
    if (plan === undefined) throw new Problem("not_found", `There is no plan ${id}.`);
    return plan;
  };

  return {
    listPlans: async () => ({ status: 200, body: { data: await act((store) => store.plans()) } }),

    createPlan: async ({ body }) => {
      checkPlan(body);
      const plan = await act(async (store) => {
        await store.makePlan({
          id: body.id,
          renew: body.renew,
          timeZone: body.time_zone,
          throughDay: body.through_day ?? null,
          startsAt: body.starts_at === undefined ? null : new Date(body.starts_at),
          endsAt: body.ends_at === undefined ? null : new Date(body.ends_at),
          graceS: body.grace_seconds ?? null,
          limits: body.limits.map(({ per, ...limit }) => ({
            ...limit,
            spanS: per === undefined ? null : spanSeconds(per),
          })),
          note: body.note ?? "",
        });
        return planOf(store, body.id);
      });
      return { status: 201, body: plan };
    },

    extendCampaign: async ({ params, body }) => {
      const effectiveAt = body.effective_at === undefined ? null : new Date(body.effective_at);
      const plan = await act(async (store) => {
        await store.extendCampaign(params.plan, new Date(body.ends_at), effectiveAt, body.note ?? "");
        return planOf(store, params.plan);
      });
      return { status: 200, body: plan };
    },

    listWorkspacePlans: async ({ params }) => ({
      status: 200,
      body: { data: await act((store) => store.plansOf(params.workspace)) },
    }),

    changePlan: async ({ params, body }) => {
      const from = body.from === undefined ? null : new Date(body.from);
      const data = await act(async (store) => {
        await store.changePlan(params.workspace, body.plan, from, body.note ?? "");
        return store.plansOf(params.workspace);
      });
      return { status: 200, body: { data } };
    },

    grantQuota: async ({ params, body }) => {
      const { granted, amount } = await act((store) =>
        store.grant({
          workspaceId: params.workspace,
          key: body.key,
          limit: body.limit,
          amount: body.amount,
          note: body.note ?? "",
        }),
      );
      return { status: 200, body: { granted, limit: amount } };
    },

    listOperatorActions: async () => ({ status: 200, body: { data: await act((store) => store.actions()) } }),
  } satisfies Partial<Handlers>;
}

/** @throws Problem validation_failed with a pointer for each thing that is wrong */
function checkPlan(plan: NewPlan): void {
  const errors: { pointer: string; code: string; detail: string }[] = [];
  const report = (pointer: string, detail: string) => errors.push({ pointer, code: "validation_failed", detail });
  try {
    new Intl.DateTimeFormat("en", { timeZone: plan.time_zone });
  } catch {
    report("/time_zone", `there is no time zone ${plan.time_zone}`);
  }
  const campaign = plan.renew === "campaign";
  if (campaign && (plan.starts_at === undefined || plan.ends_at === undefined))
    report("/starts_at", "a campaign needs starts_at and ends_at");
  if (!campaign && (plan.starts_at !== undefined || plan.ends_at !== undefined))
    report("/starts_at", "only a campaign has a span of its own: set renew: campaign, or through_day");
  if (campaign && plan.through_day !== undefined) report("/through_day", "a campaign ends at ends_at: leave it out");
  if (
    plan.starts_at !== undefined &&
    plan.ends_at !== undefined &&
    !(new Date(plan.starts_at) < new Date(plan.ends_at))
  )
    report("/ends_at", "must be after starts_at");
  const names = plan.limits.map(({ name, unit }) => name ?? unit);
  for (const [index, { unit, per }] of plan.limits.entries()) {
    const mistake = limitProblem(unit, per);
    if (mistake !== null) report(`/limits/${index}/per`, mistake);
    if (names.indexOf(names[index] as string) < index)
      report(`/limits/${index}/name`, `there is a limit named ${names[index]} already: give each a name`);
  }
  if (errors.length > 0) throw new Problem("validation_failed", errors[0]?.detail, { errors });
}
