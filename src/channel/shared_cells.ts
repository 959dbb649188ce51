/**
 * The cells of a channel with several senders or receivers, and how these have them in turn.
 *
 *               claim             publish            take               free
 *     FREE, lap n ---> WRITING, s -----> FULL, lap n ---> READING, r ---> FREE, lap n + 1
 *         |                |                              |        ^           ^
 *         | seal           | abort, or s died             | r died | take      |
 *         v                v                              v        |           |
 *        END            SKIPPED                          ORPHAN, lap n         |
 *                          +------------------ pass ---------------------------+
 *
 * **Each step is one compareExchange of the cell's word**, which then names the new owner. So there
 * is no instruction at which a thread can die and it cannot be told which cells it had.
 *
 * **In order.** A sender claims the cell after all that are claimed. It begins to look where it, or
 * any other, has found that all before were claimed, and passes those that were claimed since. If
 * it finds one free for the position that it looks at, then no later cell is claimed. So cells are
 * claimed in the order of their positions, and receivers likewise take messages in order.
 *
 * **Full** is a channel whose next cell is still of the lap before. **Empty** is one whose next
 * message is not there: its cell is free, or being written.
 *
 * **The end.** After the channel was closed, a receiver that finds its next cell free seals it:
 * END, which no sender can claim. If a sender was quicker, which had looked before the channel was
 * closed, there is one more message to wait for.
 *
 * Proven by: tests/channel/passing_model_test.ts, ending_model_test.ts, death_model_test.ts.
 * Source: a turn for each cell is an idea of D. Vyukov's bounded queue of many producers and
 * consumers (1024cores.net); cells that name their owner are not.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import { Cells, ENDED, type IsThere, reclaimed } from "./cells.ts";
import {
  type ChannelLayout,
  END,
  FREE,
  FULL,
  HEAD,
  lapShiftOf,
  MAX_MEMBERS,
  ORPHAN,
  ORPHANS,
  READING,
  SKIPPED,
  STATE_BITS,
  STATE_MASK,
  TAIL,
  WRITING,
} from "./layout.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const IS_WRITING = WRITING;
const IS_FULL = FULL;
const IS_READING = READING;
const ORPHANS_WORD = ORPHANS;

/** Every so many positions a shared cursor is moved on. */
const SPAN = 16;

/** The cells of a channel with several senders or receivers, as one thread sees them. */
export class SharedCells extends Cells {
  /** By how much a position is shifted to get the number of its lap, and that to get its word. */
  readonly #down: number;
  readonly #up: number;
  readonly #first: number;
  /** By how much the shared cursors may be behind. */
  readonly #maxLag: number;
  readonly #words: Int32Array;
  readonly #mask: number;
  /** Where this thread begins to look for a cell to claim: all before were claimed. */
  #tail: number;
  /** Where this thread begins to look for a message: all before were taken. */
  #head: number;
  /** The count of orphans at which this thread has found that there is none left. */
  #orphans = 0;

  /** The cells in these words. */
  constructor(words: Int32Array, layout: ChannelLayout) {
    super(words, layout);
    this.#words = words;
    this.#mask = this.capacity - 1;
    this.#down = 31 - Math.clz32(this.capacity);
    this.#up = lapShiftOf(this.capacity);
    this.#first = layout.cells;
    this.#maxLag = SPAN + MAX_MEMBERS * this.capacity;
    this.#tail = Atomics.load(words, TAIL);
    this.#head = Atomics.load(words, HEAD);
  }

