import { execFile, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCli } from "../../packages/cli/src/cli.ts";
import { openConfig } from "../../packages/cli/src/config.ts";
import { createProgram } from "../../packages/cli/src/program.ts";
import { createPrompter } from "../../packages/cli/src/prompt.ts";
import { type CliOptions, type CommandLine, openCommandLine, SOURCE } from "../setup/cli.ts";
import { ASK, BOSS, REFUND, SHOP, WRITER } from "../setup/cli-agents.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openToolServer } from "../setup/tool-server.ts";

let house: House;
let person: Person;
let shop: Awaited<ReturnType<typeof openToolServer>>;
/** Signed in by its environment. */
let line: CommandLine;
/** Signed in by nothing yet. */
let guest: CommandLine;
beforeAll(async () => {
  shop = await openToolServer();
  house = await openHouse("postgres", {
    egressAllow: { "shop.maru.internal": shop.origin, "hooks.maru.internal": shop.origin },
  });
  person = await house.register();
  line = openCommandLine({ MARU_URL: house.url, MARU_API_KEY: person.key });
  guest = openCommandLine();
  for (const text of [manifest("weather"), SHOP, WRITER, BOSS])
    expect((await house.deploy(person, text)).status).toBe(201);
});
afterAll(async () => {
  line?.close();
  guest?.close();
  await house?.close();
  await shop?.close();
});

const maru = async (...args: string[]) => line.run(args);
/** The answer of a command that must succeed. */
const well = async (args: readonly string[], options?: CliOptions) => {
  const { code, out, err } = await line.run(args, options);
  expect({ args, code, err: code === 0 ? "" : err }).toEqual({ args, code: 0, err: "" });
  return out;
};
const json = async (...args: string[]) => JSON.parse(await well([...args, "--json"]));
const api = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
const file = (name: string, text: string) => {
  writeFileSync(join(line.folder, name), text);
  return name;
};
const start = async (deployment: string, input: string) => {
  const id = (await well(["run", deployment, input, "--detach"])).trim();
  await until(
    `${id} waits or has ended`,
    async () => !["queued", "running"].includes((await api(`/v1/runs/${id}`)).status),
  );
  return id;
};

describe("login", () => {
  const config = () => join(guest.folder, "config/maru/config.json");

  test("keeps a key that works, from standard input, where nobody else can read it", async () => {
    const { code, out, err } = await guest.run(["login", "--url", house.url], { input: `${person.key}\n` });
    expect([code, out]).toEqual([0, expect.stringContaining("profile default")]);
    expect(out + err).not.toContain(person.key);
    expect(statSync(config()).mode & 0o777).toBe(0o600);
    expect(statSync(join(guest.folder, "config/maru")).mode & 0o777).toBe(0o700);
    expect((await guest.run(["deployments"])).out).toContain("weather");
  });

  test("does not keep one that does not work", async () => {
    const before = readFileSync(config(), "utf8");
    const wrong = await guest.run(["login", "--url", house.url, "--profile", "other"], { input: "maru_wrong" });
    expect([wrong.code, wrong.out]).toEqual([3, ""]);
    expect((await guest.run(["login", "--url", "ftp://maru"], { input: "x" })).code).toBe(2);
    expect((await guest.run(["login", "--url", house.url], { input: "\n" })).code).toBe(2);
    expect(readFileSync(config(), "utf8")).toBe(before);
  });

  test("has profiles, and the environment goes before them", async () => {
    const other = await house.register();
    await guest.run(["login", "--url", house.url, "--profile", "other"], { input: other.key });
    expect((await guest.run(["deployments"])).out).not.toContain("weather");
    expect((await guest.run(["deployments", "--profile", "default"])).out).toContain("weather");
    expect((await guest.run(["deployments"], { env: { MARU_PROFILE: "default" } })).out).toContain("weather");
    const env = { MARU_URL: house.url, MARU_API_KEY: person.key };
    expect((await guest.run(["deployments"], { env })).out).toContain("weather");
    expect(await guest.run(["deployments", "--profile", "nobody"])).toMatchObject({ code: 3 });
    expect((await guest.run(["logout", "--profile", "other"])).out).toBe("Logged out of profile other.\n");
    expect((await guest.run(["logout", "--profile", "other"])).out).toBe("There is no profile other.\n");
    expect((await guest.run(["deployments"])).out).toContain("weather");
  });

  test("sends a profile's key to nobody but whom it is for", async () => {
    const before = shop.arrivals.length;
    const { code, err } = await guest.run(["deployments"], { env: { MARU_URL: shop.origin } });
    expect([code, err]).toEqual([3, expect.stringContaining("is for")]);
    expect(shop.arrivals.length).toBe(before);
  });

  test("says what to do when nobody is signed in", async () => {
    const { code, out, err } = await guest.run(["runs", "--profile", "nobody"]);
    expect([code, out]).toEqual([3, ""]);
    expect(err).toContain("next: maru login");
  });

  test("finds a file others can read", async () => {
    chmodSync(config(), 0o644);
    const { code, out } = await guest.run(["doctor"]);
    expect([code, out]).toEqual([1, expect.stringContaining("✗ config file: others can read")]);
    chmodSync(config(), 0o600);
    expect((await guest.run(["doctor"])).code).toBe(0);
  });
});

