/**
 * A barrier: threads wait for one another, round after round.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | state |
 *
 *     state   | round, 12 bits | arrived, 10 bits | parties, 10 bits |
 *
 *     round    changes when all have arrived; wraps
 *     arrived  how many have arrived in this round, fewer than there are parties
 *     parties  how many take part
 *
 * Every change is a compareExchange of the whole word, by a thread that arrives, gives up or
 * leaves.
 *
 * **A round.** A thread that arrives as the last one begins the next round, in which none has
 * arrived, and notifies all. Each other one counts itself, and sleeps while the word is exactly as
 * it saw it, until the round is another one. The next round cannot end before the thread has
 * arrived in it, so that it never takes a later round for its own.
 *
 * **No lost wake-up.** The last thread changes the word first and notifies afterwards. So either a
 * waiter sees the next round, or it is asleep when the notification comes. Other arrivals wake no
 * sleeper: it sleeps on, at a value that is no longer there, until that notification.
 *
 * **Giving up.** A thread whose time is over takes its arrival back, if the round has not ended
 * meanwhile. If it has, the others went on with it, and its wait succeeds.
 *
 * **Happens before.** Every change is a read-modify-write, so what threads did before they arrived
 * happens before what any of them does in the next round.
 *
 * **Limits.** A thread that is ended while it waits has arrived. One that is ended before it
 * arrives holds the others up until its part is given up, by `leave` in its place. One that is
 * ended as it wakes them leaves them asleep until `reclaimWakeups`. Both calls together are right
 * wherever it ended.
 *
 * Proven by: tests/sync/barrier_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { Door } from "../memory/door.ts";
import type { Memory } from "../memory/memory.ts";
import { cacheLineKind, FIRST_WORD, Region, type RegionHandle } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";

/** Opens a {@link Barrier} in another thread. */
export type BarrierHandle = RegionHandle<"busbar.barrier">;

/** Options of {@link Barrier.create}. */
export interface BarrierOptions {
  /** How many threads, or tasks, take part, from 1 to 1023. */
  parties: number;
  /** The memory to lay the barrier out in; one of its own by default. */
  memory?: Memory;
}

const STATE = FIRST_WORD;
const KIND = cacheLineKind("busbar.barrier", 0x62617272, { state: STATE }); // "barr"

const COUNT_BITS = 10;
const COUNT_MASK = (1 << COUNT_BITS) - 1;
const ROUND_SHIFT = 2 * COUNT_BITS;
/** One thread that has arrived. */
const ARRIVAL = 1 << COUNT_BITS;

const partiesOf = (state: number) => state & COUNT_MASK;
const arrivedOf = (state: number) => (state >>> COUNT_BITS) & COUNT_MASK;
const roundOf = (state: number) => state >>> ROUND_SHIFT;

/** The state with which the next round begins. */
const nextRound = (state: number, parties: number) =>
  ((roundOf(state) + 1) << ROUND_SHIFT) | parties;

/** A wait whose time is over. */
const GAVE_UP = -1;

/**
 * A barrier: threads wait for one another, round after round, such as workers that compute a step
 * each and need the results of all for the next.
 *
 * - **All or none.** No thread goes on before as many have arrived as take part.
 * - **Again and again.** The next round begins as the last thread of one arrives.
 * - **Visibility.** All that threads did before they arrived is visible to each that goes on.
 * - **Giving up leaves nothing.** A thread that gave up has not arrived.
 *
 * @example Two workers, step by step
 * ```ts
 * import { Barrier } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = Barrier.create({ parties: 2 });
 * // worker.postMessage(barrier.handle), and there: Barrier.attach(handle)
 * const others = Promise.all([barrier.waitAsync(), barrier.waitAsync()]);
 * assertEquals(await others, [1, 2]); // the second one was the last to arrive
 * assertEquals(barrier.wait({ timeoutMs: 5 }), -1); // nobody else comes
 * ```
 */
export class Barrier {
  readonly #region: Region<"busbar.barrier">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;

