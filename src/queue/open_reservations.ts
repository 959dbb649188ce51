/**
 * The reservations that a thread has claimed from a writer and has neither committed nor aborted.
 *
 * Usually that is one. So a writer keeps the latest in fields of its own, and moves it here only
 * when another is claimed, or when something other than its end happens.
 *
 * @module
 */

import { describe } from "../memory/check.ts";

/** The open reservations of one thread. Rows are reused; nothing is allocated per message. */
export class OpenReservations {
  /** How many are open. */
  count = 0;
  /** The offset of each in the bytes of the pool; at least {@link OpenReservations.count} rows. */
  offsets: Float64Array = new Float64Array(16);
  /** How many bytes each has. */
  lengths: Int32Array = new Int32Array(16);
  /** The buffer of the segment that each was claimed in. */
  buffers: Int32Array = new Int32Array(16);
  /** The slot of each in the table of that buffer. */
  slots: Int32Array = new Int32Array(16);
  /** The buffer that it has to itself, or NO_BUFFER. */
  owned: Int32Array = new Int32Array(16);
  /** How many slots were taken before it. */
  ordinals: Float64Array = new Float64Array(16);

  /** Adds a reservation, before which `ordinal` slots were taken. */
  add(
    offset: number,
    length: number,
    buffer: number,
    slot: number,
    owned: number,
    ordinal: number,
  ): void {
    const row = this.count;
    if (row === this.offsets.length) this.#grow();
    this.offsets[row] = offset;
    this.lengths[row] = length;
    this.buffers[row] = buffer;
    this.slots[row] = slot;
    this.owned[row] = owned;
    this.ordinals[row] = ordinal;
    this.count = row + 1;
  }

  /**
   * The row of the reservation at `offset`.
   *
   * @throws {Error} If none is open there.
   */
  find(action: string, offset: number): number {
    for (let row = this.count - 1; row >= 0; row--) {
      if (this.offsets[row] === offset) return row;
    }
    throw new Error(
      `Cannot ${action} as no reservation is open at this offset: received ${describe(offset)}`,
    );
  }

  /** Removes a row; the last row takes its place. */
  remove(row: number): void {
    const last = --this.count;
    if (row === last) return;
    this.offsets[row] = this.offsets[last]!;
    this.lengths[row] = this.lengths[last]!;
    this.buffers[row] = this.buffers[last]!;
    this.slots[row] = this.slots[last]!;
    this.owned[row] = this.owned[last]!;
    this.ordinals[row] = this.ordinals[last]!;
  }

  /** Whether a slot that has ended, of the first `made`, was taken after one that is still open. */
  hasEndedBehind(made: number): boolean {
    if (this.count === 0) return false;
    let oldest = Infinity;
    for (let row = 0; row < this.count; row++) oldest = Math.min(oldest, this.ordinals[row]!);
    return made - oldest > this.count;
  }

  #grow(): void {
    const rows = 2 * this.offsets.length;
    this.offsets = copy(this.offsets, new Float64Array(rows));
    this.lengths = copy(this.lengths, new Int32Array(rows));
    this.buffers = copy(this.buffers, new Int32Array(rows));
    this.slots = copy(this.slots, new Int32Array(rows));
    this.owned = copy(this.owned, new Int32Array(rows));
    this.ordinals = copy(this.ordinals, new Float64Array(rows));
  }
}

function copy<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
