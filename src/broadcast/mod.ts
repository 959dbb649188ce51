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
export { InsufficientBufferSizeError, OverrunError, ReplacedError } from "./errors.ts";
export type { FragmentOptions } from "./fragments.ts";
export type { FrameOptions } from "./frame.ts";
export { FrameCursor, type FrameCursorOptions } from "./frame_cursor.ts";
export type { ReaderBeginning } from "./marks.ts";
export { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
export { Pacer, type PacerHandle, type PacerOptions, PacerSeat } from "./pacer.ts";
export { BroadcastReader, type ReaderLosses, type ReaderOptions } from "./reader.ts";
export { Reassembler, type ReassemblerOptions } from "./reassembler.ts";
export { BroadcastWriter, type WriterOptions } from "./writer.ts";
