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
 *       marks: somebody may sleep     inside   inside
 *
 *     readers' turn    goes up by 1 when readers that sleep are to enter: added to by whoever wakes
 *                      them, before it does
 *     waiting writers  how many writers wait, or are about to: added to and subtracted from by each
 *
 * Readers sleep on their turn, writers on the state, so no wake-up reaches the wrong kind. A reader
 * falls asleep only while the turn is what it was before its look at the state. The state is *free*
 * if nobody is inside, marks or not.
 *
 * **Reading.** A reader enters, adding 1 to the number, if no writer is inside and none waits. Else
 * it marks that readers wait, and sleeps. Once the turn has changed since it began to wait, it enters
 * even past writers that wait. As long as it has not, the reader has no precedence, whether it looks
 * again because its time is over or because some other wait was given up. The last reader to leave
 * hands on to a writer, if the mark says that one may wait.
 *
 * **Writing.** A writer enters if the state is free. Else it counts itself among the waiting writers,
 * marks that writers wait, and sleeps while the state is what it left: it never spins, since nobody
 * can enter past its mark, and each reader inside leaves once. A writer that has waited enters with
 * the mark, since others may sleep still. When it leaves it takes the readers' mark away and hands
 * on to *all* readers that sleep; if there are none, to one writer.
 *
 * **Handing on to a writer** wakes one. If none sleeps, the mark was left by one that has gone: it
 * is taken away, and readers that waited because of it get their turn. Should other writers have
 * come and gone meanwhile, the mark may again be that of one that sleeps: so all writers that sleep
 * by then look again.
 *
 * **Giving up.** A writer that gives up leaves the mark to the other waiting writers, if the count
 * says that there are any; as the last one it takes the mark away, and readers that waited because
 * of it get their turn. A writer counts itself before it marks, so one that comes meanwhile is either
 * counted, or finds its mark gone and marks again. A wake-up that was meant for the writer is not
 * lost: if its time is over it looks a last time, and finds somebody inside, who will hand on; if it
 * was aborted all writers that sleep look again. A reader that gives up leaves its mark, which costs
 * at most a needless wake-up.
 *
 * **A reader that does not enter** may have been woken by a thread that relies on it to come in and
 * to hand on: because it is aborted, or because it fell asleep between the change of the turn and
 * the wake-up, and so has no precedence. If it finds the state free although writers wait, it wakes
 * one of them; if none sleeps, and none is counted, it takes the mark away.
 *
 * **Why nobody is forgotten.** A thread falls asleep only while somebody is inside that will find its
 * mark, or, a reader, while a writer sleeps that will be inside. If the state is free and writers
 * sleep, then somebody is about to take it: a writer that was woken, which enters or marks again;
 * or a reader that was woken, which enters and hands on when the last one leaves, or finds somebody
 * inside, who hands on when they leave, or hands on itself.
 *
 * **Preference.** Neither kind starves the other: while a writer waits, newcomers that would read
 * wait behind it; and the readers that slept while a writer was inside enter before the next
 * writer. Only a newcomer that comes between a wake-up and its effect is ahead of its turn. A call
 * that blocks enters past waiting writers if its thread reads already, or has a task that waits to
 * write: those could not go on before the thread does. A task that awaits is given no such way,
 * or the overlapping reads of one thread could keep writers out for ever.
 *
 * **Happens before.** Every change of the state is a read-modify-write, so all that was done inside
 * happens before what is done by those that enter later.
 *
 * **Limits.** A thread that is ended inside never leaves. One that is ended asleep may take a wake-up
 * with it, until `wakeAll` makes the others look again; a writer remains counted, so that a mark
 * which other writers leave behind when they give up stays until the last reader leaves. See
 * `src/when_a_worker_dies.md`.
 *
 * Proven by: tests/sync/rw_lock_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD, Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import { type Attempt, SleepWord } from "../memory/sleep.ts";
