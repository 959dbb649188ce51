/**
 * A strategy that follows a given schedule, once.
 *
 * @module
 */

import type { Operation } from "../machine/entry.ts";
import { SPAWN } from "../machine/kinds.ts";
import type { Thread } from "../machine/thread.ts";
import { decodeSchedule, letter } from "../report/schedule.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** Follows a schedule; after its end, each thread runs as far as it can. */
export class Replay implements Strategy {
  readonly isExhaustive = false;
  readonly isShown = true;
  problem: string | undefined = undefined;
  /** The letters' places in the alphabet. */
  readonly #schedule: readonly number[];
  /** The numbers of the threads in the order of their letters. */
  #order: number[] | undefined = undefined;
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
    const index = this.#schedule[this.#depth];
    if (index === undefined) {
      const last = trace.at(-1)?.thread;
      return enabled.find((thread) => thread.id === last) ?? enabled[0];
    }
    this.#order ??= [...threads.keys()];
    const id = this.#order[index];
    const chosen = enabled.find((thread) => thread.id === id);
    if (chosen === undefined) {
      const name = id === undefined ? undefined : threads[id]?.name;
      const what = name === undefined
        ? `thread ${letter(index)}, which does not exist there`
        : `thread ${letter(index)} (${name}), which cannot run there`;
      this.problem = `The schedule to replay does not fit this model: as step ${this.#depth + 1} ` +
        `it runs ${what}. Threads that can: ${enabled.map((thread) => thread.name).join(", ")}`;
    }
    return chosen;
  }

  advanced(entry: Operation): void {
    this.#depth++;
    if (entry.kind === SPAWN) this.#order?.push(entry.detail.child.id);
  }

  backtrack(): number {
    return -1;
  }
}
