/**
 * A region: the piece of a memory that one shared thing lies in, and the doors to it.
 *
 *     word 0 | magic | version | the thing's own words ...
 *
 * Magic and version are written once, before the region is handed to anybody.
 *
 * @module
 */

import { checkHandle, checkWord, type Handle } from "./handle.ts";
import { describe } from "./check.ts";
import { CACHE_LINE_BYTES } from "./layout.ts";
import { Memory, type MemoryHandle } from "./memory.ts";
import { label } from "./observer.ts";

/** Opens a shared thing that lies in a region of a {@link Memory}. */
export interface RegionHandle<Kind extends string = string> extends Handle {
  /** Which shared thing the handle opens. */
  readonly kind: Kind;
  /** The memory that it lies in. */
  readonly memory: MemoryHandle;
  /** Where in the memory it begins. */
  readonly byteOffset: number;
}

/** By what the regions of one kind are known. */
export interface RegionKind<Kind extends string> {
  /** The kind that handles name, as `busbar.mutex`. */
  readonly kind: Kind;
  /** The version of the layout. */
  readonly version: number;
  /** What the first word holds. */
  readonly magic: number;
}

/** The first word that belongs to the thing itself. */
export const FIRST_WORD = 2;

const MAGIC = 0;
const LAYOUT_VERSION = 1;
/** What a region is aligned to. */
const ALIGNMENT = CACHE_LINE_BYTES;

/** The piece of a memory that one shared thing lies in. */
export class Region<Kind extends string> {
  /** The memory. */
  readonly memory: Memory;
  /** Where in the memory the region begins. */
  readonly byteOffset: number;
  /** The words of the region. */
  readonly words: Int32Array;
  readonly #kind: RegionKind<Kind>;

  private constructor(
    kind: RegionKind<Kind>,
    memory: Memory,
    byteOffset: number,
    byteLength: number,
  ) {
    this.#kind = kind;
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.words = new Int32Array(memory.buffer, byteOffset, byteLength / 4);
    this.label("magic", MAGIC);
    this.label("version", LAYOUT_VERSION);
  }

  /**
   * Takes a new region, zero but for magic and version.
   *
   * @param memory Where to take it from; a memory of its own if undefined.
   * @throws {TypeError} If `memory` is none.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create<Kind extends string>(
    kind: RegionKind<Kind>,
    byteLength: number,
    memory: Memory | undefined,
  ): Region<Kind> {
    memory ??= Memory.create({ byteLength });
    if (typeof memory?.allocate !== "function") {
      throw new TypeError(
        `Cannot create '${kind.kind}' as 'memory' must be a Memory: received ${describe(memory)}`,
      );
    }
    const byteOffset = memory.allocate(byteLength, ALIGNMENT);
    const region = new Region(kind, memory, byteOffset, byteLength);
    region.words[MAGIC] = kind.magic;
    region.words[LAYOUT_VERSION] = kind.version;
    return region;
  }

  /**
   * Opens a region that another thread took.
   *
   * @param byteLength The size; given the region's first bytes, where it depends on what they say.
   * @param leastBytes How many bytes every region of the kind has at least.
   * @throws {TypeError} If it is not a handle of this kind and version, or nothing of the kind lies
   * where it says.
   */
  static attach<Kind extends string>(
    kind: RegionKind<Kind>,
    handle: RegionHandle<Kind>,
    leastBytes: number,
    byteLength: (words: Int32Array) => number = () => leastBytes,
  ): Region<Kind> {
    checkHandle(handle, kind.kind, kind.version);
    const memory = Memory.attach(handle.memory);
    const { byteOffset } = handle;
    const last = memory.byteLength - leastBytes;
    if (
      !Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset > last ||
      byteOffset % ALIGNMENT !== 0
    ) {
      throw new TypeError(
        `Cannot attach as 'byteOffset' must be a multiple of ${ALIGNMENT} within ${memory.byteLength} bytes of memory: received ${
          describe(byteOffset)
        }`,
      );
    }
    const words = new Int32Array(memory.buffer, byteOffset, leastBytes / 4);
    checkWord(kind.kind, "magic", words[MAGIC]!, kind.magic);
    checkWord(kind.kind, "layout version", words[LAYOUT_VERSION]!, kind.version);
    const size = byteLength(words);
    const found = memory.byteLength - byteOffset;
    if (!(size >= leastBytes && size <= found)) {
      throw new TypeError(
        `Cannot attach as '${kind.kind}' of ${size} bytes does not fit: found ${found} bytes`,
      );
    }
    return new Region(kind, memory, byteOffset, size);
  }

  /** A plain object that survives structured clone and opens this region in another thread. */
  get handle(): RegionHandle<Kind> {
    const { kind, version } = this.#kind;
    return { kind, version, memory: this.memory.handle, byteOffset: this.byteOffset };
  }

  /** Names a word, or several, for an observer's reports. */
  label(name: string, index: number, words = 1): void {
    const thing = this.#kind.kind.replace("busbar.", "");
    label(this.memory.buffer, this.byteOffset + index * 4, words * 4, `${thing}.${name}`);
  }
}
