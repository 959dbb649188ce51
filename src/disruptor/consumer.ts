/**
 * Consuming events: poll a batch, use it in place, release it.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { racyLoad } from "../memory/memory.ts";
import { TimeSlice } from "../memory/time_slice.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { Barrier, WaitStrategy } from "./barrier.ts";
import {
  type AsyncBatchHandler,
  type BatchHandler,
  BatchRun,
  type EventHandler,
  type RunOptions,
} from "./batch_run.ts";
import type { Claims } from "./claims.ts";
import { CLOSED, FLAGS, HALTED, REMOVED, SKIPS, SLEEPING, UNIT, UNIT_SHIFT } from "./layout.ts";
import type { Level } from "./level.ts";
import { Pace } from "./pace.ts";
import type { Ring } from "./ring.ts";

// Local copies for the hot path.
const POSITION_MASK = ~FLAGS;
const SHIFT = UNIT_SHIFT;
const IS_CLOSED = CLOSED;
const SKIPS_WORD = SKIPS;
const HAS_ENDED = CLOSED | REMOVED;

/** What is used of the array of slots. */
interface Slots<Value> {
  readonly [index: number]: Value;
  subarray(begin: number, end: number): Slots<Value>;
}

/** An array to copy values into. */
export interface Target<Value> {
  /** How many fit. */
  readonly length: number;
  /** Each of them. */
  [index: number]: Value;
}

/** A typed array to copy values into. */
interface TypedTarget<Value> {
  set(values: Slots<Value>): void;
}

/** How many events a batch may have in any ring. */
const LEAST_BATCH = 256;
/** Up to how many values are copied one by one. */
const FEW = 48;

/**
 * A consumer of a node: the only one, or one of the workers that compete for its events.
 *
 * A batch lies in one piece in the ring, from slot {@link Consumer.begin} to slot
 * {@link Consumer.end}, and stays there until it is released. The next poll releases it, if nothing
 * else did.
 *
 * @example Usage
 * ```ts
 * import { Disruptor } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const disruptor = Disruptor.create({ capacity: 8, elements: "i32", consumers: { sum: {} } });
 * using producer = disruptor.producer();
 * using consumer = disruptor.consumer("sum");
 * producer.sendAll([1, 2, 3]);
 *
 * let sum = 0;
 * while (consumer.poll() > 0) {
 *   for (let slot = consumer.begin; slot < consumer.end; slot++) sum += consumer.events[slot]!;
 * }
 * assertEquals(sum, 6);
 * ```
 */
export class Consumer<Events = unknown, Value = unknown> {
  /** The slots of the ring. Only those of the batch may be read, or changed for later nodes. */
  readonly events: Events;
  /** The first slot of the batch. */
  begin = 0;
  /** The slot after the last one of the batch, in one piece with it. */
  end = 0;
  readonly #ring: Ring;
  readonly #node: number;
  readonly #barrier: Barrier;
  readonly #pace: Pace;
  readonly #gate: Level;
  /** The claims of the workers; undefined if this is the only consumer. */
  readonly #claims: Claims | undefined;
  readonly #mask: number;
  readonly #defaultBatch: number;
  /** Whether slots may be skipped, which each says. */
  readonly #maySkip: boolean;
  /** The position of the batch. */
  #position: number;
  /** The position up to which events are available for sure. */
  #available: number;
  /** How many events the last look of a wait has found. */
  #found = 0;
  /** The word of the gate, as this consumer left it. */
  #gateWord: number;
  #skipped = 0;
  #hasEnded = false;
  #isClosed = false;

  /** @ignore */
  constructor(ring: Ring, node: number, strategy: WaitStrategy, claims: Claims | undefined) {
    this.events = ring.events as Events;
    this.#ring = ring;
    this.#node = node;
    this.#barrier = ring.consumerBarrier(node, strategy);
    this.#pace = new Pace(ring.capacity, strategy);
    this.#gate = ring.gates[node]!;
    this.#claims = claims;
    this.#mask = ring.capacity - 1;
    this.#defaultBatch = Math.max(LEAST_BATCH, ring.capacity >> 3);
    this.#maySkip = ring.hasManyProducers;
    this.#gateWord = this.#gate.load() & ~SLEEPING;
    this.#position = this.#gateWord & POSITION_MASK;
    this.#available = this.#position;
    this.#resume();
  }

