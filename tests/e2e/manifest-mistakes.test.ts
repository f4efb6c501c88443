import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
});
afterAll(() => house?.close());

const deploy = (text: string | Buffer, format = "yaml") =>
  house.api("POST", "/v1/deployments?dry_run=true", {
    key: person.key,
    raw: { type: `application/${format}`, text },
  });

const base = (rest: string) => `apiVersion: maru/v1\nkind: Agent\nmetadata: { name: bad }\n${rest}`;
const spec = (rest = "") => base(`spec:\n  instructions: Hi.\n${rest}`);
const tool = (fields: string) => spec(`  tools:\n    - ${fields}\n`);
const http = (rest: string) => tool(`{ name: t, type: http, description: d, ${rest} }`);
const json = (value: unknown) => JSON.stringify(value, null, 2);
const good = { apiVersion: "maru/v1", kind: "Agent", metadata: { name: "bad" }, spec: { instructions: "Hi." } };

/** Code, pointer, line and column, what is said, and what may have been meant. */
type Mistake = readonly [code: string, pointer: string, place: string, detail: string, suggestion?: string];

test.each<[string, string | Buffer, readonly Mistake[], "json"?]>([
  // The text
  ["an empty file", "", [["empty_body", "", "", "The call needs a body."]]],
  [
    "nothing but comments",
    "# Later.\n",
    [["manifest_syntax", "", "1:1", "The manifest is empty: begin with apiVersion: maru/v1."]],
  ],
  [
    "nothing but a separator",
    "---\n",
    [["manifest_syntax", "", "1:1", "The manifest is empty: begin with apiVersion: maru/v1."]],
  ],
  [
    "a list instead of a map",
    "- apiVersion: maru/v1\n",
    [["validation_failed", "", "1:1", "Must be a map with apiVersion, kind, metadata, spec, deploy, not a list."]],
  ],
  [
    "a text instead of a map",
    "hello\n",
    [["validation_failed", "", "1:1", "Must be a map with apiVersion, kind, metadata, spec, deploy, not a text."]],
  ],
  [
    "a tab for indentation",
    "apiVersion: maru/v1\nspec:\n\tinstructions: Hi.\n",
    [["manifest_syntax", "", "3:1", "Tabs are not allowed as indentation. Indent with spaces."]],
  ],
  [
    "a bracket that is not closed",
    spec("  tools: [\n"),
    [
      [
        "manifest_syntax",
        "",
        "7:1",
        "Flow sequence in block collection must be sufficiently indented and end with a ]. Fields of one map begin in the same column, what belongs to a field further right, and a bracket is closed.",
      ],
    ],
  ],
  [
    "a quote that is not closed",
    spec('  description: "Weather\n'),
    [
      [
        "manifest_syntax",
        "",
        "7:1",
        'Missing closing "quote. Look for a missing colon, quote or bracket here or before this place; a text of several lines begins with `|`.',
      ],
    ],
  ],
  [
    "a colon in a text",
    spec("  description: Weather: today\n"),
    [
      [
        "manifest_syntax",
        "",
        "6:16",
        "Nested mappings are not allowed in compact mappings. A text that has a colon and a space in it must be in quotes, or begin on the next line after `|`.",
      ],
    ],
  ],
  [
    "a text that begins with a backtick",
    spec("  description: `code`\n"),
    [["manifest_syntax", "", "6:16", "Plain value cannot start with reserved character `. Put the text in quotes."]],
  ],
  [
    "a text that begins with an @",
    spec("  description: @maru\n"),
    [["manifest_syntax", "", "6:16", "Plain value cannot start with reserved character @. Put the text in quotes."]],
  ],
  [
    "a text that begins with a star",
    spec("  description: *bold\n"),
    [
      [
        "yaml_alias_forbidden",
        "",
        "6:16",
        "Anchors and aliases are not allowed: write the value out, or put a text that begins with & or * in quotes.",
      ],
    ],
  ],
  [
    "a brace without quotes",
    http("request: { url: https://example.com/{city} }"),
    [
      [
        "manifest_syntax",
        "",
        "7:82",
        "Unexpected flow-map-start at node end. Look at the indentation, the quotes and the brackets before this place.",
      ],
    ],
  ],
  [
    "an unknown escape",
    spec('  description: "C:\\dir"\n'),
    [
      [
        "manifest_syntax",
        "",
        "6:19",
        "Invalid escape sequence \\d. Between double quotes a backslash is written \\\\; between single quotes it is itself.",
      ],
    ],
  ],
  [
    "a field without a colon",
    base("spec\n  instructions: Hi.\n"),
    [
      [
        "manifest_syntax",
        "",
        "4:1",
        "Implicit keys need to be on a single line. Either a field before this place lacks its colon, or a text of several lines lacks its `|`.",
      ],
    ],
  ],
  [
    "fields in different columns",
    base("spec:\n    instructions: Hi.\n  tools: []\n"),
    [
      [
        "manifest_syntax",
        "",
        "6:1",
        "All mapping items must start at the same column. Fields of one map begin in the same column, what belongs to a field further right, and a bracket is closed.",
      ],
    ],
  ],
  [
    "a text of two lines without a |",
    spec("  description: one\n  two\n"),
    [
      [
        "manifest_syntax",
        "",
        "7:3",
        "Implicit map keys need to be followed by map values. Look for a missing colon, quote or bracket here or before this place; a text of several lines begins with `|`.",
      ],
    ],
  ],
  [
    "an anchor",
    spec("  description: &a text\n"),
    [
      [
        "yaml_alias_forbidden",
        "",
        "6:19",
        "Anchors and aliases are not allowed: write the value out, or put a text that begins with & or * in quotes.",
      ],
    ],
  ],
  [
    "a merge key",
    spec("  limits: { <<: { steps: 3 } }\n"),
    [["yaml_alias_forbidden", "", "6:13", "Merge keys are not allowed: write the fields out."]],
  ],
  [
    "a tag",
    spec("  description: !!str text\n"),
    [["yaml_tag_forbidden", "", "6:22", "Tags are not allowed: remove !!str."]],
  ],
  [
    "a tag of another language",
    spec("  description: !!js/function text\n"),
    [["yaml_tag_forbidden", "", "6:30", "Tags are not allowed: remove !!js/function."]],
  ],
  [
    "the same key twice",
    base("spec: { instructions: a }\nspec: { instructions: b }\n"),
    [["duplicate_key", "", "5:1", "This map has the key spec already: keep one of them."]],
  ],
  [
    "the same key twice, deep within",
    spec("  limits:\n    steps: 3\n    tokens: 5000\n    steps: 4\n"),
    [["duplicate_key", "", "9:5", "This map has the key steps already: keep one of them."]],
  ],
  [
    "a key that is no text",
    spec("  1: one\n"),
    [["manifest_syntax", "", "6:3", "A key must be a text: put it in quotes."]],
  ],
  [
    "a key of JavaScript's own",
    spec("  constructor: x\n"),
    [["forbidden_key", "", "6:3", "The key constructor is never allowed: remove it."]],
  ],
  [
    "nesting beyond the limit",
    spec(`  output: { schema: ${"{ a: ".repeat(40)}1${" }".repeat(40)} }\n`),
    [["manifest_too_deep", "", "6:163", "A manifest may be nested 32 levels deep: make it flatter."]],
  ],
  [
    "a thousand brackets",
    "[".repeat(1_000),
    [["manifest_too_deep", "", "1:65", "A manifest may be nested 32 levels deep: make it flatter."]],
  ],
  [
    "NUL",
    spec("  description: a\0b\n"),
    [["invalid_string", "", "6:16", "The string has a NUL character or half a surrogate pair: remove it."]],
  ],
  [
    "NUL by an escape",
    spec('  description: "a\\0b"\n'),
    [["invalid_string", "", "6:16", "The string has a NUL character or half a surrogate pair: remove it."]],
  ],
  [
    "half a surrogate pair",
    spec('  description: "\\ud83d"\n'),
    [["invalid_string", "", "6:16", "The string has a NUL character or half a surrogate pair: remove it."]],
  ],
  [
    "infinity",
    spec("  limits: { tokens: .inf }\n"),
    [["manifest_syntax", "", "6:21", "Infinity and NaN are not numbers a manifest can hold: write a finite one."]],
  ],
  [
    "a number beyond what is exact",
    spec("  limits: { tokens: 99999999999999999 }\n"),
    [["manifest_syntax", "", "6:21", "The number is too large to be exact: put it in quotes where a text may stand."]],
  ],
  [
    "a byte of Windows-1252",
    Buffer.concat([Buffer.from(spec("  description: caf")), Buffer.from([0xe9]), Buffer.from("\n")]),
    [["invalid_string", "", "6:19", "This is not UTF-8: save the file in that encoding."]],
  ],
  [
    "UTF-16",
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(spec(), "utf16le")]),
    [["invalid_string", "", "1:1", "This is not UTF-8: save the file in that encoding."]],
  ],
  // Which format
  [
    "an unknown apiVersion",
    spec().replace("maru/v1", "maru/v2"),
    [["unsupported_version", "/apiVersion", "1:1", 'There is no apiVersion "maru/v2": known is maru/v1.', "maru/v1"]],
  ],
  [
    "an apiVersion that is a number",
    spec().replace("maru/v1", "1"),
    [["unsupported_version", "/apiVersion", "1:1", "There is no apiVersion 1: known is maru/v1.", "maru/v1"]],
  ],
  [
    "no apiVersion",
    spec().replace("apiVersion: maru/v1\n", ""),
    [["unsupported_version", "/apiVersion", "1:1", "apiVersion is missing: write maru/v1."]],
  ],
  [
    "another kind",
    spec().replace("Agent", "agent"),
    [["validation_failed", "/kind", "2:1", "Must be Agent.", "Agent"]],
  ],
  // Fields
  [
    "a misspelt field at the top",
    base("spce: { instructions: Hi. }\n"),
    [
      [
        "unknown_field",
        "/spce",
        "4:1",
        "This field is not known here; known are apiVersion, kind, metadata, spec, deploy.",
        "spec",
      ],
    ],
  ],
  [
    "a misspelt field of metadata",
    spec().replace("{ name: bad }", "{ nmae: bad }"),
    [["unknown_field", "/metadata/nmae", "3:13", "This field is not known here; known are name, labels.", "name"]],
  ],
  [
    "a misspelt field of spec",
    base("spec: { instuctions: Hi. }\n"),
    [
      [
        "unknown_field",
        "/spec/instuctions",
        "4:9",
        "This field is not known here; known are description, model, instructions, tools, output, limits, memory.",
        "instructions",
      ],
    ],
  ],
  [
    "a misspelt field of model",
    spec("  model: { thinkng: true }\n"),
    [
      [
        "unknown_field",
        "/spec/model/thinkng",
        "6:12",
        "This field is not known here; known are name, thinking, sampling, maxOutputTokens, fallbacks.",
        "thinking",
      ],
    ],
  ],
  [
    "a misspelt field of sampling",
    spec("  model: { sampling: { temprature: 1 } }\n"),
    [
      [
        "unknown_field",
        "/spec/model/sampling/temprature",
        "6:24",
        "This field is not known here; known are temperature, top_p, presence_penalty, seed.",
        "temperature",
      ],
    ],
  ],
  [
    "a misspelt field of a tool",
    tool("{ name: t, type: client, descripton: d }"),
    [
      [
        "unknown_field",
        "/spec/tools/0/descripton",
        "7:32",
        "This field is not known here; known are name, type, description, parameters.",
        "description",
      ],
    ],
  ],
  [
    "a misspelt field of a request",
    http("request: { ulr: https://example.com/ }"),
    [
      [
        "unknown_field",
        "/spec/tools/0/request/ulr",
        "7:57",
        "This field is not known here; known are method, url, headers, query, body, form.",
        "url",
      ],
    ],
  ],
  [
    "a misspelt field of an approval",
    tool("{ name: calculator, type: builtin, approval: { wen: {} } }"),
    [["unknown_field", "/spec/tools/0/approval/wen", "7:54", "This field is not known here; known are when.", "when"]],
  ],
  [
    "a misspelt field of deploy",
    spec("deploy: { concurency: 5 }\n"),
    [
      [
        "unknown_field",
        "/deploy/concurency",
        "6:11",
        "This field is not known here; known are name, onThreadBusy, concurrency, onLimit, traffic, canary.",
        "concurrency",
      ],
    ],
  ],
  [
    "a misspelt field of a canary",
    spec("deploy: { traffic: { canary: 5 }, canary: { rollback: { errorrate: 0.1 } } }\n"),
    [
      [
        "unknown_field",
        "/deploy/canary/rollback/errorrate",
        "6:57",
        "This field is not known here; known are errorRate, latency, costUsd, minRuns.",
        "errorRate",
      ],
    ],
  ],
  [
    "a field of another writing",
    spec("deploy: { on_thread_busy: enqueue }\n"),
    [
      [
        "unknown_field",
        "/deploy/on_thread_busy",
        "6:11",
        "This field is not known here; known are name, onThreadBusy, concurrency, onLimit, traffic, canary.",
        "onThreadBusy",
      ],
    ],
  ],
  [
    "a field at the wrong level",
    spec("  model: { temperature: 0.5 }\n"),
    [
      [
        "unknown_field",
        "/spec/model/temperature",
        "6:12",
        "This field is not known here: it belongs in spec.model.sampling.",
        "spec.model.sampling.temperature",
      ],
    ],
  ],
  [
    "fields of spec at the top",
    base("instructions: Hi.\nspec: {}\n"),
    [
      [
        "unknown_field",
        "/instructions",
        "4:1",
        "This field is not known here: it belongs in spec.",
        "spec.instructions",
      ],
    ],
  ],
  [
    "a field nobody knows",
    spec("  favouriteColour: green\n"),
    [
      [
        "unknown_field",
        "/spec/favouriteColour",
        "6:3",
        "This field is not known here; known are description, model, instructions, tools, output, limits, memory.",
      ],
    ],
  ],
  [
    "a map that lacks what it needs",
    spec("  output: {}\n"),
    [
      [
        "validation_failed",
        "/spec/output/schema",
        "6:3",
        "This field is required: JSON Schema of the answer: the run's output is JSON of it.",
      ],
    ],
  ],
  [
    "nothing behind a colon",
    base("spec:\n  instructions:\n"),
    [["validation_failed", "/spec/instructions", "5:3", "Must be a text, and nothing is there."]],
  ],
  [
    "a misspelt type",
    tool("{ name: t, tpye: client, description: d }"),
    [
      [
        "unknown_field",
        "/spec/tools/0/tpye",
        "7:18",
        "This field is not known here: a tool has a type, one of http, builtin, client, code, function, openapi, mcp, agent, memory.",
        "type",
      ],
    ],
  ],
  [
    "a tool without a type",
    tool("{ name: t, description: d }"),
    [
      [
        "validation_failed",
        "/spec/tools/0/type",
        "7:7",
        "This field is required: it must be one of http, builtin, client, code, function, openapi, mcp, agent, memory.",
      ],
    ],
  ],
  [
    "a tool that is a text",
    tool("calculator"),
    [["validation_failed", "/spec/tools/0", "7:7", "Must be a map with name, type and more, not a text."]],
  ],
  [
    "tools that are a map",
    spec("  tools: { calculator: builtin }\n"),
    [["validation_failed", "/spec/tools", "6:3", "Must be a list, not a map: begin each item with `- `."]],
  ],
  [
    "an unknown kind of tool",
    tool("{ name: t, type: htp, description: d }"),
    [
      [
        "validation_failed",
        "/spec/tools/0/type",
        "7:18",
        "Must be one of http, builtin, client, code, function, openapi, mcp, agent, memory.",
        "http",
      ],
    ],
  ],
  // Values
  [
    "a name in capitals",
    spec().replace("name: bad", "name: My Agent"),
    [
      [
        "invalid_name",
        "/metadata/name",
        "3:13",
        "A name has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter or digit.",
        "my-agent",
      ],
    ],
  ],
  [
    "a name that is too long",
    spec().replace("name: bad", `name: ${"a".repeat(64)}`),
    [["invalid_name", "/metadata/name", "3:13", "May have at most 63 characters, and has 64."]],
  ],
  [
    "a tool's name with a space",
    tool("{ name: get weather, type: client, description: d }"),
    [
      [
        "invalid_name",
        "/spec/tools/0/name",
        "7:9",
        "A tool's name has 1 to 64 letters, digits, underscores and hyphens.",
        "get_weather",
      ],
    ],
  ],
  [
    "a number in quotes",
    spec('  limits: { steps: "25" }\n'),
    [
      [
        "limit_out_of_range",
        "/spec/limits/steps",
        "6:13",
        "Must be a whole number from 1 to 200, not a text: take the quotes away.",
        "25",
      ],
    ],
  ],
  [
    "half a step",
    spec("  limits: { steps: 1.5 }\n"),
    [["limit_out_of_range", "/spec/limits/steps", "6:13", "Must be a whole number from 1 to 200, not 1.5."]],
  ],
  [
    "more than may be",
    spec("  limits: { steps: 1000 }\n"),
    [["limit_out_of_range", "/spec/limits/steps", "6:13", "Must be a whole number from 1 to 200."]],
  ],
  [
    "yes for true",
    spec("  model: { thinking: yes }\n"),
    [["validation_failed", "/spec/model/thinking", "6:12", "Must be true or false, not a text.", "true"]],
  ],
  [
    "a number for a text",
    spec().replace("{ name: bad }", "{ name: bad, labels: { version: 1.0 } }"),
    [
      [
        "validation_failed",
        "/metadata/labels/version",
        "3:34",
        "Must be a text, not a number: put it in quotes.",
        '"1"',
      ],
    ],
  ],
  [
    "a temperature of three",
    spec("  model: { sampling: { temperature: 3 } }\n"),
    [["validation_failed", "/spec/model/sampling/temperature", "6:24", "Must be a number from 0 to 2."]],
  ],
  [
    "a duration in words",
    spec("  limits: { duration: 10 minutes }\n"),
    [
      [
        "limit_out_of_range",
        "/spec/limits/duration",
        "6:13",
        "Must be a length of time like 500ms, 10s, 10m, 1h or 7d.",
        "10m",
      ],
    ],
  ],
  [
    "a duration of ISO 8601",
    spec("  limits: { duration: PT10M }\n"),
    [
      [
        "limit_out_of_range",
        "/spec/limits/duration",
        "6:13",
        "Must be a length of time like 500ms, 10s, 10m, 1h or 7d.",
      ],
    ],
  ],
  [
    "a duration without a unit",
    spec("  limits: { duration: 600 }\n"),
    [
      [
        "limit_out_of_range",
        "/spec/limits/duration",
        "6:13",
        "Must be a length of time like 500ms, 10s, 10m, 1h or 7d, not a number: it needs a unit.",
      ],
    ],
  ],
  [
    "a duration beyond the limit",
    spec("  limits: { duration: 30h }\n"),
    [["limit_out_of_range", "/spec/limits/duration", "6:13", "Must be from 1s to 1d."]],
  ],
  [
    "a timeout beyond the limit",
    http('timeout: 10m, request: { url: "https://example.com/" }'),
    [["limit_out_of_range", "/spec/tools/0/timeout", "7:46", "Must be from 100ms to 5m."]],
  ],
  [
    "a size of another writing",
    spec("  limits: { toolOutputBytes: 64kb }\n"),
    [["limit_out_of_range", "/spec/limits/toolOutputBytes", "6:13", "Must be a size like 64KiB or 1MiB.", "64KB"]],
  ],
  [
    "a size beyond the limit",
    spec("  limits: { toolOutputBytes: 2MiB }\n"),
    [["limit_out_of_range", "/spec/limits/toolOutputBytes", "6:13", "Must be from 256B to 1MiB."]],
  ],
  [
    "a size that is none",
    spec("  limits: { toolOutputBytes: [64] }\n"),
    [
      [
        "limit_out_of_range",
        "/spec/limits/toolOutputBytes",
        "6:13",
        "Must be a whole number of at least 1 or a size like 64KiB or 1MiB, not a list.",
      ],
    ],
  ],
  [
    "an empty text",
    tool("{ name: t, type: client, description: '' }"),
    [["validation_failed", "/spec/tools/0/description", "7:32", "Must not be empty."]],
  ],
  [
    "a text that is too long",
    spec(`  description: ${"x".repeat(2_049)}\n`),
    [["validation_failed", "/spec/description", "6:3", "May have at most 2048 characters, and has 2049."]],
  ],
  [
    "too many fallbacks",
    spec(`  model: { fallbacks: [${"k-exaone,".repeat(6)}] }\n`),
    [["validation_failed", "/spec/model/fallbacks", "6:12", "May have at most 5 items, and has 6."]],
  ],
  [
    "a misspelt word",
    spec("deploy: { onThreadBusy: enqeue }\n"),
    [["validation_failed", "/deploy/onThreadBusy", "6:11", "Must be one of reject, enqueue, interrupt.", "enqueue"]],
  ],
  [
    "an approval that is none",
    tool("{ name: calculator, type: builtin, approval: alwys }"),
    [
      [
        "validation_failed",
        "/spec/tools/0/approval",
        "7:42",
        "Must be always, never or a map with when, not a text.",
        "always",
      ],
    ],
  ],
  [
    "an unknown model",
    spec("  model: { name: k-exaon }\n"),
    [["unknown_model", "/spec/model/name", "6:12", "The catalogue has no model k-exaon: it has ….", "k-exaone"]],
  ],
  [
    "an unknown fallback",
    spec("  model: { fallbacks: [k-exaon] }\n"),
    [["unknown_model", "/spec/model/fallbacks/0", "6:24", "The catalogue has no model k-exaon: it has ….", "k-exaone"]],
  ],
  [
    "a model as its own fallback",
    spec("  model: { fallbacks: [k-exaone] }\n"),
    [
      [
        "duplicate_model",
        "/spec/model/fallbacks/0",
        "6:24",
        "k-exaone is asked already: a fallback must be another model.",
      ],
    ],
  ],
  [
    "more output than the model writes",
    spec("  model: { maxOutputTokens: 10000000 }\n"),
    [["limit_out_of_range", "/spec/model/maxOutputTokens", "6:12", "k-exaone writes at most 65536 tokens."]],
  ],
  [
    "a misspelt builtin",
    tool("{ name: calculater, type: builtin }"),
    [
      [
        "validation_failed",
        "/spec/tools/0/name",
        "7:9",
        "Must be one of calculator, current_time, date_math, http_fetch, json_query, regex, text_diff.",
        "calculator",
      ],
    ],
  ],
  [
    "two tools of one name",
    spec(
      "  tools:\n    - { name: calculator, type: builtin }\n    - { name: calculator, type: client, description: d }\n",
    ),
    [
      [
        "duplicate_tool",
        "/spec/tools/1/name",
        "8:9",
        "There is a tool named calculator already: give one of them another name.",
      ],
    ],
  ],
  [
    "a tool with the name of Maru's",
    spec(
      "  output: { schema: { type: object } }\n  tools:\n    - { name: submit_result, type: client, description: d }\n",
    ),
    [
      [
        "duplicate_tool",
        "/spec/tools/0/name",
        "8:9",
        "submit_result is Maru's own tool where spec.output is given: give this one another name.",
      ],
    ],
  ],
  // Rollout
  [
    "traffic out of range",
    spec("deploy: { traffic: { canary: 100 } }\n"),
    [["validation_failed", "/deploy/traffic/canary", "6:22", "Must be a whole number from 1 to 99."]],
  ],
  [
    "a canary without traffic",
    spec("deploy: { canary: { promote: { runs: 100 } } }\n"),
    [
      [
        "traffic_invalid",
        "/deploy/canary",
        "6:11",
        "A canary has a part of the traffic: write deploy.traffic.canary, in percent.",
      ],
    ],
  ],
  [
    "a rule that says nothing",
    spec("deploy: { traffic: { canary: 5 }, canary: { promote: {} } }\n"),
    [["validation_failed", "/deploy/canary/promote", "6:45", "Must have one of runs, after."]],
  ],
  [
    "an error rate in percent",
    spec("deploy: { traffic: { canary: 5 }, canary: { rollback: { errorRate: 5 } } }\n"),
    [["validation_failed", "/deploy/canary/rollback/errorRate", "6:57", "Must be a number from 0 to 1."]],
  ],
  [
    "a canary of a year",
    spec("deploy: { traffic: { canary: 5 }, canary: { promote: { after: 365d } } }\n"),
    [["limit_out_of_range", "/deploy/canary/promote/after", "6:56", "Must be from 1ms to 30d."]],
  ],
  // Tools
  [
    "a place without a parameter",
    http('request: { url: "https://example.com/{city}" }'),
    [
      [
        "template_error",
        "/spec/tools/0/request/url",
        "7:57",
        "{city} has no parameter of that name in parameters.properties.",
      ],
    ],
  ],
  [
    "a loopback address",
    http('request: { url: "http://127.0.0.1/" }'),
    [
      [
        "url_not_allowed",
        "/spec/tools/0/request/url",
        "7:57",
        "The URL names an address that is not public; an operator can allow it (EGRESS_ALLOW).",
      ],
    ],
  ],
  [
    "a URL of another scheme",
    http('request: { url: "ftp://example.com/" }'),
    [["url_not_allowed", "/spec/tools/0/request/url", "7:57", "The URL must begin with https:// or http://."]],
  ],
  [
    "a forbidden header",
    http('request: { url: "https://example.com/", headers: { Host: evil } }'),
    [
      [
        "header_not_allowed",
        "/spec/tools/0/request/headers/Host",
        "7:97",
        "Maru sets this header itself: leave it out.",
      ],
    ],
  ],
  [
    "a safe POST",
    http('effect: safe, request: { method: POST, url: "https://example.com/" }'),
    [
      [
        "effect_class_invalid",
        "/spec/tools/0/effect",
        "7:46",
        "POST may change something: use idempotent or at_most_once.",
      ],
    ],
  ],
  [
    "on_unknown of a call that may be repeated",
    http('on_unknown: ask, request: { url: "https://example.com/" }'),
    [
      [
        "effect_class_invalid",
        "/spec/tools/0/on_unknown",
        "7:46",
        "A call that is safe may be repeated, so its outcome is never unknown: leave on_unknown out.",
      ],
    ],
  ],
  [
    "a schema that is none",
    http('parameters: { type: objekt }, request: { url: "https://example.com/" }'),
    [
      [
        "tool_schema_invalid",
        "/spec/tools/0/parameters/type",
        "7:60",
        "Must be one of object, array, string, number, integer, boolean, null, or a list of different ones.",
      ],
    ],
  ],
  [
    "a pattern that takes for ever",
    tool(
      '{ name: t, type: client, description: d, parameters: { type: object, properties: { a: { type: string, pattern: "^(a+)+$" } } } }',
    ),
    [
      [
        "tool_schema_invalid",
        "/spec/tools/0/parameters/properties/a/pattern",
        "7:109",
        "A repeated group must not repeat or branch inside: its matching time could explode.",
      ],
    ],
  ],
  [
    "an output schema that is none",
    spec("  output: { schema: { type: objekt } }\n"),
    [
      [
        "tool_schema_invalid",
        "/spec/output/schema/type",
        "6:23",
        "Must be one of object, array, string, number, integer, boolean, null, or a list of different ones.",
      ],
    ],
  ],
  [
    "a secret in the instructions",
    base('spec: { instructions: "Use ${secrets.KEY}." }\n'),
    [
      [
        "secret_not_allowed_here",
        "/spec/instructions",
        "4:9",
        "Secrets may stand in the values of a tool's headers, query and auth, and in the strings of its body or form, and nowhere else.",
      ],
    ],
  ],
  [
    "a secret in the path of a URL",
    http('request: { url: "https://example.com/${secrets.KEY}" }'),
    [
      [
        "secret_not_allowed_here",
        "/spec/tools/0/request/url",
        "7:57",
        "Of a URL only the query's values may have a secret.",
      ],
    ],
  ],
  [
    "a secret that is not there",
    http('request: { url: "https://example.com/", headers: { Authorization: "Bearer ${secrets.KEY}" } }'),
    [
      [
        "secret_not_found",
        "/spec/tools/0/request/headers/Authorization",
        "7:97",
        "This agent has no secret named KEY: PUT /v1/secrets/KEY makes it.",
      ],
    ],
  ],
  [
    "a source that can't be loaded",
    tool('{ name: t, type: function, description: d, source: "export default (" }'),
    [
      [
        "source_invalid",
        "/spec/tools/0/source",
        "7:50",
        "SyntaxError: unexpected token in expression: '' (line 1, column 17)",
      ],
    ],
  ],
  [
    "a source that can't be loaded, in a block",
    spec(
      "  tools:\n    - name: t\n      type: function\n      description: d\n      source: |\n        export default () => {\n          retrun 1;\n        };\n",
    ),
    [["source_invalid", "/spec/tools/0/source", "12:18", "SyntaxError: expecting ';' (line 2, column 10)"]],
  ],
  [
    "an agent that is not there",
    tool("{ name: t, type: agent, description: d, deployment: nobody }"),
    [
      [
        "unknown_agent",
        "/spec/tools/0/deployment",
        "7:47",
        "There is no deployment named nobody: deploy it first, or with this one.",
      ],
    ],
  ],
  [
    "an agent that calls itself",
    tool("{ name: t, type: agent, description: d, deployment: bad }"),
    [["agent_cycle", "/spec/tools/0/deployment", "7:47", "This agent would call itself: bad → bad."]],
  ],
  [
    "arguments of no command",
    tool('{ name: m, type: mcp, url: "https://example.com/mcp", args: [a] }'),
    [["validation_failed", "/spec/tools/0/args", "7:61", "Goes with a command, which this entry does not have."]],
  ],
  [
    "neither a url nor an inline document",
    tool("{ name: o, type: openapi, document: {} }"),
    [["validation_failed", "/spec/tools/0/document", "7:33", "Must have url or inline, one of them."]],
  ],
  [
    "hosts of a builtin that has none",
    tool('{ name: calculator, type: builtin, hosts: ["example.com"] }'),
    [["unknown_field", "/spec/tools/0/hosts", "7:42", "Only http_fetch has hosts, not calculator."]],
  ],
  // What only a client can put in
  [
    "the environment",
    spec("  description: ${env.TEAM:-none}\n"),
    [
      [
        "unresolved_reference",
        "/spec/description",
        "6:3",
        "${env.TEAM:-none} is put in by the client before it sends the manifest: deploy with maru deploy, or resolve it with the SDK.",
      ],
    ],
  ],
  [
    "a file as instructions",
    base("spec:\n  instructions: { file: ./prompt.md }\n"),
    [
      [
        "unresolved_reference",
        "/spec/instructions",
        "5:3",
        "A file (./prompt.md) is put in by the client before it sends the manifest: deploy with maru deploy, or resolve it with the SDK.",
      ],
    ],
  ],
  [
    "a file as a source",
    tool("{ name: t, type: function, description: d, source: { file: ./t.js } }"),
    [
      [
        "unresolved_reference",
        "/spec/tools/0/source",
        "7:50",
        "A file (./t.js) is put in by the client before it sends the manifest: deploy with maru deploy, or resolve it with the SDK.",
      ],
    ],
  ],
  [
    "a file as a document",
    tool("{ name: o, type: openapi, document: { file: ./o.yaml } }"),
    [
      [
        "unresolved_reference",
        "/spec/tools/0/document",
        "7:33",
        "A file (./o.yaml) is put in by the client before it sends the manifest: deploy with maru deploy, or resolve it with the SDK.",
      ],
    ],
  ],
  // Windows' line ends and a byte order mark, which are no mistakes
  [
    "a mistake behind a byte order mark",
    `\ufeff${spec().replace("maru/v1", "maru/v2")}`,
    [["unsupported_version", "/apiVersion", "1:1", 'There is no apiVersion "maru/v2": known is maru/v1.', "maru/v1"]],
  ],
  [
    "a mistake between Windows' line ends",
    spec("  limits: { steps: 0 }\n").replaceAll("\n", "\r\n"),
    [["limit_out_of_range", "/spec/limits/steps", "6:13", "Must be a whole number from 1 to 200."]],
  ],
  // JSON
  [
    "JSON that is cut off",
    '{\n  "apiVersion": "maru/v1",\n',
    [
      [
        "manifest_syntax",
        "",
        "3:1",
        "Expected double-quoted property name. JSON has no comments, no comma after the last entry and no text without quotes; YAML is sent as application/yaml.",
      ],
    ],
    "json",
  ],
  [
    "JSON with a comma too many",
    '{\n  "apiVersion": "maru/v1",\n}\n',
    [
      [
        "manifest_syntax",
        "",
        "3:1",
        "Expected double-quoted property name. JSON has no comments, no comma after the last entry and no text without quotes; YAML is sent as application/yaml.",
      ],
    ],
    "json",
  ],
  [
    "JSON with a comment",
    '{\n  // mine\n  "apiVersion": "maru/v1"\n}\n',
    [
      [
        "manifest_syntax",
        "",
        "2:3",
        "Expected property name or '}'. JSON has no comments, no comma after the last entry and no text without quotes; YAML is sent as application/yaml.",
      ],
    ],
    "json",
  ],
  [
    "YAML as JSON",
    spec(),
    [
      [
        "manifest_syntax",
        "",
        "1:1",
        "Unexpected token 'a'. JSON has no comments, no comma after the last entry and no text without quotes; YAML is sent as application/yaml.",
      ],
    ],
    "json",
  ],
  [
    "JSON with the same key twice",
    '{\n  "apiVersion": "maru/v1",\n  "apiVersion": "maru/v1"\n}\n',
    [["duplicate_key", "", "3:3", "This map has the key apiVersion already: keep one of them."]],
    "json",
  ],
  [
    "JSON with a key of JavaScript's own",
    '{\n  "__proto__": {}\n}\n',
    [["forbidden_key", "", "2:3", "The key __proto__ is never allowed: remove it."]],
    "json",
  ],
  [
    "JSON with a misspelt field",
    json({ ...good, spec: { instuctions: "Hi." } }),
    [
      [
        "unknown_field",
        "/spec/instuctions",
        "8:5",
        "This field is not known here; known are description, model, instructions, tools, output, limits, memory.",
        "instructions",
      ],
    ],
    "json",
  ],
  [
    "JSON with a number in quotes",
    json({ ...good, spec: { ...good.spec, limits: { steps: "25" } } }),
    [
      [
        "limit_out_of_range",
        "/spec/limits/steps",
        "10:7",
        "Must be a whole number from 1 to 200, not a text: take the quotes away.",
        "25",
      ],
    ],
    "json",
  ],
  [
    "JSON with null",
    json({ ...good, spec: { instructions: null } }),
    [["validation_failed", "/spec/instructions", "8:5", "Must be a text, and nothing is there."]],
    "json",
  ],
  [
    "JSON with a bad duration",
    json({ ...good, spec: { ...good.spec, limits: { duration: "1 hour" } } }),
    [
      [
        "limit_out_of_range",
        "/spec/limits/duration",
        "10:7",
        "Must be a length of time like 500ms, 10s, 10m, 1h or 7d.",
        "1h",
      ],
    ],
    "json",
  ],
  [
    "JSON with an unknown model",
    json({ ...good, spec: { ...good.spec, model: { name: "k-exaon" } } }),
    [["unknown_model", "/spec/model/name", "10:7", "The catalogue has no model k-exaon: it has ….", "k-exaone"]],
    "json",
  ],
  [
    "JSON that is a list",
    "[]",
    [["validation_failed", "", "1:1", "Must be a map with apiVersion, kind, metadata, spec, deploy, not a list."]],
    "json",
  ],
])("%s", async (_name, text, mistakes, format) => {
  const { status, body } = await deploy(text, format);
  expect(status).toBe(400);
  const found = (body.errors ?? [{ ...body, pointer: "" }]).map((error: Record<string, unknown>) => [
    error.code,
    error.pointer,
    error.line === undefined ? "" : `${error.line}:${error.column}`,
    // The catalogue grows.
    String(error.detail).replace(/(?<=: it has ).*(?=\.$)/, "…"),
    ...(error.suggestion === undefined ? [] : [error.suggestion]),
  ]);
  expect(found).toEqual(mistakes);
});