import {
  checkTimeout,
  checkWaitOptions,
  untimed,
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

const KIND: RegionKind<"busbar.rw_lock"> = {
  kind: "busbar.rw_lock",
  version: 2,
  magic: 0x72776c6b, // "rwlk"
};
const BYTES = CACHE_LINE_BYTES;

const STATE = FIRST_WORD;
const READERS_TURN = FIRST_WORD + 1;
const WAITING_WRITERS = FIRST_WORD + 2;

const FREE = 0;
/** One reader. */
const READER = 1;
const WRITER = 1 << 29;
const READERS_WAIT = 1 << 30;
const WRITERS_WAIT = 1 << 31;
/** Whether anybody is inside: what a writer waits for. */
const INSIDE: number = WRITER | (WRITER - 1);
/** What a reader waits for, unless its turn has come. */
const WRITING: number = WRITER | WRITERS_WAIT;

/** How one waits: as {@link SleepWord.sleepUntil} takes it. */
interface Wait {
  readonly attempt: Attempt;
  readonly giveUp: () => void;
}

/**
 * A reader-writer lock: many readers, or one writer, are inside at a time.
 *
 * While a writer waits, newcomers that would read wait behind it; the readers that slept while a
 * writer was inside enter before the next writer. So neither kind starves the other.
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
  /** How many read by this object. */
  #reading = 0;
  /** Whether one writes by this object. */
  #isWriting = false;

  private constructor(region: Region<"busbar.rw_lock">) {
    this.#region = region;
    this.#words = region.words;
    this.#readers = new SleepWord(region.memory, region.words, READERS_TURN);
    this.#writers = new SleepWord(region.memory, region.words, STATE);
    region.label("state", STATE);
    region.label("readersTurn", READERS_TURN);
    region.label("waitingWriters", WAITING_WRITERS);
  }

  /**
   * Lays a new lock out, in which nobody is.
   *
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options: RwLockOptions = {}): RwLock {
    checkOptions("create reader-writer lock", options);
    return new RwLock(Region.create(KIND, BYTES, options.memory));
  }

  /**
   * Opens a lock that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a lock of this version.
   */
  static attach(handle: RwLockHandle): RwLock {
    return new RwLock(Region.attach(KIND, handle, BYTES));
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
   * Enters as a reader; blocks while a writer is inside or waits.
   *
   * A thread that reads already enters past writers that wait, since they wait for it.
   *
   * @returns What leaves again.
   * @throws {Error} If this thread is inside as the writer: it would wait for itself.
   */
  read(): Guard {
    if (!this.#tryReading()) this.#blockReading(Infinity);
    return new Guard(this.#leaveReading);
  }

  /**
   * Enters as a reader if no writer is inside or waits, or within a time.
   *
   * @param timeoutMs For how many milliseconds to block; 0 by default.
   * @returns What leaves again, or undefined if it could not enter.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread is inside as the writer and would wait for itself.
   */
  tryRead(timeoutMs: number = 0): Guard | undefined {
    if (timeoutMs !== 0) checkTimeout(timeoutMs);
    const isInside = this.#tryReading() ||
      (timeoutMs !== 0 && this.#blockReading(timeoutMs));
    return isInside ? new Guard(this.#leaveReading) : undefined;
  }

  /**
   * Enters as a reader; waits, without blocking, while a writer is inside or waits.
   *
   * A task that reads must not await another read of the same lock: if a writer has come between, it
   * waits for the first read, and the second one for the writer. Nor must a task that writes.
   *
   * @returns What leaves again.
   * @throws The signal's reason, if it is aborted.
   */
  async readAsync(options: Pick<WaitOptions, "signal"> = {}): Promise<Guard> {
    await this.#awaitReading(untimed(options));
    return new Guard(this.#leaveReading);
  }

  /**
   * As {@link RwLock.readAsync}, within a time.
   *
   * @returns What leaves again, or undefined if it could not enter.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async tryReadAsync(options: WaitOptions): Promise<Guard | undefined> {
    return await this.#awaitReading(options) ? new Guard(this.#leaveReading) : undefined;
  }

  /**
   * Enters as the writer; blocks while anybody is inside.
   *
   * @returns What leaves again.
   * @throws {Error} If this thread is inside: it would wait for itself.
   */
  write(): Guard {
    if (!this.#tryWriting()) this.#blockWriting(Infinity);
    return new Guard(this.#leaveWriting);
  }

  /**
   * Enters as the writer if nobody is inside, or within a time.
   *
   * @param timeoutMs For how many milliseconds to block; 0 by default.
   * @returns What leaves again, or undefined if it could not enter.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread is inside and would wait for itself.
   */
  tryWrite(timeoutMs: number = 0): Guard | undefined {
    if (timeoutMs !== 0) checkTimeout(timeoutMs);
    const isInside = this.#tryWriting() || (timeoutMs !== 0 && this.#blockWriting(timeoutMs));
    return isInside ? new Guard(this.#leaveWriting) : undefined;
  }

  /**
   * Enters as the writer; waits, without blocking, while anybody is inside.
   *
   * @returns What leaves again.
   * @throws The signal's reason, if it is aborted.
   */
  async writeAsync(options: Pick<WaitOptions, "signal"> = {}): Promise<Guard> {
    await this.#awaitWriting(untimed(options));
    return new Guard(this.#leaveWriting);
  }

  /**
   * As {@link RwLock.writeAsync}, within a time.
   *
   * @returns What leaves again, or undefined if it could not enter.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async tryWriteAsync(options: WaitOptions): Promise<Guard | undefined> {
    return await this.#awaitWriting(options) ? new Guard(this.#leaveWriting) : undefined;
  }

  /**
   * Makes all threads that wait look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it enters when it is woken, and runs on.
   * `src/when_a_worker_dies.md` says when which worker is dead, and what else to do.
   */
  wakeAll(): void {
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
   * @param entry What to add to the state: {@link READER} or {@link WRITER}.
   * @param mark The mark to set if it cannot enter, or 0.
   * @param left The mark to leave if it can, for others that may sleep still; or 0.
   * @param seen What the state is thought to be.
   * @returns Nothing if it has entered; else the state, marked.
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
      // Entering pairs with what those that were inside left by: we see what they wrote. A mark is
      // found by who leaves next, or it has left, and the state is not what we saw.
      const found = Atomics.compareExchange(this.#words, STATE, seen, next);
      if (found === seen && isOpen) return this.#note(entry);
      seen = found === seen ? next : found;
    }
  }

  /** Remembers that this object is inside. */
  #note(entry: number): undefined {
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

  /** Wakes all readers; returns how many that were. */
  #giveReadersTurn(): number {
    Atomics.add(this.#words, READERS_TURN, 1);
    return this.#readers.notify();
  }

  /** Wakes one writer; if there is none, takes the mark away that kept readers out. */
  #handOnToWriter(): void {
    if (this.#writers.notify(1) > 0) return;
    // Once anybody is inside, it is for them to hand on when they leave.
    this.#unmark(WRITERS_WAIT, INSIDE);
  }

  /**
   * For a reader that does not enter: it may have been woken by a thread that relies on it to hand
   * on. A writer that is counted and does not sleep is about to look by itself.
   */
  #handOnInstead(state: number): void {
    if ((state & INSIDE) !== 0 || (state & WRITERS_WAIT) === 0) return;
    if (this.#writers.notify(1) > 0) return;
    if (Atomics.load(this.#words, WAITING_WRITERS) === 0) this.#unmark(state, INSIDE);
  }

  /**
   * Takes both marks away while the writers' one stands, and none of the bits `unless` is set; then
   * everybody that waits because of them looks again.
   */
  #unmark(seen: number, unless: number): void {
    while ((seen & WRITERS_WAIT) !== 0 && (seen & unless) === 0) {
      const left = seen & ~(WRITERS_WAIT | READERS_WAIT);
      const found = Atomics.compareExchange(this.#words, STATE, seen, left);
      if (found === seen) {
        // A writer may have come, and fallen asleep, since we found none: the mark was its, too.
        this.#writers.notify();
        if ((seen & READERS_WAIT) !== 0) this.#giveReadersTurn();
        return;
      }
      seen = found;
    }
  }

  /**
   * Before this thread blocks: tasks of it that wait here may have been woken and could not enter
   * meanwhile, and none of them can take a wake-up while it is blocked. So all others look again.
   */
  #passOn(): void {
    if (!this.#readers.isAwaited && !this.#writers.isAwaited) return;
    this.#readers.notify();
    this.#writers.notify();
  }

  #blockReading(timeoutMs: number): boolean {
    if (this.#isWriting) this.#refuse("read");
    this.#passOn();
    // Writers that wait for this thread cannot enter while it is blocked.
    const cannotWait = this.#reading > 0 || this.#writers.isAwaited;
    const { attempt, giveUp } = this.#waitToRead(cannotWait ? WRITER : WRITING);
    return this.#readers.sleepUntil(attempt, timeoutMs, giveUp);
  }

  #blockWriting(timeoutMs: number): boolean {
    if (this.#isWriting || this.#reading > 0) this.#refuse("write");
    this.#passOn();
    const { attempt, giveUp } = this.#waitToWrite();
    return this.#writers.sleepUntil(attempt, timeoutMs, giveUp);
  }

  async #awaitReading(options: WaitOptions): Promise<boolean> {
    checkWaitOptions(options);
    if (this.#tryReading()) return true;
    const { attempt, giveUp } = this.#waitToRead(WRITING);
    return await this.#readers.sleepUntilAsync(attempt, options, giveUp);
  }

  async #awaitWriting(options: WaitOptions): Promise<boolean> {
    checkWaitOptions(options);
    if (this.#tryWriting()) return true;
    const { attempt, giveUp } = this.#waitToWrite();
    return await this.#writers.sleepUntilAsync(attempt, options, giveUp);
  }

  /** A reader's wait, which heeds the bits `against` until its turn has come. */
  #waitToRead(against: number): Wait {
    let seen = WRITER;
    let firstTurn: number | undefined;
    const attempt = () => {
      // Before the look at the state: who takes our mark away gives the next turn afterwards.
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
      // Before the mark: one that gives up takes the mark away only if it finds nobody counted.
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

  #refuse(action: string): never {
    const what = this.#isWriting ? "writes" : "reads";
    throw new Error(`Cannot ${action} as this thread ${what} already: it would wait for itself`);
  }
}
