/**
 * Busbar: a message bus out of shared memory, for workers.
 *
 * @module
 */

export type { Handle } from "./src/memory/handle.ts";
export { Memory, type MemoryHandle, type MemoryOptions } from "./src/memory/memory.ts";
export type { Observer } from "./src/memory/observer.ts";
export type { RegionHandle } from "./src/memory/region.ts";
export type { WaitOptions } from "./src/memory/sleep.ts";

export {
  EventCount,
  type EventCountHandle,
  type EventCountOptions,
} from "./src/sync/event_count.ts";
export { Guard } from "./src/sync/guard.ts";
export { Mutex, type MutexHandle, type MutexOptions } from "./src/sync/mutex.ts";
export { Parker, type ParkerHandle, type ParkerOptions } from "./src/sync/park.ts";
export { RwLock, type RwLockHandle, type RwLockOptions } from "./src/sync/rw_lock.ts";
export { Semaphore, type SemaphoreHandle, type SemaphoreOptions } from "./src/sync/semaphore.ts";
export { type JoinOptions, ThreadWaiters } from "./src/sync/thread_waiters.ts";
export type { ValueStore } from "./src/sync/value_store.ts";
export {
  WaiterQueue,
  type WaiterQueueHandle,
  type WaiterQueueOptions,
} from "./src/sync/waiter_queue.ts";

export {
  Broadcast,
  type BroadcastHandle,
  type BroadcastOptions,
  type BroadcastSize,
} from "./src/broadcast/broadcast.ts";
export type { MessageFilter } from "./src/broadcast/copy_out.ts";
export { MessageIterator, type MessagesOptions } from "./src/broadcast/message_iterator.ts";
export { Reassembler, type ReassemblerOptions } from "./src/broadcast/fragments.ts";
export { FrameCursor, type FrameCursorOptions } from "./src/broadcast/frame_cursor.ts";
export { InsufficientBufferSizeError } from "./src/broadcast/insufficient_buffer_size_error.ts";
export { OverrunError, type ReaderLosses } from "./src/broadcast/overrun.ts";
export type { ReaderBeginning } from "./src/broadcast/place.ts";
export { BroadcastReader, type ReaderOptions } from "./src/broadcast/reader.ts";
export {
  BroadcastWriter,
  type FragmentOptions,
  type FrameOptions,
  type WriterOptions,
} from "./src/broadcast/writer.ts";

export { delimited, type DelimiterOptions } from "./src/packet/framing/delimited.ts";
export {
  FlushQueue,
  type FlushQueueHandle,
  type FlushQueueOptions,
  type QueueWriterOptions,
} from "./src/packet/flush_queue.ts";
export { FrameDecoder, type FrameDecoderOptions } from "./src/packet/framing/frame_decoder.ts";
export { FrameDecoderStream, FrameEncoderStream } from "./src/packet/framing/frame_streams.ts";
export { Framer } from "./src/packet/framing/framer.ts";
export {
  type FrameScanner,
  type Framing,
  FramingError,
  type ScanResult,
} from "./src/packet/framing/framing.ts";
export { lengthPrefixed, type LengthPrefixOptions } from "./src/packet/framing/length_prefixed.ts";
export { type ByteSink, type ByteWriter, DrainError } from "./src/packet/flushing/write_drain.ts";
export { WriteFlusher } from "./src/packet/flushing/write_flusher.ts";
export { Reservation, Writer, type WriterHandle } from "./src/packet/writing/writer.ts";
export { createWriter } from "./src/packet/writing/unqueued_writer.ts";

export { BufferPool } from "./src/pool/buffer_pool.ts";
export type { Leak } from "./src/pool/leaks.ts";
export type {
  AttachOptions,
  BufferPoolHandle,
  BufferPoolOptions,
  BufferPoolSize,
  BufferPoolUsage,
  ReclaimOptions,
} from "./src/pool/options.ts";
export { Packet, PACKET_WORDS, type SentPacket } from "./src/pool/packet.ts";
