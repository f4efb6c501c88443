import Type, { type Static } from "typebox";
import { OnThreadBusy } from "./manifest.ts";
import { closed, Id, Instant, Nullable } from "./schema.ts";
import { NAME_PATTERN } from "./tools.ts";

export const TRIGGER_LIMITS = {
  perWorkspace: 100,
  /** Of a body that is sent to one. */
  bodyBytes: 262_144,
  /** Of the key a thread is found by. */
  threadKeyLength: 256,
} as const;

export const TRIGGER_AUTHS = ["token", "standard_webhooks", "github"] as const;
export type TriggerAuth = (typeof TRIGGER_AUTHS)[number];

const TEMPLATE =
  "{{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name";
const fields = {
  name: Type.String({ pattern: NAME_PATTERN, description: "Unique in the workspace" }),
  deployment: Type.String({ pattern: NAME_PATTERN, description: "Name of the deployment to run" }),
  auth: Type.Enum([...TRIGGER_AUTHS], {
    description:
      "How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256",
  }),
  input: Type.String({
    minLength: 1,
    maxLength: 65_536,
    pattern: "^[^\\u0000]*$",
    description: `The run's: ${TEMPLATE}`,
  }),
  metadata: Type.Record(
    Type.String({ pattern: "^[A-Za-z0-9_.-]{1,64}$" }),
    Type.String({ maxLength: 512, pattern: "^[^\\u0000]*$" }),
    {
      ...closed,
      maxProperties: 16,
      description: "The run's, each value a template as input is; one that comes out empty is left out",
    },
  ),
  filter: Type.Object(
    {},
    {
      additionalProperties: true,
      description: "JSON Schema: a body that does not fit starts no run (root: type object)",
    },
  ),
  thread: Type.String({
    maxLength: 512,
    description:
      "JSON pointer to the key of a conversation: text or a number. Deliveries with the same key share a thread of Maru's; one without has none",
  }),
  on_thread_busy: OnThreadBusy,
  enabled: Type.Boolean(),
} as const;

export const Trigger = Type.Object(
  {
    id: Id("trigger"),
    path: Type.String({ description: "Where deliveries are POSTed, below the address of the API" }),
    name: fields.name,
    deployment: fields.deployment,
    auth: fields.auth,
    input: fields.input,
    metadata: fields.metadata,
    filter: Nullable(fields.filter),
    thread: Nullable(fields.thread),
    on_thread_busy: Nullable(fields.on_thread_busy),
    enabled: fields.enabled,
    api_key_id: Nullable(
      Type.String({
        description: "The key that made it, against whose limits its runs count; null = a person made it",
      }),
    ),
    previous_secret_until: Nullable(
      Type.String({ format: "date-time", description: "Until then the secret before the last rotation is good too" }),
    ),
    last_rejected_at: Nullable(
      Type.String({
        format: "date-time",
        description: "When a sender was last turned away for its secret or signature",
      }),
    ),
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type Trigger = Static<typeof Trigger>;

export const NewTrigger = Type.Object(
  {
    name: fields.name,
    deployment: fields.deployment,
    input: fields.input,
    auth: Type.Optional(fields.auth),
    metadata: Type.Optional(fields.metadata),
    filter: Type.Optional(Nullable(fields.filter)),
    thread: Type.Optional(Nullable(fields.thread)),
    on_thread_busy: Type.Optional(Nullable(fields.on_thread_busy)),
    enabled: Type.Optional(fields.enabled),
  },
  closed,
);
export type NewTrigger = Static<typeof NewTrigger>;

export const TriggerChange = Type.Object(
  {
    name: Type.Optional(fields.name),
    deployment: Type.Optional(fields.deployment),
    input: Type.Optional(fields.input),
    metadata: Type.Optional(fields.metadata),
    filter: Type.Optional(Nullable(fields.filter)),
    thread: Type.Optional(Nullable(fields.thread)),
    on_thread_busy: Type.Optional(Nullable(fields.on_thread_busy)),
    enabled: Type.Optional(fields.enabled),
  },
  { ...closed, minProperties: 1 },
);
export type TriggerChange = Static<typeof TriggerChange>;

export const TriggerWithSecret = Type.Object(
  {
    trigger: Trigger,
    secret: Type.String({ description: "The token (mtr_…), or what is signed with: shown once, stored encrypted" }),
  },
  closed,
);
export type TriggerWithSecret = Static<typeof TriggerWithSecret>;

export const HookReply = Type.Object(
  {
    outcome: Type.Enum(["run", "repeated", "ignored"], {
      description: "repeated: it came before, and run_id is its run. ignored: it does not fit the filter",
    }),
    run_id: Nullable(Id("run")),
  },
  closed,
);
export type HookReply = Static<typeof HookReply>;

export const TriggerDelivery = Type.Object(
  {
    id: Id("triggerDelivery"),
    outcome: Type.Enum(["run", "repeated", "ignored", "refused"]),
    delivery_key: Nullable(Type.String({ description: "Under what it is remembered: its id, or a hash of its body" })),
    run_id: Nullable(Id("run")),
    code: Nullable(Type.String({ description: "Of one that was refused: the problem's" })),
    detail: Nullable(Type.String()),
    at: Instant,
  },
  closed,
);
export type TriggerDelivery = Static<typeof TriggerDelivery>;
