/**
 * The flusher of a queue, as it is used: polled, waited with, visited by, or drained.
 *
 * What it does with the shared words is in `flush_runs.ts`.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { SleepWord } from "../memory/sleep.ts";
import { type WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import type { Packet } from "../pool/packet.ts";
import { FLUSHED, SLEEPING } from "./layout.ts";
import { FlushRuns } from "./flush_runs.ts";
import type { QueueEnd } from "./thread_queue.ts";
import { type ByteSink, Drain, type Runs } from "./drain.ts";

/**
 * Takes the messages that the writers of a {@link FlushQueue} have flushed.
 *
 * It takes all writers that have flushed at once, and goes through their *runs*: messages of one
 * writer that lie one after the other in one buffer, together as long as they can be. A buffer goes
 * back to the pool when the flusher goes on from its last run.
 *
 * @example Run by run, without an allocation
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer({ id: 7 });
 * using flusher = queue.flusher();
 * for (let i = 0; i < 3; i++) writer.append(new Uint8Array([i]));
 * writer.publish();
 *
 * let sum = 0;
 * while (flusher.poll()) {
 *   while (flusher.next()) {
 *     assertEquals([flusher.writerId, flusher.messageCount], [7, 3]);
 *     const end = flusher.offset + flusher.length;
 *     for (let i = flusher.offset; i < end; i++) sum += flusher.bytes[i]!;
 *   }
 * }
 * assertEquals(sum, 3);
 * ```
 *
 * @example To a socket, or any stream
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer();
 * using flusher = queue.flusher();
 * for (const word of ["many ", "messages, ", "one write"]) {
 *   writer.append(new TextEncoder().encode(word));
 * }
 * writer.publish();
 *
 * const written: string[] = [];
 * const sink = new WritableStream<Uint8Array>({
 *   write: (chunk) => void written.push(new TextDecoder().decode(chunk)),
 * });
 * assertEquals(await flusher.drainTo(sink), 24);
 * assertEquals(written, ["many messages, one write"]);
 * ```
 */
