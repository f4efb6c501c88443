import type { Fault } from "./fault.ts";
import { HTTP_FAULTS } from "./http.ts";
import { RAW_FAULTS } from "./raw.ts";
import { TRANSPORT_FAULTS } from "./transport.ts";
import { WIRE_FAULTS } from "./wire.ts";

export type FaultName =
  | keyof typeof RAW_FAULTS
  | keyof typeof WIRE_FAULTS
  | keyof typeof TRANSPORT_FAULTS
  | keyof typeof HTTP_FAULTS;

/** Every way in which an answer can be made to go wrong, each at one layer and in one thing. */
export const FAULTS: Readonly<Record<FaultName, Fault>> = {
  ...RAW_FAULTS,
  ...WIRE_FAULTS,
  ...TRANSPORT_FAULTS,
  ...HTTP_FAULTS,
};

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}
