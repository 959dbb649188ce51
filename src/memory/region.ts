/**
 * A region: the piece of a memory that one shared thing lies in.
 *
 *     word 0 | magic | version | the thing's own words ...
 *
 * Magic and version are written once, before the region is handed to another thread. Each shared
 * thing describes itself by a {@link RegionKind}, whose {@link Layout} is read from the region's
 * header, and validated, on every attach.
 *
 * @module
 */

import { describe } from "./check.ts";
import { checkHandle, checkWord, type Handle, LAYOUT_VERSION } from "./handle.ts";
import { CACHE_LINE_BYTES } from "./layout.ts";
import { Memory, type MemoryHandle } from "./memory.ts";
import { isObserved, label } from "./observer.ts";

/** Opens a shared thing that lies in a region of a {@link Memory}. */
export interface RegionHandle<Kind extends string = string> extends Handle {
  /** Which shared thing the handle opens. */
  readonly kind: Kind;
  /** The memory that it lies in. */
  readonly memory: MemoryHandle;
  /** Where in the memory it begins. */
  readonly byteOffset: number;
}

/**
 * The name of a word for reports, its index in the region, and how many words have it; 1 if left
 * out.
 */
export type Label = readonly [name: string, index: number, words?: number];

/** What is where in one region. */
export interface Layout {
  /** The size of the region. */
  readonly byteLength: number;
  /** Names the words; called only if an observer watches. */
  labels(): Iterable<Label>;
}

/** One kind of shared thing. */
export interface RegionKind<Kind extends string, Shape extends Layout = Layout> {
  /** The kind that handles name, such as `busbar.mutex`. */
  readonly kind: Kind;
  /** The content of the first word: four letters. */
  readonly magic: number;
  /** The size of the smallest region. */
  readonly minBytes: number;
  /**
   * Reads the layout of a region.
   *
   * @param words The first {@link RegionKind.minBytes} of the region.
   * @throws {TypeError} If no region has such a layout.
   */
  read(words: Int32Array): Shape;
}

/** The first word that belongs to the thing itself. */
export const FIRST_WORD = 2;

const MAGIC = 0;
const VERSION = 1;
/** The alignment of a region. */
const ALIGNMENT = CACHE_LINE_BYTES;

/** The kind of a thing that fits one cache line, with names for its words. */
export function cacheLineKind<Kind extends string>(
  kind: Kind,
  magic: number,
  words: Readonly<Record<string, number>>,
): RegionKind<Kind> {
  const layout: Layout = { byteLength: CACHE_LINE_BYTES, labels: () => Object.entries(words) };
  return { kind, magic, minBytes: CACHE_LINE_BYTES, read: () => layout };
}

/** The piece of a memory that one shared thing lies in. */
export class Region<Kind extends string, Shape extends Layout = Layout> {
  /** The memory. */
  readonly memory: Memory;
  /** Where in the memory the region begins. */
  readonly byteOffset: number;
  /** The words of the region. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** What is where in it. */
  readonly layout: Shape;
  readonly #kind: Kind;

  /** @ignore */
  private constructor(kind: Kind, memory: Memory, byteOffset: number, layout: Shape) {
    this.#kind = kind;
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.layout = layout;
    this.words = new Int32Array(memory.buffer, byteOffset, layout.byteLength / 4);
    if (isObserved()) this.#labelAll();
  }

  /**
   * Allocates a new region, all zero except magic and version.
   *
   * @param memory The memory to allocate it in; a new one if undefined.
   * @throws {TypeError} If `memory` is not a Memory.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create<Kind extends string, Shape extends Layout>(
    { kind, magic }: RegionKind<Kind, Shape>,
    layout: Shape,
    memory: Memory | undefined,
  ): Region<Kind, Shape> {
    const { byteLength } = layout;
    memory ??= Memory.create({ byteLength });
    if (typeof memory?.allocate !== "function") {
      throw new TypeError(
        `Cannot create '${kind}' as 'memory' must be a Memory: received ${describe(memory)}`,
      );
    }
    const byteOffset = memory.allocate(byteLength, ALIGNMENT);
    const region = new Region(kind, memory, byteOffset, layout);
    region.words[MAGIC] = magic;
    region.words[VERSION] = LAYOUT_VERSION;
    return region;
  }

  /** As {@link Region.create}, of a kind whose regions are all alike. */
  static createLine<Kind extends string>(
    kind: RegionKind<Kind>,
    memory: Memory | undefined,
  ): Region<Kind> {
    return Region.create(kind, kind.read(new Int32Array()), memory);
  }

  /**
   * Opens a region that another thread created.
   *
   * @throws {TypeError} If it is not a handle of this kind and version, or no such region lies
   * where it says.
   */
  static attach<Kind extends string, Shape extends Layout>(
    { kind, magic, minBytes, read }: RegionKind<Kind, Shape>,
    handle: RegionHandle<Kind>,
  ): Region<Kind, Shape> {
    checkHandle(handle, kind);
    const memory = Memory.attach(handle.memory);
    const { byteOffset } = handle;
    const last = memory.byteLength - minBytes;
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
    const words = new Int32Array(memory.buffer, byteOffset, minBytes / 4);
    checkWord(kind, "magic", words[MAGIC]!, magic);
    checkWord(kind, "layout version", words[VERSION]!, LAYOUT_VERSION);
    const layout = read(words);
    const found = memory.byteLength - byteOffset;
    if (!(layout.byteLength >= minBytes && layout.byteLength <= found)) {
      throw new TypeError(
        `Cannot attach as '${kind}' of ${layout.byteLength} bytes does not fit: found ${found} bytes`,
      );
    }
    return new Region(kind, memory, byteOffset, layout);
  }

  /** A plain object that survives structured clone and opens this region in another thread. */
  get handle(): RegionHandle<Kind> {
    const { memory, byteOffset } = this;
    return { kind: this.#kind, version: LAYOUT_VERSION, memory: memory.handle, byteOffset };
  }

  /** Names the words for an observer's reports. */
  #labelAll(): void {
    this.#label(["magic", MAGIC]);
    this.#label(["version", VERSION]);
    for (const word of this.layout.labels()) this.#label(word);
  }

  #label([name, index, words = 1]: Label): void {
    const thing = this.#kind.replace("busbar.", "");
    label(this.memory.buffer, this.byteOffset + index * 4, words * 4, `${thing}.${name}`);
  }
}
