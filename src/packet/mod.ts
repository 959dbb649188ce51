/**
 * A queue of many writers and one flusher (MPSC queue), with its messages in the buffers of a pool.
 *
 * @module
 */

export {
  FlushQueue,
  type FlushQueueHandle,
  type FlushQueueOptions,
  type QueueWriterOptions,
} from "./flush_queue.ts";
export { type ByteSink, type ByteWriter, DrainError } from "./flushing/write_drain.ts";
export { WriteFlusher } from "./flushing/write_flusher.ts";
export { Reservation, Writer, type WriterHandle } from "./writing/writer.ts";
export { createWriter } from "./writing/unqueued_writer.ts";
