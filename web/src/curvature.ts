/** The curvature of a network's loss: products of its Hessian with directions (Pearlmutter 1994), as
 * nnspec/diagnostics/curvature.py has them. */
import { extremes } from "./eigen";
import { array, evaluate } from "./form";
import {
  type Backward,
  type Forward,
  blockOf,
  columnsOf,
  dot,
  fromAbove,
  hiddenLeaves,
  lossLeaves,
  outputBends,
} from "./network";
import { type Spec, paramLeaf } from "./spec";

interface Bends {
  hidden: Float64Array[][]; // of the slope by z
  learned: Float64Array[][]; // of the value by what is learned
  mixed: Float64Array[][]; // of the slope by what is learned
  twice: Float64Array[][]; // of the value by what is learned, twice
  output: Float64Array[][]; // [k][j]: of the gradient of output k by pre-activation j
}

function bendsOf(spec: Spec, weights: Float64Array, run: Forward): Bends {
  const rows = spec.inputs.length;
  const { forms } = spec.activation;
  const bends: Bends = { hidden: [], learned: [], mixed: [], twice: [], output: outputBend(spec, run) };
  for (let n = 0; n < spec.hidden.length; n++) {
    const [z, h] = [blockOf(run.z[n]), blockOf(run.x[n + 1])];
    const at = (form = forms.bend): Float64Array[] =>
      columnsOf(array(form, hiddenLeaves(spec, weights, spec.layers[n], z, h), z.length), rows);
    bends.hidden.push(at());
    if (spec.layers[n].learned < 0) continue;
    bends.learned[n] = at(forms.learned);
    bends.mixed[n] = at(forms.bend_learned);
    bends.twice[n] = at(forms.learned_twice);
  }
  return bends;
}

function outputBend(spec: Spec, run: Forward): Float64Array[][] {
  const rows = spec.inputs.length;
  const leaves = lossLeaves(spec, run);
  const z = run.z[run.z.length - 1];
  const [first] = Object.values(spec.loss.entry.bends); // no loss asks about its parameters
  const fused = spec.loss.entry.fused;
  const full = (value: number | Float64Array): Float64Array =>
    typeof value === "number" ? new Float64Array(rows).fill(value) : value;
  const gradients = evaluate(spec.loss.forms.gradient, leaves).map(full);
  const output = spec.output;
  const bends = output && !fused ? outputBends(spec, run) : null;
  return z.map((own, k) => {
    const [byZ, byP] = evaluate(first, (name) => leaves(name.replace(/^([zpy])0$/, `$1${k}`))).map(full);
    const slope = output
      ? array(
          output.forms.slope,
          (name) => (name === "z" ? own : name === "h" ? run.p[k] : (paramLeaf(output.params, name) ?? 0)),
          rows,
        )
      : null;
    return z.map((_, j) =>
      Float64Array.from({ length: rows }, (_, r) => {
        // outputs that hang together are softmax's
        const moved = slope ? (j === k ? slope[r] : 0) : run.p[k][r] * (+(j === k) - run.p[j][r]);
        const inner = (j === k ? byZ[r] : 0) + byP[r] * moved;
        if (fused || !slope) return inner * spec.scale;
        return j === k ? (inner * slope[r] + gradients[k][r] * (bends as Float64Array[])[k][r]) * spec.scale : 0;
      }),
    );
  });
}

