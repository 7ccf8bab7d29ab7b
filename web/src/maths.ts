/** Functions of four numbers at a time.
 *
 * Torch has SLEEF's sigmoid, softmax, e^z - 1 and log(1 + z), which are made here to the same bit. Its other functions
 * are right to about the last bit, and so are these: by doubles, or number by number outside. */
import { type Code, type Module, type Push, V128, hasMultiplyAdd } from "./wasm";

// SLEEF's functions to one unit in the last place (Shibata and Petrogalli 2020); e^z as
// nnspec/training/codegen/exponentials.py has it, of e^z - 1 the powers from the fourth on are single, of log(1 + z)
// those of the series in m / (2 + m)
const LN_2 = [0.693145751953125, 1.428606765330187e-6];
const SERIES = [
  0.000198527617612853646, 0.00139304355252534151, 0.00833336077630519867, 0.0416664853692054749, 0.1666666716337204,
  0.5,
];
const EXPM1 = [0.000198096022, 0.001394256484, 0.008333456703, 0.04166637361];
const EXPM1_CUBE = Math.fround(0.16666665941423424);
const LOG1P = [0.3027294874, 0.3996108174, 0.666669488];
const LN_2_TWICE = Math.fround(0.6931471824645996) + Math.fround(-1.904654323148236e-9);
// Taylor's series, the highest power first: of e^z - 1 - z over z^2, and of (tanh z - z) / z^3 in z^2
const EXP = [39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2].map((factorial) => 1 / factorial);
const TANH = [-17 / 315, 2 / 15, -1 / 3];
const NEAR = 0.01; // up to which the series of tanh is used, for beyond little cancels
// Cephes's tanh, as nnspec/training/codegen/exponentials.py has it: (tanh z - z) / z^3 in z^2, up to TANH_NEAR
const TANH_SINGLE = [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1];
const TANH_NEAR = 0.625;

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
  sin: Math.sin,
  cos: Math.cos,
};

