/**
 * Pacing: the writer of a ring waits for its slowest reader, so that none is overrun. The ring
 * itself knows nothing of it.
 *
 * Layout (32-bit words; each seat has a cache line of its own):
 *
 *     0       1         2               16 + 16 * seat    17 + 16 * seat
 *     | magic | version | seats | ...   | position        | owner | ...
 *
 *     position  | half the reader's position, without its last 2 bits | GONE | SLEEPING |
 *               low 32 bits. Changed by compareExchange: by the reader, as it goes on, joins or
 *               leaves; by the writer, which sets SLEEPING before it sleeps; by a thread that
 *               reclaims the seat.
 *     owner     1 if a reader has the seat: compareExchange by the reader that joins, store by the
 *               one that leaves, or reclaims
 *
 * **Never lapped.** The writer publishes, and then looks at the seats. It may write up to one
 * *window* beyond the lowest of their positions and its own: the capacity without the one segment
 * that it may enter early. A reader changes its position after it has read everything before it.
 *
 * **Joining while the writer runs.** A reader that joins stores the published position, loads it
 * once more, and begins there. A writer that does not see the seat has published before, and
 * looked at the seats before the reader stored: so the reader's second look finds what the writer
 * had published at least, from which the writer goes no farther than a window.
 *
 * **No lost wake-up.** The writer sets SLEEPING by compareExchange in the position that it saw, and
 * sleeps on the word with the bit. The reader changes the word by compareExchange and notifies if
 * it had the bit. So either the reader finds the bit, or the writer's compareExchange fails.
 *
 * **Limits.** A writer that is ended while it waits leaves the bit: one needless notification. A
 * reader that is ended before it notifies leaves the writer asleep, until its seat is reclaimed.
 *
 * Proven by: tests/broadcast/pacer_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import { ClosedError, ReclaimedError } from "../memory/errors.ts";
import { CACHE_LINE_WORDS } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import {
  FIRST_WORD,
  type Label,
  type Layout,
  Region,
  type RegionHandle,
  type RegionKind,
} from "../memory/region.ts";
import { type Attempt, SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { Broadcast, type BroadcastHandle } from "./broadcast.ts";
import { frameByteLength } from "./frame.ts";
import type { BroadcastWriter } from "./writer.ts";

const SEATS = FIRST_WORD;
/** The words of seat 0. */
const FIRST_SEAT: number = CACHE_LINE_WORDS;
const OWNER = 1;

/** The writer sleeps on this word, or is about to. */
const SLEEPING = 1;
/** No reader is waited for in this seat. */
const GONE = 2;
const FLAGS: number = SLEEPING | GONE;

const MAX_SEATS = 1024;

// A local copy for the hot path: an imported binding is loaded at each use.
const frameBytes = frameByteLength;
/** The word for a position, of which frames leave the last three bits zero. */
const wordOf = (position: number) => (position / 2) | 0;

class PacerLayout implements Layout {
  readonly seats: number;

  constructor(seats: number) {
    this.seats = seats;
  }

  get byteLength(): number {
    return this.seat(this.seats) * Int32Array.BYTES_PER_ELEMENT;
  }

  /** The first word of a seat. */
  seat(seat: number): number {
    return FIRST_SEAT + seat * CACHE_LINE_WORDS;
  }

  *labels(): Generator<Label> {
    yield ["seats", SEATS];
    for (let seat = 0; seat < this.seats; seat++) {
      yield [`position[${seat}]`, this.seat(seat)];
      yield [`owner[${seat}]`, this.seat(seat) + OWNER];
    }
  }
}

const KIND: RegionKind<"busbar.pacer", PacerLayout> = {
  kind: "busbar.pacer",
  magic: 0x70616365, // "pace"
  minBytes: FIRST_SEAT * Int32Array.BYTES_PER_ELEMENT,
  read(words) {
    const seats = words[SEATS]!;
    if (!(seats >= 1 && seats <= MAX_SEATS)) {
      throw new TypeError(`Cannot attach as a pacer has 1 to ${MAX_SEATS} seats: found ${seats}`);
    }
    return new PacerLayout(seats);
  },
};

/** Opens a {@link Pacer} in another thread. */
export interface PacerHandle extends RegionHandle<"busbar.pacer"> {
  /** The ring. */
  readonly broadcast: BroadcastHandle;
}

