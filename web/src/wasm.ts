/** A small assembler of WebAssembly modules: functions on vectors of four float32 numbers. */

export const I32 = 0x7f;
export const F64 = 0x7c;
export const V128 = 0x7b;

/** Puts a value on the stack. */
export type Push = () => void;

const VECTOR = {
  load: 0x00,
  loadSplat: 0x09,
  store: 0x0b,
  constant: 0x0c,
  splatI32: 0x11,
  extractF32: 0x1f,
  replaceF32: 0x20,
  eq: 0x41,
  lt: 0x43,
  gt: 0x44,
  ge: 0x46,
  and: 0x4e,
  andnot: 0x4f,
  bitselect: 0x52,
  nearest: 0x6a,
  shlI32: 0xab,
  shrI32: 0xac,
  addI32: 0xae,
  subI32: 0xb1,
  minU32: 0xb7,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  max: 0xe9,
  toI32: 0xf8,
  fromI32: 0xfa,
  demote: 0x5e, // two doubles to the lower half, and zeros
  promote: 0x5f, // the lower half to two doubles
  nearest64: 0x94,
  lt64: 0x49,
  abs64: 0xec,
  neg64: 0xed,
  add64: 0xf0,
  sub64: 0xf1,
  mul64: 0xf2,
  div64: 0xf3,
  min64: 0xf4,
  max64: 0xf5,
  toI32From64: 0xfc, // the lower half, and zeros
  widenI32: 0xc7, // the lower half to two 64-bit integers
  shlI64: 0xcb,
  addI64: 0xce,
  madd: 0x105, // relaxed: one rounding where the processor has it
} as const;
export type VectorOp = keyof typeof VECTOR;

function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest ? byte | 0x80 : byte);
  } while (rest);
  return bytes;
}

