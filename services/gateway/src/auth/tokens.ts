import fastifyJwt from "@fastify/jwt";
import { Problem } from "@maru/contract";
import type { FastifyInstance } from "fastify";
import type { SigningKey } from "./keys.ts";

export const ACCESS_TOKEN_SECONDS = 900;
const ISSUER = "maru";
const AUDIENCE = "maru-api";
const MAX_TOKEN_LENGTH = 2_048;

/** Who an access token speaks for. */
export interface AccessClaims {
  readonly sub: string;
  readonly wsp: string;
  readonly sid: string;
}

declare module "@fastify/jwt" {
  interface FastifyJWT {
    payload: AccessClaims;
  }
}

export interface AccessTokens {
  issue(claims: AccessClaims): string;
  /** @throws Problem token_expired, invalid_token */
  verify(token: string): AccessClaims;
}

/**
 * Access tokens: EdDSA and nothing else. The algorithm is never taken from the token, and its header may say no more
 * than alg, typ and kid: jku, jwk, x5u, crit and the like are ways to make a verifier trust its attacker (RFC 8725).
 */
export async function accessTokens(
  app: FastifyInstance,
  keys: readonly [SigningKey, ...SigningKey[]],
): Promise<AccessTokens> {
  const [current] = keys;
  const verify = {
    algorithms: ["EdDSA" as const],
    allowedIss: ISSUER,
    allowedAud: AUDIENCE,
    requiredClaims: ["exp", "iat", "sub", "wsp", "sid"],
    clockTolerance: 5_000,
  };
  await app.register(fastifyJwt, {
    secret: { private: current.privatePem, public: current.publicPem },
    sign: { algorithm: "EdDSA", iss: ISSUER, aud: AUDIENCE, kid: current.kid, expiresIn: ACCESS_TOKEN_SECONDS * 1_000 },
    verify,
  });
  const byKid = new Map(keys.map((key) => [key.kid, key]));

  return {
    issue: (claims) => app.jwt.sign(claims),
    verify(token) {
      const key = byKid.get(keyId(token));
      if (key === undefined) throw new Problem("invalid_token");
      try {
        const claims = app.jwt.verify<AccessClaims>(token, { ...verify, key: key.publicPem });
        if ([claims.sub, claims.wsp, claims.sid].some((claim) => typeof claim !== "string"))
          throw new Problem("invalid_token");
        return { sub: claims.sub, wsp: claims.wsp, sid: claims.sid };
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : null;
        throw new Problem(code === "FAST_JWT_EXPIRED" ? "token_expired" : "invalid_token");
      }
    },
  };
}

/** The key id of a token whose header is plain; "" for any other. */
function keyId(token: string): string {
  const head = token.length <= MAX_TOKEN_LENGTH ? token.split(".", 1)[0] : undefined;
  if (head === undefined) return "";
  try {
    const header: unknown = JSON.parse(Buffer.from(head, "base64url").toString("utf8"));
    if (typeof header !== "object" || header === null) return "";
    const { alg, typ, kid, ...rest } = header as Record<string, unknown>;
    const plain = alg === "EdDSA" && (typ === undefined || typ === "JWT") && Object.keys(rest).length === 0;
    return plain && typeof kid === "string" ? kid : "";
  } catch {
    return "";
  }
}
