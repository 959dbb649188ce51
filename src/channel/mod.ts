/**
 * Channels: bounded queues of values between threads, and rings of samples.
 *
 * @module
 */

export { Borrowed } from "./borrowed.ts";
export {
  Channel,
  type ChannelAttachOptions,
  type ChannelEndOptions,
  type ChannelHandle,
  type ChannelOptions,
} from "./channel.ts";
export { bytesCodec, type Codec, jsonCodec, recordCodec, textCodec } from "./codec.ts";
export { ChannelClosedError, ChannelFullError } from "./errors.ts";
export { FloatRing, type FloatRingHandle, type FloatRingOptions } from "./float_ring.ts";
export type { ChannelInspection } from "./inspection.ts";
export { Receiver } from "./receiver.ts";
export { Sender } from "./sender.ts";
