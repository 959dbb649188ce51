/**
 * Memories of WebAssembly, whose `memory.copy` copies several times faster than the views of
 * JavaScript do, and the functions that call it.
 *
 * Both are plain accesses of one memory model: in the WebAssembly threads specification,
 * `memory.copy` reads and writes each byte unordered, and in ECMA-262 so do a typed array's `set`
 * and `copyWithin`. So what is proven about a copy by views holds for a native one. Only copies are
 * made here: what orders them is `Atomics`.
 *
 * Everything here returns undefined where the platform lacks what it takes: WebAssembly, shared
 * memories, or several memories in one module; where a page's content policy forbids compiling;
 * where addresses are short; and under a checker, which must see every access.
 *
 * @module
 */

import { isObserved } from "./observer.ts";
import { isProcess } from "./platform.ts";

/** The size of a page, in which WebAssembly allocates. */
export const PAGE_BYTES: number = 64 * 1024;

/** How many pages a memory has at most. */
const MAX_PAGES = 65536;

/**
 * How many memories one thread has at most until some are collected: in a browser, which has
 * addresses for little more than a hundred in all threads together, and elsewhere.
 */
const MAX_MEMORIES = { browser: 32, process: 1024 };

/** Copies `byteLength` bytes from `source` to `target`, which are offsets in memories. */
export type NativeCopy = (target: number, source: number, byteLength: number) => void;

/** The copies between a shared memory and a private one. */
export interface NativeCopies {
  /** From the shared memory to the private one. */
  readonly out: NativeCopy;
  /** From the private memory to the shared one. */
  readonly into: NativeCopy;
}

/**
 * The module that copies within a shared memory:
 *
 *     (module
 *       (import "" "s" (memory $shared 0 65536 shared))
 *       (func (export "w") (param i32 i32 i32)
 *         (memory.copy $shared $shared (local.get 0) (local.get 1) (local.get 2))))
 */
// deno-fmt-ignore
const WITHIN = [
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // "\0asm", version 1
  0x01, 7, 1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0, //       type 0: (i32, i32, i32) -> ()
  0x02, 10, 1, 0, 1, 0x73, 2, 3, 0, ...[0x80, 0x80, 4], // import "" "s": a shared memory
  0x03, 2, 1, 0, //                                  function 0 has type 0
  0x07, 5, 1, 1, 0x77, 0, 0, //                      export "w": function 0
  0x0a, 14, 1, 12, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0, 0x0b, // its body
];

/**
 * The module that copies between a shared memory and a private one:
 *
 *     (module
 *       (import "" "s" (memory $shared 0 65536 shared))
 *       (import "" "p" (memory $private 0))
 *       (func (export "o") (param i32 i32 i32)
 *         (memory.copy $private $shared (local.get 0) (local.get 1) (local.get 2)))
 *       (func (export "i") (param i32 i32 i32)
 *         (memory.copy $shared $private (local.get 0) (local.get 1) (local.get 2))))
 */
// deno-fmt-ignore
const BETWEEN = [
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // "\0asm", version 1
  0x01, 7, 1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0, //       type 0: (i32, i32, i32) -> ()
  0x02, 16, 2, //                                    two imports
  /**/ 0, 1, 0x73, 2, 3, 0, ...[0x80, 0x80, 4], //   "" "s": a shared memory, number 0
  /**/ 0, 1, 0x70, 2, 0, 0, //                       "" "p": a private memory, number 1
  0x03, 3, 2, 0, 0, //                               functions 0 and 1 have type 0
  0x07, 9, 2, 1, 0x6f, 0, 0, 1, 0x69, 0, 1, //       export "o": function 0; "i": function 1
  0x0a, 27, 2, //                                    their bodies
  /**/ 12, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 1, 0, 0x0b, // to 1, from 0
  /**/ 12, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 1, 0x0b, // to 0, from 1
];

/** What an instance exports. */
type Exports = Readonly<Record<string, NativeCopy>>;

/** A module that is compiled when it is first needed, once a thread. */
class LazyModule {
  readonly #bytes: readonly number[];
  #module: WebAssembly.Module | undefined;
  #isRefused = false;

  constructor(bytes: readonly number[]) {
    this.#bytes = bytes;
  }

