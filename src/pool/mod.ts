/**
 * A pool of buffers that threads pass around, and packets in them.
 *
 * @module
 */

export { BufferPool } from "./buffer_pool.ts";
export type { Leak } from "./leaks.ts";
export type {
  AttachOptions,
  BufferPoolHandle,
  BufferPoolOptions,
  BufferPoolSize,
  BufferPoolUsage,
  ReclaimOptions,
} from "./options.ts";
export { type DetachedPacket, Packet, PACKET_WORDS } from "./packet.ts";
