import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { deriveKey } from "@maru/domain";

/** An Ed25519 key pair for access tokens, with its id and its public JWK. */
export interface SigningKey {
  readonly kid: string;
  readonly privatePem: string;
  readonly publicPem: string;
  readonly x: string;
}

/** PKCS#8 of an Ed25519 key is this prefix and the 32-byte seed (RFC 8410 §7). */
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The signing key of a secret. Every gateway derives the same, so there is none to store or hand around. */
export function signingKey(secret: string): SigningKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, deriveKey(secret, "access tokens")]),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = createPublicKey(privateKey);
  const x = publicKey.export({ format: "jwk" }).x as string;
  // RFC 7638 thumbprint of the public key.
  const kid = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url");
  return {
    kid,
    x,
    privatePem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    publicPem: publicKey.export({ format: "pem", type: "spki" }).toString(),
  };
}
