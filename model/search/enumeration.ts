/**
 * Plain enumeration: every interleaving of operations, or those with few preemptions.
 *
 * @module
 */

import { PAUSE } from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import type { Thread } from "../machine/thread.ts";
import type { Strategy } from "./strategy.ts";

/** A state on the present execution: what can be tried, and how far that has got. */
interface Frame {
  readonly candidates: readonly number[];
  /** The thread that ran before, if it could go on. */
  readonly running: number;
  readonly preemptions: number;
  next: number;
}

/** See the module. */
export class Enumeration implements Strategy {
  /** Whether the bound has cut anything off. */
  isCut = false;
  readonly #bound: number;
  readonly #frames: Frame[] = [];
  #depth = 0;

  /**
   * @param preemptionBound How often a thread that could go on may be interrupted, at most.
   */
  constructor(preemptionBound: number = Infinity) {
    this.#bound = preemptionBound;
  }

  get isExhaustive(): boolean {
    return !this.isCut;
  }

  choose(machine: Machine, enabled: readonly Thread[]): Thread | undefined {
    let frame = this.#frames[this.#depth];
    if (frame === undefined) this.#frames.push(frame = this.#frame(machine, enabled));
    return machine.threads[frame.candidates[frame.next]!];
  }

  #frame(machine: Machine, enabled: readonly Thread[]): Frame {
    const last = machine.trace.at(-1);
    const running = enabled.find((t) => t.id === last?.thread && t.announced!.kind !== PAUSE);
    const parent = this.#frames[this.#depth - 1];
    let preemptions = 0;
    if (parent !== undefined) {
      const chosen = parent.candidates[parent.next]!;
      preemptions = parent.preemptions +
        (parent.running >= 0 && parent.running !== chosen ? 1 : 0);
    }
    let candidates = enabled.map((t) => t.id);
    if (running !== undefined) {
      candidates = [running.id, ...candidates.filter((id) => id !== running.id)];
      if (preemptions >= this.#bound) {
        this.isCut ||= candidates.length > 1;
        candidates = [running.id];
      }
    }
    return { candidates, running: running?.id ?? -1, preemptions, next: 0 };
  }

  advanced(): void {
    this.#depth++;
  }

  /** If all subtrees of a state were of one size, this would be exact. */
  get fraction(): number {
    let done = 0;
    let share = 1;
    for (const { next, candidates } of this.#frames) {
      share /= candidates.length;
      done += share * next;
    }
    return done;
  }

  backtrack(): number {
    while (this.#frames.length > 0) {
      const frame = this.#frames.at(-1)!;
      if (++frame.next < frame.candidates.length) {
        return this.#depth = this.#frames.length - 1;
      }
      this.#frames.pop();
    }
    return -1;
  }
}