describe("manifests", () => {
  test("init writes one that is valid and deploys, and never over another", async () => {
    await well(["init", "first.yaml", "--name", "first"]);
    const text = readFileSync(join(line.folder, "first.yaml"), "utf8");
    expect(text).toContain("# The system message");
    expect(await well(["validate", "first.yaml"])).toBe("first.yaml: valid\n");
    expect(await maru("init", "first.yaml")).toMatchObject({ code: 2, out: "" });
    expect(readFileSync(join(line.folder, "first.yaml"), "utf8")).toBe(text);
    await well(["init", "first.yaml", "--name", "second", "--force"]);
    expect(readFileSync(join(line.folder, "first.yaml"), "utf8")).toContain("name: second");
  });

  test("validate points into the line, whatever letters are before", async () => {
    const text = manifest("broken")
      .replace("spec:\n", "spec:\n  nmae: 3\n")
      .replace("name: broken", 'name: "한글", x: 1');
    const { code, out, err } = await maru("validate", file("broken.yaml", text));
    expect([code, out]).toEqual([1, ""]);
    const lines = err.split("\n");
    const at = lines.findIndex((one) => one.includes("nmae: 3"));
    expect(lines[at - 1]).toContain("broken.yaml:5:3 /spec/nmae");
    expect(lines[at + 1]?.indexOf("^")).toBe(lines[at]?.indexOf("nmae"));
    // A wide letter takes two columns of the terminal, and so does the space before the caret.
    const wide = lines.findIndex((one) => one.includes("한글"));
    const caret = lines[wide + 1]?.indexOf("^") ?? 0;
    expect(caret - (lines[wide]?.indexOf("x: 1") ?? 0)).toBe(2);
    const found = JSON.parse((await maru("validate", "broken.yaml", "--json")).out);
    expect(found).toMatchObject({ valid: false });
    expect(found.errors.map(({ line: number }: { line: number }) => number)).toContain(5);
  });

  test("validate says which file is not there", async () => {
    expect(await maru("validate", "nowhere.yaml")).toMatchObject({
      code: 2,
      err: expect.stringContaining("nowhere.yaml"),
    });
  });

  test("deploy creates, says what changes, and changes nothing twice", async () => {
    const text = manifest("plan", { instructions: "You are brief.\nAnswer in Korean.\n".repeat(8) });
    file("plan.yaml", text);
    expect(await well(["deploy", "plan.yaml", "--dry-run"])).toBe("plan.yaml: would create\n");
    expect((await maru("deployments", "show", "plan")).code).toBe(4);
    expect(await well(["deploy", "plan.yaml"])).toBe("plan: create, revision 1\n");
    expect(await well(["deploy", "plan.yaml"])).toBe("plan: unchanged, revision 1\n");
    file("plan.yaml", text.replace("Answer in Korean.", "Answer in English."));
    const plan = await well(["deploy", "plan.yaml", "--dry-run"]);
    expect(plan).toMatch(/^plan: would update\n {2}~ \/instructions\n.*@@.*\n/);
    expect(plan).toMatch(/^ +-Answer in Korean\.$/m);
    expect(plan).toMatch(/^ +\+Answer in English\.$/m);
    const [result] = await json("deploy", "plan.yaml", "--note", "speak English");
    expect(result).toMatchObject({ action: "update", revision: 2 });
    expect((await api("/v1/deployments/plan/releases")).data[0].note).toBe("speak English");
  });

  test("deploy takes several, all of them or none, and says in which file a mistake is", async () => {
    file("a.yaml", manifest("multi-a"));
    file("b.yaml", manifest("multi-b").replace("spec:\n", "spec:\n  nmae: 3\n"));
    file(
      "c.yaml",
      manifest("multi-c", { tools: "    - { name: ask_a, type: agent, description: A, deployment: multi-a }\n" }),
    );
    const { code, out, err } = await maru("deploy", "a.yaml", "b.yaml", "c.yaml");
    expect([code, out]).toEqual([1, ""]);
    expect(err).toContain("b.yaml:5:3 /spec/nmae");
    expect(err.split("\n").find((one) => one.startsWith("  5 │"))).toBe("  5 │   nmae: 3");
    expect((await maru("deployments", "show", "multi-a")).code).toBe(4);
    // They call one another, in any order.
    expect(await well(["deploy", "c.yaml", "a.yaml"])).toBe(
      "multi-c: create, revision 1\nmulti-a: create, revision 1\n",
    );
    expect((await json("deploy", "c.yaml", "a.yaml")).map(({ action }: { action: string }) => action)).toEqual([
      "unchanged",
      "unchanged",
    ]);
    expect(await well(["deploy", "-"], { input: manifest("multi-d") })).toContain("multi-d: create");
  });

  test("deploy puts in the environment and files, and leads mistakes back to them", async () => {
    mkdirSync(join(line.folder, "agents"), { recursive: true });
    file("agents/prompt.md", "You answer for ${env.NOBODY}, literally.\n");
    file("agents/double.js", "export default ({ n }) => n * 2\n");
    file(
      "agents/whole.yaml",
      `apiVersion: maru/v1
kind: Agent
metadata: { name: "\${env.AGENT}" }
spec:
  instructions: { file: ./prompt.md }
  tools:
    - name: double
      type: function
      description: Doubles
      parameters: { type: object, properties: { n: { type: number } } }
      source: { file: ./double.js }
`,
    );
    const missing = await maru("deploy", "agents/whole.yaml");
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("agents/whole.yaml:3:")]);
    const env = { AGENT: "whole" };
    expect(await well(["deploy", "agents/whole.yaml"], { env })).toBe("whole: create, revision 1\n");
    expect((await api("/v1/agents/whole/revisions/1")).spec.instructions).toContain("literally.");
    file("agents/double.js", "export default ({ n }) =>\n  n *\n");
    const wrong = await line.run(["validate", "agents/whole.yaml"], { env });
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("agents/double.js")]);
    file("agents/double.js", "export default ({ n }) => n * 2\n");
  });

  test("pull writes a manifest that changes nothing", async () => {
    const text = await well(["pull", "multi-a"]);
    expect(text).toMatch(/^apiVersion: maru\/v1\n/);
    expect(await well(["deploy", "-"], { input: text })).toContain("multi-a: unchanged");
    expect(await well(["pull", "multi-a", "-o", "pulled.yaml"])).toBe("pulled.yaml\n");
    expect(readFileSync(join(line.folder, "pulled.yaml"), "utf8")).toBe(text);
    expect(await maru("pull", "multi-a", "-o", "pulled.yaml")).toMatchObject({ code: 2 });
    expect(JSON.parse(await well(["pull", "multi-a", "--revision", "1", "--json"])).metadata.name).toBe("multi-a");
    expect(await maru("pull", "nobody")).toMatchObject({ code: 4 });
  });

  test("deploy with an ETag that is old is a conflict, and says so", async () => {
    const etag = /etag +(".*")/.exec(await well(["deployments", "show", "multi-a"]))?.[1] ?? "";
    await well(["deploy", "-", "--if-match", etag], { input: manifest("multi-a", { instructions: "One." }) });
    const late = await line.run(["deploy", "-", "--if-match", etag], {
      input: manifest("multi-a", { instructions: "Two." }),
    });
    expect([late.code, late.err]).toEqual([5, expect.stringContaining("next: somebody changed it")]);
  });

  test("deploy --watch deploys every change, and goes on after a mistake", async () => {
    file("watched.yaml", manifest("watched"));
    const child = spawn(process.execPath, [SOURCE, "deploy", "watched.yaml", "--watch"], {
      cwd: line.folder,
      env: { PATH: process.env.PATH, HOME: line.folder, MARU_URL: house.url, MARU_API_KEY: person.key },
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (text) => {
      out += text;
    });
    child.stderr.on("data", (text) => {
      err += text;
    });
    const ended = new Promise((done) => child.on("close", done));
    await until("it is deployed", () => out.includes("watched: create"));
    file("watched.yaml", "kind: Agent\n");
    await until("the mistake is shown", () => err.includes("error:"));
    file("watched.yaml", manifest("watched", { instructions: "Another." }));
    await until("the change is deployed", () => out.includes("watched: update, revision 2"));
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });
});

