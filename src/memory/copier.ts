/**
 * Copies between shared memory and the private bytes of a thread.
 *
 * @module
 */

import { isObserved } from "./observer.ts";
import type { NativeCopies, NativeCopy } from "./web_assembly.ts";

/**
 * Copies between a shared memory and an array of private bytes: natively, or by views. Both are
 * plain accesses: threads that use the same shared bytes must be ordered by `Atomics`.
 *
 * A caller keeps to the bounds of both.
 *
 * @example Usage
 * ```ts
 * import { Memory } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const memory = Memory.create({ byteLength: 64 * 1024 });
 * new Uint8Array(memory.buffer).fill(7, 100, 108);
 *
 * const bytes = memory.privateBytes(8);
 * memory.copier(bytes).copyOut(0, 100, bytes.length);
 * assertEquals(bytes, new Uint8Array(8).fill(7));
 * ```
 */
export class Copier {
  readonly #shared: Uint8Array;
  readonly #bytes: Uint8Array;
  /** Where the private bytes begin in their buffer. */
  readonly #start: number;
  readonly #out: NativeCopy | undefined;
  readonly #into: NativeCopy | undefined;

  /** @ignore Use {@link Memory.copier}. */
  constructor(shared: Uint8Array, bytes: Uint8Array, copies: NativeCopies | undefined) {
    this.#shared = shared;
    this.#bytes = bytes;
    this.#start = bytes.byteOffset;
    this.#out = copies?.out;
    this.#into = copies?.into;
  }

  /** Whether it copies natively, which is the faster way from some 64 bytes on. */
  get isNative(): boolean {
    return this.#out !== undefined;
  }

  /** Copies `byteLength` shared bytes from the offset `source` to the private offset `target`. */
  copyOut(target: number, source: number, byteLength: number): void {
    const copy = this.#out;
    // A checker may observe by now, and must see each access.
    if (copy !== undefined && !isObserved()) copy(this.#start + target, source, byteLength);
    else this.#bytes.set(this.#shared.subarray(source, source + byteLength), target);
  }

  /** Copies `byteLength` private bytes from the offset `source` to the shared offset `target`. */
  copyIn(target: number, source: number, byteLength: number): void {
    const copy = this.#into;
    if (copy !== undefined && !isObserved()) copy(target, this.#start + source, byteLength);
    else this.#shared.set(this.#bytes.subarray(source, source + byteLength), target);
  }
}
