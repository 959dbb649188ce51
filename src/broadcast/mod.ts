/**
 * A broadcast ring (SPMC ring buffer): one writer, many readers, no backpressure.
 *
 * @module
 */

export {
  Broadcast,
  type BroadcastHandle,
  type BroadcastOptions,
  type BroadcastSize,
} from "./broadcast.ts";
export type { MessageFilter } from "./copy_out.ts";
export { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
export { Reassembler, type ReassemblerOptions } from "./fragments.ts";
export { FrameCursor, type FrameCursorOptions } from "./frame_cursor.ts";
export { InsufficientBufferSizeError } from "./insufficient_buffer_size_error.ts";
export { OverrunError, type ReaderLosses } from "./overrun.ts";
export type { ReaderBeginning } from "./place.ts";
export { BroadcastReader, type ReaderOptions } from "./reader.ts";
export {
  BroadcastWriter,
  type FragmentOptions,
  type FrameOptions,
  type WriterOptions,
} from "./writer.ts";
