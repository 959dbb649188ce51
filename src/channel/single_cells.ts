/**
 * The cells of a channel with one sender and one receiver: two cursors, and nothing else.
 *
 *     HEAD | position, before which all cells are free | 0 |       moved by the receiver
 *     TAIL | position, before which all are published  | sealed |  moved by the sender
 *     TAKEN | position, before which the receiver has taken all |  stored by the receiver
 *
 * The sender fills cells from the tail on, up to a lap past the head, and then moves the tail by
 * one compareExchange, however many they are. The receiver takes what lies between, and moves the
 * head when it has done with it. Each loads the cursor of the other only if what it knows of that
 * is not enough.
 *
 * **The end.** If the channel was closed, the receiver that finds nothing seals the tail, by
 * compareExchange, so that of a seal and a publication one fails.
 *
 * **Deaths.** What a sender had not published is not there. What a receiver had not freed is there,
 * for the next one; it has stored how far it had taken messages, before the caller gets them, so
 * that these can be counted, or passed.
 *
 * Proven by: tests/channel, whose models run with these cells, too.
 *
 * @module
 */

import { Cells, ENDED, type IsThere, reclaimed } from "./cells.ts";
import { ChannelClosedError } from "./errors.ts";
import { type ChannelLayout, HEAD, TAIL, TAKEN } from "./layout.ts";

/** In the word of the tail: nothing is published any more. */
const SEALED = 1;
/** From the word of a position to the next. */
const UNIT = 2;

// Local copies for the hot path.
const TAIL_WORD = TAIL;
const HEAD_WORD = HEAD;

/** The cells of a channel with one sender and one receiver, as one thread sees them. */
export class SingleCells extends Cells {
  readonly #words: Int32Array;
  readonly #taken: number;
  /** The word of the tail, as this sender left it, without the seal. */
  #tail: number;
  /** The word of the head, as this receiver left it. */
  #head: number;
  /** The word of the next message to take. */
  #next: number;
  /** What is known of the other end's cursor. */
  #othersHead: number;
  #othersTail: number;
  /** Messages that were done with before others that were taken earlier. */
  readonly #early: Set<number> = new Set();

  /** The cells in these words. */
  constructor(words: Int32Array, layout: ChannelLayout) {
    super(words, layout);
    this.#words = words;
    this.#taken = layout.receiverLine(0) + TAKEN;
    this.#tail = this.#othersTail = Atomics.load(words, TAIL) & ~SEALED;
    this.#head = this.#next = this.#othersHead = Atomics.load(words, HEAD);
  }

  claim(_place: number, max: number): number {
    let room = this.#room();
    if (room < max) {
      // Pairs with free: what was read there happens before.
      this.#othersHead = Atomics.load(this.#words, HEAD_WORD);
      room = this.#room();
    }
    this.position = this.#tail >>> 1;
    return Math.min(room, max);
  }

  #room(): number {
    return this.capacity - ((this.#tail - this.#othersHead | 0) >> 1);
  }

  hasRoom(spare: number): boolean {
    this.#othersHead = Atomics.load(this.#words, HEAD_WORD);
    return this.#room() > spare;
  }

  publish(_position: number, count: number, _place: number): void {
    const before = this.#tail;
    const after = before + UNIT * count | 0;
    // Everything that was written to the cells happens before: pairs with take.
    const found = Atomics.compareExchange(this.#words, TAIL_WORD, before, after);
    if (found === before) this.#tail = after;
    else throw found === (before | SEALED) ? new ChannelClosedError() : reclaimed();
  }

  abort(): void {
    // The next claim has the same cells.
  }

  take(_place: number, max: number): number {
    let count = this.#othersTail - this.#next >> 1;
    if (count < max) {
      const found = this.#look();
      if (found <= 0) return found;
      count = found;
    }
    if (count > max) count = max;
    this.position = this.#next >>> 1;
    this.#next = this.#next + UNIT * count | 0;
    return count;
  }

  /** How many messages there are; {@link ENDED} if there will be none. */
  #look(): number {
    const words = this.#words;
    for (;;) {
      // Pairs with publish.
      const tail = Atomics.load(words, TAIL_WORD);
      this.#othersTail = tail & ~SEALED;
      const count = this.#othersTail - this.#next >> 1;
      if (count !== 0) return count;
      if ((tail & SEALED) !== 0) return ENDED;
      if (!this.isClosed) return 0;
      Atomics.compareExchange(words, TAIL_WORD, tail, tail | SEALED);
    }
  }

  hold(): void {
    Atomics.store(this.#words, this.#taken, this.#next);
  }

  hasMessage(): boolean {
    return Atomics.load(this.#words, TAIL_WORD) !== this.#next || this.isClosed;
  }

  free(position: number, count: number): void {
    const first = position << 1;
    if (first !== this.#head) {
      for (let i = 0; i < count; i++) this.#early.add(first + UNIT * i | 0);
      return;
    }
    const before = this.#head;
    let after = first + UNIT * count | 0;
    if (this.#early.size > 0) { while (this.#early.delete(after)) after = after + UNIT | 0; }
    // Everything that was read from the cells happens before: pairs with claim.
    if (Atomics.compareExchange(this.#words, HEAD_WORD, before, after) !== before) {
      throw reclaimed();
    }
    this.#head = after;
  }

  giveBack(position: number): void {
    this.#next = position << 1;
    this.hold();
  }

  reclaimSender(_place: number, release: (position: number) => void): number {
    // Messages in a pool go one at a time; if there is no room, this is one that was published.
    if (this.hasRoom(0)) release(this.#tail >>> 1);
    return 0;
  }

  reclaimReceiver(_place: number, redeliver: boolean, isThere: IsThere): number {
    const words = this.#words;
    const head = Atomics.load(words, HEAD_WORD);
    const taken = (Atomics.load(words, this.#taken) - head | 0) >> 1;
    const count = taken > this.capacity ? 0 : Math.max(0, taken);
    let passed = 0;
    let left = 0;
    for (let i = 0; i < count; i++) {
      if (isThere((head >>> 1) + i)) left++;
      // What was done with goes from the first on.
      if (left === 0 || !redeliver) passed++;
    }
    Atomics.store(words, HEAD_WORD, head + UNIT * passed | 0);
    Atomics.store(words, this.#taken, head + UNIT * passed | 0);
    return left;
  }

  get depth(): number {
    // The head first: it does not overtake the tail.
    const head = Atomics.load(this.#words, HEAD_WORD);
    const depth = (Atomics.load(this.#words, TAIL_WORD) & ~SEALED) - head >> 1;
    return Math.min(depth, this.capacity);
  }
}
