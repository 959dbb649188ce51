/**
 * A reader-writer lock: many readers, or one writer, are inside at a time.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2       3               4
 *     | magic | version | state | readers' turn | waiting writers |
 *
 * The state, changed by read-modify-write only:
 *
 *      bit 31          30            29       28                 0
 *     | writers wait | readers wait | writer | number of readers |
 *       marks: threads may sleep      inside   inside
 *
 *     readers' turn    increased by 1 when sleeping readers are to enter, by the thread that is
 *                      about to wake them
 *     waiting writers  how many writers wait, or are about to: each adds and later subtracts itself
 *
 * Readers sleep on their turn, writers on the state, so no wake-up reaches the wrong kind. A reader
 * falls asleep only while the turn is what it was before its look at the state. The state is *free*
 * if no thread is inside, with or without marks.
 *
 * **Reading.** A reader enters, adding 1 to the number, if no writer is inside and none waits.
 * Otherwise it marks that readers wait, and sleeps. Once the turn has changed since it began to
 * wait, it enters even past waiting writers. Until then it has no precedence, also when it looks
 * again because its time is over, or because another wait was given up. The last reader to leave
 * hands the lock on to a writer, if the mark says that one may wait.
 *
 * **Writing.** A writer enters if the state is free. Otherwise it counts itself among the waiting
 * writers, marks that writers wait, and sleeps while the state is what it left there. It never
 * spins: no newcomer can enter past its mark, and each reader inside leaves once. A writer that has
 * waited enters with the mark set, since other writers may still sleep. When it leaves it clears
 * the readers' mark and hands on to *all* sleeping readers; if there are none, to one writer.
 *
 * **Handing on to a writer** wakes one. If none sleeps, the mark was left by a writer that is gone:
 * it is cleared, and readers that waited because of it get their turn. Other writers may have come
 * and gone meanwhile, and the mark may again belong to one that sleeps: so all writers that sleep
 * by then are woken to look again.
 *
 * **Giving up.** A writer that gives up leaves the mark to the other waiting writers, if the count
 * says that there are any; the last one clears the mark, and readers that waited because of it get
 * their turn. A writer counts itself before it marks, so one that arrives meanwhile is either
 * counted, or finds its mark gone and marks again. A wake-up that was meant for the writer is not
 * lost: if its time is over it looks a last time, and finds a thread inside, which will hand on; if
 * it was aborted, all sleeping writers look again. A reader that gives up leaves its mark, which
 * costs at most a needless wake-up.
 *
 * **A reader that does not enter** may have been woken by a thread that relies on it to enter and
 * to hand on. That is so if it is aborted, or if it fell asleep between the change of the turn and
 * the wake-up, and so has no precedence. If it finds the state free although writers wait, it wakes
 * one of them; if none sleeps, and none is counted, it clears the mark.
 *
 * **Why no thread is forgotten.** A thread falls asleep only while a thread is inside that will
 * find its mark, or, if it is a reader, while a writer sleeps that will be inside. If the state is
 * free and writers sleep, then a thread is about to change that: a woken writer, which enters or
 * marks again; or a woken reader, which either enters, and hands on when the last reader leaves, or
 * finds a thread inside, which hands on when it leaves, or hands on itself.
 *
 * **Preference.** Neither kind starves the other: while a writer waits, newly arriving readers wait
 * behind it; and the readers that slept while a writer was inside enter before the next writer.
 * Only a newcomer that arrives between a wake-up and its effect is ahead of its turn. A blocking
 * call enters past waiting writers if its thread reads already, or has a task that waits to write:
 * those could not continue before the thread does. A task that awaits has no such privilege, since
 * the overlapping reads of one thread could then keep writers out forever.
 *
 * **Happens before.** Every change of the state is a read-modify-write, so everything done inside
 * happens before what is done by threads that enter later.
 *
 * **Limits.** A thread that is ended while it is inside never leaves. One that is ended while it
 * sleeps may take a wake-up with it, until `reclaimWakeups` makes the others look again; a dead
 * writer remains counted, so that a mark which other writers leave behind when they give up stays
 * until the last reader leaves. `src/when_a_worker_dies.md` says when a terminated worker is dead.
 *
 * Proven by: tests/sync/rw_lock_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { Door, type Wait } from "../memory/door.ts";
import type { Memory } from "../memory/memory.ts";
import { cacheLineKind, FIRST_WORD, Region, type RegionHandle } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type UntimedWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { Guard } from "./guard.ts";

/** Opens an {@link RwLock} in another thread. */
export type RwLockHandle = RegionHandle<"busbar.rw_lock">;

/** Options of {@link RwLock.create}. */
export interface RwLockOptions {
  /** The memory to lay the lock out in; one of its own by default. */
  memory?: Memory;
}

