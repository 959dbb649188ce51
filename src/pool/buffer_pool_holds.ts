/**
 * Which buffers of a pool are taken and who has them: the shared words, as one thread sees them.
 * Each method is one step of the protocol that is described at the head of `buffer_pool.ts`.
 *
 * @module
 */

import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import {
  DYING,
  OFFERED,
  placesOf,
  SEALED,
  SENDER_SHIFT,
  type Shape,
  STALE,
  STATE,
  STATE_MASK,
  TAKER_MASK,
  TAKER_SHIFT,
  threadLine,
  WAITING,
} from "./buffer_pool_layout.ts";
import type { Identity } from "./buffer_pool_threads.ts";

/** The bits of a ticket's number in a sealed hold. */
const SEAL_MASK = (1 << SENDER_SHIFT) - 1;
/** Spreads the generations of a thread over the numbers of tickets, so that old ones differ. */
const GENERATION_STEP = 0x2545f49;

const NOBODY = -1;
/** How often to look whether a batch's taker is done; some 30 ms. */
const MOST_LOOKS = 1_000_000;

/** The batches and holds of a pool, as one thread sees them. */
export class Holds {
  /** All words of the region. */
  readonly words: Int32Array;
  /** The number of this thread. */
  readonly thread: number;
  /** The first word of this thread's line. */
  readonly line: number;
  /** This thread's bit in holds. */
  readonly bit: number;
  readonly batchCount: number;
  readonly batchSize: number;
  /** The word of batch 0. */
  readonly #batches: number;
  /** The hold of buffer 0. */
  readonly #holds: number;
  /** The taken bits of a batch of which all buffers are. */
  readonly #all: number;
  /** This thread as taker. */
  readonly #taker: number;
  /** One ticket among the flights. */
  readonly #flight: number;
  /** The batch at which the next search begins. */
  #next: number;
  /** The number of the next ticket for a sealed buffer. */
  #seal: number;

  /**
   * Opens the words of a pool.
   *
   * @param identity The thread that looks at them.
   */
  constructor(words: Int32Array, shape: Shape, { thread, generation }: Identity) {
    const { batches, holds } = placesOf(shape);
    this.words = words;
    this.thread = thread;
    this.line = threadLine(thread);
    this.bit = 1 << thread;
    this.batchCount = shape.batchCount;
    this.batchSize = shape.batchSize;
    this.#batches = batches;
    this.#holds = holds;
    this.#all = (1 << shape.batchSize) - 1;
    this.#taker = (thread + 1) << TAKER_SHIFT;
    this.#flight = 1 << shape.threads;
    // Threads begin apart, so as to meet seldom.
    this.#next = Math.floor(shape.batchCount * thread / shape.threads);
    this.#seal = Math.imul(generation, GENERATION_STEP) & SEAL_MASK;
  }

  /** How many buffers there are. */
  get bufferCount(): number {
    return this.batchCount * this.batchSize;
  }

  /** The batch of a buffer. */
  batchOf(buffer: number): number {
    return Math.floor(buffer / this.batchSize);
  }

  /** The taken bit of a buffer in the word of its batch. */
  takenBit(buffer: number): number {
    return 1 << buffer % this.batchSize;
  }

  /**
   * Takes all buffers that are free in some batch.
   *
   * @param into Where to write their numbers.
   * @param at Where in it to begin.
   * @param isLookSure Whether to look with atomic loads, so that nothing is overlooked that was
   * given back before, even if nothing else tells that it was.
   * @returns How many there are; 0 if no batch has any.
   */
  takeBatch(into: Int32Array, at: number, isLookSure: boolean): number {
    for (let i = 0; i < this.batchCount; i++) {
      const batch = this.#next;
      this.#next = batch + 1 === this.batchCount ? 0 : batch + 1;
      const index = this.#batches + batch;
      const word = isLookSure ? Atomics.load(this.words, index) : this.#glanceAt(index);
      const count = this.#take(batch, word, into, at);
      if (count > 0) return count;
    }
    return 0;
  }

