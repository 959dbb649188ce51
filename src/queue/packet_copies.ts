/**
 * Copies of messages, as packets: for a message whose buffer belongs to the flusher.
 *
 * @module
 */

import type { BufferPool } from "../pool/buffer_pool.ts";
import type { Packet } from "../pool/packet.ts";

const NO_BUFFER = -1;

/** Makes packets of copies, as many to a buffer as fit. */
export class PacketCopies implements Disposable {
  readonly #pool: BufferPool;
  #buffer = NO_BUFFER;
  /** How many bytes of the buffer are used. */
  #used = 0;

  /** Begins without a buffer. */
  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /**
   * Copies bytes of the pool.
   *
   * @throws {Error} If there is no free buffer to copy them to.
   */
  copy(offset: number, length: number): Packet {
    const pool = this.#pool;
    if (this.#buffer === NO_BUFFER || this.#used + length > pool.bufferBytes) this.#goOn();
    const start = this.#used;
    pool.bytes.copyWithin(pool.offsetOf(this.#buffer) + start, offset, offset + length);
    this.#used += length;
    return pool.sharePacket(this.#buffer, start, length);
  }

  /** Gives the buffer back; packets have references of their own. */
  [Symbol.dispose](): void {
    // A thread that leaves the pool gives all its buffers back.
    if (this.#buffer !== NO_BUFFER && !this.#pool.hasLeft) this.#pool.release(this.#buffer);
    this.#buffer = NO_BUFFER;
  }

  #goOn(): void {
    const buffer = this.#pool.tryAcquire();
    if (buffer < 0) {
      throw new Error("Cannot make a packet of the message as no buffer is free to copy it to");
    }
    this[Symbol.dispose]();
    this.#buffer = buffer;
    this.#used = 0;
  }
}
