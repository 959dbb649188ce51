/**
 * Loops of a body that go on without end if nothing changes, as looks ahead have found. A body that
 * has many explorations need not be looked at so far in each of them.
 *
 * @module
 */

import type { Execution } from "./execution.ts";
import type { Outlook } from "./outlook.ts";
import type { Thread } from "./thread.ts";
import type { Body } from "./thread_declaration.ts";

/** Once so many are known of a body, loops with the same calls and reads count as the same. */
const MAX_KNOWN = 200;

/** A range that a loop has read, of a buffer of some search, and the bytes that it had. */
interface KnownRead {
  readonly buffer: string;
  readonly start: number;
  readonly size: number;
  readonly bytes: Uint8Array;
}

/** A loop at one point of the history of its thread. */
interface KnownLoop {
  readonly reads: readonly KnownRead[];
  readonly repeats: boolean;
}

/** The endless loops of one body. */
export class KnownLoops {
  /** By the history before them. */
  readonly #loops = new Map<number, KnownLoop>();
  /** How they look, with and without the history before them. */
  readonly #looks = new Set<string>();

  /** What is ahead of a thread, if it is known to wait here, and memory is as it was then. */
  outlookAt({ buffers }: Execution, thread: Thread): Outlook | undefined {
    if (this.#loops.size === 0) return undefined;
    const loop = this.#loops.get(historyOf(thread));
    if (loop === undefined) return undefined;
    const reads = [];
    for (const { buffer: id, start, size, bytes } of loop.reads) {
      const buffer = buffers.find((buffer) => buffer.id === id);
      if (buffer === undefined) return undefined;
      for (let i = 0; i < size; i++) if (buffer.bytes[start + i] !== bytes[i]) return undefined;
      reads.push({ buffer, start, size, version: buffer.version(start, size), bytes });
    }
    return {
      leaves: false,
      rounds: 0,
      isQuiet: true,
      repeats: loop.repeats,
      reads,
      emptyLists: [],
      isRepeatable: true,
    };
  }

  /**
   * Whether a loop is known to go on without end.
   *
   * @param likeness What loops share that look the same.
   * @param history What came before: the same loop may be left after some rounds elsewhere.
   */
  isEndless(likeness: string, history: number): boolean {
    return this.#looks.has(`${likeness} ${history}`) ||
      (this.#looks.size >= MAX_KNOWN && this.#looks.has(likeness));
  }

  /** Adds a loop that goes on without end. */
  add(likeness: string, history: number, outlook: Outlook): void {
    this.#looks.add(likeness).add(`${likeness} ${history}`);
    const { isQuiet, isRepeatable, emptyLists, reads, repeats } = outlook;
    if (!isQuiet || !isRepeatable || emptyLists.length > 0 || this.#loops.size >= MAX_KNOWN) return;
    const known = reads.map(({ buffer: { id }, start, size, bytes }) => ({
      buffer: id,
      start,
      size,
      bytes,
    }));
    this.#loops.set(history, { reads: known, repeats });
  }
}

const loopsOfBodies = new WeakMap<Body, KnownLoops>();

/** The endless loops of a body that are known so far. */
export function loopsOf(body: Body): KnownLoops {
  let loops = loopsOfBodies.get(body);
  if (loops === undefined) loopsOfBodies.set(body, loops = new KnownLoops());
  return loops;
}

/** A hash of what a thread has called and seen so far. */
export function historyOf({ log }: Thread): number {
  let high = log.length;
  let low = 0;
  for (const { kind, start, result } of log) {
    // Objects may be of code under test, and are not looked at.
    const seen = typeof result === "number"
      ? result
      : typeof result === "bigint"
      ? Number(BigInt.asIntN(32, result))
      : typeof result === "string"
      ? result.length
      : 0;
    const entry = kind + start * 32 + seen * 7919;
    high = Math.imul(high ^ entry, 0x9e3779b1) ^ (high >>> 15);
    low = Math.imul(low ^ entry, 0x85ebca6b) ^ (low >>> 13);
  }
  return (high >>> 0) * 2 ** 21 + (low >>> 11);
}
