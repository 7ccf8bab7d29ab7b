/** WebAssembly that trains networks of a spec, four at a time, one in each lane of a vector.
 *
 * Sums are added up in the order of nnspec/training/tracing.py, so that rounding is the same as far as it can be.
 * Memory: the rows of the data, then a block for each four networks: what is known of them, weights, gradients, state.
 */
import type { Form } from "./entries";
import { array, number, operate } from "./form";
import { OUTSIDE, addMaths } from "./maths";
import { type Dense, type Spec, paramLeaf } from "./spec";
import { type Code, I32, Module, type Push, V128 } from "./wasm";

const VECTOR = 16;
const [LOSS, RIGHT_AT, NONFINITE_AT, ALIVE, RIGHT, HEAD] = [0, 16, 32, 48, 64, 80];
export const NEVER = 0x7fffffff;
const AHEAD = 64; // updates whose coefficients are at hand at a time
const NARROW = 4; // columns of a product of matrices below which torch's library multiplies and adds in two roundings
const LEVELS = 3; // of sums: more than the rows of networks in lanes can fill
const TOGETHER = 16; // terms that torch adds up at a time, see `total` of nnspec/training/codegen/graph.py

type Leaf = (name: string) => Push | number;

/** The results of a form as instructions; what is made of constants only is a constant. */
function written(code: Code, module: Module, form: Form, leaf: Leaf): Push[] {
  const uses = new Array<number>(form.nodes.length).fill(0);
  for (const [op, ...args] of form.nodes)
    if (op !== "leaf" && op !== "number") for (const place of args) uses[place as number]++;
  for (const place of form.results) uses[place]++;
  const values: (Push | number)[] = [];
  form.nodes.forEach(([op, ...args], n) => {
    if (op === "number") return values.push(args[0] as number);
    if (op === "leaf") return values.push(leaf(args[0] as string));
    const made = operation(
      code,
      module,
      op,
      args.map((place) => values[place as number]),
    );
    return values.push(typeof made === "number" || uses[n] < 2 ? made : code.keep(made));
  });
  return form.results.map((place) => asPush(code, values[place]));
}

function asPush(code: Code, value: Push | number): Push {
  return typeof value === "number" ? code.constant(value) : value;
}

const COMPARED = { ">": "gt", ">=": "ge", "<": "lt", "==": "eq" } as const;
const PLAIN = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  and: "and",
  maximum: "max",
  neg: "neg",
  abs: "abs",
  sqrt: "sqrt",
  root: "sqrt",
} as const;

function operation(code: Code, module: Module, op: string, args: (Push | number)[]): Push | number {
  if (args.every((arg) => typeof arg === "number")) return Math.fround(operate(op, args));
  if (op === "where" && typeof args[0] === "number") return args[0] ? args[1] : args[2];
  const push = args.map((arg) => asPush(code, arg));
  if (op in COMPARED) return code.op(COMPARED[op as keyof typeof COMPARED], ...push);
  if (op in PLAIN) return code.op(PLAIN[op as keyof typeof PLAIN], ...push);
  if (op === "fma") return code.madd(push[0], push[1], push[2]);
  if (op === "where") return code.op("bitselect", push[1], push[2], push[0]);
  return code.call(module.place(op), ...push);
}

/** Where things lie in memory, in bytes. */
interface Places {
  row: number; // bytes of a row: inputs, targets
  coefficients: number;
  blocks: number;
  block: number; // bytes of four networks
  gradients: number[]; // within a block: sums of terms, of sixteens, of sixteens of these
  state: number[];
}

/** Compiled networks of one spec, in memory of their own. */
export class Kernel {
  private readonly memory: WebAssembly.Memory;
  private readonly floats: Float32Array;
  private readonly integers: Int32Array;
  private readonly at: Places;
  private readonly groups: number;
  private readonly advanceGroup: (block: number, count: number, step: number, coefficients: number) => void;
  private readonly lookGroup: (block: number, step: number) => void;
  private readonly moving: string[];
  private readonly starts: number[];
  step = 0;

