/**
 * Framing as stages of a pipeline of web streams: an encoder and a decoder.
 *
 * The decoding stage is pull-driven: it does nothing until a packet is requested, then consumes
 * bytes of the chunk that is being written until it has one.
 *
 *     write(chunk)   is pending until the whole chunk is copied into buffers of the pool; then the
 *                    producer may reuse its memory
 *     close()        is pending until the last packet is delivered, since the bytes after it may be
 *                    malformed, and the close must then fail
 *     abort, cancel, an error of either side, or of the pool
 *                    end both sides at once, even during a wait for a buffer; the first one counts
 *
 * Proven by: tests/framing/frame_streams_test.ts (each way to end, in each state of the stage).
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { type Deferred, deferred } from "../memory/platform.ts";
import type { BufferSource } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { FrameDecoder, type FrameDecoderOptions } from "./frame_decoder.ts";
import type { Framing } from "./framing.ts";

/** A chunk that is being written. */
interface Chunk {
  readonly bytes: Uint8Array;
  /** How many of its bytes were copied. */
  from: number;
  /** Settles the pending write. */
  readonly written: Deferred<void>;
}

/**
 * Turns a stream of bytes into a stream of packets, for `pipeThrough`.
 *
 * - **Demand.** It makes a packet only when one is requested, and consumes no bytes otherwise. So
 *   no packet is lost when the reader cancels.
 * - **Ownership of packets.** Each packet has a reference to its buffer, may be kept, and must be
 *   released by the reader.
 * - **Ownership of chunks.** Chunks are copied: the producer may reuse a chunk when its write has
 *   settled.
 * - **Backpressure.** While the pool has no free buffer, the stage waits for one and holds none.
 * - **Errors on both sides.** If one side fails, is cancelled or is aborted, the other side fails
 *   at once with the same reason, even during a wait for a buffer.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, delimited, FrameDecoderStream } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * const lines: string[] = [];
 * const packets = new Blob(["one\ntw", "o\n"]).stream()
 *   .pipeThrough(new FrameDecoderStream(pool, delimited({ maxLength: 100 })));
 * for await (const packet of packets) {
 *   using line = packet;
 *   lines.push(new TextDecoder().decode(line.bytes.slice()));
 * }
 * assertEquals(lines, ["one", "two"]);
 * ```
 */
export class FrameDecoderStream implements TransformStream<Uint8Array, Packet> {
  /** The packets. The reader must release each of them. */
  readonly readable: ReadableStream<Packet>;
  /** The bytes of the stream. */
  readonly writable: WritableStream<Uint8Array>;
  readonly #decoder: FrameDecoder;
  /** Whether both sides have ended. */
  #hasEnded = false;
  #packets!: ReadableStreamDefaultController<Packet>;
  #bytes!: WritableStreamDefaultController;
  #chunk: Chunk | undefined;
  /** Settles the pending close, if there is one. */
  #closing: Deferred<void> | undefined;
  /** Resumes the pull that waits for a chunk or for the close. */
  #arrival: Deferred<void> | undefined;
  /** Whether the decoder has a frame of which no packet was made. */
  #hasFrame = false;

  /**
   * Creates the stage.
   *
   * @param pool This thread's part in the pool that the buffers come from, a `BufferPool`.
   * @param framing The boundaries of frames, such as `lengthPrefixed()`.
   * @throws {TypeError} If `pool` is not a pool, `framing` not a framing, or `options` not an
   * object.
   * @throws {RangeError} If no frame fits a buffer, or an option is out of range.
   * @throws {ClosedError} If this thread has left the pool.
   */
  constructor(pool: BufferSource, framing: Framing, options?: FrameDecoderOptions) {
    this.#decoder = FrameDecoder.create(pool, framing, options);
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#bytes = controller;
        // The sink's own `abort` is called only after the pending write, this at once. The writable
        // side fails by itself; if it failed here, it would ignore the abort as coming too late.
        const { signal } = controller;
        signal?.addEventListener("abort", () => this.#end(signal.reason), { once: true });
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
      abort: (reason) => this.#end(reason),
    });
    this.readable = new ReadableStream<Packet>({
      start: (controller) => void (this.#packets = controller),
      pull: () => this.#pull(),
      cancel: (reason) => this.#fail(reason),
    }, { highWaterMark: 0 });
  }

