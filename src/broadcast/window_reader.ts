/**
 * Where in the ring a reader is, and how it takes a window of frames from there: it copies first,
 * while the writer may be overwriting, and then asks whether the writer did.
 *
 * @module
 */

import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import type { CopyOut } from "./copy_out.ts";
import { findMark, type Mark } from "./marks.ts";
import type { PublishedPosition } from "./published_position.ts";
import type { Ring } from "./ring.ts";
import { OVERWRITTEN, retainedBytes, validationEpoch } from "./validation.ts";

/** Returned by {@link WindowReader.take} if nothing more is published. */
export const EMPTY = 0;
/** Returned by {@link WindowReader.take} if the writer has overwritten the next frame. */
export const LAPPED = -1;
/** No frame begins between the position and the next segment. */
const GAP = -2;

/** Takes windows out of one ring, for one reader. */
export class WindowReader {
  readonly #ring: Ring;
  readonly #words: Int32Array;
  readonly #published: PublishedPosition;
  readonly #capacityBytes: number;
  /** Position and sequence: in an array, as storing such large numbers in fields allocates. */
  readonly #mark: Float64Array;
  /** The low 32 bits of the position, which are all that most looks need. */
  #low: number;
  /** How often frames were left out because a writer was replaced, and its last ones dropped. */
  #gaps = 0;

  /** Begins at a mark. */
  constructor(ring: Ring, { position, sequence }: Mark) {
    this.#ring = ring;
    this.#words = ring.words;
    this.#published = ring.published;
    this.#capacityBytes = ring.capacityBytes;
    this.#mark = Float64Array.of(position, sequence);
    this.#low = position | 0;
  }

  /** The position of the next frame. */
  get position(): number {
    return this.#mark[0]!;
  }

  /** Whether more seems to be published than so many bytes after the position. */
  seemsPast(bytes: number): boolean {
    return this.#published.seemsPast((this.#low + bytes) | 0);
  }

  /** How many messages end before it. */
  get sequence(): number {
    return this.#mark[1]!;
  }

  /** How often frames were left out because a writer was replaced, and its last ones dropped. */
  get gaps(): number {
    return this.#gaps;
  }

  /** Goes past frames. */
  advance(bytes: number, messages: number): void {
    this.#mark[0]! += bytes;
    this.#low = (this.#low + bytes) | 0;
    this.#mark[1]! += messages;
  }

  /** Goes to a mark. */
  goTo({ position, sequence }: Mark): void {
    this.#mark[0] = position;
    this.#low = position | 0;
    this.#mark[1] = sequence;
  }

  /**
   * Takes published frames, up to `size` bytes and the end of the ring. Afterwards the position is
   * that of the first byte, which may be further on than before.
   *
   * @returns How many bytes were taken, or {@link EMPTY} or {@link LAPPED}. Frames begin at the
   * first of them, and may continue beyond the last.
   */
  take(size: number, out: CopyOut): number {
    const capacityBytes = this.#capacityBytes;
    const low = this.#low;
    const available = (this.#published.loadLow() - low) | 0;
    if (available === 0) return this.#published.isAliasOf(this.position) ? LAPPED : EMPTY;
    // Negative is more than 2^31 behind.
    if (available >>> 0 > capacityBytes) return LAPPED;
    const rest = capacityBytes - (low & (capacityBytes - 1));
    const taken = this.#takeWindow(Math.min(available, size, rest), false, out);
    return taken === GAP ? this.#takeAfterGap(size, out) : taken;
  }

  /** Goes to the next segment, as no frame begins in the rest of the present one. */
  #takeAfterGap(size: number, out: CopyOut): number {
    const position = this.#ring.segmentStart(this.position) + this.#ring.segmentBytes;
    this.goTo({ position, sequence: this.sequence });
    this.#gaps++;
    return this.take(size, out);
  }

  /**
   * Takes just the next frame, of `size` bytes.
   *
   * @returns Whether it did; otherwise the writer has overwritten it.
   * @throws {RangeError} If there is none of that size.
   */
  takeFrame(size: number, out: CopyOut): boolean {
    this.#checkFrame(size);
    return this.#takeWindow(size, true, out) === size;
  }

  /**
   * Goes past the next frame, of `size` bytes.
   *
   * @throws {RangeError} If there is none of that size.
   */
  skipFrame(size: number, messages: number): void {
    this.#checkFrame(size);
    this.advance(size, messages);
  }

  #checkFrame(size: number): void {
    if (size <= this.#published.load() - this.position) return;
    throw new RangeError(
      `Cannot read at position ${this.position} as no frame begins there: found one of ${size} bytes, perhaps written outside of a claim`,
    );
  }

  /**
   * Goes to a mark that is still retained, at most half the ring behind the published position, and
   * takes the frames there.
   *
   * @param size As of {@link WindowReader.take}.
   * @returns That mark, and how many bytes were taken there, if any.
   */
  recover(size: number, out: CopyOut): { mark: Mark; taken: number } {
    for (let reach = this.#capacityBytes / 2;; reach /= 2) {
      const mark = findMark(this.#ring, reach);
      this.goTo(mark);
      const taken = this.take(size, out);
      if (taken !== LAPPED) return { mark, taken };
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
    const line = this.#ring.line(position);
    const entered = this.#ring.enteredEpoch(position);
    beginSpeculation();
    out.copy(position & (this.#capacityBytes - 1), size);
    const isKept = validationEpoch(this.#words, line) === entered;
    endSpeculation(isKept);
    return isKept ? size : this.#takeBeforeCut(position, size, isFrame, out);
  }

  /**
   * The same in a segment that was entered again, or is cut. A cut says that a writer was replaced
   * while the segment was retained, and that its frames end somewhere, here or in a later segment.
   * So the frames of each segment are taken on their own.
   */
  #takeBeforeCut(position: number, size: number, isFrame: boolean, out: CopyOut): number {
    const { segmentBytes } = this.#ring;
    const start = this.#ring.segmentStart(position);
    let retained = retainedBytes(this.#ring, start);
    for (;;) {
      if (retained === OVERWRITTEN) return LAPPED;
      const rest = start + retained - position;
      if (rest <= 0) return GAP;
      // A frame that begins in the segment was published whole, though it may end in the next one.
      const length = isFrame && retained === segmentBytes ? size : Math.min(size, rest);
      beginSpeculation();
      out.copy(position & (this.#capacityBytes - 1), length);
      const before = retained;
      retained = retainedBytes(this.#ring, start);
      endSpeculation(retained === before);
      if (retained === before) return length;
    }
  }
}
