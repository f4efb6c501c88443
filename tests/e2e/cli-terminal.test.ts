import { existsSync, writeFileSync } from "node:fs";
import { request as ask, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CommandLine, openCommandLine, SOURCE } from "../setup/cli.ts";
import { ASK, REFUND, SHOP } from "../setup/cli-agents.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openToolServer } from "../setup/tool-server.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const UP = "\u001b[A";
const ESC = "\u001b[";

let house: House;
let person: Person;
let shop: Awaited<ReturnType<typeof openToolServer>>;
let line: CommandLine;
beforeAll(async () => {
  shop = await openToolServer();
  house = await openHouse("postgres", { egressAllow: { "shop.maru.internal": shop.origin } });
  person = await house.register();
  line = openCommandLine({ MARU_URL: house.url, MARU_API_KEY: person.key });
  for (const text of [manifest("weather"), SHOP]) expect((await house.deploy(person, text)).status).toBe(201);
});
afterAll(async () => {
  line?.close();
  await house?.close();
  await shop?.close();
});

const api = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
const newest = async () => (await api("/v1/runs?limit=1")).data[0];

describe("run on a terminal", () => {
  test("shows text as it comes, calls and results beside it, in colour, and that it is simulated", async () => {
    const terminal = line.terminal(["run", "weather", "How is the weather in Busan?"]);
    expect(await terminal.ended()).toBe(0);
    const screen = terminal.screen();
    expect(screen).toMatch(
      /→ get_weather \{"city": "Busan"\}\n✓ get_weather \{"city":"Busan".*\nBusan: .*\ncompleted \(simulated answer\): /,
    );
    expect(screen).not.toContain("thinking");
    expect(terminal.raw()).toContain(ESC);
  });

  test("shows thinking, dimmed, when it is asked for", async () => {
    const terminal = line.terminal(["run", "weather", "How is the weather in Busan?", "--thinking"]);
    expect(await terminal.ended()).toBe(0);
    expect(terminal.raw()).toContain(`${ESC}2mthinking `);
  });

  test("has no colours where they are not wanted", async () => {
    const terminal = line.terminal(["run", "weather", "hello"], { env: { NO_COLOR: "1" } });
    expect(await terminal.ended()).toBe(0);
    expect(terminal.raw()).not.toContain(`${ESC}3`);
    const dumb = line.terminal(["deployments", "--no-color"]);
    expect(await dumb.ended()).toBe(0);
    expect(dumb.raw()).not.toContain(ESC);
  });

  test("asks for approvals: yes, no with a reason, other arguments, or leaves it", async () => {
    const before = shop.arrivals.length;
    const yes = line.terminal(["run", "shop", REFUND]);
    await yes.sees('refund {"order":"7","won":5000} needs your approval');
    yes.type("maybe\r");
    await yes.sees("[y]es");
    yes.type("y\r");
    expect(await yes.ended()).toBe(0);
    expect(shop.arrivals.length).toBe(before + 1);

    const no = line.terminal(["run", "shop", REFUND]);
    await no.sees("[y]es");
    no.type("no, too much\r");
    expect(await no.ended()).toBe(0);
    const steps = (await api(`/v1/runs/${(await newest()).id}/steps`)).data;
    expect(steps).toContainEqual(expect.objectContaining({ decision: "reject", reason: "too much" }));

    const edit = line.terminal(["run", "shop", REFUND]);
    await edit.sees("[y]es");
    edit.type("e\r");
    await edit.sees("arguments (");
    edit.type("no json\r");
    await edit.sees("not JSON");
    await edit.sees("[y]es");
    edit.type("e\r");
    await edit.sees("arguments (");
    edit.type('{"order":"7","won":900}\r');
    expect(await edit.ended()).toBe(0);
    expect(shop.arrivals.slice(before).map(({ body }) => JSON.parse(body).won)).toEqual([5000, 900]);

    const leave = line.terminal(["run", "shop", REFUND]);
    await leave.sees("[y]es");
    leave.type("l\r");
    await until("it still waits", async () => (await newest()).status === "waiting");
    const { id, required_action: action } = await newest();
    const approvals = [{ call_id: action.approvals[0].call_id, decision: "reject" }];
    await house.api("POST", `/v1/runs/${id}/approvals`, { key: person.key, body: { approvals } });
    expect(await leave.ended()).toBe(0);
  });

  test("asks for results of client-side tools", async () => {
    const terminal = line.terminal(["run", "shop", ASK]);
    await terminal.sees('ask_user {"question":"Which city?"} asks you');
    await terminal.sees("result: ");
    terminal.type("Busan\r");
    expect(await terminal.ended()).toBe(0);
    expect((await api(`/v1/runs/${(await newest()).id}/steps`)).data[1]).toMatchObject({ output: "Busan" });
  });

  test("takes a question back that somebody else answered by ending the run", async () => {
    const terminal = line.terminal(["run", "shop", REFUND]);
    await terminal.sees("[y]es");
    await house.api("POST", `/v1/runs/${(await newest()).id}/cancel`, { key: person.key });
    expect(await terminal.ended()).toBe(1);
  });

  test("asks nobody with --no-input, and leaves the run as it waits", async () => {
    const terminal = line.terminal(["run", "shop", REFUND, "--no-input"]);
    expect(await terminal.ended()).toBe(8);
    const { id, status } = await newest();
    expect(status).toBe("waiting");
    expect(terminal.screen()).toContain(`maru approve ${id} `);
    expect(terminal.screen()).not.toContain("[y]es");
  });

  test.each([
    ["while it asks", REFUND, "[y]es"],
    ["while it works", "#sim slow 15000", "run_"],
  ])("cancels with Ctrl-C, %s", async (_when, input, sees) => {
    const slow = input.includes("slow");
    const terminal = line.terminal(["run", "shop", input, ...(slow ? ["--thinking"] : [])]);
    if (slow)
      await until("it runs", async () => (await newest()).input === input && (await newest()).status === "running");
    else await terminal.sees(sees);
    terminal.type(CTRL_C);
    await terminal.sees("Cancelling run_");
    expect(await terminal.ended()).toBe(130);
    expect(await newest()).toMatchObject({ input, status: "cancelled" });
  });

  test("leaves with a second Ctrl-C, and the run is left alone", async () => {
    // A gateway that never answers the cancelling.
    const held = await proxy(house.url, (path) => path.endsWith("/cancel"));
    try {
      const terminal = line.terminal(["run", "shop", REFUND], { env: { MARU_URL: held.url } });
      await terminal.sees("[y]es");
      terminal.type(CTRL_C);
      await terminal.sees("Ctrl-C again leaves it");
      terminal.type(CTRL_C);
      expect(await terminal.ended()).toBe(130);
      expect(await newest()).toMatchObject({ input: REFUND, status: "waiting" });
    } finally {
      await held.close();
    }
  });
});

describe("chat on a terminal", () => {
  test("is a conversation with history, approvals and results, in one thread", async () => {
    const terminal = line.terminal(["chat", "shop"]);
    await terminal.sees("/help says");
    await terminal.sees("> ");
    terminal.type("What is 6 * 7?\r");
    await terminal.sees("42");
    await terminal.sees("> ");
    terminal.type(`${REFUND}\r`);
    await terminal.sees("needs your approval");
    await terminal.sees("others: ");
    terminal.type("y\r");
    await terminal.sees("completed");
    await terminal.sees("> ");
    terminal.type(`${ASK}\r`);
    await terminal.sees("result: ");
    terminal.type("Seoul\r");
    await terminal.sees("completed");
    await terminal.sees("> ");
    // The arrow brings back what was said, and not the answers to questions.
    terminal.type(`${UP}${UP}${UP}\r`);
    await terminal.sees("> What is 6 * 7?");
    await terminal.sees("completed");
    await terminal.sees("> ");
    terminal.type("/history\r");
    await terminal.sees("> What is 6 * 7?");
    await terminal.sees("> ");
    terminal.type("/thread\r");
    await terminal.sees("thr_");
    await terminal.sees("> ");
    terminal.type("two \\\rlines\r");
    await terminal.sees("completed");
    await terminal.sees("> ");
    terminal.type("/nonsense\r");
    await terminal.sees("There is no /nonsense");
    await terminal.sees("> ");
    terminal.type(CTRL_D);
    expect(await terminal.ended()).toBe(0);
    const thread = /maru chat shop --thread (thr_\S+)/.exec(terminal.screen())?.[1];
    const runs = (await api(`/v1/runs?thread_id=${thread}`)).data;
    expect(runs.map(({ status }: { status: string }) => status)).toEqual(Array(5).fill("completed"));
    expect(runs[0].input).toBe("two \nlines");

    const again = line.terminal(["chat", "shop", "--thread", String(thread)]);
    await again.sees("What is 6 * 7?");
    await again.sees("/help says");
    again.type("/new\r");
    await again.sees("> ");
    again.type("/exit\r");
    expect(await again.ended()).toBe(0);
  });

  test("outlives a message that was cancelled, and one that went wrong", async () => {
    const terminal = line.terminal(["chat", "shop"]);
    await terminal.sees("> ");
    terminal.type(`${REFUND}\r`);
    await terminal.sees("others: ");
    terminal.type(CTRL_C);
    await terminal.sees("cancelled");
    await terminal.sees("> ");
    await house.api("POST", "/v1/deployments/shop/pause", { key: person.key, body: {} });
    terminal.type("hello\r");
    await terminal.sees("next: maru resume");
    await terminal.sees("> ");
    await house.api("POST", "/v1/deployments/shop/resume", { key: person.key, body: {} });
    terminal.type("hello\r");
    await terminal.sees("completed");
    await terminal.sees("> ");
    terminal.type(CTRL_C);
    expect(await terminal.ended()).toBe(0);
  });
});

describe("questions", () => {
  test("deploy shows its plan and asks", async () => {
    await line.run(["init", "asked.yaml", "--name", "asked"]);
    const no = line.terminal(["deploy", "asked.yaml"]);
    await no.sees("would create");
    await no.sees("Deploy this? [y/N] ");
    no.type("\r");
    expect(await no.ended()).toBe(1);
    expect((await line.run(["deployments", "show", "asked"])).code).toBe(4);
    const yes = line.terminal(["deploy", "asked.yaml"]);
    await yes.sees("[y/N] ");
    yes.type("y\r");
    await yes.sees("asked: create, revision 1");
    expect(await yes.ended()).toBe(0);
    const same = line.terminal(["deploy", "asked.yaml"]);
    expect([await same.ended(), same.screen()]).toEqual([0, "asked: unchanged, revision 1\n"]);
    const left = line.terminal(["delete", "asked"]);
    await left.sees("[y/N] ");
    left.type(CTRL_C);
    expect(await left.ended()).toBe(130);
    const gone = line.terminal(["delete", "asked"]);
    await gone.sees("[y/N] ");
    gone.type("yes\r");
    expect(await gone.ended()).toBe(0);
    expect((await line.run(["deployments", "show", "asked"])).code).toBe(4);
  });

  test("keys and secrets are not shown while they are typed", async () => {
    const login = line.terminal(["login", "--url", house.url]);
    await login.sees("API key");
    login.type(`${person.key}\r`);
    await login.sees("Logged in");
    expect(await login.ended()).toBe(0);
    expect(login.raw()).not.toContain(person.key);
    const secret = line.terminal(["secrets", "set", "TYPED_KEY"]);
    await secret.sees("Value of TYPED_KEY: ");
    secret.type("a-typed-value-0123\r");
    expect(await secret.ended()).toBe(0);
    expect(secret.raw()).not.toContain("a-typed");
    expect((await api("/v1/secrets")).data[0]).toMatchObject({ name: "TYPED_KEY", version: 1 });
  });

  test("lists fit the window, and say when there is more", async () => {
    const narrow = line.terminal(["runs", "-n", "2"], { columns: 120 });
    expect(await narrow.ended()).toBe(0);
    const lines = narrow.screen().trimEnd().split("\n");
    expect(lines.length).toBe(4);
    expect(lines.at(-1)).toBe("The first 2; --all shows all.");
    for (const one of lines) expect(one.length).toBeLessThanOrEqual(120);
    const empty = line.terminal(["webhooks"]);
    expect([await empty.ended(), empty.screen()]).toEqual([0, "There are no webhooks.\n"]);
  });

  test("runs --watch shows the list anew until Ctrl-C", async () => {
    const terminal = line.terminal(["runs", "--watch", "-n", "1"], { columns: 160 });
    await terminal.sees("RUN");
    const run = await house.run(person, "weather", "Is it watched?");
    await terminal.sees(run.id);
    terminal.type(CTRL_C);
    expect(await terminal.ended()).toBe(0);
  });
});

/** The shells completion is for: where they are, and how they are started without anybody's settings. */
const SHELLS = ["bash", "zsh", "fish"].map((name) => {
  const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  return { name, path: found.find((file) => existsSync(file)) };
});
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  bash: ["--norc", "--noprofile", "-i"],
  zsh: ["-f", "-i"],
  fish: ["--no-config", "-i"],
};

