/**
 * Plain enumeration: every interleaving of operations, or those with few preemptions.
 *
 * @module
 */

import { PAUSE } from "../machine/kinds.ts";
import type { Thread } from "../machine/thread.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** A state of the present execution: the threads to try there, and which of them is being tried. */
interface Frame {
  readonly candidates: readonly number[];
  /** The thread that made the step before, if it can go on; else -1. */
  readonly running: number;
  /** The number of preemptions before this state. */
  readonly preemptions: number;
  next: number;
}

/** Visits every schedule, depth first, within a bound on preemptions. */
export class Enumeration implements Strategy {
  /** Whether the bound has excluded any schedule. */
  isCut = false;
  readonly #maxPreemptions: number;
  readonly #frames: Frame[] = [];
  #depth = 0;

  /** @param maxPreemptions How often a thread that can go on may be interrupted. */
  constructor(maxPreemptions: number = Infinity) {
    this.#maxPreemptions = maxPreemptions;
  }

  get isExhaustive(): boolean {
    return !this.isCut;
  }

  /** Exact if all subtrees of a state are of one size. */
  get fraction(): number {
    let done = 0;
    let share = 1;
    for (const { next, candidates } of this.#frames) {
      share /= candidates.length;
      done += share * next;
    }
    return done;
  }

  choose(enabled: readonly Thread[], execution: ExecutionView): Thread | undefined {
    let frame = this.#frames[this.#depth];
    if (frame === undefined) this.#frames.push(frame = this.#newFrame(enabled, execution));
    return execution.threads[frame.candidates[frame.next]!];
  }

  #newFrame(enabled: readonly Thread[], { trace }: ExecutionView): Frame {
    const last = trace.at(-1);
    const running = enabled.find((t) => t.id === last?.thread && t.announced!.kind !== PAUSE);
    const parent = this.#frames[this.#depth - 1];
    let preemptions = 0;
    if (parent !== undefined) {
      const chosen = parent.candidates[parent.next]!;
      preemptions = parent.preemptions +
        (parent.running >= 0 && parent.running !== chosen ? 1 : 0);
    }
    if (running === undefined) {
      return { candidates: enabled.map((t) => t.id), running: -1, preemptions, next: 0 };
    }
    const candidates = [running.id];
    if (preemptions >= this.#maxPreemptions) this.isCut ||= enabled.length > 1;
    else for (const thread of enabled) if (thread !== running) candidates.push(thread.id);
    return { candidates, running: running.id, preemptions, next: 0 };
  }

  advanced(): void {
    this.#depth++;
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
