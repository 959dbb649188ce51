/**
 * A pool of slices: messages are written into one preallocated block, taken out of it without a
 * copy, and released by any thread; with a decoder of frames on top.
 *
 * @module
 */

export type { ModeChanges, SliceMode } from "./block.ts";
export { StaleSliceError } from "./errors.ts";
export { HeapBuffer } from "./heap_buffer.ts";
export { type DetachedSlice, Slice, SLICE_WORDS } from "./slice.ts";
export type { SliceBuffer } from "./slice_buffer.ts";
export { SliceDecoder, type SliceDecoderOptions } from "./slice_decoder.ts";
export {
  type SliceDebugOptions,
  SlicePool,
  type SlicePoolHandle,
  type SlicePoolOptions,
  type SlicePoolUsage,
} from "./slice_pool.ts";
export { SliceReceiver, type SliceReceiverOptions } from "./slice_receiver.ts";