describe("run", () => {
  test("prints the answer alone, and says that it is a simulator's", async () => {
    expect(await maru("run", "weather", "How", "is the weather", "in Busan?")).toEqual({
      code: 0,
      out: expect.stringMatching(/^Busan: .*\n$/),
      err: "simulated answer\n",
    });
    const piped = await line.run(["run", "weather", "-"], { input: "How is the weather in Busan?\n" });
    expect([piped.code, piped.out]).toEqual([0, expect.stringContaining("Busan: ")]);
    expect(await line.run(["run", "weather"], { input: "" })).toMatchObject({ code: 2 });
  });

  test("--json prints every event, one a line", async () => {
    const events = (await well(["run", "weather", "How is the weather in Busan?", "--json"]))
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(events.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const last = events.at(-1);
    expect([last.type, last.run]).toEqual(["run.completed", await api(`/v1/runs/${last.run_id}`)]);
    const text = events.filter(({ type, kind }) => type === "delta" && kind === "text").map((event) => event.text);
    expect(text.join("").trim()).toBe(last.run.output);
  });

  test("says how a run ended that did not complete, and exits with 1", async () => {
    const { code, out, err } = await maru("run", "weather", "#sim error 401");
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^failed.*run_/);
    expect(err).toContain("model_unauthorized");
  });

  test("passes on what it is for: thread, user, metadata, revision", async () => {
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    const run = JSON.parse(
      await well([
        "run",
        "weather",
        "hello",
        "--detach",
        "--json",
        "--thread",
        thread,
        "--user",
        "kim",
        "-m",
        "order=7",
        "--metadata",
        "a=b=c",
        "--revision",
        "1",
      ]),
    );
    expect(run).toMatchObject({
      thread_id: thread,
      metadata: { user: "kim", order: "7", a: "b=c" },
      revision: 1,
    });
    await until("it ends", async () => (await api(`/v1/runs/${run.id}`)).finished_at !== null);
    expect(await json("runs", "--thread", thread)).toMatchObject([{ id: run.id }]);
    expect((await json("threads")).map(({ id }: { id: string }) => id)).toContain(thread);
    const messages = await json("threads", "messages", thread);
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant"]);
    await well(["threads", "delete", thread]);
    expect((await maru("threads", "messages", thread)).code).toBe(4);
    expect(await maru("run", "weather", "x", "-m", "novalue")).toMatchObject({ code: 2 });
  });

  describe("that asks what nobody here can answer", () => {
    const waiting = async (id: string) => expect((await api(`/v1/runs/${id}`)).status).toBe("waiting");
    /** The run, and the call, that a command in a text names. */
    const named = (text: string, words: string) => new RegExp(`${words} (\\S+)( (\\S+))?`).exec(text)?.slice(1) ?? [];

    test("says what and how it is answered, is left as it waits, and exits with 8", async () => {
      const { code, out, err } = await maru("run", "shop", REFUND);
      expect([code, out]).toEqual([8, ""]);
      expect(err).toContain('refund {"order":"7","won":5000} needs an approval:\n');
      const [run = "", , call = ""] = named(err, "maru approve");
      expect(err).toContain(`  maru reject ${run} ${call} WHY\n`);
      await waiting(run);
      // What was printed does it.
      await well(["approve", run, call]);
      await until("it ends", async () => (await api(`/v1/runs/${run}`)).status === "completed");

      const asks = await maru("run", "shop", ASK, "--no-input");
      expect([asks.code, asks.out]).toEqual([8, ""]);
      const [other = "", , asked = ""] = named(asks.err, "maru answer");
      await well(["answer", other, asked, "Busan"]);
      await until("it ends", async () => (await api(`/v1/runs/${other}`)).status === "completed");
    });

    test("says all that is asked at once", async () => {
      const { code, err } = await maru(
        "run",
        "shop",
        `#sim parallel ask_user {"question":"1"} ask_user {"question":"2"} refund {"order":"8","won":1}`,
      );
      expect([code, err.match(/maru answer run_/g)?.length, err.match(/maru approve run_/g)?.length]).toEqual([
        8, 2, 1,
      ]);
    });

    test("says it with --json too, whose last line is the event that asks", async () => {
      const { code, out, err } = await maru("run", "shop", REFUND, "--json");
      const events = out
        .trimEnd()
        .split("\n")
        .map((text) => JSON.parse(text));
      const { run_id: run } = events.at(-1);
      expect([code, events.at(-1)]).toEqual([8, (await api(`/v1/runs/${run}/events`)).data.at(-1)]);
      const [{ call_id: call }] = events.at(-1).required_action.approvals;
      expect(err).toContain(`maru approve ${run} ${call}`);
      await waiting(run);
    });

    test("also where a run of another agent asks it", async () => {
      const { code, out, err } = await maru("run", "boss", `#sim tool ask_shop ${JSON.stringify({ input: REFUND })}`);
      expect([code, out]).toEqual([8, ""]);
      const [child = ""] = named(err, "maru approve");
      const [run = ""] = named(err, "maru logs -f");
      expect((await api(`/v1/runs/${child}`)).parent.run_id).toBe(run);
      await waiting(run);
    });

    test("waits for somebody else with --wait", async () => {
      const before = (await api("/v1/runs?status=waiting&deployment=shop")).data.length;
      const going = line.run(["run", "shop", REFUND, "--wait"]);
      let found: { id: string }[] = [];
      await until("it waits", async () => {
        found = (await api("/v1/runs?status=waiting&deployment=shop")).data;
        return found.length > before;
      });
      const run = String(found[0]?.id);
      expect(await well(["approve", run])).toMatch(/^(queued|running|completed)\n$/);
      const { code, out, err } = await going;
      expect([code, out]).toEqual([0, expect.stringContaining("refund")]);
      expect(err).toContain(`maru approve ${run}`);
      expect(await maru("run", "shop", REFUND, "--wait", "--detach")).toMatchObject({ code: 2 });
    });

    test("ends a conversation in a pipe, whose thread is busy then", async () => {
      const { code, out, err } = await line.run(["chat", "shop"], { input: `/thread\n${ASK}\nhello\n` });
      expect(code).toBe(8);
      const [run = ""] = named(err, "maru answer");
      expect((await api(`/v1/runs?thread_id=${out.trim()}`)).data).toMatchObject([{ id: run, status: "waiting" }]);
    });
  });
});