/** Options of {@link Pacer.create}. */
export interface PacerOptions {
  /** The ring. */
  readonly broadcast: Broadcast;
  /** How many readers can be waited for at once, up to 1024; 8 by default. */
  readonly seats?: number;
  /**
   * How many readers are waited for before they have joined, from where the ring is now: the first
   * ones that join. 0 by default.
   */
  readonly expected?: number;
  /** The memory to lay it out in; one of its own by default. */
  readonly memory?: Memory | undefined;
}

/**
 * A pacer: the writer of a broadcast ring waits for its slowest reader, so that no reader that has
 * joined is overrun. That is backpressure where the ring has none; other readers of the ring are
 * not waited for.
 *
 * - **No loss.** A reader that has joined, and tells how far it is, gets every message.
 * - **Joined at any time.** A reader joins and leaves while the writer runs.
 * - **No lost wake-up.** The writer goes on when the slowest reader has made room.
 *
 * @example A writer that waits
 * ```ts
 * import { Broadcast, Pacer } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 4096 });
 * const pacer = Pacer.create({ broadcast });
 * // worker.postMessage(pacer.handle), and there: Pacer.attach(handle).join()
 * using seat = pacer.join();
 * const reader = broadcast.reader({ from: seat.position });
 *
 * using writer = broadcast.writer();
 * const message = new Uint8Array(1000);
 * let sent = 0;
 * for (; pacer.tryWait(writer, message.length); sent++) writer.send(message);
 *
 * let received = 0;
 * while (reader.poll()) while (reader.next()) received++;
 * assertEquals(received, sent);
 * seat.reached(reader.position);
 * assertEquals(pacer.wait(writer, message.length), true);
 * ```
 */
export class Pacer {
  /** The ring. */
  readonly broadcast: Broadcast;
  readonly #region: Region<"busbar.pacer", PacerLayout>;
  /** How far the writer may be ahead of the slowest reader. */
  readonly #windowBytes: number;
  readonly #sleepers: readonly SleepWord[];
  /** The position up to which the writer may write, as of its last look at the seats. */
  #limit = 0;