/** Add the functions to a module; `lanes` says whether nnspec trains the networks in lanes, where tanh is torch's. */
export function addMaths(module: Module, lanes: boolean): void {
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
  module.function("expm1", [V128], [V128], (code) => exponentialLess1(code, code.get(0))());
  module.function("log1p", [V128], [V128], (code) => logarithm1p(code, code.get(0))());
  if (lanes) inDoubles(module, "tanh", (code, z) => tanh64(code, exp, z));
  else module.function("tanh", [V128], [V128], (code) => tanh(code, single, code.get(0))());
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

/** tanh of two doubles. */
function tanh64(code: Code, exp: number, z: Push): Push {
  const { op, constant64 } = bound(code);
  const square = code.keep(op("mul64", z, z));
  const near = op("add64", z, op("mul64", op("mul64", square, z), polynomial(code, TANH, square)));
  const raised = code.call(exp, op("add64", z, z));
  const far = op("sub64", constant64(1), op("div64", constant64(2), op("add64", raised, constant64(1))));
  return op("bitselect", near, far, op("lt64", op("abs64", z), constant64(NEAR)));
}

/** Cephes's tanh, which nnspec has where networks train one after another. */
function tanh(code: Code, exp: number, z: Push): Push {
  const { op, constant } = bound(code);
  const square = code.keep(op("mul", z, z));
  const size = code.keep(op("abs", z));
  const near = code.madd(op("mul", square, z), series(code, TANH_SINGLE, square), z);
  const raised = code.call(exp, op("add", size, size));
  const far = op("sub", constant(1), op("div", constant(2), op("add", raised, constant(1))));
  const signed = op("bitselect", z, far, code.integers(-(2 ** 31)));
  return op("bitselect", signed, near, op("gt", size, constant(TANH_NEAR)));
}

/** a b + c by doubles, which hold a product of float32 numbers whole: where the browser cannot round but once. */
function multiplyAdd(code: Code): void {
  const [a, b, c] = [0, 1, 2].map((n) => code.get(n));
  const { op } = bound(code);
  byHalves(code, [a, b, c], ([a, b, c]) => op("add64", op("mul64", a, b), c))();
}

/** Four numbers by a formula on two doubles, of each of the vectors those of one half. */
function byHalves(code: Code, vectors: Push[], formula: (doubles: Push[]) => Push): Push {
  const half = (of: (vector: Push) => Push): Push => {
    const doubles = vectors.map((vector) => code.keep(code.op("promote", of(vector))));
    return code.keep(code.op("demote", formula(doubles)));
  };
  const lower = half((vector) => vector);
  return code.halves(
    lower,
    half((vector) => code.upper(vector)),
  );
}

/** A function of four numbers by a formula on two doubles, so that the last bit is right. */
function inDoubles(module: Module, name: string, formula: (code: Code, z: Push) => Push): void {
  module.function(name, [V128], [V128], (code) => byHalves(code, [code.get(0)], ([z]) => formula(code, z))());
}

/** e^z of two doubles, to a millionth of float32's last place. */
function exponential64(code: Code, z: Push): Push {
  const { op, constant64 } = bound(code);
  // beyond, float32 is 0 or infinite
  const inside = code.keep(op("max64", op("min64", z, constant64(200)), constant64(-200)));
  const q = code.keep(op("nearest64", op("mul64", inside, constant64(Math.LOG2E))));
  const s = code.keep(op("sub64", inside, op("mul64", q, constant64(Math.LN2))));
  const raised = op("add64", op("add64", constant64(1), s), op("mul64", op("mul64", s, s), polynomial(code, EXP, s)));
  return op("mul64", raised, powerOfTwo64(code, q));
}

/** 2 to two whole doubles that are exponents of the type, made of its bits. */
function powerOfTwo64(code: Code, q: Push): Push {
  const { op } = bound(code);
  const whole = op("widenI32", op("toI32From64", q));
  return op("shlI64", op("addI64", whole, code.integers64(1023n)), code.i32(52));
}

/** e^z - 1: where SLEEF has pairs of single numbers there are doubles. */
function exponentialLess1(code: Code, z: Push): Push {
  const { op, constant, constant64 } = bound(code);
  const q = code.keep(op("nearest", op("mul", z, constant(Math.LOG2E))));
  const low = code.keep(op("mul", q, constant(LN_2[1])));
  const single = code.keep(op("sub", op("sub", z, op("mul", q, constant(LN_2[0]))), low));
  const powers = series(code, EXPM1, single);
  const raised = byHalves(code, [z, q, low, powers], ([z, q, low, powers]) => {
    const s = code.keep(op("sub64", op("sub64", z, op("mul64", q, constant64(LN_2[0]))), low));
    const cubes = op("add64", op("mul64", s, powers), constant64(EXPM1_CUBE));
    const squares = op("add64", op("mul64", s, cubes), constant64(0.5));
    const less = op("add64", s, op("mul64", op("mul64", s, s), squares));
    return op("sub64", op("mul64", op("add64", constant64(1), less), powerOfTwo64(code, q)), constant64(1));
  });
  const above = op("bitselect", constant(Infinity), raised, op("gt", z, constant(88.72283172607422)));
  return op("bitselect", constant(-1), above, op("lt", z, constant(-16.635532)));
}

/** log(1 + z) as e log 2 + log(1 + m), with 1 + m from 3/4 to 3/2: the same in doubles, as far as SLEEF has pairs. */
function logarithm1p(code: Code, z: Push): Push {
  const { op, constant, constant64 } = bound(code);
  const whole = op("mul", op("add", z, constant(1)), constant(1 / 0.75));
  const exponent = code.keep(op("subI32", op("shrI32", whole, code.i32(23)), code.integers(127)));
  const power = code.keep(op("shlI32", op("subI32", code.integers(127), exponent), code.i32(23)));
  const m = code.keep(code.madd(z, power, op("sub", power, constant(1))));
  const x = code.keep(op("mul", m, op("div", constant(1), op("add", constant(2), m))));
  const square = code.keep(op("mul", x, x));
  const higher = code.keep(op("mul", op("mul", square, x), series(code, LOG1P, square)));
  const found = byHalves(code, [m, op("fromI32", exponent), higher], ([m, exponent, higher]) => {
    const ratio = op("div64", m, op("add64", constant64(2), m));
    const first = op("add64", op("mul64", exponent, constant64(LN_2_TWICE)), op("add64", ratio, ratio));
    return op("add64", first, higher);
  });
  const above = op("bitselect", constant(Infinity), found, op("gt", z, constant(1e38)));
  const least = op("bitselect", constant(-Infinity), above, op("eq", z, constant(-1)));
  return op("bitselect", constant(NaN), least, op("lt", z, constant(-1)));
}

/** A polynomial in a single number, rounded once a power, the highest power's coefficient first. */
function series(code: Code, coefficients: number[], z: Push): Push {
  let value = code.constant(coefficients[0]);
  for (const coefficient of coefficients.slice(1)) value = code.keep(code.madd(value, z, code.constant(coefficient)));
  return value;
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
  let result = op("add", constant(1), code.madd(op("mul", s, s), series(code, SERIES, s), s));
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
