/**
 * What a thread does next, remembered by what it has seen so far.
 *
 * A body is deterministic: the results of its operations and plain reads decide all that it does.
 * So its behaviour is a tree: at each *moment* stands what it does next, and the result leads to
 * the next moment. Where the tree is known, nothing is replayed: this is what makes exploring
 * many schedules of few histories fast. The size of the tree is bounded; beyond it, threads are
 * replayed as if there were none.
 *
 * @module
 */

import { type Entry, LAST_OPERATION, READ, RESUME } from "./entry.ts";

/** The most moments that one machine remembers. */
const MAX_MOMENTS = 50_000;

/** Counts the moments of one machine. */
export class MomentBudget {
  #left = MAX_MOMENTS;

  /** Takes one, if there is one left. */
  take(): boolean {
    return this.#left-- > 0;
  }
}

/** A point in the history of one thread. */
export class Moment {
  /** What the thread does next; undefined if that is not known, or it has ended. */
  entry: Entry | undefined = undefined;
  /** The thread ends here, and returns this. */
  end: { readonly result: unknown } | undefined = undefined;
  /** The first result seen, and where it leads; most moments have only this one. */
  #key: unknown = undefined;
  #next: Moment | undefined = undefined;
  #others: Map<unknown, Moment> | undefined = undefined;

  readonly #budget: MomentBudget;

  constructor(budget: MomentBudget) {
    this.#budget = budget;
  }

  /** Where what has happened here leads; undefined if that cannot be remembered. */
  grow(entry: Entry): Moment | undefined {
    const key = keyOf(entry);
    if (this.#key === key && this.#next !== undefined) return this.#next;
    const known = this.#others?.get(key);
    if (known !== undefined) return known;
    if (key === unknowable || !this.#budget.take()) return undefined;
    const moment = new Moment(this.#budget);
    if (this.#next === undefined) {
      this.#key = key;
      this.#next = moment;
    } else {
      this.#others ??= new Map();
      this.#others.set(key, moment);
    }
    return moment;
  }
}

/** Stands for results that cannot be compared, such as objects that another thread returned. */
const unknowable = Symbol();

/** What the thread learns from an entry: nothing, where the result cannot differ. */
function keyOf({ kind, result, index }: Entry): unknown {
  if (kind === RESUME) return `${index}:${result}`;
  if (kind > LAST_OPERATION && kind !== READ) return undefined;
  if (typeof result === "number" && Object.is(result, -0)) return "-0";
  if (typeof result !== "object" || result === null) return result;
  if (!(result instanceof Uint8Array) || result.length > 4096) return unknowable;
  return `bytes:${String.fromCharCode(...result)}`;
}