  /** Whether it can be used now. */
  get isUsable(): boolean {
    return !isObserved() && globalThis.WebAssembly !== undefined && this.#compile() !== undefined;
  }

  /** An instance with these memories. */
  instantiate(memories: Record<string, WebAssembly.Memory>): Exports | undefined {
    if (!this.isUsable) return undefined;
    try {
      const { exports } = new WebAssembly.Instance(this.#compile()!, { "": memories });
      return exports as unknown as Exports;
    } catch {
      return undefined;
    }
  }

  #compile(): WebAssembly.Module | undefined {
    if (this.#module !== undefined || this.#isRefused) return this.#module;
    try {
      return this.#module = new WebAssembly.Module(new Uint8Array(this.#bytes));
    } catch {
      this.#isRefused = true;
      return undefined;
    }
  }
}

const within = new LazyModule(WITHIN);
const between = new LazyModule(BETWEEN);

/** The private memories of this thread, by their buffers. */
const privateMemories = new WeakMap<ArrayBufferLike, WebAssembly.Memory>();
/** How many memories this thread has made that are in use. */
let memoryCount = 0;
/** Counts those that are no longer in use. */
let collected: FinalizationRegistry<undefined> | undefined;

/** Whether a shared memory that is sent twice in one message arrives as one; once it is known. */
let arrivesAsOne: boolean | undefined;

/** Makes a shared memory of at least `byteLength` bytes, all zero. */
export function createShared(byteLength: number): WebAssembly.Memory | undefined {
  if (arrivesAsOne === false || !within.isUsable) return undefined;
  const memory = createMemory(byteLength, true);
  if (memory !== undefined) arrivesAsOne ??= isSentAsOne(memory);
  return arrivesAsOne ? memory : undefined;
}

/**
 * Whether two references to a memory, and its buffer, arrive as references to one. In Bun they do
 * not, so that the parts of a region could not be told to lie in the same memory.
 */
function isSentAsOne(memory: WebAssembly.Memory): boolean {
  if (globalThis.structuredClone === undefined) return true;
  const [first, second, buffer] = structuredClone([memory, memory, memory.buffer] as const);
  return first.buffer === second.buffer && first.buffer === buffer;
}

/** Makes private bytes that {@link copiesBetween} knows, all zero. */
export function createPrivate(byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  const memory = between.isUsable ? createMemory(byteLength, false) : undefined;
  if (memory === undefined) return undefined;
  const buffer = memory.buffer as ArrayBuffer;
  privateMemories.set(buffer, memory);
  return new Uint8Array(buffer, 0, byteLength);
}

/** The copy within a shared memory. */
export function copyWithin(shared: WebAssembly.Memory): NativeCopy | undefined {
  return within.instantiate({ s: shared })?.["w"];
}

/** The copies between a shared memory and the buffer of private bytes, if it is known. */
export function copiesBetween(
  shared: WebAssembly.Memory,
  buffer: ArrayBufferLike,
): NativeCopies | undefined {
  const memory = privateMemories.get(buffer);
  if (memory === undefined) return undefined;
  const exports = between.instantiate({ s: shared, p: memory });
  return exports === undefined ? undefined : { out: exports["o"]!, into: exports["i"]! };
}

/** Whether this is a shared memory, of this realm or another. */
export function isSharedMemory(value: unknown): value is WebAssembly.Memory {
  const tagOf = (object: unknown) => Object.prototype.toString.call(object);
  return tagOf(value) === "[object WebAssembly.Memory]" &&
    tagOf((value as WebAssembly.Memory).buffer) === "[object SharedArrayBuffer]";
}

function createMemory(byteLength: number, shared: boolean): WebAssembly.Memory | undefined {
  const pages = Math.ceil(byteLength / PAGE_BYTES);
  const limit = isProcess() ? MAX_MEMORIES.process : MAX_MEMORIES.browser;
  if (pages > MAX_PAGES || memoryCount >= limit) return undefined;
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    memoryCount++;
    // A view keeps the buffer, so none is in use once the buffer is collected.
    collected ??= new FinalizationRegistry(() => memoryCount--);
    collected.register(memory.buffer, undefined);
    return memory;
  } catch {
    return undefined;
  }
}
