/** What is said, made whole: every default filled in, every formula found. */
import type {
  Activation,
  ActivationForms,
  DataSet,
  Entries,
  Form,
  Init,
  Loss,
  LossForms,
  Named,
  Optimizer,
  OptimizerForms,
  Param,
  Said,
  Value,
  Variants,
} from "./entries";
import { array, number } from "./form";

export type Params = Record<string, Value>;

export interface Member<E, F> {
  name: string;
  entry: E;
  params: Params;
  forms: F;
}

export interface Dense {
  fanIn: number;
  fanOut: number;
  weight: number; // where its matrix [out, in] begins among the weights of a network
  bias: number;
  learned: number; // where what its activation learns is, or -1
}

export interface Spec {
  said: Said;
  activation: Member<Activation, ActivationForms>;
  init: Member<Init, Form>;
  biasInit: Member<Init, Form> | null; // null: zeros
  optimizer: Member<Optimizer, OptimizerForms>;
  loss: Member<Loss, LossForms>;
  output: Member<Activation, ActivationForms> | null; // null: softmax
  joint: Form | null;
  hidden: number[];
  layers: Dense[];
  parameters: number;
  lanes: boolean; // whether nnspec trains the networks side by side, and not one after another
  tensors: { name: string; shape: number[]; start: number }[];
  inputs: number[][];
  labels: number[];
  targets: number[][];
  columns: Float64Array[]; // the targets of each output
  outputs: number;
  scale: number;
  gain: number;
  tolerance: number;
  epochs: number;
  logEvery: number;
}

const fail = (text: string): never => {
  throw new Error(text);
};

function variant<T>(variants: Variants<T>, params: Params, extra: Record<string, boolean> = {}): T {
  const given: Record<string, Value> = { ...params, ...extra };
  for (const [key, found] of Object.entries(variants)) {
    const parts = key === "" ? [] : key.split(",").map((part) => part.split("="));
    if (parts.every(([name, value]) => String(given[name]) === value)) return found;
  }
  return fail(`no form for the parameters ${JSON.stringify(params)}`);
}

function withDefaults(kind: string, name: string, known: Param[], given: Params): Params {
  const params: Params = Object.fromEntries(known.map((param) => [param.name, param.default]));
  for (const [key, value] of Object.entries(given)) {
    if (key === "name" || (value === null && !(key in params))) continue;
    if (!(key in params))
      fail(`${kind} ${name} has no parameter ${key}; it has ${Object.keys(params).join(", ") || "none"}`);
    params[key] = value;
  }
  return params;
}

function find<E extends { params: Param[] }>(
  kind: string,
  entries: Record<string, E>,
  named: Named,
): [string, E, Params] {
  const name = typeof named === "string" ? named : named.name;
  const entry = entries[name];
  if (!entry) return fail(`there is no ${kind} ${name} on this page; it has ${Object.keys(entries).join(", ")}`);
  return [name, entry, withDefaults(kind, name, entry.params, typeof named === "string" ? {} : named)];
}

/** The leaves of an entry's parameters: `param.alpha`, and of a pair `param.betas.0`. */
export function paramLeaf(params: Params, leaf: string): number | undefined {
  const [kind, name, place] = leaf.split(".");
  if ((kind !== "param" && kind !== "hyper") || !(name in params)) return undefined;
  const value = params[name];
  const found = Array.isArray(value) ? value[Number(place)] : value;
  return typeof found === "boolean" ? +found : typeof found === "number" ? found : undefined;
}

export function findActivation(entries: Entries, named: Named): Member<Activation, ActivationForms> {
  const [name, entry, params] = find("activation", entries.activations, named);
  return { name, entry, params, forms: variant(entry.forms, params) };
}

function findInit(entries: Entries, named: Named): Member<Init, Form> {
  const [name, entry, params] = find("init", entries.inits, named);
  return { name, entry, params, forms: variant(entry.forms, params) };
}

/** The gain by the entry's formula, else by the midpoint rule as in nnspec/catalog/activations.py. */
function gainOf(activation: Member<Activation, ActivationForms>): number {
  const { entry, params, forms } = activation;
  const leaf = (name: string): number => paramLeaf(params, name) ?? 0;
  if (entry.gain) return number(variant(entry.gain, params), leaf);
  const count = 1 << 16;
  const step = 24 / count;
  const nodes = Float64Array.from({ length: count }, (_, n) => (n + 0.5) * step - 12);
  const values = array(forms.value, (name) => (name === "z" ? nodes : leaf(name)), count);
  let moment = 0;
  for (let n = 0; n < count; n++)
    moment += (Math.exp(-0.5 * nodes[n] * nodes[n]) / Math.sqrt(2 * Math.PI)) * values[n] ** 2 * step;
  return moment > 0 ? 1 / Math.sqrt(moment) : 1;
}

