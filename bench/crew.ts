/**
 * Workers that do something at the same time, over and over, while this thread waits for them.
 *
 * @module
 */

import type { Member } from "./crew_worker.ts";

/** The words by which a crew meets, each on a cache line of its own. */
export const CREW = {
  /** The number of the present round: stored by the one who waits, who then notifies. */
  round: 0,
  /** How many members are done with what they have to do: added to by each, which then notifies. */
  done: 16,
  words: 32,
} as const;

/** What a member is to do, and with what. */
export interface Duty {
  /** A function that {@link Crew}'s module exports; what it returns is called in each round. */
  readonly name: string;
  /** Its argument. */
  readonly argument: unknown;
  /** What of it is transferred. */
  readonly transfer?: Transferable[];
}

/** Workers that do their duty in each round. */
export class Crew {
  readonly #words = new Int32Array(new SharedArrayBuffer(CREW.words * 4));
  readonly #size: number;
  #round = 0;

  /** Starts a worker for each duty, and blocks until all are there. */
  constructor(module: string, duties: readonly Duty[]) {
    this.#size = duties.length;
    for (const { name, argument, transfer = [] } of duties) {
      const worker = new Worker(import.meta.resolve("./crew_worker.ts"), { type: "module", name });
      worker.postMessage({ module, name, argument, words: this.#words } satisfies Member, transfer);
    }
    this.#untilDone(this.#size);
  }

  /** Has all members do their duty once; blocks until they have. */
  run(): void {
    this.#round++;
    Atomics.store(this.#words, CREW.round, this.#round);
    Atomics.notify(this.#words, CREW.round);
    this.#untilDone(this.#size * (this.#round + 1));
  }

  #untilDone(count: number): void {
    for (let seen; (seen = Atomics.load(this.#words, CREW.done)) < count;) {
      Atomics.wait(this.#words, CREW.done, seen);
    }
  }
}

/** Lets the members of a crew begin at the same time: each calls what this returns in each round. */
export function meetingAt(word: Int32Array, size: number): () => void {
  let round = 0;
  return () => {
    round++;
    Atomics.add(word, 0, 1);
    while (Atomics.load(word, 0) < round * size) Atomics.pause();
  };
}
