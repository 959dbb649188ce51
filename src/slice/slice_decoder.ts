/**
 * A decoder that asks for the bytes of one frame after the other, and yields each as a slice.
 *
 * It never takes more bytes than the present frame has: first those of its header, then, as its
 * length is known, the rest. So a frame is one message of a buffer, and is taken out of it whole.
 *
 * Proven by: tests/slice/slice_decoder_test.ts (streams that are split at every byte, and
 * anywhere).
 *
 * @module
 */

import { type FrameScanner, type Framing, FramingError } from "../framing/framing.ts";
import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { Slice } from "./slice.ts";
import type { SliceBuffer } from "./slice_buffer.ts";

/** The length of the longest frame by default. */
const DEFAULT_MAX_FRAME_BYTES: number = 2 ** 24;
/** The greatest option. */
const MAX_MAX_FRAME_BYTES: number = 2 ** 40;

/** Options of {@link SliceDecoder.create}. */
export interface SliceDecoderOptions {
  /**
   * The length of the longest frame in bytes, header included; 16 MiB by default. A longer one is
   * malformed, as is one that the framing does not allow.
   */
  maxFrameBytes?: number;
}

/**
 * Decodes a stream of bytes into frames, each of which is an owned {@link Slice}: the header, the
 * length in it, then the payload.
 *
 * The decoder says how many bytes it wants next. Read so many into {@link SliceDecoder.write}, or
 * pass what has arrived to {@link SliceDecoder.feed}, which copies no more than that.
 *
 * - **Zero copy.** With a {@link SlicePool} a frame lies where it was read to, unless it had to be
 *   carried over to where there was room.
 * - **Chunk independence.** Frames and errors depend on the bytes of the stream alone, not on the
 *   chunks in which they arrive.
 * - **Bounded memory.** A length that is too large is an error before memory is claimed for it.
 *
 * It is made for framings that tell the length first, such as `lengthPrefixed()`. Others work, too,
 * but want one byte at a time: use a `FrameDecoder` for them.
 *
 * @example Usage
 * ```ts
 * import { lengthPrefixed, SliceDecoder, SlicePool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 1024 });
 * const decoder = SliceDecoder.create(pool, lengthPrefixed({ prefixBytes: 2, maxLength: 100 }));
 * assertEquals(decoder.wanted, 2); // a header
 *
 * const payloads: number[][] = [];
 * for (const chunk of [[0], [3, 7, 8], [9, 0, 1, 5]]) { // frames of 7, 8, 9, and of 5
 *   for (let from = 0; from < chunk.length;) {
 *     from = decoder.feed(new Uint8Array(chunk), from);
 *     using frame = decoder.next();
 *     if (frame === undefined) continue;
 *     const { payloadOffset, payloadLength } = decoder;
 *     payloads.push([...frame.bytes.subarray(payloadOffset, payloadOffset + payloadLength)]);
 *   }
 * }
 * decoder.end();
 * assertEquals(payloads, [[7, 8, 9], [5]]);
 * ```
 */
export class SliceDecoder {
  readonly #buffer: SliceBuffer;
  readonly #scanner: FrameScanner;
  /** The length of the present frame, or the least that it can have. */
  #frameLength = 0;
  /** Whether the present frame is complete. */
  #isComplete = false;
  /** Whether bytes are claimed. */
  #isClaimed = false;
  #streamOffset = 0;
  #payloadOffset = 0;
  #payloadLength = 0;
  /** Why the stream cannot be decoded any more. */
  #error: FramingError | undefined;

  /**
   * Made by {@link SliceDecoder.create}.
   *
   * @ignore
   */
  private constructor(buffer: SliceBuffer, scanner: FrameScanner) {
    this.#buffer = buffer;
    this.#scanner = scanner;
    this.#scan();
  }

  /**
   * Creates a decoder at the beginning of a stream.
   *
   * @param buffer What frames are written into, a `SlicePool` or a `HeapBuffer`. While the decoder
   * is in use, nothing else may write into it.
   * @param framing The boundaries of frames, such as `lengthPrefixed()`.
   * @throws {TypeError} If `buffer` is not a buffer, `framing` not a framing, or `options` not an
   * object.
   * @throws {RangeError} If `maxFrameBytes` is out of range.
   * @throws {Error} If the buffer holds the beginning of a message.
   */
  static create(
    buffer: SliceBuffer,
    framing: Framing,
    options: SliceDecoderOptions = {},
  ): SliceDecoder {
    const action = "create slice decoder";
    checkOptions(action, options);
    if (typeof buffer?.claim !== "function" || typeof buffer.take !== "function") {
      throw new TypeError(
        `Cannot ${action} as 'buffer' must be a SliceBuffer: received ${describe(buffer)}`,
      );
    }
    if (typeof framing?.scanner !== "function") {
      throw new TypeError(
        `Cannot ${action} as 'framing' must be a Framing: received ${describe(framing)}`,
      );
    }
    const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = options;
    checkInteger(
      action,
      "maxFrameBytes",
      maxFrameBytes,
      framing.overheadBytes,
      MAX_MAX_FRAME_BYTES,
    );
    if (buffer.length > 0) {
      throw new Error(
        `Cannot ${action} as 'buffer' holds ${buffer.length} bytes of a message: take them first`,
      );
    }
    return new SliceDecoder(buffer, framing.scanner(maxFrameBytes));
  }

