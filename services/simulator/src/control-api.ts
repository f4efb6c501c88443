import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { FAULTS, isFaultName } from "./faults/faults.ts";
import { errorBody } from "./http-error.ts";
import { parseJson } from "./python-json.ts";
import { readScenario, unknownFault } from "./scenario.ts";
import type { Simulator } from "./simulator.ts";
import { isObject, type Json } from "./validation-error.ts";

/**
 * The control plane, for tests that reach the simulator over the network; it does what the methods of `Simulator` do.
 * It has a port of its own, so that a client of the model can't change what the model says.
 */
export function registerControl(app: FastifyInstance, simulator: Simulator): void {
  app.get("/_sim/scenario", async () => simulator.scenario());
  app.put(
    "/_sim/scenario",
    change((body) => simulator.setScenario(readScenario(body))),
  );
  app.delete(
    "/_sim/scenario",
    change(() => simulator.setScenario([])),
  );

  app.get("/_sim/faults", async () => ({
    current: simulator.fault(),
    known: Object.entries(FAULTS).map(([name, { summary, layer, streams, on }]) => ({
      name,
      layer,
      streams,
      on,
      summary,
    })),
  }));
  app.put(
    "/_sim/faults",
    change((body) => setFault(simulator, objectOf(body))),
  );
  app.delete(
    "/_sim/faults",
    change(() => simulator.setFault(null)),
  );

  app.get("/_sim/clock", async () => ({ now: simulator.now().toISOString(), scale: simulator.timing.scale }));
  app.put(
    "/_sim/clock",
    change((body) => setClock(simulator, objectOf(body))),
  );

  app.get("/_sim/journal", async () => simulator.journal());
  app.post(
    "/_sim/reset",
    change(() => simulator.reset()),
  );
}

/** 204 when the change was made, 400 with the reason when it could not be. */
function change(make: (body: unknown) => void) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    try {
      make(typeof request.body === "string" ? parseJson(request.body) : undefined);
    } catch (error) {
      return reply.code(400).send(errorBody(400, (error as Error).message));
    }
    return reply.code(204).send();
  };
}

function objectOf(body: unknown): Json {
  if (!isObject(body)) throw new Error("the body is a JSON object");
  return body;
}

function setFault(simulator: Simulator, { name, times }: Json): void {
  if (typeof name !== "string" || !isFaultName(name)) throw new Error(unknownFault(String(name)));
  if (times !== undefined && !(Number.isInteger(times) && Number(times) > 0)) throw new Error("`times` is 1 or more");
  simulator.setFault(name, times === undefined ? {} : { times: Number(times) });
}

function setClock(simulator: Simulator, { now, scale }: Json): void {
  const instant = typeof now === "string" ? new Date(now) : now === null ? null : undefined;
  if (now !== undefined && (instant === undefined || Number.isNaN(instant?.getTime() ?? 0))) {
    throw new Error("`now` is an instant in ISO 8601, or null for the real clock");
  }
  if (scale !== undefined && !(typeof scale === "number" && scale >= 0)) throw new Error("`scale` is a number from 0");
  simulator.setClock({
    ...(instant === undefined ? {} : { now: instant }),
    ...(scale === undefined ? {} : { scale: Number(scale) }),
  });
}
