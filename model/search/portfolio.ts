/**
 * The default search: optimal DPOR, with short runs of other strategies if it takes long.
 *
 * Depth first, DPOR stays in one corner of a large program for a long time. A bug that few switches
 * suffice for is found at once by schedules without preemptions, with one, or with random
 * priorities. So when DPOR is not done after a number of transitions, each of these gets as many,
 * and then DPOR goes on where it was. Small programs never get there.
 *
 * All of them run on one machine, so that `setup` runs once: the machine goes back to its first
 * state, and DPOR repeats the transitions of its present execution afterwards.
 *
 * @module
 */

import type { Entry, Operation } from "../machine/entry.ts";
import type { Thread } from "../machine/thread.ts";
import type { OptimalDpor } from "./dpor.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** How many transitions each run makes, but for the last one of DPOR. */
const RUN_TRANSITIONS = 10_000;

/** DPOR, interrupted once by probes. */
export class Portfolio implements Strategy {
  readonly #main: OptimalDpor;
  /** The probes that are still to come. */
  readonly #probes: Strategy[];
  #current: Strategy;
  /** The transitions of the present run. */
  #spent = 0;

  /** @param probes The strategies that interrupt it, in order. */
  constructor(main: OptimalDpor, probes: readonly Strategy[]) {
    this.#main = this.#current = main;
    this.#probes = [...probes];
  }

  get isExhaustive(): boolean {
    return this.#main.isExhaustive;
  }

  get fraction(): number {
    return this.#main.fraction;
  }

  get isProbe(): boolean {
    return this.#current !== this.#main;
  }

  choose(enabled: readonly Thread[], execution: ExecutionView): Thread | undefined {
    return this.#current.choose(enabled, execution);
  }

  advanced(entry: Operation, log: readonly Entry[]): void {
    this.#spent++;
    this.#current.advanced(entry, log);
  }

  backtrack(): number {
    const keep = this.#current.backtrack();
    if (this.#current === this.#main) {
      if (keep < 0 || this.#probes.length === 0 || this.#spent < RUN_TRANSITIONS) return keep;
      this.#main.repeat();
    } else if (keep >= 0 && this.#spent < RUN_TRANSITIONS) return keep;
    this.#current = this.#probes.shift() ?? this.#main;
    this.#spent = 0;
    return 0;
  }
}
