/**
 * Where in the ring a reader is, and how it takes frames from there: it copies, which the writer may
 * race with, and then asks whether it did.
 *
 * @module
 */

import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import { racyLoad } from "../memory/memory.ts";
import type { CopyOut } from "./copy_out.ts";
import {
  EPOCH,
  EPOCH_MASK,
  EPOCH_STEP,
  POSITION,
  POSITION_BITS,
  POSITION_HIGH,
  POSITION_HIGH_UNIT,
  SEGMENT_LINES,
  segmentLine,
} from "./layout.ts";
import { findPlace, type Place, validate } from "./place.ts";
import { loadPosition } from "./position.ts";
import type { Ring } from "./ring.ts";

/** What {@link Tap.take} returns if nothing is published. */
export const NOTHING = 0;
/** What {@link Tap.take} returns if the writer has overwritten what comes next. */
export const LAPPED = -1;
/** No frame begins between the position and the next segment. */
const GAP = -2;

// The hot path's own names, since an imported binding is loaded anew at each use.
const POSITION_INDEX = POSITION;
const POSITION_MASK = ~POSITION_BITS;
const HIGH_INDEX = POSITION_HIGH;
const HIGH_UNIT = POSITION_HIGH_UNIT;
const STEP = EPOCH_STEP;
const ALL_BUT_TAG = EPOCH_MASK;
const FIRST_EPOCH = SEGMENT_LINES + EPOCH;
const LINE_SHIFT = 31 - Math.clz32(segmentLine(1) - segmentLine(0));

/** The place of one reader in a ring. */
export class Tap {
  readonly #ring: Ring;
  readonly #words: Int32Array;
  readonly #capacityBytes: number;
  /** By how much an offset is shifted right to have the number of its segment. */
  readonly #segmentShift: number;

  /** Position and sequence, in an array, since to store such numbers elsewhere allocates. */
  readonly #place: Float64Array;
  /** How often frames were left out because a writer was replaced: its last ones were dropped. */
  gaps = 0;

  /** Begins at a place. */
  constructor(ring: Ring, { position, sequence }: Place) {
    this.#ring = ring;
    this.#words = ring.words;
    this.#capacityBytes = ring.capacityBytes;
    this.#segmentShift = 31 - Math.clz32(ring.segmentBytes);
    this.#place = Float64Array.of(position, sequence);
  }

  /** The position of the next frame. */
  get position(): number {
    return this.#place[0]!;
  }

  /** How many messages end before it. */
  get sequence(): number {
    return this.#place[1]!;
  }

  /** Goes past frames. */
  advance(bytes: number, messages: number): void {
    this.#place[0]! += bytes;
    this.#place[1]! += messages;
  }

  /** Goes to another place. */
  goTo({ position, sequence }: Place): void {
    this.#place[0] = position;
    this.#place[1] = sequence;
  }

  /**
   * Takes what is published, up to `size` bytes and the end of the ring. The position then is that of
   * the first byte, which may be further on than before.
   *
   * @returns How many bytes were taken, or {@link NOTHING} or {@link LAPPED}. Frames begin at the
   * first of them, and may go on beyond the last.
   */
  take(size: number, out: CopyOut): number {
    const capacityBytes = this.#capacityBytes;
    for (;;) {
      const position = this.position;
      // Pairs with the writer's publication: frames before the position are whole.
      const published = Atomics.load(this.#words, POSITION_INDEX) & POSITION_MASK;
      const available = (published - position) | 0;
      if (available === 0) return this.#isWrapped(position) ? LAPPED : NOTHING;
      // Negative is more than 2^31 behind.
      if (available >>> 0 > capacityBytes) return LAPPED;
      const rest = capacityBytes - (position & (capacityBytes - 1));
      const taken = this.#takeWindow(Math.min(available, size, rest), false, out);
      if (taken !== GAP) return taken;
      this.#place[0] = this.#ring.segmentStart(position) + this.#ring.segmentBytes;
      this.gaps++;
    }
  }

  /**
   * Whether what is published, whose low 32 bits are those of `position`, is a multiple of 2^32
   * bytes further on.
   */
  #isWrapped(position: number): boolean {
    // The high word was raised before the position that we have loaded was published, so we see it
    // raised. It may be one unit ahead already, and be raised meanwhile: that is why it is a hint.
    const unit = Math.floor(position / HIGH_UNIT);
    return ((racyLoad(this.#words, HIGH_INDEX) - unit) | 0) > 1 &&
      loadPosition(this.#words) !== position;
  }

  /**
   * Takes just the next frame, of `size` bytes.
   *
   * @returns Whether it did; otherwise the writer has overwritten it.
   * @throws {RangeError} If there is none of that size.
   */
  takeFrame(size: number, out: CopyOut): boolean {
    if (size > loadPosition(this.#words) - this.position) {
      throw new RangeError(
        `Cannot read at position ${this.position} as no frame begins there: found one of ${size} bytes`,
      );
    }
    return this.#takeWindow(size, true, out) === size;
  }

  /**
   * Goes to a place that is still retained, half the ring behind what is published or less, and
   * takes what is there.
   *
   * @param size As of {@link Tap.take}.
   * @returns That place, and how many bytes were taken there, if any.
   */
  recover(size: number, out: CopyOut): { place: Place; taken: number } {
    for (let reach = this.#capacityBytes / 2;; reach /= 2) {
      const place = findPlace(this.#ring, reach);
      this.goTo(place);
      const taken = this.take(size, out);
      if (taken !== LAPPED) return { place, taken };
    }
  }

  /**
   * Copies a window, if it is not overwritten meanwhile.
   *
   * @param isFrame Whether it is one whole frame.
   * @returns How many of its bytes may be used, or {@link GAP} or {@link LAPPED}.
   */
  #takeWindow(size: number, isFrame: boolean, out: CopyOut): number {
    const position = this.position;
    const from = position & (this.#capacityBytes - 1);
    const epochIndex = FIRST_EPOCH + ((from >>> this.#segmentShift) << LINE_SHIFT);
    const entered = (STEP * (Math.floor(position / this.#capacityBytes) + 1)) | 0;
    beginSpeculation();
    out.copy(from, size);
    // Pairs with the writer's compareExchange on entering the segment. A load would not do: only a
    // read-modify-write is either read by the writer's, and so before it, or sees it.
    const isKept = (Atomics.add(this.#words, epochIndex, 0) & ALL_BUT_TAG) === entered;
    endSpeculation(isKept);
    return isKept ? size : this.#takeCut(position, size, isFrame, out);
  }

  /**
   * The same in a segment that was entered anew, or is cut. A cut says that a writer was replaced
   * while the segment was retained, and that its frames end somewhere, here or in a later segment.
   * So the frames of each segment are taken on their own.
   */
  #takeCut(position: number, size: number, isFrame: boolean, out: CopyOut): number {
    const { segmentBytes } = this.#ring;
    const start = this.#ring.segmentStart(position);
    let cut = validate(this.#ring, start);
    for (;;) {
      if (cut < 0) return LAPPED;
      const rest = start + cut - position;
      if (rest <= 0) return GAP;
      // A frame that begins in the segment was published whole, though it may end in the next.
      const length = isFrame && cut === segmentBytes ? size : Math.min(size, rest);
      beginSpeculation();
      out.copy(position & (this.#capacityBytes - 1), length);
      const before = cut;
      cut = validate(this.#ring, start);
      endSpeculation(cut === before);
      if (cut === before) return length;
    }
  }
}