/** The Hessian's image of a direction [parameters]. */
function times(
  spec: Spec,
  weights: Float64Array,
  run: Forward,
  back: Backward,
  bends: Bends,
  v: Float64Array,
): Float64Array {
  const rows = spec.inputs.length;
  const zeros = (count: number): Float64Array[] => Array.from({ length: count }, () => new Float64Array(rows));
  const rx: Float64Array[][] = [zeros(spec.inputs[0].length)];
  const rz: Float64Array[][] = [];
  spec.layers.forEach((layer, n) => {
    const x = run.x[n];
    rz.push(
      Array.from({ length: layer.fanOut }, (_, o) => {
        const column = new Float64Array(rows).fill(v[layer.bias + o]);
        for (let i = 0; i < layer.fanIn; i++) {
          const place = layer.weight + o * layer.fanIn + i;
          const [move, weight, own, moved] = [v[place], weights[place], x[i], rx[n][i]];
          for (let r = 0; r < rows; r++) column[r] += move * own[r] + weight * moved[r];
        }
        return column;
      }),
    );
    if (n >= spec.hidden.length) return;
    const learned = layer.learned >= 0 ? v[layer.learned] : 0;
    rx.push(
      rz[n].map((own, o) =>
        own.map((value, r) => run.slopes[n][o][r] * value + (learned ? bends.learned[n][o][r] * learned : 0)),
      ),
    );
  });
  const image = new Float64Array(spec.parameters);
  let change = bends.output.map((row) => {
    const column = new Float64Array(rows);
    row.forEach((bend, j) => {
      for (let r = 0; r < rows; r++) column[r] += bend[r] * rz[rz.length - 1][j][r];
    });
    return column;
  });
  for (let n = spec.layers.length - 1; n >= 0; n--) {
    const layer = spec.layers[n];
    const dz = back.dz[n];
    change.forEach((own, o) => {
      image[layer.bias + o] = own.reduce((a, b) => a + b, 0);
      for (let i = 0; i < layer.fanIn; i++)
        image[layer.weight + o * layer.fanIn + i] = dot(own, run.x[n][i]) + dot(dz[o], rx[n][i]);
    });
    if (n === 0) break;
    const below = spec.layers[n - 1];
    const dh = fromAbove(weights, layer, dz, rows);
    const one = fromAbove(weights, layer, change, rows);
    const two = fromAbove(v, layer, dz, rows);
    const learns = below.learned >= 0;
    const move = learns ? v[below.learned] : 0;
    let own = 0;
    change = dh.map((through, i) => {
      const slope = run.slopes[n - 1][i];
      const bend = bends.hidden[n - 1][i];
      const moved = rz[n - 1][i];
      return through.map((value, r) => {
        const rdh = one[i][r] + two[i][r];
        if (!learns) return rdh * slope[r] + value * bend[r] * moved[r];
        const mixed = bends.mixed[n - 1][i][r];
        own += rdh * bends.learned[n - 1][i][r] + value * (mixed * moved[r] + bends.twice[n - 1][i][r] * move);
        return rdh * slope[r] + value * (bend[r] * moved[r] + mixed * move);
      });
    });
    if (learns) image[below.learned] = own;
  }
  return image;
}

/** The smallest and the largest eigenvalue of a network's Hessian: of the whole, or beyond `exact` weights as `steps`
 * steps of Lanczos find them. */
export function curvature(
  spec: Spec,
  weights: Float64Array,
  run: Forward,
  back: Backward,
  limits: { exact: number; steps: number },
): [number, number] {
  const size = spec.parameters;
  const bends = bendsOf(spec, weights, run);
  const apply = (v: Float64Array): Float64Array => times(spec, weights, run, back, bends, v);
  if (size > limits.exact) return extremes(lanczos(apply, size, limits.steps));
  const rows = Array.from({ length: size }, (_, n) => {
    const direction = new Float64Array(size);
    direction[n] = 1;
    return apply(direction);
  });
  return extremes(rows.map((row, i) => row.map((value, j) => (value + rows[j][i]) / 2)));
}

/** The Hessian in a Krylov space, tridiagonal. */
function lanczos(apply: (v: Float64Array) => Float64Array, size: number, steps: number): Float64Array[] {
  const norm = (v: Float64Array): number => Math.sqrt(dot(v, v));
  // any direction that has a share of all eigenvectors
  let v = Float64Array.from(
    { length: size },
    (_, n) => Math.sin(1 + 12.9898 * (n + 1)) + 0.3 * Math.cos(78.233 * (n + 1)),
  );
  const length = norm(v);
  v = v.map((value) => value / length);
  const basis: Float64Array[] = [];
  const matrix = Array.from({ length: Math.min(steps, size) }, () => new Float64Array(Math.min(steps, size)));
  for (let n = 0; n < matrix.length; n++) {
    basis.push(v);
    const next = apply(v);
    matrix[n][n] = dot(next, v);
    for (let again = 0; again < 2; again++) {
      for (const known of basis) {
        const share = dot(next, known);
        for (let p = 0; p < size; p++) next[p] -= share * known[p];
      }
    }
    const beside = norm(next);
    if (n + 1 === matrix.length) break;
    if (beside < 1e-10) return matrix.slice(0, n + 1).map((row) => row.slice(0, n + 1));
    matrix[n][n + 1] = matrix[n + 1][n] = beside;
    v = next.map((value) => value / beside);
  }
  return matrix;
}
