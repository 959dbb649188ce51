/**
 * Room for one message, as an object.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import type { Packet } from "../pool/packet.ts";

/** What a reservation needs of its writer. */
interface ReservationWriter {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** How many reservations are open; none once the writer is closed. */
  readonly openCount: number;
  commit(offset: number, length?: number): void;
  commitPacket(offset: number, length?: number): Packet;
  abort(offset: number): void;
}

/**
 * Room for one message, made by {@link Writer.claimMessage}. Disposing of it aborts, unless it has
 * ended.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * using writer = FlushQueue.create({ pool }).writer();
 * {
 *   using message = writer.claimMessage(4);
 *   message.bytes.set([1, 2, 3, 4]); // if this threw, nothing would be written
 *   message.commit();
 * }
 * writer.publish();
 * ```
 */
export class Reservation implements Disposable {
  /** The room, to be filled. Not to be used once the reservation has ended. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly #writer: ReservationWriter;
  readonly #offset: number;
  #isOpen = true;

  /**
   * Made by the writer.
   *
   * @ignore
   */
  constructor(writer: ReservationWriter, offset: number, length: number) {
    this.#writer = writer;
    this.#offset = offset;
    this.bytes = writer.bytes.subarray(offset, offset + length);
  }

  /** Whether it was neither committed nor aborted; closing the writer aborts it. */
  get isOpen(): boolean {
    return this.#isOpen && this.#writer.openCount > 0;
  }

  /**
   * Makes it a message.
   *
   * @param length How many of its bytes are the message; all by default.
   * @throws {ClosedError} If the reservation has ended.
   * @throws As {@link Writer.commit}.
   */
  commit(length?: number): void {
    this.#checkOpen("commit");
    this.#writer.commit(this.#offset, length);
    this.#isOpen = false;
  }

  /**
   * As {@link Reservation.commit}, and returns the message as a packet, too.
   *
   * @throws As {@link Reservation.commit}.
   */
  commitPacket(length?: number): Packet {
    this.#checkOpen("commit");
    const packet = this.#writer.commitPacket(this.#offset, length);
    this.#isOpen = false;
    return packet;
  }

  /**
   * Ends it without a message.
   *
   * @throws {ClosedError} If the reservation has ended.
   */
  abort(): void {
    this.#checkOpen("abort");
    this.#writer.abort(this.#offset);
    this.#isOpen = false;
  }

  /** Aborts it, unless it has ended. */
  [Symbol.dispose](): void {
    if (this.isOpen) this.abort();
  }

  #checkOpen(action: string): void {
    if (!this.isOpen) throw new ClosedError(`Cannot ${action} as the reservation has ended`);
  }
}
