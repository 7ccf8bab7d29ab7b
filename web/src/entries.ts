/** What Python puts into the page: every entry of nnspec that has a form for the browser. See nnspec/play/entries.py. */

export type Value = number | string | boolean | null | number[];
export type Node = [string, ...(number | string)[]];

/** A formula: nodes, each made of those before it, and which of them are its results. */
export interface Form {
  nodes: Node[];
  results: number[];
}

/** One formula for each way to choose the parameters that it asks about. */
export type Variants<T> = Record<string, T>;

export interface Param {
  name: string;
  default: Value;
  doc: string;
}

interface Entry {
  summary: string;
  params: Param[];
}

export interface ActivationForms {
  value: Form;
  slope: Form;
  bend: Form;
  learned?: Form;
  bend_learned?: Form;
  learned_twice?: Form;
}

export interface Activation extends Entry {
  learned: { tensor: string; start: string } | null;
  forms: Variants<ActivationForms>;
  gain: Variants<Form> | null;
}

export interface Init extends Entry {
  noise: string[];
  biases: boolean;
  forms: Variants<Form>;
}

export interface OptimizerForms {
  update: Form;
  start: Form;
  coefficients: Record<string, Form>;
}

export interface Optimizer extends Entry {
  switches: string[];
  forms: Variants<OptimizerForms>;
}

export interface LossForms {
  elements: Form;
  gradient: Form;
  distance: Form;
}

/** What pre-activations must be for a row of each target to be right; null is infinite. */
export interface Bounds {
  directions: number[][];
  least: (number | null)[][];
  width: (number | null)[][];
}

export interface Loss extends Entry {
  output: string;
  fused: boolean;
  one_hot: boolean;
  off: number;
  forms: Record<string, Variants<LossForms>>;
  bends: Variants<Form>;
  scale: Form;
  bounds: Record<string, Record<string, Bounds | null>>;
}

export interface DataSet {
  summary: string;
  said: string[]; // what a command says of its parameters
  inputs: number[][];
  labels: number[];
  classes: number;
  tolerance: number;
}

export interface VerdictEntry {
  name: string;
  summary: string;
  meaning: string;
  measures: string[];
  colour: string;
}

/** A member as a spec names it: its name, or the name with parameters. */
export type Named = string | ({ name: string } & Record<string, Value>);

/** What a person or a script says; everything else is nnspec's default. */
export interface Said {
  activation?: Named;
  init?: Named;
  optimizer?: Named;
  loss?: Named;
  data?: string | { inputs: number[][]; labels: number[] };
  hidden?: number[];
  epochs?: number;
  log_every?: number | null;
  tolerance?: number | null;
}

export interface Entries {
  version: string;
  activations: Record<string, Activation>;
  joint: Record<string, Record<string, Form>>;
  inits: Record<string, Init>;
  optimizers: Record<string, Optimizer>;
  losses: Record<string, Loss>;
  data: Record<string, DataSet>;
  left_out: { kind: string; name: string; why: string }[];
  verdicts: VerdictEntry[];
  thresholds: Record<string, number>;
  probes: { low: number; high: number; count: number };
  curvature: { exact: number; steps: number };
  log_every: number;
  start: { spec: Said; networks: number; seed: number };
  defaults: Said;
  limits: { networks: number; weights: number; work: number; lanes: number };
}