function rowsOf(entries: Entries, data: Said["data"]): DataSet {
  if (typeof data === "string")
    return (
      entries.data[data] ??
      fail(`there is no data set ${data} on this page; it has ${Object.keys(entries.data).join(", ")}`)
    );
  if (!data || data.inputs.length < 2) return fail("data must have at least two points");
  return {
    summary: "",
    said: [],
    ...data,
    classes: Math.max(2, ...data.labels.map((label) => label + 1)),
    tolerance: 0.5,
  };
}

/** The whole spec of what is said.
 *
 * Throws an error whose text says the rule and what was given. */
export function resolve(entries: Entries, said: Said): Spec {
  const whole: Said = { ...entries.defaults, ...said };
  const hidden = whole.hidden ?? [];
  if (!hidden.every((width) => Number.isInteger(width) && width > 0))
    fail(`hidden must be whole numbers above 0, but is [${hidden.join(",")}]`);
  const data = rowsOf(entries, whole.data ?? "xor");
  const activation = findActivation(entries, whole.activation ?? fail("no activation"));
  const init = findInit(entries, whole.init ?? fail("no init"));
  const bias = String(init.params["bias"]);
  const biasInit = bias === "same" ? init : findInit(entries, bias);
  const [optimizerName, optimizerEntry, h] = find(
    "optimizer",
    entries.optimizers,
    whole.optimizer ?? fail("no optimizer"),
  );
  const switched = Object.fromEntries(optimizerEntry.switches.map((name) => [`${name}_on`, h[name] !== 0]));
  const optimizer = {
    name: optimizerName,
    entry: optimizerEntry,
    params: h,
    forms: variant(optimizerEntry.forms, h, switched),
  };
  const [lossName, lossEntry, lossParams] = find("loss", entries.losses, whole.loss ?? fail("no loss"));
  const outputs = lossEntry.one_hot ? data.classes : 1;
  if (!lossEntry.one_hot && data.classes > 2)
    fail(`loss ${lossName} needs two classes, but the data have ${data.classes}; take one with an output a class`);
  const loss = {
    name: lossName,
    entry: lossEntry,
    params: lossParams,
    forms: variant(lossEntry.forms[String(outputs)], lossParams),
  };
  const joint = entries.joint[lossEntry.output]?.[String(outputs)] ?? null;
  const output = joint ? null : findActivation(entries, lossEntry.output);
  const layers: Dense[] = [];
  const tensors: Spec["tensors"] = [];
  const widths = [data.inputs[0].length, ...hidden, outputs];
  let start = 0;
  const add = (name: string, shape: number[]): number => {
    const begin = start;
    tensors.push({ name, shape, start });
    start += shape.reduce((a, b) => a * b, 1);
    return begin;
  };
  for (let n = 0; n + 1 < widths.length; n++) {
    const [fanIn, fanOut] = [widths[n], widths[n + 1]];
    const weight = add(`${2 * n}.weight`, [fanOut, fanIn]);
    const biasAt = add(`${2 * n}.bias`, [fanOut]);
    const learns = n < hidden.length ? activation.entry.learned : null;
    layers.push({
      fanIn,
      fanOut,
      weight,
      bias: biasAt,
      learned: learns ? add(`${2 * n + 1}.${learns.tensor}`, [1]) : -1,
    });
  }
  if (start > entries.limits.weights)
    fail(
      `a network may have ${entries.limits.weights} weights on this page, but has ${start}; take fewer hidden units`,
    );
  if (start * data.inputs.length > entries.limits.work)
    fail(
      `weights times rows may be ${entries.limits.work} on this page, but are ${start * data.inputs.length}; take fewer`,
    );
  const targets = data.labels.map((label) =>
    lossEntry.one_hot ? Array.from({ length: outputs }, (_, k) => +(k === label)) : [label > 0 ? 1 : lossEntry.off],
  );
  const epochs = whole.epochs ?? 1000;
  if (!Number.isInteger(epochs) || epochs < 1) fail(`epochs must be a whole number above 0, but is ${epochs}`);
  return {
    said: whole,
    activation,
    init,
    biasInit,
    optimizer,
    loss,
    output,
    joint,
    hidden,
    layers,
    parameters: start,
    lanes: start * data.inputs.length <= entries.limits.lanes,
    tensors,
    inputs: data.inputs,
    labels: data.labels,
    targets,
    columns: targets[0].map((_, k) => Float64Array.from(targets, (row) => row[k])),
    outputs,
    scale: number(lossEntry.scale, (name) => (name === "rows" ? data.inputs.length : outputs)),
    gain: hidden.length ? gainOf(activation) : output ? gainOf(output) : 1,
    tolerance: whole.tolerance ?? data.tolerance,
    epochs,
    logEvery: whole.log_every ?? entries.log_every,
  };
}
