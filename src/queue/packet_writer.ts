/**
 * The writer without a flusher: its messages go only into packets, which share its buffers.
 *
 * Each open reservation has a reference to its buffer, which its packet takes over.
 *
 * @module
 */

import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { type BufferSource, checkPool, NO_BUFFER } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { OpenReservations } from "./open_reservations.ts";
import { type RoomMaker, RoomWaiters } from "./room_waiters.ts";
import {
  checkLength,
  closedError,
  committedLength,
  notSharedError,
  Writer,
  type WriterHandle,
} from "./writer.ts";

/** How many reservations of one buffer can be open: one reference fewer than a pool counts. */
const MAX_OPEN = 1022;

/**
 * A writer whose messages are packets, and go to no flusher. A message that is committed, but not
 * as a packet, is gone.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, PacketWriter } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using writer = PacketWriter.create(pool);
 * using message = writer.claimMessage(3);
 * message.bytes.set([1, 2, 3]);
 * using packet = message.commitPacket();
 * assertEquals([...packet.bytes], [1, 2, 3]);
 * ```
 */
export class PacketWriter extends Writer {
  readonly #pool: BufferSource;
  readonly #open = new OpenReservations();
  readonly #half: number;
  readonly #waiters: RoomWaiters;
  readonly #room: RoomMaker = {
    hasRoom: (length) => this.#isClosed || this.#hasRoom(length),
    claimIn: (buffer, length) => this.#claimIn(buffer, length),
    tryClaim: (length) => this.tryClaim(length),
  };
  #buffer = NO_BUFFER;
  /** The offset of the next message in the bytes of the pool. */
  #next = 0;
  /** The end of the buffer in the bytes of the pool. */
  #limit = 0;
  /** How many reservations of the present buffer are open. */
  #openHere = 0;
  #isClosed = false;

  /** @ignore */
  private constructor(pool: BufferSource) {
    super(pool);
    this.#pool = pool;
    this.#waiters = new RoomWaiters(pool);
    this.#half = pool.bufferBytes >> 1;
  }

  /**
   * Makes a writer for this thread.
   *
   * @param pool This thread's part in the pool that the buffers come from.
   * @throws {TypeError} If it is not a pool.
   * @throws {ClosedError} If this thread has left it.
   */
  static create(pool: BufferSource): PacketWriter {
    checkPool("create writer", pool);
    return new PacketWriter(pool);
  }

  /** As {@link Writer.handle}. */
  override get handle(): WriterHandle {
    throw notSharedError();
  }

  /** As {@link Writer.openCount}. */
  override get openCount(): number {
    return this.#open.count;
  }

  /** As {@link Writer.claim}. */
  override claim(length: number, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : this.#waiters.claim(this.#room, length, options);
  }

  /** As {@link Writer.claimAsync}. */
  override async claimAsync(length: number, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : await this.#waiters.claimAsync(this.#room, length, options);
  }

  /** As {@link Writer.tryClaim}. */
  override tryClaim(length: number): number {
    if (this.#isClosed) throw closedError("claim");
    checkLength(length, this.#pool.bufferBytes);
    if (this.#hasRoom(length)) return this.#take(length);
    const buffer = this.#pool.tryAcquire();
    if (buffer >= 0) return this.#claimIn(buffer, length);
    // The pool is empty, and the buffer that is waited for may be the very one that is too full.
    this.#dropBuffer();
    return -1;
  }

  /** As {@link Writer.commit}. */
  override commit(offset: number, length?: number): void {
    const row = this.#open.find("commit", offset);
    committedLength(length, this.#open.lengths[row]!);
    this.#drop(row);
  }

  /** As {@link Writer.commitPacket}. */
  override commitPacket(offset: number, length?: number): Packet {
    const open = this.#open;
    const row = open.find("commit", offset);
    const size = committedLength(length, open.lengths[row]!);
    const buffer = open.buffers[row]!;
    const packet = this.#pool.packet(buffer, offset - this.#pool.offsetOf(buffer), size);
    this.#remove(row);
    return packet;
  }

  /** As {@link Writer.abort}. */
  override abort(offset: number): void {
    this.#drop(this.#open.find("abort", offset));
  }

  /** As {@link Writer.publish}. */
  override publish(): void {}

  /** As {@link Writer.close}. */
  override close(): void {
    if (this.#isClosed) return;
    while (this.#open.count > 0) this.#drop(this.#open.count - 1);
    this.#isClosed = true;
    this.#waiters.wakeAll();
    this.#dropBuffer();
  }

  #hasRoom(length: number): boolean {
    return length <= this.#limit - this.#next && this.#openHere < MAX_OPEN;
  }

  /** Claims room in the present buffer. */
  #take(length: number): number {
    const offset = this.#next;
    this.#next = offset + length;
    this.#pool.retain(this.#buffer);
    this.#openHere++;
    this.#open.add(offset, length, this.#buffer, 0, NO_BUFFER, 0);
    return offset;
  }

  /** Claims room in a new buffer, which a long message has to itself. */
  #claimIn(buffer: number, length: number): number {
    const offset = this.#pool.offsetOf(buffer);
    if (length > this.#half && this.#buffer !== NO_BUFFER) {
      this.#open.add(offset, length, buffer, 0, NO_BUFFER, 0);
      return offset;
    }
    this.#dropBuffer();
    this.#buffer = buffer;
    this.#next = offset;
    this.#limit = offset + this.#pool.bufferBytes;
    this.#waiters.wakeAll();
    return this.#take(length);
  }

  /** Drops the writer's own reference to the present buffer. */
  #dropBuffer(): void {
    if (this.#buffer !== NO_BUFFER) this.#release(this.#buffer);
    this.#buffer = NO_BUFFER;
    this.#next = this.#limit = this.#openHere = 0;
  }

  /** Removes a reservation, which keeps its reference to the buffer. */
  #remove(row: number): void {
    if (this.#open.buffers[row] === this.#buffer) this.#openHere--;
    this.#open.remove(row);
  }

  #drop(row: number): void {
    const buffer = this.#open.buffers[row]!;
    this.#remove(row);
    this.#release(buffer);
  }

  /** Drops a reference, unless the thread has left the pool, which has released all of them. */
  #release(buffer: number): void {
    if (!this.#pool.hasLeft) this.#pool.release(buffer);
  }
}
