/**
 * Model memory: the buffers that simulated threads share, and the explorer's data on each byte.
 *
 * The bytes are in a real buffer. Beside it are *cells* (one for each range that was ever accessed
 * atomically), the times of plain accesses for the race detector, and a version for each 32-bit
 * word, which tells whether a word that a paused thread watches was written.
 *
 * @module
 */

import { type Clock, MAX_THREADS } from "./clock.ts";
import type { Guard } from "./guard.ts";
import { type AnyTypedArray, Bytes, constructorOf, Words } from "../native.ts";

/** A place on a waiter list: of a thread that sleeps, or was woken and has not run yet. */
export interface Sleeper {
  /** The number of the sleeping thread. */
  readonly thread: number;
  /** Whether a notify has removed it from the list. */
  notified: boolean;
  /** The clock of the thread that woke it. */
  clock: Clock | undefined;
  /** The index of the transition that woke it, or -1. */
  wakerDepth: number;
  /** The virtual time at which its timeout expires; Infinity if it has none. */
  readonly deadlineMs: number;
}

/** The waits at one byte. */
export interface WaiterList {
  /** In FIFO order. Replaced, never changed. */
  sleepers: readonly Sleeper[];
  /** The clock that entering the list's critical section acquires. */
  clock: Clock | undefined;
}

/** A range of bytes that is accessed atomically. */
export class Cell {
  /** The clock that an atomic read of this range acquires. */
  release: Clock | undefined = undefined;
  /** Time of each thread's last atomic write, by its own clock; 0 for never. */
  readonly writeTimes: number[] = new Array(MAX_THREADS).fill(0);
  /** Time of each thread's last atomic read. */
  readonly readTimes: number[] = new Array(MAX_THREADS).fill(0);
  /** The waits at its first byte; cells of other sizes there share the list. */
  readonly list: WaiterList;
  /** Cells of other sizes that share bytes with this one. */
  readonly overlaps: Cell[] = [];

  readonly buffer: ModelBuffer;
  readonly start: number;
  readonly size: number;

  constructor(buffer: ModelBuffer, start: number, size: number, list: WaiterList | undefined) {
    this.buffer = buffer;
    this.start = start;
    this.size = size;
    this.list = list ?? { sleepers: [], clock: undefined };
  }
}

const none: readonly Cell[] = [];

/** A name for a range of bytes, for reports. */
interface Label {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/**
 * A typed array by which the model knows a range of bytes: its elements are named `name[index]`.
 */
interface NamedArray extends Label {
  readonly array: AnyTypedArray;
}

/** A buffer shared by simulated threads. */
export class ModelBuffer {
  /** All bytes, accessed without tracking. */
  readonly bytes: Uint8Array;
  /** The number of writes of each 32-bit word. */
  readonly versions: Int32Array;
  /** The cells, by `start * 16 + size`. */
  readonly #cells = new Map<number, Cell>();
  /** The cells in the order of their creation, and those in each block of 8 bytes. */
  readonly #allCells: Cell[] = [];
  readonly #cellsOfBlocks: (Cell[] | undefined)[] = [];
  // Allocated at the first plain access: 36 bytes for each byte of the model.
  #plainWrites: Int32Array | undefined;
  #plainReads: Int32Array | undefined;
  /** 1 for each byte that was ever written; only kept if asked for. */
  initialised: Uint8Array | undefined;
  readonly #labels: Label[] = [];
  readonly #arrays: NamedArray[] = [];
  readonly id: string;
  /** Its name in reports: that of a thread's buffer has the name of the thread. */
  name: string;
  readonly real: ArrayBufferLike;
  /** Whether code under test has the real buffer, so that it may have other views on it. */
  isExposed = false;
  /** What the bytes should be; only of an exposed buffer. */
  guard: Guard | undefined = undefined;

  /**
   * @param id What it is called by in footprints: the same in every execution, and of it alone.
   * @param name Its name in reports, if it is known already.
   * @param real The bytes.
   */
  constructor(id: string, real: ArrayBufferLike, name: string = id) {
    this.id = id;
    this.name = name;
    this.real = real;
    this.bytes = new Bytes(real);
    this.versions = new Words((real.byteLength + 3) >> 2);
  }

  /** Whether any access was plain, so that an atomic one can race with it. */
  get hasPlain(): boolean {
    return this.#plainWrites !== undefined;
  }

  /** Of each byte, thread and time of its last plain write: `time * 8 + thread`, or 0. */
  get plainWrites(): Int32Array {
    return this.#plainWrites ??= new Words(this.bytes.length);
  }

