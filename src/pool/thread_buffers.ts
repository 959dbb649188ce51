/**
 * The buffers of one thread: those that it uses, and free ones that it keeps.
 *
 * All of this is private to the thread. A buffer that it has used is kept for its next use, so most
 * acquisitions and releases touch no shared word but for a plain look at whether somebody waits.
 * When nothing is kept, all that is free in some batch is taken; when too much is kept, a part is
 * given back.
 *
 * @module
 */

import type { Holds } from "./buffer_pool_holds.ts";
import { CACHED } from "./buffer_pool_layout.ts";

/** How many batches' worth of buffers a thread keeps at most. */
const KEPT_BATCHES = 2;

/** The references to a buffer that was acquired and not retained. */
const ONE = 1;
/** The most references to one buffer in one thread. */
const MAX_REFERENCES = 2 ** 15 - 1;

/** The buffers of one thread. */
export class ThreadBuffers {
  readonly #holds: Holds;
  /** How often each buffer is referred to from this thread; 0 if it is not in use here. */
  readonly #references: Int32Array;
  /** Free buffers that this thread keeps: a stack. */
  readonly #kept: Int32Array;
  readonly #mostKept: number;
  readonly #batchSize: number;
  #keptCount = 0;
  /** While giving back: the buffers of each batch, and which batches there are. */
  readonly #givenBits: Int32Array;
  readonly #givenBatches: Int32Array;
  #isDisposed = false;

  /** Starts with none of the `batchCount * batchSize` buffers. */
  constructor(holds: Holds, batchCount: number, batchSize: number) {
    this.#holds = holds;
    this.#references = new Int32Array(batchCount * batchSize);
    this.#batchSize = batchSize;
    this.#mostKept = KEPT_BATCHES * batchSize;
    this.#kept = new Int32Array(this.#mostKept);
    this.#givenBits = new Int32Array(batchCount);
    this.#givenBatches = new Int32Array(this.#mostKept);
  }

  /** How many free buffers are kept. */
  get keptCount(): number {
    return this.#keptCount;
  }

  /** Takes a free buffer into use; -1 if there is none. */
  tryAcquire(): number {
    if (this.#keptCount === 0) return this.#acquireFromPool();
    const buffer = this.#kept[--this.#keptCount]!;
    this.#references[buffer] = ONE;
    return buffer;
  }

  /** Adds a reference to a buffer in use. */
  retain(buffer: number): void {
    const references = this.#references[buffer]!;
    if (!(references > 0)) this.#refuse("retain", buffer);
    if (references === MAX_REFERENCES) {
      throw new RangeError(
        `Cannot retain buffer ${buffer} as it is referred to ${references} times`,
      );
    }
    this.#references[buffer] = references + 1;
  }

  /** Drops a reference; a buffer without any is free. */
  release(buffer: number): void {
    const references = this.#references[buffer]!;
    if (references !== ONE) return this.#releaseOneOfMany(buffer, references);
    if (this.#keptCount === this.#mostKept) this.#giveBack(this.#batchSize);
    this.#references[buffer] = 0;
    this.#kept[this.#keptCount++] = buffer;
  }

  /** Gives all kept buffers back. */
  flush(): void {
    this.#giveBack(this.#keptCount);
  }

  /** Gives all buffers back, also those in use. */
  dispose(): void {
    this.#isDisposed = true;
    this.flush();
    for (let buffer = 0; buffer < this.#references.length; buffer++) {
      if (this.#references[buffer] === 0) continue;
      this.#references[buffer] = 0;
      this.#holds.giveBack(this.#holds.batchOf(buffer), this.#holds.takenBit(buffer));
    }
  }

  #acquireFromPool(): number {
    if (this.#isDisposed) this.#refuseDisposed("acquire a buffer");
    if (!this.#refill(false)) return -1;
    return this.tryAcquire();
  }

  #refill(isLookSure: boolean): boolean {
    this.#keptCount = this.#holds.takeBatch(this.#kept, isLookSure);
    if (this.#keptCount === 0) return false;
    this.#tellKept();
    return true;
  }

  #releaseOneOfMany(buffer: number, references: number): void {
    if (!(references > 0)) this.#refuse("release", buffer);
    this.#references[buffer] = references - 1;
  }

  /** Gives some of the kept buffers back, those of one batch in one operation. */
  #giveBack(count: number): void {
    if (count === 0) return;
    let batches = 0;
    for (let i = 0; i < count; i++) {
      const buffer = this.#kept[--this.#keptCount]!;
      const batch = this.#holds.batchOf(buffer);
      if (this.#givenBits[batch] === 0) this.#givenBatches[batches++] = batch;
      this.#givenBits[batch]! |= this.#holds.takenBit(buffer);
    }
    for (let i = 0; i < batches; i++) {
      const batch = this.#givenBatches[i]!;
      this.#holds.giveBack(batch, this.#givenBits[batch]!);
      this.#givenBits[batch] = 0;
    }
    this.#tellKept();
  }

  /** Says to others how many buffers are kept. */
  #tellKept(): void {
    Atomics.store(this.#holds.words, this.#holds.line + CACHED, this.#keptCount);
  }

  #refuse(action: string, buffer: number): never {
    if (this.#isDisposed) this.#refuseDisposed(`${action} a buffer`);
    throw new Error(`Cannot ${action} buffer ${buffer} as it is not in use in this thread`);
  }

  #refuseDisposed(action: string): never {
    throw new Error(`Cannot ${action} as this thread has left the pool`);
  }
}
