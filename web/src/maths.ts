/** Functions of four numbers at a time.
 *
 * Torch's sigmoid and softmax have SLEEF's e^z, which is made here operation by operation; its other functions are right
 * to about the last bit, and so are these: by doubles, or number by number outside. */
import { type Code, type Module, type Push, V128, hasMultiplyAdd } from "./wasm";

// SLEEF's e^z to one unit in the last place, as nnspec/training/codegen/exponentials.py has it
const LN_2 = [0.693145751953125, 1.428606765330187e-6];
const SERIES = [
  0.000198527617612853646, 0.00139304355252534151, 0.00833336077630519867, 0.0416664853692054749, 0.1666666716337204,
  0.5,
];
// Taylor's series, the highest power first: of e^z - 1 - z over z^2, and of (tanh z - z) / z^3 in z^2
const EXP = [39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2].map((factorial) => 1 / factorial);
const TANH = [-17 / 315, 2 / 15, -1 / 3];
const NEAR = 0.01; // up to which the series of tanh and of e^z - 1 are used, for beyond little cancels

// Cephes's error function: near 0 z T(z^2) / U(z^2), else 1 - e^(-z^2) P(|z|) / Q(|z|)
const ERF = {
  T: [
    9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4,
  ],
  U: [
    1, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.2629000061389093424e4,
    4.92673942608635921086e4,
  ],
  P: [
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687, 4.86371970985681366614e1,
    1.96520832956077098242e2, 5.26445194995477358631e2, 9.3452852717195760754e2, 1.02755188689515710272e3,
    5.57535335369399327526e2,
  ],
  Q: [
    1, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
    1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2,
  ],
};
const ERF_END = 7; // from which it is 1 in float32

/** What is called number by number, in double precision. */
export const OUTSIDE: Record<string, (z: number) => number> = {
  log: Math.log,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
};

/** Add the functions to a module. */
export function addMaths(module: Module): void {
  for (const name of Object.keys(OUTSIDE)) module.import(`outside_${name}`);
  if (!hasMultiplyAdd()) module.multiplyAdd = module.function("fma", [V128, V128, V128], [V128], multiplyAdd);
  for (const name of Object.keys(OUTSIDE)) {
    const outside = module.place(`outside_${name}`);
    module.function(name, [V128], [V128], (code) => code.byLane(outside, code.get(0))());
  }
  const single = module.function("sleef_exp", [V128], [V128], (code) => exponential(code, code.get(0))());
  module.function("sigmoid", [V128], [V128], (code) => {
    const one = code.constant(1);
    code.op("div", one, code.op("add", one, code.call(single, code.op("neg", code.get(0)))))();
  });
  const exp = module.function("exp64", [V128], [V128], (code) => exponential64(code, code.get(0))());
  inDoubles(module, "exp", (code, z) => code.call(exp, z));
  inDoubles(module, "expm1", (code, z) => {
    const { op, constant64 } = bound(code);
    const near = op("add64", z, op("mul64", op("mul64", z, z), polynomial(code, EXP, z)));
    const far = op("sub64", code.call(exp, z), constant64(1));
    return op("bitselect", near, far, op("lt64", op("abs64", z), constant64(NEAR)));
  });
  inDoubles(module, "tanh", (code, z) => {
    const { op, constant64 } = bound(code);
    const square = code.keep(op("mul64", z, z));
    const near = op("add64", z, op("mul64", op("mul64", square, z), polynomial(code, TANH, square)));
    const far = op(
      "sub64",
      constant64(1),
      op("div64", constant64(2), op("add64", code.call(exp, op("add64", z, z)), constant64(1))),
    );
    return op("bitselect", near, far, op("lt64", op("abs64", z), constant64(NEAR)));
  });
  inDoubles(module, "erf", (code, z) => {
    const { op, constant64 } = bound(code);
    const ratio = (above: number[], below: number[], at: Push): Push =>
      op("div64", polynomial(code, above, at), polynomial(code, below, at));
    const size = code.keep(op("min64", op("abs64", z), constant64(ERF_END)));
    const square = code.keep(op("mul64", size, size));
    const tail = op("mul64", code.call(exp, op("neg64", square)), ratio(ERF.P, ERF.Q, size));
    const far = op("bitselect", z, op("sub64", constant64(1), tail), code.integers64(-(2n ** 63n)));
    return op("bitselect", op("mul64", z, ratio(ERF.T, ERF.U, square)), far, op("lt64", size, constant64(1)));
  });
}

