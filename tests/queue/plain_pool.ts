/**
 * A pool that is as plain as can be, so that models of what uses a pool stay small: one word, in
 * which each buffer has a bit while it is free.
 *
 * It keeps the promises that writers, flushers and framers rely on: what was done with a buffer
 * before its release happens before what is done after its acquisition, and who waits is woken.
 *
 * @module
 */

import { type BufferPool, Memory, type MemoryHandle, type WaitOptions } from "@busbar/busbar";
import { SleepWord } from "../../src/memory/sleep.ts";

/** Opens a plain pool in another thread. */
export interface PlainPoolHandle {
  memory: MemoryHandle;
  bufferBytes: number;
  bufferCount: number;
  /** Whether a buffer can be received only once for each time it was sent. */
  tracksFlights: boolean;
}

/** Where the buffers begin. */
const DATA = 64;

/** A pool without caches or holds; references are counted by nobody. */
export class PlainPool {
  readonly bufferBytes: number;
  readonly bufferCount: number;
  readonly threads = 8;
  readonly hasLeft = false;
  readonly identity = 0;
  readonly thread: number;
  readonly #tracksFlights: boolean;
  readonly bytes: Uint8Array;
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #free: SleepWord;

  private constructor(handle: PlainPoolHandle, thread: number) {
    const { memory, bufferBytes, bufferCount, tracksFlights } = handle;
    this.#memory = Memory.attach(memory);
    this.thread = thread;
    this.#tracksFlights = tracksFlights;
    const { buffer } = this.#memory;
    this.bufferBytes = bufferBytes;
    this.bufferCount = bufferCount;
    this.#words = new Int32Array(buffer, 0, DATA / 4);
    this.bytes = new Uint8Array(buffer, DATA);
    this.#free = new SleepWord(this.#memory, this.#words, 0);
  }

  static create(bufferBytes: number, bufferCount: number, tracksFlights = false): PlainPool {
    const memory = Memory.create({ byteLength: DATA + bufferBytes * bufferCount });
    new Int32Array(memory.buffer)[0] = (1 << bufferCount) - 1;
    return PlainPool.attach({
      memory: memory.handle,
      bufferBytes,
      bufferCount,
      tracksFlights,
    });
  }

  /** A pool, as what takes a {@link BufferPool} takes it. */
  static attach(handle: PlainPoolHandle, thread = 0): PlainPool {
    return new PlainPool(handle, thread);
  }

  get handle(): PlainPoolHandle {
    const { bufferBytes, bufferCount } = this;
    const tracksFlights = this.#tracksFlights;
    return { memory: this.#memory.handle, bufferBytes, bufferCount, tracksFlights };
  }

  get asPool(): BufferPool {
    return this as unknown as BufferPool;
  }

  /** How many buffers are free. */
  get freeCount(): number {
    const free = Atomics.load(this.#words, 0);
    return [...free.toString(2)].filter((digit) => digit === "1").length;
  }

  offsetOf(buffer: number): number {
    return buffer * this.bufferBytes;
  }

  tryAcquire(): number {
    for (let free = Atomics.load(this.#words, 0); free !== 0;) {
      const bit = free & -free;
      const seen = Atomics.compareExchange(this.#words, 0, free, free ^ bit);
      if (seen === free) return 31 - Math.clz32(bit);
      free = seen;
    }
    return -1;
  }

  acquire(options?: WaitOptions): number {
    let buffer = -1;
    this.#free.sleepUntil(() => (buffer = this.tryAcquire()) < 0 ? 0 : undefined, options);
    return buffer;
  }

  release(buffer: number): void {
    const before = Atomics.or(this.#words, 0, 1 << buffer);
    if (before === 0) this.#free.notify();
    if ((before & 1 << buffer) !== 0) throw new Error(`Buffer ${buffer} was released twice`);
  }

  returnCached(): void {}

  /** The ticket is odd, and no other of the buffer is the same. */
  detachBuffer(buffer: number): number {
    return this.#tracksFlights ? Atomics.add(this.#words, 1 + buffer, 1) + 1 : buffer;
  }

  adoptBuffer(buffer: number, ticket: number): void {
    if (this.tryAdoptBuffer(buffer, ticket)) return;
    throw new Error(`Buffer ${buffer} was not in flight with ticket ${ticket}`);
  }

  tryAdoptBuffer(buffer: number, ticket: number): boolean {
    return this.#tracksFlights
      ? ticket > 0 &&
        Atomics.compareExchange(this.#words, 1 + buffer, ticket, ticket + 1) === ticket
      : ticket === buffer;
  }
}
