import { CATALOGUE } from "@maru/model";
// One shot: brings the database to this version, prepares the queue's tables, makes the services' login. Safe to repeat.
import { prepareQueue } from "@maru/queue";
import { ensureRuntimeLogin, migrate, seedModels } from "@maru/store/migrate";
import { migrateConfig } from "./migrate-config.ts";

const { ownerUrl, runtimeUser, runtimePassword, migrationsDir } = migrateConfig(process.env);
const applied = await migrate({ ownerUrl, migrationsDir });
await seedModels({ ownerUrl, models: CATALOGUE });
await prepareQueue({ ownerUrl, runtimeRole: "maru_runtime" });
await ensureRuntimeLogin({ ownerUrl, user: runtimeUser, password: runtimePassword });
console.log(applied.length === 0 ? "The database is up to date." : `Applied ${applied.join(", ")}.`);
