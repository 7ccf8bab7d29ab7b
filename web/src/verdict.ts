/** Why networks ended as they did: the conditions of nnspec/diagnostics/conditions.py, in their order, with the
 * thresholds that the page was given. */
import { curvature } from "./curvature";
import type { Bounds, Entries } from "./entries";
import type { Diagnosed } from "./messages";
import { type Backward, type Forward, backward, distances, forward, loss } from "./network";
import { margin } from "./program";
import type { Spec } from "./spec";
import { NEVER } from "./kernel";
import { type Facts, factsOf, layerFacts } from "./units";

export interface Ended {
  initial: Float32Array[];
  final: Float32Array[];
  steps: number[];
  losses: Float32Array[]; // [row][network]
  right: boolean[];
  rightAt: Int32Array;
  nonfiniteAt: Int32Array;
}

/** By how much of itself a loss changed over the last fifth of training, by a straight line, and how much it jittered. */
export function trend(steps: number[], line: number[], tail: number): [number, number] {
  if (steps.length < 2) return [NaN, NaN];
  const last = steps[steps.length - 1];
  const count = Math.max(2, steps.filter((step) => step >= (1 - tail) * last).length);
  const values = line.slice(-count);
  const places = steps.slice(-count);
  const mean = (all: number[]): number => all.reduce((a, b) => a + b, 0) / all.length;
  const centre = mean(places);
  const at = places.map((place) => (place - centre) / (places[count - 1] - places[0]));
  const middle = mean(values);
  const change = at.reduce((sum, x, n) => sum + (values[n] - middle) * x, 0) / at.reduce((sum, x) => sum + x * x, 0);
  const left = values.map((value, n) => value - middle - change * at[n]);
  return [change / Math.abs(middle), Math.sqrt(mean(left.map((x) => x * x))) / Math.abs(middle)];
}

interface Measured {
  run: Forward;
  back: Backward;
  unsolved: boolean[];
}

/** What is known of an activation's units, hidden and of the output. */
export interface Known {
  hidden: Facts;
  layers: Facts[]; // see `layerFacts`
}

export function knownOf(entries: Entries, spec: Spec): Known {
  return { hidden: factsOf(entries, spec.activation), layers: layerFacts(entries, spec) };
}

/** The weights of a network, and what they tell by themselves. */
export class Position {
  readonly numbers: Record<string, number> = {};
  private measured: Measured | null = null;

  constructor(
    protected readonly entries: Entries,
    protected readonly spec: Spec,
    protected readonly known: Known,
    readonly weights: Float64Array,
  ) {}

  /** What passes over the rows tell; those of networks that have learnt are never made. */
  get passes(): Measured {
    this.measured ??= this.measure();
    return this.measured;
  }

  private measure(): Measured {
    const { spec, weights } = this;
    const run = forward(spec, weights, spec.inputs);
    const back = backward(spec, weights, run);
    const distance = distances(spec, run);
    const worst = Math.max(...distance);
    const unsolved = Array.from(distance, (own) => own >= spec.tolerance || own === worst);
    const size = norm(back.gradient);
    Object.assign(this.numbers, {
      gradient_norm: size,
      relative_gradient: (size * norm(weights)) / Math.abs(loss(spec, run)),
      gradient_ratio: rootMeanSquare(back.dz[0]) / rootMeanSquare(back.dz[back.dz.length - 1]),
      passage: passage(spec, run, unsolved),
    });
    return { run, back, unsolved };
  }

  protected limit(name: string): number {
    const found = this.entries.thresholds[name];
    if (found === undefined) throw new Error(`there is no threshold ${name}`);
    return found;
  }

  dead_units(): boolean {
    const { run, unsolved } = this.passes;
    const rows = this.spec.inputs.length;
    const dark = new Array<boolean>(rows).fill(false);
    let units = 0;
    run.slopes.forEach((slopes, n) => {
      if (!this.known.layers[n].dies) return;
      units += slopes.filter((slope) => slope.every((own) => own === 0)).length;
      for (let r = 0; r < rows; r++) dark[r] ||= slopes.every((slope) => slope[r] === 0);
    });
    this.numbers["dead_units"] = units;
    this.numbers["dead_rows"] = dark.filter(Boolean).length;
    return unsolved.every((open, row) => !open || dark[row]);
  }

  /** Whether units of a hidden layer are copies of one another. */
  copies(): boolean {
    const { spec } = this;
    let share = Infinity;
    for (let n = 0; n < spec.hidden.length; n++) {
      const count = this.distinct(n);
      if (count / spec.hidden[n] < share) {
        share = count / spec.hidden[n];
        this.numbers["distinct_units"] = count;
      }
    }
    return share < 1;
  }

  /** How many units of a hidden layer are distinct, by their weights in and out. */
  private distinct(n: number): number {
    const { spec, weights } = this;
    const [layer, above] = [spec.layers[n], spec.layers[n + 1]];
    const units = Array.from({ length: layer.fanOut }, (_, o) => {
      const into = Array.from({ length: layer.fanIn }, (_, i) => weights[layer.weight + o * layer.fanIn + i]);
      const out = Array.from({ length: above.fanOut }, (_, k) => weights[above.weight + k * above.fanIn + o]);
      return [...into, weights[layer.bias + o], ...out];
    });
    const along = units[0].map((_, f) => Math.sin(1 + 12.9898 * (f + 1)));
    const side = (unit: number[]): number => unit.reduce((sum, value, f) => sum + value * along[f], 0);
    const turned = units.map((unit) => (this.known.hidden.odd && side(unit) < 0 ? unit.map((value) => -value) : unit));
    turned.sort((a, b) => side(a) - side(b));
    const largest = Math.max(...turned.map(norm));
    return (
      1 +
      turned
        .slice(1)
        .filter((unit, u) => norm(unit.map((value, f) => value - turned[u][f])) > this.limit("copies") * largest).length
    );
  }

