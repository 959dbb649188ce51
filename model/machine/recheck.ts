/**
 * Whether a thread that runs once more does again what it did: state outside of the model, such as
 * a variable of a module, can make it do something else.
 *
 * Known behaviour is not replayed, so that nothing else would notice. A sample is checked: all of a
 * small model, and of a large one so little that it costs about a hundredth of the time.
 *
 * @module
 */

import type { Operation } from "./entry.ts";
import { requestText, type ThreadNames } from "./entry_text.ts";
import { CALL, JOIN, PAUSE, RETURN, SPAWN } from "./kinds.ts";
import type { Thread } from "./thread.ts";
import type { Body } from "./thread_declaration.ts";

/** The first advances of a machine are checked, and the very first ones several times. */
const FIRST = 8;
const VERY_FIRST = 4;
const TIMES = 8;
/** Then one in so many is, up to a number, and fewer of known models; powers of two, less one. */
const EARLY_MASK = 15;
const KNOWN_MASK = 63;
const EARLY = 512;
/** Later, one in so many. */
const LATE_MASK = 511;
/** Threads with more entries are checked as if all of theirs were later ones. */
const MAX_ENTRIES = 10_000;
/** Of longer typed arrays in results, only the length is compared. */
const MAX_BYTES = 1024;
/**
 * The bodies of the models of earlier searches, by the first of each: that they do the same again,
 * beside the same other threads, was checked there.
 */
const checkedModels = new WeakMap<Body, (readonly Body[])[]>();

/** Decides which advances of threads are checked. */
export class Rechecks {
  /** Whether no search before was of the same threads, so that there is more to check. */
  readonly isNew: boolean;
  readonly #bodies: readonly Body[];
  #advances = 0;
  #executions = 0;

  /** @param bodies Those of the declared threads. */
  constructor(bodies: readonly Body[]) {
    this.#bodies = bodies;
    const known = bodies.length === 0 ? undefined : checkedModels.get(bodies[0]!);
    this.isNew = known?.some((model) => isSameModel(model, bodies)) !== true;
  }

  /**
   * How often the thread that has just advanced is to be run once more.
   *
   * @param thread The thread. One with a long log takes long.
   */
  next({ log }: Thread): number {
    const count = ++this.#advances;
    if (log.length > MAX_ENTRIES) return (count & EARLY_MASK) === 0 ? 1 : 0;
    if (count > EARLY) return (count & LATE_MASK) === 0 ? 1 : 0;
    if (!this.isNew) return (count & KNOWN_MASK) === 0 ? 1 : 0;
    if (count <= FIRST) return count <= VERY_FIRST ? TIMES : 1;
    return (count & EARLY_MASK) === 0 ? 1 : 0;
  }

  /** Whether all threads of the execution that has just ended are to be run once more. */
  nextExecution(): boolean {
    return ++this.#executions === 1 && this.isNew;
  }

  /** The search has ended: others of the same threads have less to check. */
  end(): void {
    const [first] = this.#bodies;
    if (!this.isNew || first === undefined) return;
    const known = checkedModels.get(first);
    if (known === undefined) checkedModels.set(first, [this.#bodies]);
    else known.push(this.#bodies);
  }
}

function isSameModel(a: readonly Body[], b: readonly Body[]): boolean {
  return a.length === b.length && a.every((body, i) => body === b[i]);
}

/** Where a thread has got to. */
export interface Position {
  readonly announced: Operation | undefined;
  readonly done: boolean;
  readonly result: unknown;
  /** What it did, if it has no next operation and is not done. */
  readonly outcome?: string;
}

/**
 * Whether a thread stands at a pause that its code does not make. Where one is inserted depends on
 * more than what the thread has seen, so that it need not be there again.
 */
export function isAtImpliedPause({ announced }: Position): boolean {
  return announced?.kind === PAUSE && announced.detail.isImplied;
}

/** How a thread stands now that stood elsewhere at first. */
export interface Difference {
  /** What it did at first: its next operation, or its end in words. */
  readonly first: Operation | string;
  /** What it does now. */
  readonly now: string;
}

/** How two positions of a thread differ; undefined if they are the same. */
export function difference(
  first: Position,
  now: Position,
  threads: ThreadNames,
): Difference | undefined {
  if (isAtImpliedPause(now)) return undefined;
  if (first.announced !== undefined && now.announced !== undefined) {
    if (isSameRequest(first.announced, now.announced)) return undefined;
  } else if (first.announced === now.announced && first.done === now.done) {
    const texts = [textOf(first.result), textOf(now.result)] as const;
    if (texts[0] === texts[1]) return undefined;
    return { first: `its end with result ${texts[0]}`, now: `its end with ${texts[1]}` };
  }
  const end = now.done ? "its end" : now.outcome ?? "";
  return {
    first: first.announced ?? "its end",
    now: now.announced === undefined ? end : requestText(now.announced, threads),
  };
}

/** Whether two operations are the same, whatever came of them. */
function isSameRequest(a: Operation, b: Operation): boolean {
  return isSameAccess(a, b) && detailText(a) === detailText(b);
}

/** Whether two operations are the same as far as that is seen without code of the test. */
export function isSameAccess(a: Operation, b: Operation): boolean {
  return a.kind === b.kind && a.buffer === b.buffer && a.start === b.start && a.size === b.size &&
    Object.is(a.a, b.a) && Object.is(a.b, b.b);
}

/** What two operations of one kind may differ in besides their ranges and operands. */
function detailText(entry: Operation): string {
  switch (entry.kind) {
    case CALL:
      return `${entry.detail.name}${textOf(entry.detail.args)}`;
    case RETURN:
      return textOf(entry.detail.result);
    case SPAWN:
      return String(entry.detail.child.id);
    case JOIN:
      return String(entry.detail.child);
    default:
      return "";
  }
}

/** A value as JSON, as far as it goes; objects that have no JSON are not compared. */
function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) {
    return typeof value === "string" ? JSON.stringify(value) : String(value);
  }
  try {
    return JSON.stringify(value, (_key, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`;
      return ArrayBuffer.isView(part) && part.byteLength > MAX_BYTES ? part.byteLength : part;
    }) ?? "";
  } catch {
    return "";
  }
}