  /** Of each byte and thread, the time of the thread's last plain read: `[byte * 8 + thread]`. */
  get plainReads(): Int32Array {
    return this.#plainReads ??= new Words(this.bytes.length * MAX_THREADS);
  }

  /** The cell of a range; created on first use. */
  cell(start: number, size: number): Cell {
    const key = start * 16 + size;
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      // A cell is aligned, and so inside one block.
      const others = this.#cellsOfBlocks[start >> 3] ??= [];
      const { list } = others.find((other) => other.start === start) ?? {};
      cell = new Cell(this, start, size, list);
      for (const other of others) {
        if (other.start < start + size && start < other.start + other.size) {
          other.overlaps.push(cell);
          cell.overlaps.push(other);
        }
      }
      others.push(cell);
      this.#allCells.push(cell);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  /** The cells that may share bytes with a range: those of the blocks that it touches, or all. */
  cellsNear(start: number, size: number): readonly Cell[] {
    const first = start >> 3;
    const last = (start + size - 1) >> 3;
    if (first === last) return this.#cellsOfBlocks[first] ?? none;
    if (last - first >= this.#allCells.length) return this.#allCells;
    return this.#cellsOfBlocks.slice(first, last + 1).flatMap((cells) => cells ?? none);
  }

  /** The sum of the versions of the words that a range touches. */
  version(start: number, size: number): number {
    let sum = 0;
    for (let word = start >> 2; word << 2 < start + size; word++) sum += this.versions[word]!;
    return sum;
  }

  /** Counts a write (`by` = 1) or its undoing (`by` = -1). */
  bump(start: number, size: number, by: number): void {
    for (let word = start >> 2; word << 2 < start + size; word++) this.versions[word]! += by;
    this.guard?.update(start, size);
  }

  /** Gives a range of bytes a name for reports. */
  label(start: number, size: number, name: string): void {
    const end = start + size;
    if (!this.#labels.some((l) => l.start === start && l.end === end && l.name === name)) {
      this.#labels.push({ start, end, name });
    }
  }

  /** Names the elements of an array for reports, where no label names them. */
  nameArray(array: AnyTypedArray, name: string): void {
    const start = array.byteOffset;
    this.#arrays.push({ start, end: start + array.byteLength, name, array });
  }

  /** The name of a range: of the narrowest label or array that contains its start. */
  nameOf(start: number, size: number): string {
    const label = narrowest(this.#labels, start);
    if (label !== undefined) {
      const offset = start - label.start;
      return offset === 0 && size <= label.end - label.start
        ? label.name
        : `${label.name}+${offset}`;
    }
    const named = this.#arrayOf(start, size);
    if (named === undefined) return `${this.name}+${start}`;
    const index = (start - named.start) / named.array.BYTES_PER_ELEMENT;
    return Number.isInteger(index)
      ? `${named.name}[${index}]`
      : `${named.name}[${Math.floor(index)}] and on`;
  }

  /**
   * The bytes of a range in words: as an element if an array names it, else as a number or bytes.
   */
  valueText(start: number, bytes: Uint8Array): string {
    // Code under test may have replaced the getters of native arrays.
    const own = new Bytes(bytes);
    const size = own.length;
    const named = this.#arrayOf(start, size);
    const copy = own.buffer;
    if (named?.array.BYTES_PER_ELEMENT === size) {
      return String(new (constructorOf(named.array))(copy)[0]);
    }
    const view = new DataView(copy);
    if (size === 1) return String(view.getUint8(0));
    if (size === 2) return String(view.getUint16(0, true));
    if (size === 4) return String(view.getInt32(0, true));
    return size === 8 ? `0x${view.getBigUint64(0, true).toString(16)}` : `${size} bytes`;
  }

  /** The array that names a range: one of elements of its size, or else any. */
  #arrayOf(start: number, size: number): NamedArray | undefined {
    const fitting = this.#arrays.filter(({ array }) => array.BYTES_PER_ELEMENT === size);
    return narrowest(fitting, start) ?? narrowest(this.#arrays, start);
  }
}

/** The narrowest range that contains a byte. */
function narrowest<L extends Label>(labels: readonly L[], byte: number): L | undefined {
  let best: L | undefined;
  for (const label of labels) {
    if (label.start > byte || byte >= label.end) continue;
    if (best === undefined || label.end - label.start < best.end - best.start) best = label;
  }
  return best;
}
