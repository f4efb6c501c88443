import { createHmac, createPrivateKey, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signingKey } from "../../services/gateway/src/auth/keys.ts";
import { type House, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
});
afterAll(() => house?.close());

const me = async (key: string) => {
  const { status, body } = await house.api("GET", "/v1/auth/me", { key });
  return [status, body.code];
};
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("access tokens", () => {
  const key = () => signingKey(house.secret);
  const claims = (change: object = {}) => {
    const now = Math.floor(Date.now() / 1_000);
    const [, payload] = person.accessToken.split(".");
    const own = JSON.parse(Buffer.from(payload as string, "base64url").toString());
    return { ...own, iat: now, exp: now + 600, ...change };
  };
  const token = (header: object, payload: object) => {
    const head = `${encode(header)}.${encode(payload)}`;
    return `${head}.${sign(null, Buffer.from(head), createPrivateKey(key().privatePem)).toString("base64url")}`;
  };
  const header = (change: object = {}) => ({ alg: "EdDSA", typ: "JWT", kid: key().kid, ...change });

  test("a token of ours is accepted, and the key that signed it is published", async () => {
    expect((await me(person.accessToken))[0]).toBe(200);
    expect((await me(token(header(), claims())))[0]).toBe(200);
    const { body } = await house.api("GET", "/.well-known/jwks.json");
    expect(body.keys.map(({ kid }: { kid: string }) => kid)).toEqual([key().kid]);
  });

  test("anything but our one algorithm, a known key and whole claims is refused", async () => {
    const hmac = (payload: object, secret: string, head: object = { alg: "HS256", typ: "JWT", kid: key().kid }) => {
      const text = `${encode(head)}.${encode(payload)}`;
      return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
    };
    const { exp: _exp, ...withoutExp } = claims();
    const corpus = [
      `${encode({ alg: "none", typ: "JWT", kid: key().kid })}.${encode(claims())}.`,
      hmac(claims(), key().publicPem),
      hmac(claims(), `\n${key().publicPem}`),
      hmac(claims(), key().publicPem, { alg: "EdDSA", typ: "JWT", kid: key().kid }),
      token(header({ kid: "unknown" }), claims()),
      token(header({ kid: "../../dev/null" }), claims()),
      token(header({ kid: "' OR 1=1" }), claims()),
      token(header({ kid: ["a"] }), claims()),
      token(header({ kid: "k".repeat(10_000) }), claims()),
      token(header({ jku: "https://example.com/keys" }), claims()),
      token(header({ x5u: "https://example.com/cert" }), claims()),
      token(header({ jwk: { kty: "OKP" } }), claims()),
      token(header({ crit: ["exp"] }), claims()),
      token(header({ b64: false, crit: ["b64"] }), claims()),
      token(header({ zip: "DEF" }), claims()),
      token(header(), withoutExp),
      token(header(), claims({ exp: "soon" })),
      token(header(), claims({ nbf: Math.floor(Date.now() / 1_000) + 600 })),
      token(header(), claims({ aud: "other" })),
      token(header(), claims({ iss: "other" })),
      token(header(), claims({ sid: undefined })),
      token(header(), claims({ sid: "ses_00000000000000000000000000" })),
      token(header(), claims({ wsp: "wsp_00000000000000000000000000" })),
      `${person.accessToken.slice(0, -4)}AAAA`,
      person.accessToken.split(".").slice(0, 2).join("."),
      "a.b.c",
      "x".repeat(9_000),
    ];
    for (const [index, wrong] of corpus.entries())
      expect([index, ...(await me(wrong))]).toEqual([index, 401, "invalid_token"]);
    expect(await me(token(header(), claims({ exp: Math.floor(Date.now() / 1_000) - 60 })))).toEqual([
      401,
      "token_expired",
    ]);
  });

  test("a session that ended is refused", async () => {
    const { body } = await house.api("POST", "/v1/auth/token", {
      body: { grant_type: "password", email: person.email, password: person.password },
    });
    expect((await me(body.access_token))[0]).toBe(200);
    expect((await house.api("POST", "/v1/auth/logout", { key: body.access_token })).status).toBe(204);
    expect(await me(body.access_token)).toEqual([401, "invalid_token"]);
  });
});

