// npm run admin: what operators do to plans and quotas.
import { join } from "node:path";
import { AdminError, openAdmin } from "@maru/store/admin";
import { runningEmbeddedPostgres } from "@maru/store/embedded";
import { runAdmin } from "./admin.ts";
import { standaloneConfig } from "./config.ts";
import { loadState } from "./state.ts";

try {
  const { databaseUrl, dataDir } = standaloneConfig(process.env, []);
  const ownerUrl =
    databaseUrl ??
    runningEmbeddedPostgres({
      dataDir: join(dataDir, "postgres"),
      superuserPassword: loadState(dataDir).superuserPassword,
    });
  if (ownerUrl === null) throw new AdminError("Maru is not running here. Start it, or set DATABASE_URL.");
  const admin = openAdmin(ownerUrl);
  try {
    console.log(await runAdmin(process.argv.slice(2), admin));
  } finally {
    await admin.close();
  }
} catch (error) {
  console.error(error instanceof AdminError ? error.message : error);
  process.exitCode = 1;
}
