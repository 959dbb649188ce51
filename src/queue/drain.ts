/**
 * How a flusher writes to a stream or a socket: runs are put together into few writes, and what a
 * failing sink did not take is kept.
 *
 * Bytes are copied out of shared memory once, since sinks neither take shared arrays everywhere nor
 * say when they are done with them; so a buffer goes back to the pool before it is written.
 *
 * @module
 */

import { describe } from "../memory/check.ts";

/** What takes bytes one after the other, such as a `Deno.Conn`. */
export interface ByteWriter {
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
}

/** Where a flusher can drain to. */
export type ByteSink = WritableStream<Uint8Array> | ByteWriter;

/** Runs of bytes, one after the other. */
export interface Runs {
  /** Whether there is a run that was not taken. */
  next(): boolean;
  /** How many bytes it has. */
  length(): number;
  /** Takes it. */
  take(): Uint8Array;
  /** Lets go of what taken runs held, since the sink may take its time. */
  letGo(): void;
}

/** The sink failed, or took less than it should, or there was no flusher any more. */
export class DrainError extends Error {
  /** How many bytes this drain wrote before. */
  readonly bytesWritten: number;
  /** How many bytes were taken but are not written: the next drain begins with them. */
  readonly bytesKept: number;

  /** Makes the error. */
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

/** The writer of a stream; nothing for what is written to directly. */
function openSink(sink: ByteSink): WritableStreamDefaultWriter<Uint8Array> | undefined {
  // By what it has, not by its class, which differs across realms.
  if (typeof (sink as WritableStream)?.getWriter === "function") {
    return (sink as WritableStream<Uint8Array>).getWriter();
  }
  if (typeof (sink as ByteWriter)?.write === "function") return undefined;
  throw new TypeError(
    `Cannot drain as the sink must be a WritableStream or have a 'write' method: received ${
      describe(sink)
    }`,
  );
}

/** How many bytes are put together into one write at most, unless a run is longer. */
const MOST_BYTES = 64 * 1024;

/** Puts runs together and writes them. */
export class Drain {
  #bytes = new Uint8Array(0);
  /** Where in them begins what is not written. */
  #start = 0;
  /** Where in them ends what was taken. */
  #end = 0;
  /** How many bytes the present drain has written. */
  #written = 0;

  /** What was taken but is not written. */
  get unwritten(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Writes all that there is; returns how many bytes. */
  async all(sink: ByteSink, runs: Runs): Promise<number> {
    const writer = openSink(sink);
    this.#written = 0;
    let active: "sink" | "flusher" = "flusher";
    try {
      while (this.#gather(runs)) {
        runs.letGo();
        active = "sink";
        if (writer !== undefined) await this.#writeTo(writer);
        else await this.#writeSome(sink as ByteWriter);
        active = "flusher";
      }
      return this.#written;
    } catch (cause) {
      throw new DrainError(this.#written, this.#end - this.#start, cause, active);
    } finally {
      writer?.releaseLock();
    }
  }

  /** Puts what comes next behind what is not written, as far as it fits one write. */
  #gather(runs: Runs): boolean {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    while (runs.next()) {
      const isFull = this.#end > this.#start && this.#end + runs.length() > MOST_BYTES;
      if (isFull) break;
      this.#append(runs.take());
    }
    return this.#end > this.#start;
  }

  #append(run: Uint8Array): void {
    if (this.#end + run.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(MOST_BYTES, this.#end + run.length));
      larger.set(this.unwritten);
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = larger;
    }
    this.#bytes.set(run, this.#end);
    this.#end += run.length;
  }

  async #writeTo(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    // A copy of its own, which the stream may keep. Not after `ready`, which a stream without a queue
    // of its own never fulfils: each write is awaited, so there is never more than one.
    await writer.write(this.#bytes.slice(this.#start, this.#end));
    this.#advance(this.#end - this.#start);
  }

  async #writeSome(sink: ByteWriter): Promise<void> {
    while (this.#start < this.#end) {
      const rest = this.#bytes.subarray(this.#start, this.#end);
      const taken = await sink.write(rest);
      if (!(Number.isSafeInteger(taken) && taken > 0 && taken <= rest.length)) {
        throw new RangeError(
          `Cannot go on writing as the sink must take from 1 to ${rest.length} bytes: received ${
            describe(taken)
          }`,
        );
      }
      this.#advance(taken);
    }
  }

  /** So many bytes more are written. */
  #advance(count: number): void {
    this.#start += count;
    this.#written += count;
  }
}
