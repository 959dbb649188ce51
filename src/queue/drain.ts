/**
 * How a flusher writes to a stream or a socket: runs are gathered into few writes, and bytes that a
 * failing sink did not take are kept.
 *
 * Bytes are copied out of shared memory once, since not every sink takes shared arrays, and none
 * tells when it no longer needs them. So a buffer is released before its bytes are written.
 *
 * @module
 */

import { describe } from "../memory/check.ts";

/** A sink that writes bytes one after the other, such as a `Deno.Conn`. */
export interface ByteWriter {
  /**
   * Writes some of the bytes, and returns how many. The array is reused after that; it may be
   * transferred only if all are written.
   */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
}

/** A sink that a flusher can drain to. */
export type ByteSink = WritableStream<Uint8Array> | ByteWriter;

/** Runs of bytes, one after the other. */
export interface Runs {
  /** How many bytes one drain writes before it takes no further runs. */
  maxBytes(): number;
  /** Whether there is a run that was not taken. */
  hasNext(): boolean;
  /** The bytes of that run. */
  length(): number;
  /** Takes that run. */
  take(): Uint8Array;
  /** Returns the buffers of taken runs to the pool, before a write that may take long. */
  releaseBuffers(): void;
}

/** The sink failed, or returned a wrong count, or the flusher failed or was closed meanwhile. */
export class DrainError extends Error {
  /** How many bytes this drain has written. */
  readonly bytesWritten: number;
  /** How many bytes were taken but not written: the next drain begins with them. */
  readonly bytesKept: number;

  /**
   * Made by the flusher.
   *
   * @ignore
   */
  constructor(
    bytesWritten: number,
    bytesKept: number,
    cause: unknown,
    failed: "sink" | "flusher" = "sink",
  ) {
    super(
      `Cannot drain any further as the ${failed} failed: wrote ${bytesWritten} bytes and kept ${bytesKept}. ${
        cause instanceof Error ? cause.message : describe(cause)
      }`,
      { cause },
    );
    this.name = "DrainError";
    this.bytesWritten = bytesWritten;
    this.bytesKept = bytesKept;
  }
}

/** The writer of a stream; undefined for a sink that is written to directly. */
function openSink(sink: ByteSink): WritableStreamDefaultWriter<Uint8Array> | undefined {
  // By its methods, not by its class, which differs across realms.
  if (typeof (sink as WritableStream)?.getWriter === "function") {
    return (sink as WritableStream<Uint8Array>).getWriter();
  }
  if (typeof (sink as { writableLength?: number })?.writableLength === "number") {
    // Its `write` returns no count, so that bytes would be written twice.
    throw new TypeError(
      "Cannot drain as the sink must be a WritableStream or have a 'write' method that returns a count: received a stream of Node, so pass Writable.toWeb(stream)",
    );
  }
  if (typeof (sink as ByteWriter)?.write === "function") return undefined;
  throw new TypeError(
    `Cannot drain as the sink must be a WritableStream or have a 'write' method: received ${
      describe(sink)
    }`,
  );
}

/** The most bytes of one write, unless a single run is longer. */
const MAX_WRITE_BYTES = 64 * 1024;

/** Gathers runs and writes them. */
export class Drain {
  #bytes = new Uint8Array(0);
  /** The offset of the first byte that was not written. */
  #start = 0;
  /** The end of the bytes that were taken. */
  #end = 0;
  /** How many bytes the present drain has written. */
  #written = 0;

  /** The bytes that were taken but not written. */
  get unwritten(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Writes all runs; returns how many bytes. */
  async all(sink: ByteSink, runs: Runs): Promise<number> {
    const writer = openSink(sink);
    this.#written = 0;
    let active: "sink" | "flusher" = "flusher";
    try {
      while (this.#written < runs.maxBytes() && this.#gather(runs)) {
        runs.releaseBuffers();
        active = "sink";
        if (writer !== undefined) await this.#writeTo(writer);
        else await this.#writeSome(sink as ByteWriter);
        active = "flusher";
        this.#renewIfTransferred();
      }
      return this.#written;
    } catch (cause) {
      this.#renewIfTransferred();
      throw new DrainError(this.#written, this.#end - this.#start, cause, active);
    } finally {
      writer?.releaseLock();
    }
  }

  /** Appends further runs to the bytes that were not written, as far as they fit one write. */
  #gather(runs: Runs): boolean {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    while (runs.hasNext()) {
      const isFull = this.#end > this.#start && this.#end + runs.length() > MAX_WRITE_BYTES;
      if (isFull) break;
      this.#append(runs.take());
    }
    return this.#end > this.#start;
  }

  #append(run: Uint8Array): void {
    if (this.#end + run.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(MAX_WRITE_BYTES, this.#end + run.length));
      larger.set(this.unwritten);
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = larger;
    }
    this.#bytes.set(run, this.#end);
    this.#end += run.length;
  }

  async #writeTo(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    // A copy that the stream may keep. `ready` is not awaited, as a stream without a queue of its
    // own never fulfils it; each write is awaited, so there is never more than one.
    await writer.write(this.#bytes.slice(this.#start, this.#end));
    this.#advance(this.#end - this.#start);
  }

  async #writeSome(sink: ByteWriter): Promise<void> {
    while (this.#start < this.#end) {
      const length = this.#end - this.#start;
      const taken = await sink.write(this.#bytes.subarray(this.#start, this.#end));
      if (!(Number.isSafeInteger(taken) && taken > 0 && taken <= length)) {
        throw new RangeError(
          `Cannot write any further as 'write' of the sink must return how many bytes it has written, from 1 to ${length}: received ${
            describe(taken)
          }`,
        );
      }
      this.#advance(taken);
    }
  }

  /** Goes on in new memory if the sink has transferred the old one, with what was left in it. */
  #renewIfTransferred(): void {
    if (this.#bytes.length > 0) return;
    this.#bytes = new Uint8Array(0);
    this.#start = this.#end = 0;
  }

  /** Notes that so many more bytes were written. */
  #advance(count: number): void {
    this.#start += count;
    this.#written += count;
  }
}
