/**
 * The known behaviour of each thread, as a tree: its next entry, by the results that it has seen.
 *
 * A body is deterministic: the results of its operations and plain reads decide all its calls.
 * At each *moment* the tree has the thread's next entry, and each result of that entry leads to
 * another moment. Where the tree is known, no replay is needed, which makes exploring many
 * schedules of few histories fast. The size of the trees is bounded; beyond it, threads are
 * replayed.
 *
 * @module
 */

import { type Entry, isOperation } from "./entry.ts";
import { CLOCK, READ, RESUME } from "./kinds.ts";
import type { Outlook } from "./outlook.ts";
import type { ThreadDeclaration } from "./thread_declaration.ts";

/** The most moments that one machine keeps. */
const MAX_MOMENTS = 50_000;
/** Longer reads are not compared, so that behaviour after them is not remembered. */
const MAX_KEY_BYTES = 4096;

/** The trees of all threads of one machine. */
export class Moments {
  #left = MAX_MOMENTS;
  readonly #roots = new Map<ThreadDeclaration, Moment>();

  /** The moment at which a thread begins. */
  root(declaration: ThreadDeclaration): Moment {
    let root = this.#roots.get(declaration);
    if (root === undefined) this.#roots.set(declaration, root = new Moment(this));
    return root;
  }

  /** Creates a moment, unless there are {@linkcode MAX_MOMENTS}. */
  tryCreate(): Moment | undefined {
    return this.#left-- > 0 ? new Moment(this) : undefined;
  }
}

/** A point in the history of one thread. */
export class Moment {
  /** The thread's next entry; undefined if it is unknown, or the thread has ended. */
  entry: Entry | undefined = undefined;
  /** Set if the thread ends here: its result. */
  end: { readonly result: unknown } | undefined = undefined;
  #outlooks: Outlook[] | undefined = undefined;
  /** The first result seen, and the moment to which it leads; most moments have only this one. */
  #key: unknown = undefined;
  #next: Moment | undefined = undefined;
  /** The other results. */
  #others: Map<unknown, Moment> | undefined = undefined;

  readonly #moments: Moments;

  constructor(moments: Moments) {
    this.#moments = moments;
  }

  /** If the thread yields here: what it would do next, by what it would read. */
  get outlooks(): Outlook[] {
    return this.#outlooks ??= [];
  }

  /** The moment after `entry` took effect here; undefined if it cannot be remembered. */
  child(entry: Entry): Moment | undefined {
    const key = keyOf(entry);
    if (this.#key === key && this.#next !== undefined) return this.#next;
    const known = this.#others?.get(key);
    if (known !== undefined) return known;
    if (key === incomparable) return undefined;
    const moment = this.#moments.tryCreate();
    if (moment === undefined) return undefined;
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

/** The key of results that cannot be compared, such as objects that another thread returned. */
const incomparable = Symbol();

/** A key for the result that the thread sees; undefined if it is always the same. */
function keyOf(entry: Entry): unknown {
  const { kind, result } = entry;
  if (kind === RESUME) return `${entry.detail.promise}:${result}`;
  if (kind !== READ && kind !== CLOCK && !isOperation(entry)) return undefined;
  if (typeof result === "number" && Object.is(result, -0)) return "-0";
  if (typeof result !== "object" || result === null) return result;
  if (!(result instanceof Uint8Array) || result.length > MAX_KEY_BYTES) return incomparable;
  return `bytes:${String.fromCharCode(...result)}`;
}