describe("what a run asks", () => {
  test("is answered, and a failure is told as one", async () => {
    const id = await start("shop", ASK);
    const call = (await api(`/v1/runs/${id}`)).required_action.tool_results[0].call_id;
    expect(await well(["inspect", id])).toContain(`maru answer ${id} ${call} OUTPUT`);
    await well(["answer", id, call, "-"], { input: "Busan\n" });
    await until("it ends", async () => (await api(`/v1/runs/${id}`)).finished_at !== null);
    expect((await api(`/v1/runs/${id}/steps`)).data[1]).toMatchObject({ state: "done", output: "Busan" });
    expect(await maru("answer", id, call, "Seoul")).toMatchObject({ code: 5 });

    const other = await start("shop", ASK);
    const asked = (await api(`/v1/runs/${other}`)).required_action.tool_results[0].call_id;
    await well(["answer", other, asked, "nobody", "there", "--error"]);
    await until("it ends", async () => (await api(`/v1/runs/${other}`)).finished_at !== null);
    expect((await api(`/v1/runs/${other}/steps`)).data[1]).toMatchObject({ state: "error" });
  });

  test("is approved with other arguments, or rejected with a reason", async () => {
    const before = shop.arrivals.length;
    const id = await start("shop", REFUND);
    await well(["approve", id, "--arguments", '{"order":"7","won":900}']);
    await until("it ends", async () => (await api(`/v1/runs/${id}`)).finished_at !== null);
    expect(shop.arrivals.slice(before).map(({ body }) => JSON.parse(body).won)).toEqual([900]);

    const other = await start("shop", REFUND);
    const [{ call_id: call }] = (await api(`/v1/runs/${other}`)).required_action.approvals;
    await well(["reject", other, call, "too", "much"]);
    await until("it ends", async () => (await api(`/v1/runs/${other}`)).finished_at !== null);
    expect((await api(`/v1/runs/${other}/steps`)).data).toContainEqual(
      expect.objectContaining({ kind: "approval", decision: "reject", reason: "too much" }),
    );
    expect(shop.arrivals.length).toBe(before + 1);
    expect(await maru("approve", other)).toMatchObject({
      code: 2,
      err: expect.stringContaining("waits for no approval"),
    });
  });
});

describe("what runs did", () => {
  test("runs lists and filters, as the API does", async () => {
    await well(["run", "weather", "hello"]);
    expect(await json("runs", "--all")).toEqual((await api("/v1/runs?limit=100")).data);
    const [newest] = (await api("/v1/runs?deployment=weather&status=completed&limit=1")).data;
    expect(await json("runs", "--deployment", "weather", "--status", "completed", "-n", "1")).toEqual([newest]);
    const table = await well(["runs", "--deployment", "weather", "-n", "1"]);
    expect(table).toContain(`${newest.id}  completed`);
    expect(table.trimEnd().split("\n").length).toBe(2);
    expect(await maru("runs", "-n", "none")).toMatchObject({ code: 2 });
    expect(await maru("runs", "--watch")).toMatchObject({ code: 2 });
    expect(await maru("runs", "--status", "well")).toMatchObject({ code: 1 });
  });

  test("logs shows events, and follows to the end", async () => {
    const id = await start("shop", ASK);
    const following = line.run(["logs", "-f", id, "--json"]);
    const before = (await well(["logs", id])).trimEnd().split("\n");
    expect(before.at(-1)).toMatch(/run\.waiting +ask_user$/);
    const call = (await api(`/v1/runs/${id}`)).required_action.tool_results[0].call_id;
    await well(["answer", id, call, "Busan"]);
    const { code, out } = await following;
    expect(code).toBe(0);
    const events = out
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(events).toEqual((await api(`/v1/runs/${id}/events`)).data);
    expect((await well(["logs", id, "--after", String(events.length - 1)])).split("\n").length).toBe(2);
  });

  test("inspect shows steps with figures, runs of other agents below, and artifacts", async () => {
    const input = `#sim tool ask_shop ${JSON.stringify({ input: '#sim tool calculator {"expression":"6*7"}' })}`;
    const id = await start("boss", input);
    const [child] = (await api(`/v1/runs?parent_run_id=${id}`)).data;
    const shown = await well(["inspect", id]);
    expect(shown).toMatch(/├─ ✓ 1 model k-exaone {2}\d+ ms, \d+ \+ \d+ tokens, \$0\.\d{6}/);
    expect(shown).toContain(`run ${child.id} completed`);
    expect(shown).toMatch(/│ {2}├─ ✓ 2 tool calculator/);
    expect(shown).toContain("1 run, ");
    const tree = await json("inspect", id);
    expect(tree.run).toEqual(await api(`/v1/runs/${id}`));
    expect(tree.children[child.id].run.id).toBe(child.id);
    expect(await json("runs", "--parent", id)).toMatchObject([{ id: child.id }]);
  });

  test("artifacts are listed, and saved under a name that stays in the folder", async () => {
    const id = await start("writer", '#sim tool long {"n": 1000}');
    const listed = await json("artifacts", "list", id);
    expect(listed).toEqual((await api(`/v1/runs/${id}/artifacts`)).data);
    const [{ id: artifact, size }] = listed;
    expect(await well(["inspect", id])).toContain(artifact);
    expect(await well(["artifacts", "get", artifact])).toBe("output.txt\n");
    expect(statSync(join(line.folder, "output.txt")).size).toBe(size);
    expect(await maru("artifacts", "get", artifact)).toMatchObject({ code: 2 });
    await well(["artifacts", "get", artifact, "--force"]);
    expect(Buffer.byteLength(await well(["artifacts", "get", artifact, "-o", "-"]))).toBe(size);
    expect(await maru("artifacts", "get", "art_01k00000000000000000000000")).toMatchObject({ code: 4 });
  });

  test("runs fork does a run anew from a step, with changes, and shows it as run does", async () => {
    const id = await start("shop", '#sim tool calculator {"expression":"6*7"}');
    const steps = (await api(`/v1/runs/${id}/steps`)).data;
    const tool = steps.find(({ kind }: { kind: string }) => kind === "tool").seq;
    const fork = ["runs", "fork", id, "--from-step", String(tool + 1)];
    const changes = ["--tool-result", `${tool}=43=`, "--instructions", "Be brief.", "-m", "why=test"];
    const events = (await well([...fork, ...changes, "--json"]))
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    const { run } = events.at(-1);
    expect(run).toMatchObject({
      status: "completed",
      forked_from: { run_id: id, step: tool + 1 },
      metadata: { why: "test" },
    });
    const reused = (await api(`/v1/runs/${run.id}/steps`)).data.find(({ seq }: { seq: number }) => seq === tool);
    expect(reused).toMatchObject({ reused: true, output: "43=" });
    expect(await well(fork)).toContain("42");
    const started = (await well([...fork, "--model", "k-exaone", "--detach"])).trim();
    expect((await api(`/v1/runs/${started}`)).forked_from.run_id).toBe(id);
    expect(await maru(...fork, "--tool-result", "one=x")).toMatchObject({ code: 2 });
    expect(await maru("runs", "fork", id)).toMatchObject({ code: 2 });
    expect(await maru("runs", "fork", "run_01k00000000000000000000000", "--from-step", "1")).toMatchObject({
      code: 4,
      err: expect.stringContaining("next: maru runs"),
    });
    const asks = await start("shop", REFUND);
    expect(await maru("runs", "fork", asks, "--from-step", "1")).toMatchObject({ code: 8 });
  });

  test("cancel ends a run, and another one is not found", async () => {
    const id = await start("shop", ASK);
    expect(await well(["cancel", id])).toBe(`${id}: cancelled\n`);
    expect(await maru("cancel", "run_01k00000000000000000000000")).toMatchObject({
      code: 4,
      err: expect.stringContaining("next: maru runs"),
    });
  });
});