  /** Takes over what a dead worker that had this place had claimed. */
  #resume(): void {
    const claims = this.#claims;
    if (claims === undefined) return;
    const left = claims.leftClaim(claims.place);
    if (left === undefined) {
      // It may have left an intent.
      claims.withdraw();
    } else {
      claims.resume(left);
      this.#position = left.position;
    }
  }

  /** The name of the node. */
  get node(): string {
    return this.#ring.graph.nodes[this.#node]!.name;
  }

  /** The place among the competing workers; -1 for the only consumer. */
  get worker(): number {
    return this.#claims?.place ?? -1;
  }

  /** Where a slot lies in `events`, in bytes: for slots of records or bytes. */
  offset(slot: number): number {
    return slot * this.#ring.region.layout.size.slotBytes;
  }

  /** How many events the batch has. */
  get count(): number {
    return this.end - this.begin;
  }

  /**
   * The number of the first event of the batch, from 0 to 2^28 - 1, after which it begins again.
   */
  get sequence(): number {
    return this.#position >>> SHIFT;
  }

  /** How many events this consumer has passed over, as their producer aborted them, or died. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Whether no more events will come: all were consumed, or everything was halted. */
  get isEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether everything was halted. */
  get isHalted(): boolean {
    return this.#ring.state === HALTED;
  }

  /** How many events are waiting for this node, the batch included; an estimate. */
  get lag(): number {
    const from = this.#claims === undefined ? this.#position : this.#claims.load() & POSITION_MASK;
    return Math.max(0, this.#barrier.look(from) >> SHIFT);
  }

  /**
   * Releases the batch, if there is one, and takes the next one, of those events that are there.
   *
   * @param maxBatch The maximum number of events. An eighth of the ring by default, and at least
   * 256: so that producers need not wait long until slots are released.
   * @returns How many there are; 0 if there is none.
   * @throws {RangeError} If `maxBatch` is not a whole number above 0.
   * @throws {ClosedError} If this consumer is closed.
   */
  poll(maxBatch: number = this.#defaultBatch): number {
    if (this.#isClosed || maxBatch !== maxBatch >>> 0 || maxBatch === 0) this.#refuse(maxBatch);
    if (this.#claims !== undefined) return this.#pollClaims(this.#claims, maxBatch);
    this.release();
    if (this.#hasEnded) return 0;
    const position = this.#position;
    let ahead = this.#available - position | 0;
    if (ahead === 0) {
      ahead = this.#barrier.look(position);
      if ((this.#barrier.flags & IS_CLOSED) !== 0 && !this.#goesOn(ahead)) return 0;
      if (ahead <= 0) return 0;
      this.#available = position + ahead | 0;
    }
    return this.#take(position, ahead >> SHIFT, maxBatch);
  }

  /** Makes a batch of what is available, which lies in one piece. */
  #take(position: number, count: number, maxBatch: number): number {
    const begin = (position >>> SHIFT) & this.#mask;
    if (count > maxBatch) count = maxBatch;
    const untilEnd = this.#mask + 1 - begin;
    if (count > untilEnd) count = untilEnd;
    this.begin = begin;
    this.end = begin + count;
    // Not atomic: a thread that skips a slot stores the word before the cursor passes the slot.
    if (this.#maySkip && racyLoad(this.#ring.words, SKIPS_WORD) === 1) {
      return this.#passSkipped(maxBatch);
    }
    return count;
  }

  /** Shortens the batch to its first events that are not skipped; polls again if all are. */
  #passSkipped(maxBatch: number): number {
    const { words, region } = this.#ring;
    const { skipped } = region.layout;
    let { begin } = this;
    while (begin < this.end && words[skipped + begin] === 1) begin++;
    this.#skipped += begin - this.begin;
    this.release(begin - this.begin);
    if (begin === this.end) return this.poll(maxBatch);
    let end = begin + 1;
    while (end < this.end && words[skipped + end] === 0) end++;
    this.end = end;
    return end - begin;
  }

  #pollClaims(claims: Claims, maxBatch: number): number {
    this.release();
    // The rest of a claim that has skipped slots, or that a dead worker left.
    if (claims.isOpen) {
      return this.#take(claims.start, (claims.end - claims.start | 0) >> SHIFT, maxBatch);
    }
    if (this.#hasEnded) return 0;
    for (let hasFailed = false;; hasFailed = true) {
      const seen = claims.load();
      const position = seen & POSITION_MASK;
      const ahead = this.#barrier.look(position);
      const hasClosed = (this.#barrier.flags & IS_CLOSED) !== 0;
      if (ahead <= 0 || (hasClosed && !this.#goesOn(ahead))) {
        if (hasFailed) claims.withdraw();
        if (hasClosed) this.#goesOn(ahead);
        return 0;
      }
      const untilEnd = this.#mask + 1 - ((position >>> SHIFT) & this.#mask);
      const count = Math.min(ahead >> SHIFT, maxBatch, untilEnd);
      if (!claims.tryClaim(seen, count << SHIFT)) continue;
      if (hasFailed) claims.advance();
      this.#position = position;
      return this.#take(position, count, maxBatch);
    }
  }

  /** After a level was found closed: whether there is still something to consume. */
  #goesOn(ahead: number): boolean {
    if (this.#ring.state === HALTED) {
      this.#hasEnded = true;
      return false;
    }
    if (ahead > 0) return true;
    this.#hasEnded = true;
    this.#ring.closeIfDone(this.#node, this.#barrier);
    return false;
  }

  /**
   * Releases the batch, or its first events: later nodes get them, or their slots are filled again.
   *
   * @param count How many; all by default.
   * @throws {RangeError} If the batch has not as many.
   */
  release(count: number = this.end - this.begin): void {
    if (count === 0) return;
    if (count !== this.end - this.begin) {
      checkInteger("release", "count", count, 0, this.end - this.begin);
    }
    this.begin += count;
    const position = this.#position + (count << SHIFT) | 0;
    this.#position = position;
    const claims = this.#claims;
    if (claims === undefined) {
      const word = this.#gate.move(this.#gateWord, position);
      this.#gateWord = word;
      if ((word & HAS_ENDED) !== 0) this.#end();
    } else if (!(position === claims.end ? claims.finish() : claims.finishPart(count << SHIFT))) {
      this.#end();
    }
  }

  #end(): void {
    this.#hasEnded = true;
    this.begin = this.end = 0;
  }

  /**
   * Releases the batch, and blocks until there is something to poll, nothing more will come, or the
   * time is over.
   *
   * @returns Whether there was something; another worker may be quicker to take it.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this consumer is closed.
   */
  wait(options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    if (this.#isClosed) this.#refuse(1);
    this.release();
    if (this.#available !== this.#position && this.#claims === undefined) return !this.#hasEnded;
    this.#pace.rest();
    const target = this.#waitTarget();
    if (target === undefined) {
      this.#pace.learn(this.#found, 0);
      return !this.#hasEnded;
    }
    return this.#waitFor(target, options);
  }

  #waitFor(first: number, options: WaitOptions | undefined): boolean {
    const deadline = options === undefined ? undefined : new Deadline(options);
    for (let target: number | undefined = first; target !== undefined;) {
      const left = deadline && { timeoutMs: deadline.remainingMs };
      if (!this.#barrier.wait(target, CLOSED, left)) return false;
      target = this.#waitTarget();
    }
    this.#pace.learn(this.#found, this.#barrier.pauses);
    return !this.#hasEnded;
  }

  /** As {@link Consumer.wait}, without blocking. */
  async waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    const deadline = new Deadline(options);
    for (;;) {
      const target = this.#waitTarget();
      if (target === undefined) return !this.#hasEnded;
      const left = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (!await this.#barrier.waitAsync(target, CLOSED, left)) return false;
    }
  }

  /** The position to wait for; undefined if there is something, or there will be nothing. */
  #waitTarget(): number | undefined {
    if (this.#isClosed) this.#refuse(1);
    this.release();
    if (this.#hasEnded) return undefined;
    const claims = this.#claims;
    if (claims?.isOpen) return undefined;
    const position = claims === undefined ? this.#position : claims.load() & POSITION_MASK;
    const ahead = this.#barrier.look(position);
    if ((this.#barrier.flags & IS_CLOSED) !== 0 && !this.#goesOn(ahead)) return undefined;
    if (ahead <= 0) return position + UNIT | 0;
    this.#found = ahead >> SHIFT;
    if (claims === undefined) this.#available = position + ahead | 0;
    return undefined;
  }

  /**
   * Copies values of the next events out, as many as are there and fit, and releases them.
   *
   * @returns How many; 0 if there is none.
   */
  read(target: Target<Value>): number {
    if (target.length === 0) return 0;
    const count = this.poll(target.length);
    const slots = this.events as Slots<Value>;
    const { begin } = this;
    if (count > FEW && "set" in target) {
      (target as unknown as TypedTarget<Value>).set(slots.subarray(begin, begin + count));
    } else {
      for (let i = 0; i < count; i++) target[i] = slots[begin + i]!;
    }
    this.release();
    return count;
  }

  /**
   * Iterates over batches: each is this consumer, with the next batch. It ends when no more events
   * will come.
   */
  async *batches(
    { maxBatch, ...options }: AsyncWaitOptions & { maxBatch?: number } = {},
  ): AsyncGenerator<this> {
    const slice = new TimeSlice();
    while (await this.waitAsync(options)) {
      while (this.poll(maxBatch) > 0) {
        yield this;
        // Events that are always there must not keep the event loop from other tasks.
        if (slice.isOver) await slice.yield();
      }
    }
  }

  /**
   * Handles every event until no more will come, blocking while there is none.
   *
   * @param handler Called with each batch, which it may release early. If it throws, or returns
   * "again", the same batch comes again, up to `attempts` times.
   * @throws The handler's error, if `onFailure` is "halt"; everything else is halted, too.
   * @throws {Error} If the handler wants the batch again and has released some of it.
   */
  run(handler: BatchHandler<this>, options?: RunOptions): void {
    const batches = new BatchRun(this.#ring, this.#node, options);
    while (this.wait()) {
      if (this.poll(batches.maxBatch) > 0) batches.handle(this, handler);
    }
  }

  /**
   * As {@link Consumer.run}, for each event by itself.
   *
   * @param handler Called with the slot of each event, and whether it is the last of its batch. If
   * it throws, or returns "again", the same event comes again, up to `attempts` times.
   */
  runEach(handler: EventHandler, options?: RunOptions): void {
    const events = new BatchRun(this.#ring, this.#node, options);
    while (this.wait()) {
      if (this.poll(events.maxBatch) > 0) events.handleEach(this, handler);
    }
  }

  /** As {@link Consumer.run}, without blocking; the handler is awaited. */
  async runAsync(
    handler: AsyncBatchHandler<this>,
    options?: RunOptions & AsyncWaitOptions,
  ): Promise<void> {
    const batches = new BatchRun(this.#ring, this.#node, options);
    const slice = new TimeSlice();
    while (await this.waitAsync(options?.signal && { signal: options.signal })) {
      while (this.poll(batches.maxBatch) > 0) {
        await batches.handleAsync(this, handler);
        if (slice.isOver) await slice.yield();
      }
    }
  }

  /**
   * Leaves the node, without the batch, if there is one: it stays for the next consumer of the
   * node, and of a node with one consumer, everything else waits for that. Twice is fine.
   */
  close(): void {
    if (this.#isClosed) return;
    this.begin = this.end = 0;
    this.#isClosed = true;
    if (this.#claims !== undefined) this.#claims.leave(this.#claims.place);
    else this.#ring.leaveNode(this.#node);
  }

  /** As {@link Consumer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #refuse(maxBatch: number): void {
    if (this.#isClosed) throw new ClosedError("Cannot poll as the consumer is closed");
    checkInteger("poll", "maxBatch", maxBatch, 1, 2 ** 32 - 1);
  }
}
