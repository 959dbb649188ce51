/**
 * Random schedules, for models too large to exhaust; the same seed gives the same schedules.
 *
 * Each execution of {@linkcode Pct} finds a bug that needs `d` ordering constraints with a
 * probability of at least `1 / (n * k^(d-1))`, for `n` threads and `k` steps.
 *
 * Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic
 * Guarantees of Finding Bugs", ASPLOS 2010.
 *
 * @module
 */

import { PAUSE } from "../machine/kinds.ts";
import type { Thread } from "../machine/thread.ts";
import type { Strategy } from "./strategy.ts";

/** A generator of numbers in [0, 1): a Weyl sequence through an integer hash. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Chooses at each step among all threads that can run, with equal probability. */
export class RandomWalk implements Strategy {
  readonly isExhaustive = false;
  readonly #random: () => number;
  readonly #executions: number;
  #left: number;

  constructor(seed: number, executions: number) {
    this.#random = generator(seed);
    this.#executions = this.#left = executions;
  }

  get fraction(): number {
    return 1 - this.#left / this.#executions;
  }

  choose(enabled: readonly Thread[]): Thread | undefined {
    return enabled[Math.floor(this.#random() * enabled.length)];
  }

  advanced(): void {}

  backtrack(): number {
    return --this.#left > 0 ? 0 : -1;
  }
}

/**
 * Runs the thread with the highest of random priorities; at `depth - 1` random steps, the running
 * thread gets the lowest.
 */
export class Pct implements Strategy {
  readonly isExhaustive = false;
  readonly #random: () => number;
  readonly #depth: number;
  readonly #executions: number;
  /** The number of executions that are still to come. */
  #left: number;
  /** The length of the longest execution so far: the range of the random steps. */
  #longest = 16;
  /** The number of steps of the present execution. */
  #steps = 0;
  /** The lowest priority; random ones are at least 0. */
  #lowest = 0;
  /** By thread number. */
  #priorities = new Map<number, number>();
  /** The steps at which the running thread gets the lowest priority. */
  #changes = new Set<number>();

  constructor(depth: number, seed: number, executions: number) {
    this.#random = generator(seed);
    this.#depth = depth;
    this.#executions = this.#left = executions;
    this.#begin();
  }

  get fraction(): number {
    return 1 - this.#left / this.#executions;
  }

  #begin(): void {
    this.#steps = 0;
    this.#lowest = 0;
    this.#priorities = new Map();
    this.#changes = new Set();
    for (let i = 1; i < this.#depth; i++) {
      this.#changes.add(Math.floor(this.#random() * this.#longest));
    }
  }

  choose(enabled: readonly Thread[]): Thread | undefined {
    const best = this.#best(enabled);
    // A paused thread would otherwise keep the thread that it waits for from running.
    if (this.#changes.has(this.#steps) || best.announced!.kind === PAUSE) {
      this.#priorities.set(best.id, --this.#lowest);
    }
    return this.#best(enabled);
  }

  #best(enabled: readonly Thread[]): Thread {
    const priority = (thread: Thread) => {
      let value = this.#priorities.get(thread.id);
      if (value === undefined) this.#priorities.set(thread.id, value = this.#random());
      return value;
    };
    return enabled.reduce((a, b) => priority(b) > priority(a) ? b : a);
  }

  advanced(): void {
    this.#steps++;
  }

  backtrack(): number {
    this.#longest = Math.max(this.#longest, this.#steps);
    this.#begin();
    return --this.#left > 0 ? 0 : -1;
  }
}
