import type { Command } from "commander";
import { type Cli, clientOf } from "../cli.ts";
import { DEFAULT_URL } from "../config.ts";
import { UsageError } from "../exit.ts";

const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export function login(program: Command, cli: Cli): void {
  program
    .command("login")
    .summary("keep a URL and an API key in a profile")
    .description(
      "Keeps where Maru is and an API key in a profile, in a file only you can read. The key is read from a prompt that does not " +
        "show it, or from standard input. MARU_URL and MARU_API_KEY go before what is kept.",
    )
    .option("--url <url>", `where the gateway is (default: MARU_URL, else ${DEFAULT_URL})`)
    .action(async (options: { url?: string }) => {
      const { config, output, prompt } = cli;
      const name = config.profileName(cli.profile);
      const url = checked(options.url ?? config.url ?? DEFAULT_URL);
      const key = (await prompt.secret(`API key for ${url}: `)).trim();
      if (key === "") throw new UsageError("There is no key on standard input.");
      // A key that does not work is not kept.
      const { workspace, scopes } = await clientOf(cli, { url, key }).auth.whoami();
      config.save(name, { url, key });
      output.line(`Logged in to ${workspace.name} at ${url}, profile ${name}.`);
      output.progress(`The key may: ${scopes.join(", ")}`);
      if (new URL(url).protocol === "http:" && !LOCAL.test(new URL(url).hostname))
        output.note(`${output.err.style("yellow", "warning:")} ${url} is not https: the key travels in clear text.`);
    });
}

export function logout(program: Command, cli: Cli): void {
  program
    .command("logout")
    .summary("forget a profile")
    .description("Forgets a profile's key. It stays valid: maru keys revoke ends a key.")
    .action(() => {
      const name = cli.config.profileName(cli.profile);
      cli.output.line(cli.config.remove(name) ? `Logged out of profile ${name}.` : `There is no profile ${name}.`);
    });
}

function checked(url: string): string {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError(`“${url}” is no URL: https://maru.example.com is one.`);
  const { username, password } = new URL(url);
  if (username !== "" || password !== "") throw new UsageError("The URL must not have credentials in it.");
  return url.replace(/\/+$/, "");
}
