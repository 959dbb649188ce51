/**
 * A strategy that follows a given schedule, once.
 *
 * @module
 */

import type { Thread } from "../machine/thread.ts";
import { decodeSchedule } from "../report/schedule.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** Follows a schedule; after its end, each thread runs as far as it can. */
export class Replay implements Strategy {
  readonly isExhaustive = false;
  problem: string | undefined = undefined;
  readonly #schedule: readonly number[];
  #depth = 0;

  /** @throws {TypeError} If the text is not a schedule. */
  constructor(schedule: string) {
    this.#schedule = decodeSchedule(schedule);
  }

  choose(enabled: readonly Thread[], { threads, trace }: ExecutionView): Thread | undefined {
    const slot = this.#schedule[this.#depth];
    if (slot === undefined) {
      const last = trace.at(-1)?.thread;
      return enabled.find((thread) => thread.id === last) ?? enabled[0];
    }
    const chosen = enabled.find((thread) => thread.slot === slot);
    if (chosen === undefined) {
      this.problem = `The schedule to replay does not fit this model: as step ${this.#depth + 1} ` +
        `it runs thread ${
          threads.findLast((t) => t?.slot === slot)?.name ?? slot
        }, which cannot run there`;
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
