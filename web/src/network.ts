/** One network in double precision, forward and backward, everything on the way kept: as nnspec/diagnostics/gradients.py
 * has it. Columns are arrays over rows, one a unit. */
import type { Entries } from "./entries";
import { array, evaluate } from "./form";
import type { Inspected } from "./messages";
import { type Dense, type Spec, paramLeaf } from "./spec";
import { layerFacts, unitStates } from "./units";

export interface Forward {
  x: Float64Array[][]; // inputs of each layer: [layer][unit][row]
  z: Float64Array[][]; // pre-activations
  slopes: Float64Array[][]; // of the hidden layers, and of the output unless the loss is fused
  p: Float64Array[]; // outputs
}

export interface Backward {
  dz: Float64Array[][];
  gradient: Float64Array;
}

/** The leaves of the activation behind a hidden layer. */
export function hiddenLeaves(
  spec: Spec,
  weights: Float64Array,
  layer: Dense,
  z: Float64Array,
  h?: Float64Array,
): (name: string) => number | Float64Array {
  const { entry, params } = spec.activation;
  return (name) => {
    if (name === "z") return z;
    if (name === "h" && h) return h;
    if (layer.learned >= 0 && name === `param.${entry.learned?.start}`) return weights[layer.learned];
    return paramLeaf(params, name) ?? 0;
  };
}

function outputLeaves(spec: Spec, z: Float64Array, p: Float64Array): (name: string) => number | Float64Array {
  const params = spec.output?.params ?? {};
  return (name) => (name === "z" ? z : name === "h" ? p : (paramLeaf(params, name) ?? 0));
}

/** Columns of `rows` numbers that lie one behind the other. */
export function columnsOf(block: Float64Array, rows: number): Float64Array[] {
  return Array.from({ length: block.length / rows }, (_, n) => block.subarray(n * rows, (n + 1) * rows));
}

/** The columns' block, which lie one behind the other. */
export function blockOf(columns: Float64Array[]): Float64Array {
  const [first] = columns;
  return new Float64Array(first.buffer, first.byteOffset, first.length * columns.length);
}

/** Every layer of a network on points [row][input]. */
export function forward(spec: Spec, weights: Float64Array, points: number[][]): Forward {
  const rows = points.length;
  let x: Float64Array[] = points[0].map((_, i) => Float64Array.from(points, (point) => point[i]));
  const run: Forward = { x: [], z: [], slopes: [], p: [] };
  spec.layers.forEach((layer, number) => {
    const block = new Float64Array(layer.fanOut * rows);
    const z = columnsOf(block, rows);
    z.forEach((column, o) => {
      column.fill(weights[layer.bias + o]);
      for (let i = 0; i < layer.fanIn; i++) {
        const weight = weights[layer.weight + o * layer.fanIn + i];
        const from = x[i];
        for (let r = 0; r < rows; r++) column[r] += weight * from[r];
      }
    });
    run.x.push(x);
    run.z.push(z);
    if (number >= spec.hidden.length) return;
    const { forms } = spec.activation;
    const h = array(forms.value, hiddenLeaves(spec, weights, layer, block), block.length);
    x = columnsOf(h, rows);
    run.slopes.push(columnsOf(array(forms.slope, hiddenLeaves(spec, weights, layer, block, h), block.length), rows));
  });
  const z = run.z[run.z.length - 1];
  const output = spec.output;
  if (spec.joint) {
    run.p = evaluate(spec.joint, (name) => z[Number(name.slice(1))]) as Float64Array[];
  } else if (output) {
    const block = blockOf(z);
    const p = array(output.forms.value, outputLeaves(spec, block, block), block.length);
    run.p = columnsOf(p, rows);
    if (!spec.loss.entry.fused)
      run.slopes.push(columnsOf(array(output.forms.slope, outputLeaves(spec, block, p), block.length), rows));
  }
  return run;
}

/** The derivative of the output's slope, [output][row]. */
export function outputBends(spec: Spec, run: Forward): Float64Array[] {
  const output = spec.output;
  if (!output) throw new Error("outputs that hang together have no slopes of their own");
  const z = run.z[run.z.length - 1];
  return z.map((column, k) => array(output.forms.bend, outputLeaves(spec, column, run.p[k]), column.length));
}

