/** nnspec's sentences on why a network ended as it did, filled in with numbers of this page. */
import { type Entries, type Phrase, type Piece, type VerdictEntry, verdictEntry } from "./entries";
import { evaluate } from "./form";
import type { Diagnosed } from "./messages";
import type { Spec } from "./spec";
import type { Training } from "./trainer";
import { layerFacts } from "./units";

export type Numbers = Record<string, number | undefined>; // by name; what is missing was not measured

/** What sentences say of a spec and of networks that made so many updates, as nnspec/diagnostics/sentences.py has it. */
function facts(entries: Entries, spec: Spec, updates: number): Numbers {
  const { hidden, layers, inputs } = spec;
  const mortal = layerFacts(entries, spec);
  const every = Math.min(spec.logEvery, updates);
  const rowsBeforeTail = Math.ceil(Math.ceil((1 - entries.thresholds["tail"]) * updates) / every);
  return {
    rows: inputs.length,
    rows_looked_at: inputs.length,
    exact: 1,
    hidden_layers: hidden.length,
    hidden_width: hidden.length && hidden.every((width) => width === hidden[0]) ? hidden[0] : 0,
    mortal_units: layers.reduce((sum, { fanOut }, n) => sum + (mortal[n]?.dies ? fanOut : 0), 0),
    mortal_output: +(mortal[hidden.length]?.dies ?? false),
    epochs: 1,
    tail: updates - every * Math.min(rowsBeforeTail, Math.floor((updates - 1) / every)),
    snapshot_every: 1,
  };
}

/** What is told of a network that has a verdict: the verdict's entry, why it is so in one sentence, and the numbers that
 * sentences have. */
export function told(
  entries: Entries,
  training: Training,
  diagnosis: Diagnosed,
  network: number,
): { entry: VerdictEntry; why: string; numbers: Numbers } {
  const entry = verdictEntry(entries, diagnosis.verdicts[network]);
  const measured = Object.entries(diagnosis.numbers).map(([name, values]) => [name, values[network]]);
  const numbers: Numbers = { ...Object.fromEntries(measured), ...facts(entries, training.spec, training.step) };
  return { entry, why: why(entry, numbers), numbers };
}

/** Why a network ended as it did; the summary where a number that the sentence needs was not measured. */
function why(entry: VerdictEntry, numbers: Numbers): string {
  return entry.measures.every((name) => Number.isFinite(numbers[name]))
    ? filled(entry.sentence, numbers)
    : entry.summary;
}

/** A phrase with its numbers. */
export function filled(phrase: Phrase, numbers: Numbers): string {
  const places = phrase.nodes.map((_, place) => place);
  const values = evaluate({ nodes: phrase.nodes, results: places }, (name) => numbers[name] ?? NaN) as number[];
  const text = (pieces: Piece[]): string =>
    pieces
      .map((piece) => {
        if (typeof piece === "string") return piece;
        const [place, yes, no] = piece;
        return typeof yes === "string" ? formatted(values[place], yes) : text((values[place] ? yes : no) ?? []);
      })
      .join("");
  return text(phrase.text);
}

/** A number as Python's format has it, of the kinds that sentences use: g, f and %, with digits, a sign, thousands. */
export function formatted(value: number, how: string): string {
  const found = /^(\+?)(,?)(?:\.(\d+))?([gf%])$/.exec(how);
  if (!found) throw new Error(`the page knows no format ${how}`);
  const [, plus, comma, digits, kind] = found;
  const sign = value < 0 || Object.is(value, -0) ? "-" : plus;
  const size = Math.abs(value);
  const count = digits === undefined ? 6 : Number(digits);
  if (Number.isNaN(value)) return `${plus}nan${kind === "%" ? "%" : ""}`;
  if (size === Infinity) return `${sign}inf${kind === "%" ? "%" : ""}`;
  if (kind === "g") return sign + general(size, count || 1);
  const text = fixed(kind === "%" ? 100 * size : size, count);
  return sign + (comma ? text.replace(/\B(?=(\d{3})+(?!\d))/g, ",") : text) + (kind === "%" ? "%" : "");
}

/** So many digits and a power of ten; of two that are as near the even one, as Python rounds. */
function scientific(size: number, digits: number): { mantissa: string; power: number } {
  const [exact] = size.toExponential(100).split("e");
  const [rounded, power] = size.toExponential(digits - 1).split("e");
  const all = exact.replace(".", "");
  const halfway = /^50*$/.test(all.slice(digits));
  const kept = all.slice(0, digits);
  const even = halfway && Number(kept[digits - 1]) % 2 === 0;
  return { mantissa: even ? kept : rounded.replace(".", ""), power: Number(power) };
}

function general(size: number, digits: number): string {
  if (size === 0) return "0";
  const { mantissa, power } = scientific(size, digits);
  if (power < -4 || power >= digits) {
    const rest = mantissa.slice(1).replace(/0+$/, "");
    const shown = String(Math.abs(power)).padStart(2, "0");
    return `${mantissa[0]}${rest && `.${rest}`}e${power < 0 ? "-" : "+"}${shown}`;
  }
  const whole = power < 0 ? `0.${"0".repeat(-power - 1)}${mantissa}` : place(mantissa, power + 1);
  return whole.includes(".") ? whole.replace(/\.?0+$/, "") : whole;
}

function place(mantissa: string, before: number): string {
  return before === mantissa.length ? mantissa : `${mantissa.slice(0, before)}.${mantissa.slice(before)}`;
}

/** With so many digits behind the point. */
function fixed(size: number, digits: number): string {
  if (size >= 1e21) return BigInt(size).toString() + (digits ? `.${"0".repeat(digits)}` : "");
  const text = size.toFixed(digits);
  const more = size.toFixed(100);
  const at = more.indexOf(".") + digits + (digits ? 1 : 0);
  if (!/^\.?50*$/.test(more.slice(at))) return text;
  const down = more.slice(0, at);
  return Number(down[down.length - 1]) % 2 === 0 ? down : text;
}