  saturated(): boolean {
    void this.passes;
    const { passage, gradient_ratio: ratio } = this.numbers;
    return passage < this.limit("passage") && ratio < this.limit("vanishing");
  }

  /** Whether what a verdict rests on holds here already; asked of weights on the way. */
  holds(name: string): boolean {
    return name === "symmetric" ? this.copies() : name === "saturated" ? this.saturated() : this.dead_units();
  }
}

/** One network at the end, and what was measured of it. */
class Case extends Position {
  constructor(
    entries: Entries,
    spec: Spec,
    known: Known,
    private readonly ended: Ended,
    private readonly network: number,
  ) {
    super(entries, spec, known, Float64Array.from(ended.final[network]));
    const line = ended.losses.map((row) => row[network]);
    const [slope, jitter] = trend(ended.steps, line, entries.thresholds["tail"]);
    Object.assign(this.numbers, {
      init_loss: line[0],
      final_loss: line[line.length - 1],
      loss_slope: slope,
      loss_jitter: jitter,
      solved_at: ended.rightAt[network] === NEVER ? NaN : ended.rightAt[network],
    });
  }

  diverged(): boolean {
    const { nonfiniteAt } = this.ended;
    const { init_loss: start, final_loss: end, loss_slope: slope } = this.numbers;
    if (nonfiniteAt[this.network] !== NEVER || !this.weights.every(Number.isFinite) || !Number.isFinite(end))
      return true;
    return end > this.limit("diverged_factor") * start && slope > this.limit("growing");
  }

  solved(): boolean {
    return this.ended.right[this.network];
  }

  beyond_capacity(): boolean {
    const { spec } = this;
    const bounds = this.bounds();
    if (!bounds) return false;
    if (spec.hidden.length && !this.known.hidden.linear) return false;
    const best = margin(spec.inputs, this.targetOf(), bounds);
    if (Number.isFinite(best)) this.numbers["margin"] = best;
    return best <= this.limit("inseparable");
  }

  private bounds(): Bounds | null {
    const { spec } = this;
    return spec.loss.entry.bounds[String(spec.outputs)]?.[String(spec.tolerance)] ?? null;
  }

  private targetOf(): number[] {
    return this.spec.labels.map((label) => (this.spec.loss.entry.one_hot ? label : +(label > 0)));
  }

  symmetric(): boolean {
    const { spec } = this;
    if (!this.copies()) return false;
    const bounds = this.bounds();
    if (!bounds) return false;
    const { x } = this.passes.run;
    const last = x[x.length - 1];
    const best = margin(
      spec.inputs.map((_, r) => last.map((unit) => unit[r])),
      this.targetOf(),
      bounds,
    );
    this.numbers["margin"] = best;
    return best <= this.limit("inseparable");
  }

  local_minimum(): boolean {
    const { run, back } = this.passes;
    if (this.numbers["relative_gradient"] < this.limit("stationary")) {
      const [low, high] = curvature(this.spec, this.weights, run, back, this.entries.curvature);
      this.numbers["smallest_eigenvalue"] = low;
      this.numbers["largest_eigenvalue"] = high;
    }
    return Number.isFinite(this.numbers["smallest_eigenvalue"] ?? NaN) && !this.saddle();
  }

  saddle(): boolean {
    const { smallest_eigenvalue: low = NaN, largest_eigenvalue: high = NaN } = this.numbers;
    return low < -this.limit("curvature") * Math.max(Math.abs(low), Math.abs(high));
  }

  still_learning(): boolean {
    const { loss_slope: slope, loss_jitter: jitter } = this.numbers;
    return slope < -Math.max(this.limit("falling"), jitter);
  }

  stuck(): boolean {
    return true;
  }
}

/** The most of a gradient that the hidden activations pass to the first layer, for any row that is not right. */
function passage(spec: Spec, run: Forward, unsolved: boolean[]): number {
  const through = (row: number): number =>
    spec.hidden.reduce((product, _, n) => product * Math.max(...run.slopes[n].map((slope) => Math.abs(slope[row]))), 1);
  return Math.max(0, ...unsolved.map((open, row) => (open ? through(row) : 0)));
}

type Condition = Exclude<keyof Case, "numbers" | "weights" | "passes" | "copies" | "holds">;

/** The conditions that the page has; verdicts of nnspec without one are not given, and the page says so. */
export function hasCondition(name: string): name is Condition {
  return name in Case.prototype && name !== "constructor";
}

const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));

function rootMeanSquare(units: Float64Array[]): number {
  const total = units.reduce((sum, unit) => sum + unit.reduce((a, b) => a + b * b, 0), 0);
  return Math.sqrt(total / (units.length * units[0].length));
}

/** The verdict on each network, and what it rests on. */
export function diagnose(entries: Entries, spec: Spec, ended: Ended): Diagnosed {
  const known = knownOf(entries, spec);
  const order = entries.verdicts.map(({ name }) => name).filter(hasCondition);
  const cases = ended.final.map((_, network) => new Case(entries, spec, known, ended, network));
  const verdicts = cases.map((each) => order.find((name) => each[name]()) ?? "stuck");
  const names = [...new Set(cases.flatMap((each) => Object.keys(each.numbers)))];
  const numbers = Object.fromEntries(
    names.map((name) => [name, Float64Array.from(cases, (each) => each.numbers[name] ?? NaN)]),
  );
  return { verdicts, numbers };
}