const STATE = FIRST_WORD;
const READERS_TURN = FIRST_WORD + 1;
const WAITING_WRITERS = FIRST_WORD + 2;

const KIND = cacheLineKind("busbar.rw_lock", 0x72776c6b, { // "rwlk"
  state: STATE,
  readersTurn: READERS_TURN,
  waitingWriters: WAITING_WRITERS,
});

const FREE = 0;
/** One reader. */
const READER = 1;
const WRITER = 1 << 29;
const READERS_WAIT = 1 << 30;
const WRITERS_WAIT = 1 << 31;
/** Any thread inside: a writer waits while one of these bits is set. */
const INSIDE: number = WRITER | (WRITER - 1);
/** A writer inside or waiting: a reader waits while one of these bits is set, until its turn. */
const WRITING: number = WRITER | WRITERS_WAIT;

/**
 * A reader-writer lock: many readers, or one writer, are inside at a time.
 *
 * - **Exclusion.** While a writer is inside, no other thread or task is.
 * - **Visibility.** Everything done inside is visible to all that enter later.
 * - **No starvation.** A waiting writer keeps new readers out; readers that slept while a writer
 *   was inside enter before the next writer.
 * - **No lost wake-up.** While a thread waits, a thread inside or on its way will hand on to it.
 * - **Giving up is free.** A wait that times out, is aborted or fails leaves no mark that keeps
 *   others out.
 * - **Reentrant for blocking readers only.** A thread that reads may block to read again; other
 *   combinations would wait for themselves and are errors, or must not be awaited.
 *
 * @example Usage
 * ```ts
 * import { RwLock } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = RwLock.create();
 * // worker.postMessage(lock.handle), and there: RwLock.attach(handle)
 * {
 *   using _first = lock.read();
 *   using _second = await lock.readAsync(); // beside the other
 *   assertEquals(lock.tryWrite(), undefined);
 * }
 * {
 *   using _guard = lock.write(); // alone
 *   assertEquals(lock.tryRead(), undefined);
 * }
 * ```
 */
export class RwLock {
  readonly #region: Region<"busbar.rw_lock">;
  readonly #words: Int32Array;
  readonly #readers: SleepWord;
  readonly #writers: SleepWord;
  readonly #readersDoor: Door;
  readonly #writersDoor: Door;
  /** How many times this object is inside as a reader. */
  #reading = 0;
  /** Whether this object is inside as the writer. */
  #isWriting = false;

