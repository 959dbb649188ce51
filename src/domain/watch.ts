/**
 * What a waiter knows of one slot, and whether that is news.
 *
 * A wait reports a slot when something has changed since it was last reported. Reading some of the
 * messages makes the others news again. So a reader that takes one message at a time is told of the
 * next at once, and one that ignores a slot does not spin.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import { now } from "../memory/platform.ts";
import { CLOSED, DIED, FLAGS, JOINED, LEFT } from "./layout.ts";
import type { SlotWords } from "./slot_words.ts";

/** What has changed: messages, the end of the slot, its writers, or that nothing came in time. */
export const CHANGE = {
  /** Messages were published. */
  messages: 1,
  /** The slot was closed. */
  closed: 2,
  /** Writers joined, left, or died. */
  writers: 4,
  /** The deadline passed, and nothing was published. */
  deadline: 8,
} as const;

/** What a waiter knows of one slot. */
export class Watch {
  /** Whether it wakes the waiter. */
  readonly wakes: boolean;
  readonly #slot: SlotWords;
  readonly #watchesWriters: boolean;
  readonly #deadlineMs: number;
  /** Whether not only messages and the end are news. */
  readonly #hasMore: boolean;
  /** The word of the last message, and whether it was closed, as was last reported. */
  #reported: number;
  #writers: number;
  /** The same before the last report, to take that back. */
  #before: number;
  #writersBefore: number;
  #deadlineBefore: number;
  /** What the last look found. */
  #found: number;
  #foundWriters: number;
  /** When it is time to report that nothing was published. */
  #deadline: number;

  /**
   * Watches a slot.
   *
   * @param seen The word of the last message that is no news.
   */
  constructor(
    slot: SlotWords,
    seen: number,
    wakes: boolean,
    watchesWriters: boolean,
    deadlineMs: number,
  ) {
    this.#slot = slot;
    this.wakes = wakes;
    this.#reported = this.#before = this.#found = seen;
    this.#watchesWriters = watchesWriters;
    this.#writers = this.#writersBefore = this.#foundWriters = watchesWriters
      ? this.#countWriters()
      : 0;
    this.#deadlineMs = deadlineMs;
    this.#hasMore = watchesWriters || deadlineMs !== Infinity;
    this.#deadline = deadlineMs === Infinity ? Infinity : now() + deadlineMs;
    this.#deadlineBefore = this.#deadline;
  }

  /** When it is time to report that nothing was published, by the clock of `now`. */
  get deadline(): number {
    return (this.#reported & CLOSED) === 0 ? this.#deadline : Infinity;
  }

  /** Whether the end of the slot was reported, so that there will be no more news of messages. */
  get isOver(): boolean {
    return (this.#reported & CLOSED) !== 0;
  }

  /** Notes that messages were read up to this word: those after are news. */
  rearm(seen: number): void {
    this.#reported = seen | (this.#reported & CLOSED);
    this.#before = seen | (this.#before & CLOSED);
  }

  /** Takes the last report back, which nobody was told of: what was not read meanwhile is news. */
  unreport(): void {
    this.#reported = this.#before;
    this.#writers = this.#writersBefore;
    this.#deadline = this.#deadlineBefore;
  }

  /** Whether something seems to have changed: a hint, by a plain load, whether to look. */
  get seemsChanged(): boolean {
    return this.#hasMore || racyLoad(this.#slot.words, this.#slot.published) !== this.#reported;
  }

  /** What has changed, without noting that. */
  look(): number {
    // Pairs with the publication: after a waiter has marked its signal, it finds what it may not
    // be woken for.
    const last = this.#found = this.#slot.loadPublished();
    let changes = 0;
    if (last !== this.#reported) {
      if ((last & ~FLAGS) !== (this.#reported & ~FLAGS)) changes |= CHANGE.messages;
      if ((last & ~this.#reported & CLOSED) !== 0) changes |= CHANGE.closed;
    }
    if (this.#watchesWriters) {
      this.#foundWriters = this.#countWriters();
      if (this.#foundWriters !== this.#writers) changes |= CHANGE.writers;
    }
    if (changes === 0 && this.#deadline !== Infinity && now() >= this.deadline) {
      changes = CHANGE.deadline;
    }
    return changes;
  }

  /** What has changed, which from now on is reported. */
  report(): number {
    const changes = this.look();
    if (changes === 0) return 0;
    this.#before = this.#reported;
    this.#writersBefore = this.#writers;
    this.#deadlineBefore = this.#deadline;
    this.#reported = this.#found;
    this.#writers = this.#foundWriters;
    if ((changes & (CHANGE.messages | CHANGE.deadline)) !== 0 && this.#deadline !== Infinity) {
      this.#deadline = now() + this.#deadlineMs;
    }
    return changes;
  }

  /** Goes up by one with each change of the writers. */
  #countWriters(): number {
    const { words, first } = this.#slot;
    return Atomics.load(words, first + JOINED) + Atomics.load(words, first + LEFT) +
        Atomics.load(words, first + DIED) | 0;
  }
}
