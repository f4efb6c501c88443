import { expect, test } from "vitest";
import { fillSecrets, mentionsSecret, parseSecretText, secretNamesIn } from "./reference.ts";

test.each<[string, ReturnType<typeof parseSecretText>]>([
  ["", []],
  ["plain ${name} {name} $", ["plain ${name} {name} $"]],
  ["Bearer ${secrets.KEY}", ["Bearer ", { secret: "KEY" }]],
  ["${secrets.A}${secrets.B_2}!", [{ secret: "A" }, { secret: "B_2" }, "!"]],
  ["$${secrets.KEY}", ["${secrets.KEY}"]],
  ["$$${secrets.KEY}", ["$${secrets.KEY}"]],
  ["${ secrets.KEY}", ["${ secrets.KEY}"]],
])("%s is read as it is meant", (text, parts) => expect(parseSecretText(text)).toEqual(parts));

test.each([
  "${secrets.key}",
  "${secrets.}",
  "${secrets.A B}",
  "${secrets.KEY",
  "$${secrets.KEY",
  "${secrets.${secrets.A}}",
])("%s is refused", (text) => expect(() => parseSecretText(text)).toThrow(/not the name of a secret|not closed/));

test("references are found wherever they stand, escaped ones are none", () => {
  const value = { a: ["${secrets.B}", { c: "x ${secrets.A} ${secrets.B}" }], d: "$${secrets.NOT}", e: 1, f: null };
  expect(secretNamesIn(value)).toEqual(["A", "B"]);
  expect(["${secrets.A}", "${secrets.a}", "$${secrets.A}", "{secrets.A}"].map(mentionsSecret)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("texts are filled in all together, or not at all", async () => {
  const values = new Map([
    ["A", "one"],
    ["B", "${secrets.A}"],
  ]);
  const access = async () => values;
  // A value is never read as a text with references itself.
  expect(await fillSecrets({ x: "${secrets.A}/${secrets.B}", y: "$${secrets.A}" }, access)).toEqual({
    x: "one/${secrets.A}",
    y: "${secrets.A}",
  });
  await expect(fillSecrets({ x: "${secrets.A} ${secrets.C}" }, access)).rejects.toThrow("secret C");
});