  /** Room for networks of a spec, and its code. */
  constructor(
    private readonly spec: Spec,
    readonly networks: number,
  ) {
    const { optimizer, parameters } = spec;
    const leaf = (name: string): number => paramLeaf(optimizer.params, name) ?? 0;
    this.moving = Object.entries(optimizer.forms.coefficients).flatMap(([name, form]) =>
      form.nodes.some((node) => node[1] === "t") ? [name] : [],
    );
    this.starts = optimizer.forms.start.results.map((result) =>
      number({ ...optimizer.forms.start, results: [result] }, leaf),
    );
    const row = 4 * (spec.inputs[0].length + spec.outputs);
    const coefficients = align(row * spec.inputs.length);
    const blocks = align(coefficients + 4 * AHEAD * Math.max(1, this.moving.length));
    const size = parameters * VECTOR;
    const terms = spec.layers.map(({ learned, fanOut }) => (learned < 0 ? 1 : fanOut));
    const levels = isLong(spec, Math.max(...terms)) ? LEVELS : 1;
    const gradients = Array.from({ length: levels }, (_, level) => HEAD + (1 + level) * size);
    const state = this.starts.map((_, slot) => HEAD + (1 + levels + slot) * size);
    this.at = { row, coefficients, blocks, block: HEAD + (1 + levels + state.length) * size, gradients, state };
    this.groups = Math.ceil(networks / 4);
    const pages = Math.ceil((blocks + this.groups * this.at.block) / 65536);
    this.memory = new WebAssembly.Memory({ initial: pages });
    this.floats = new Float32Array(this.memory.buffer);
    this.integers = new Int32Array(this.memory.buffer);
    spec.inputs.forEach((inputs, n) => this.floats.set([...inputs, ...spec.targets[n]], (n * row) / 4));
    const given = {
      maths: Object.fromEntries(Object.entries(OUTSIDE).map(([name, made]) => [`outside_${name}`, made])),
      page: { memory: this.memory },
    };
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(new Writer(spec, this.at, this.moving).binary()),
      given,
    );
    this.advanceGroup = instance.exports["advance"] as Kernel["advanceGroup"];
    this.lookGroup = instance.exports["look"] as Kernel["lookGroup"];
  }

  /** Set the weights of the networks, [networks][parameters], and begin anew. */
  begin(weights: Float32Array[]): void {
    const { blocks, block, state } = this.at;
    this.step = 0;
    for (let group = 0; group < this.groups; group++) {
      const base = (blocks + group * block) / 4;
      this.floats.fill(0, base, base + block / 4);
      this.integers.fill(NEVER, base + RIGHT_AT / 4, base + ALIVE / 4);
      this.integers.fill(-1, base + ALIVE / 4, base + HEAD / 4);
      this.starts.forEach((start, slot) =>
        this.floats.fill(start, base + state[slot] / 4, base + state[slot] / 4 + this.spec.parameters * 4),
      );
    }
    this.put(weights);
    this.look();
  }

  /** Replace the weights, as they are. */
  put(weights: Float32Array[]): void {
    weights.forEach((own, network) => this.putOne(network, own));
  }

  /** Replace the weights of one network. */
  putOne(network: number, weights: Float32Array): void {
    const base = this.weightsOf(network);
    weights.forEach((value, p) => (this.floats[base + 4 * p] = value));
  }

  private weightsOf(network: number): number {
    return (this.at.blocks + (network >> 2) * this.at.block + HEAD) / 4 + (network & 3);
  }

  /** The weights of one network. */
  weights(network: number): Float32Array {
    const base = this.weightsOf(network);
    return Float32Array.from({ length: this.spec.parameters }, (_, p) => this.floats[base + 4 * p]);
  }

  private head(field: number, from: Float32Array | Int32Array): number[] {
    const { blocks, block } = this.at;
    return Array.from({ length: this.networks }, (_, n) => from[(blocks + (n >> 2) * block + field) / 4 + (n & 3)]);
  }

  /** The losses at the last look. */
  losses(): Float32Array {
    return Float32Array.from(this.head(LOSS, this.floats));
  }

  /** After how many updates each network was first right, or `NEVER`. */
  rightAt(): Int32Array {
    return Int32Array.from(this.head(RIGHT_AT, this.integers));
  }

  /** Whether each network is right at the last look. */
  rightNow(): boolean[] {
    return this.head(RIGHT, this.integers).map((mask) => mask !== 0);
  }

  /** After how many updates each network was no longer finite, or `NEVER`. */
  nonfiniteAt(): Int32Array {
    return Int32Array.from(this.head(NONFINITE_AT, this.integers));
  }

  /** Take down the losses of the present weights. */
  look(): void {
    for (let group = 0; group < this.groups; group++) this.lookGroup(this.at.blocks + group * this.at.block, this.step);
  }

  /** Make updates, and note when networks are right; the losses are those of the last `look`. */
  advance(updates: number): void {
    for (let made = 0; made < updates;) {
      const count = Math.min(AHEAD, updates - made);
      this.putCoefficients(count);
      for (let group = 0; group < this.groups; group++) {
        this.advanceGroup(this.at.blocks + group * this.at.block, count, this.step, this.at.coefficients);
      }
      this.step += count;
      made += count;
    }
  }

  private putCoefficients(count: number): void {
    const t = Float64Array.from({ length: count }, (_, n) => this.step + n + 1);
    const { coefficients } = this.spec.optimizer.forms;
    this.moving.forEach((name, place) => {
      const values = array(
        coefficients[name],
        (leaf) => (leaf === "t" ? t : (paramLeaf(this.spec.optimizer.params, leaf) ?? 0)),
        count,
      );
      for (let n = 0; n < count; n++)
        this.floats[this.at.coefficients / 4 + n * this.moving.length + place] = values[n];
    });
  }
}