  /**
   * How many bytes the decoder wants next: the rest of a header, or of a frame whose length is
   * known; 0 if the frame is complete, and {@link SliceDecoder.next} yields it.
   *
   * @throws {FramingError} If the stream cannot be framed.
   */
  get wanted(): number {
    this.#checkError();
    return this.#frameLength - this.#buffer.length;
  }

  /** The position in the stream of the present frame. */
  get streamOffset(): number {
    return this.#streamOffset;
  }

  /** Where in the slice of the frame that {@link SliceDecoder.next} yielded last its payload is. */
  get payloadOffset(): number {
    return this.#payloadOffset;
  }

  /** The length of that payload. */
  get payloadLength(): number {
    return this.#payloadLength;
  }

  /**
   * A view of room for the {@link SliceDecoder.wanted} bytes, which the stream can be read into. It
   * is valid until the commit, or the next call.
   *
   * @throws {FramingError} If the stream cannot be framed.
   * @throws {ClosedError} If the buffer was closed.
   */
  write(): Uint8Array {
    const { wanted } = this;
    this.#abort();
    this.#buffer.claim(wanted);
    this.#isClaimed = true;
    return this.#buffer.room();
  }

  /**
   * Commits bytes that were read into {@link SliceDecoder.write}.
   *
   * @param length How many.
   * @throws {RangeError} If that is not a whole number up to the length of the view.
   * @throws {FramingError} If the stream cannot be framed.
   * @throws {Error} If {@link SliceDecoder.write} was not called before.
   */
  commit(length: number): void {
    checkInteger("commit", "length", length, 0);
    this.#buffer.commit(length);
    this.#isClaimed = false;
    this.#scan();
  }

  /**
   * Copies bytes of the stream, as many as are {@link SliceDecoder.wanted}.
   *
   * @param chunk The bytes.
   * @param from The offset in the chunk at which to begin; 0 by default.
   * @returns The offset in the chunk of the first byte that was not copied.
   * @throws {TypeError} If `chunk` is not a Uint8Array.
   * @throws {RangeError} If `from` is not a whole number up to the length of the chunk.
   * @throws {FramingError} If the stream cannot be framed.
   * @throws {ClosedError} If the buffer was closed.
   */
  feed(chunk: Uint8Array, from = 0): number {
    checkBytes("feed", "chunk", chunk);
    checkInteger("feed", "from", from, 0, chunk.length);
    const end = Math.min(chunk.length, from + this.wanted);
    if (end === from) return from;
    this.#abort();
    this.#buffer.append(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end));
    this.#scan();
    return end;
  }

  /**
   * Takes the present frame, if it is complete: header and payload, as
   * {@link SliceDecoder.payloadOffset} and {@link SliceDecoder.payloadLength} tell.
   *
   * @returns The frame, to be released by the caller; undefined if more bytes are wanted.
   * @throws {FramingError} If the stream cannot be framed.
   * @throws {ClosedError} If the buffer was closed.
   */
  next(): Slice | undefined {
    this.#checkError();
    if (!this.#isComplete) return undefined;
    this.#abort();
    const frame = this.#buffer.take();
    this.#payloadOffset = this.#scanner.payloadOffset;
    this.#payloadLength = this.#scanner.payloadLength;
    this.#streamOffset += this.#frameLength;
    this.#scan();
    return frame;
  }

  /**
   * Ends the stream. Call it when {@link SliceDecoder.next} has returned undefined.
   *
   * @throws {FramingError} If it ends within a frame, or cannot be framed.
   */
  end(): void {
    const { wanted } = this;
    const { length } = this.#buffer;
    if (length === 0) return;
    this.#fail(
      wanted === 0
        ? `it ends before the frame of ${length} bytes was taken: call next() first`
        : `it ends within a frame: received ${length} bytes of it, and at least ${wanted} are missing`,
    );
  }

  /** Finds out how many bytes the present frame has, as far as that is known. */
  #scan(): void {
    const { bytes, offset, length } = this.#buffer;
    const scanner = this.#scanner;
    const result = scanner.scan(bytes, offset - length, offset);
    if (result === "malformed") this.#fail(scanner.reason);
    this.#isComplete = result === "frame";
    this.#frameLength = scanner.frameLength;
  }

  /** Drops the claim, if there is one. */
  #abort(): void {
    if (this.#isClaimed) this.#buffer.abort();
    this.#isClaimed = false;
  }

  #fail(reason: string): never {
    this.#abort();
    this.#buffer.truncate(0);
    throw this.#error = new FramingError(this.#streamOffset, reason);
  }

  #checkError(): void {
    if (this.#error !== undefined) throw this.#error;
  }
}
