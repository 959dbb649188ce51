/**
 * Messages in a pool that a dead receiver had.
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
export function reclaimPooled(
  pool: BufferPool | undefined,
  words: Int32Array,
  message: number,
  redeliver: boolean,
): boolean {
  let packet: Packet;
  try {
    packet = poolOf(pool).adoptFrom(words, message);
  } catch (error) {
    if (error instanceof StaleTicketError) return false;
    throw error;
  }
  if (redeliver) packet.detachInto(words, message);
  else packet.release();
  return true;
}