/** Whether sums of so many terms a row are made in torch's order, which is another than one after the other. */
function isLong(spec: Spec, each: number): boolean {
  return spec.lanes && each * spec.inputs.length > TOGETHER;
}

/** Terms added up in torch's order. */
function total(code: Code, terms: Push[]): Push {
  const add = (all: Push[]): Push => all.reduce((sum, term) => code.op("add", sum, term));
  const sums: Push[] = [];
  for (let level = terms; level.length;) {
    const full = level.length - (level.length % TOGETHER);
    if (full < level.length) sums.push(add(level.slice(full)));
    level = Array.from({ length: full / TOGETHER }, (_, n) => add(level.slice(n * TOGETHER, (n + 1) * TOGETHER)));
  }
  return add(sums);
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Writes the code of a kernel. */
class Writer {
  private readonly module = new Module();

  constructor(
    private readonly spec: Spec,
    private readonly at: Places,
    private readonly moving: string[],
  ) {}

  binary(): Uint8Array<ArrayBuffer> {
    addMaths(this.module, this.spec.lanes);
    this.module.function(
      "look",
      [I32, I32],
      [],
      (code) => {
        const pass = new Pass(code, this.module, this.spec, this.at, code.get(0));
        const { loss, worst } = pass.write(false);
        this.note(code, code.get(0), code.get(1), worst, loss);
        code.store(code.get(0), LOSS, loss);
      },
      true,
    );
    this.module.function("advance", [I32, I32, I32, I32], [], (code) => this.advance(code), true);
    return this.module.binary();
  }

  private advance(code: Code): void {
    const [block, count, step, coefficients] = [0, 1, 2, 3].map((n) => code.get(n));
    const pass = new Pass(code, this.module, this.spec, this.at, block);
    code.loop(() => {
      const { loss, worst } = pass.write(true);
      this.note(code, block, step, worst, loss);
      this.update(code, block, coefficients);
      code.set(2, code.addI(step, code.i32(1)));
      code.set(3, code.addI(coefficients, code.i32(4 * this.moving.length)));
      code.set(1, code.subI(count, code.i32(1)));
    }, count);
  }

  /** What a look tells: which networks are right, and which are no longer finite and train no further. */
  private note(code: Code, block: Push, step: Push, worst: Push, loss: Push): void {
    const now = code.keep(code.op("splatI32", step));
    const alive = code.keep(code.load(block, ALIVE));
    const never = code.integers(NEVER);
    const right = code.keep(code.op("and", code.op("lt", worst, code.constant(this.spec.tolerance)), alive));
    code.store(block, RIGHT, right);
    code.store(block, RIGHT_AT, code.op("minU32", code.load(block, RIGHT_AT), code.op("bitselect", now, never, right)));
    const sum = code.local(V128);
    code.set(sum, worst);
    // a start whose very loss overflows is none; later the outputs tell
    code.when(code.isZero(step), () => code.set(sum, code.op("add", worst, code.op("mul", loss, code.constant(0)))));
    const gap = code.op("sub", code.get(sum), code.get(sum));
    const finite = code.keep(code.op("eq", gap, code.constant(0)));
    const lost = code.op("bitselect", never, now, finite);
    code.store(block, NONFINITE_AT, code.op("minU32", code.load(block, NONFINITE_AT), lost));
    code.store(block, ALIVE, code.op("and", alive, finite));
  }

  /** One update of every weight by the optimizer's rule. */
  private update(code: Code, block: Push, coefficients: Push): void {
    const { optimizer, parameters } = this.spec;
    const alive = code.keep(code.load(block, ALIVE));
    const moving = this.moving.map((_, place) => code.keep(code.splat(coefficients, 4 * place)));
    const params = (name: string): number => paramLeaf(optimizer.params, name) ?? 0;
    const pointer = code.local(I32);
    const end = code.local(I32);
    code.set(pointer, block);
    code.set(end, code.addI(block, code.i32(parameters * VECTOR)));
    code.loop(
      () => {
        const here = code.get(pointer);
        const weight = code.keep(code.load(here, HEAD));
        const gradient = code.keep(code.load(here, this.at.gradients[0]));
        const state = this.at.state.map((offset) => code.keep(code.load(here, offset)));
        const [moved, ...slots] = written(code, this.module, optimizer.forms.update, (name) => {
          const [kind, key] = name.split(".");
          if (kind === "weight") return weight;
          if (kind === "gradient") return gradient;
          if (kind === "state") return state[Number(key)];
          if (kind !== "coefficient") return Math.fround(params(name));
          const place = this.moving.indexOf(key);
          return place >= 0 ? moving[place] : Math.fround(number(optimizer.forms.coefficients[key], params));
        });
        const kept = [moved, ...slots].map((value) => code.keep(value));
        code.store(here, HEAD, code.op("bitselect", kept[0], weight, alive));
        slots.forEach((_, slot) => code.store(here, this.at.state[slot], kept[slot + 1]));
        code.set(pointer, code.addI(here, code.i32(VECTOR)));
      },
      code.isBelow(code.get(pointer), code.get(end)),
    );
  }
}

/** A sum over the rows of `each` terms a row: one number, or those of terms, of sixteens and of sixteens of these. */
interface Sum {
  each: number;
  levels: number;
  get(level: number): Push;
  set(level: number, value: Push): void;
}

/** The rows of the data, one after another: forward, and backward to the gradients. */
class Pass {
  private readonly pointer: number;
  private readonly row: number; // how many rows have been passed

  constructor(
    private readonly code: Code,
    private readonly module: Module,
    private readonly spec: Spec,
    private readonly at: Places,
    private readonly block: Push,
  ) {
    this.pointer = code.local(I32);
    this.row = code.local(I32);
  }

  write(backward: boolean): { loss: Push; worst: Push } {
    const { code, spec, at } = this;
    const losses = this.lossSum();
    const gradients = backward ? Array.from({ length: spec.parameters }, (_, p) => this.gradient(p)) : [];
    const worst = code.local(V128);
    code.set(worst, code.constant(0));
    this.clear([losses, ...gradients]);
    code.set(this.pointer, code.i32(0));
    code.set(this.row, code.i32(0));
    code.loop(
      () => {
        const { elements, distance, gradient, layers } = this.forward();
        elements.forEach((element, n) => {
          losses.set(0, code.op("add", losses.get(0), element));
          this.carry([losses], n + 1);
        });
        for (const each of distance) code.set(worst, code.op("max", code.get(worst), each));
        if (backward) this.backward(gradient(), layers);
        this.carry(
          gradients.filter((sum) => sum.each === 1),
          1,
        );
        code.set(this.pointer, code.addI(code.get(this.pointer), code.i32(at.row)));
        code.set(this.row, code.addI(code.get(this.row), code.i32(1)));
      },
      code.isBelow(code.get(this.pointer), code.i32(at.row * spec.inputs.length)),
    );
    this.finish([losses, ...gradients]);
    const loss = code.keep(code.op("mul", losses.get(0), code.constant(spec.scale)));
    return { loss, worst: code.get(worst) };
  }

  private lossSum(): Sum {
    const { code, spec } = this;
    const levels = isLong(spec, spec.outputs) ? LEVELS : 1;
    const locals = Array.from({ length: levels }, () => code.local(V128));
    return {
      each: spec.outputs,
      levels,
      get: (level) => code.get(locals[level]),
      set: (level, value) => code.set(locals[level], value),
    };
  }

  /** The gradient of a weight. Those of the first layer are one product of matrices, whose terms are added up one after
   * another. */
  private gradient(place: number): Sum {
    const { code, spec } = this;
    const behind = spec.layers.find((layer) => layer.learned === place);
    const each = behind ? behind.fanOut : 1;
    const first = place < spec.layers[0].bias + spec.layers[0].fanOut;
    const offset = (level: number): number => this.at.gradients[level] + place * VECTOR;
    return {
      each,
      levels: isLong(spec, each) && !first ? LEVELS : 1,
      get: (level) => code.load(this.block, offset(level)),
      set: (level, value) => code.store(this.block, offset(level), value),
    };
  }

  private clear(sums: Sum[]): void {
    for (const sum of sums) for (let level = 0; level < sum.levels; level++) sum.set(level, this.code.constant(0));
  }

  /** Once as many terms of this row are in sums as `terms` says, of as many a row: where these make whole sixteens, they
   * go to the next level. */
  private carry(sums: Sum[], terms: number): void {
    const long = sums.filter((sum) => sum.levels > 1);
    if (!long.length) return;
    const { code } = this;
    const made = code.keep(code.addI(code.mulI(code.get(this.row), code.i32(long[0].each)), code.i32(terms)), I32);
    const from = (level: number): void =>
      code.when(code.isZero(code.andI(made, code.i32(TOGETHER ** (level + 1) - 1))), () => {
        for (const sum of long) sum.set(level + 1, code.op("add", sum.get(level + 1), sum.get(level)));
        for (const sum of long) sum.set(level, code.constant(0));
        if (level + 2 < LEVELS) from(level + 1);
      });
    from(0);
  }

  /** Make one number of each sum. */
  private finish(sums: Sum[]): void {
    const add = (sum: Sum, level: number): Push =>
      level ? this.code.op("add", add(sum, level - 1), sum.get(level)) : sum.get(0);
    for (const sum of sums) if (sum.levels > 1) sum.set(0, add(sum, sum.levels - 1));
  }

  private weight(place: number): Push {
    return this.code.load(this.block, HEAD + place * VECTOR);
  }

  private add(place: number, make: (before: Push) => Push): void {
    const sum = this.gradient(place);
    sum.set(0, make(sum.get(0)));
  }

  private activationLeaf(layer: Dense, z: Push, h: Push | null): Leaf {
    const { entry, params } = this.spec.activation;
    return (name) => {
      if (name === "z") return z;
      if (name === "h" && h) return h;
      if (layer.learned >= 0 && name === `param.${entry.learned?.start}`) return this.weight(layer.learned);
      return Math.fround(paramLeaf(params, name) ?? 0);
    };
  }

  private forward(): {
    elements: Push[];
    distance: Push[];
    gradient: () => Push[];
    layers: { x: Push[]; z: Push[] }[];
  } {
    const { code, module, spec } = this;
    const row = code.get(this.pointer);
    let x: Push[] = spec.inputs[0].map((_, n) => code.keep(code.splat(row, 4 * n)));
    const layers: { x: Push[]; z: Push[] }[] = [];
    spec.layers.forEach((layer, number) => {
      const z = Array.from({ length: layer.fanOut }, (_, o) => code.keep(this.preActivation(layer, number, o, x)));
      layers.push({ x, z });
      if (number < spec.hidden.length) {
        x = z.map((each) =>
          code.keep(written(code, module, spec.activation.forms.value, this.activationLeaf(layer, each, null))[0]),
        );
      }
    });
    const z = layers[layers.length - 1].z;
    const p = this.outputs(z).map((value) => code.keep(value));
    const y = spec.targets[0].map((_, n) => code.keep(code.splat(row, 4 * (spec.inputs[0].length + n))));
    const leaf: Leaf = (name) => {
      const from = { z, p, y }[name[0]];
      return from && /^[zpy]\d+$/.test(name)
        ? from[Number(name.slice(1))]
        : Math.fround(paramLeaf(spec.loss.params, name) ?? 0);
    };
    const forms = spec.loss.forms;
    return {
      elements: written(code, module, forms.elements, leaf),
      distance: written(code, module, forms.distance, leaf),
      gradient: () => this.throughOutput(written(code, module, forms.gradient, leaf), z, p),
      layers,
    };
  }

  private preActivation(layer: Dense, number: number, o: number, x: Push[]): Push {
    const { code, spec } = this;
    const matrix = (i: number): Push => this.weight(layer.weight + o * layer.fanIn + i);
    const bias = this.weight(layer.bias + o);
    if (number === 0 || !spec.lanes) {
      const side = spec.lanes ? spec.inputs.length : layer.fanOut;
      let sum = code.op("mul", x[0], matrix(0));
      for (let i = 1; i < layer.fanIn; i++) sum = this.inProduct(side, x[i], matrix(i), sum);
      return code.op("add", sum, bias);
    }
    if (layer.fanIn <= layer.fanOut) {
      let sum = bias;
      for (let i = 0; i < layer.fanIn; i++) sum = code.madd(x[i], matrix(i), sum);
      return sum;
    }
    const products = x.map((own, i) => code.op("mul", own, matrix(i)));
    return code.op("add", total(code, products), bias);
  }

  /** A term of a product of matrices as torch's library adds it up, by how many columns its result has. */
  private inProduct(side: number, one: Push, other: Push, before: Push): Push {
    const { code } = this;
    return side < NARROW ? code.op("add", before, code.op("mul", one, other)) : code.madd(one, other, before);
  }

  private outputs(z: Push[]): Push[] {
    const { code, module, spec } = this;
    if (spec.joint) return written(code, module, spec.joint, (name) => z[Number(name.slice(1))]);
    const output = spec.output;
    if (!output) throw new Error("a network without an output activation");
    return z.map(
      (each) =>
        written(code, module, output.forms.value, (name) =>
          name === "z" ? each : Math.fround(paramLeaf(output.params, name) ?? 0),
        )[0],
    );
  }

  private throughOutput(gradients: Push[], z: Push[], p: Push[]): Push[] {
    const { code, module, spec } = this;
    const output = spec.output;
    return gradients.map((gradient, n) => {
      let own = gradient;
      if (!spec.loss.entry.fused && output) {
        const slope = written(code, module, output.forms.slope, (name) =>
          name === "z" ? z[n] : name === "h" ? p[n] : Math.fround(paramLeaf(output.params, name) ?? 0),
        )[0];
        own = code.op("mul", gradient, slope);
      }
      return code.keep(code.op("mul", own, code.constant(spec.scale)));
    });
  }

  private backward(above: Push[], layers: { x: Push[]; z: Push[] }[]): void {
    const { code, module, spec } = this;
    let dz = above;
    for (let number = spec.layers.length - 1; number >= 0; number--) {
      const layer = spec.layers[number];
      const { x } = layers[number];
      dz.forEach((own, o) => {
        this.add(layer.bias + o, (before) => code.op("add", before, own));
        for (let i = 0; i < layer.fanIn; i++) {
          this.add(layer.weight + o * layer.fanIn + i, (before) =>
            number === 0
              ? this.inProduct(layer.fanIn + 1, x[i], own, before)
              : code.op("add", before, code.op("mul", x[i], own)),
          );
        }
      });
      if (number === 0) return;
      const below = spec.layers[number - 1];
      const { z } = layers[number - 1];
      dz = x.map((h, i) => {
        const dh = code.keep(this.fromAbove(layer, dz, i));
        if (below.learned >= 0 && spec.activation.forms.learned) {
          const slope = written(code, module, spec.activation.forms.learned, this.activationLeaf(below, z[i], h))[0];
          this.add(below.learned, (before) => code.op("add", before, code.op("mul", dh, slope)));
          this.carry([this.gradient(below.learned)], i + 1);
        }
        const slope = written(code, module, spec.activation.forms.slope, this.activationLeaf(below, z[i], h))[0];
        return code.keep(code.op("mul", dh, slope));
      });
    }
  }

  private fromAbove(layer: Dense, dz: Push[], i: number): Push {
    const { code, spec } = this;
    const matrix = (o: number): Push => this.weight(layer.weight + o * layer.fanIn + i);
    if (spec.lanes && layer.fanIn <= layer.fanOut)
      return total(
        code,
        dz.map((own, o) => code.op("mul", own, matrix(o))),
      );
    let sum = code.op("mul", dz[0], matrix(0));
    const side = spec.lanes ? NARROW : layer.fanIn;
    for (let o = 1; o < layer.fanOut; o++) sum = this.inProduct(side, dz[o], matrix(o), sum);
    return sum;
  }
}
