/**
 * A queue of many writers and one flusher (MPSC queue), with its messages in the buffers of a pool.
 *
 * @module
 */

export { type ByteSink, type ByteWriter, DrainError } from "./drain.ts";
export {
  FlushQueue,
  type FlushQueueHandle,
  type FlushQueueOptions,
  type QueueWriterOptions,
} from "./flush_queue.ts";
export { WriteFlusher } from "./flusher.ts";
export { PacketWriter } from "./packet_writer.ts";
export { Reservation } from "./reservation.ts";
export { Writer, type WriterHandle } from "./writer.ts";
