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
export { type ByteSink, type ByteWriter, DrainError } from "./drain.ts";
export { WriteFlusher } from "./flusher.ts";
export { Reservation, Writer, type WriterHandle } from "./writer.ts";
export { createWriter } from "./unqueued_writer.ts";
