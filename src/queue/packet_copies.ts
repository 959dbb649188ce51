/**
 * Copies of messages as packets, for messages whose buffer belongs to the flusher.
 *
 * @module
 */

import { type BufferSource, NO_BUFFER } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";

/** Makes packets of copies, as many to a buffer as fit. */
export class PacketCopies {
  readonly #pool: BufferSource;
  #buffer = NO_BUFFER;
  /** How many bytes of the buffer are used. */
  #used = 0;

  /** Begins without a buffer. */
  constructor(pool: BufferSource) {
    this.#pool = pool;
  }

  /**
   * Copies bytes of the pool.
   *
   * @throws {Error} If there is no free buffer to copy them to.
   */
  copy(offset: number, length: number): Packet {
    const pool = this.#pool;
    if (this.#buffer === NO_BUFFER || this.#used + length > pool.bufferBytes) this.#nextBuffer();
    const start = this.#used;
    pool.copyWithin(pool.offsetOf(this.#buffer) + start, offset, length);
    this.#used += length;
    return pool.sharePacket(this.#buffer, start, length);
  }

  /** Releases the buffer; packets have references of their own. */
  close(): void {
    // The buffers of a thread that has left the pool were all released.
    if (this.#buffer !== NO_BUFFER && !this.#pool.hasLeft) this.#pool.release(this.#buffer);
    this.#buffer = NO_BUFFER;
  }

  #nextBuffer(): void {
    const buffer = this.#pool.tryAcquire();
    if (buffer < 0) {
      throw new Error("Cannot make a packet of the message as no buffer is free to copy it to");
    }
    this.close();
    this.#buffer = buffer;
    this.#used = 0;
  }
}
