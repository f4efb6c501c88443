import Type, { type Static } from "typebox";
import { Count, closed, Id, Instant, Nullable, Text } from "./schema.ts";

/** What a webhook can be told of; `x.*` is every type that begins with `x.`, later ones too. */
export const WEBHOOK_PATTERNS = [
  "run.*",
  "run.completed",
  "run.incomplete",
  "run.failed",
  "run.cancelled",
  "run.expired",
  "run.waiting",
  "deployment.*",
  "deployment.created",
  "deployment.updated",
  "quota.*",
  "quota.threshold_reached",
  "quota.window_ending",
  "schedule.*",
  "schedule.missed",
] as const;

const fields = {
  url: Type.String({ minLength: 1, maxLength: 2_048, description: "https; events are sent there by POST" }),
  events: Type.Array(Type.Enum([...WEBHOOK_PATTERNS]), { minItems: 1, uniqueItems: true }),
  description: Text(256),
  enabled: Type.Boolean({ description: "False: it is told of nothing, and what is due meanwhile is given up" }),
} as const;

export const Webhook = Type.Object(
  {
    id: Id("webhook"),
    ...fields,
    disabled_reason: Nullable(
      Type.Enum(["gone"], { description: "gone: the receiver answered 410, so Maru disabled it" }),
    ),
    previous_secret_until: Nullable(
      Type.String({ format: "date-time", description: "Until then the secret before the last rotation signs too" }),
    ),
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type Webhook = Static<typeof Webhook>;

export const NewWebhook = Type.Object(
  {
    url: fields.url,
    events: fields.events,
    description: Type.Optional(fields.description),
    enabled: Type.Optional(fields.enabled),
  },
  closed,
);
export type NewWebhook = Static<typeof NewWebhook>;

export const WebhookChange = Type.Object(
  {
    url: Type.Optional(fields.url),
    events: Type.Optional(fields.events),
    description: Type.Optional(fields.description),
    enabled: Type.Optional(fields.enabled),
  },
  { ...closed, minProperties: 1 },
);
export type WebhookChange = Static<typeof WebhookChange>;

export const WebhookWithSecret = Type.Object(
  { webhook: Webhook, secret: Type.String({ description: "whsec_…: shown once, stored encrypted" }) },
  closed,
);
export type WebhookWithSecret = Static<typeof WebhookWithSecret>;

export const WebhookDeliveryState = Type.Enum(["pending", "delivered", "dead"], {
  description: "dead: given up after three days, by 410, or since the webhook was disabled",
});

/** Why the last try of a delivery did not succeed. */
export const WEBHOOK_ERRORS = [
  "http_status",
  "redirect",
  "timeout",
  "unreachable",
  "egress_blocked",
  "policy_denied",
  "secret_unreadable",
  "webhook_disabled",
] as const;
export type WebhookError = (typeof WEBHOOK_ERRORS)[number];

export const WebhookDelivery = Type.Object(
  {
    id: Id("webhookDelivery"),
    event: Type.Object(
      {
        id: Type.String({ description: "The header webhook-id: the same on every try and redelivery" }),
        type: Type.String(),
        timestamp: Instant,
        data: Type.Object({}, { additionalProperties: true }),
      },
      closed,
    ),
    state: WebhookDeliveryState,
    attempts: Count,
    next_attempt_at: Nullable(Type.String({ format: "date-time", description: "Of a pending one" })),
    last_status: Nullable(Type.Integer({ description: "The HTTP status of the last answer" })),
    last_error: Nullable(Type.Enum([...WEBHOOK_ERRORS])),
    created_at: Instant,
    last_attempt_at: Nullable(Instant),
    finished_at: Nullable(Instant),
  },
  closed,
);
export type WebhookDelivery = Static<typeof WebhookDelivery>;
