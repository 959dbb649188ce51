/**
 * The smallest pool that keeps the guarantees of a {@link BufferSource}, so that models of what
 * uses a pool stay small: one word, in which each buffer has a bit while it is free.
 *
 * It makes no packets, counts no references, and caches nothing.
 *
 * @module
 */

import { Memory, type MemoryHandle, type Packet } from "@busbar/busbar";
import { SleepWord } from "../../src/memory/sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "../../src/memory/wait_options.ts";
import type { BufferSource } from "../../src/pool/buffer_source.ts";
import { StaleTicketError } from "../../src/pool/errors.ts";

/** Opens a plain pool in another thread. */
export interface PlainPoolHandle {
  memory: MemoryHandle;
  bufferBytes: number;
  bufferCount: number;
  /** Whether a buffer can be adopted only once for each time it was detached. */
  tracksFlights: boolean;
}

/** Where the buffers begin. */
const DATA = 64;

/** A pool without caches, holds or references. */
export class PlainPool implements BufferSource {
  readonly bufferBytes: number;
  readonly bufferCount: number;
  readonly threads = 8;
  readonly hasLeft = false;
  readonly identity = 0;
  readonly thread: number;
  readonly #tracksFlights: boolean;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
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

  static attach(handle: PlainPoolHandle, thread = 0): PlainPool {
    return new PlainPool(handle, thread);
  }

  get handle(): PlainPoolHandle {
    const { bufferBytes, bufferCount } = this;
    const tracksFlights = this.#tracksFlights;
    return { memory: this.#memory.handle, bufferBytes, bufferCount, tracksFlights };
  }

  /** How many buffers are free. */
  get freeCount(): number {
    const free = Atomics.load(this.#words, 0);
    return [...free.toString(2)].filter((digit) => digit === "1").length;
  }

  copyWithin(target: number, source: number, byteLength: number): void {
    this.bytes.copyWithin(target, source, source + byteLength);
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

  async acquireAsync(options?: AsyncWaitOptions): Promise<number> {
    let buffer = -1;
    const attempt = () => (buffer = this.tryAcquire()) < 0 ? 0 : undefined;
    await this.#free.sleepUntilAsync(attempt, options);
    return buffer;
  }

  release(buffer: number): void {
    const before = Atomics.or(this.#words, 0, 1 << buffer);
    if (before === 0) this.#free.notify();
    if ((before & 1 << buffer) !== 0) throw new Error(`Buffer ${buffer} was released twice`);
  }

  returnCached(): void {}

  isUnique(): boolean {
    return true;
  }

  retain(): never {
    throw new Error("A plain pool counts no references");
  }

  packet(): Packet {
    throw new Error("A plain pool makes no packets");
  }

  sharePacket(): Packet {
    throw new Error("A plain pool makes no packets");
  }

  /** The ticket is odd, and no other of the buffer is the same. */
  detachBuffer(buffer: number): number {
    return this.#tracksFlights ? Atomics.add(this.#words, 1 + buffer, 1) + 1 : buffer;
  }

  adoptBuffer(buffer: number, ticket: number): void {
    if (this.tryAdoptBuffer(buffer, ticket)) return;
    throw new StaleTicketError(buffer);
  }

  tryAdoptBuffer(buffer: number, ticket: number): boolean {
    return this.#tracksFlights
      ? ticket > 0 &&
        Atomics.compareExchange(this.#words, 1 + buffer, ticket, ticket + 1) === ticket
      : ticket === buffer;
  }
}
