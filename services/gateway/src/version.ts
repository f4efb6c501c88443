import { readFileSync } from "node:fs";

/** The gateway's, as the API's document and its health say it. */
export const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};
