import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";

/** The one part of the WebAssembly API used here; its types come only with those of the browser. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
  };
};

/**
 * The SQL that makes the tables of schema.prisma in an empty database: what a new migration is written from, and what
 * the drift test compares the migrations with. Uses Prisma's schema engine as WebAssembly, since its native one would
 * have to be downloaded. (Its introspection cannot be used: the pg adapter does not read the catalogue's "char".)
 */
export async function schemaSql(schemaPath: string, databaseUrl: string): Promise<string> {
  const engineDir = dirname(createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg"));
  const bindings = await import("@prisma/schema-engine-wasm/schema_engine_bg");
  const { instance } = await WebAssembly.instantiate(readFileSync(join(engineDir, "schema_engine_bg.wasm")), {
    "./schema_engine_bg.js": bindings,
  });
  (bindings as unknown as { __wbg_set_wasm(exports: object): void }).__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const schema = { path: "schema.prisma", content: readFileSync(schemaPath, "utf8") };
  const engine = await bindings.SchemaEngine.new(
    { datamodels: [[schema.path, schema.content]] },
    () => {},
    // The engine wants a database that answers, though a diff between nothing and a file does not read it.
    bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: databaseUrl })),
  );
  const diff = await engine.diff({
    from: { tag: "empty" },
    to: { tag: "schemaDatamodel", files: [schema] },
    script: true,
    exitCode: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  return diff.stdout ?? "";
}
