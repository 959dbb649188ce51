/**
 * Observing events without holding anything up: copies, which are checked afterwards.
 *
 * An observer copies events while producers may overwrite them. Every producer says how far it may
 * have filled slots, by an atomic operation that reads and writes, before it fills them: several
 * producers by their claim, a single one by {@link FILLED}. After a copy, the observer performs
 * such an operation on the same word. Either that comes first, and the producer's reads from it, so
 * that the copy happens before anything is overwritten; or it finds what the producer has written,
 * and the copy is thrown away.
 *
 * Proven by: tests/disruptor/observer_model_test.ts.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import { racyLoad } from "../memory/memory.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { Barrier, WaitStrategy } from "./barrier.ts";
import type { Target } from "./consumer.ts";
import {
  CLAIMS,
  CLOSED,
  FILLED,
  FLAGS,
  HALTED,
  HALVES,
  SEQUENCES,
  SKIPS,
  SLEEPING,
  UNIT_SHIFT,
} from "./layout.ts";
import type { Level } from "./level.ts";
import type { Ring } from "./ring.ts";

/** The slots of the ring, and what is used of an array to copy into. */
interface Slots<Value> {
  readonly length: number;
  [index: number]: Value;
}

/**
 * An observer of the events that a node of the graph sees: nothing waits for it. Events that are
 * overwritten before it has read them are lost to it, and counted.
 *
 * @example Usage
 * ```ts
 * import { Disruptor } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const disruptor = Disruptor.create({
 *   capacity: 4,
 *   elements: "i32",
 *   consumers: { store: {}, monitor: { observer: true } },
 * });
 * using producer = disruptor.producer();
 * using store = disruptor.consumer("store");
 * using monitor = disruptor.observer("monitor");
 * for (let i = 0; i < 10; i++) {
 *   producer.send(i);
 *   store.poll();
 * }
 * const target = new Int32Array(4);
 * let received = 0;
 * for (let count; (count = monitor.read(target)) > 0;) received += count;
 * assertEquals(received + monitor.lost, 10);
 * ```
 */
export class EventObserver<Value = unknown> {
  readonly #ring: Ring;
  readonly #node: number;
  readonly #barrier: Barrier;
  readonly #gate: Level;
  readonly #slots: Slots<Value>;
  /** The elements of a slot: 1 for numbers, otherwise its bytes. */
  readonly #stride: number;
  /** The word that producers change before they overwrite. */
  readonly #filledWord: number;
  /** The word of the gate, as this observer left it: for inspection. */
  #gateWord: number;
  /** The number of the next event, which does not wrap. */
  #next: number;
  #lost = 0;
  #skipped = 0;
  #hasEnded = false;
  #isClosed = false;

  /** @ignore */
  constructor(ring: Ring, node: number, strategy: WaitStrategy) {
    const { size } = ring.region.layout;
    this.#ring = ring;
    this.#node = node;
    this.#barrier = ring.consumerBarrier(node, strategy);
    this.#gate = ring.gates[node]!;
    this.#slots = ring.events as Slots<Value>;
    this.#stride = size.elements === 0 ? size.slotBytes : 1;
    this.#filledWord = ring.hasManyProducers ? CLAIMS : FILLED;
    this.#gateWord = this.#gate.load() & ~SLEEPING;
    this.#next = 0;
    const filled = this.#filled();
    this.#next = filled - distance(this.#gateWord & ~FLAGS, positionOf(filled));
  }

  /** The name of the node. */
  get node(): string {
    return this.#ring.graph.nodes[this.#node]!.name;
  }

  /** The number of the next event: events are counted from the ring's `start` on. */
  get sequence(): number {
    return this.#next;
  }

  /** How many events were overwritten before they were read. */
  get lost(): number {
    return this.#lost;
  }