function signed(value: number): number[] {
  const bytes = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && !(byte & 0x40)) || (rest === -1 && byte & 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

/** The body of a function as it is written. */
export class Code {
  readonly bytes: number[] = [];
  private readonly locals: number[] = [];

  constructor(
    private readonly arguments_: number[],
    private readonly multiplyAdd: number | null, // the function that makes it; null: the browser's own
  ) {}

  local(type: number): number {
    this.locals.push(type);
    return this.arguments_.length + this.locals.length - 1;
  }

  get(local: number): Push {
    return () => this.bytes.push(0x20, ...unsigned(local));
  }

  set(local: number, value: Push): void {
    value();
    this.bytes.push(0x21, ...unsigned(local));
  }

  /** A value that is needed several times. */
  keep(value: Push, type = V128): Push {
    const local = this.local(type);
    this.set(local, value);
    return this.get(local);
  }

  i32(value: number): Push {
    return () => this.bytes.push(0x41, ...signed(value));
  }

  private of(opcode: number, ...values: Push[]): Push {
    return () => {
      for (const value of values) value();
      this.bytes.push(opcode);
    };
  }

  addI(a: Push, b: Push): Push {
    return this.of(0x6a, a, b);
  }

  subI(a: Push, b: Push): Push {
    return this.of(0x6b, a, b);
  }

  mulI(a: Push, b: Push): Push {
    return this.of(0x6c, a, b);
  }

  andI(a: Push, b: Push): Push {
    return this.of(0x71, a, b);
  }

  isZero(a: Push): Push {
    return this.of(0x45, a);
  }

  isBelow(a: Push, b: Push): Push {
    return this.of(0x49, a, b);
  }

  /** Repeat the body while `more` holds behind it. */
  loop(body: () => void, more: Push): void {
    this.bytes.push(0x03, 0x40);
    body();
    more();
    this.bytes.push(0x0d, 0x00, 0x0b);
  }

  when(condition: Push, body: () => void): void {
    condition();
    this.bytes.push(0x04, 0x40);
    body();
    this.bytes.push(0x0b);
  }

  op(name: VectorOp, ...values: Push[]): Push {
    return () => {
      for (const value of values) value();
      this.bytes.push(0xfd, ...unsigned(VECTOR[name]));
    };
  }

  /** a b + c, rounded once. */
  madd(a: Push, b: Push, c: Push): Push {
    return this.multiplyAdd === null ? this.op("madd", a, b, c) : this.call(this.multiplyAdd, a, b, c);
  }

  private memory(name: VectorOp, align: number, offset: number): void {
    this.bytes.push(0xfd, ...unsigned(VECTOR[name]), align, ...unsigned(offset));
  }

  load(address: Push, offset: number): Push {
    return () => {
      address();
      this.memory("load", 4, offset);
    };
  }

  /** A float32 number of memory in every lane. */
  splat(address: Push, offset: number): Push {
    return () => {
      address();
      this.memory("loadSplat", 2, offset);
    };
  }

  store(address: Push, offset: number, value: Push): void {
    address();
    value();
    this.memory("store", 4, offset);
  }

  /** A number in every lane. */
  constant(value: number): Push {
    return this.lanes(new Float32Array(4).fill(value));
  }

  /** A double in both halves. */
  constant64(value: number): Push {
    return this.lanes(new Float64Array(2).fill(value));
  }

  integers64(value: bigint): Push {
    return this.lanes(new BigInt64Array(2).fill(value));
  }

  /** The lower half of one vector and the lower half of another. */
  halves(lower: Push, upper: Push): Push {
    return this.shuffle(lower, upper, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
  }

  /** The upper half of a vector in the lower. */
  upper(vector: Push): Push {
    return this.shuffle(vector, vector, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
  }

  private shuffle(one: Push, other: Push, bytes: number[]): Push {
    return () => {
      one();
      other();
      this.bytes.push(0xfd, 0x0d, ...bytes);
    };
  }

  integers(value: number): Push {
    return this.lanes(new Int32Array(4).fill(value));
  }

  private lanes(values: Float32Array | Int32Array | Float64Array | BigInt64Array): Push {
    return () => this.bytes.push(0xfd, VECTOR.constant, ...new Uint8Array(values.buffer));
  }

  call(number: number, ...values: Push[]): Push {
    return () => {
      for (const value of values) value();
      this.bytes.push(0x10, ...unsigned(number));
    };
  }

  /** A function of doubles on each lane. */
  byLane(number: number, vector: Push): Push {
    return () => {
      vector();
      for (let lane = 0; lane < 4; lane++) {
        vector();
        this.bytes.push(0xfd, VECTOR.extractF32, lane, 0xbb, 0x10, ...unsigned(number), 0xb6);
        this.bytes.push(0xfd, VECTOR.replaceF32, lane);
      }
    };
  }

  body(): number[] {
    const kinds = this.locals.flatMap((type) => [1, type]);
    const all = [...unsigned(this.locals.length), ...kinds, ...this.bytes, 0x0b];
    return [...unsigned(all.length), ...all];
  }
}

interface Signature {
  arguments: number[];
  results: number[];
}

/** A module: functions that it is given (`maths.<name>`), functions of its own, one memory that it is given. */
export class Module {
  private readonly imported: { name: string; signature: Signature }[] = [];
  private readonly own: { name: string; signature: Signature; code: Code; exported: boolean }[] = [];
  private readonly places = new Map<string, number>();

  /** The function that makes multiply-adds; null: the browser's own instruction. */
  multiplyAdd: number | null = null;

  /** A function of doubles from outside; all of them come before the first of the module's own. */
  import(name: string): number {
    this.imported.push({ name, signature: { arguments: [F64], results: [F64] } });
    this.places.set(name, this.imported.length - 1);
    return this.imported.length - 1;
  }

  function(name: string, args: number[], results: number[], write: (code: Code) => void, exported = false): number {
    const code = new Code(args, this.multiplyAdd);
    write(code);
    this.own.push({ name, signature: { arguments: args, results }, code, exported });
    this.places.set(name, this.imported.length + this.own.length - 1);
    return this.place(name);
  }

  place(name: string): number {
    const found = this.places.get(name);
    if (found === undefined) throw new Error(`the page knows no function ${name}`);
    return found;
  }

  binary(): Uint8Array<ArrayBuffer> {
    const text = (value: string): number[] => [
      ...unsigned(value.length),
      ...[...value].map((letter) => letter.charCodeAt(0)),
    ];
    const section = (id: number, items: number[][]): number[] => {
      const content = [...unsigned(items.length)];
      for (const item of items) for (const byte of item) content.push(byte);
      return [id, ...unsigned(content.length)].concat(content);
    };
    const all = [...this.imported, ...this.own];
    const types = all.map(({ signature: s }) => [
      0x60,
      s.arguments.length,
      ...s.arguments,
      s.results.length,
      ...s.results,
    ]);
    const imports = this.imported.map(({ name }, n) => [...text("maths"), ...text(name), 0x00, ...unsigned(n)]);
    imports.push([...text("page"), ...text("memory"), 0x02, 0x00, 0x01]);
    const exports = this.own.flatMap(({ name, exported }, n) =>
      exported ? [[...text(name), 0x00, ...unsigned(this.imported.length + n)]] : [],
    );
    const parts = [
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      section(1, types),
      section(2, imports),
      section(
        3,
        this.own.map((_, n) => unsigned(this.imported.length + n)),
      ),
      section(7, exports),
      section(
        10,
        this.own.map(({ code }) => code.body()),
      ),
    ];
    return Uint8Array.from(parts.flat());
  }
}

let known: boolean | null = null;

/** Whether the browser has multiply-adds (relaxed vectors), and the processor makes them with one rounding. */
export function hasMultiplyAdd(): boolean {
  known ??= tryMultiplyAdd();
  return known;
}

function tryMultiplyAdd(): boolean {
  const trial = new Module();
  trial.function(
    "trial",
    [I32],
    [],
    (code) => {
      const [one, other] = [code.load(code.get(0), 0), code.load(code.get(0), 16)];
      code.store(code.get(0), 32, code.madd(one, one, other));
    },
    true,
  );
  const binary = trial.binary();
  if (!WebAssembly.validate(binary)) return false;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const numbers = new Float32Array(memory.buffer);
  // the square of 1 + 2^-12 is 1 + 2^-11 + 2^-24, whose last part a second rounding would lose
  numbers.fill(1 + 2 ** -12, 0, 4).fill(-1 - 2 ** -11, 4, 8);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), { page: { memory } });
  (instance.exports["trial"] as (address: number) => void)(0);
  return numbers[8] === 2 ** -24;
}