/** The leaves of the loss: pre-activations, outputs and targets of every row. */
export function lossLeaves(spec: Spec, run: Forward): (name: string) => number | Float64Array {
  const z = run.z[run.z.length - 1];
  return (name) => {
    const own = /^([zpy])(\d+)$/.exec(name);
    if (!own) return paramLeaf(spec.loss.params, name) ?? 0;
    const place = Number(own[2]);
    return own[1] === "z" ? z[place] : own[1] === "p" ? run.p[place] : spec.columns[place];
  };
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

/** The loss of the network on its data. */
export function loss(spec: Spec, run: Forward): number {
  const rows = spec.inputs.length;
  const parts = evaluate(spec.loss.forms.elements, lossLeaves(spec, run));
  return (
    spec.scale * parts.reduce<number>((all, part) => all + (typeof part === "number" ? part * rows : sum(part)), 0)
  );
}

/** How far each row's worst output is from its target. */
export function distances(spec: Spec, run: Forward): Float64Array {
  const parts = evaluate(spec.loss.forms.distance, lossLeaves(spec, run));
  return Float64Array.from(spec.inputs, (_, r) =>
    Math.max(...parts.map((part) => (typeof part === "number" ? part : part[r]))),
  );
}

/** The gradient of the loss by everything. */
export function backward(spec: Spec, weights: Float64Array, run: Forward): Backward {
  const rows = spec.inputs.length;
  const parts = evaluate(spec.loss.forms.gradient, lossLeaves(spec, run));
  const last = run.z[run.z.length - 1];
  let dz: Float64Array[] = last.map((_, k) => {
    const part = parts[k];
    const slope = spec.loss.entry.fused ? null : run.slopes[run.slopes.length - 1][k];
    return Float64Array.from(
      { length: rows },
      (_, r) => (typeof part === "number" ? part : part[r]) * (slope ? slope[r] : 1) * spec.scale,
    );
  });
  const gradient = new Float64Array(spec.parameters);
  const all: Float64Array[][] = [];
  for (let number = spec.layers.length - 1; number >= 0; number--) {
    const layer = spec.layers[number];
    all.unshift(dz);
    const x = run.x[number];
    dz.forEach((own, o) => {
      gradient[layer.bias + o] = sum(own);
      for (let i = 0; i < layer.fanIn; i++) gradient[layer.weight + o * layer.fanIn + i] = dot(x[i], own);
    });
    if (number === 0) break;
    const below = spec.layers[number - 1];
    const dh = fromAbove(weights, layer, dz, rows);
    if (below.learned >= 0 && spec.activation.forms.learned) {
      const form = spec.activation.forms.learned;
      const block = blockOf(run.z[number - 1]);
      const slopes = columnsOf(array(form, hiddenLeaves(spec, weights, below, block), block.length), rows);
      gradient[below.learned] = dh.reduce((total, own, o) => total + dot(own, slopes[o]), 0);
    }
    dz = dh.map((own, o) => product(own, run.slopes[number - 1][o]));
  }
  return { dz: all, gradient };
}

/** What reaches the inputs of a layer from the gradients of its pre-activations. */
export function fromAbove(weights: Float64Array, layer: Dense, dz: Float64Array[], rows: number): Float64Array[] {
  return Array.from({ length: layer.fanIn }, (_, i) => {
    const column = new Float64Array(rows);
    dz.forEach((own, o) => {
      const weight = weights[layer.weight + o * layer.fanIn + i];
      for (let r = 0; r < rows; r++) column[r] += weight * own[r];
    });
    return column;
  });
}

export function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let n = 0; n < a.length; n++) total += a[n] * b[n];
  return total;
}

export function product(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, n) => value * b[n]);
}

/** What the layers of a network do on its data. */
export function inspect(entries: Entries, spec: Spec, weights: Float64Array): Inspected {
  const run = forward(spec, weights, spec.inputs);
  const { gradient } = backward(spec, weights, run);
  return {
    gradients: spec.layers.map((layer) => {
      const own = gradient.subarray(layer.weight, layer.bias + layer.fanOut);
      return Math.sqrt(dot(own, own));
    }),
    values: spec.hidden.map((_, n) => blockOf(run.x[n + 1])),
    states: unitStates(entries, layerFacts(entries, spec), run),
  };
}
