/**
 * Copies of messages in private memory.
 *
 * A writer may be overwriting the entry meanwhile, so nothing here relies on what is copied, and
 * none of it is used before it is validated: by a read-modify-write of the state of the entry,
 * which a writer changes by one before it writes anything. Either the reader's comes first, and
 * then everything that it has copied was written before; or it finds the claim, and discards the
 * copy.
 *
 * @module
 */

import type { Copier } from "../memory/copier.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import { LENGTH, READABLE } from "./layout.ts";
import { NOWHERE, type SlotWords } from "./slot_words.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const LENGTH_OFFSET = LENGTH;
const READABLE_STATE = READABLE;

/** Up to this many bytes, a loop over words is faster than creating a view and copying by it. */
const MAX_LOOP_BYTES = 512;
/** Up to this many bytes, a loop over words is faster than a native copy. */
const MAX_LOOP_BYTES_NATIVE = 64;

/** Up to this many bytes a message is not worth memory that can be copied to natively: 64 KiB. */
const MAX_PLAIN_BYTES = 256;

/** Returned by {@link CopyOut.take} if the message is not kept any more. */
export const OVERWRITTEN = -1;

/** Copies messages of one slot out. */
export class CopyOut {
  /** The copy. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #slot: SlotWords;
  readonly #words: Int32Array;
  readonly #messageBytes: number;
  readonly #copier: Copier;
  readonly #loopBytes: number;
  readonly #source: BigInt64Array;
  readonly #target: BigInt64Array;

  /** Copies to private bytes of its own. */
  constructor(slot: SlotWords) {
    const { memory, card } = slot;
    this.#slot = slot;
    this.#words = slot.words;
    this.#messageBytes = card.messageBytes;
    // Whole words, so that the loop need not look at the last bytes.
    const byteLength = Math.ceil(card.messageBytes / 8) * 8;
    const bytes = byteLength <= MAX_PLAIN_BYTES
      ? new Uint8Array(byteLength)
      : memory.privateBytes(byteLength);
    this.bytes = bytes.subarray(0, card.messageBytes);
    this.#copier = memory.copier(bytes);
    this.#loopBytes = this.#copier.isNative ? MAX_LOOP_BYTES_NATIVE : MAX_LOOP_BYTES;
    this.#source = new BigInt64Array(memory.buffer, 0, Math.floor(memory.byteLength / 8));
    this.#target = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3);
  }

  /**
   * Copies the message with this word, which is published.
   *
   * @returns How many bytes it has, or {@link OVERWRITTEN}.
   */
  take(word: number): number {
    const guess = this.#slot.guess(word);
    if (guess !== NOWHERE) {
      const length = this.#copy(guess, word);
      if (length !== OVERWRITTEN) return length;
    }
    const entry = this.#slot.find(word);
    return entry === NOWHERE || entry === guess ? OVERWRITTEN : this.#copy(entry, word);
  }

  #copy(entry: number, word: number): number {
    const words = this.#words;
    const state = this.#slot.state(entry);
    beginSpeculation();
    let length = words[state + LENGTH_OFFSET]!;
    // May be anything while a writer overwrites it.
    if (length < 0 || length > this.#messageBytes) length = this.#messageBytes;
    if (length > this.#loopBytes) {
      this.#copier.copyOut(0, this.#slot.dataOffset(entry), length);
    } else {
      const source = this.#source;
      const target = this.#target;
      const first = this.#slot.dataLong(entry);
      const count = length + 7 >> 3;
      for (let i = 0; i < count; i++) target[i] = source[first + i]!;
    }
    // Pairs with the writer's compareExchange on claiming the entry. A load would not do: only a
    // read-modify-write either is read by the writer's, and so happens before it, or sees it.
    const isKept = Atomics.add(words, state, 0) === (word | READABLE_STATE);
    endSpeculation(isKept);
    return isKept ? length : OVERWRITTEN;
  }
}
