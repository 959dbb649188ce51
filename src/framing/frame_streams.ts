/**
 * Framing as stages of a pipeline of streams.
 *
 * The decoding stage is pulled: it does nothing until a packet is requested, then takes bytes of
 * the chunk that is being written until it has one.
 *
 *     write(chunk)   is pending until the whole chunk is copied into buffers of the pool; then the
 *                    producer may reuse its memory
 *     close()        is pending until the last packet was taken, since the bytes after it may be
 *                    malformed, and the producer must learn of that
 *     abort, cancel, an error of either side, or of the pool
 *                    end both sides at once, also during a wait for a buffer; the first one counts
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
  /** Settles the write. */
  readonly written: Deferred<void>;
}

/**
 * Turns a stream of bytes into a stream of packets, for `pipeThrough`.
 *
 * - **On demand.** It makes one packet for each that is requested, and takes no bytes without a
 *   request, so no packet is lost when the reader cancels.
 * - **Chunks are copied.** The producer may reuse a chunk when its write has settled.
 * - **Backpressure.** While the pool has no buffer the stage waits for one, and holds none itself.
 * - **Errors reach both sides.** If one side ends with an error, or is cancelled or aborted, so
 *   does the other, at once.
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
  /** The packets; the reader must release each. */
  readonly readable: ReadableStream<Packet>;
  /** The bytes of the stream. */
  readonly writable: WritableStream<Uint8Array>;
  readonly #decoder: FrameDecoder;
  /** Ends a wait for a buffer. */
  readonly #ended = new AbortController();
  #packets!: ReadableStreamDefaultController<Packet>;
  #bytes!: WritableStreamDefaultController;
  #chunk: Chunk | undefined;
  /** Settles the close, once that was requested. */
  #closing: Deferred<void> | undefined;
  /** Wakes the pull that waits for a chunk, or for the close. */
  #arrival: Deferred<void> | undefined;
  /** Whether the decoder has a frame of which no packet was made. */
  #hasFrame = false;

  /**
   * Makes the stage.
   *
   * @throws As {@link FrameDecoder.create}.
   */
  constructor(pool: BufferSource, framing: Framing, options?: FrameDecoderOptions) {
    this.#decoder = FrameDecoder.create(pool, framing, options);
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#bytes = controller;
        // At once, where the sink's own `abort` waits for the write that is under way. The stream
        // fails by itself: if it failed here, it would take the abort for one that came too late.
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

  get #hasEnded(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Takes a chunk; resolves once it is copied. */
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

  /** Closes the stream; resolves once all packets were taken. */
  #close(): Promise<void> {
    const closing = this.#closing = deferred();
    if (this.#arrival !== undefined) this.#arrival.resolve();
    else if (!this.#hasFrame) this.#finishUnlessFrame();
    return closing.promise;
  }

  /** Makes one packet, or ends the stream. */
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
    // A packet in the queue of a stream without a reader would be lost if that is cancelled.
    if (!this.readable.locked) return;
    this.#packets.enqueue(this.#decoder.packet());
    this.#hasFrame = false;
  }

  /** Copies as much of the chunk as fits. */
  async #stage(chunk: Chunk): Promise<void> {
    const { signal } = this.#ended;
    if (this.#decoder.remaining === 0) await this.#decoder.nextBufferAsync({ signal });
    if (this.#hasEnded) return;
    chunk.from = this.#decoder.stage(chunk.bytes, chunk.from);
    if (chunk.from < chunk.bytes.length) return;
    this.#chunk = undefined;
    chunk.written.resolve();
  }

  /** Ends the stream, unless there is another frame; none is requested at present. */
  #finishUnlessFrame(): void {
    try {
      this.#hasFrame = this.#decoder.next();
      if (!this.#hasFrame) this.#finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Ends the stream where the producer has ended it.
   *
   * @throws {FramingError} If that is within a frame.
   */
  #finish(): void {
    this.#decoder.end();
    this.#ended.abort();
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

  /** Ends the readable side, and the pending calls of the writable one, unless they have ended. */
  #end(reason: unknown): void {
    if (this.#hasEnded) return;
    this.#ended.abort(reason);
    this.#decoder.close();
    this.#packets.error(reason);
    this.#chunk?.written.reject(reason);
    this.#closing?.reject(reason);
    this.#arrival?.resolve();
  }
}

/**
 * Turns a stream of messages into a stream of frames, for `pipeThrough`. Each frame is an array of
 * its own, which may be kept.
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

  /** Makes the stage. A message that cannot be framed ends the stream with an error. */
  constructor(framing: Framing) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
      transform: (message, controller) => controller.enqueue(framing.encode(message)),
    });
    this.readable = readable;
    this.writable = writable;
  }
}
