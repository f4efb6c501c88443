import { Decimal } from "decimal.js";
import { Refusal } from "./builtin.ts";

/** A number that knows whether it is the very value: one that is not has `WORKING` digits. */
export interface Exact {
  readonly value: Decimal;
  readonly exact: boolean;
}

/** Significant digits of an exact value; what would need more is rounded. */
export const MAX_DIGITS = 1_000;
/** Powers of ten a value may have. */
export const MAX_EXPONENT = 10_000;
/** Significant digits of a rounded value: more than are ever shown, so that what a few operations lose is not seen. */
const WORKING = 64;
/** Digits of a rounded value that are taken for true. */
const TRUSTED = 50;
/** sin(1e15) is about where an argument still means an angle. */
const MAX_ANGLE = 1e15;

/** Holds the product of any two exact values. */
const Wide = Decimal.clone({ precision: 2 * MAX_DIGITS, defaults: true });
const Near = Decimal.clone({ precision: WORKING, defaults: true });

const TOO_LARGE = `a value is larger than 1e${MAX_EXPONENT}`;
const TOO_SMALL = `a value is smaller than 1e-${MAX_EXPONENT}`;

/** Keeps a result within bounds. */
function settle(value: Decimal, exact: boolean): Exact {
  if (value.isNaN()) throw new Refusal("a value is not a real number");
  if (!value.isFinite() || value.e > MAX_EXPONENT) throw new Refusal(TOO_LARGE);
  if (value.isZero()) return { value: new Wide(0), exact };
  if (value.e < -MAX_EXPONENT) throw new Refusal(TOO_SMALL);
  return exact && value.sd() <= MAX_DIGITS
    ? { value: new Wide(value), exact }
    : { value: new Wide(value).toSignificantDigits(WORKING), exact: false };
}

export const exactly = (text: string | number): Exact => settle(new Wide(text), true);
const ONE = exactly(1);
const TEN = exactly(10);

export const PI: Exact = { value: new Wide(Near.acos(-1)), exact: false };
export const E: Exact = { value: new Wide(Near.exp(1)), exact: false };

/** For functions that give rounded values anyhow: an argument of a thousand digits costs far more and changes nothing. */
const near = ({ value }: Exact): Decimal => new Near(value).toSignificantDigits(WORKING);

export function add(a: Exact, b: Exact): Exact {
  const sum = a.value.plus(b.value);
  const whole = sum.minus(a.value).eq(b.value) && sum.minus(b.value).eq(a.value);
  if (a.exact && b.exact && whole) return settle(sum, true);
  // What two rounded values leave of each other below their last digits is noise: sqrt(2) ** 2 - 2 is 0.
  const largest = Math.max(a.value.e, b.value.e);
  return !sum.isZero() && sum.e < largest - TRUSTED && !(a.exact && b.exact)
    ? { value: new Wide(0), exact: false }
    : settle(sum, false);
}
export const negate = ({ value, exact }: Exact): Exact => ({ value: value.neg(), exact });
export const subtract = (a: Exact, b: Exact): Exact => add(a, negate(b));
export const multiply = (a: Exact, b: Exact): Exact => settle(a.value.times(b.value), a.exact && b.exact);
export const absolute = ({ value, exact }: Exact): Exact => ({ value: value.abs(), exact });

export function divide(a: Exact, b: Exact): Exact {
  if (b.value.isZero()) throw new Refusal("it divides by zero");
  const quotient = a.value.div(b.value).toSignificantDigits(MAX_DIGITS);
  return settle(quotient, a.exact && b.exact && quotient.times(b.value).eq(a.value));
}

/** With the sign of `a`, as in JavaScript. */
export function remainder(a: Exact, b: Exact): Exact {
  if (b.value.isZero()) throw new Refusal("it divides by zero");
  return settle(a.value.mod(b.value), a.exact && b.exact);
}

