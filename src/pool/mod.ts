/**
 * A pool of shared buffers, which threads acquire, release and hand over, and packets in them.
 *
 * @module
 */

export { BufferPool } from "./buffer_pool.ts";
export type { BufferSource } from "./buffer_source.ts";
export { StaleTicketError, TicketsExhaustedError } from "./errors.ts";
export type { Leak } from "./leaks.ts";
export type {
  AttachOptions,
  BufferPoolHandle,
  BufferPoolOptions,
  BufferPoolSize,
  BufferPoolUsage,
  ReclaimOptions,
} from "./types.ts";
export { type DetachedPacket, Packet, PACKET_WORDS } from "./packet.ts";