  /** @ignore */
  private constructor(region: Region<"busbar.pacer", PacerLayout>, broadcast: Broadcast) {
    const { capacityBytes, segments } = broadcast;
    this.broadcast = broadcast;
    this.#region = region;
    // Entering a segment overwrites all of it, and the reader may be at its end.
    this.#windowBytes = capacityBytes - capacityBytes / segments;
    this.#sleepers = Array.from(
      { length: region.layout.seats },
      (_, seat) => new SleepWord(region.memory, region.words, region.layout.seat(seat)),
    );
  }

  /**
   * Lays out a new pacer.
   *
   * @throws {TypeError} If an option is of another type.
   * @throws {RangeError} If a number is out of its range, or the memory has not enough free bytes.
   */
  static create(options: PacerOptions): Pacer {
    checkOptions("create pacer", options);
    const { broadcast, seats = 8, expected = 0, memory } = options;
    if (!(broadcast instanceof Broadcast)) {
      throw new TypeError(
        `Cannot create pacer as 'broadcast' must be a Broadcast: received ${describe(broadcast)}`,
      );
    }
    checkInteger("create pacer", "seats", seats, 1, MAX_SEATS);
    checkInteger("create pacer", "expected", expected, 0, seats);
    const layout = new PacerLayout(seats);
    const region = Region.create(KIND, layout, memory);
    region.words[SEATS] = seats;
    const now = wordOf(broadcast.publishedPosition);
    for (let seat = 0; seat < seats; seat++) {
      region.words[layout.seat(seat)] = seat < expected ? now : GONE;
    }
    return new Pacer(region, broadcast);
  }

  /**
   * Opens a pacer that another thread created, and its ring.
   *
   * @throws {TypeError} If it is not a handle of a pacer of this version.
   */
  static attach(handle: PacerHandle): Pacer {
    return new Pacer(Region.attach(KIND, handle), Broadcast.attach(handle.broadcast));
  }

  /** A plain object that survives structured clone and opens this pacer in another thread. */
  get handle(): PacerHandle {
    return { ...this.#region.handle, broadcast: this.broadcast.handle };
  }

  /** How many readers are waited for now. */
  get readers(): number {
    return this.#sleepers.filter((_, seat) => (this.#load(seat) & GONE) === 0).length;
  }

  /**
   * Joins as a reader: the writer waits for it from now on.
   *
   * Begin to read at {@link PacerSeat.position}.
   *
   * @throws {Error} If all seats are taken.
   */
  join(): PacerSeat {
    const { words, layout } = this.#region;
    const seats = [...this.#sleepers.keys()];
    const [expected, free] = [
      seats.filter((seat) => (this.#load(seat) & GONE) === 0),
      seats.filter((seat) => (this.#load(seat) & GONE) !== 0),
    ];
    for (const seat of [...expected, ...free]) {
      const index = layout.seat(seat);
      if (Atomics.compareExchange(words, index + OWNER, 0, 1) !== 0) continue;
      let position = this.broadcast.publishedPosition;
      const found = Atomics.load(words, index);
      if ((found & GONE) === 0) {
        // Expected: the writer waits for it already, where it was when the pacer was made.
        position -= 2 * ((wordOf(position) - (found & ~FLAGS)) | 0);
        return new PacerSeat(this.#region, this.#sleepers[seat]!, seat, position);
      }
      // Before the second look: a writer that does not see the seat has published what this finds.
      Atomics.store(words, index, wordOf(position));
      position = this.broadcast.publishedPosition;
      const joined = new PacerSeat(this.#region, this.#sleepers[seat]!, seat, position);
      joined.reached(position);
      return joined;
    }
    throw new Error(`Cannot join as all ${seats.length} seats of the pacer are taken`);
  }

  /**
   * Publishes if it has to, and blocks until the slowest reader is close enough for a message to be
   * written. To be called before each {@link BroadcastWriter.append} or claim; most calls look at
   * no shared word.
   *
   * @param writer The ring's writer.
   * @param length The bytes of the message.
   * @returns Whether there is room; false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative, or the ring takes no message so long; where
   * there is room, the writer refuses that.
   */
  wait(writer: BroadcastWriter, length: number, options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    if (this.#fits(writer, length)) return true;
    const deadline = new Deadline(options);
    for (let seat = this.#look(writer, length); seat >= 0; seat = this.#look(writer, length)) {
      const attempt = this.#attempt(writer, length, seat);
      const rest = { timeoutMs: deadline.remainingMs };
      if (!this.#sleepers[seat]!.sleepUntil(attempt, rest)) return false;
    }
    return true;
  }

  /**
   * Publishes if it has to, and tells whether there is room for a message, without waiting.
   *
   * @throws {RangeError} As {@link Pacer.wait}.
   */
  tryWait(writer: BroadcastWriter, length: number): boolean {
    return this.#fits(writer, length) || this.#look(writer, length) < 0;
  }

  /**
   * As {@link Pacer.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} As {@link Pacer.wait}.
   * @throws The signal's reason, if it is aborted.
   */
  async waitAsync(
    writer: BroadcastWriter,
    length: number,
    options?: AsyncWaitOptions,
  ): Promise<boolean> {
    checkAsyncWaitOptions(options);
    if (this.#fits(writer, length)) return true;
    const deadline = new Deadline(options);
    for (let seat = this.#look(writer, length); seat >= 0; seat = this.#look(writer, length)) {
      const attempt = this.#attempt(writer, length, seat);
      const rest = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (!await this.#sleepers[seat]!.sleepUntilAsync(attempt, rest)) return false;
    }
    return true;
  }

  /**
   * Gives up the seat of a reader that has died: it is waited for no more. Never call it for one
   * that is alive: it gets a `ReclaimedError`, unless another reader has its seat, and its
   * position.
   *
   * @param seat Its {@link PacerSeat.seat}, or that of a reader that is expected in vain.
   * @throws {RangeError} If there is no such seat.
   */
  reclaim(seat: number): void {
    checkInteger("reclaim", "seat", seat, 0, this.#sleepers.length - 1);
    const { words, layout } = this.#region;
    const index = layout.seat(seat);
    Atomics.exchange(words, index, GONE);
    // Whatever the bit says: the dead may have died before it notified, and cleared the bit.
    this.#sleepers[seat]!.notify();
    Atomics.store(words, index + OWNER, 0);
  }

  #load(seat: number): number {
    return Atomics.load(this.#region.words, this.#region.layout.seat(seat));
  }

  /** Whether a message fits before the limit, which is known from the last look at the seats. */
  #fits(writer: BroadcastWriter, length: number): boolean {
    // Other lengths are refused where the seats are looked at, or by the writer.
    return length >>> 0 === length && writer.position + 2 * frameBytes(length) <= this.#limit;
  }

  /** The position at which a message would end, at the latest. */
  #endOf({ position, maxMessageBytes }: BroadcastWriter, length: number): number {
    if (!(length >= 0 && length <= maxMessageBytes)) {
      checkInteger("wait", "length", length, 0, maxMessageBytes);
    }
    // Twice, since padding may precede a message, and is shorter than its frame.
    return position + 2 * frameBytes(length);
  }

  /**
   * Publishes, and looks at the seats.
   *
   * @returns A seat whose reader is too far behind; -1 if there is none.
   */
  #look(writer: BroadcastWriter, length: number): number {
    // No reader can catch up with what is not published.
    writer.publish();
    const { position } = writer;
    const target = this.#targetOf(writer, length);
    let slowest = position;
    let found = -1;
    for (let seat = 0; seat < this.#sleepers.length; seat++) {
      // Pairs with the reader's change: it has read everything before this position.
      const word = this.#load(seat);
      if ((word & GONE) !== 0) continue;
      const at = position - 2 * ((wordOf(position) - (word & ~FLAGS)) | 0);
      if (at < slowest) slowest = at;
      if (at < target) found = seat;
    }
    this.#limit = slowest + this.#windowBytes;
    return found;
  }

  /** The position that all readers must have reached. */
  #targetOf(writer: BroadcastWriter, length: number): number {
    // The longest messages need more than a window at times: then all must have been read.
    return Math.min(this.#endOf(writer, length) - this.#windowBytes, writer.position);
  }

  /** Whether the reader in a seat has come close enough, or is gone; else marks its word. */
  #attempt(writer: BroadcastWriter, length: number, seat: number): Attempt {
    const { words, layout } = this.#region;
    const index = layout.seat(seat);
    const target = wordOf(this.#targetOf(writer, length));
    return () => {
      for (let seen = Atomics.load(words, index);;) {
        if ((seen & GONE) !== 0 || (((seen & ~FLAGS) - target) | 0) >= 0) return undefined;
        if ((seen & SLEEPING) !== 0) return seen;
        const found = Atomics.compareExchange(words, index, seen, seen | SLEEPING);
        if (found === seen) return seen | SLEEPING;
        seen = found;
      }
    };
  }
}

/** A reader that the writer waits for. Made by {@link Pacer.join}. */
export class PacerSeat {
  /** Its number, for {@link Pacer.reclaim}. */
  readonly seat: number;
  /** Where to begin to read: `broadcast.reader({ from: seat.position })`. */
  readonly position: number;
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #sleepers: SleepWord;
  /** The word, without SLEEPING. */
  #word: number;
  #hasLeft = false;

  /** @ignore */
  constructor(
    { words, layout }: Region<"busbar.pacer", PacerLayout>,
    sleepers: SleepWord,
    seat: number,
    position: number,
  ) {
    this.seat = seat;
    this.position = position;
    this.#words = words;
    this.#index = layout.seat(seat);
    this.#sleepers = sleepers;
    this.#word = Atomics.load(words, this.#index) & ~SLEEPING;
  }

  /**
   * Tells the writer that everything before a position was read: `seat.reached(reader.position)`,
   * after each batch, say.
   *
   * @throws {ReclaimedError} If another thread has reclaimed this seat.
   */
  reached(position: number): void {
    if (this.#hasLeft) throw new ClosedError("Cannot reach a position as this reader has left");
    this.#change(wordOf(position));
  }

  /** Leaves: the writer waits for this reader no more. Twice is fine. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#change(GONE);
    Atomics.store(this.#words, this.#index + OWNER, 0);
  }

  /** As {@link PacerSeat.leave}. */
  [Symbol.dispose](): void {
    this.leave();
  }

  #change(word: number): void {
    const before = this.#word;
    this.#word = word;
    // Pairs with the writer's look: what was read before was read.
    let found = Atomics.compareExchange(this.#words, this.#index, before, word);
    if (found === before) return;
    if (found === (before | SLEEPING)) {
      found = Atomics.compareExchange(this.#words, this.#index, found, word);
      if (found === (before | SLEEPING)) return void this.#sleepers.notify();
    }
    throw new ReclaimedError(
      `Cannot tell the pacer how far reader ${this.seat} is as another thread has reclaimed it`,
    );
  }
}
