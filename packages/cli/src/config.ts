import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { NotSignedIn, UsageError } from "./exit.ts";

export const DEFAULT_URL = "http://127.0.0.1:8080";
const PROFILE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export interface Profile {
  readonly url: string;
  readonly key: string;
}
interface Stored {
  /** The profile that is used when none is named. */
  readonly current: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

/** Where to call and as whom, and what said so. */
export interface Place {
  readonly url: string;
  readonly key: string;
  /** `MARU_API_KEY`, or the profile the key is of. */
  readonly keyFrom: string;
}

export interface Config {
  /** The variables manifests may refer to. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file profiles are in; only its owner may read it. */
  readonly file: string;
  /** Whether colours were asked for, or asked not to be; undefined leaves it to the terminal. */
  readonly colour: boolean | undefined;
  /** Of the environment, for `login`. */
  readonly url: string | undefined;
  /** True when others than the owner may read the file. */
  exposed(): boolean;
  profiles(): Stored;
  /** The named profile, else MARU_PROFILE's, else the current one. @throws UsageError */
  profileName(named: string | undefined): string;
  /** @throws NotSignedIn, UsageError */
  place(named: string | undefined): Place;
  /** Keeps a profile and makes it the current one. */
  save(name: string, profile: Profile): void;
  /** Forgets a profile; false when there is none. */
  remove(name: string): boolean;
}

/** What the environment and the config file say; read once, here. */
export function openConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // An empty variable counts as none.
  const said = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const { MARU_URL: url, MARU_API_KEY: key, MARU_PROFILE: wanted, FORCE_COLOR: force } = said;
  const file = join(said.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "maru", "config.json");

  const read = (): Stored => {
    if (!existsSync(file)) return { current: "default", profiles: {} };
    try {
      const { current, profiles } = JSON.parse(readFileSync(file, "utf8"));
      return { current: String(current ?? "default"), profiles: profiles ?? {} };
    } catch {
      throw new UsageError(`${file} can't be read as JSON. Put it right, or remove it and log in again: maru login`);
    }
  };
  const write = (stored: Stored) => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Written beside it and moved: a key is never in a file that others may read, or in half a file.
    const beside = `${file}.${process.pid}`;
    writeFileSync(beside, `${JSON.stringify(stored, null, 2)}\n`, { mode: 0o600 });
    chmodSync(beside, 0o600);
    try {
      renameSync(beside, file);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  };

  const config: Config = {
    env,
    file,
    url,
    colour:
      force !== undefined ? force !== "0" : said.NO_COLOR !== undefined || said.TERM === "dumb" ? false : undefined,
    exposed: () => process.platform !== "win32" && existsSync(file) && (statSync(file).mode & 0o077) !== 0,
    profiles: read,
    profileName(named) {
      const name = named ?? wanted ?? read().current;
      if (!PROFILE_PATTERN.test(name))
        throw new UsageError(`“${name}” is no name of a profile: letters, digits, . _ and - make one.`);
      return name;
    },
    place(named) {
      if (key !== undefined && url !== undefined) return { url, key, keyFrom: "MARU_API_KEY" };
      const name = config.profileName(named);
      const profile = Object.hasOwn(read().profiles, name) ? read().profiles[name] : undefined;
      if (key !== undefined) return { url: profile?.url ?? DEFAULT_URL, key, keyFrom: "MARU_API_KEY" };
      if (profile === undefined)
        throw new NotSignedIn(
          name === "default" ? "You are not logged in." : `There is no profile ${name} in ${file}.`,
        );
      // A key goes nowhere but where it was meant for.
      if (url !== undefined && new URL(url).origin !== new URL(profile.url).origin)
        throw new NotSignedIn(`MARU_URL is ${url}, but the key of profile ${name} is for ${profile.url}.`);
      return { url: url ?? profile.url, key: profile.key, keyFrom: `profile ${name}` };
    },
    save(name, profile) {
      write({ current: name, profiles: { ...read().profiles, [name]: profile } });
    },
    remove(name) {
      const { current, profiles } = read();
      const { [name]: removed, ...left } = profiles;
      if (removed === undefined) return false;
      write({ current: current === name ? (Object.keys(left)[0] ?? "default") : current, profiles: left });
      return true;
    },
  };
  return config;
}
