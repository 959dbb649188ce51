/**
 * What a linearizable object does if its calls do not overlap.
 *
 * @module
 */

import { messageOf } from "./values.ts";

/**
 * The sequential behaviour of an object: the effect of each call if no other overlaps it.
 *
 * States and results are compared by their content: they consist of primitives, arrays, plain
 * objects, `Map`, `Set`, `Date`, errors and memory that is not shared, however nested. Numbers are
 * equal as by `Object.is`, so `NaN` equals itself, and `-0` is not `0`. Anything else, such as a
 * function or an instance of a class of your own, is refused by name.
 */
export interface Specification<S = unknown> {
  /** The state before the first call. */
  readonly initial: S;
  /**
   * Applies one call to a state, which it must not modify.
   *
   * @returns The next state, and the call's result: what it returns, what the promise that it
   *   returns resolves to, or {@linkcode throws} if it throws.
   */
  apply(state: S, name: string, args: readonly unknown[]): readonly [next: S, result: unknown];
}

/** An error that a call must throw. */
export class Throws {
  readonly #type: ErrorClass | undefined;
  readonly #text: string;

  /** @ignore Use {@linkcode throws}. */
  constructor(type: ErrorClass | undefined, text: string) {
    this.#type = type;
    this.#text = text;
  }

  /** What must be thrown, in words. */
  toString(): string {
    const type = this.#type === undefined ? "an error" : this.#type.name;
    return `throws ${type}${this.#text === "" ? "" : ` with "${this.#text}"`}`;
  }

  /** @ignore Used by {@linkcode explore}: whether a call may throw this. */
  allows(error: unknown): boolean {
    try {
      if (this.#type !== undefined && !(error instanceof this.#type)) return false;
      return this.#text === "" || messageOf(error).includes(this.#text);
    } catch {
      // An error whose class cannot be read is of no class that is asked for.
      return false;
    }
  }
}

/** The class of an error. */
// deno-lint-ignore no-explicit-any
export type ErrorClass = new (...args: any[]) => unknown;

/**
 * The result, in a {@linkcode Specification}, of a call that throws.
 *
 * @example A stack whose pop throws when it is empty
 * ```ts
 * import { explore, record, type Specification, throws } from "@busbar/busbar/model";
 *
 * const countdown: Specification<number> = {
 *   initial: 1,
 *   apply: (left) => left === 0 ? [left, throws(RangeError, "empty")] : [left - 1, left],
 * };
 *
 * const take = (word: Int32Array) => {
 *   try {
 *     record("take", [], () => {
 *       const left = Atomics.sub(word, 0, 1);
 *       if (left <= 0) throw new RangeError("empty");
 *       return left;
 *     });
 *   } catch (error) {
 *     if (!(error instanceof RangeError)) throw error;
 *   }
 * };
 *
 * await explore({
 *   setup: () => new Int32Array(new SharedArrayBuffer(4)).fill(1),
 *   threads: { a: take, b: take },
 *   linearizable: countdown,
 * });
 * ```
 *
 * @param type The class of the error. Default: anything that is thrown.
 * @param text What the error's message contains. Default: anything.
 */
export function throws(type?: ErrorClass, text = ""): Throws {
  return new Throws(type, text);
}