test("after a rotation of the secret the old one's tokens stay valid, and both keys are published", async () => {
  const { createGateway } = await import("@maru/gateway");
  const { pino } = await import("pino");
  const { Registry } = await import("prom-client");
  const gateway = await createGateway({
    config: {
      host: "127.0.0.1",
      port: 0,
      databaseUrl: house.database.runtimeUrl,
      queue: { kind: "postgres", url: house.database.runtimeUrl },
      secret: "a new secret of more than thirty-two characters",
      previousSecret: house.secret,
      serving: { served: [], simulated: true },
      operator: null,
      rateLimit: { perMinute: 600, burst: 600 },
      trustedProxies: [],
      egressAllow: {},
      logLevel: "silent",
      node: "rotated",
    },
    logger: pino({ level: "silent" }),
    metrics: new Registry(),
  });
  try {
    const old = await gateway.app.inject({
      url: "/v1/auth/me",
      headers: { authorization: `Bearer ${person.accessToken}` },
    });
    const keys = await gateway.app.inject({ url: "/.well-known/jwks.json" });
    expect([old.statusCode, keys.json().keys.length]).toEqual([200, 2]);
    const fresh = await gateway.app.inject({
      method: "POST",
      url: "/v1/auth/token",
      payload: { grant_type: "password", email: person.email, password: person.password },
    });
    // The gateway that does not know the new secret yet refuses what it signed.
    expect(await me(fresh.json().access_token)).toEqual([401, "invalid_token"]);
  } finally {
    await gateway.close();
  }
});

describe("refresh tokens", () => {
  const refresh = (token: string) =>
    house.api("POST", "/v1/auth/token", { body: { grant_type: "refresh_token", refresh_token: token } });

  test("each works once; using an old one again ends the whole session", async () => {
    const someone = await house.register();
    const second = await refresh(someone.refreshToken);
    const third = await refresh(second.body.refresh_token);
    expect([second.status, third.status]).toEqual([200, 200]);
    expect((await me(third.body.access_token))[0]).toBe(200);
    const reused = await refresh(someone.refreshToken);
    expect([reused.status, reused.body.code]).toEqual([401, "invalid_credentials"]);
    expect((await refresh(third.body.refresh_token)).status).toBe(401);
    expect(await me(third.body.access_token)).toEqual([401, "invalid_token"]);
  });

  test("of two that use one token at once, at most one wins, and the session ends", async () => {
    const someone = await house.register();
    const replies = await Promise.all([refresh(someone.refreshToken), refresh(someone.refreshToken)]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401]);
    const winner = replies.find(({ status }) => status === 200);
    expect((await refresh(winner?.body.refresh_token)).status).toBe(401);
  });
});