test("fifty mistakes are told at a time, and how many there are", async () => {
  const labels = Array.from({ length: 60 }, (_, n) => `l${n}: ${n}`).join(", ");
  const { body } = await deploy(spec().replace("{ name: bad }", `{ name: bad, labels: { ${labels} } }`));
  expect(body.errors).toHaveLength(50);
  expect(body.detail).toMatch(/ \(and 59 more\)$/);
});

test("a megabyte is refused before it is read", async () => {
  for (const size of [70_000, 1_000_000, 2_000_000]) {
    const { status, body } = await deploy(spec(`  description: ${"x".repeat(size)}\n`));
    expect([status, body.code]).toEqual([413, "body_too_large"]);
  }
});

test.each([
  ["a byte order mark", `\ufeff${spec()}`, "yaml"],
  ["a byte order mark before JSON", `\ufeff${json(good)}`, "json"],
  ["Windows' line ends", spec("  limits:\n    steps: 3\n").replaceAll("\n", "\r\n"), "yaml"],
  ["a separator before it and one behind it", `---\n${spec()}...\n`, "yaml"],
  ["a replacement character of its own", spec("  description: a\ufffdb\n"), "yaml"],
  ["$${env.X}, which is that text", spec('  description: "$${env.X}"\n'), "yaml"],
])("%s is no mistake", async (_name, text, format) => {
  const { status, body } = await deploy(text, format);
  expect([status, body.errors]).toEqual([200, undefined]);
});
