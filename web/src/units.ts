/** What an activation's formula says about its units, and which of them let no gradient through. */
import type { Activation, ActivationForms, Entries } from "./entries";
import { array } from "./form";
import type { Forward } from "./network";
import { type Member, type Spec, paramLeaf } from "./spec";

export interface Facts {
  largest: number; // slope
  dies: boolean;
  linear: boolean;
  odd: boolean;
}

/** Off: its slope is 0 on every row. Saturated: next to nothing of its largest. */
export type UnitState = "off" | "saturated" | "";

/** What a formula says about its units, read off it on a grid. */
export function factsOf(entries: Entries, member: Member<Activation, ActivationForms>): Facts {
  const { low, high, count } = entries.probes;
  const z = Float64Array.from({ length: count }, (_, n) => low + ((high - low) * n) / (count - 1));
  const leaves =
    (h?: Float64Array, at = z) =>
    (name: string) =>
      name === "z" ? at : name === "h" && h ? h : (paramLeaf(member.params, name) ?? 0);
  const value = array(member.forms.value, leaves(), count);
  const slope = array(member.forms.slope, leaves(value), count);
  const turned = array(
    member.forms.value,
    leaves(
      undefined,
      z.map((x) => -x),
    ),
    count,
  );
  const learns = member.entry.learned !== null;
  return {
    largest: Math.max(...slope.map(Math.abs)),
    dies: !learns && slope.some((own, n) => n > 0 && own === 0 && slope[n - 1] === 0),
    linear: !learns && slope.every((own) => own === slope[0]),
    odd: !learns && value.every((own, n) => Math.abs(own + turned[n]) <= 1e-12 + 1e-12 * Math.abs(turned[n])),
  };
}

/** The same of each layer whose slopes a gradient passes: those of `Forward.slopes`. */
export function layerFacts(entries: Entries, spec: Spec): Facts[] {
  const hidden = spec.hidden.length ? factsOf(entries, spec.activation) : null;
  const passed = spec.hidden.flatMap(() => hidden ?? []);
  return spec.output && !spec.loss.entry.fused ? [...passed, factsOf(entries, spec.output)] : passed;
}

/** What each unit of these layers is, on all rows of the data. */
export function unitStates(entries: Entries, facts: Facts[], run: Forward): UnitState[][] {
  return run.slopes.map((slopes, n) => {
    const flat = entries.thresholds["flat"] * facts[n].largest;
    return slopes.map((slope) =>
      facts[n].dies && slope.every((own) => own === 0)
        ? "off"
        : slope.every((own) => Math.abs(own) < flat)
          ? "saturated"
          : "",
    );
  });
}
