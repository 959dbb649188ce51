/**
 * The words of shared memory that a failed execution touched, and their values after each step.
 *
 * The log keeps what each write found. So the value that a write left is what the next write of the
 * same word found, or, after the last one, what memory holds now.
 *
 * @module
 */

import type { Entry } from "../machine/entry.ts";
import type { ModelBuffer } from "../machine/memory.ts";

/** A word and its values. */
export interface MemoryWord {
  /** Its name, as in the operations. */
  readonly name: string;
  /** Its value before the first step. */
  readonly initial: string;
  /** The steps that wrote it, from 0, each with the value that it left. */
  readonly writes: readonly { readonly step: number; readonly value: string }[];
}

/** Longer ranges than this are shown by no single value. */
const MAX_BYTES = 8;

interface Touched {
  readonly buffer: ModelBuffer;
  readonly start: number;
  readonly size: number;
  /** The steps that wrote it, and what they found. */
  readonly writes: { readonly step: number; readonly found: string }[];
}

/**
 * The words that entries touch, in the order of their names.
 *
 * @param steps The entries of each step, in the order in which they took effect.
 */
export function memoryWords(steps: readonly (readonly Entry[])[]): MemoryWord[] {
  const words = new Map<string, Touched>();
  steps.forEach((entries, step) => {
    for (const entry of entries) touch(words, entry, step);
  });
  return [...words.values()]
    .sort((a, b) => a.buffer.id.localeCompare(b.buffer.id) || a.start - b.start || a.size - b.size)
    .map(({ buffer, start, size, writes }) => {
      const now = buffer.valueText(start, buffer.bytes.slice(start, start + size));
      return {
        name: buffer.nameOf(start, size),
        initial: writes[0]?.found ?? now,
        writes: writes.map(({ step }, i) => ({ step, value: writes[i + 1]?.found ?? now })),
      };
    });
}

function touch(words: Map<string, Touched>, entry: Entry, step: number): void {
  const { buffer, start, size, traits: { reads, mayWrite } } = entry;
  if (buffer === undefined || size > MAX_BYTES || !(reads || mayWrite)) return;
  const key = `${buffer.id} ${start} ${size}`;
  let word = words.get(key);
  if (word === undefined) words.set(key, word = { buffer, start, size, writes: [] });
  if (entry.wrote) word.writes.push({ step, found: foundText(entry, buffer) });
}

function foundText({ before, start }: Entry, buffer: ModelBuffer): string {
  return before instanceof Uint8Array ? buffer.valueText(start, before) : String(before);
}