  /** @ignore */
  private constructor(region: Region<"busbar.rw_lock">) {
    this.#region = region;
    this.#words = region.words;
    this.#readers = new SleepWord(region.memory, region.words, READERS_TURN);
    this.#writers = new SleepWord(region.memory, region.words, STATE);
    this.#readersDoor = new Door(
      this.#readers,
      (isBlocking) => this.#waitToRead(isBlocking ? this.#beginToBlock("read") : WRITING),
    );
    this.#writersDoor = new Door(this.#writers, (isBlocking) => {
      if (isBlocking) this.#beginToBlock("write");
      return this.#waitToWrite();
    });
  }

  /**
   * Lays out a new lock, with no thread inside.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options?: RwLockOptions): RwLock {
    if (options !== undefined) checkOptions("create reader-writer lock", options);
    return new RwLock(Region.createLine(KIND, options?.memory));
  }

  /**
   * Opens a lock that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a lock of this version.
   */
  static attach(handle: RwLockHandle): RwLock {
    return new RwLock(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this lock in another thread. */
  get handle(): RwLockHandle {
    return this.#region.handle;
  }

  /** How many readers were inside just now. */
  get readers(): number {
    return Atomics.load(this.#words, STATE) & (WRITER - 1);
  }

  /** Whether a writer was inside just now. */
  get isWriting(): boolean {
    return (Atomics.load(this.#words, STATE) & WRITER) !== 0;
  }

  /**
   * Enters as a reader, blocking while a writer is inside or waits.
   *
   * A thread that reads already enters past waiting writers, since they wait for it.
   *
   * @returns The guard that leaves again; undefined if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread is inside as the writer: it would wait for itself.
   */
  read(): Guard;
  /** As above; with `timeoutMs` it may give up. */
  read(options?: WaitOptions): Guard | undefined;
  read(options?: WaitOptions): Guard | undefined {
    if (options !== undefined) checkWaitOptions(options);
    const isInside = this.#tryReading() || this.#readersDoor.wait(options);
    return isInside ? new Guard(this.#leaveReading) : undefined;
  }

  /**
   * Enters as a reader if no writer is inside or waits, without waiting.
   *
   * @returns The guard that leaves again; undefined if it could not enter.
   */
  tryRead(): Guard | undefined {
    return this.#tryReading() ? new Guard(this.#leaveReading) : undefined;
  }

  /**
   * Enters as a reader, waiting without blocking while a writer is inside or waits. The process
   * stays alive meanwhile.
   *
   * A task that reads must not await another read of the same lock: if a writer has arrived in
   * between, it waits for the first read, and the second read for the writer. Nor must a task that
   * writes.
   *
   * @returns The guard that leaves again; undefined if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  readAsync(options?: UntimedWaitOptions): Promise<Guard>;
  /** As above; with `timeoutMs` it may give up. */
  readAsync(options?: AsyncWaitOptions): Promise<Guard | undefined>;
  async readAsync(options?: AsyncWaitOptions): Promise<Guard | undefined> {
    checkAsyncWaitOptions(options);
    const isInside = this.#tryReading() || await this.#readersDoor.waitAsync(options);
    return isInside ? new Guard(this.#leaveReading) : undefined;
  }

  /**
   * Enters as the writer, blocking while another thread is inside.
   *
   * @returns The guard that leaves again; undefined if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread is inside: it would wait for itself.
   */
  write(): Guard;
  /** As above; with `timeoutMs` it may give up. */
  write(options?: WaitOptions): Guard | undefined;
  write(options?: WaitOptions): Guard | undefined {
    if (options !== undefined) checkWaitOptions(options);
    const isInside = this.#tryWriting() || this.#writersDoor.wait(options);
    return isInside ? new Guard(this.#leaveWriting) : undefined;
  }

  /**
   * Enters as the writer if no thread is inside, without waiting.
   *
   * @returns The guard that leaves again; undefined if it could not enter.
   */
  tryWrite(): Guard | undefined {
    return this.#tryWriting() ? new Guard(this.#leaveWriting) : undefined;
  }

  /**
   * Enters as the writer, waiting without blocking while another thread or task is inside. The
   * process stays alive meanwhile.
   *
   * @returns The guard that leaves again; undefined if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  writeAsync(options?: UntimedWaitOptions): Promise<Guard>;
  /** As above; with `timeoutMs` it may give up. */
  writeAsync(options?: AsyncWaitOptions): Promise<Guard | undefined>;
  async writeAsync(options?: AsyncWaitOptions): Promise<Guard | undefined> {
    checkAsyncWaitOptions(options);
    const isInside = this.#tryWriting() || await this.#writersDoor.waitAsync(options);
    return isInside ? new Guard(this.#leaveWriting) : undefined;
  }

  /**
   * Makes all waiting threads look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it. If the dead worker was inside, it remains inside.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it enters when it is woken, and
   * runs on. `src/when_a_worker_dies.md` says when a worker is dead, and what else to do.
   */
  reclaimWakeups(): void {
    Atomics.and(this.#words, STATE, ~(READERS_WAIT | WRITERS_WAIT));
    this.#writers.notify();
    this.#giveReadersTurn();
  }

  #tryReading(): boolean {
    return this.#enter(READER, WRITING, 0, 0, FREE) === undefined;
  }

  #tryWriting(): boolean {
    return this.#enter(WRITER, INSIDE, 0, 0, FREE) === undefined;
  }

  /**
   * Enters, unless one of the bits `against` is set in the state.
   *
   * @param entry The number to add to the state: {@link READER} or {@link WRITER}.
   * @param mark The mark to set if it cannot enter, or 0.
   * @param left The mark to leave if it can, for others that may still sleep; or 0.
   * @param seen The state that is expected.
   * @returns Undefined if it has entered; otherwise the state, marked.
   */
  #enter(
    entry: number,
    against: number,
    mark: number,
    left: number,
    seen: number,
  ): number | undefined {
    for (;;) {
      const isOpen = (seen & against) === 0;
      if (!isOpen && (seen & mark) === mark) return seen;
      const next = isOpen ? (seen | left) + entry : seen | mark;
      // Entering pairs with the operations by which others left: we see what they wrote. A mark is
      // found by the next thread that leaves, or that has left, and the state is not what we saw.
      const found = Atomics.compareExchange(this.#words, STATE, seen, next);
      if (found === seen && isOpen) return this.#noteEntry(entry);
      seen = found === seen ? next : found;
    }
  }

  /** Remembers that this object is inside. */
  #noteEntry(entry: number): undefined {
    if (entry === WRITER) this.#isWriting = true;
    else this.#reading++;
  }

  readonly #leaveReading = (): void => {
    this.#reading--;
    const left = Atomics.sub(this.#words, STATE, READER) - READER;
    if ((left & INSIDE) === 0 && (left & WRITERS_WAIT) !== 0) this.#handOnToWriter();
  };

  readonly #leaveWriting = (): void => {
    this.#isWriting = false;
    const left = Atomics.and(this.#words, STATE, ~(WRITER | READERS_WAIT));
    if (left === WRITER) return;
    if ((left & READERS_WAIT) !== 0 && this.#giveReadersTurn() > 0) return;
    if ((left & WRITERS_WAIT) !== 0) this.#handOnToWriter();
  };

  /** Wakes all sleeping readers; returns how many. */
  #giveReadersTurn(): number {
    Atomics.add(this.#words, READERS_TURN, 1);
    return this.#readers.notify();
  }

  /** Wakes one writer; if none sleeps, clears the mark that kept readers out. */
  #handOnToWriter(): void {
    if (this.#writers.notify(1) > 0) return;
    // Once a thread is inside, that one hands on when it leaves.
    this.#unmark(WRITERS_WAIT, INSIDE);
  }

  /**
   * For a reader that does not enter: it may have been woken by a thread that relies on it to hand
   * on. A writer that is counted and does not sleep is about to look itself.
   */
  #handOnInstead(state: number): void {
    if ((state & INSIDE) !== 0 || (state & WRITERS_WAIT) === 0) return;
    if (this.#writers.notify(1) > 0) return;
    if (Atomics.load(this.#words, WAITING_WRITERS) === 0) this.#unmark(state, INSIDE);
  }

  /**
   * Clears both marks while the writers' mark is set and none of the bits `unless` is; then all
   * threads that wait because of them look again.
   */
  #unmark(seen: number, unless: number): void {
    while ((seen & WRITERS_WAIT) !== 0 && (seen & unless) === 0) {
      const left = seen & ~(WRITERS_WAIT | READERS_WAIT);
      const found = Atomics.compareExchange(this.#words, STATE, seen, left);
      if (found === seen) {
        // A writer may have fallen asleep since we found none: then the mark was its mark, too.
        this.#writers.notify();
        if ((seen & READERS_WAIT) !== 0) this.#giveReadersTurn();
        return;
      }
      seen = found;
    }
  }

  /**
   * Before this thread blocks: tasks of it that wait here may have been woken and could not enter
   * meanwhile, and none of them can use a wake-up while the thread is blocked. So all others look
   * again.
   *
   * @returns The bits that keep this thread from reading.
   * @throws {Error} If the thread would wait for itself.
   */
  #beginToBlock(action: "read" | "write"): number {
    const isReading = this.#reading > 0;
    if (this.#isWriting || (isReading && action === "write")) {
      const activity = this.#isWriting ? "writes" : "reads";
      throw new Error(
        `Cannot ${action} as this thread ${activity} already: it would wait for itself`,
      );
    }
    if (this.#readers.isAwaited || this.#writers.isAwaited) {
      this.#readers.notify();
      this.#writers.notify();
    }
    // Writers that wait for this thread cannot enter while it is blocked.
    return isReading || this.#writers.isAwaited ? WRITER : WRITING;
  }

  /** A reader's wait: it cannot enter while one of the bits `against` is set, until its turn. */
  #waitToRead(against: number): Wait {
    let seen = WRITER;
    let firstTurn: number | undefined;
    const attempt = () => {
      // Before the look at the state: a thread that clears our mark gives the next turn afterwards.
      const turn = Atomics.load(this.#words, READERS_TURN);
      firstTurn ??= turn;
      // The thread that gave the turn relies on us to enter, and to hand on when we leave.
      if (turn !== firstTurn) against = WRITER;
      const state = this.#enter(READER, against, READERS_WAIT, 0, seen);
      if (state === undefined) return undefined;
      this.#handOnInstead(state);
      seen = state & WRITERS_WAIT; // as a writer would leave it
      return turn;
    };
    return { attempt, giveUp: () => this.#handOnInstead(Atomics.load(this.#words, STATE)) };
  }

  /** A writer's wait. */
  #waitToWrite(): Wait {
    let left = 0;
    let seen = READER;
    let isCounted = false;
    /** Counts this writer out; says whether it was the last one. */
    const countOut = () => isCounted && Atomics.sub(this.#words, WAITING_WRITERS, 1) === 1;
    const attempt = () => {
      // Before the mark: a writer that gives up clears the mark only if it finds none counted.
      if (!isCounted) Atomics.add(this.#words, WAITING_WRITERS, 1);
      isCounted = true;
      const state = this.#enter(WRITER, INSIDE, WRITERS_WAIT, left, seen);
      if (state === undefined) return void countOut();
      left = WRITERS_WAIT;
      seen = WRITERS_WAIT; // as the last reader would leave it
      return state;
    };
    const giveUp = () => {
      if (countOut()) this.#unmark(Atomics.load(this.#words, STATE), 0);
    };
    return { attempt, giveUp };
  }
}
