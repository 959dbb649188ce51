/**
 * A waiter queue: threads wait for values, and whoever has one to give hands it to the thread that
 * has waited longest.
 *
 * A value is a whole number from 0 to 2^31 - 1, such as the id of a buffer. Values that nobody
 * waits for lie in a *store*, such as a `ValueSet`; `value_store.ts` states the contract of stores.
 * Each thread has one *registration* in shared memory, however many of its tasks wait: they stand
 * in a queue of its own behind it, see `thread_waiters.ts`.
 *
 * The words, and who writes them, are described at the head of
 * `registrations.ts`; the queue of a thread's own in `thread_waiters.ts`.
 *
 * **Offering.** Looks at the marks, among the marked slots for the one that waits with the oldest
 * ticket, and puts the value into its mail by one compareExchange, which succeeds only for that very
 * registration. So a value is given to one thread, whole, and in the order of registration. If it
 * fails, the registration was served or cancelled meanwhile, and the search starts over. If
 * nobody waits, that is one load for each 32 slots.
 *
 * **Waiting.** A thread registers: takes a ticket, stores it in its mail, and sets its mark. *Then*
 * it looks into the store. If there is nothing, it sleeps while its mail is what it stored.
 *
 * **Releasing.** Offers the value. If nobody waits puts it into the store, and *then* looks once
 * more whether anybody waits; if so, it takes a value out of the store again and offers that.
 *
 * **Why nobody is forgotten.** Of registering and looking into the store on one side, putting into
 * the store and looking for waiters on the other, one side sees the other. A thread that is served
 * is not registered any more; if it goes on waiting, it registers again, behind all others, and
 * looks into the store again.
 *
 * **Why nobody sleeps beside a value**, however many threads release and wait. A thread falls
 * asleep once a take has returned undefined: so, by the contract, the store was empty at some
 * instant after the thread registered. Each release that puts a value after that instant finds the
 * thread registered, and takes a value in turn, which it gives to a waiter. While the thread
 * sleeps, there are never more values in the store than such releases between their put and their
 * take: a put adds one to both, and the take that follows subtracts one from both, unless the store
 * is empty. When all of them have returned, the store is empty. Hence the contract: a release whose
 * take overlooks a value, even one that another thread put, is done, and that value stays.
 *
 * **Cancelling** is a compareExchange from WAITING to IDLE. If it fails, a value has come meanwhile,
 * and is released to the next.
 *
 * **Happens before.** Everything that a thread did before it released a value happens before
 * everything that a thread does after it took that value. A value that is offered goes through the
 * mail, which the releaser writes and the owner reads, both by compareExchange. A value that is put
 * goes through the store, whose contract says the same. A value that another release takes out and
 * offers goes through both, one after the other.
 *
 * **Limits.** Tickets are compared by wrapping subtraction of 30 bits: a registration that stands while
 * 2^29 others are made may be passed. A value that was given to a thread which is busy waits there until the
 * thread gets to it; one that was given to a thread that has died is given back by `evict`.
 *
 * Proven by: tests/sync/waiter_queue_model_test.ts and, for stores,
 * tests/sync/value_store_model_test.ts, which say what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import {
  initialize,
  labelRegistrations,
  MAX_VALUE,
  Registrations,
  registrationsByteLength,
  THREADS,
} from "./registrations.ts";
import { type JoinOptions, ThreadWaiters } from "./thread_waiters.ts";
import { checkStore, releaseTo, type ValueStore } from "./value_store.ts";

/** Opens a {@link WaiterQueue} in another thread. */
export type WaiterQueueHandle = RegionHandle<"busbar.waiter_queue">;

/** Options of {@link WaiterQueue.create}. */
export interface WaiterQueueOptions {
  /** How many threads can join at a time, from 1 to 1024; 32 by default. */
  threads?: number;
  /** The memory to lay the queue out in; one of its own by default. */
  memory?: Memory;
}

const KIND: RegionKind<"busbar.waiter_queue"> = {
  kind: "busbar.waiter_queue",
  version: 1,
  magic: 0x77747175, // "wtqu"
};

const MAX_THREADS = 1024;
const DEFAULT_THREADS = 32;

/**
 * A waiter queue: threads wait for values, and whoever has one to give hands it to the thread that
 * has waited longest.
 *
 * A value is a whole number from 0 to 2^31 - 1, such as the id of a buffer. Values that nobody
 * waits for lie in a store: a {@link ValueSet}, or one of your own that keeps the contract of
 * {@link ValueStore}.
 *
 * Everything that a thread wrote before it released a value, plainly too, is visible to the thread
 * that takes the value.
 *
 * @example Three slots, which threads wait for while all are in use
 * ```ts
 * import { ValueSet, WaiterQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = WaiterQueue.create({ threads: 4 });
 * const free = ValueSet.create({ capacity: 3, full: true });
 * // worker.postMessage({ queue: queue.handle, free: free.handle }), and there:
 * // WaiterQueue.attach(handles.queue).join(ValueSet.attach(handles.free))
 * using waiters = queue.join(free);
 *
 * const slots = [waiters.take(), waiters.take(), waiters.take()];
 * const next = waiters.takeAsync(); // none is free: waits
 * waiters.release(slots[1]!); // so this goes to the waiter
 * assertEquals(await next, slots[1]);
 *
 * waiters.release(slots[0]!); // nobody waits: into the set
 * assertEquals(free.size, 1);
 * ```
 */
