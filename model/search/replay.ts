/**
 * A strategy that follows a given schedule, once.
 *
 * @module
 */

import type { Thread } from "../machine/thread.ts";
import { decodeSchedule, letter } from "../report/schedule.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** Follows a schedule; after its end, each thread runs as far as it can. */
export class Replay implements Strategy {
  readonly isExhaustive = false;
  readonly isShown = true;
  problem: string | undefined = undefined;
  /** The slots of its threads. */
  readonly #schedule: readonly number[];
  #depth = 0;

  /** @throws {TypeError} If the text is not a schedule. */
  constructor(schedule: string) {
    this.#schedule = decodeSchedule(schedule);
  }

  /** The number of steps of the schedule. */
  get length(): number {
    return this.#schedule.length;
  }

  /** What became of the schedule, if nothing has failed. */
  get reason(): string {
    const length = this.#schedule.length;
    if (this.#depth < length) {
      return `the run ended after ${this.#depth} of the ${length} steps of the schedule, without ` +
        "a failure";
    }
    const ended = `the schedule ran to its end (${length} of ${this.#depth} steps)`;
    if (this.#depth === length) return `${ended} without a failure`;
    return `${ended}, and the threads ran on to theirs, without a failure`;
  }

  choose(enabled: readonly Thread[], { threads, trace }: ExecutionView): Thread | undefined {
    const slot = this.#schedule[this.#depth];
    if (slot === undefined) {
      const last = trace.at(-1)?.thread;
      return enabled.find((thread) => thread.id === last) ?? enabled[0];
    }
    const chosen = enabled.find((thread) => thread.slot === slot);
    if (chosen === undefined) {
      const name = threads.findLast((thread) => thread?.slot === slot)?.name;
      const what = name === undefined
        ? `thread ${letter(slot)}, which does not exist there`
        : `thread ${letter(slot)} (${name}), which cannot run there`;
      this.problem = `The schedule to replay does not fit this model: as step ${this.#depth + 1} ` +
        `it runs ${what}. Threads that can: ${enabled.map((thread) => thread.name).join(", ")}`;
    }
    return chosen;
  }

  advanced(): void {
    this.#depth++;
  }

  backtrack(): number {
    return -1;
  }
}
