// npm run admin: what operators do to plans, quotas and keys.
import { join } from "node:path";
import { AdminError, openAdmin } from "@maru/store/admin";
import { runningEmbeddedPostgres } from "@maru/store/embedded";
import { runAdmin } from "./admin.ts";
import { adminConfig } from "./admin-config.ts";
import { loadState } from "./state.ts";

try {
  const { databaseUrl, dataDir, sealer } = adminConfig(process.env);
  const ownerUrl =
    databaseUrl ??
    runningEmbeddedPostgres({
      dataDir: join(dataDir, "postgres"),
      superuserPassword: loadState(dataDir).superuserPassword,
    });
  if (ownerUrl === null) throw new AdminError("Maru is not running here. Start it, or set DATABASE_URL.");
  const admin = openAdmin(ownerUrl);
  try {
    console.log(await runAdmin(process.argv.slice(2), admin, sealer));
  } finally {
    await admin.close();
  }
} catch (error) {
  console.error(error instanceof AdminError ? error.message : error);
  process.exitCode = 1;
}