export class WaiterQueue {
  /** The memory that the queue lies in. */
  readonly memory: Memory;
  /** Where in the memory the queue begins. */
  readonly byteOffset: number;
  /** How many threads can join at a time. */
  readonly threads: number;
  readonly #region: Region<"busbar.waiter_queue">;
  readonly #registrations: Registrations;

  private constructor(region: Region<"busbar.waiter_queue">) {
    this.#region = region;
    this.memory = region.memory;
    this.byteOffset = region.byteOffset;
    this.threads = region.words[THREADS]!;
    this.#registrations = new Registrations(this.memory, this.byteOffset, this.threads);
    labelRegistrations(this.threads, (name, index) => region.label(name, index));
  }

  /**
   * How many bytes of memory a queue takes.
   *
   * @param threads How many threads can join at a time.
   * @throws {RangeError} If that is not a whole number from 1 to 1024.
   */
  static byteLength(threads: number): number {
    checkInteger("create waiter queue", "threads", threads, 1, MAX_THREADS);
    return registrationsByteLength(threads);
  }

  /**
   * Lays a new queue out, in which nobody waits.
   *
   * @throws {RangeError} If `threads` is not a whole number from 1 to 1024, or the memory has not
   * enough free bytes.
   */
  static create(options: WaiterQueueOptions = {}): WaiterQueue {
    checkOptions("create waiter queue", options);
    const { threads = DEFAULT_THREADS } = options;
    const region = Region.create(KIND, WaiterQueue.byteLength(threads), options.memory);
    initialize(region.words, threads);
    return new WaiterQueue(region);
  }

  /**
   * Opens a queue that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a queue of this version.
   */
  static attach(handle: WaiterQueueHandle): WaiterQueue {
    const size = (words: Int32Array) => registrationsByteLength(words[THREADS]!);
    return new WaiterQueue(Region.attach(KIND, handle, registrationsByteLength(1), size));
  }

  /** A plain object that survives structured clone and opens this queue in another thread. */
  get handle(): WaiterQueueHandle {
    return this.#region.handle;
  }

  /** How many threads waited just now; all of them are served in their order. */
  get waiting(): number {
    return this.#registrations.waiting;
  }

  /** Whether a thread waited just now. */
  get isAnyWaiting(): boolean {
    return this.#registrations.isAnyWaiting;
  }

  /**
   * Makes this thread one that can wait. Do so once in a thread, and dispose of the result when it
   * does not wait any more.
   *
   * @param store Where values lie while nobody waits for them; in each thread, a store of the same
   * words.
   * @throws {TypeError} If `store` is none.
   * @throws {RangeError} If there is no such slot.
   * @throws {Error} If the slot is taken, or as many threads as can have joined.
   */
  join(store: ValueStore, options?: JoinOptions): ThreadWaiters {
    return new ThreadWaiters(this, store, options);
  }

  /**
   * Whether a thread has joined in this slot, and not left.
   *
   * @throws {RangeError} If there is no such slot.
   */
  isJoined(slot: number): boolean {
    checkInteger("look", "slot", slot, 0, this.threads - 1);
    return this.#registrations.isClaimed(slot);
  }

  /**
   * Gives a value to the thread that has waited longest, or puts it into the store. A thread that
   * waits itself uses {@link ThreadWaiters.release}.
   *
   * Everything that this thread did before, plain writes too, happens before everything that
   * another does after it took the value.
   *
   * @param value A whole number from 0 to 2^31 - 1.
   * @param store Where values lie while nobody waits for them: a store of the same words as those
   * that threads have joined with.
   * @throws {RangeError} If it is not such a number.
   * @throws {TypeError} If `store` is none.
   */
  release(value: number, store: ValueStore): void {
    checkInteger("release", "value", value, 0, MAX_VALUE);
    checkStore("release", store);
    releaseTo(this.#registrations, store, value);
  }

  /**
   * Gives a value to the thread that has waited longest, if anybody waits.
   *
   * This is one step of {@link WaiterQueue.release}, which does all that is needed. What is said
   * there of plain writes holds for a value that is given.
   *
   * @param value A whole number from 0 to 2^31 - 1.
   * @returns Whether anybody waits. If not, the value is still the caller's, who puts it where
   * waiters look for it, and *then* looks again whether one waits.
   * @throws {RangeError} If it is not such a number.
   */
  offer(value: number): boolean {
    checkInteger("offer", "value", value, 0, MAX_VALUE);
    return this.#registrations.offer(value);
  }

  /**
   * Gives the slot of a thread back that has died without disposing of it. Call it once, and only if
   * the thread is dead: `src/when_a_worker_dies.md` says when a terminated worker is.
   *
   * @param slot The {@link ThreadWaiters.slot} of that thread.
   * @returns The value that it was given and has not taken, if there is one: release it.
   * @throws {RangeError} If there is no such slot.
   * @throws {Error} If nobody has it.
   */
  evict(slot: number): number | undefined {
    checkInteger("evict", "slot", slot, 0, this.threads - 1);
    if (!this.#registrations.isClaimed(slot)) {
      throw new Error(`Cannot evict slot ${slot} of the waiter queue as nobody has it`);
    }
    const value = this.#registrations.clear(slot);
    this.#registrations.giveSlotBack(slot);
    return value;
  }

  /**
   * Lets every thread that waits look again. To be called when a thread has died that may have been
   * giving a value to one: it may have done so and not woken it.
   */
  wakeAll(): void {
    for (let slot = 0; slot < this.threads; slot++) this.#registrations.wake(slot);
  }
}