describe.each(SHELLS)("completion in $name", ({ name, path }) => {
  // A shell that is not on PATH is counted as skipped.
  test.skipIf(path === undefined)("completes commands, options, names of deployments and files", async () => {
    writeFileSync(join(line.folder, "maru"), `#!/bin/sh\nexec '${process.execPath}' '${SOURCE}' "$@"\n`, {
      mode: 0o755,
    });
    writeFileSync(join(line.folder, "an-agent.yaml"), manifest("completed"));
    const env = { PATH: `${line.folder}:${process.env.PATH}`, ZDOTDIR: line.folder };
    const shell = line.shell(path as string, PLAIN[name] ?? [], { env });
    shell.type(name === "fish" ? "maru completion fish | source\r" : `eval "$(maru completion ${name})"\r`);
    shell.type("printf 'be%s\\n' gun\r");
    await shell.sees("begun");
    // Each is run as it was completed, and prints what only that does.
    for (const [typed, printed] of [
      ["maru secrets se\t --help", "Usage: maru secrets set"],
      ["maru deployments weat\t --no-color", /traffic +revision 1/],
      ["maru deployments --js\t", '"name": "weather"'],
      ["maru completion fi\t", "function __maru_complete"],
      ["maru validate an-ag\t", "an-agent.yaml: valid"],
    ] as const) {
      shell.type(`${typed}\r`);
      await shell.sees(printed);
    }
    shell.type("exit\r");
    await shell.ended();
  });
});

/** Passes calls on, but for those it holds for ever. */
async function proxy(
  target: string,
  holds: (path: string) => boolean,
): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer((incoming, outgoing) => {
    if (holds(String(incoming.url))) return;
    const passed = ask(
      new URL(String(incoming.url), target),
      { method: String(incoming.method), headers: incoming.headers },
      (reply) => {
        outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(outgoing);
      },
    );
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
