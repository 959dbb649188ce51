/**
 * A few workers that the broadcast benches give jobs, and the statistics of what comes out.
 *
 * @module
 */

import { CONTROL, type Job } from "./broadcast_worker.ts";

/** What all jobs of a burst have in common, and what each has besides. */
export type Burst = Omit<Job, "control" | "receiver" | "role">;

/**
 * Workers that do one burst after the other. Each has one role and keeps it, so that its code is
 * compiled for that, as it would be in a program.
 */
export class Team {
  readonly #workers = new Map<string, Worker>();

  /**
   * Has the ends of a burst do their part.
   *
   * @param roles One for each end; receivers are numbered from the second on.
   * @param transfers What is handed over to each end in place of `via`.
   * @returns The seconds that it took from their beginning to the end of the last one, and what each
   * end returned.
   */
  async run(
    burst: Burst,
    roles: readonly Job["role"][],
    transfers: MessagePort[] = [],
  ): Promise<{ seconds: number; results: unknown[]; control: Int32Array }> {
    const control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
    const results = roles.map((role, i) => {
      const port = transfers[i];
      const job = { ...burst, via: port ?? burst.via, role, control, receiver: i - 1 };
      const worker = this.#worker(`${role} ${i}`);
      worker.postMessage(job, port === undefined ? [] : [port]);
      return new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
    });
    await until(control, CONTROL.ready, roles.length);
    const start = performance.now();
    Atomics.store(control, CONTROL.go, 1);
    Atomics.notify(control, CONTROL.go);
    await until(control, CONTROL.done, roles.length);
    const seconds = (performance.now() - start) / 1000;
    return { seconds, results: await Promise.all(results), control };
  }

  /** Ends the workers. */
  dismiss(): void {
    for (const worker of this.#workers.values()) worker.terminate();
    this.#workers.clear();
  }

  #worker(name: string): Worker {
    let worker = this.#workers.get(name);
    if (worker === undefined) {
      worker = new Worker(import.meta.resolve("./broadcast_worker.ts"), { type: "module" });
      this.#workers.set(name, worker);
    }
    return worker;
  }
}

async function until(control: Int32Array, word: number, count: number): Promise<void> {
  for (let seen; (seen = Atomics.load(control, word)) < count;) {
    await Atomics.waitAsync(control, word, seen, 1000).value;
  }
}

/** The value below which a share of the samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** The middle one of the samples. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}