  /** How many events were passed over as their producer aborted them, or died. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Whether no more events will come: all were read, or everything was halted. */
  get isEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Copies the next events out, as many as are there and fit. Elements of the target after those
   * that are returned may be overwritten, too.
   *
   * @param target An array of numbers; for slots of bytes or records a `Uint8Array`, of which whole
   * slots are filled.
   * @returns How many events; 0 if there is none.
   * @throws {ClosedError} If this observer is closed.
   */
  read(target: Target<Value>): number {
    if (this.#isClosed) throw new ClosedError("Cannot read as the observer is closed");
    const most = Math.floor(target.length / this.#stride);
    while (!this.#hasEnded && most > 0) {
      const available = this.#look();
      if (available === 0) return 0;
      const { capacity } = this.#ring;
      const begin = this.#next & (capacity - 1);
      const count = Math.min(available, most, capacity - begin);
      const maySkip = this.#maySkip;
      beginSpeculation();
      const copied = maySkip
        ? this.#copyUnskipped(target, begin, count)
        : this.#copy(target, begin, count);
      // Pairs with the operation of a producer that is about to overwrite. See the top.
      const oldest = this.#filled() - capacity;
      const isWhole = oldest <= this.#next;
      endSpeculation(isWhole);
      if (isWhole) {
        this.#skipped += count - copied;
        this.#moveTo(this.#next + count);
        if (copied > 0) return copied;
      } else {
        this.#lose(oldest, available);
      }
    }
    return 0;
  }

  /** How many events there are, lost or not; notices the end. */
  #look(): number {
    const filled = this.#filled();
    const position = positionOf(filled);
    const past = this.#barrier.look(position) >> UNIT_SHIFT;
    const available = Math.max(0, filled + past - this.#next);
    if ((this.#barrier.flags & CLOSED) !== 0) {
      this.#hasEnded = available === 0 || this.#ring.state === HALTED;
      return this.#hasEnded ? 0 : available;
    }
    return available;
  }

  /** Goes on in the middle of what is not overwritten, so that it is not overtaken at once. */
  #lose(oldest: number, available: number): void {
    const level = this.#next + available;
    const next = Math.max(oldest, oldest + Math.ceil((level - oldest) / 2));
    this.#lost += next - this.#next;
    this.#moveTo(next);
  }

  #moveTo(next: number): void {
    this.#next = next;
    this.#gateWord = this.#gate.move(this.#gateWord, positionOf(next));
  }

  /** Whether slots may be marked as skipped. */
  get #maySkip(): boolean {
    const { words, hasManyProducers } = this.#ring;
    // Not atomic: a thread that skips a slot stores the word before the cursor passes the slot.
    return hasManyProducers && racyLoad(words, SKIPS) === 1;
  }

  #copy(target: Target<Value>, begin: number, count: number): number {
    const slots = this.#slots;
    const from = begin * this.#stride;
    const length = count * this.#stride;
    for (let i = 0; i < length; i++) target[i] = slots[from + i]!;
    return count;
  }

  /** Copies slots that are not skipped; returns how many. */
  #copyUnskipped(target: Target<Value>, begin: number, count: number): number {
    const { words, region } = this.#ring;
    const slots = this.#slots;
    const stride = this.#stride;
    const { skipped } = region.layout;
    let copied = 0;
    for (let slot = begin; slot < begin + count; slot++) {
      if (words[skipped + slot] === 1) continue;
      for (let i = 0; i < stride; i++) target[copied * stride + i] = slots[slot * stride + i]!;
      copied++;
    }
    return copied;
  }

  /** How far slots may have been filled, as a number that does not wrap. */
  #filled(): number {
    const { words } = this.#ring;
    for (;;) {
      const halves = Atomics.load(words, HALVES);
      const word = Atomics.add(words, this.#filledWord, 0);
      if (Atomics.load(words, HALVES) !== halves) continue;
      // A producer counts the half before it reaches it.
      const half = (halves & 1) === word >>> 31 ? halves : halves - 1;
      return (half >>> 1) * SEQUENCES + (word >>> UNIT_SHIFT);
    }
  }

  /**
   * Blocks until there is something to read, nothing more will come, or the time is over.
   *
   * @returns Whether there is something.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this observer is closed.
   */
  wait(options?: WaitOptions): boolean {
    checkWaitOptions(options);
    if (this.#isWaitNeeded()) this.#barrier.wait(this.#target, CLOSED, options);
    return this.#look() > 0;
  }

  /** As {@link EventObserver.wait}, without blocking. */
  async waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    if (this.#isWaitNeeded()) await this.#barrier.waitAsync(this.#target, CLOSED, options);
    return this.#look() > 0;
  }

  #isWaitNeeded(): boolean {
    if (this.#isClosed) throw new ClosedError("Cannot wait as the observer is closed");
    return this.#look() === 0 && !this.#hasEnded;
  }

  get #target(): number {
    return positionOf(this.#next + 1);
  }

  /** Leaves the node. Twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ring.leaveNode(this.#node);
  }

  /** As {@link EventObserver.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The position of the event with a number that does not wrap. */
function positionOf(sequence: number): number {
  return (sequence % SEQUENCES) << UNIT_SHIFT;
}

/** How many events the position `to` is past `from`. */
function distance(from: number, to: number): number {
  return (to - from | 0) >> UNIT_SHIFT;
}