describe("quota and usage", () => {
  test("quota shows what is left, and says what a run would hold", async () => {
    const [tokens] = (await api("/v1/quota")).windows;
    const shown = await well(["quota"]);
    expect(shown).toMatch(
      new RegExp(`tokens +workspace .*${tokens.limit.toLocaleString("en-US")} +through ${tokens.last_day}`),
    );
    expect((await json("quota")).windows.length).toBe((await api("/v1/quota")).windows.length);
    expect(await well(["quota", "check", "weather", "hello"])).toMatch(
      /^It would be accepted, and begin at once\.\ntokens: /,
    );
    expect((await json("quota", "check", "weather", "hello")).admitted).toBe(true);
  });

  test("limits of one's own are set, hold for an end user, and go: a run without room exits with 6", async () => {
    await well(["quota", "set", "per-user", "--unit", "runs", "--amount", "1", "--for", "end_user", "--per", "1h"]);
    expect(await json("quota", "limits")).toEqual((await api("/v1/quota/limits")).data);
    await well(["run", "weather", "hello", "--user", "lee"]);
    expect(await well(["quota", "--user", "lee"])).toMatch(/per-user +end_user lee +1 +0 +0 +1/);
    expect(await well(["quota", "--user", "nobody"])).not.toContain("lee");
    const refused = await maru("run", "weather", "hello", "--user", "lee");
    expect([refused.code, refused.out]).toEqual([6, ""]);
    expect(refused.err).toContain("next: room again at");
    const check = await maru("quota", "check", "weather", "hello", "--user", "lee");
    expect([check.code, check.out]).toEqual([6, expect.stringContaining("quota_exhausted: ")]);
    expect(await maru("quota", "set", "x", "--unit", "runs")).toMatchObject({ code: 2 });
    await well(["quota", "delete", "per-user"]);
    expect((await api("/v1/quota/limits")).data).toEqual([]);
  });

  test("usage sums by groups, over days of a time zone, as table, JSON and CSV", async () => {
    const { total } = await api("/v1/usage");
    const table = await well(["usage", "-g", "deployment", "-g", "user"]);
    expect(table).toMatch(new RegExp(`^total .* ${total.total_tokens.toLocaleString("en-US")} `, "m"));
    const report = await json("usage", "--from", "2026-11-01", "--to", "2026-11-30", "--time-zone", "Asia/Seoul");
    expect([report.from, report.to]).toEqual(["2026-10-31T15:00:00.000Z", "2026-11-30T15:00:00.000Z"]);
    const paris = await json("usage", "--from", "2026-10-25", "--to", "2026-10-25", "--time-zone", "Europe/Paris");
    // The day on which the clocks go back has 25 hours.
    expect([paris.from, paris.to]).toEqual(["2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"]);
    const csv = await well(["usage", "--csv", "-g", "deployment", "--from", "7d"]);
    expect(csv).toMatch(/^deployment,runs,.*\r?\n/);
    const records = await json("usage", "--records", "--from", "1d");
    expect(records.length).toBe(total.model_calls);
    expect(await well(["usage", "--records", "--csv"])).toMatch(/^id,/);
    const here = await well(["usage", "--records", "--run", records[0].run_id]);
    expect(here).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:]{8}\\+09:00 +${records[0].run_id} `, "m"));
    // The machine's zone, unless another is named; the output says which.
    expect(await well(["usage"])).toMatch(/^\S+\+09:00 to \S+\+09:00, time zone Asia\/Seoul\n/);
    expect(await well(["usage", "--from", "2026-11-01", "--to", "2026-11-30", "--tz", "America/New_York"])).toMatch(
      /^2026-11-01T00:00:00-04:00 to 2026-12-01T00:00:00-05:00, time zone America\/New_York\n/,
    );
    expect(await maru("usage", "--from", "yesterday")).toMatchObject({ code: 2 });
    expect(await maru("usage", "--from", "2026-02-30")).toMatchObject({ code: 2 });
    expect(await maru("usage", "--time-zone", "Mars")).toMatchObject({ code: 2 });
  });
});

describe("releases", () => {
  test("are made, listed and taken back", async () => {
    const name = "rolling";
    for (const instructions of ["One.", "Two.", "Three."])
      await well(["deploy", "-"], { input: manifest(name, { instructions }) });
    expect(await well(["rollback", name, "--note", "too loud"])).toMatch(/traffic +revision 2: 100 %/);
    expect(await well(["promote", name, "--revision", "3"])).toMatch(/traffic +revision 3: 100 %/);
    expect(await well(["traffic", name, "2=40", "3=60"])).toMatch(
      /traffic +revision [23]: \d0 %, revision [23]: \d0 %/,
    );
    expect(await maru("traffic", name, "2")).toMatchObject({ code: 2 });
    expect(await maru("traffic", name, "2=40")).toMatchObject({ code: 1 });
    expect(await json("rollback", name, "--release", "1")).toMatchObject({ revision: 1 });
    expect(await well(["pause", name])).toMatch(/health +paused/);
    expect(await maru("run", name, "hello")).toMatchObject({
      code: 5,
      err: expect.stringContaining("next: maru resume"),
    });
    expect(await well(["resume", name])).toMatch(/health +ready/);
    expect(await json("releases", name)).toEqual((await api(`/v1/deployments/${name}/releases`)).data);
    expect(await well(["releases", name])).toContain("too loud");
    expect(await maru("promote", "nobody")).toMatchObject({
      code: 4,
      err: expect.stringContaining("next: maru deployments"),
    });

    expect(await json("revisions", name)).toEqual((await api(`/v1/agents/${name}/revisions`)).data);
    expect(await well(["revisions", "diff", name, "1", "3"])).toBe(
      `rolling: revision 1 → revision 3\n  ~ /instructions "One." → "Three."\n`,
    );
    expect(await json("revisions", "diff", name, "2")).toMatchObject({ from: 1, to: 2 });
    await well(["revisions", "label", name, "2", "quality=good", "by=kim"]);
    expect(await well(["revisions", name])).toMatch(/ 2 .*quality=good/);
    expect(await maru("revisions", "label", name, "2")).toMatchObject({ code: 2 });
    expect(JSON.parse(await well(["revisions", "show", name, "2"])).labels).toEqual({ quality: "good", by: "kim" });

    expect(await maru("delete", name)).toMatchObject({ code: 2 });
    expect(await well(["delete", name, "--yes"])).toBe(`Deleted deployment ${name}.\n`);
    expect((await maru("deployments", "show", name)).code).toBe(4);
    expect(await json("deployments", "--all")).toEqual((await api("/v1/deployments?limit=100")).data);
    expect(await well(["deployments", "weather"])).toBe(await well(["deployments", "show", "weather"]));
    expect(await json("deployments", "weather")).toEqual(await api("/v1/deployments/weather"));
    expect(await maru("deployments", name)).toMatchObject({ code: 4 });
  });
});

describe("what is managed", () => {
  test("secrets come from standard input and are never shown; one on the command line is warned of", async () => {
    const value = "a-value-nobody-sees-0123";
    const set = await line.run(["secrets", "set", "SHOP_KEY"], { input: `${value}\n` });
    expect(set).toEqual({ code: 0, out: "SHOP_KEY: version 1\n", err: "" });
    const warned = await maru("secrets", "set", "SHOP_KEY", "another-value-01234", "--agent", "shop");
    expect([warned.code, warned.err]).toEqual([0, expect.stringContaining("warning:")]);
    expect(await json("secrets")).toEqual((await api("/v1/secrets")).data);
    expect(await well(["secrets", "list"])).toMatch(/SHOP_KEY +shop/);
    await well(["secrets", "delete", "SHOP_KEY", "--agent", "shop"]);
    await well(["secrets", "delete", "SHOP_KEY"]);
    expect(await maru("secrets", "delete", "SHOP_KEY")).toMatchObject({ code: 4 });
    expect(await line.run(["secrets", "set", "SHOP_KEY"], { input: "" })).toMatchObject({ code: 2 });
  });

  test("memory is written, read, searched and erased", async () => {
    const place = ["--scope", "user", "--agent", "shop", "--subject", "kim"];
    await well(["memory", "set", "city", '{"name":"Busan"}', ...place]);
    await well(["memory", "set", "note", ...place, "--ttl", "3600"], { input: "likes the sea" });
    expect(JSON.parse(await well(["memory", "get", "city", ...place]))).toEqual({ name: "Busan" });
    expect((await json("memory", "items", ...place)).map(({ value }: { value: unknown }) => value)).toEqual([
      { name: "Busan" },
      "likes the sea",
    ]);
    expect((await json("memory", "items", ...place, "--prefix", "n")).length).toBe(1);
    expect((await json("memory", "search", "sea", ...place))[0]).toMatchObject({ key: "note" });
    expect(await json("memory")).toEqual((await api("/v1/memory")).data);
    expect(await well(["memory", "usage", ...place])).toMatch(/items +2 of/);
    await well(["memory", "delete", "note", ...place]);
    expect(await maru("memory", "get", "note", ...place)).toMatchObject({ code: 4 });
    expect(await maru("memory", "erase", ...place)).toMatchObject({ code: 2 });
    expect(await well(["memory", "erase", ...place, "--yes"])).toBe("Erased 1 item of 1 namespace.\n");
    expect(await maru("memory", "get", "city")).toMatchObject({ code: 2 });
  });

  test("the policy is shown and replaced", async () => {
    const rules = { egress: { allow: null, deny: ["old.example.org"] }, tools: { deny: [] } };
    await well(["policy", "set", "-"], { input: JSON.stringify(rules) });
    expect(await well(["policy"])).toMatch(/hosts denied +old\.example\.org/);
    expect(await json("policy")).toEqual(await api("/v1/policy"));
    // What is shown can be set again.
    file("policy.json", JSON.stringify({ ...(await json("policy")), egress: { allow: null, deny: [] } }));
    await well(["policy", "set", "policy.json"]);
    expect((await api("/v1/policy")).egress.deny).toEqual([]);
    expect(await line.run(["policy", "set", "-"], { input: "no" })).toMatchObject({ code: 2 });
    expect(await maru("policy", "set", "nowhere.json")).toMatchObject({ code: 2 });
  });

  test("webhooks are made, tried, changed and deleted", async () => {
    const made = await json("webhooks", "create", "http://hooks.maru.internal/hook", "--events", "run.*,quota.*");
    expect(made.secret).toMatch(/^whsec_/);
    const { id } = made.webhook;
    expect(await json("webhooks")).toEqual((await api("/v1/webhooks")).data);
    expect(await well(["webhooks", "update", id, "--events", "run.failed", "--disable"])).toBe(
      `${id}: disabled, run.failed\n`,
    );
    expect(await maru("webhooks", "test", id)).toMatchObject({ code: 5 });
    await well(["webhooks", "update", id, "--enable"]);
    const delivery = await json("webhooks", "test", id);
    await until(
      "it is delivered",
      async () => (await api(`/v1/webhooks/${id}/deliveries?state=delivered`)).data.length === 1,
    );
    expect(await well(["webhooks", "deliveries", id, "--state", "delivered"])).toMatch(/webhook\.test +delivered/);
    expect(await well(["webhooks", "redeliver", id, delivery.id])).toContain("webhook.test");
    expect(await well(["webhooks", "rotate-secret", id])).toMatch(
      new RegExp(`^webhook +${id}\nurl +http.*\nsecret +whsec_`),
    );
    expect(await maru("webhooks", "update", id)).toMatchObject({ code: 2 });
    expect(await maru("webhooks", "update", id, "--enable", "--disable")).toMatchObject({ code: 2 });
    await well(["webhooks", "delete", id]);
    expect(await json("webhooks")).toEqual([]);
  });

  test("keys are made, shown once, may less, and end", async () => {
    const made = await json(
      "keys",
      "create",
      "reader",
      "--scopes",
      "runs:read,agents:read",
      "--per-minute",
      "600",
      "--burst",
      "60",
    );
    expect(made.api_key.rate_limit).toEqual({ per_minute: 600, burst: 60 });
    const env = { MARU_API_KEY: made.key };
    expect((await line.run(["runs", "-n", "1"], { env })).code).toBe(0);
    const refused = await line.run(["run", "weather", "hello"], { env });
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining("next: maru doctor")]);
    const doctor = await line.run(["doctor"], { env });
    expect([doctor.code, doctor.out]).toEqual([
      3,
      expect.stringMatching(/scopes: runs:read, agents:read; not .*runs:write/),
    ]);
    expect(await json("keys")).toMatchObject(
      (await api("/v1/api-keys")).data.map(({ id }: { id: string }) => ({ id })),
    );
    await well(["keys", "revoke", made.api_key.id]);
    expect((await api(`/v1/api-keys/${made.api_key.id}`)).revoked_at).not.toBeNull();
    expect(await well(["keys"])).toMatch(/reader .*revoked/);
    expect(await well(["keys", "create", "all", "--scopes", "all"])).toMatch(/^maru_/);
    expect(await maru("keys", "create", "x", "--scopes", "runs:read", "--burst", "1")).toMatchObject({ code: 2 });
  });

  test("models are listed and shown", async () => {
    expect(await json("models")).toEqual((await api("/v1/models")).data);
    expect(await well(["models", "show", "k-exaone"])).toMatch(/status +available \(simulated\)/);
    expect(await maru("models", "show", "gpt-99")).toMatchObject({ code: 4 });
    expect(await well(["models", "k-exaone"])).toBe(await well(["models", "show", "k-exaone"]));
  });

  test("models of one's own are added, changed and deleted; their keys come from standard input and are never shown", async () => {
    const key = "sk-nobody-sees-this-0123";
    const where = ["--url", "https://models.example.com/v1", "--upstream", "Qwen/Qwen3", "--context-tokens", "131072"];
    const made = await line.run(
      ["models", "add", "my-qwen", ...where, "--calls-per-minute", "60", "--key", "--no-stream"],
      {
        input: `${key}\n`,
      },
    );
    expect(made).toEqual({ code: 0, out: "my-qwen: https://models.example.com/v1, key …0123\n", err: "" });
    const { endpoint } = await json("models", "my-qwen");
    expect(endpoint).toMatchObject({
      base_url: "https://models.example.com/v1",
      calls_per_minute: 60,
      stream: false,
      key_hint: "…0123",
    });
    const change = ["--in-flight", "8", "--thinking", '{"control":"enable_thinking"}', "--stream"];
    expect(await json("models", "update", "my-qwen", ...change)).toMatchObject({
      endpoint: { in_flight: 8, stream: true, key_hint: "…0123" },
      thinking: { supported: true },
    });
    expect(await well(["models", "update", "my-qwen", "--key"], { input: "sk-another-4567" })).toContain("key …4567");
    expect(await well(["models", "update", "my-qwen", "--no-key"])).toContain(", no key");
    expect(await line.run(["models", "update", "my-qwen", "--key"], { input: "\n" })).toMatchObject({ code: 2 });
    expect(await maru("models", "update", "my-qwen")).toMatchObject({ code: 2 });
    expect(await maru("models", "add", "other", "--url", "https://models.example.com/v1")).toMatchObject({ code: 2 });
    expect(await maru("models", "update", "k-exaone", "--in-flight", "1")).toMatchObject({ code: 3 });
    await well(["models", "delete", "my-qwen"]);
    expect(await maru("models", "my-qwen")).toMatchObject({ code: 4 });
  });

  test("schedules are made, named, run by hand, paused and deleted", async () => {
    const cron = ["--cron", "0 9 * * 1-5", "--input", "Weather of {{date}}?", "--catch-up", "last", "--within", "2h"];
    const made = await json("schedules", "create", "morning", "--deployment", "weather", ...cron);
    expect(made).toMatchObject({ missed: { catch_up: "last" }, time_zone: "Asia/Seoul" });
    expect(await json("schedules")).toEqual((await api("/v1/schedules")).data);
    const run = (await well(["schedules", "run", "morning"])).trim();
    expect(run).toMatch(/^run_/);
    expect(await well(["schedules", "fires", "morning"])).toMatch(new RegExp(`run +hand +${run}`));
    expect(await well(["schedules", "pause", made.id])).toBe("morning: paused\n");
    expect(await well(["schedules", "resume", "morning"])).toMatch(/^morning: next at /);
    expect(await well(["schedules", "update", "morning", "--cron", "@daily", "--name", "daily"])).toMatch(
      /^daily: next at /,
    );
    expect(await well(["schedules", "show", "daily"])).toMatch(/cron +@daily Asia\/Seoul/);
    expect(await well(["schedules", "daily"])).toMatch(/cron +@daily Asia\/Seoul/);
    expect(await maru("schedules", "create", "x")).toMatchObject({ code: 2 });
    expect(await maru("schedules", "update", "daily")).toMatchObject({ code: 2 });
    await well(["schedules", "delete", "daily"]);
    expect(await maru("schedules", "show", "daily")).toMatchObject({
      code: 4,
      err: expect.stringContaining("There is no schedule named daily: maru schedules lists"),
    });
  });

  test("triggers are made with a URL that works, changed and deleted", async () => {
    const args = [
      "--deployment",
      "weather",
      "--input",
      "How is the weather in {{/city}}?",
      "--filter",
      '{"type":"object","required":["city"]}',
    ];
    const made = await well(["triggers", "create", "hook", ...args]);
    const [, url, secret] = /^trigger +hook, trg_\w+\nurl +(http\S+)\nsecret +(mtr_\S+)\n$/.exec(made) ?? [];
    const sent = await fetch(String(url), {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: '{"city":"Busan"}',
    });
    const { run_id: run } = (await sent.json()) as { run_id: string };
    expect(await json("triggers")).toEqual((await api("/v1/triggers")).data);
    expect(await well(["triggers", "deliveries", "hook"])).toContain(run);
    const [, same, rotated] =
      /^url +(\S+)\nsecret +(mtr_\S+)$/m.exec(await well(["triggers", "rotate-secret", "hook"])) ?? [];
    expect([same, rotated === secret]).toEqual([url, false]);
    expect(await json("triggers", "rotate-secret", "hook")).toMatchObject({
      trigger: { name: "hook" },
      secret: expect.stringMatching(/^mtr_/),
    });
    expect(await well(["triggers", "update", "hook", "--disable", "--name", "other"])).toBe("other: disabled\n");
    expect(await maru("triggers", "create", "x")).toMatchObject({ code: 2 });
    expect(await maru("triggers", "update", "other")).toMatchObject({ code: 2 });
    await well(["triggers", "delete", "other"]);
    expect(await json("triggers")).toEqual([]);
  });
});

describe("chat in a pipe", () => {
  test("takes every line as a message of one conversation", async () => {
    const out = await well(["chat", "weather"], {
      input: "How is the weather in Busan?\n/thread\nAnd in Seoul?\n/history\n/exit\n",
    });
    const [first, thread, second, ...history] = out.trimEnd().split("\n");
    expect([first, second]).toEqual([expect.stringContaining("Busan: "), expect.stringContaining("Seoul: ")]);
    expect(thread).toMatch(/^thr_/);
    expect(history).toContain("> And in Seoul?");
    expect((await api(`/v1/threads/${thread}/messages`)).data[0].content).toBe("How is the weather in Busan?");
    expect(await line.run(["chat", "nobody"], { input: "x\n" })).toMatchObject({ code: 4 });
  });
});

describe("doctor", () => {
  test("looks at everything, and at balances alone", async () => {
    const checks = await json("doctor");
    expect(checks.map(({ check, ok }: { check: string; ok: boolean }) => [check, ok])).toEqual(
      ["connection", "service", "version", "clock", "key", "scopes", "balances"].map((check) => [check, true]),
    );
    expect(await well(["doctor", "quota"])).toMatch(/^✓ balances/);
  });

  test("says that nobody answers, and exits with 7", async () => {
    // Port 9 is discard: nobody listens there.
    const down = await line.run(["doctor"], { env: { MARU_URL: "http://127.0.0.1:9" } });
    expect([down.code, down.out]).toEqual([7, expect.stringMatching(/^✗ connection: /)]);
    const runs = await line.run(["runs"], { env: { MARU_URL: "http://127.0.0.1:9" } });
    expect([runs.code, runs.err]).toEqual([7, expect.stringContaining("next: is it up")]);
  });

  test("a wrong key is 3", async () => {
    expect(await line.run(["doctor"], { env: { MARU_API_KEY: "maru_wrong" } })).toMatchObject({ code: 3 });
  });
});

describe("the command line itself", () => {
  test("helps", async () => {
    expect(await well(["--help"])).toContain("Exit codes: 0 done;");
    expect(await well(["help", "run"])).toContain("--thinking");
    expect(await well(["run", "--help"])).toBe(await well(["help", "run"]));
    expect(await well(["--version"])).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await maru()).toMatchObject({ code: 2, out: "" });
  });

  test("knows what was meant", async () => {
    expect(await maru("deplyo", "x.yaml")).toMatchObject({
      code: 2,
      err: expect.stringContaining("(Did you mean deploy?)"),
    });
    expect(await maru("secrets", "sett", "X")).toMatchObject({ code: 2 });
    expect(await maru("runs", "--statsu", "x")).toMatchObject({
      code: 2,
      err: expect.stringContaining("(Did you mean --status?)"),
    });
    expect(await maru("run")).toMatchObject({ code: 2, err: expect.stringContaining("missing required argument") });
  });

  test("says once what is wrong, and where", async () => {
    const schedule = ["schedules", "create", "x", "--deployment", "weather", "--input", "x", "--cron"];
    expect((await maru(...schedule, "0 0 30 2 *")).err).toMatch(
      /^error: .*\(cron_invalid\)\n {2}\/cron never fires: there is no such day\n$/,
    );
    expect((await line.run(["secrets", "set", "TINY_KEY"], { input: "short" })).err.match(/at least 8/g)).toHaveLength(
      1,
    );
    expect((await maru("runs", "--status", "well")).err.match(/must be one of/g)).toHaveLength(1);
    file(
      "missing.yaml",
      manifest("missing", {
        tools: `    - name: pay
      type: http
      description: Pays
      request: { url: "http://shop.maru.internal/pay", headers: { authorization: "\${secrets.NO_SUCH_KEY}" } }
`,
      }),
    );
    expect((await maru("deploy", "missing.yaml")).err.match(/no secret named NO_SUCH_KEY/g)).toHaveLength(1);
  });

  test("has colours on a terminal only, unless it is told", async () => {
    const ESC = "\u001b[";
    const show = async (args: string[], env: Record<string, string>) =>
      (await line.run(["deployments", ...args], { env })).out.includes(ESC);
    expect(
      await Promise.all([
        show([], {}),
        show([], { FORCE_COLOR: "1" }),
        show([], { FORCE_COLOR: "0" }),
        show(["--color"], {}),
        show(["--no-color"], { FORCE_COLOR: "1" }),
        show(["--color"], { NO_COLOR: "1" }),
      ]),
    ).toEqual([false, true, false, true, false, true]);
  });

  test("shows nothing that moves the cursor, whatever an agent is called or said", async () => {
    await house.run(person, "weather", "say \u001b[2J\u001b]0;title\u0007 please");
    for (const args of [
      ["runs", "-n", "1"],
      ["runs", "-n", "1", "--json"],
    ])
      expect(await well(args)).not.toMatch(/\p{Cc}(?<!\n)/u);
  });

  test("stops quietly when nobody reads any more", async () => {
    const script = `set -o pipefail; '${process.execPath}' '${SOURCE}' runs --all --json | head -c 10; echo; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", script], {
      env: { PATH: process.env.PATH, HOME: line.folder, MARU_URL: house.url, MARU_API_KEY: person.key },
    });
    expect([stdout.trimEnd().split("\n").at(-1), stderr]).toEqual(["0", ""]);
  });

  test("completes commands, options and names in shells", async () => {
    const complete = async (...words: string[]) => (await well(["__complete", ...words])).trimEnd().split("\n");
    expect(await complete("de")).toEqual(["deploy", "deployments", "delete"]);
    expect(await complete("secrets", "")).toEqual(["list", "set", "delete", "help"]);
    expect(await complete("runs", "--st")).toEqual(["--status"]);
    expect(await complete("run", "we")).toEqual(["weather"]);
    expect(await complete("deployments", "we")).toEqual(["weather"]);
    for (const shell of ["bash", "zsh", "fish"]) expect(await well(["completion", shell])).toContain("maru __complete");
    expect(await maru("completion", "csh")).toMatchObject({ code: 2 });
  });
});

test("every command there is was run", () => {
  const tree = createProgram(createCli(openConfig({}), createPrompter(process.stdin, process.stderr), "0"));
  const names = (command: Pick<typeof tree, "name" | "commands">, before: readonly string[]): string[] =>
    command.commands.flatMap((one) => {
      const words = [...before, one.name()];
      return one.commands.length === 0 ? [words.join(" ")] : names(one, words);
    });
  const all = names(tree, []);
  expect(all.length).toBeGreaterThan(60);
  // A group's first command needs no name.
  const run = new Set(
    [...line.tried, ...guest.tried].flatMap((args) => args.map((_, index) => args.slice(0, index + 1).join(" "))),
  );
  const short = (name: string) => name.replace(/ (list|show)$/, "");
  expect(all.filter((name) => !run.has(name) && !run.has(short(name)))).toEqual([]);
  expect(existsSync(join(line.folder, "config"))).toBe(false);
});
