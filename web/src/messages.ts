/** What the page and its workers say to each other. */
import type { Entries, Said } from "./entries";
import type { UnitState } from "./units";

export type Request =
  | { kind: "entries"; entries: Entries }
  | { kind: "begin"; job: number; said: Said; seeds: number[] | null; weights: Float32Array[] | null }
  | { kind: "advance"; job: number; updates: number }
  | { kind: "put"; job: number; network: number; weights: Float32Array }
  | { kind: "look"; job: number }
  | { kind: "diagnose"; job: number }
  | { kind: "weights"; job: number; networks: number[] | null }
  | { kind: "inspect"; job: number; network: number }
  | { kind: "course"; job: number; network: number; verdict: string; jitter: number }
  | { kind: "finish"; job: number; end: End }
  | { kind: "surfaces"; job: number; networks: number[]; size: number; box: Box }
  | { kind: "forget"; job: number };

export interface Box {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

export interface Progress {
  first: number; // the row of the history at which these begin
  steps: number[]; // updates made at each row of the losses
  losses: Float32Array[]; // [row][network]
  rightAt: Int32Array;
  nonfiniteAt: Int32Array;
}

/** What one network's layers do on its data, by layer. */
export interface Inspected {
  gradients: number[]; // the gradient's length by the weights and biases of each layer
  values: Float64Array[]; // of each hidden layer, all units on all rows
  states: UnitState[][]; // [layer][unit] of those whose slopes a gradient passes
}

/** A unit that lets no gradient through, and since which update; NaN where nothing tells. */
export interface UnitCourse {
  layer: number;
  unit: number;
  state: UnitState;
  since: number;
}

export interface Course {
  units: UnitCourse[];
  since: number; // updates since which the verdict holds, NaN where nothing tells
  every: number; // updates between two looks; 0 where the way ended elsewhere, and only the losses tell
}

/** Where networks ended that were trained elsewhere. */
export interface End {
  weights: Float32Array[];
  steps: number[];
  losses: Float32Array[]; // [row][network]
  rightAt: Int32Array;
  nonfiniteAt: Int32Array;
}

export interface Diagnosed {
  verdicts: string[];
  numbers: Record<string, Float64Array>;
}

export type Reply = { id: number; result: unknown } | { id: number; error: string };
