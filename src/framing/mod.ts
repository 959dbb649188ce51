/**
 * Messages in streams of bytes: length-prefixed or delimited frames, cut where they lie.
 *
 * @module
 */

export { delimited, type DelimiterOptions } from "./delimited.ts";
export { FrameDecoder, type FrameDecoderOptions } from "./frame_decoder.ts";
export { FrameDecoderStream, FrameEncoderStream } from "./frame_streams.ts";
export { Framer } from "./framer.ts";
export { type FrameScanner, type Framing, FramingError, type ScanResult } from "./framing.ts";
export { lengthPrefixed, type LengthPrefixOptions } from "./length_prefixed.ts";
