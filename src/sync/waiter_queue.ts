/**
 * A waiter queue: threads wait for values, and a thread that releases a value hands it to the
 * thread that has waited longest.
 *
 * A value is a whole number from 0 to 2^31 - 1, such as the id of a buffer. Values that no thread
 * waits for lie in a *store*, such as a `ValueSet`; `value_store.ts` states the contract of stores.
 * Each thread has one *registration* in shared memory, however many of its tasks wait: these form a
 * private queue behind it.
 *
 * The words, and the threads that write them, are described at the head of `registrations.ts`; the
 * private queue of a thread in `thread_waiters.ts`.
 *
 * **Offering.** Among the marked slots, the thread finds the one that waits with the oldest ticket,
 * and puts the value into its mail by one compareExchange, which succeeds only for that very
 * registration. So a value is given to one thread, whole, and in the order of registration. If the
 * compareExchange fails, the registration was served or cancelled meanwhile, and the search starts
 * over. If no thread waits, that is one load for each 32 slots.
 *
 * **Waiting.** A thread registers: it takes a ticket, stores it in its mail, and sets its mark.
 * *Then* it looks into the store. If that is empty, it sleeps while its mail is what it stored.
 *
 * **Releasing.** The thread offers the value. If no thread waits, it puts the value into the store,
 * and *then* looks once more whether a thread waits; if so, it takes a value out of the store again
 * and offers that.
 *
 * **Why no waiter is forgotten.** The waiter registers and then looks into the store; the releaser
 * puts into the store and then looks for waiters. So at least one of them sees the other. A thread
 * that is served is not registered any more; if it continues to wait, it registers again, behind
 * all others, and looks into the store again.
 *
 * **Why no thread sleeps beside a value**, however many threads release and wait. A thread falls
 * asleep once a take has returned undefined: so, by the contract, the store was empty at some
 * instant after the thread registered. Each release that puts a value after that instant finds the
 * thread registered, and takes a value in turn, which it gives to a waiter. While the thread
 * sleeps, there are never more values in the store than such releases between their put and their
 * take: a put adds one to both, and the take that follows subtracts one from both, unless the store
 * is empty. When all of them have returned, the store is empty. This is why the contract is needed:
 * a release whose take overlooks a value, even one that another thread put, has ended, and that
 * value stays.
 *
 * **Cancelling** is a compareExchange from WAITING to IDLE. If it fails, a value has arrived
 * meanwhile, and is released to the next waiter.
 *
 * **Happens before.** Everything that a thread did before it released a value happens before
 * everything that a thread does after it took that value. A value that is offered goes through the
 * mail, which the releaser writes and the owner reads, both by compareExchange. A value that is put
 * goes through the store, whose contract says the same. A value that another release takes out and
 * offers goes through both, one after the other.
 *
 * **Limits.** Tickets are compared by wrapping subtraction of 30 bits: a registration that stands
 * while 2^29 others are made may be overtaken. A value that was given to a busy thread stays in its
 * mail until the thread returns to its event loop; one that was given to a thread that has died is
 * recovered by `reclaim`.
 *
 * Proven by: tests/sync/waiter_queue_model_test.ts and, for stores,
 * tests/sync/value_store_model_test.ts, which say what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { KIND, MAX_THREADS, MAX_VALUE, Registrations, WaiterQueueLayout } from "./registrations.ts";
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

const DEFAULT_THREADS = 32;

/**
 * A waiter queue: threads wait for values, first come, first served, and a released value goes to
 * the thread that has waited longest.
 *
 * A value is a whole number from 0 to 2^31 - 1, such as the id of a buffer. Values that no thread
 * waits for lie in a store: a {@link ValueSet}, or one of your own that keeps the contract of
 * {@link ValueStore}.
 *
 * - **FIFO order.** Threads are served in the order in which they began to wait.
 * - **No lost value.** A released value goes to exactly one thread, or into the store.
 * - **No lost wake-up.** No thread sleeps while the store holds a value.
 * - **Visibility.** Everything done before a value was released is visible after it was taken.
 * - **Repairable.** {@link WaiterQueue.reclaim} recovers what a dead thread had received.
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
 * waiters.release(slots[0]!); // no thread waits: into the set
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
  readonly #region: Region<"busbar.waiter_queue", WaiterQueueLayout>;
  readonly #registrations: Registrations;

  /** @ignore */
  private constructor(region: Region<"busbar.waiter_queue", WaiterQueueLayout>) {
    this.#region = region;
    this.memory = region.memory;
    this.byteOffset = region.byteOffset;
    this.threads = region.layout.threads;
    this.#registrations = this.#openRegistrations();
  }

  /**
   * How many bytes of memory a queue takes.
   *
   * @param threads How many threads can join at a time.
   * @throws {RangeError} If that is not a whole number from 1 to 1024.
   */
  static byteLength(threads: number): number {
    checkInteger("create waiter queue", "threads", threads, 1, MAX_THREADS);
    return new WaiterQueueLayout(threads).byteLength;
  }

  /**
   * Lays out a new queue, in which no thread waits.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If `threads` is not a whole number from 1 to 1024, or the memory has not
   * enough free bytes.
   */
  static create(options?: WaiterQueueOptions): WaiterQueue {
    if (options !== undefined) checkOptions("create waiter queue", options);
    const threads = options?.threads ?? DEFAULT_THREADS;
    checkInteger("create waiter queue", "threads", threads, 1, MAX_THREADS);
    const region = Region.create(KIND, new WaiterQueueLayout(threads), options?.memory);
    region.layout.initialize(region.words);
    return new WaiterQueue(region);
  }

  /**
   * Opens a queue that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a queue of this version.
   */
  static attach(handle: WaiterQueueHandle): WaiterQueue {
    return new WaiterQueue(Region.attach(KIND, handle));
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
   * Lets this thread wait. Do so once in a thread, and close the result when it waits no more.
   *
   * @param store Where values lie while no thread waits for them; in each thread, a store of the
   * same words.
   * @throws {TypeError} If `store` is not a store.
   * @throws {RangeError} If there is no such slot.
   * @throws {Error} If the slot is taken, or all slots are in use.
   */
  join(store: ValueStore, options?: JoinOptions): ThreadWaiters {
    return new ThreadWaiters(this.#openRegistrations(), this.threads, store, options);
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
   * @param store Where values lie while no thread waits for them: a store of the same words as
   * those that threads have joined with.
   * @throws {RangeError} If `value` is not such a number.
   * @throws {TypeError} If `store` is not a store.
   */
  release(value: number, store: ValueStore): void {
    checkInteger("release", "value", value, 0, MAX_VALUE);
    checkStore("release", store);
    releaseTo(this.#registrations, store, value);
  }

  /**
   * Gives a value to the thread that has waited longest, if any thread waits.
   *
   * This is one step of {@link WaiterQueue.release}, which does everything that is needed.
   *
   * @param value A whole number from 0 to 2^31 - 1.
   * @returns Whether a thread has received it. If not, the caller still has the value: it must put
   * it where waiters look for it, and *then* check again whether a thread waits.
   * @throws {RangeError} If it is not such a number.
   */
  offer(value: number): boolean {
    checkInteger("offer", "value", value, 0, MAX_VALUE);
    return this.#registrations.offer(value);
  }

  /**
   * Reclaims the slot of a thread that has died without closing its part. Call it once, and only if
   * the thread is dead: `src/when_a_worker_dies.md` says when a terminated worker is.
   *
   * @param slot The {@link ThreadWaiters.slot} of that thread.
   * @returns The value that it had received and not taken, if there is one: release it.
   * @throws {RangeError} If there is no such slot.
   * @throws {Error} If no thread has it.
   */
  reclaim(slot: number): number | undefined {
    checkInteger("reclaim", "slot", slot, 0, this.threads - 1);
    if (!this.#registrations.isClaimed(slot)) {
      throw new Error(`Cannot reclaim slot ${slot} of the waiter queue as no thread has it`);
    }
    const value = this.#registrations.reclaim(slot);
    this.#registrations.releaseSlot(slot);
    return value;
  }

  /**
   * Makes all waiting threads look again. Call it once a thread is dead that may have been
   * releasing a value: it may have handed the value to a waiter and not woken it.
   */
  reclaimWakeups(): void {
    for (let slot = 0; slot < this.threads; slot++) this.#registrations.wake(slot);
  }

  /** The registrations, as one more part of this thread sees them. */
  #openRegistrations(): Registrations {
    return new Registrations(this.memory, this.#region.words, this.#region.layout);
  }
}