  /** The word of the cell at a position. */
  #indexOf(position: number): number {
    return this.#first + (position & this.#mask);
  }

  /** The word of a cell that is free for a position: its lap. */
  #lapOf(position: number): number {
    return (position >>> this.#down) << this.#up;
  }

  claim(place: number, max: number): number {
    const words = this.#words;
    for (let position = this.#tail;;) {
      const index = this.#indexOf(position);
      const free = this.#lapOf(position);
      let word = racyLoad(words, index);
      if (word !== free) word = Atomics.load(words, index);
      if (word === free) {
        // Pairs with the one that frees the cell: what was read from it happens before.
        word = Atomics.compareExchange(words, index, free, free | IS_WRITING | place);
        if (word === free) {
          const end = position + this.#extend(position, max, FREE, IS_WRITING | place) | 0;
          this.position = position;
          this.#tail = end;
          if (((position ^ end) & -SPAN) !== 0) this.#raise(TAIL, end);
          return end - position | 0;
        }
      }
      const isOlder = (word - free | 0) < 0;
      if (isOlder || word === (free | END)) {
        this.#tail = this.#settle(TAIL, position);
        if (this.#tail === position) return isOlder ? 0 : ENDED;
        position = this.#tail;
      } else {
        position = this.#settle(TAIL, position + 1 | 0);
      }
    }
  }

  /** How many cells from `position` on are claimed, or taken; the first one is. */
  #extend(position: number, max: number, from: number, to: number): number {
    const words = this.#words;
    let count = 1;
    while (count < max) {
      const next = position + count | 0;
      const index = this.#indexOf(next);
      const lap = this.#lapOf(next);
      if (racyLoad(words, index) !== (lap | from)) break;
      if (Atomics.compareExchange(words, index, lap | from, lap | to) !== (lap | from)) break;
      count++;
    }
    return count;
  }

  /**
   * Where to look: at a position that this thread has found, or where the shared cursor is, if that
   * is further. A position that is too far ahead is one from before positions have wrapped.
   */
  #settle(cursor: number, position: number): number {
    const shared = Atomics.load(this.#words, cursor);
    const ahead = position - shared | 0;
    return ahead >= 0 && ahead <= this.#maxLag ? position : shared;
  }

  /** Moves a shared cursor on to where all before was claimed, or taken. */
  #raise(cursor: number, to: number): void {
    const words = this.#words;
    let seen = Atomics.load(words, cursor);
    while ((to - seen | 0) > 0) {
      const found = Atomics.compareExchange(words, cursor, seen, to);
      if (found === seen) return;
      seen = found;
    }
  }

  hasRoom(spare: number): boolean {
    for (;;) {
      const last = this.#tail + spare | 0;
      if ((Atomics.load(this.#words, this.#indexOf(last)) - this.#lapOf(last) | 0) >= 0) {
        return true;
      }
      const tail = this.#settle(TAIL, this.#tail);
      if (tail === this.#tail) return false;
      this.#tail = tail;
    }
  }

  publish(position: number, count: number, place: number): void {
    for (let i = 0; i < count; i++) {
      // Everything that was written to the cell happens before: pairs with take.
      this.#change(position + i | 0, IS_WRITING | place, IS_FULL);
    }
  }

  abort(position: number, count: number, place: number): void {
    for (let i = 0; i < count; i++) this.#change(position + i | 0, IS_WRITING | place, SKIPPED);
  }

  #change(position: number, from: number, to: number): void {
    const index = this.#indexOf(position);
    const lap = this.#lapOf(position);
    const found = Atomics.compareExchange(this.#words, index, lap | from, lap | to);
    if (found !== (lap | from)) throw reclaimed();
  }

  take(place: number, max: number): number {
    const words = this.#words;
    if (racyLoad(words, ORPHANS_WORD) !== this.#orphans && this.#takeOrphan(place)) return 1;
    for (let position = this.#head;;) {
      const index = this.#indexOf(position);
      const lap = this.#lapOf(position);
      const full = lap | IS_FULL;
      let word = racyLoad(words, index);
      if (word !== full) word = Atomics.load(words, index);
      if (word === full) {
        // Pairs with publish.
        word = Atomics.compareExchange(words, index, full, lap | IS_READING | place);
        if (word === full) {
          const end = position + this.#extend(position, max, IS_FULL, IS_READING | place) | 0;
          this.position = position;
          this.#head = end;
          if (((position ^ end) & -SPAN) !== 0) this.#raise(HEAD, end);
          return end - position | 0;
        }
      }
      const count = this.#takeNone(position, word, place);
      if (count !== undefined) return count;
      position = this.#head;
    }
  }

  /**
   * Looks at the cell of the next message, in which there was none.
   *
   * @returns What to return; undefined to look again at the head.
   */
  #takeNone(position: number, word: number, place: number): number | undefined {
    const lap = this.#lapOf(position);
    const state = word - lap | 0;
    const isEmpty = state === FREE || state < 0 || (state & ~31) === WRITING;
    if (!isEmpty && state !== END) {
      const isOrphan = state === ORPHAN && this.#takeOrphanAt(position, place);
      if (state === SKIPPED) this.#pass(position);
      this.#head = this.#settle(HEAD, position + 1 | 0);
      return isOrphan ? 1 : undefined;
    }
    this.#head = this.#settle(HEAD, position);
    if (this.#head !== position) return undefined;
    if (this.#takeOrphan(place)) return 1;
    if (state === END) return ENDED;
    if (state !== FREE || !this.isClosed) return 0;
    // No sender can claim it any more, and none has: nor any cell after it.
    Atomics.compareExchange(this.#words, this.#indexOf(position), lap, lap | END);
    return undefined;
  }

  /** Takes a message that a dead receiver had, the oldest first. */
  #takeOrphan(place: number): boolean {
    // Before the look at the cells: pairs with the addition after a cell became an orphan.
    const orphans = Atomics.load(this.#words, ORPHANS);
    if (orphans === this.#orphans) return false;
    // Those further on are found on the way there.
    this.#head = this.#settle(HEAD, this.#head);
    for (let i = this.capacity; i > 0; i--) {
      if (this.#takeOrphanAt(this.#head - i | 0, place)) return true;
    }
    this.#orphans = orphans;
    return false;
  }

  #takeOrphanAt(position: number, place: number): boolean {
    const index = this.#indexOf(position);
    const lap = this.#lapOf(position);
    const orphan = lap | ORPHAN;
    if (Atomics.load(this.#words, index) !== orphan) return false;
    if (Atomics.compareExchange(this.#words, index, orphan, lap | READING | place) !== orphan) {
      return false;
    }
    this.position = position;
    return true;
  }

  /** Frees a cell that has no message. */
  #pass(position: number): void {
    const index = this.#indexOf(position);
    const skipped = this.#lapOf(position) | SKIPPED;
    const found = Atomics.compareExchange(this.#words, index, skipped, this.#freed(position));
    if (found === skipped) this.hasPassed = true;
  }

  hasMessage(): boolean {
    const words = this.#words;
    if (Atomics.load(words, ORPHANS) !== this.#orphans) return true;
    for (;;) {
      const position = this.#head;
      const state = Atomics.load(words, this.#indexOf(position)) - this.#lapOf(position) | 0;
      if (state > FREE && (state & ~31) !== WRITING) return true;
      this.#head = this.#settle(HEAD, position);
      if (this.#head === position) return false;
    }
  }

  hold(): void {
    // Each cell names its owner.
  }

  free(position: number, count: number, place: number): void {
    for (let i = 0; i < count; i++) this.#free(position + i | 0, place);
  }

  #free(position: number, place: number): void {
    const index = this.#indexOf(position);
    const reading = this.#lapOf(position) | IS_READING | place;
    // Everything that was read from the cell happens before: pairs with claim.
    const found = Atomics.compareExchange(this.#words, index, reading, this.#freed(position));
    if (found !== reading) throw reclaimed();
  }

  #freed(position: number): number {
    return this.#lapOf(position + this.capacity | 0);
  }

  giveBack(position: number, count: number, place: number): void {
    for (let i = 0; i < count; i++) this.#change(position + i | 0, IS_READING | place, ORPHAN);
    this.#tellOrphans();
  }

  /** Tells receivers that there are messages to take again. */
  #tellOrphans(): void {
    // After the cells were changed: pairs with the look of takeOrphan.
    Atomics.add(this.#words, ORPHANS, 1);
  }

  reclaimSender(place: number, release: (position: number) => void): number {
    return this.#reclaim(WRITING | place, (position) => {
      release(position);
      return SKIPPED;
    });
  }

  reclaimReceiver(place: number, redeliver: boolean, isThere: IsThere): number {
    let done = 0;
    const count = this.#reclaim(READING | place, (position) => {
      const isLeft = isThere(position);
      if (!isLeft) done++;
      return isLeft && redeliver ? ORPHAN : FREE;
    });
    // In any case: a thread that gave messages back, or reclaimed, may have died before it did.
    this.#tellOrphans();
    return count - done;
  }

  /**
   * Goes through the cells of an owner that has died, and returns how many there were.
   *
   * @param next Called with a position that stands for the cell; returns what becomes of it:
   * {@link SKIPPED}, {@link ORPHAN}, or {@link FREE}, for the next lap.
   */
  #reclaim(owned: number, next: (position: number) => number): number {
    const words = this.#words;
    let count = 0;
    for (let i = 0; i < this.capacity; i++) {
      const index = this.#first + i;
      const word = Atomics.load(words, index);
      if ((word & ((1 << STATE_BITS) - 1)) !== owned) continue;
      const to = next(i);
      const lap = word - owned | 0;
      Atomics.store(words, index, to === FREE ? lap + (1 << this.#up) | 0 : lap | to);
      count++;
    }
    return count;
  }

  get depth(): number {
    const words = this.#words;
    let depth = 0;
    for (let i = 0; i < this.capacity; i++) {
      const state = Atomics.load(words, this.#first + i) & STATE_MASK;
      if (state !== FREE && state !== SKIPPED && state !== END) depth++;
    }
    return depth;
  }
}
