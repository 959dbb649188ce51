/**
 * Model memory: the buffers that simulated threads share, and what the explorer knows of each byte.
 *
 * The bytes themselves live in a real buffer. Beside them stand *cells* (one for each range that
 * was ever accessed atomically), the times of plain accesses for the race detector, and a version
 * for each 32-bit word, by which a spinning thread sees that something was written.
 *
 * @module
 */

import { type Clock, MAX_THREADS } from "./clock.ts";
import { Bytes } from "../native.ts";

/** A thread that sleeps, or was woken and has not run yet. */
export interface Sleeper {
  /** Index of the sleeping thread. */
  readonly thread: number;
  /** Whether a notify has taken it off the list. */
  notified: boolean;
  /** What it learns from whoever woke it. */
  clock: Clock | undefined;
  /** Number of the transition that woke it, or -1. */
  wakerDepth: number;
}

/** The threads that wait at one byte. */
export interface WaiterList {
  /** In the order in which they came. Replaced, never changed. */
  sleepers: readonly Sleeper[];
  /** What entering the list's critical section acquires. */
  clock: Clock | undefined;
}

/** A range of bytes that is accessed atomically. */
export class Cell {
  /** The clock that an atomic read of this very range acquires. */
  release: Clock | undefined = undefined;
  /** Time of each thread's last atomic write, by its own clock; 0 for never. */
  readonly writeTimes: number[] = new Array(MAX_THREADS).fill(0);
  /** Time of each thread's last atomic read. */
  readonly readTimes: number[] = new Array(MAX_THREADS).fill(0);
  /** Who waits at its first byte; cells of other sizes there share the list. */
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

/** A name for a range of bytes, for reports. */
interface Label {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** A buffer shared by simulated threads. */
export class ModelBuffer {
  /** Every byte, untracked. */
  readonly bytes: Uint8Array;
  /** How often each 32-bit word was written. */
  readonly versions: Int32Array;
  /** The cells, by `start * 16 + size`. */
  readonly cells: Map<number, Cell> = new Map();
  /** Thread and time of the last plain write of each byte: `time * 8 + thread`, or 0. */
  #plainWrites: Int32Array | undefined;
  /** Time of each thread's last plain read of each byte. */
  #plainReads: Int32Array | undefined;
  /** Which bytes anyone has ever written; only kept when asked for. */
  initialised: Uint8Array | undefined;
  readonly #labels: Label[] = [];
  readonly id: string;
  readonly real: ArrayBufferLike;

  /**
   * @param id What names this buffer in every execution alike.
   * @param real The bytes.
   */
  constructor(id: string, real: ArrayBufferLike) {
    this.id = id;
    this.real = real;
    this.bytes = new Bytes(real);
    this.versions = new Int32Array((real.byteLength + 3) >> 2);
  }

  /** Whether any thread has read or written plainly, so that races are possible at all. */
  get hasPlain(): boolean {
    return this.#plainWrites !== undefined;
  }

  /** See {@linkcode ModelBuffer}: made at the first plain access. */
  get plainWrites(): Int32Array {
    return this.#plainWrites ??= new Int32Array(this.bytes.length);
  }

  /** See {@linkcode ModelBuffer}: made at the first plain access. */
  get plainReads(): Int32Array {
    return this.#plainReads ??= new Int32Array(this.bytes.length * MAX_THREADS);
  }

  /** The cell of a range, made when first asked for. */
  cell(start: number, size: number): Cell {
    const key = start * 16 + size;
    let cell = this.cells.get(key);
    if (cell === undefined) {
      const others = [...this.cells.values()];
      const { list } = others.find((other) => other.start === start) ?? {};
      cell = new Cell(this, start, size, list);
      for (const other of others) {
        if (other.start < start + size && start < other.start + other.size) {
          other.overlaps.push(cell);
          cell.overlaps.push(other);
        }
      }
      this.cells.set(key, cell);
    }
    return cell;
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
  }

  /** Names a range of bytes in reports. */
  label(start: number, size: number, name: string): void {
    const end = start + size;
    if (!this.#labels.some((l) => l.start === start && l.end === end && l.name === name)) {
      this.#labels.push({ start, end, name });
    }
  }

  /** The name of a range: the narrowest label that holds it, else buffer and offset. */
  nameOf(start: number, size: number): string {
    let best: Label | undefined;
    for (const label of this.#labels) {
      if (label.start > start || start >= label.end) continue;
      if (best === undefined || label.end - label.start < best.end - best.start) best = label;
    }
    if (best === undefined) return `${this.id}+${start}`;
    const offset = start - best.start;
    return offset === 0 && (size <= best.end - best.start) ? best.name : `${best.name}+${offset}`;
  }
}
