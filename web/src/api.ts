/** `window.nnspec`: the page's trainer for scripts. */
import type { Said } from "./entries";
import { NEVER } from "./kernel";
import { told } from "./sentences";
import type { Difference } from "./statistics";
import { Training, type Workers } from "./trainer";
import { type Nested, fromTensors, toTensors } from "./tensors";

export interface Order {
  spec?: Said;
  weights?: Record<string, Nested>; // tensor name: [networks, ...]
  networks?: number;
  seed?: number;
}

export interface Trained {
  weights: Record<string, Nested>; // tensor name: [networks, ...]
  loss: number[]; // of each network after the last update
  verdicts: string[];
  why: string[]; // a sentence a network
  solved_at: (number | null)[]; // after how many updates each was first right; null: never
  steps: number[]; // updates made at each row of the losses
  losses: number[][]; // [row][network]
  numbers: Record<string, number[]>; // what the verdicts rest on, by name
}

declare global {
  interface Window {
    nnspec: {
      version: string;
      train: (order: Order) => Promise<Trained>;
      difference: (onlyFirst: number, onlySecond: number, pairs: number) => Difference;
    };
  }
}

/** Train networks as a spec says, from given weights or from seeds, to their last epoch. */
export async function train(workers: Workers, order: Order): Promise<Trained> {
  const said = order.spec ?? {};
  const start = order.weights
    ? { weights: fromTensors(workers.entries, said, order.weights), seed: 0 }
    : { networks: order.networks ?? 1, seed: order.seed ?? 0 };
  const training = await Training.begin(workers, said, start);
  try {
    await training.advance(training.spec.epochs);
    const [weights, diagnosis] = [await training.weights(), await training.diagnose()];
    const { seen } = training;
    return {
      weights: toTensors(training.spec, weights),
      loss: Array.from(seen.losses[seen.losses.length - 1]),
      verdicts: diagnosis.verdicts,
      why: diagnosis.verdicts.map((_, network) => told(workers.entries, training, diagnosis, network).why),
      solved_at: Array.from(seen.rightAt, (at) => (at === NEVER ? null : at)),
      steps: seen.steps,
      losses: seen.losses.map((row) => Array.from(row)),
      numbers: Object.fromEntries(
        Object.entries(diagnosis.numbers).map(([name, values]) => [name, Array.from(values)]),
      ),
    };
  } finally {
    training.forget();
  }
}
