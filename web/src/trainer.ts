/** Networks of one spec, shared among workers. The page and `window.nnspec.train` use the same. */
import type { Entries, Said } from "./entries";
import type { Box, Course, Diagnosed, End, Inspected, Progress, Reply, Request } from "./messages";
import { type Spec, resolve } from "./spec";
import { quantile } from "./statistics";

declare const WORKER: string; // the worker's code, put here by the build

type Waiting = { done: (result: unknown) => void; failed: (error: Error) => void };

/** A worker, asked one thing after another. */
class Asked {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  constructor(address: string, entries: Entries) {
    this.worker = new Worker(address);
    this.worker.onmessage = (event: MessageEvent<Reply>) => {
      const reply = event.data;
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if ("error" in reply) waiting?.failed(new Error(reply.error));
      else waiting?.done(reply.result);
    };
    this.worker.onerror = (event) => {
      for (const waiting of this.waiting.values()) waiting.failed(new Error(event.message));
      this.waiting.clear();
    };
    void this.ask({ kind: "entries", entries });
  }

  ask<T>(request: Request): Promise<T> {
    const id = ++this.last;
    return new Promise<T>((done, failed) => {
      this.waiting.set(id, { done: done as (result: unknown) => void, failed });
      this.worker.postMessage({ id, request });
    });
  }
}

/** The workers of the page, one a core. */
export class Workers {
  readonly all: Asked[];
  private jobs = 0;

  constructor(readonly entries: Entries) {
    const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    const count = Math.max(1, Math.min(8, navigator.hardwareConcurrency || 2));
    this.all = Array.from({ length: count }, () => new Asked(address, entries));
  }

  nextJob(): number {
    return ++this.jobs;
  }
}

export type Start = { networks: number; seed: number } | { weights: Float32Array[]; seed: number };

/** What is known of all networks on the way. */
export interface Seen {
  steps: number[];
  losses: Float32Array[]; // [row][network]
  bands: number[][]; // [row][share of `SHARES`]: the losses below which these shares of the networks lie
  rightAt: Int32Array;
  nonfiniteAt: Int32Array;
}

const TAKEN = 100_000; // losses that are taken from workers at a time: the page sorts them, and must answer meanwhile
export const SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1];

function bandsOf(losses: Float32Array): number[] {
  const sorted = Float32Array.from(losses, (loss) => (Number.isFinite(loss) ? loss : Infinity)).sort();
  return SHARES.map((share) => quantile(sorted, share));
}

interface Share {
  worker: Asked;
  first: number;
  count: number;
}

