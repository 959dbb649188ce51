/**
 * The writer without a flusher: its messages go nowhere but into packets, which share its buffers.
 *
 * Each open reservation has a reference to its buffer, which its packet takes over.
 *
 * @module
 */

import type { WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import { checkPool } from "../pool/options.ts";
import type { Packet } from "../pool/packet.ts";
import { NO_BUFFER, OpenReservations } from "./open_reservations.ts";
import { Reopening } from "./room_waiters.ts";
import {
  checkLength,
  committedLength,
  refuseDisposed,
  refuseHandle,
  Writer,
  type WriterHandle,
} from "./writer.ts";

/**
 * Makes a writer whose messages are packets, and go to no flusher. A message that is committed but
 * not as a packet is gone.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, createWriter } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using writer = createWriter(pool);
 * using message = writer.claimMessage(3);
 * message.bytes.set([1, 2, 3]);
 * using packet = message.commitPacket();
 * assertEquals([...packet.bytes], [1, 2, 3]);
 * ```
 *
 * @param pool This thread's end of the pool.
 * @throws {TypeError} If it is none.
 * @throws {Error} If this thread has left it.
 */
export function createWriter(pool: BufferPool): Writer {
  checkPool("create writer", pool);
  return new UnqueuedWriter(pool);
}

/** How many reservations of one buffer can be open: one reference fewer than a pool counts. */
const MOST_OPEN = 1022;

class UnqueuedWriter extends Writer {
  readonly #pool: BufferPool;
  readonly #open = new OpenReservations();
  readonly #half: number;
  readonly #reopening: Reopening;
  #buffer = NO_BUFFER;
  /** Where in the pool's bytes the next message begins. */
  #next = 0;
  /** Where in the pool's bytes the buffer ends. */
  #limit = 0;
  /** How many reservations of the present buffer are open. */
  #openHere = 0;
  #isDisposed = false;

  constructor(pool: BufferPool) {
    super(pool);
    this.#pool = pool;
    this.#reopening = new Reopening(pool);
    this.#half = pool.bufferBytes >> 1;
  }

  override get handle(): WriterHandle {
    return refuseHandle();
  }

  override get openCount(): number {
    return this.#open.count;
  }

  override tryClaim(length: number): number {
    if (this.#isDisposed) refuseDisposed("reserve");
    checkLength(length, this.#pool.bufferBytes);
    if (this.#hasRoom(length)) return this.#take(length);
    const buffer = this.#pool.tryAcquire();
    if (buffer >= 0) return this.#place(buffer, length);
    // The pool is empty: what is waited for may be the very buffer that is too full.
    this.#leave();
    return -1;
  }

  override commit(offset: number, length?: number): void {
    const row = this.#open.find("commit", offset);
    committedLength(length, this.#open.lengths[row]!);
    this.#drop(row);
  }

  override commitPacket(offset: number, length?: number): Packet {
    const open = this.#open;
    const row = open.find("commit", offset);
    const size = committedLength(length, open.lengths[row]!);
    const buffer = open.buffers[row]!;
    const packet = this.#pool.packet(buffer, offset - this.#pool.offsetOf(buffer), size);
    this.#close(row);
    return packet;
  }

  override abort(offset: number): void {
    this.#drop(this.#open.find("abort", offset));
  }

  override flush(): void {}

  override [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    while (this.#open.count > 0) this.#drop(this.#open.count - 1);
    this.#isDisposed = true;
    this.#reopening.announce();
    this.#leave();
  }

  protected override waitToReserve(length: number, timeoutMs: number): number {
    const buffer = this.#pool.acquire(timeoutMs);
    return buffer < 0 ? -1 : this.#place(buffer, length);
  }

  protected override waitToReserveAsync(length: number, options: WaitOptions): Promise<number> {
    return this.#reopening.claim(
      options,
      () => this.#isDisposed || this.#hasRoom(length),
      (buffer) => this.#place(buffer, length),
      () => this.tryClaim(length),
    );
  }

  #hasRoom(length: number): boolean {
    return length <= this.#limit - this.#next && this.#openHere < MOST_OPEN;
  }

  /** Takes room in the present buffer. */
  #take(length: number): number {
    const offset = this.#next;
    this.#next = offset + length;
    this.#pool.retain(this.#buffer);
    this.#openHere++;
    this.#open.add(offset, length, this.#buffer, 0, NO_BUFFER, 0);
    return offset;
  }

  /** Takes room in a new buffer, which a long message has for its own. */
  #place(buffer: number, length: number): number {
    const offset = this.#pool.offsetOf(buffer);
    if (length > this.#half && this.#buffer !== NO_BUFFER) {
      this.#open.add(offset, length, buffer, 0, NO_BUFFER, 0);
      return offset;
    }
    this.#leave();
    this.#buffer = buffer;
    this.#next = offset;
    this.#limit = offset + this.#pool.bufferBytes;
    this.#reopening.announce();
    return this.#take(length);
  }

  /** Gives the present buffer back, as far as the writer is concerned. */
  #leave(): void {
    if (this.#buffer !== NO_BUFFER) this.#release(this.#buffer);
    this.#buffer = NO_BUFFER;
    this.#next = this.#limit = this.#openHere = 0;
  }

  #close(row: number): void {
    if (this.#open.buffers[row] === this.#buffer) this.#openHere--;
    this.#open.remove(row);
  }

  #drop(row: number): void {
    const buffer = this.#open.buffers[row]!;
    this.#close(row);
    this.#release(buffer);
  }

  /** Drops a reference, unless the thread has left the pool, which took all buffers back. */
  #release(buffer: number): void {
    if (!this.#pool.hasLeft) this.#pool.release(buffer);
  }
}