export class WriteFlusher implements Disposable {
  readonly #runs: FlushRuns;
  readonly #pool: BufferPool;
  readonly #bytes: Uint8Array;
  readonly #flushed: SleepWord;
  readonly #drain = new Drain();
  /** What goes through the runs just now, and must not be interfered with. */
  #activity: "visit" | "drain" | undefined;
  /** The runs, as a drain takes them. */
  readonly #toDrain: Runs = {
    next: () => this.#findRun(),
    length: () => this.length,
    take: () => {
      this.#isPending = false;
      return this.take();
    },
    letGo: () => this.#pool.returnCached(),
  };
  /** Whether there is something to poll; if not, at which value of {@link FLUSHED} to sleep. */
  readonly #attempt = (): number | undefined =>
    this.#isPending || this.#runs.pollOrMark() ? undefined : SLEEPING;
  /** Whether the present run was found by a visit or a drain, which have not received it. */
  #isPending = false;

  /**
   * Becomes the flusher of a queue; as {@link FlushQueue.flusher}.
   *
   * @throws {Error} If the queue has one.
   */
  constructor(end: QueueEnd) {
    this.#runs = new FlushRuns(end);
    this.#pool = end.pool;
    this.#bytes = end.pool.bytes;
    this.#flushed = new SleepWord(end.memory, end.words, FLUSHED);
  }

  /** The bytes of the pool. The present run is `length` bytes from `offset` on. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link WriteFlusher.bytes} the present run begins. */
  get offset(): number {
    return this.#runs.offset;
  }

  /** The bytes of the present run. */
  get length(): number {
    return this.#runs.length;
  }

  /** How many messages the present run has. */
  get messageCount(): number {
    return this.#runs.messageCount;
  }

  /** The user's number of the writer of the present run. */
  get writerId(): number {
    return this.#runs.writerId;
  }

  /** What {@link WriteFlusher.drainTo} has taken but could not write: a view, until the next drain. */
  get unwritten(): Uint8Array {
    return this.#drain.unwritten;
  }

  /**
   * Takes all that writers have flushed; {@link WriteFlusher.next} then goes through it.
   *
   * @returns Whether there is something to go through.
   * @throws {Error} If the flusher was disposed of, as all that waits or flushes; or if a visit or a
   * drain is under way.
   */
  poll(): boolean {
    if (this.#activity !== undefined) this.#refuseBusy("poll");
    return this.#runs.poll();
  }

  /**
   * Goes on to the next run of what was taken. The bytes of the present one may be overwritten then.
   * A run that a failed visit or drain has found, and not received, comes first.
   *
   * @returns Whether there is one.
   * @throws {Error} If a visit or a drain is under way.
   */
  next(): boolean {
    if (this.#activity !== undefined) this.#refuseBusy("go on to the next run");
    if (!this.#isPending) return this.#runs.next();
    this.#isPending = false;
    return true;
  }

  /** The present run: a view of shared memory that is valid until the next one. */
  take(): Uint8Array {
    return this.#bytes.subarray(this.offset, this.offset + this.length);
  }

  /**
   * The present run as a packet, which keeps its buffer from being reused.
   *
   * @throws {Error} If there is no present run, or all tickets of this thread are in flight.
   */
  packet(): Packet {
    this.#runs.retain();
    const { buffer, offset, length } = this.#runs;
    return this.#pool.packet(buffer, offset - this.#pool.offsetOf(buffer), length);
  }

  /**
   * Blocks until writers have flushed.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether there is something to poll.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(timeoutMs: number = Infinity): boolean {
    return this.#flushed.sleepUntil(this.#attempt, timeoutMs);
  }

  /**
   * As {@link WriteFlusher.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  waitAsync(options: WaitOptions = {}): Promise<boolean> {
    return this.#flushed.sleepUntilAsync(this.#attempt, options);
  }

  /**
   * Blocks until writers have flushed, and visits each run. A run whose visit throws comes again: in
   * the next flush, drain or call of {@link WriteFlusher.next}, also of another flusher.
   *
   * @param visit Is given this flusher, at the run.
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns How many bytes were visited.
   * @throws {TypeError} If `visit` is no function.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If a visit or a drain is under way.
   */
  flush(visit: (run: this) => void, timeoutMs?: number): number {
    this.#checkVisit(visit);
    return this.wait(timeoutMs) ? this.#visitAll(visit) : 0;
  }

  /**
   * As {@link WriteFlusher.flush}, without blocking.
   *
   * @throws As {@link WriteFlusher.flush} and {@link WriteFlusher.waitAsync}.
   */
  async drainAsync(visit: (run: this) => void, options?: WaitOptions): Promise<number> {
    this.#checkVisit(visit);
    return await this.waitAsync(options) ? this.#visitAll(visit) : 0;
  }

  /**
   * Writes all that writers have flushed to a stream or a socket, with few writes: what lies in
   * several runs is put together. It awaits each write before the next.
   *
   * @param sink Where to: a `WritableStream`, or what has a `write` method, such as a `Deno.Conn`.
   * @returns How many bytes were written; 0 if nothing was flushed.
   * @throws {DrainError} If the sink fails, or the flusher is disposed of meanwhile. What the sink
   * has not written is kept, as {@link WriteFlusher.unwritten}, and comes first in the next drain.
   * @throws {TypeError} If `sink` is neither.
   * @throws {Error} If a visit or a drain is under way.
   */
  async drainTo(sink: ByteSink): Promise<number> {
    if (this.#activity !== undefined) this.#refuseBusy("drain");
    this.#activity = "drain";
    try {
      return await this.#drain.all(sink, this.#toDrain);
    } finally {
      this.#activity = undefined;
    }
  }

  /**
   * Gives back what it holds, and lets another become the flusher. What a drain has kept is lost.
   * Doing it again does nothing.
   *
   * @throws {Error} If there are packets of its runs, and all tickets of this thread are in flight:
   * then it is not disposed of yet. Or if a visit is under way.
   */
  [Symbol.dispose](): void {
    if (this.#activity === "visit") this.#refuseBusy("dispose of the flusher");
    this.#runs.dispose(this.#isPending);
    this.#isPending = false;
  }

  /** Whether there is a run to visit or to drain. */
  #findRun(): boolean {
    return this.#isPending ||= this.#runs.poll() && this.#runs.next();
  }

  #visitAll(visit: (run: this) => void): number {
    // Something else may have begun while this one was waiting.
    if (this.#activity !== undefined) this.#refuseBusy("flush");
    let bytes = 0;
    this.#activity = "visit";
    try {
      while (this.#findRun()) {
        visit(this);
        this.#isPending = false;
        bytes += this.length;
      }
    } finally {
      this.#activity = undefined;
    }
    return bytes;
  }

  #checkVisit(visit: unknown): void {
    if (this.#activity !== undefined) this.#refuseBusy("flush");
    if (typeof visit === "function") return;
    throw new TypeError(`Cannot flush as 'visit' must be a function: received ${describe(visit)}`);
  }

  #refuseBusy(action: string): never {
    throw new Error(
      this.#activity === "drain"
        ? `Cannot ${action} as a drain is under way: await it first`
        : `Cannot ${action} as a visit is under way: return from it first`,
    );
  }
}
