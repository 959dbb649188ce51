/**
 * Length-prefixed framing: the length of each message precedes it.
 *
 *     | length: 1, 2 or 4 bytes, unsigned | payload ... |
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import {
  checkRoom,
  encodeFrame,
  type FrameScanner,
  type Framing,
  type ScanResult,
} from "./framing.ts";

/** Options of {@link lengthPrefixed}. */
export interface LengthPrefixOptions {
  /** How many bytes the length has: 1, 2 or 4 (default). */
  prefixBytes?: 1 | 2 | 4;
  /** The order of the bytes of the length; the most significant comes first, `big`, by default. */
  endianness?: "big" | "little";
  /** Whether the length also counts its own bytes; false by default. */
  includesPrefix?: boolean;
  /** The length of the longest message in bytes; by default the greatest that can be encoded. */
  maxLength?: number;
}

/**
 * Creates a framing in which the length of each message precedes it.
 *
 * @example Usage
 * ```ts
 * import { lengthPrefixed } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const framing = lengthPrefixed({ prefixBytes: 2, maxLength: 1024 });
 * assertEquals([...framing.encode(new Uint8Array([7, 8, 9]))], [0, 3, 7, 8, 9]);
 * ```
 *
 * @throws {TypeError} If `options` is not an object.
 * @throws {RangeError} If an option is out of range.
 */
export function lengthPrefixed(options?: LengthPrefixOptions): Framing {
  return new LengthPrefixed(options);
}

/** Made by {@link lengthPrefixed}. */
class LengthPrefixed implements Framing {
  readonly maxLength: number;
  readonly overheadBytes: number;
  readonly #isLittleEndian: boolean;
  /** How many bytes the prefix counts in addition to the payload. */
  readonly #extra: number;

  constructor(options?: LengthPrefixOptions) {
    const action = "create length-prefixed framing";
    if (options !== undefined) checkOptions(action, options);
    const { prefixBytes = 4, endianness = "big", includesPrefix = false } = options ?? {};
    if (prefixBytes !== 1 && prefixBytes !== 2 && prefixBytes !== 4) {
      throw new RangeError(
        `Cannot ${action} as 'prefixBytes' must be 1, 2 or 4: received ${describe(prefixBytes)}`,
      );
    }
    if (endianness !== "big" && endianness !== "little") {
      throw new RangeError(
        `Cannot ${action} as 'endianness' must be "big" or "little": received ${
          describe(endianness)
        }`,
      );
    }
    this.overheadBytes = prefixBytes;
    this.#isLittleEndian = endianness === "little";
    this.#extra = includesPrefix ? prefixBytes : 0;
    const maxEncodable = 2 ** (8 * prefixBytes) - 1 - this.#extra;
    const { maxLength = maxEncodable } = options ?? {};
    checkInteger(action, "maxLength", maxLength, 0, maxEncodable);
    this.maxLength = maxLength;
  }

  encodeInto(payload: Uint8Array, target: Uint8Array, offset: number): number {
    checkRoom(this, payload, target, offset);
    const { overheadBytes } = this;
    const length = payload.length + this.#extra;
    for (let i = 0; i < overheadBytes; i++) {
      const byte = this.#isLittleEndian ? i : overheadBytes - 1 - i;
      target[offset + i] = length >>> (8 * byte);
    }
    target.set(payload, offset + overheadBytes);
    return offset + overheadBytes + payload.length;
  }

  encode(payload: Uint8Array): Uint8Array<ArrayBuffer> {
    return encodeFrame(this, payload);
  }

  scanner(maxFrameBytes: number): FrameScanner {
    const maxLength = Math.min(this.maxLength, maxFrameBytes - this.overheadBytes);
    return new LengthScanner(this.overheadBytes, this.#isLittleEndian, this.#extra, maxLength);
  }
}

/** Reads the lengths of one stream. */
class LengthScanner implements FrameScanner {
  frameLength: number;
  readonly payloadOffset: number;
  payloadLength = 0;
  readonly #isLittleEndian: boolean;
  /** How many bytes the prefix counts in addition to the payload. */
  readonly #extra: number;
  readonly #maxLength: number;
  /** Whether a length was malformed, and its frame was not skipped yet. */
  #isSkipping = false;

  constructor(prefixBytes: number, isLittleEndian: boolean, extra: number, maxLength: number) {
    this.frameLength = prefixBytes;
    this.payloadOffset = prefixBytes;
    this.#isLittleEndian = isLittleEndian;
    this.#extra = extra;
    this.#maxLength = maxLength;
  }

  get reason(): string {
    if (this.payloadLength < 0) {
      return `a length that includes its own ${this.payloadOffset} bytes cannot be less: received ${
        this.payloadLength + this.#extra
      }`;
    }
    return `a message must not be longer than ${this.#maxLength} bytes: received a length of ${this.payloadLength}`;
  }

  scan(bytes: Uint8Array, start: number, end: number): ScanResult {
    const prefixBytes = this.payloadOffset;
    if (end - start < prefixBytes) {
      this.frameLength = prefixBytes;
      return "incomplete";
    }
    const length = this.#length(bytes, start) - this.#extra;
    this.payloadLength = length;
    this.frameLength = prefixBytes + length;
    if (length < 0 || length > this.#maxLength) {
      if (!this.#isSkipping) return "malformed";
      this.#isSkipping = false;
      if (length < 0) this.frameLength = prefixBytes;
      return "skip";
    }
    return end - start < this.frameLength ? "incomplete" : "frame";
  }

  resynchronise(): void {
    this.#isSkipping = true;
  }

  /** The number in the prefix. */
  #length(bytes: Uint8Array, start: number): number {
    const prefixBytes = this.payloadOffset;
    if (prefixBytes === 1) return bytes[start]!;
    const first = bytes[start]!;
    const second = bytes[start + 1]!;
    if (prefixBytes === 2) {
      return this.#isLittleEndian ? first | second << 8 : first << 8 | second;
    }
    const third = bytes[start + 2]!;
    const fourth = bytes[start + 3]!;
    return (this.#isLittleEndian
      ? first | second << 8 | third << 16 | fourth << 24
      : first << 24 | second << 16 | third << 8 | fourth) >>> 0;
  }
}