  /** Makes buffers of a batch free, all of which only this thread has. */
  giveBack(batch: number, takenBits: number): void {
    // Publishes what we did with them to who takes them next.
    Atomics.and(this.words, this.#batches + batch, ~takenBits);
  }

  /** Makes a buffer free that only this thread has. */
  giveBackOne(buffer: number): void {
    this.giveBack(this.batchOf(buffer), this.takenBit(buffer));
  }

  /** Whether a thread seems to wait; a plain look, which may come too early or too late. */
  mayBeAwaited(): boolean {
    return this.#glanceAt(WAITING) !== 0;
  }

  /** Offers a buffer that only this thread has; then its number is given to who waits. */
  offer(buffer: number): void {
    Atomics.store(this.words, this.#holds + buffer, OFFERED);
  }

  /** Takes a buffer that was offered, here or elsewhere; says whether it still was. */
  accept(buffer: number): boolean {
    return this.#exchange(buffer, OFFERED, this.bit);
  }

  /** Hands a buffer over that only this thread has, to who has the ticket that this returns. */
  seal(buffer: number): number {
    const ticket = SEALED | this.thread << SENDER_SHIFT | this.#seal;
    this.#seal = (this.#seal + 1) & SEAL_MASK;
    // Publishes what we did with it to who receives it.
    Atomics.store(this.words, this.#holds + buffer, ticket);
    return ticket;
  }

  /** Takes a buffer that was handed over with this ticket; says whether it still was. */
  unseal(buffer: number, ticket: number): boolean {
    return ticket !== OFFERED && this.#exchange(buffer, ticket, this.bit);
  }

  /** Leaves a buffer to a ticket that is from now on counted among its flights. */
  leaveToFlight(buffer: number): void {
    Atomics.add(this.words, this.#holds + buffer, this.#flight - this.bit);
  }

  /** Takes a buffer over from a ticket, which is counted no more. This thread is not its holder. */
  takeFromFlight(buffer: number): void {
    // Pairs with the sender's leaving: all that it did with the buffer is done.
    Atomics.add(this.words, this.#holds + buffer, this.bit - this.#flight);
  }

  /** Becomes a holder of a buffer that cannot become free meanwhile. */
  join(buffer: number): void {
    Atomics.or(this.words, this.#holds + buffer, this.bit);
  }

  /** Is no longer a holder of a buffer that cannot become free meanwhile. */
  part(buffer: number): void {
    Atomics.and(this.words, this.#holds + buffer, ~this.bit);
  }

  /**
   * Lets go of a buffer, unless nobody else has it.
   *
   * @returns Whether this thread alone has it now.
   */
  letGo(buffer: number): boolean {
    for (;;) {
      const hold = Atomics.load(this.words, this.#holds + buffer);
      // Nobody can come in: only who has a buffer can send it. And all that others did is done.
      if (hold === this.bit) return true;
      // Publishes what we did with it to who lets go after us.
      if (this.#exchange(buffer, hold, hold & ~this.bit)) return false;
    }
  }

  /** Whether nobody else has a buffer that this thread has. */
  isAlone(buffer: number): boolean {
    return Atomics.load(this.words, this.#holds + buffer) === this.bit;
  }

  /** Whether a thread is a holder of a buffer that some thread or ticket has. */
  isHolder(thread: number, buffer: number): boolean {
    return (Atomics.load(this.words, this.#holds + buffer) & 1 << thread) !== 0;
  }

  /** Whether a thread other than this one waits, or is about to. */
  isAwaitedByOthers(): boolean {
    return (Atomics.load(this.words, WAITING) & ~this.bit) !== 0;
  }

  /** How many buffers are free, as far as one can look at them one after the other. */
  countFree(): number {
    let free = this.bufferCount;
    for (let batch = 0; batch < this.batchCount; batch++) {
      free -= countBits(Atomics.load(this.words, this.#batches + batch) & this.#all);
    }
    return free;
  }

  /**
   * Takes back what a dead thread has of a batch, and what is offered in it: that may have been
   * offered by the dead thread and to nobody, or to it.
   *
   * @param reclaimsSent Whether to take back, too, what the dead thread has handed over and nobody
   * has received.
   * @returns How many buffers became free.
   * @throws {Error} If another thread is about to take, and does not get done with it.
   */
  reclaimBatch(batch: number, dead: number, reclaimsSent: boolean): number {
    let freed = 0;
    let isStale = false;
    const index = this.#batches + batch;
    const first = batch * this.batchSize;
    for (let bits = this.#bar(batch, dead); bits !== 0; bits &= bits - 1) {
      const bit = bits & -bits;
      const before = this.#reclaim(first + 31 - Math.clz32(bit), dead, reclaimsSent);
      if (before === 0) continue;
      freed |= bit;
      // Who was on the way with its number finds that it comes too late.
      if (before < 0) isStale = true;
    }
    // Before they are free: pairs with who takes them next.
    if (isStale) Atomics.or(this.words, index, STALE);
    // Publishes what we know of them to who takes them next; and we are no longer the taker.
    Atomics.and(this.words, index, ~(freed | TAKER_MASK));
    return countBits(freed);
  }

  /**
   * Becomes the taker of a batch, so that its free buffers stay as they are and nobody writes their
   * holds.
   *
   * @returns Which of them are taken.
   */
  #bar(batch: number, dead: number): number {
    const index = this.#batches + batch;
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const word = Atomics.load(this.words, index);
      const taker = takerOf(word);
      if (taker !== NOBODY && taker !== this.thread && !this.#isDying(taker)) {
        Atomics.pause();
        continue;
      }
      const barred = (word & ~TAKER_MASK) | this.#taker;
      // What a dead thread was about to take it has not taken.
      if (Atomics.compareExchange(this.words, index, word, barred) === word) {
        return word & this.#all;
      }
    }
    const taker = takerOf(Atomics.load(this.words, index));
    throw new Error(
      `Cannot reclaim thread ${dead} as thread ${taker} does not get done with a batch: if that has died, too, reclaim it first`,
    );
  }

  #isDying(thread: number): boolean {
    return (Atomics.load(this.words, threadLine(thread) + STATE) & STATE_MASK) === DYING;
  }

  /**
   * Takes a buffer back if the dead thread, or nobody, has it.
   *
   * @returns What its hold was, if it may become free now; 0 if others have it.
   */
  #reclaim(buffer: number, dead: number, reclaimsSent: boolean): number {
    const bit = 1 << dead;
    for (;;) {
      const hold = Atomics.load(this.words, this.#holds + buffer);
      // Nobody else has it, so nobody changes it.
      if (hold === bit) return hold;
      if (hold < 0) {
        if (hold !== OFFERED && !(reclaimsSent && senderOf(hold) === dead)) return 0;
        if (this.#exchange(buffer, hold, this.bit)) return hold;
      } else if ((hold & bit) === 0 || this.#exchange(buffer, hold, hold & ~bit)) {
        return 0;
      }
    }
  }

  #exchange(buffer: number, expected: number, replacement: number): boolean {
    const index = this.#holds + buffer;
    return Atomics.compareExchange(this.words, index, expected, replacement) === expected;
  }

  /** Takes what is free of one batch, whose word was seen to be `word`. */
  #take(batch: number, word: number, into: Int32Array, at: number): number {
    const index = this.#batches + batch;
    const all = this.#all;
    for (;;) {
      if ((word & TAKER_MASK) !== 0 || (word & all) === all) return 0;
      // From here on nobody else takes. Pairs with whoever gave back: what they did is done.
      const found = Atomics.compareExchange(this.words, index, word, word | this.#taker);
      if (found === word) break;
      word = found;
    }
    const free = ~word & all;
    const first = batch * this.batchSize;
    let end = at;
    for (let bits = free; bits !== 0; bits &= bits - 1) {
      const buffer = first + 31 - Math.clz32(bits & -bits);
      // Nobody but the taker looks at the hold of a free buffer, so this may be plain.
      if ((word & STALE) === 0) this.words[this.#holds + buffer] = this.bit;
      else Atomics.store(this.words, this.#holds + buffer, this.bit);
      into[end++] = buffer;
    }
    // Publishes the holds, with the taken bits. Those were 0, and the taker was us.
    Atomics.xor(this.words, index, free | this.#taker);
    return end - at;
  }

  /** Reads a word plainly; nothing may be concluded from it. */
  #glanceAt(index: number): number {
    beginSpeculation();
    const word = this.words[index]!;
    endSpeculation(false);
    return word;
  }
}

/** The taker of a batch with this word, or {@link NOBODY}. */
function takerOf(word: number): number {
  return ((word & TAKER_MASK) >>> TAKER_SHIFT) - 1;
}

/** Who sealed a hold. */
function senderOf(seal: number): number {
  return seal >>> SENDER_SHIFT & 31;
}

/** How many bits are set. */
function countBits(bits: number): number {
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count++;
  return count;
}
