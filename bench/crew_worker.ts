/**
 * A member of a crew: it does its duty once in each round.
 *
 * @module
 */

import { CREW } from "./crew.ts";

/** What a member is told. */
export interface Member {
  module: string;
  name: string;
  argument: unknown;
  /** The words by which the crew meets. */
  words: Int32Array;
}

type Prepare = (argument: unknown) => () => void | Promise<void>;

async function serve({ module, name, argument, words }: Member): Promise<never> {
  const { [name]: prepare } = await import(module) as Record<string, Prepare>;
  const duty = prepare!(argument);
  for (let round = 1;; round++) {
    Atomics.add(words, CREW.done, 1);
    Atomics.notify(words, CREW.done);
    while (Atomics.load(words, CREW.round) < round) Atomics.wait(words, CREW.round, round - 1);
    await duty();
  }
}

addEventListener("message", (event) => {
  serve((event as MessageEvent<Member>).data);
}, { once: true });