describe("API keys", () => {
  test("a key does what its scopes say and no more, cannot give away more, and is shown once", async () => {
    const { body } = await house.api("POST", "/v1/api-keys", {
      key: person.key,
      body: { name: "reader", scopes: ["runs:read", "keys:manage"] },
    });
    expect(body.key).toMatch(/^maru_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
    const refused = await house.api("GET", "/v1/quota", { key: body.key });
    expect([refused.status, refused.body.code, refused.body.detail]).toEqual([
      403,
      "insufficient_scope",
      "This call needs the scope usage:read.",
    ]);
    const more = await house.api("POST", "/v1/api-keys", {
      key: body.key,
      body: { name: "more", scopes: ["agents:write"] },
    });
    expect([more.status, more.body.code]).toEqual([403, "insufficient_scope"]);
    expect((await house.api("POST", "/v1/auth/logout", { key: body.key })).body.code).toBe("insufficient_scope");
    const listed = await house.api("GET", "/v1/api-keys", { key: person.key });
    expect(JSON.stringify(listed.body)).not.toContain(body.key.split("_")[2]);
    const [stored] = await house.database.query<{ text: string }>(
      "SELECT string_agg(k::text, '') AS text FROM api_keys k",
    );
    expect(stored?.text).not.toContain(body.key.split("_")[2]);
  });

  test("wrong, revoked, expired and misplaced keys are refused alike", async () => {
    const make = async (extra: object = {}) =>
      (
        await house.api("POST", "/v1/api-keys", {
          key: person.key,
          body: { name: "k", scopes: ["runs:read"], ...extra },
        })
      ).body;
    const revoked = await make();
    expect((await me(revoked.key))[0]).toBe(200);
    await house.api("DELETE", `/v1/api-keys/${revoked.api_key.id}`, { key: person.key });
    const expired = await make({ expires_at: new Date(Date.now() + 60_000).toISOString() });
    await house.database.query("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE key_id = $1", [
      expired.api_key.prefix.slice(5),
    ]);
    const good = await make();
    const flipped = good.key.replace(
      /_(.)([^_]+)_/,
      (_: string, first: string, rest: string) => `_${first === "a" ? "b" : "a"}${rest}_`,
    );
    for (const wrong of [
      revoked.key,
      expired.key,
      flipped,
      good.key.toLowerCase(),
      good.key.slice(0, -1),
      `${good.key}0`,
      "maru_",
      "maru_x_y_z",
    ]) {
      expect([wrong, ...(await me(wrong))]).toEqual([wrong, 401, "invalid_credentials"]);
    }
    const inUrl = await house.api("GET", `/v1/auth/me?api_key=${good.key}`, { key: good.key });
    expect([inUrl.status, inUrl.body.code]).toEqual([400, "key_in_url"]);
    expect(
      (
        await house.api("POST", "/v1/api-keys", {
          key: person.key,
          body: { name: "k", scopes: ["runs:read"], expires_at: "2001-01-01T00:00:00Z" },
        })
      ).body.code,
    ).toBe("validation_failed");
  });

  test("no or odd credentials are told apart", async () => {
    const ask = async (authorization: Record<string, string>) =>
      (await house.api("GET", "/v1/auth/me", { headers: authorization })).body.code;
    expect(await ask({})).toBe("missing_credentials");
    expect(await ask({ authorization: "Bearer" })).toBe("invalid_credentials");
    expect(await ask({ authorization: "Basic eDp5" })).toBe("invalid_credentials");
    expect(await ask({ authorization: `Bearer  ${person.key} ${person.key}` })).toBe("invalid_credentials");
  });
});

describe("signing in", () => {
  test("an address can be taken once, however many ask at once", async () => {
    const ask = () =>
      house.api("POST", "/v1/auth/register", {
        body: { email: "Same@example.com", password: "correct horse battery" },
      });
    const replies = await Promise.all([ask(), ask(), ask()]);
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(replies.find(({ status }) => status === 409)?.body.code).toBe("email_taken");
  });

  test("guessing is slowed down for the guessed account only", async () => {
    const someone = await house.register();
    const guess = (email: string, password: string) =>
      house.api("POST", "/v1/auth/token", { body: { grant_type: "password", email, password } });
    const codes = [];
    for (let index = 0; index < 11; index++) codes.push((await guess(someone.email, "wrong")).body.code);
    expect(codes.slice(0, 10)).toEqual(Array(10).fill("invalid_credentials"));
    expect(codes[10]).toBe("too_many_attempts");
    expect((await guess(person.email, person.password)).status).toBe(200);
    const unknown = await guess("nobody@example.com", "wrong");
    expect([unknown.status, unknown.body.code]).toEqual([401, "invalid_credentials"]);
  });
});
