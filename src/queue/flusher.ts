/**
 * The public interface of a queue's flusher: polled, waited for, visited, or drained to a sink.
 *
 * Its work on the shared words is in `flush_runs.ts`.
 *
 * @module
 */

import { checkSynchronous, describe } from "../memory/check.ts";
import { SleepWord } from "../memory/sleep.ts";
import { TimeSlice } from "../memory/time_slice.ts";
import {
  type AsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { BufferSource } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { type ByteSink, Drain, type Runs } from "./drain.ts";
import { FlushRuns } from "./flush_runs.ts";
import { FLUSHED, SLEEPING } from "./layout.ts";
import type { ThreadQueue } from "./thread_queue.ts";

/**
 * The consumer of a {@link FlushQueue}: takes the messages that writers have published.
 *
 * It takes all writers that have published at once, and goes through their *runs*: messages of one
 * writer that lie one after the other in one buffer, together as long as they can be.
 *
 * - **Exactly once.** A published message is received once, also if a flusher dies or is replaced;
 *   the run that a dead flusher was at comes again.
 * - **FIFO order.** The messages of a writer come in the order in which they were claimed; messages
 *   of different writers in no order.
 * - **Fairness.** Writers have turns of a buffer each, so none waits for another that never pauses.
 * - **Zero copy.** A run is a view of the writer's buffer, valid until the flusher goes on. A
 *   packet keeps it longer.
 * - **Backpressure.** A buffer returns to the pool when the flusher goes on from its last run.
 * - **End of stream.** {@link WriteFlusher.closings} tells how many writers have closed for good.
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
 * @example Until all writers have closed
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * for (const byte of [1, 2]) { // in reality each in a worker
 *   using writer = queue.writer();
 *   writer.append(new Uint8Array([byte])); // published by close
 * }
 *
 * using flusher = queue.flusher();
 * const received: number[] = [];
 * while (flusher.closings < 2) {
 *   await flusher.drainAsync((run) => void received.push(...run.view()));
 * }
 * assertEquals(received, [1, 2]);
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
  readonly #pool: BufferSource;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #flushed: SleepWord;
  readonly #drain = new Drain();
  /** The activity that goes through the runs at present, and must not be disturbed. */
  #activity: "visit" | "drain" | undefined;
  /** Whether the present run was found by a visit or a drain, and not received. */
  #isPending = false;
  /** Until other tasks of the thread get a turn. */
  readonly #slice = new TimeSlice();
  /** The runs, as a drain takes them. */
  readonly #toDrain: Runs = {
    maxBytes: () => this.#bytes.length,
    hasNext: () => this.#hasRun(),
    length: () => this.length,
    take: () => {
      this.#isPending = false;
      return this.view();
    },
    releaseBuffers: () => this.#pool.returnCached(),
  };
  /** Looks for something to poll; if there is nothing, returns the value to sleep at. */
  readonly #attempt = (): number | undefined =>
    this.#isPending || this.#runs.pollOrMark() ? undefined : SLEEPING;

  /**
   * Made by {@link FlushQueue.flusher}.
   *
   * @ignore
   */
  constructor(queue: ThreadQueue) {
    this.#runs = new FlushRuns(queue);
    this.#pool = queue.pool;
    this.#bytes = queue.pool.bytes;
    this.#flushed = new SleepWord(queue.memory, queue.words, FLUSHED);
  }

  /** The bytes of the pool. The present run is `length` bytes from `offset` on. */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes;
  }

  /** The offset of the present run in {@link WriteFlusher.bytes}. */
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

  /**
   * The bytes that a failed drain has taken but not written: a view, valid until the next drain.
   */
  get unwritten(): Uint8Array<ArrayBuffer> {
    return this.#drain.unwritten;
  }

  /**
   * How many writers of the queue were closed, all of whose messages were received. A writer that
   * was reclaimed counts once it is free; a shared writer each time that its last thread closes it.
   * A waiting flusher wakes up when a writer is closed.
   */
  get closings(): number {
    return this.#runs.closings;
  }

  /**
   * Whether everything that was published was received, and no writer is open. True also before the
   * first writer is made; false once the flusher is closed.
   *
   * To end when all workers have, also if one dies before it has a writer, wait until they have
   * ended and this is true: `src/when_a_worker_dies.md` has the loop.
   */
  get isEnded(): boolean {
    return !this.#isPending && this.#runs.isEnded;
  }

  /**
   * Takes everything that writers have published; {@link WriteFlusher.next} then goes through it.
   *
   * @returns Whether there may be something to go through.
   * @throws {ClosedError} If the flusher is closed.
   * @throws {Error} If a visit or a drain is under way.
   */
  poll(): boolean {
    if (this.#activity !== undefined) throw this.#busyError("poll");
    return this.#runs.poll();
  }

  /**
   * Goes on to the next run of what was taken. The bytes of the present one may be overwritten
   * then. A run that a failed visit or drain has found, and not received, comes first.
   *
   * @returns Whether there is one.
   * @throws {Error} If a visit or a drain is under way.
   */
  next(): boolean {
    if (this.#activity !== undefined) throw this.#busyError("go on to the next run");
    if (!this.#isPending) return this.#runs.next();
    this.#isPending = false;
    return true;
  }

  /** The present run: a view of shared memory that is valid until the next one. */
  view(): Uint8Array<SharedArrayBuffer> {
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
   * Blocks until writers have published, or one was closed.
   *
   * @returns Whether there is something to poll: false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If the flusher is closed.
   */
  wait(options?: WaitOptions): boolean {
    return this.#flushed.sleepUntil(this.#attempt, options);
  }

  /**
   * As {@link WriteFlusher.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If the flusher is closed.
   * @throws The signal's reason, if it is aborted.
   */
  waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    return this.#flushed.sleepUntilAsync(this.#attempt, options);
  }

  /**
   * Blocks until writers have published, or one was closed, and visits each run: everything that
   * was published before, and up to as many bytes as the pool has. So it returns even if writers
   * never pause. A run whose visit throws comes again: in the next drain, or call of
   * {@link WriteFlusher.next}, also of another flusher.
   *
   * @param visit Is called with this flusher, at the run. It must not be asynchronous, since the
   * run is gone once it has returned: to await something for each, use {@link WriteFlusher.poll}
   * and {@link WriteFlusher.next}.
   * @returns How many bytes were visited; 0 if the time is over.
   * @throws {TypeError} If `visit` is not a function, or returns a promise.
   * @throws As {@link WriteFlusher.wait}.
   * @throws {Error} If a visit or a drain is under way.
   */
  drain(visit: (run: this) => void, options?: WaitOptions): number {
    this.#checkVisit(visit);
    checkWaitOptions(options);
    return this.wait(options) ? this.#visitAll(visit) : 0;
  }

  /**
   * As {@link WriteFlusher.drain}, without waiting.
   *
   * @returns How many bytes were visited; 0 if nothing was published.
   * @throws As {@link WriteFlusher.drain}.
   */
  tryDrain(visit: (run: this) => void): number {
    this.#checkVisit(visit);
    return this.#visitAll(visit);
  }

  /**
   * As {@link WriteFlusher.drain}, without blocking. The process stays alive meanwhile, and other
   * tasks of the thread get their turn, however many messages there are.
   *
   * @throws As {@link WriteFlusher.drain} and {@link WriteFlusher.waitAsync}.
   */
  async drainAsync(visit: (run: this) => void, options?: AsyncWaitOptions): Promise<number> {
    this.#checkVisit(visit);
    const bytes = await this.waitAsync(options) ? this.#visitAll(visit) : 0;
    if (this.#slice.isOver) await this.#slice.yield();
    return bytes;
  }

  /**
   * Writes everything that writers have published to a stream or a socket, gathered into few
   * writes, without waiting for more. It awaits each write before the next. It ends as
   * {@link WriteFlusher.drain} does, even if writers never pause.
   *
   * @param sink A `WritableStream`, or an object with a `write` method, such as a `Deno.Conn` or a
   * `Deno.FsFile`. Of a stream of Node, pass `Writable.toWeb(stream)`.
   * @returns How many bytes were written; 0 if nothing was published.
   * @throws {DrainError} If the sink fails, or the flusher is closed meanwhile. The bytes that the
   * sink has not written are kept, as {@link WriteFlusher.unwritten}, and come first in the next
   * drain to a sink.
   * @throws {TypeError} If `sink` is neither.
   * @throws {Error} If a visit or a drain is under way.
   */
  async drainTo(sink: ByteSink): Promise<number> {
    if (this.#activity !== undefined) throw this.#busyError("drain");
    this.#activity = "drain";
    let bytes: number;
    try {
      bytes = await this.#drain.all(sink, this.#toDrain);
    } finally {
      this.#activity = undefined;
    }
    if (this.#slice.isOver) await this.#slice.yield();
    return bytes;
  }

  /**
   * Releases its buffers, and lets another thread become the flusher. Bytes that a failed drain has
   * kept are lost. Closing again does nothing.
   *
   * @throws {Error} If there are packets of its runs, and all tickets of this thread are in flight:
   * then it is not closed yet. Or if a visit is under way.
   */
  close(): void {
    if (this.#activity === "visit") throw this.#busyError("close the flusher");
    this.#runs.close(this.#isPending);
    this.#isPending = false;
  }

  /** As {@link WriteFlusher.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Whether there is a run to visit or to drain. */
  #hasRun(): boolean {
    return this.#isPending ||= this.#runs.poll() && this.#runs.next();
  }

  #visitAll(visit: (run: this) => void): number {
    // Another activity may have begun while this one was waiting.
    if (this.#activity !== undefined) throw this.#busyError("drain");
    let bytes = 0;
    this.#activity = "visit";
    try {
      while (bytes < this.#bytes.length && this.#hasRun()) {
        checkSynchronous("drain", "visit", visit(this) as unknown);
        this.#isPending = false;
        bytes += this.length;
      }
    } finally {
      this.#activity = undefined;
    }
    return bytes;
  }

  #checkVisit(visit: unknown): void {
    if (this.#activity !== undefined) throw this.#busyError("drain");
    if (typeof visit === "function") return;
    throw new TypeError(`Cannot drain as 'visit' must be a function: received ${describe(visit)}`);
  }

  #busyError(action: string): Error {
    return new Error(
      this.#activity === "drain"
        ? `Cannot ${action} as a drain is under way: await it first`
        : `Cannot ${action} as a visit is under way: return from it first`,
    );
  }
}