  /** Accepts a chunk; resolves once it is copied. */
  #write(chunk: Uint8Array): Promise<void> | undefined {
    if (chunk?.BYTES_PER_ELEMENT !== 1) {
      const error = new TypeError(
        `Cannot frame the stream as its chunks must be of type Uint8Array: received ${
          describe(chunk)
        }`,
      );
      this.#fail(error);
      throw error;
    }
    if (chunk.length === 0) return;
    const written = deferred();
    this.#chunk = { bytes: chunk, from: 0, written };
    this.#arrival?.resolve();
    return written.promise;
  }

  /** Closes the stream; resolves once all packets are delivered. */
  #close(): Promise<void> {
    const closing = this.#closing = deferred();
    if (this.#arrival !== undefined) this.#arrival.resolve();
    else if (!this.#hasFrame) this.#finishUnlessFrame();
    return closing.promise;
  }

  /** Delivers one packet, or ends the stream. */
  async #pull(): Promise<void> {
    try {
      while (!this.#hasEnded) {
        this.#hasFrame ||= this.#decoder.next();
        if (this.#hasFrame) return this.#deliver();
        if (this.#chunk !== undefined) {
          await this.#stage(this.#chunk);
        } else if (this.#closing !== undefined) {
          return this.#finish();
        } else {
          this.#arrival = deferred();
          await this.#arrival.promise;
          this.#arrival = undefined;
        }
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Delivers the present frame, unless the reader that requested it is gone. */
  #deliver(): void {
    // Without a reader the packet would stay in the queue, and be lost if the stream is cancelled.
    if (!this.readable.locked) return;
    this.#packets.enqueue(this.#decoder.packet());
    this.#hasFrame = false;
  }

  /** Copies as much of the chunk as fits. */
  async #stage(chunk: Chunk): Promise<void> {
    if (this.#decoder.remaining === 0) await this.#decoder.nextBufferAsync();
    if (this.#hasEnded) return;
    chunk.from = this.#decoder.stage(chunk.bytes, chunk.from);
    if (chunk.from < chunk.bytes.length) return;
    this.#chunk = undefined;
    chunk.written.resolve();
  }

  /** Ends the stream, unless there is another frame, which is delivered on request. */
  #finishUnlessFrame(): void {
    try {
      this.#hasFrame = this.#decoder.next();
      if (!this.#hasFrame) this.#finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Ends the stream, at the end of its bytes.
   *
   * @throws {FramingError} If that is within a frame.
   */
  #finish(): void {
    this.#decoder.end();
    this.#hasEnded = true;
    this.#decoder.close();
    this.#packets.close();
    this.#closing!.resolve();
  }

  /** Ends both sides with an error, unless they have ended. */
  #fail(reason: unknown): void {
    if (this.#hasEnded) return;
    this.#bytes.error(reason);
    this.#end(reason);
  }

  /** Ends the readable side and the pending calls of the writable side, unless they have ended. */
  #end(reason: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#decoder.close();
    this.#packets.error(reason);
    this.#chunk?.written.reject(reason);
    this.#closing?.reject(reason);
    this.#arrival?.resolve();
  }
}

/**
 * Turns a stream of messages into a stream of frames, for `pipeThrough`.
 *
 * - **One frame per message.** Frames come in the order of the messages.
 * - **Ownership of frames.** Each frame is a new array in private memory, and may be kept.
 * - **Ownership of messages.** Messages are copied: the producer may reuse an array when its write
 *   has settled.
 * - **Backpressure.** A message is encoded only when a frame is requested.
 * - **Errors on both sides.** A message that cannot be framed fails both sides.
 *
 * @example Usage
 * ```ts
 * import { FrameEncoderStream, lengthPrefixed } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const encoder = new FrameEncoderStream(lengthPrefixed({ prefixBytes: 1 }));
 * const writer = encoder.writable.getWriter();
 * writer.write(new Uint8Array([7]));
 * writer.write(new Uint8Array([8, 9]));
 * writer.close();
 * assertEquals(await new Response(encoder.readable).bytes(), new Uint8Array([1, 7, 2, 8, 9]));
 * ```
 */
export class FrameEncoderStream implements TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
  /** The frames. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The messages. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Creates the stage.
   *
   * @param framing The boundaries of frames, such as `lengthPrefixed()`.
   */
  constructor(framing: Framing) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
      transform: (message, controller) => controller.enqueue(framing.encode(message)),
    });
    this.readable = readable;
    this.writable = writable;
  }
}
