/**
 * Framing of messages in streams of bytes, length-prefixed or delimited: encoders, and decoders
 * that cut frames without copying them.
 *
 * @module
 */

export { delimited, type DelimiterOptions } from "./delimited.ts";
export { FrameDecoder, type FrameDecoderOptions } from "./frame_decoder.ts";
export { FrameDecoderStream, FrameEncoderStream } from "./frame_streams.ts";
export { Framer, type FramerOptions } from "./framer.ts";
export { type FrameScanner, type Framing, FramingError, type ScanResult } from "./framing.ts";
export { lengthPrefixed, type LengthPrefixOptions } from "./length_prefixed.ts";
