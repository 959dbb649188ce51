/**
 * A block of shared bytes, and the ways to sleep on a word of it.
 *
 * The thread that creates a memory lays out things in it, before it hands it to other threads. How
 * threads share the bytes afterwards is defined by the things laid out there.
 *
 * @module
 */

import { checkHandle, type Handle, LAYOUT_VERSION } from "./handle.ts";
import { checkInteger, checkOptions, checkPowerOfTwo, describe } from "./check.ts";
import { alignUp, CACHE_LINE_BYTES } from "./layout.ts";
import { Copier } from "./copier.ts";
import { beginSpeculation, endSpeculation, isObserved } from "./observer.ts";
import {
  copiesBetween,
  copyWithin,
  createPrivate,
  createShared,
  isSharedMemory,
  type NativeCopies,
  type NativeCopy,
  PAGE_BYTES,
} from "./web_assembly.ts";

const KIND = "busbar.memory";

/** Opens a {@link Memory} in another thread. */
export interface MemoryHandle extends Handle {
  /** The bytes. */
  readonly buffer: SharedArrayBuffer;
  /** The memory that the bytes are the buffer of, if they lie in one. */
  readonly webAssembly?: WebAssembly.Memory;
}

/** Options of {@link Memory.create}. */
export interface MemoryOptions {
  /**
   * The size in bytes. From 64 KiB on, the bytes lie in a shared `WebAssembly.Memory` where that is
   * possible, whose size is a multiple of 64 KiB.
   */
  byteLength: number;
}

/**
 * A block of shared bytes, and the ways to sleep on a word of it.
 *
 * @example Usage
 * ```ts
 * import { Broadcast, Memory } from "@busbar/busbar";
 *
 * const memory = Memory.create({ byteLength: 256 * 1024 });
 * const orders = Broadcast.create({ capacityBytes: 64 * 1024, memory });
 * const trades = Broadcast.create({ capacityBytes: 64 * 1024, memory });
 * ```
 */
export class Memory {
  /** The bytes. */
  readonly #buffer: SharedArrayBuffer;
  /** The memory that the bytes are the buffer of, if they lie in one. */
  readonly #webAssembly: WebAssembly.Memory | undefined;
  /** The bytes again. */
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  /** Copies within the bytes, if they lie in such a memory. */
  readonly #copyWithin: NativeCopy | undefined;
  /** The copies between these bytes and the buffers of private ones. */
  readonly #copies: WeakMap<ArrayBufferLike, NativeCopies> = new WeakMap();
  /** The offset of the first free byte; undefined if another thread lays out the memory. */
  #free: number | undefined;

  /** @ignore */
  private constructor(
    buffer: SharedArrayBuffer,
    webAssembly: WebAssembly.Memory | undefined,
    free: number | undefined,
  ) {
    this.#buffer = buffer;
    this.#bytes = new Uint8Array(buffer);
    this.#webAssembly = webAssembly;
    this.#copyWithin = webAssembly && copyWithin(webAssembly);
    this.#free = free;
  }

  /**
   * Allocates a new block of shared memory, all zero.
   *
   * @throws {TypeError} If `options` is not an object.
   * @throws {RangeError} If `byteLength` is not a whole number of bytes, or more than is available.
   * @throws {Error} If the platform has no shared memory: a page must be cross-origin isolated.
   */
  static create(options: MemoryOptions): Memory {
    checkOptions("create memory", options);
    checkInteger("create memory", "byteLength", options.byteLength, 1);
    if (globalThis.SharedArrayBuffer === undefined) {
      throw new Error(
        "Cannot create memory as SharedArrayBuffer is not defined: a page needs cross-origin " +
          "isolation, which the headers 'Cross-Origin-Opener-Policy: same-origin' and " +
          "'Cross-Origin-Embedder-Policy: require-corp' give it",
      );
    }
    const { byteLength } = options;
    const webAssembly = byteLength < PAGE_BYTES ? undefined : createShared(byteLength);
    const buffer = webAssembly?.buffer as SharedArrayBuffer | undefined;
    return new Memory(buffer ?? allocateShared(byteLength), webAssembly, 0);
  }

  /**
   * Opens a memory that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a memory.
   */
  static attach(handle: MemoryHandle): Memory {
    checkHandle(handle, KIND);
    // By its name, since `instanceof` fails across realms.
    if (Object.prototype.toString.call(handle.buffer) !== "[object SharedArrayBuffer]") {
      throw new TypeError(
        `Cannot attach as 'buffer' must be a SharedArrayBuffer: received ${
          describe(handle.buffer)
        }`,
      );
    }
    const { webAssembly } = handle;
    if (webAssembly === undefined) return new Memory(handle.buffer, undefined, undefined);
    if (!isSharedMemory(webAssembly)) {
      throw new TypeError(
        `Cannot attach as 'webAssembly' must be a shared WebAssembly.Memory: received ${
          describe(webAssembly)
        }`,
      );
    }
    const buffer = webAssembly.buffer as ArrayBufferLike as SharedArrayBuffer;
    return new Memory(buffer, webAssembly, undefined);
  }

