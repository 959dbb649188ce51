/**
 * Workers that perform duties at the same time, round by round, while this thread blocks: every
 * bench that measures more than one thread runs on them.
 *
 * A member prepares its duty, and then sleeps until the next round. This thread measures a round
 * from the wake-up of the members until the last one has finished.
 *
 * @module
 */

import type { Order } from "./crew_worker.ts";

/** The words by which a crew meets, each on a cache line of its own. */
export const CREW = {
  /** The number of the present round. The bench stores it, and notifies. */
  round: 0,
  /** How often members have prepared or finished a round. Each member adds to it, and notifies. */
  done: 16,
  /** 1 once a member has failed. Set before `done` is notified. */
  failed: 32,
  words: 48,
} as const;

/** The work of a member. */
export interface Duty {
  /** A function of the crew's module, which prepares the duty and returns a {@link Round}. */
  readonly name: string;
  /** Its argument. */
  readonly argument: unknown;
  /** The parts of the argument that are transferred. */
  readonly transfer?: Transferable[];
}

/** Performs a duty once; called in each round. */
export type Round = () => void | Promise<void>;

/** Shared words, all zero. */
export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}

/** Shared numbers, all zero. */
export function sharedNumbers(count: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * count));
}

/** Both ends of a new channel. */
export function ports(): [MessagePort, MessagePort] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
}

/** Workers that perform the duties of one module. */
export class Crew {
  readonly #module: string;
  /**
   * The workers, by duty and place in the crew: each keeps to one duty, so that its code is
   * compiled for that, as it would be in a program.
   */
  readonly #workers = new Map<string, Worker>();
  #words = sharedWords(CREW.words);
  #size = 0;
  #round = 0;

  /** @param module A path relative to this file. */
  constructor(module: string) {
    this.#module = import.meta.resolve(module);
  }

  /**
   * Gives each member a duty, and blocks until all have prepared theirs.
   *
   * @param rounds How many rounds follow. Only after the last of them can duties be assigned again.
   */
  assign(duties: readonly Duty[], rounds = Infinity): this {
    const words = this.#words = sharedWords(CREW.words);
    this.#size = duties.length;
    this.#round = 0;
    duties.forEach(({ name, argument, transfer = [] }, i) => {
      const order: Order = { module: this.#module, name, argument, rounds, words };
      this.#worker(`${name} ${i}`).postMessage(order, transfer);
    });
    this.#untilDone(this.#size);
    return this;
  }

  /** Has all members perform their duty once; blocks until they have. */
  run(): void {
    this.#round++;
    Atomics.store(this.#words, CREW.round, this.#round);
    Atomics.notify(this.#words, CREW.round);
    this.#untilDone(this.#size * (this.#round + 1));
  }

  #worker(name: string): Worker {
    let worker = this.#workers.get(name);
    if (worker === undefined) {
      worker = new Worker(import.meta.resolve("./crew_worker.ts"), { type: "module", name });
      this.#workers.set(name, worker);
    }
    return worker;
  }

  #untilDone(count: number): void {
    for (;;) {
      const done = Atomics.load(this.#words, CREW.done);
      if (Atomics.load(this.#words, CREW.failed) === 1) throw new Error("A member has failed");
      if (done >= count) return;
      Atomics.wait(this.#words, CREW.done, done);
    }
  }
}

/** Lets the members of a crew begin at the same time: each calls the result in each round. */
export function meetingAt(word: Int32Array, size: number): () => void {
  let round = 0;
  return () => {
    round++;
    Atomics.add(word, 0, 1);
    while (Atomics.load(word, 0) < round * size) Atomics.pause();
  };
}

/** How often an end finds nothing to do before it gives up its core. */
export const SPINS = 1000;

const idle = sharedWords(1);

/** Blocks for a while. */
export function sleepFor(milliseconds: number): void {
  Atomics.wait(idle, 0, 0, milliseconds);
}

/** Keeps its core busy for a while. */
export function spinFor(milliseconds: number): void {
  const start = performance.now();
  while (performance.now() - start < milliseconds) Atomics.pause();
}
