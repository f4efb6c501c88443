export { MAX_FILE_BYTES, type ProjectFiles } from "./files.ts";
export type { Place } from "./places.ts";
export {
  ManifestError,
  type ManifestMistake,
  type ManifestSource,
  type ResolvedManifest,
  resolveManifest,
  type ServerMistake,
} from "./resolve.ts";
