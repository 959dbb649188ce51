/**
 * Where in the block the next message goes: back, front, or nowhere. Private to the owner.
 *
 * Slots are numbered in the order of their bytes. Room is looked for before the first living slice,
 * behind the last one, and, in front mode, up to the border: nowhere else. `README.md` has the
 * table of the transitions.
 *
 * @module
 */

/**
 * Where a {@link SlicePool} puts messages: behind those in the block, before them, or into heap
 * memory.
 */
export type SliceMode = "back" | "front" | "alloc";

/** How often a block was emptied, and how often the mode became another. */
export interface ModeChanges {
  /** How often no slice lived, so that the block was used from its beginning again. */
  resets: number;
  /** How often the mode became back. */
  back: number;
  /** How often the mode became front. */
  front: number;
  /** How often the mode became alloc. */
  alloc: number;
}

/** The slots of one block. */
export class Block {
  /** How often the mode changed. */
  readonly changes: ModeChanges = { resets: 0, back: 0, front: 0, alloc: 0 };
  readonly #capacityBytes: number;
  readonly #slots: number;
  /** Where the slice of each slot begins; meaningful while it lives. */
  readonly #starts: number[];
  /** Where the slice of each slot ends; meaningful while it lives. */
  readonly #ends: number[];
  #mode: SliceMode = "back";
  /** The slot of the next message, unless the mode is alloc. */
  #slot = 0;
  /** The slot that the next message cannot have any more: the border, or behind the last one. */
  #slotLimit: number;
  #start = 0;
  #limit: number;

  /** An empty block. */
  constructor(capacityBytes: number, slots: number) {
    this.#capacityBytes = capacityBytes;
    this.#slots = slots;
    this.#starts = new Array<number>(slots).fill(0);
    this.#ends = new Array<number>(slots).fill(0);
    this.#slotLimit = slots;
    this.#limit = capacityBytes;
  }

  /** The mode. */
  get mode(): SliceMode {
    return this.#mode;
  }

  /** Where the next message begins, unless the mode is alloc. */
  get start(): number {
    return this.#start;
  }

  /** How far the next message can extend, unless the mode is alloc. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Finds a place for a message, and changes the mode accordingly.
   *
   * @param living A bit for each slot that has a living slice.
   * @param written How many bytes of the message were written before.
   * @param needed How many bytes it needs in all.
   * @returns Whether it has a place in the block; if not, nothing has changed.
   */
  find(living: number, written: number, needed: number): boolean {
    if (living === 0) return this.#reset(needed);
    if (this.#mode !== "alloc") {
      if (this.#slot < this.#slotLimit && this.#start + needed <= this.#limit) return true;
      if (this.#mode === "front" && this.#shortenFront(living, needed)) return true;
    } else if (written > 0) {
      return false;
    }
    return this.#findPrefix(living, needed) || this.#findSuffix(living, needed);
  }

  /** Notes that the message lies in heap memory. */
  leave(): void {
    this.#change("alloc");
  }

  /**
   * Takes the message that was placed last.
   *
   * @returns Its slot.
   */
  take(start: number, end: number): number {
    const slot = this.#slot++;
    this.#starts[slot] = start;
    this.#ends[slot] = end;
    this.#start = end;
    return slot;
  }

  /** How many bytes lie in a slice of these slots, or between two of them. */
  pinnedBytes(living: number): number {
    if (living === 0) return 0;
    return this.#ends[lastSlot(living)]! - this.#starts[firstSlot(living)]!;
  }

  /** How many bytes lie in slices of these slots. */
  livingBytes(living: number): number {
    let sum = 0;
    for (let rest = living; rest !== 0; rest &= rest - 1) {
      const slot = firstSlot(rest);
      sum += this.#ends[slot]! - this.#starts[slot]!;
    }
    return sum;
  }

  /** Begins with an empty block. */
  #reset(needed: number): boolean {
    if (needed > this.#capacityBytes) return false;
    if (this.#slot > 0) this.changes.resets++;
    this.#place("back", 0, this.#slots, 0, this.#capacityBytes);
    return true;
  }

  /** Before the first living slice. */
  #findPrefix(living: number, needed: number): boolean {
    const border = firstSlot(living);
    const limit = this.#starts[border]!;
    if (border === 0 || needed > limit) return false;
    this.#place("front", 0, border, 0, limit);
    return true;
  }

  /** Behind the last living slice. */
  #findSuffix(living: number, needed: number): boolean {
    const last = lastSlot(living);
    const start = this.#ends[last]!;
    if (last + 1 === this.#slots || start + needed > this.#capacityBytes) return false;
    this.#place("back", last + 1, this.#slots, start, this.#capacityBytes);
    return true;
  }

  /** In front mode: behind the last living slice before the border. */
  #shortenFront(living: number, needed: number): boolean {
    let slot = this.#slot;
    while (slot > 0 && (living >>> (slot - 1) & 1) === 0) slot--;
    const start = slot === 0 ? 0 : this.#ends[slot - 1]!;
    if (slot === this.#slotLimit || start + needed > this.#limit) return false;
    this.#place("front", slot, this.#slotLimit, start, this.#limit);
    return true;
  }

  #place(mode: SliceMode, slot: number, slotLimit: number, start: number, limit: number): void {
    this.#change(mode);
    this.#slot = slot;
    this.#slotLimit = slotLimit;
    this.#start = start;
    this.#limit = limit;
  }

  #change(mode: SliceMode): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.changes[mode]++;
  }
}

/** The lowest bit that is set. */
function firstSlot(living: number): number {
  return 31 - Math.clz32(living & -living);
}

/** The highest bit that is set. */
function lastSlot(living: number): number {
  return 31 - Math.clz32(living);
}
