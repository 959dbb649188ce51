/**
 * A member of a crew: it prepares the duty that it is assigned, and performs it once in each round.
 *
 * @module
 */

import { CREW, type Round } from "./crew.ts";

/** A duty, and the words by which the crew meets. */
export interface Order {
  module: string;
  name: string;
  argument: unknown;
  rounds: number;
  words: Int32Array;
}

type Prepare = (argument: unknown) => Round | Promise<Round>;

async function serve({ module, name, argument, rounds, words }: Order): Promise<void> {
  try {
    const { [name]: prepare } = await import(module) as Record<string, Prepare>;
    const perform = await prepare!(argument);
    tellDone(words);
    for (let round = 0; round < rounds; round++) {
      while (Atomics.load(words, CREW.round) === round) Atomics.wait(words, CREW.round, round);
      await perform();
      tellDone(words);
    }
  } catch (error) {
    console.error(error);
    Atomics.store(words, CREW.failed, 1);
    tellDone(words);
  }
}

function tellDone(words: Int32Array): void {
  Atomics.add(words, CREW.done, 1);
  Atomics.notify(words, CREW.done);
}

addEventListener("message", (event) => void serve((event as MessageEvent<Order>).data));
