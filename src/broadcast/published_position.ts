/**
 * The published position: how far readers may read. This file alone knows the bits of its words.
 *
 *     POSITION       | low 32 bits, a multiple of 8, with | tag, 2 bits | SLEEPING |
 *     POSITION_HIGH  | the position / 2^31, rounded down, and at times one more    |
 *
 * **Publishing.** The writer replaces the low word by compareExchange. That fails if a reader has
 * set SLEEPING, which the writer then clears with its publication, and notifies; or if another
 * writer has put its tag there, which is how the old one learns that it was replaced.
 *
 * **All bits.** The writer raises the high word *before* the low one. So between two equal looks at
 * the high word, the low one belongs to it or to the unit before. Its top bit tells which, as the
 * two words overlap in that bit.
 *
 * **Sleeping.** A reader sleeps on the low word while that is its own position. It sets SLEEPING,
 * then looks whether the stream has ended, then sleeps on the word with the bit.
 *
 * - *Publishing ‖ falling asleep.* If the publication is first, the reader finds another position.
 *   If the bit is first, the publication's compareExchange fails, and the writer notifies.
 * - *Closing ‖ falling asleep.* A writer that closes gives the ring up first, then clears the bit,
 *   unless another writer has published since, and then notifies. If the reader looks for the end
 *   after the ring was given up, it sees the end. If before, it set the bit before it was cleared:
 *   either it is asleep by then, and is notified, or it finds another word than it expects, and
 *   does not sleep.
 * - *A reader that set the bit and then sees the end* clears it again and notifies. Otherwise
 *   the word would again have the value on which another reader, which looked too early, is about
 *   to sleep.
 * - *Death.* A thread that dies after its compareExchange and before its notify leaves readers
 *   asleep, with the bit cleared. The next writer notifies them when it takes over or first
 *   publishes, whatever the bit says. No late thread can clear the bit after that, as the
 *   position has changed. A reader that dies asleep, or gives up, leaves at most one needless
 *   notification.
 *
 * As others clear the bit, the word may change between two looks of the writer although no other
 * writer has taken over. So a compareExchange that fails is repeated while only that bit differs.
 *
 * Proven by: tests/broadcast/sleeping_model_test.ts, ending_model_test.ts, position_test.ts.
 *
 * @module
 */

import { type Memory, racyLoad } from "../memory/memory.ts";
import { isObserved } from "../memory/observer.ts";
import { SleepWord } from "../memory/sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { ReplacedError } from "./errors.ts";
import {
  POSITION,
  POSITION_BITS,
  POSITION_HIGH,
  POSITION_HIGH_UNIT,
  POSITION_TAG_MASK,
  POSITION_TAG_SHIFT,
  SLEEPING,
} from "./layout.ts";
import { hasEnded } from "./writer_word.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const POSITION_INDEX = POSITION;
const POSITION_MASK = ~POSITION_BITS;
const TAG_BITS = POSITION_TAG_MASK;
const HIGH_INDEX = POSITION_HIGH;
const HIGH_UNIT = POSITION_HIGH_UNIT;
const isChecked = isObserved;

/** The low word for a position, of a writer with this tag. */
export function positionWord(position: number, tag: number): number {
  return (position | 0) | (tag === 0 ? 0 : (1 + tag % 3) << POSITION_TAG_SHIFT);
}

/** The low word for another position, with the tag of `word`. */
export function withPosition(word: number, position: number): number {
  return (position | 0) | (word & TAG_BITS);
}

/** How many bytes `position` is past that of the low word `word`, less than 2^32. */
export function bytesPast(word: number, position: number): number {
  return (position - (word & POSITION_MASK)) >>> 0;
}

/** The position after `position` at which the high word must change next. */
export function unitEnd(position: number): number {
  return (Math.floor(position / POSITION_HIGH_UNIT) + 1) * POSITION_HIGH_UNIT;
}

/** The published position of one ring. */
export class PublishedPosition {
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;

  /** The position of the ring with these words. */
  constructor(memory: Memory, words: Int32Array) {
    this.#words = words;
    this.#sleepers = new SleepWord(memory, words, POSITION);
  }

  /** Loads the position. */
  load(): number {
    const words = this.#words;
    for (;;) {
      const high = Atomics.load(words, POSITION_HIGH);
      const low = Atomics.load(words, POSITION) & ~POSITION_BITS;
      // Changes once in 2^31 bytes; unchanged, it was not the next unit's position that we loaded.
      if (Atomics.load(words, POSITION_HIGH) !== high) continue;
      const unit = (high & 1) === (low >>> 31) ? high : high - 1;
      return unit * POSITION_HIGH_UNIT + (low & (POSITION_HIGH_UNIT - 1));
    }
  }