/** a b + c by doubles, which hold a product of float32 numbers whole: where the browser cannot round but once. */
function multiplyAdd(code: Code): void {
  const { op } = bound(code);
  const half = (of: (vector: Push) => Push): Push => {
    const [a, b, c] = [0, 1, 2].map((n) => op("promote", of(code.get(n))));
    return op("demote", op("add64", op("mul64", a, b), c));
  };
  code.halves(
    half((vector) => vector),
    half((vector) => code.upper(vector)),
  )();
}

/** A function of four numbers by a formula on two doubles, so that the last bit is right. */
function inDoubles(module: Module, name: string, formula: (code: Code, z: Push) => Push): void {
  module.function(name, [V128], [V128], (code) => {
    const half = (z: Push): Push => code.keep(code.op("demote", formula(code, code.keep(code.op("promote", z)))));
    code.halves(half(code.get(0)), half(code.upper(code.get(0))))();
  });
}

/** e^z of two doubles, to a millionth of float32's last place. */
function exponential64(code: Code, z: Push): Push {
  const { op, constant64 } = bound(code);
  // beyond, float32 is 0 or infinite
  const inside = code.keep(op("max64", op("min64", z, constant64(200)), constant64(-200)));
  const q = code.keep(op("nearest64", op("mul64", inside, constant64(Math.LOG2E))));
  const s = code.keep(op("sub64", inside, op("mul64", q, constant64(Math.LN2))));
  const raised = op("add64", op("add64", constant64(1), s), op("mul64", op("mul64", s, s), polynomial(code, EXP, s)));
  const whole = op("widenI32", op("toI32From64", q));
  return op("mul64", raised, op("shlI64", op("addI64", whole, code.integers64(1023n)), code.i32(52)));
}

/** A polynomial in a double, the highest power's coefficient first. */
function polynomial(code: Code, coefficients: number[], z: Push): Push {
  let value = code.constant64(coefficients[0]);
  for (const coefficient of coefficients.slice(1))
    value = code.keep(code.op("add64", code.op("mul64", value, z), code.constant64(coefficient)));
  return value;
}

function exponential(code: Code, z: Push): Push {
  const { op, constant } = bound(code);
  const q = code.keep(op("nearest", op("mul", z, constant(1.4426950408889634))));
  let s = code.keep(code.madd(q, constant(-LN_2[0]), z));
  s = code.keep(code.madd(q, constant(-LN_2[1]), s));
  let series = constant(SERIES[0]);
  for (const coefficient of SERIES.slice(1)) series = code.keep(code.madd(series, s, constant(coefficient)));
  let result = op("add", constant(1), code.madd(op("mul", s, s), series, s));
  // 2^q in two factors, for one exponent may not hold it; what lies outside is replaced below
  const whole = code.keep(op("toI32", q));
  const half = code.keep(op("shrI32", whole, code.i32(1)));
  for (const power of [half, op("subI32", whole, half)]) {
    result = op("mul", result, op("shlI32", op("addI32", power, code.integers(127)), code.i32(23)));
  }
  const above = op("bitselect", constant(Infinity), result, op("gt", z, constant(104)));
  return op("bitselect", constant(0), above, op("lt", z, constant(-104)));
}

function bound(code: Code): Pick<Code, "op" | "constant" | "constant64"> {
  return { op: code.op.bind(code), constant: code.constant.bind(code), constant64: code.constant64.bind(code) };
}