  /** @ignore */
  private constructor(region: Region<"busbar.barrier">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, STATE);
  }

  /**
   * Lays out a new barrier.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If `parties` is not a whole number from 1 to 1023, or the memory has not
   * enough free bytes.
   */
  static create(options: BarrierOptions): Barrier {
    checkOptions("create barrier", options);
    checkInteger("create barrier", "parties", options.parties, 1, COUNT_MASK);
    const region = Region.createLine(KIND, options.memory);
    region.words[STATE] = options.parties;
    return new Barrier(region);
  }

  /**
   * Opens a barrier that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a barrier of this version.
   */
  static attach(handle: BarrierHandle): Barrier {
    return new Barrier(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this barrier in another thread. */
  get handle(): BarrierHandle {
    return this.#region.handle;
  }

  /** How many took part just now. */
  get parties(): number {
    return partiesOf(Atomics.load(this.#words, STATE));
  }

  /** How many had arrived in the present round just now. */
  get arrived(): number {
    return arrivedOf(Atomics.load(this.#words, STATE));
  }

  /**
   * Arrives, and blocks until all have arrived.
   *
   * @returns How many had arrived then, this one included: exactly one gets the number of parties,
   * the last. -1 if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    const arrival = this.#arrive();
    if (arrival.hasPassed) return arrival.order;
    try {
      if (this.#doorOf(arrival).wait(options)) return arrival.order;
    } catch (error) {
      // The others went on with it.
      if (!arrival.hasPassed) throw error;
    }
    return arrival.hasPassed ? arrival.order : GAVE_UP;
  }

  /**
   * Arrives if that lets all go on, without waiting.
   *
   * @returns The number of parties; -1 if others have not arrived, and this one has not either.
   */
  tryWait(): number {
    for (let seen = Atomics.load(this.#words, STATE);;) {
      const parties = partiesOf(seen);
      if (arrivedOf(seen) + 1 < parties) return GAVE_UP;
      const found = this.#change(seen, nextRound(seen, parties));
      if (found === seen) return this.#release(parties);
      seen = found;
    }
  }

  /**
   * Arrives, and waits without blocking until all have arrived. The process stays alive meanwhile.
   *
   * @returns As {@link Barrier.wait}.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted before all have arrived.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    options?.signal?.throwIfAborted();
    const arrival = this.#arrive();
    if (arrival.hasPassed) return arrival.order;
    try {
      if (await this.#doorOf(arrival).waitAsync(options)) return arrival.order;
    } catch (error) {
      // The others went on with it.
      if (!arrival.hasPassed) throw error;
    }
    return arrival.hasPassed ? arrival.order : GAVE_UP;
  }

  /**
   * Leaves for good: one takes part less. If all others have arrived, they go on. To be called by a
   * thread that is done, and in place of one that has died before it arrived.
   *
   * @throws {RangeError} If only one takes part.
   */
  leave(): void {
    for (let seen = Atomics.load(this.#words, STATE);;) {
      const parties = partiesOf(seen) - 1;
      if (parties === 0) {
        throw new RangeError("Cannot leave a barrier in which only one takes part");
      }
      const isLast = arrivedOf(seen) === parties;
      const found = this.#change(seen, isLast ? nextRound(seen, parties) : seen - 1);
      if (found === seen) {
        if (isLast) this.#sleepers.notify();
        return;
      }
      seen = found;
    }
  }

  /**
   * Makes all waiting threads look again. Call it once a worker is dead that may have arrived last:
   * it may have died before it woke the others.
   */
  reclaimWakeups(): void {
    this.#sleepers.notify();
  }

  /** Counts this thread in; as the last one it begins the next round. */
  #arrive(): Arrival {
    for (let seen = Atomics.load(this.#words, STATE);;) {
      const parties = partiesOf(seen);
      const order = arrivedOf(seen) + 1;
      const hasPassed = order === parties;
      const found = this.#change(seen, hasPassed ? nextRound(seen, parties) : seen + ARRIVAL);
      if (found === seen) {
        if (hasPassed) this.#release(order);
        return { round: roundOf(seen), order, hasPassed };
      }
      seen = found;
    }
  }

  /** Wakes the others, which find the next round. */
  #release(order: number): number {
    this.#sleepers.notify();
    return order;
  }

  #doorOf(arrival: Arrival): Door {
    return new Door(this.#sleepers, () => ({
      attempt: () => {
        // Pairs with the arrival of the last one: we see what all did before they arrived.
        const state = Atomics.load(this.#words, STATE);
        return roundOf(state) === arrival.round ? state : undefined;
      },
      giveUp: () => this.#takeBack(arrival),
    }));
  }

  /** Takes an arrival back, unless the round has ended meanwhile. */
  #takeBack(arrival: Arrival): void {
    for (let seen = Atomics.load(this.#words, STATE);;) {
      if (roundOf(seen) !== arrival.round) {
        arrival.hasPassed = true;
        return;
      }
      const found = this.#change(seen, seen - ARRIVAL);
      if (found === seen) return;
      seen = found;
    }
  }

  #change(seen: number, wanted: number): number {
    return Atomics.compareExchange(this.#words, STATE, seen, wanted);
  }
}

/** One thread's arrival in one round. */
interface Arrival {
  readonly round: number;
  /** How many had arrived then. */
  readonly order: number;
  /** Whether all have arrived. */
  hasPassed: boolean;
}
