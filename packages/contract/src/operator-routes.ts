import Type from "typebox";
import * as o from "./quota.ts";
import type { RouteContract } from "./route.ts";
import { closed, Id } from "./schema.ts";

const WorkspaceParam = Type.Object({ workspace: Id("workspace") }, closed);
const PlanParam = Type.Object({ plan: Type.String({ pattern: "^[a-z0-9-]{1,63}$" }) }, closed);

/** What operators do to quota policy. The installation's operator token is needed; without one these calls are not there. */
export const operatorRoutes = {
  listPlans: {
    method: "GET",
    path: "/v1/admin/plans",
    tag: "admin",
    summary: "Every plan with its limits and, of a campaign, its terms",
    access: "operator",
    replies: { 200: Type.Object({ data: Type.Array(o.Plan) }, closed) },
  },
  createPlan: {
    method: "POST",
    path: "/v1/admin/plans",
    tag: "admin",
    summary: "Make a plan or a campaign",
    access: "operator",
    body: o.NewPlan,
    replies: { 201: o.Plan },
    problems: ["name_taken", "plan_conflict", "not_found"],
  },
  extendCampaign: {
    method: "POST",
    path: "/v1/admin/plans/{plan}/extend",
    tag: "admin",
    summary: "Move the end of a campaign that has not ended; what was in force stays readable as a term",
    access: "operator",
    params: PlanParam,
    body: o.CampaignExtension,
    replies: { 200: o.Plan },
    problems: ["plan_conflict"],
  },
  listWorkspacePlans: {
    method: "GET",
    path: "/v1/admin/workspaces/{workspace}/plans",
    tag: "admin",
    summary: "Which plans a workspace was, is and will be on",
    access: "operator",
    params: WorkspaceParam,
    replies: { 200: Type.Object({ data: Type.Array(o.WorkspacePlan) }, closed) },
  },
  changePlan: {
    method: "POST",
    path: "/v1/admin/workspaces/{workspace}/plan",
    tag: "admin",
    summary: "Put a workspace on a plan, now or from an instant ahead",
    access: "operator",
    params: WorkspaceParam,
    body: o.PlanChangeRequest,
    replies: { 200: Type.Object({ data: Type.Array(o.WorkspacePlan) }, closed) },
    problems: ["plan_conflict"],
  },
  grantQuota: {
    method: "POST",
    path: "/v1/admin/workspaces/{workspace}/grants",
    tag: "admin",
    summary: "Add to a workspace's open window; the same key again changes nothing",
    access: "operator",
    params: WorkspaceParam,
    body: o.QuotaGrant,
    replies: { 200: o.GrantResult },
    problems: ["plan_conflict", "idempotency_mismatch"],
  },
  listOperatorActions: {
    method: "GET",
    path: "/v1/admin/actions",
    tag: "admin",
    summary: "What operators did, newest first: the last two hundred actions",
    access: "operator",
    replies: { 200: Type.Object({ data: Type.Array(o.OperatorAction) }, closed) },
  },
} as const satisfies Record<string, RouteContract>;
