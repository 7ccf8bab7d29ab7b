/** Networks that a run of nnspec filed, which the page was written for; see nnspec/play/filed.py. */
import { NEVER } from "./kernel";
import type { End } from "./messages";
import type { Spec } from "./spec";
import { fromFile, joined } from "./tensors";

export interface Filed {
  name: string; // of the run
  initial: string; // safetensors in base64
  final: string;
  steps: number[];
  losses: string; // float32 in base64, [row][network]
  solved_at: (number | null)[];
  lost_at: (number | null)[]; // since when a diverged network is
}

export function firstWeights(spec: Spec, filed: Filed): Float32Array[] {
  return joined(spec, fromFile(bytesOf(filed.initial)));
}

export function endOf(spec: Spec, filed: Filed): End {
  const { steps } = filed;
  const losses = new Float32Array(bytesOf(filed.losses));
  const networks = losses.length / steps.length;
  return {
    weights: joined(spec, fromFile(bytesOf(filed.final))),
    steps,
    losses: steps.map((_, row) => losses.slice(row * networks, (row + 1) * networks)),
    rightAt: Int32Array.from(filed.solved_at, (at) => at ?? NEVER),
    nonfiniteAt: Int32Array.from(filed.lost_at, (at) => at ?? NEVER),
  };
}

function bytesOf(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}
