/**
 * Framing as stages of a pipeline of streams.
 *
 * @module
 */

import { describe } from "../../memory/layout.ts";
import type { BufferPool } from "../../pool/buffer_pool.ts";
import type { Packet } from "../../pool/packet.ts";
import { FrameDecoder, type FrameDecoderOptions } from "./frame_decoder.ts";
import type { Framing } from "./framing.ts";

/**
 * Turns a stream of bytes into one of packets, for `pipeThrough`.
 *
 * It makes one packet for each that is asked for, and takes no more bytes while nobody asks, so none
 * is lost when the reader cancels. While the pool has no buffer it waits for one.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, delimited, FrameDecoderStream } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferSize: 1024, batchCount: 2 });
 * const lines: string[] = [];
 * const packets = ReadableStream.from(["one\ntw", "o\n"])
 *   .pipeThrough(new TextEncoderStream())
 *   .pipeThrough(new FrameDecoderStream(pool, delimited({ maxLength: 100 })));
 * for await (const packet of packets) {
 *   using line = packet;
 *   lines.push(new TextDecoder().decode(line.bytes.slice()));
 * }
 * assertEquals(lines, ["one", "two"]);
 * ```
 */
export class FrameDecoderStream implements TransformStream<Uint8Array, Packet> {
  /** The packets, each to be disposed of by who reads it. */
  readonly readable: ReadableStream<Packet>;
  /** The bytes. */
  readonly writable: WritableStream<Uint8Array>;
  readonly #decoder: FrameDecoder;
  readonly #chunks: ReadableStreamDefaultReader<Uint8Array>;
  readonly #cancelled = new AbortController();
  #chunk = new Uint8Array(0) as Uint8Array;
  /** How much of the chunk is staged. */
  #from = 0;

  /**
   * Makes the stage.
   *
   * @throws As the constructor of {@link FrameDecoder}.
   */
  constructor(pool: BufferPool, framing: Framing, options?: FrameDecoderOptions) {
    this.#decoder = new FrameDecoder(pool, framing, options);
    const bytes = new TransformStream<Uint8Array, Uint8Array>();
    this.writable = bytes.writable;
    this.#chunks = bytes.readable.getReader();
    this.readable = new ReadableStream<Packet>({
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => this.#cancel(reason),
    }, { highWaterMark: 0 });
  }

  /** Makes one packet, or ends the stream. */
  async #pull(controller: ReadableStreamDefaultController<Packet>): Promise<void> {
    try {
      while (!this.#cancelled.signal.aborted) {
        if (this.#decoder.next()) return controller.enqueue(this.#decoder.packet());
        if (this.#from < this.#chunk.length) {
          await this.#stage();
          continue;
        }
        const { done, value } = await this.#chunks.read();
        if (done) {
          this.#decoder.end();
          this.#decoder[Symbol.dispose]();
          return controller.close();
        }
        if (!(value instanceof Uint8Array)) {
          throw new TypeError(
            `Cannot frame the stream as its chunks must be of type Uint8Array: received ${
              describe(value)
            }`,
          );
        }
        this.#chunk = value;
        this.#from = 0;
      }
    } catch (error) {
      if (this.#cancelled.signal.aborted) return;
      await this.#cancel(error);
      throw error;
    }
  }

  /** Copies as much of the chunk as fits. */
  async #stage(): Promise<void> {
    const { signal } = this.#cancelled;
    if (this.#decoder.remaining === 0) await this.#decoder.nextBufferAsync({ signal });
    this.#from = this.#decoder.stage(this.#chunk, this.#from);
  }

  async #cancel(reason: unknown): Promise<void> {
    this.#cancelled.abort(reason);
    this.#decoder[Symbol.dispose]();
    await this.#chunks.cancel(reason).catch(() => {});
  }
}

/**
 * Turns a stream of messages into one of frames, for `pipeThrough`.
 *
 * @example Usage
 * ```ts
 * import { FrameEncoderStream, lengthPrefixed } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const frames = ReadableStream.from([new Uint8Array([7]), new Uint8Array([8, 9])])
 *   .pipeThrough(new FrameEncoderStream(lengthPrefixed({ prefixBytes: 1 })));
 * assertEquals(await new Response(frames).bytes(), new Uint8Array([1, 7, 2, 8, 9]));
 * ```
 */
export class FrameEncoderStream extends TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
  /** Makes the stage. A message that cannot be framed ends the stream with a `RangeError`. */
  constructor(framing: Framing) {
    super({ transform: (message, controller) => controller.enqueue(framing.encode(message)) });
  }
}