export function power(base: Exact, exponent: Exact): Exact {
  const [a, n] = [base.value, exponent.value];
  if (n.isZero()) return { ...ONE, exact: exponent.exact };
  if (a.isZero()) {
    if (n.isNegative()) throw new Refusal("it divides by zero");
    return base;
  }
  if (n.eq(0.5)) return root(base);
  if (a.isNegative() && !n.isInteger()) throw new Refusal("a negative number has no such power");
  // Looked at before it is computed: 9 ** 9 ** 9 has 369,693,100 digits.
  const magnitude = Near.log10(a.abs()).toNumber();
  if (magnitude * n.toNumber() > MAX_EXPONENT + 1) throw new Refusal(TOO_LARGE);
  if (magnitude * n.toNumber() < -MAX_EXPONENT) throw new Refusal(TOO_SMALL);
  if (base.exact && exponent.exact && n.isInteger()) {
    const digits = (magnitude - (a.e - a.sd() + 1)) * n.abs().toNumber() + 1;
    if (digits <= MAX_DIGITS) {
      const whole = settle(a.pow(n.abs()), true);
      return n.isNegative() ? divide(ONE, whole) : whole;
    }
  }
  return settle(new Near(a).pow(n), false);
}

export function root(a: Exact): Exact {
  if (a.value.isNegative() && !a.value.isZero()) throw new Refusal("a negative number has no square root");
  if (!a.exact) return settle(near(a).sqrt(), false);
  // A whole root has half the digits of its square. All of the thousand would take thirty milliseconds a root.
  const Enough = Decimal.clone({ precision: Math.max(WORKING, Math.ceil(a.value.sd() / 2) + 1), defaults: true });
  const candidate = new Wide(new Enough(a.value).sqrt());
  return settle(candidate, candidate.times(candidate).eq(a.value));
}

const positive = (a: Exact): Decimal => {
  if (a.value.lte(0)) throw new Refusal("only numbers above 0 have a logarithm");
  return near(a);
};
export const ln = (a: Exact): Exact => settle(positive(a).ln(), a.exact && a.value.eq(1));
export function log10(a: Exact): Exact {
  const result = positive(a).log();
  return settle(result, a.exact && result.isInteger() && power(TEN, { value: result, exact: true }).value.eq(a.value));
}
export function exp(a: Exact): Exact {
  if (a.value.abs().gt(MAX_EXPONENT * 2.4)) throw new Refusal(a.value.isPositive() ? TOO_LARGE : TOO_SMALL);
  return settle(near(a).exp(), a.exact && a.value.isZero());
}

function angle(a: Exact): Decimal {
  if (a.value.abs().gt(MAX_ANGLE)) throw new Refusal(`an angle is larger than ${MAX_ANGLE}`);
  return near(a);
}
const isZero = (a: Exact): boolean => a.exact && a.value.isZero();
/** pi is rounded, so sin(pi) is noise in the last digits: it is 0. */
const wave =
  (of: (angle: Decimal) => Decimal) =>
  (a: Exact): Exact => {
    const value = of(angle(a));
    return settle(!a.exact && value.e < -TRUSTED ? new Near(0) : value, isZero(a));
  };
export const sin = wave((x) => x.sin());
export const cos = wave((x) => x.cos());
export function tan(a: Exact): Exact {
  const below = cos(a);
  if (below.value.isZero()) throw new Refusal("the angle has no tangent");
  return divide(sin(a), below);
}

/** Rounded at a decimal place (negative: before the point); a half goes away from zero. */
export function roundAt(a: Exact, places: number, mode: Decimal.Rounding = Decimal.ROUND_HALF_UP): Exact {
  const scale = new Wide(10).pow(places);
  // 1 / 3 * 3 must not have a floor of 0.
  const trusted = a.exact ? a.value : a.value.toSignificantDigits(TRUSTED);
  const value = trusted.times(scale).toDecimalPlaces(0, mode).div(scale);
  return settle(value, a.exact || trusted.e + places < TRUSTED);
}
export const floor = (a: Exact): Exact => roundAt(a, 0, Decimal.ROUND_FLOOR);
export const ceil = (a: Exact): Exact => roundAt(a, 0, Decimal.ROUND_CEIL);

/** A plain number where zeros do not make up most of it. */
function written(value: Decimal): string {
  const plain = value.toFixed();
  return plain.length <= Math.max(40, value.sd() + 10) ? plain : value.toExponential();
}

/** An exact value in full; any other with so many significant digits, and with words that say so. */
export function shown({ value, exact }: Exact, digits: number): string {
  return exact
    ? written(value)
    : `${written(value.toSignificantDigits(digits))} (rounded to ${digits} significant digits)`;
}