  /** A plain object that survives structured clone and opens this memory in another thread. */
  get handle(): MemoryHandle {
    const handle = { kind: KIND, version: LAYOUT_VERSION, buffer: this.#buffer };
    return this.#webAssembly === undefined ? handle : { ...handle, webAssembly: this.#webAssembly };
  }

  /** The bytes. */
  get buffer(): SharedArrayBuffer {
    return this.#buffer;
  }

  /** The size in bytes. */
  get byteLength(): number {
    return this.#buffer.byteLength;
  }

  /**
   * Allocates the next free bytes, for good: a layout is made once.
   *
   * @param byteLength How many bytes.
   * @param alignment A power of two; the offset is a multiple of it. A cache line by default.
   * @returns The offset of the first byte.
   * @throws {RangeError} If that many bytes are not free.
   * @throws {Error} If this memory was attached: only the thread that created it lays it out.
   */
  allocate(byteLength: number, alignment: number = CACHE_LINE_BYTES): number {
    checkInteger("allocate", "byteLength", byteLength, 0);
    checkPowerOfTwo("allocate", "alignment", alignment, 1, 2 ** 30);
    if (this.#free === undefined) {
      throw new Error("Cannot allocate as only the thread that created the memory may");
    }
    const start = alignUp(this.#free, alignment);
    const available = Math.max(0, this.byteLength - start);
    if (byteLength > available) {
      throw new RangeError(
        `Cannot allocate ${byteLength} bytes as ${available} of ${this.byteLength} are free`,
      );
    }
    this.#free = start + byteLength;
    return start;
  }

  /**
   * Copies `byteLength` bytes from the offset `source` to the offset `target`. They may overlap.
   *
   * It copies natively if the bytes lie in a `WebAssembly.Memory`, and by a view otherwise. Either
   * way these are plain accesses: threads that use the same bytes must be ordered by `Atomics`.
   */
  copyWithin(target: number, source: number, byteLength: number): void {
    const copy = this.#copyWithin;
    // A checker may observe by now, and must see each access.
    if (copy !== undefined && !isObserved()) copy(target, source, byteLength);
    else this.#bytes.copyWithin(target, source, source + byteLength);
  }

  /**
   * Makes private bytes, all zero, which {@link Memory.copier} copies natively where that is
   * possible. They are an ordinary array; but their buffer may be longer, and cannot be
   * transferred.
   *
   * @throws {RangeError} If `byteLength` is not a whole number of bytes, or more than is available.
   */
  privateBytes(byteLength: number): Uint8Array<ArrayBuffer> {
    checkInteger("create private bytes", "byteLength", byteLength, 0);
    return (this.#webAssembly && createPrivate(byteLength)) ?? new Uint8Array(byteLength);
  }

  /**
   * Copies between this memory and private bytes: natively if the bytes are of
   * {@link Memory.privateBytes}, or a part of such, and by views otherwise.
   */
  copier(bytes: Uint8Array): Copier {
    return new Copier(this.#bytes, bytes, this.#copiesWith(bytes.buffer));
  }

  #copiesWith(buffer: ArrayBufferLike): NativeCopies | undefined {
    if (this.#webAssembly === undefined) return undefined;
    const known = this.#copies.get(buffer);
    if (known !== undefined) return known;
    const copies = copiesBetween(this.#webAssembly, buffer);
    if (copies !== undefined) this.#copies.set(buffer, copies);
    return copies;
  }

  /**
   * Blocks while `view[index]` holds `value`, until it is notified or the time is over.
   *
   * @param timeoutMs In milliseconds; Infinity by default.
   * @throws {TypeError} If the platform forbids this thread to block, such as the main thread of a
   * page.
   */
  wait(
    view: Int32Array,
    index: number,
    value: number,
    timeoutMs: number = Infinity,
  ): "ok" | "not-equal" | "timed-out" {
    try {
      return Atomics.wait(view, index, value, timeoutMs);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw new TypeError(
        "Cannot block as this thread may not call Atomics.wait, like the main thread of a page: " +
          "await the method whose name ends in Async instead, such as lockAsync() for lock()",
        { cause },
      );
    }
  }

  /**
   * As {@link Memory.wait}, without blocking.
   *
   * A wait alone does not keep a Deno process alive.
   *
   * @throws {Error} If the platform cannot wait without blocking.
   */
  waitAsync(
    view: Int32Array,
    index: number,
    value: number,
    timeoutMs: number = Infinity,
  ): Promise<"ok" | "timed-out"> | "not-equal" | "timed-out" {
    if (Atomics.waitAsync === undefined) {
      throw new Error(
        "Cannot wait as the platform has no Atomics.waitAsync: block in a worker instead",
      );
    }
    return Atomics.waitAsync(view, index, value, timeoutMs).value;
  }

  /**
   * Wakes threads and tasks that wait on `view[index]`.
   *
   * @param count How many at most; all by default.
   * @returns How many were woken.
   */
  notify(view: Int32Array, index: number, count: number = Infinity): number {
    return Atomics.notify(view, index, count);
  }
}

// A local copy for the hot path: an imported binding is loaded at each use.
const isChecked = isObserved;

/**
 * Reads a word plainly, as a hint: the value may be old, and under the memory model it may be a
 * value that the word never had. So nothing may follow from it but whether an atomic look is
 * worthwhile.
 */
export function racyLoad(words: Int32Array, index: number): number {
  // One comparison instead of two, as this is on hot paths.
  if (!isChecked()) return words[index]!;
  beginSpeculation();
  const word = words[index]!;
  endSpeculation(false);
  return word;
}

function allocateShared(byteLength: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(byteLength);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new RangeError(
      `Cannot create memory of ${byteLength} bytes as the platform does not provide that many`,
      { cause },
    );
  }
}
