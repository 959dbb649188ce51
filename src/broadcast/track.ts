/**
 * Where in the ring the writer is. It goes through the segments in order: it *enters* each before
 * it writes there, which costs the readers of what was there their place, and leaves a *mark* in
 * each once it is known where the first frame begins in it.
 *
 * @module
 */

import { FRAME_HEADER_BYTES, PADDING } from "./frame.ts";
import { EPOCH, EPOCH_CUT, EPOCH_STEP, EPOCH_TAG_SHIFT } from "./layout.ts";
import { writeMark } from "./place.ts";
import type { Ring } from "./ring.ts";
import { replacedError, type Seat } from "./succession.ts";

/** The way of one writer through a ring. */
export class Track {
  readonly #ring: Ring;
  /** The tag that all epochs have, as long as we are not replaced. */
  readonly #tag: number;

  /** The position at which the present lap begins. */
  lapStart: number;
  /** Where in the lap the next frame begins; the capacity once the lap is full. */
  offset: number;
  /** Where in the lap the next segment begins: a frame that goes beyond needs room made for it. */
  limit: number;
  /** Up to which position segments are entered. */
  #frontier: number;
  /** How many messages ended before the last mark. */
  #sequence: number;
  /** How many messages ended since. */
  ended = 0;

  /** Goes on from where another writer ended. */
  constructor(ring: Ring, { tag, position, sequence, frontier }: Seat) {
    this.#ring = ring;
    this.#tag = tag;
    // Made integers, which is what the compiler then takes them for.
    this.offset = (position % ring.capacityBytes) | 0;
    this.limit = ring.segmentStart(this.offset + ring.segmentBytes - 1) | 0;
    this.lapStart = position - this.offset;
    this.#frontier = frontier;
    this.#sequence = sequence;
  }

  /** The position of the next frame. */
  get position(): number {
    return this.lapStart + this.offset;
  }

  /** How many bytes a frame of `size` takes, were it next, with the padding before it. */
  sizeWithPadding(size: number): number {
    return this.#fits(size) ? size : this.#ring.capacityBytes - this.offset + size;
  }

  /** Enters the segments of a frame of `size` bytes, in the next lap if it does not fit this one. */
  makeRoom(size: number): void {
    this.#enter(this.position + this.sizeWithPadding(size));
    if (!this.#fits(size)) this.#wrap();
    if (this.offset === this.limit) this.#mark();
  }

  /** Marks the segments that the frame before `offset` has gone into. */
  cross(): void {
    while (this.limit < this.offset) this.#mark();
  }

  #fits(size: number): boolean {
    return this.offset + size <= this.#ring.capacityBytes;
  }

  /** Fills what is left of the lap with padding, and begins the next one. */
  #wrap(): void {
    const { capacityBytes, frames } = this.#ring;
    const rest = capacityBytes - this.offset;
    if (rest > 0) {
      if (this.offset === this.limit) this.#mark();
      frames[this.offset >> 2] = PADDING | (rest - FRAME_HEADER_BYTES);
      this.offset = capacityBytes;
      this.cross();
    }
    this.lapStart += capacityBytes;
    this.offset = 0;
    this.limit = 0;
  }

  /** Marks the segment that begins at the limit, with the next frame's place, and goes past it. */
  #mark(): void {
    const position = this.position;
    this.#sequence += this.ended;
    this.ended = 0;
    writeMark(this.#ring, this.lapStart + this.limit, { position, sequence: this.#sequence });
    this.limit += this.#ring.segmentBytes;
  }

  /** Enters every segment that begins before `end`, in order. */
  #enter(end: number): void {
    const { words, segmentBytes } = this.#ring;
    const tag = this.#tag << EPOCH_TAG_SHIFT;
    while (this.#frontier < end) {
      const index = this.#ring.line(this.#frontier) + EPOCH;
      const after = this.#ring.enteredEpoch(this.#frontier) | tag;
      const before = (after - EPOCH_STEP) | 0;
      // Before the first byte is overwritten; pairs with the reader's validation: either that came
      // first, and its copy happens before all we write here, or it sees this and discards.
      if (Atomics.compareExchange(words, index, before, after) !== before) {
        // It is cut if it was not entered since we, or one whose tag we have, took over.
        const cut = before | EPOCH_CUT;
        if (Atomics.compareExchange(words, index, cut, after) !== cut) {
          throw replacedError("write");
        }
      }
      this.#frontier += segmentBytes;
    }
  }
}
