/**
 * Goes through frames that were copied out of a ring.
 *
 * @module
 */

import { checkBytes, checkOptions } from "../memory/check.ts";
import { FRAME_ALIGNMENT } from "./frame.ts";
import { FrameBatch } from "./frame_batch.ts";

/** Options of {@link FrameCursor}. */
export interface FrameCursorOptions {
  /** Whether to stop at heartbeats, too; false by default. */
  heartbeats?: boolean;
}

/**
 * Goes through frames that were copied out of a {@link Broadcast} by
 * {@link BroadcastReader.readBulk}, on this thread or another.
 *
 * @example Usage
 * ```ts
 * import { Broadcast, FrameCursor } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader();
 * for (let i = 0; i < 3; i++) writer.append(new Uint8Array([i]));
 * writer.publish();
 *
 * const window = new Uint8Array(1024);
 * const length = reader.readBulk(window);
 *
 * const frames = new FrameCursor(window.subarray(0, length)); // here, or on another thread
 * let sum = 0;
 * while (frames.next()) sum += frames.message()[0]!;
 * assertEquals(sum, 3);
 * ```
 *
 * @typeParam Buffer The kind of memory that the frames lie in.
 */
export class FrameCursor<Buffer extends ArrayBufferLike = ArrayBufferLike> {
  readonly #batch: FrameBatch<Buffer>;

  /**
   * Begins at the first of the frames that fill `bytes`.
   *
   * @throws {TypeError} If `bytes` is not made of bytes.
   * @throws {RangeError} If `bytes` does not begin at a multiple of 8 in its buffer.
   */
  constructor(bytes: Uint8Array<Buffer>, options?: FrameCursorOptions) {
    checkBytes("go through frames", "bytes", bytes);
    if (options !== undefined) checkOptions("go through frames", options);
    checkAlignment("go through frames", bytes);
    const end = bytes.length & -FRAME_ALIGNMENT;
    this.#batch = new FrameBatch(bytes, end, options?.heartbeats === true);
  }

  /** The frames. The present payload is `length` bytes from `offset` on. */
  get bytes(): Uint8Array<Buffer> {
    return this.#batch.bytes;
  }

  /** Where in {@link FrameCursor.bytes} the present payload begins; a multiple of 8. */
  get offset(): number {
    return this.#batch.offset;
  }

  /** The bytes of the present payload. */
  get length(): number {
    return this.#batch.length;
  }

  /** The user value of the present frame. */
  get userValue(): number {
    return this.#batch.userValue;
  }

  /** Whether the present frame ends its message. */
  get isFinal(): boolean {
    return this.#batch.isFinal;
  }

  /** Whether the present frame continues the message of the one before. */
  get isContinuation(): boolean {
    return this.#batch.isContinuation;
  }

  /** Whether the present frame is a heartbeat; never, unless heartbeats were asked for. */
  get isHeartbeat(): boolean {
    return this.#batch.isHeartbeat;
  }

  /**
   * Goes to the next frame.
   *
   * @returns Whether there is one.
   */
  next(): boolean {
    return this.#batch.next();
  }

  /** The present payload: a view of {@link FrameCursor.bytes}. */
  message(): Uint8Array<Buffer> {
    return this.#batch.message();
  }

  /**
   * Copies the present payload to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {InsufficientBufferSizeError} If `target` is shorter than that.
   */
  receive(target: Uint8Array): number {
    return this.#batch.receive(target);
  }
}

/** Throws unless `bytes` begins where frames can: `Cannot ${action} as ...`. */
export function checkAlignment(action: string, { byteOffset }: Uint8Array): void {
  if (byteOffset % FRAME_ALIGNMENT === 0) return;
  throw new RangeError(
    `Cannot ${action} as 'byteOffset' must be a multiple of ${FRAME_ALIGNMENT}: received ${byteOffset}`,
  );
}
