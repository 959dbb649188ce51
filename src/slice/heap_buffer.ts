/**
 * A buffer of heap memory: each message that is taken gets an array of its own.
 *
 * @module
 */

import { HeapMemory } from "./heap_memory.ts";
import { checkSource, OpenMessage } from "./open_message.ts";
import { makeSlice, type Slice, UNTRACKED } from "./slice.ts";
import type { SliceBuffer } from "./slice_buffer.ts";

/**
 * A buffer of heap memory: each slice that is taken has an array of its own. A {@link SlicePool}
 * falls back on such memory; use it by itself where speed does not matter.
 *
 * - **Bounded memory.** The array of a slice is less than twice as long as its message. An array of
 *   up to 64 KiB is used again if its message filled no more than half of it.
 * - **No zeroing.** Bytes that were claimed may hold anything until they are written.
 *
 * It is called `BufferFromSystemMemory` in the Rust crate buffer_sv2.
 *
 * @example Usage
 * ```ts
 * import { HeapBuffer } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = HeapBuffer.create();
 * buffer.append(new TextEncoder().encode("hello "));
 * buffer.append(new TextEncoder().encode("world"));
 *
 * using slice = buffer.take();
 * assertEquals(new TextDecoder().decode(slice.bytes), "hello world");
 * ```
 */
export class HeapBuffer implements SliceBuffer {
  readonly #open = new OpenMessage(new Uint8Array(0));
  readonly #memory = new HeapMemory();

  /**
   * Made by {@link HeapBuffer.create}.
   *
   * @ignore
   */
  private constructor() {}

  /** Creates an empty buffer, which takes no memory before the first claim. */
  static create(): HeapBuffer {
    return new HeapBuffer();
  }

  /** See {@link SliceBuffer.bytes}. */
  get bytes(): Uint8Array {
    return this.#open.bytes;
  }

  /** See {@link SliceBuffer.offset}. */
  get offset(): number {
    return this.#open.end;
  }

  /** See {@link SliceBuffer.length}. */
  get length(): number {
    return this.#open.length;
  }

  /** Always true: slices have their own memory. */
  get isDroppable(): boolean {
    return true;
  }

  /** See {@link SliceBuffer.claim}. */
  claim(length: number): void {
    if (!this.#open.tryClaim(length)) this.#claim("claim", length);
  }

  /** See {@link SliceBuffer.room}. */
  room(): Uint8Array {
    return this.#open.room();
  }

  /** See {@link SliceBuffer.commit}. */
  commit(length?: number): void {
    this.#open.commit(length);
  }

  /** See {@link SliceBuffer.abort}. */
  abort(): void {
    this.#open.abort();
  }

  /** See {@link SliceBuffer.append}. */
  append(source: Uint8Array): void {
    checkSource(source);
    if (!this.#open.tryClaim(source.length)) this.#claim("append", source.length);
    this.#open.fill(source);
  }

  /** See {@link SliceBuffer.take}. */
  take(): Slice {
    const open = this.#open;
    open.checkUnclaimed("take");
    const { length } = open;
    const slice = makeSlice(undefined, UNTRACKED, this.#memory.take(open), 0, length);
    open.begin();
    return slice;
  }

  /** See {@link SliceBuffer.peek}. */
  peek(length: number): Uint8Array {
    return this.#open.peek(length);
  }

  /** See {@link SliceBuffer.view}. */
  view(): Uint8Array {
    return this.#open.view();
  }

  /** See {@link SliceBuffer.setStart}. */
  setStart(index: number): void {
    this.#open.setStart(index);
  }

  /** See {@link SliceBuffer.truncate}. */
  truncate(length: number): void {
    this.#open.truncate(length);
  }

  #claim(action: string, length: number): void {
    const open = this.#open;
    open.checkClaim(action, length);
    this.#memory.makeRoom(open, length);
    open.claim(length);
  }
}
