/** Formulas evaluated in double precision, on many values at a time: for the diagnosis, the surfaces, the coefficients. */
import type { Form } from "./entries";

export type Values = number | Float64Array;
export type Leaves = (name: string) => Values;

/** The error function, to double precision: a series near 0, else a continued fraction (Abramowitz and Stegun 7.1). */
export function erf(z: number): number {
  const size = Math.abs(z);
  if (size > 6) return Math.sign(z);
  if (size < 2.5) {
    let term = z;
    let sum = z;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(z) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (size + fraction)));
}

const UNARY: Record<string, (z: number) => number> = {
  neg: (z) => -z,
  abs: Math.abs,
  sqrt: Math.sqrt,
  root: Math.sqrt,
  exp: Math.exp,
  sleef_exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  tanh: Math.tanh,
  sigmoid: (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z))),
  floor: Math.floor,
  sin: Math.sin,
  cos: Math.cos,
  erf,
};
const SEVERAL: Record<string, (...z: number[]) => number> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  ">": (a, b) => +(a > b),
  ">=": (a, b) => +(a >= b),
  "<": (a, b) => +(a < b),
  "==": (a, b) => +(a === b),
  and: (a, b) => +(a !== 0 && b !== 0),
  maximum: (a, b) => Math.max(a, b),
  pow: Math.pow,
  fma: (a, b, c) => a * b + c,
  where: (a, b, c) => (a ? b : c),
};

/** One operation on numbers. */
export function operate(op: string, args: number[]): number {
  const one = UNARY[op];
  if (one) return one(args[0]);
  const several = SEVERAL[op];
  if (!several) throw new Error(`the page knows no operation ${op}`);
  return several(...args);
}

function onArrays(op: string, args: Values[]): Values {
  const long = args.find((arg): arg is Float64Array => typeof arg !== "number");
  if (!long) return operate(op, args as number[]);
  const found = new Float64Array(long.length);
  const at = (arg: Values, n: number): number => (typeof arg === "number" ? arg : arg[n]);
  const [a, b, c] = args;
  const one = UNARY[op];
  if (one) {
    for (let n = 0; n < found.length; n++) found[n] = one((a as Float64Array)[n]);
    return found;
  }
  const several = SEVERAL[op];
  if (!several) throw new Error(`the page knows no operation ${op}`);
  if (args.length === 2) for (let n = 0; n < found.length; n++) found[n] = several(at(a, n), at(b, n));
  else for (let n = 0; n < found.length; n++) found[n] = several(at(a, n), at(b, n), at(c, n));
  return found;
}

/** The results of a form, its leaves numbers or arrays of one length. */
export function evaluate(form: Form, leaves: Leaves): Values[] {
  const values: Values[] = [];
  for (const [op, ...args] of form.nodes) {
    if (op === "number") values.push(args[0] as number);
    else if (op === "leaf") values.push(leaves(args[0] as string));
    else
      values.push(
        onArrays(
          op,
          args.map((place) => values[place as number]),
        ),
      );
  }
  return form.results.map((place) => values[place]);
}

/** A single result of which arrays of float32 are made: what depends on none of them is computed in double precision
 * and rounded where it meets them, as NumPy's arrays of float32 meet numbers of their own type. */
export function inSingle(form: Form, leaves: (name: string) => number | Float32Array): number | Float32Array {
  const values: (number | Float32Array)[] = [];
  for (const [op, ...args] of form.nodes) {
    if (op === "number" || op === "leaf") {
      values.push(op === "number" ? (args[0] as number) : leaves(args[0] as string));
      continue;
    }
    const given = args.map((place) => values[place as number]);
    const long = given.find((value): value is Float32Array => typeof value !== "number");
    if (!long) values.push(operate(op, given as number[]));
    else
      values.push(
        long.map((_, n) =>
          operate(
            op,
            given.map((value) => (typeof value === "number" ? Math.fround(value) : value[n])),
          ),
        ),
      );
  }
  return values[form.results[0]];
}

/** A single result on arrays of `length` values, as an array. */
export function array(form: Form, leaves: Leaves, length: number): Float64Array {
  const [found] = evaluate(form, leaves);
  return typeof found === "number" ? new Float64Array(length).fill(found) : found;
}

/** A single result on numbers. */
export function number(form: Form, leaves: (name: string) => number): number {
  return evaluate(form, leaves)[0] as number;
}