function concatenate<T extends Float32Array | Int32Array | Float64Array>(parts: T[]): T {
  const [first] = parts;
  const all = new (first.constructor as new (length: number) => T)(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Networks in training. */
export class Training {
  readonly seen: Seen = { steps: [], losses: [], bands: [], rightAt: new Int32Array(), nonfiniteAt: new Int32Array() };
  step = 0;

  private constructor(
    readonly spec: Spec,
    readonly networks: number,
    readonly seed: number,
    private readonly job: number,
    private readonly shares: Share[],
    private readonly given: Float32Array[] | null,
  ) {}

  /** The weights that a network was given at the start; null where its seed makes them. */
  start(network: number): Float32Array | null {
    return this.given ? this.given[network] : null;
  }

  /** Begin with the networks of seeds `seed`, `seed + 1`, ..., or with given weights. */
  static async begin(workers: Workers, said: Said, start: Start): Promise<Training> {
    const spec = resolve(workers.entries, said);
    const given = "weights" in start ? start.weights : null;
    const { seed } = start;
    const networks = "networks" in start ? start.networks : start.weights.length;
    if (!Number.isInteger(networks) || networks < 1 || networks > workers.entries.limits.networks) {
      throw new Error(
        `networks must be a whole number from 1 to ${workers.entries.limits.networks}, but is ${networks}`,
      );
    }
    const job = workers.nextJob();
    const each = Math.ceil(networks / workers.all.length / 4) * 4;
    const shares = workers.all
      .map((worker, n) => ({ worker, first: n * each, count: Math.min(each, networks - n * each) }))
      .filter((share) => share.count > 0);
    const training = new Training(spec, networks, seed, job, shares, given);
    training.take(
      await Promise.all(
        shares.map(({ worker, first, count }) =>
          worker.ask<Progress>({
            kind: "begin",
            job,
            said,
            seeds: given ? null : Array.from({ length: count }, (_, n) => seed + first + n),
            weights: given ? given.slice(first, first + count) : null,
          }),
        ),
      ),
    );
    return training;
  }

  private take(parts: Progress[]): void {
    const { steps, losses, bands } = this.seen;
    steps.length = losses.length = bands.length = parts[0].first;
    steps.push(...parts[0].steps);
    parts[0].losses.forEach((_, row) => {
      const all = concatenate(parts.map((part) => part.losses[row]));
      losses.push(all);
      bands.push(bandsOf(all));
    });
    this.seen.rightAt = concatenate(parts.map((part) => part.rightAt));
    this.seen.nonfiniteAt = concatenate(parts.map((part) => part.nonfiniteAt));
  }

  private ask<T>(request: (share: Share) => Request): Promise<T[]> {
    return Promise.all(this.shares.map((share) => share.worker.ask<T>(request(share))));
  }

  /** Make updates, not more than the spec's epochs. */
  async advance(updates: number): Promise<void> {
    const end = Math.min(this.step + updates, this.spec.epochs);
    const most = this.spec.logEvery * Math.max(1, Math.floor(TAKEN / this.networks));
    while (this.step < end) {
      const count = Math.min(most, end - this.step);
      this.take(await this.ask<Progress>(() => ({ kind: "advance", job: this.job, updates: count })));
      this.step += count;
    }
  }

  /** The weights of all networks, [networks][parameters]. */
  async weights(): Promise<Float32Array[]> {
    return (await this.ask<Float32Array[]>(() => ({ kind: "weights", job: this.job, networks: null }))).flat();
  }

  /** The weights of one network. */
  async weightsOf(network: number): Promise<Float32Array> {
    const { worker, first } = this.shareOf(network);
    const [found] = await worker.ask<Float32Array[]>({ kind: "weights", job: this.job, networks: [network - first] });
    return found;
  }

  /** What the layers of one network do on its data. */
  async inspect(network: number): Promise<Inspected> {
    const { worker, first } = this.shareOf(network);
    return worker.ask<Inspected>({ kind: "inspect", job: this.job, network: network - first });
  }

  /** Since when a network's units are as they are, and since when its verdict holds. */
  async course(network: number, { verdicts, numbers }: Diagnosed): Promise<Course> {
    const { worker, first } = this.shareOf(network);
    const jitter = numbers["loss_jitter"]?.[network] ?? NaN;
    const [kind, verdict] = ["course" as const, verdicts[network]];
    return worker.ask<Course>({ kind, job: this.job, network: network - first, verdict, jitter });
  }

  /** Put the networks where they ended elsewhere. */
  async finish(end: End): Promise<void> {
    const part = <T extends Float32Array | Int32Array>(all: T, { first, count }: Share): T =>
      all.slice(first, first + count) as T;
    this.take(
      await this.ask<Progress>((share) => ({
        kind: "finish",
        job: this.job,
        end: {
          weights: end.weights.slice(share.first, share.first + share.count),
          steps: end.steps,
          losses: end.losses.map((row) => part(row, share)),
          rightAt: part(end.rightAt, share),
          nonfiniteAt: part(end.nonfiniteAt, share),
        },
      })),
    );
    this.step = end.steps[end.steps.length - 1];
  }

  /** Replace the weights of one network. */
  async put(network: number, weights: Float32Array): Promise<void> {
    const share = this.shareOf(network);
    await this.ask((each) =>
      each === share
        ? { kind: "put", job: this.job, network: network - share.first, weights }
        : { kind: "look", job: this.job },
    ).then((parts) => this.take(parts as Progress[]));
  }

  private shareOf(network: number): Share {
    const found = this.shares.find((share) => network >= share.first && network < share.first + share.count);
    if (!found) throw new Error(`there is no network ${network}`);
    return found;
  }

  /** Why each network is as it is. */
  async diagnose(): Promise<Diagnosed> {
    const parts = await this.ask<Diagnosed>(() => ({ kind: "diagnose", job: this.job }));
    const names = new Set(parts.flatMap((part) => Object.keys(part.numbers)));
    const of = (part: Diagnosed, name: string): Float64Array =>
      part.numbers[name] ?? new Float64Array(part.verdicts.length).fill(NaN);
    return {
      verdicts: parts.flatMap((part) => part.verdicts),
      numbers: Object.fromEntries([...names].map((name) => [name, concatenate(parts.map((part) => of(part, name)))])),
    };
  }

  /** What networks compute on a grid of size * size points, from the bottom left, row by row: outputs of one number, or
   * the likeliest class. */
  async surfaces(networks: number[], size: number, box: Box): Promise<Map<number, Float32Array>> {
    const found = new Map<number, Float32Array>();
    await Promise.all(
      this.shares.map(async (share) => {
        const own = networks.filter((n) => n >= share.first && n < share.first + share.count);
        if (!own.length) return;
        const request: Request = {
          kind: "surfaces",
          job: this.job,
          networks: own.map((n) => n - share.first),
          size,
          box,
        };
        const drawn = await share.worker.ask<Float32Array[]>(request);
        drawn.forEach((values, place) => found.set(own[place], values));
      }),
    );
    return found;
  }

  forget(): void {
    void this.ask(() => ({ kind: "forget", job: this.job }));
  }
}
