/**
 * Messages of one size in plain memory, published by a counter: without positions for readers to
 * find, writers to replace, sleepers, or overruns. It shows the cost of the copies and of the
 * way between two cores by themselves.
 *
 * @module
 */

import { PROGRESS, type StreamEnd } from "./stream_ends.ts";

/** One end of the ring: its sender or its receiver. */
export class PlainRing {
  readonly bytes: Uint8Array;
  readonly #progress: Int32Array;
  readonly #frames: Int32Array;
  readonly #frameBytes: number;
  readonly #lapBytes: number;
  #offset = 0;
  #taken = 0;

  constructor({ via, messageBytes, progress }: StreamEnd) {
    this.bytes = new Uint8Array(via as SharedArrayBuffer);
    this.#frames = new Int32Array(via as SharedArrayBuffer);
    this.#progress = progress;
    this.#frameBytes = messageBytes + 8;
    this.#lapBytes = this.bytes.length - this.bytes.length % this.#frameBytes;
  }

  /** Writes the header of the next frame; returns where its payload goes. */
  begin(): number {
    const offset = this.#offset;
    const end = offset + this.#frameBytes;
    this.#frames[offset >> 2] = this.#frameBytes;
    this.#frames[(offset >> 2) + 1] = 0;
    this.#offset = end === this.#lapBytes ? 0 : end;
    return offset + 8;
  }

  publish(count: number): void {
    Atomics.store(this.#progress, PROGRESS.published, count);
  }

  /** Copies the published frames, up to the end of the lap; returns the number of bytes. */
  take(target: Uint8Array): number {
    const available = Atomics.load(this.#progress, PROGRESS.published) - this.#taken;
    const frame = this.#frameBytes;
    const rest = (this.#lapBytes - this.#offset) / frame;
    const count = Math.min(available, Math.floor(target.length / frame), rest);
    if (count === 0) return 0;
    const end = this.#offset + count * frame;
    target.set(this.bytes.subarray(this.#offset, end));
    this.#offset = end === this.#lapBytes ? 0 : end;
    this.#taken += count;
    return count * frame;
  }
}
