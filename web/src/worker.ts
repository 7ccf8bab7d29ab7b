/** A worker: trains its share of the networks, judges them and draws what they compute. */
import { course } from "./course";
import { type Entries, verdictEntry } from "./entries";
import { History } from "./history";
import { Kernel } from "./kernel";
import type { Course, Diagnosed, Inspected, Progress, Request } from "./messages";
import { inspect } from "./network";
import { type Spec, resolve } from "./spec";
import { initialWeights } from "./start";
import { surfaces } from "./surface";
import { diagnose } from "./verdict";

interface Job {
  spec: Spec;
  kernel: Kernel;
  start: Float32Array[];
  history: History;
  edits: Map<number, { step: number; weights: Float32Array }[]>; // by hand, of each network
}

let entries: Entries;
const jobs = new Map<number, Job>();

function find(number: number): Job {
  const job = jobs.get(number);
  if (!job) throw new Error("the networks are gone; start anew");
  return job;
}

/** Train on, to a row of the history after another. */
function advance({ spec, kernel, history }: Job, updates: number): Progress {
  const first = history.lasting;
  const end = kernel.step + updates;
  while (kernel.step < end) {
    const next = Math.min(end, (Math.floor(kernel.step / spec.logEvery) + 1) * spec.logEvery);
    kernel.advance(next - kernel.step);
    kernel.look();
    history.write(next, kernel.losses(), next % spec.logEvery === 0 || next === spec.epochs);
  }
  return progress(kernel, history, first);
}

function progress(kernel: Kernel, history: History, first: number): Progress {
  return {
    first,
    steps: history.steps.slice(first),
    losses: history.losses.slice(first),
    rightAt: kernel.rightAt(),
    nonfiniteAt: kernel.nonfiniteAt(),
  };
}

function answer(request: Request): Progress | Diagnosed | Inspected | Course | Float32Array[] | null {
  switch (request.kind) {
    case "entries":
      entries = request.entries;
      return null;
    case "begin": {
      const spec = resolve(entries, request.said);
      const start = request.weights ?? (request.seeds ?? []).map((seed) => initialWeights(spec, seed));
      const kernel = new Kernel(spec, start.length);
      kernel.begin(start);
      const history = new History();
      history.write(0, kernel.losses(), true);
      jobs.set(request.job, { spec, kernel, start, history, edits: new Map() });
      return progress(kernel, history, 0);
    }
    case "advance":
      return advance(find(request.job), request.updates);
    case "put": {
      const { kernel, edits } = find(request.job);
      const { network, weights } = request;
      kernel.putOne(network, weights);
      edits.set(network, [...(edits.get(network) ?? []), { step: kernel.step, weights }]);
      return answer({ kind: "look", job: request.job });
    }
    case "look": {
      const { kernel, history } = find(request.job);
      kernel.look();
      history.write(kernel.step, kernel.losses(), false);
      return progress(kernel, history, history.steps.length - 1);
    }
    case "diagnose": {
      const { spec, kernel, start, history } = find(request.job);
      return diagnose(entries, spec, {
        initial: start,
        final: start.map((_, n) => kernel.weights(n)),
        steps: history.steps,
        losses: history.losses,
        right: kernel.rightNow(),
        rightAt: kernel.rightAt(),
        nonfiniteAt: kernel.nonfiniteAt(),
      });
    }
    case "weights": {
      const { kernel } = find(request.job);
      return (request.networks ?? Array.from({ length: kernel.networks }, (_, n) => n)).map((n) => kernel.weights(n));
    }
    case "inspect": {
      const { spec, kernel } = find(request.job);
      return inspect(entries, spec, Float64Array.from(kernel.weights(request.network)));
    }
    case "course": {
      const { spec, kernel, start, history, edits } = find(request.job);
      const { network } = request;
      const way = {
        start: start[network],
        edits: edits.get(network) ?? [],
        end: kernel.weights(network),
        step: kernel.step,
        nonfiniteAt: kernel.nonfiniteAt()[network],
        steps: history.steps,
        losses: history.losses.map((row) => row[network]),
      };
      return course(entries, spec, way, verdictEntry(entries, request.verdict), request.jitter);
    }
    case "finish": {
      const { kernel, history } = find(request.job);
      const { weights, steps, losses, rightAt, nonfiniteAt } = request.end;
      kernel.end(weights, steps[steps.length - 1], rightAt, nonfiniteAt);
      history.replace(steps, losses);
      return progress(kernel, history, 0);
    }
    case "surfaces": {
      const { spec, kernel } = find(request.job);
      return surfaces(
        spec,
        request.networks.map((n) => kernel.weights(n)),
        request.size,
        request.box,
      );
    }
    case "forget":
      jobs.delete(request.job);
      return null;
  }
}

self.onmessage = (event: MessageEvent<{ id: number; request: Request }>) => {
  const { id, request } = event.data;
  try {
    self.postMessage({ id, result: answer(request) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};