  /** Loads its low 32 bits. */
  loadLow(): number {
    // Pairs with the writer's publication: frames before the position are whole.
    return Atomics.load(this.#words, POSITION_INDEX) & POSITION_MASK;
  }

  /**
   * Whether its low 32 bits seem not to be `low`, by a plain load, which may be too early or too
   * late. A checker gets an atomic one, since a thread may spin on this, and a plain load is no
   * step to it.
   */
  seemsPast(low: number): boolean {
    const seen = isChecked() ? this.loadLow() : this.#words[POSITION_INDEX]! & POSITION_MASK;
    return seen !== low;
  }

  /** Whether it is a multiple of 2^32 bytes after `position`, whose low 32 bits it has. */
  isAliasOf(position: number): boolean {
    // The high word was raised before the low word that we loaded was published, so we see it
    // raised. It may be one unit ahead already, and be raised meanwhile: that is why it is only a
    // hint.
    const unit = Math.floor(position / HIGH_UNIT);
    return ((racyLoad(this.#words, HIGH_INDEX) - unit) | 0) > 1 && this.load() !== position;
  }

  /** Whether `position` is the published one and no writer is left to publish more. */
  isEnd(position: number): boolean {
    // In this order, as the last writer published before it gave the ring up.
    return hasEnded(this.#words) && this.load() === position;
  }

  /**
   * Publishes more, and wakes all readers that sleep.
   *
   * @param before The low word as this writer left it.
   * @param after The low word for the new position.
   * @throws {ReplacedError} If another writer has taken over.
   */
  publish(before: number, after: number): void {
    // Publishes all frames before the position: pairs with the reader's load of it. Fails if a
    // reader may sleep, or another writer takes over.
    const found = Atomics.compareExchange(this.#words, POSITION_INDEX, before, after);
    if (found !== before) this.#publishAndWake(found, before, after);
  }

  /** Publishes although the word is not as the writer left it. */
  #publishAndWake(found: number, before: number, after: number): void {
    // A reader that sets its mark later than this finds the new position, and does not sleep.
    if (!this.#exchange(found, before, after)) throw new ReplacedError("publish");
    this.#sleepers.notify();
  }

  /** Replaces the low word, with or without SLEEPING; returns whether it was `before`. */
  #exchange(found: number, before: number, after: number): boolean {
    while ((found & ~SLEEPING) === before) {
      const seen = Atomics.compareExchange(this.#words, POSITION, found, after);
      if (seen === found) return true;
      found = seen;
    }
    return false;
  }

  /** Prepares the high word for the publication of `position`, which is in its next unit. */
  raiseHigh(position: number): void {
    const high = Math.floor(position / POSITION_HIGH_UNIT);
    // Not a store: a writer that was replaced, and is late, must not set it back.
    Atomics.compareExchange(this.#words, POSITION_HIGH, high - 1, high);
  }

  /**
   * Puts the tag of a writer that takes over into the low word.
   *
   * @param checkStillWriter Throws if yet another writer has taken over.
   */
  takeOver(tag: number, checkStillWriter: () => void): void {
    const tagBits = positionWord(0, tag);
    for (;;) {
      const found = Atomics.load(this.#words, POSITION);
      // Yet another writer that takes over changes the word after this check, and then we fail
      // below; or it did so before, and then its word must stay.
      checkStillWriter();
      const tagged = (found & ~POSITION_TAG_MASK) | tagBits;
      // Pairs with the old writer's publication, which either came first and is settled, or fails.
      if (Atomics.compareExchange(this.#words, POSITION, found, tagged) === found) return;
    }
  }

  /**
   * After a takeover, publishes the position at which the new writer begins, and wakes all readers.
   *
   * @param settled The position that the old writer published last.
   * @throws {ReplacedError} If yet another writer has taken over.
   */
  publishTakeover(settled: number, position: number, tag: number): void {
    this.raiseHigh(position);
    const before = positionWord(settled, tag);
    // Pairs with the reader's load: one that sees a later position finds the cut.
    if (!this.#exchange(before, before, positionWord(position, tag))) {
      throw new ReplacedError("take over");
    }
    // In any case: the old writer may have died after it cleared the bit, and before it notified.
    this.#sleepers.notify();
  }

  /** Wakes all readers that sleep, for a thread that may have died before it did. */
  notify(): void {
    this.#sleepers.notify();
  }

  /** The low word without SLEEPING, for {@linkcode PublishedPosition.wakeAll}. */
  loadWord(): number {
    return Atomics.load(this.#words, POSITION) & ~SLEEPING;
  }

  /**
   * Wakes all readers that sleep, and keeps those from sleeping that are about to.
   *
   * @param word The low word, without SLEEPING, at which the stream has ended.
   */
  wakeAll(word: number): void {
    // Pairs with the reader's mark: a reader that looked for the end too early finds another word.
    // If a writer has published since, the bit is that writer's to clear, since it must notify.
    this.#exchange(word, word, word);
    this.#sleepers.notify();
  }

  /**
   * Blocks until something is published after `position`, the stream ends there, or the time is
   * over.
   *
   * @returns Whether something is published.
   */
  wait(position: number, options: WaitOptions | undefined): boolean {
    return this.#sleepers.sleepUntil(() => this.#attempt(position), options) &&
      this.load() !== position;
  }

  /** As {@link PublishedPosition.wait}, without blocking. */
  async waitAsync(position: number, options: AsyncWaitOptions | undefined): Promise<boolean> {
    return await this.#sleepers.sleepUntilAsync(() => this.#attempt(position), options) &&
      this.load() !== position;
  }

  /** Looks; if there is nothing to wake up for, returns the word to sleep on, with the mark set. */
  #attempt(position: number): number | undefined {
    const level = position | 0;
    let word = level;
    for (;;) {
      // Pairs with the writer's publication, and with the clearing of the bit by one that closes.
      const found = Atomics.compareExchange(this.#words, POSITION, word, word | SLEEPING);
      if ((found & ~POSITION_BITS) !== level) return undefined;
      if ((found | SLEEPING) === (word | SLEEPING)) break;
      // The word has a tag that we did not expect.
      word = found;
    }
    if (this.isEnd(position)) {
      this.wakeAll(word);
      return undefined;
    }
    // A position that is a multiple of 2^32 ahead has the same low bits, and might never change.
    return this.load() > position ? undefined : word | SLEEPING;
  }
}
