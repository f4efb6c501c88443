import { expect, test } from "vitest";
import { CATALOGUE } from "./catalogue/index.ts";
import { hostOf, readModelHosts, servingOf, simulatedHost } from "./hosts.ts";

test("one host by its variables serves the default model, or those named", () => {
  expect(readModelHosts({})).toEqual([]);
  const [host] = readModelHosts({ MODEL_BASE_URL: "https://api.friendli.ai/serverless/v1/", MODEL_API_KEY: "k" });
  expect(host).toMatchObject({
    baseUrl: "https://api.friendli.ai/serverless/v1",
    apiKey: "k",
    models: { "k-exaone": null },
  });
  const hosts = readModelHosts({
    MODEL_BASE_URL: "http://127.0.0.1:8000/v1",
    MODEL_MODELS: "k-exaone=exaone, glm-4.7",
    MODEL_CALLS_PER_MINUTE: "60",
    MODEL_IN_FLIGHT: "4",
    MODEL_STREAM: "false",
  });
  expect(hosts[0]).toMatchObject({
    models: { "k-exaone": "exaone", "glm-4.7": null },
    callsPerMinute: 60,
    inFlight: 4,
    stream: false,
  });
});

test("further hosts come as JSON; the first that serves a model has it", () => {
  const hosts = readModelHosts({
    MODEL_BASE_URL: "https://a.example/v1",
    MODEL_HOSTS: JSON.stringify([
      { name: "b", base_url: "https://b.example/v1", api_key: "k", dialect: "z.ai", models: ["k-exaone", "glm-4.7"] },
    ]),
  });
  expect(hostOf(hosts, "k-exaone")?.name).toBe("main");
  expect(hostOf(hosts, "glm-4.7")?.name).toBe("b");
  expect(hostOf(hosts, "constructor")).toBeUndefined();
  expect(servingOf(hosts).served).toEqual(["k-exaone", "glm-4.7"]);
});

test("the simulator serves the whole catalogue", () => {
  expect(Object.keys(simulatedHost("http://127.0.0.1:1").models)).toEqual(CATALOGUE.map(({ id }) => id));
  expect(servingOf([])).toEqual({ served: CATALOGUE.map(({ id }) => id), simulated: true });
});

test.each([
  [{ MODEL_BASE_URL: "nowhere" }, /MODEL_BASE_URL is not an http/],
  [{ MODEL_BASE_URL: "https://a.example", MODEL_DIALECT: "x" }, /MODEL_DIALECT must be one of friendli/],
  [{ MODEL_BASE_URL: "https://a.example", MODEL_MODELS: "nope" }, /MODEL_MODELS names nope/],
  [{ MODEL_BASE_URL: "https://a.example", MODEL_IN_FLIGHT: "many" }, /MODEL_IN_FLIGHT/],
  [{ MODEL_BASE_URL: "https://a.example", MODEL_STREAM: "no" }, /MODEL_STREAM/],
  [{ MODEL_HOSTS: "{}" }, /MODEL_HOSTS must be a JSON array/],
  [{ MODEL_HOSTS: '[{"base_url":"https://a.example","models":[]}]' }, /MODEL_HOSTS\[0\]\.models/],
  [{ MODEL_HOSTS: '[{"base_url":"https://a.example","models":["k-exaone"],"x":1}]' }, /MODEL_HOSTS\[0\]\.x is not/],
  [{ MODEL_HOSTS: '[{"base_url":"https://a.example","models":["k-exaone"],"in_flight":0}]' }, /in_flight must be/],
])("%j is refused by name", (env, message) => {
  expect(() => readModelHosts(env)).toThrow(message);
});
