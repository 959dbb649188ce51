/**
 * Calls of which those from one source line are wrong; or that note where calls come from.
 *
 * @module
 */

import { Calls } from "../interception/calls.ts";
import { captureStack, stackLines } from "../interception/stack_lines.ts";
import type { AtomicsKind } from "../machine/kinds.ts";
import type { Machine } from "../machine/machine.ts";
import type { Call, Change } from "./changes.ts";

/** Enough for the caller below a few frames of the explorer. */
const FRAMES = 12;

/** What becomes of the calls of threads. */
export interface Mutation {
  /** A thread makes a call from a source line: how it is wrong, if it is. */
  changeAt(line: string, call: Call): Change | undefined;
  /** A thread ends a span of speculative reads: whether it counts as kept, whatever it says. */
  isAlwaysKept(line: string): boolean;
}

/** Calls that a mutation sees first. */
export class MutatedCalls extends Calls {
  readonly #mutation: Mutation;
  /** Whether a wrong call is being made, by right ones. */
  #isInside = false;

  constructor(machine: Machine, mutation: Mutation) {
    super(machine);
    this.#mutation = mutation;
  }

  override atomics(
    kind: AtomicsKind,
    view: unknown,
    index: unknown,
    a: unknown,
    b: unknown,
  ): unknown {
    if (this.#isInside || !this.isThreadRunning) return super.atomics(kind, view, index, a, b);
    const call = { kind, view, index, a, b };
    const change = this.#mutation.changeAt(callingLine(), call);
    if (change === undefined) return super.atomics(kind, view, index, a, b);
    this.#isInside = true;
    try {
      return change.perform(
        call,
        (...right) => super.atomics(right[0], right[1], right[2], right[3], right[4]),
      );
    } finally {
      this.#isInside = false;
    }
  }

  override endSpeculation(isKept: boolean): void {
    const isAlways = this.isThreadRunning && this.#mutation.isAlwaysKept(callingLine());
    super.endSpeculation(isKept || isAlways);
  }
}

/** The innermost line of the code under test. */
function callingLine(): string {
  return stackLines(captureStack(FRAMES))[0] ?? "an unknown line";
}
