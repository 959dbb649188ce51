/**
 * A schedule as a short string, and the strategy that follows it.
 *
 * Threads are letters in the order of their declaration, each with the number of steps that it
 * makes in a row: `a3b1a2`.
 *
 * @module
 */

import type { Entry } from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import type { Thread } from "../machine/thread.ts";
import type { Strategy } from "./strategy.ts";

/** The schedule of a trace. */
export function encodeSchedule(trace: readonly Entry[]): string {
  let text = "";
  for (let i = 0; i < trace.length;) {
    const { thread } = trace[i]!;
    let run = 0;
    while (i < trace.length && trace[i]!.thread === thread) {
      run++;
      i++;
    }
    text += String.fromCharCode(97 + thread) + run;
  }
  return text;
}

/**
 * The threads in the order in which the schedule runs them.
 *
 * @throws {TypeError} If the text is not a schedule.
 */
function decodeSchedule(text: string): number[] {
  if (!/^([a-h]\d+)*$/.test(text)) {
    throw new TypeError(
      `Cannot replay: expected letters a to h, each with a count, such as "a3b1", received "${text}"`,
    );
  }
  return [...text.matchAll(/([a-h])(\d+)/g)].flatMap(([, letter, count]) =>
    new Array<number>(Number(count)).fill(letter!.charCodeAt(0) - 97)
  );
}

/** Follows a schedule once; after its end, each thread runs as far as it can. */
export class Replay implements Strategy {
  readonly isExhaustive = false;
  readonly #schedule: readonly number[];
  #depth = 0;

  constructor(schedule: string) {
    this.#schedule = decodeSchedule(schedule);
  }

  choose(machine: Machine, enabled: readonly Thread[]): Thread | undefined {
    const id = this.#schedule[this.#depth];
    if (id === undefined) {
      const last = machine.trace.at(-1)?.thread;
      return enabled.find((t) => t.id === last) ?? enabled[0];
    }
    const thread = enabled.find((t) => t.id === id);
    if (thread === undefined) {
      machine.failure = {
        kind: "misuse",
        message: `The schedule to replay does not fit this model: as step ${this.#depth + 1} it ` +
          `runs thread ${machine.threads[id]?.name ?? id}, which cannot run there`,
      };
    }
    return thread;
  }

  advanced(): void {
    this.#depth++;
  }

  backtrack(): number {
    return -1;
  }
}
