/**
 * Delimited framing: each message ends with a delimiter of one or more bytes.
 *
 *     | payload ... | delimiter |
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions } from "../memory/check.ts";
import {
  checkRoom,
  encodeFrame,
  type FrameScanner,
  type Framing,
  type ScanResult,
} from "./framing.ts";

/** Options of {@link delimited}. */
export interface DelimiterOptions {
  /** The bytes that end each message; a line feed by default. */
  delimiter?: Uint8Array;
  /** The length of the longest message in bytes, without the delimiter. */
  maxLength: number;
}

const LINE_FEED = 10;

/**
 * Creates a framing in which each message ends with a delimiter, and does not contain it.
 *
 * @example Usage
 * ```ts
 * import { delimited } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const crlf = delimited({ delimiter: new Uint8Array([13, 10]), maxLength: 1024 });
 * assertEquals([...crlf.encode(new TextEncoder().encode("hi"))], [104, 105, 13, 10]);
 * ```
 *
 * @throws {TypeError} If `options` is not an object, or `delimiter` not a Uint8Array.
 * @throws {RangeError} If the delimiter is empty, or `maxLength` is out of range.
 */
export function delimited(options: DelimiterOptions): Framing {
  return new Delimited(options);
}

/** Made by {@link delimited}. */
class Delimited implements Framing {
  readonly maxLength: number;
  readonly overheadBytes: number;
  readonly #delimiter: Uint8Array;

  constructor(options: DelimiterOptions) {
    checkOptions("create delimited framing", options);
    const { delimiter = new Uint8Array([LINE_FEED]), maxLength } = options;
    checkBytes("create delimited framing", "delimiter", delimiter);
    checkInteger("create delimited framing", "delimiter.length", delimiter.length, 1);
    checkInteger("create delimited framing", "maxLength", maxLength, 0);
    this.#delimiter = delimiter.slice();
    this.maxLength = maxLength;
    this.overheadBytes = delimiter.length;
  }

  encodeInto(payload: Uint8Array, target: Uint8Array, offset: number): number {
    checkRoom(this, payload, target, offset);
    const end = offset + payload.length;
    target.set(payload, offset);
    target.set(this.#delimiter, end);
    // The end of the payload and the beginning of the delimiter may form a delimiter, too.
    const found = find(this.#delimiter, target, offset, end + this.#delimiter.length);
    if (found !== end) {
      throw new RangeError(
        `Cannot frame a message as it must not contain the delimiter: found one at ${
          found - offset
        }`,
      );
    }
    return end + this.#delimiter.length;
  }

  encode(payload: Uint8Array): Uint8Array<ArrayBuffer> {
    return encodeFrame(this, payload);
  }

  scanner(maxFrameBytes: number): FrameScanner {
    const maxLength = Math.min(this.maxLength, maxFrameBytes - this.overheadBytes);
    return new DelimiterScanner(this.#delimiter, maxLength);
  }
}

/** The offset of the first delimiter in `bytes` from `start` to `end`; -1 if there is none. */
function find(delimiter: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  const first = delimiter[0]!;
  const length = delimiter.length;
  const last = end - length;
  for (let i = start; i <= last; i++) {
    if (bytes[i] !== first) continue;
    let matched = 1;
    while (matched < length && bytes[i + matched] === delimiter[matched]) matched++;
    if (matched === length) return i;
  }
  return -1;
}

/** Finds the delimiters of one stream. */
class DelimiterScanner implements FrameScanner {
  frameLength = 0;
  readonly payloadOffset = 0;
  payloadLength = 0;
  readonly #delimiter: Uint8Array;
  readonly #maxLength: number;
  /** No delimiter begins within this many bytes of the beginning of the frame. */
  #searched = 0;
  /** Whether a message was malformed, and the next delimiter was not found yet. */
  #isSkipping = false;

  constructor(delimiter: Uint8Array, maxLength: number) {
    this.#delimiter = delimiter;
    this.#maxLength = maxLength;
  }

  get reason(): string {
    return `a message must not be longer than ${this.#maxLength} bytes: found no delimiter after it`;
  }

  scan(bytes: Uint8Array, start: number, end: number): ScanResult {
    if (this.#isSkipping) return this.#skip(bytes, start, end);
    const delimiterLength = this.#delimiter.length;
    const limit = start + this.#maxLength + delimiterLength;
    const found = find(this.#delimiter, bytes, start + this.#searched, end < limit ? end : limit);
    if (found >= 0) {
      this.#searched = 0;
      this.payloadLength = found - start;
      this.frameLength = this.payloadLength + delimiterLength;
      return "frame";
    }
    if (end >= limit) return "malformed";
    this.#searched = Math.max(this.#searched, end - start - delimiterLength + 1);
    this.frameLength = end - start + 1;
    return "incomplete";
  }

  resynchronise(): void {
    this.#searched = 0;
    this.#isSkipping = true;
  }

  /** Skips the next delimiter, or all bytes that cannot be the beginning of one. */
  #skip(bytes: Uint8Array, start: number, end: number): ScanResult {
    const found = find(this.#delimiter, bytes, start, end);
    this.#isSkipping = found < 0;
    this.frameLength = found < 0
      ? end - start - this.#delimiter.length + 1
      : found - start + this.#delimiter.length;
    if (this.frameLength > 0) return "skip";
    this.frameLength = end - start + 1;
    return "incomplete";
  }
}
