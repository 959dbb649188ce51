/**
 * Sending messages that lie in buffers of the pool: long ones, which are copied there, and packets
 * of the caller, which are not.
 *
 * @module
 */

import { type AsyncWaitOptions, Deadline, type WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool, Packet } from "../pool/mod.ts";
import { IN_POOL } from "./layout.ts";
import { poolOf } from "./message.ts";
import type { Outlet } from "./outlet.ts";

/** Sends packets through the cells of one sender. */
export class PacketSending {
  readonly #outlet: Outlet;
  readonly #pool: BufferPool | undefined;

  /** Sends through these cells. */
  constructor(outlet: Outlet, pool: BufferPool | undefined) {
    this.#outlet = outlet;
    this.#pool = pool;
  }

  /** Whether there is a pool. */
  get hasPool(): boolean {
    return this.#pool !== undefined;
  }

  /** Copies a message into a buffer and sends it, blocking until there is a buffer, and a cell. */
  send(bytes: Uint8Array, options: WaitOptions | undefined): boolean {
    const deadline = new Deadline(options);
    const pool = poolOf(this.#pool);
    let buffer = pool.tryAcquire();
    if (buffer < 0) {
      if (this.#outlet.refuses(1)) return false;
      buffer = pool.acquire(options);
    }
    if (buffer < 0) return false;
    const packet = fill(pool, buffer, bytes);
    try {
      return this.sendPacket(packet, options && { timeoutMs: deadline.remainingMs });
    } finally {
      packet[Symbol.dispose]();
    }
  }

  /** As {@link PacketSending.send}, without waiting. */
  trySend(bytes: Uint8Array): boolean {
    const pool = poolOf(this.#pool);
    const buffer = pool.tryAcquire();
    if (buffer < 0) return false;
    const packet = fill(pool, buffer, bytes);
    try {
      return this.trySendPacket(packet);
    } finally {
      packet[Symbol.dispose]();
    }
  }

  /** As {@link PacketSending.send}, without blocking. */
  async sendAsync(bytes: Uint8Array, options: AsyncWaitOptions): Promise<boolean> {
    const deadline = new Deadline(options);
    const pool = poolOf(this.#pool);
    let buffer = pool.tryAcquire();
    if (buffer < 0) {
      if (this.#outlet.refuses(1)) return false;
      buffer = await pool.acquireAsync(options);
    }
    if (buffer < 0) return false;
    const packet = fill(pool, buffer, bytes);
    try {
      const left = { signal: options.signal, timeoutMs: deadline.remainingMs };
      return await this.sendPacketAsync(packet, left);
    } finally {
      packet[Symbol.dispose]();
    }
  }

  /** Sends a packet, blocking until there is a cell. It is gone if it was sent. */
  sendPacket(packet: Packet, options: WaitOptions | undefined): boolean {
    if (this.trySendPacket(packet)) return true;
    if (this.#outlet.refuses(1)) return false;
    return this.#outlet.waiting.wait(options, () => this.trySendPacket(packet));
  }

  /** As {@link PacketSending.sendPacket}, without blocking. */
  async sendPacketAsync(packet: Packet, options: AsyncWaitOptions): Promise<boolean> {
    if (this.trySendPacket(packet)) return true;
    if (this.#outlet.refuses(1)) return false;
    return await this.#outlet.waiting.waitAsync(options, () => this.trySendPacket(packet));
  }

  /** As {@link PacketSending.sendPacket}, without waiting. */
  trySendPacket(packet: Packet): boolean {
    const outlet = this.#outlet;
    if (!outlet.claim(1)) return false;
    const { words, cells } = outlet;
    const message = cells.messageOf(cells.position);
    // First, so that a thread that reclaims this sender looks for the packet.
    words[cells.lengthOf(cells.position)] = IN_POOL;
    try {
      packet.detachInto(words, message);
    } catch (error) {
      outlet.abort();
      throw error;
    }
    try {
      outlet.publish();
    } catch (error) {
      // Nobody gets it: the channel was closed meanwhile, or this sender reclaimed.
      poolOf(this.#pool).adoptFrom(words, message).release();
      throw error;
    }
    return true;
  }
}

/** Copies a message into a buffer. */
function fill(pool: BufferPool, buffer: number, bytes: Uint8Array): Packet {
  pool.bytes.set(bytes, pool.offsetOf(buffer));
  return pool.packet(buffer, 0, bytes.length);
}
