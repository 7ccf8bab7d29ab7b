/** The way of one network, trained once more by itself: since when its units are off or saturated, and since when its
 * verdict holds, as nnspec/diagnostics/since.py asks it. */
import type { Entries, VerdictEntry } from "./entries";
import { Kernel, NEVER } from "./kernel";
import type { Course, UnitCourse } from "./messages";
import type { Spec } from "./spec";
import { type UnitState, unitStates } from "./units";
import { Position, knownOf } from "./verdict";

const LOOKS = 2 ** 25; // numbers that looking at the way may take: beyond, it is looked at every few updates
const NEAR = 1e-3; // the most by which the way may end beside where the network is

/** A network that is at an update, and how it came there. */
export interface Way {
  start: Float32Array;
  edits: { step: number; weights: Float32Array }[]; // by hand
  end: Float32Array;
  step: number;
  nonfiniteAt: number;
  steps: number[]; // of the losses
  losses: number[];
}

/** Since when the network's units are as they are, and since when its verdict holds: numbers of updates, NaN where
 * nothing tells. */
export function course(entries: Entries, spec: Spec, way: Way, verdict: VerdictEntry, jitter: number): Course {
  const known = knownOf(entries, spec);
  const every = Math.ceil((way.step * spec.parameters * spec.inputs.length) / LOOKS) || 1;
  const marks: Since<UnitState>[][] = [];
  const held = new Since<boolean>();
  let last = way.start;
  walk(spec, way, every, (step, weights) => {
    const position = new Position(entries, spec, known, Float64Array.from(weights));
    unitStates(entries, known.layers, position.passes.run).forEach((states, layer) =>
      states.forEach((state, unit) => ((marks[layer] ??= [])[unit] ??= new Since()).see(step, state)),
    );
    if (verdict.held) held.see(step, position.holds(verdict.name));
    last = weights;
  });
  const there = last.every((value, p) => Object.is(value, way.end[p]) || Math.abs(value - way.end[p]) < NEAR);
  const now = new Position(entries, spec, known, Float64Array.from(way.end)).passes.run;
  const units = unitStates(entries, known.layers, now).flatMap((states, layer) =>
    states.flatMap((state, unit): UnitCourse[] => {
      const mark = marks[layer][unit];
      return state ? [{ layer, unit, state, since: there && mark.last === state ? mark.since : NaN }] : [];
    }),
  );
  const since = verdict.held && there ? (held.last ? held.since : NaN) : sinceByLoss(entries, way, verdict, jitter);
  return { units, since, every: there ? every : 0 };
}

/** What was seen last, and since when it was seen at each look. */
class Since<T> {
  last: T | null = null;
  since = NaN;

  see(step: number, value: T): void {
    if (value !== this.last) [this.last, this.since] = [value, step];
  }
}

/** Train the network anew to where it is, and look at its weights every few updates, at the start and at the end. */
function walk(spec: Spec, way: Way, every: number, look: (step: number, weights: Float32Array) => void): void {
  const kernel = new Kernel(spec, 1);
  kernel.begin([way.start]);
  let edits = way.edits;
  for (;;) {
    for (; edits.length && edits[0].step === kernel.step; edits = edits.slice(1)) kernel.putOne(0, edits[0].weights);
    look(kernel.step, kernel.weights(0));
    if (kernel.step >= way.step) return;
    const next = Math.min(way.step, kernel.step + every, edits[0]?.step ?? Infinity);
    kernel.advance(next - kernel.step);
  }
}

/** Of a diverged network since when it is lost, of one whose loss stands still since when it does. */
function sinceByLoss(entries: Entries, way: Way, verdict: VerdictEntry, jitter: number): number {
  const { losses, steps } = way;
  const [first, last] = [losses[0], losses[losses.length - 1]];
  if (verdict.name === "diverged") {
    if (way.nonfiniteAt !== NEVER) return way.nonfiniteAt;
    return settled(way, (loss) => !(loss <= entries.thresholds["diverged_factor"] * first));
  }
  if (!verdict.level) return NaN;
  const share = Math.max(entries.thresholds["moved"], entries.thresholds["jitters"] * (jitter || 0));
  const found = settled(way, (loss) => Math.abs(loss - last) <= share * Math.abs(last));
  return found === steps[steps.length - 1] ? NaN : found;
}

/** The first row of the losses since which something always holds. */
function settled({ steps, losses }: Way, holds: (loss: number) => boolean): number {
  let from = losses.length;
  while (from > 0 && holds(losses[from - 1])) from--;
  return from < losses.length ? steps[from] : NaN;
}
