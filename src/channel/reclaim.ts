/**
 * Messages in a pool that a dead sender or receiver had.
 *
 * @module
 */

import { type BufferPool, type Packet, StaleTicketError } from "../pool/mod.ts";
import { poolOf } from "./message.ts";

/**
 * Has a message that a dead receiver had ready for another, or releases its buffer.
 *
 * @param message Where its four words are.
 * @returns Whether it was there: false if the dead one had done with it.
 */
export function reclaimReceived(
  pool: BufferPool | undefined,
  words: Int32Array,
  message: number,
  redeliver: boolean,
): boolean {
  const packet = adoptIfThere(poolOf(pool), words, message);
  if (packet === undefined) return false;
  if (redeliver) packet.detachInto(words, message);
  else packet.release();
  return true;
}

/**
 * Releases the buffer of a message that a dead sender had put into a cell, and not published; if
 * there is one, as the four words may be anything else.
 */
export function releaseUnpublished(pool: BufferPool, words: Int32Array, message: number): void {
  adoptIfThere(pool, words, message)?.release();
}

function adoptIfThere(pool: BufferPool, words: Int32Array, message: number): Packet | undefined {
  try {
    return pool.adoptFrom(words, message);
  } catch (error) {
    if (error instanceof StaleTicketError || error instanceof TypeError) return undefined;
    throw error;
  }
}
