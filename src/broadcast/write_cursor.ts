/**
 * Where in the ring the writer is: how far it has entered segments, written frames, and published.
 *
 *     published      offset          limit           frontier
 *     v              v               v               v
 *     | frames, not  | free          | free, and     | readers may still read
 *     | yet visible  |               | entered       | the lap before
 *
 * The writer goes through the segments in order. It *enters* each one before it writes there, after
 * which no reader may use the data of the lap before; and it leaves a *mark* in each one as soon as
 * it knows where the first frame in it begins.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { ReplacedError } from "./errors.ts";
import { FRAME_HEADER_BYTES, PADDING } from "./frame.ts";
import {
  EPOCH,
  EPOCH_CUT,
  EPOCH_STEP,
  EPOCH_TAG_SHIFT,
  FIRST,
  lastPosition,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
} from "./layout.ts";
import {
  bytesPast,
  positionWord,
  type PublishedPosition,
  unitEnd,
  withPosition,
} from "./published_position.ts";
import type { Ring } from "./ring.ts";
import type { WriterStart } from "./succession.ts";

/** The cursor of one writer. */
export class WriteCursor {
  readonly #ring: Ring;
  readonly #published: PublishedPosition;
  /** The tag that the position and all epochs have, as long as this writer is not replaced. */
  readonly #tag: number;
  /** The position at which the present lap begins. */
  #lapStart: number;
  /** Where in the lap the next frame begins; the capacity once the lap is full. */
  #offset: number;
  /** Where in the lap the next segment begins: a frame that ends beyond it needs more room. */
  #limit: number;
  /** The position up to which segments are entered. */
  #frontier: number;
  /** How many messages ended before the last mark. */
  #sequence: number;
  /** How many messages ended since. */
  #ended = 0;
  /** The low word of the published position, with the tag; as an int32, it is stored in place. */
  #low: number;
  /** The position from which on the high word must change; 0 before the first publication. */
  #highEnd = 0;

  /** Begins at the published position. */
  constructor(ring: Ring, { tag, position, sequence, frontier }: WriterStart) {
    assertState(
      position <= frontier && frontier <= position + ring.capacityBytes,
      "segments to be entered up to the published position, and less than a lap beyond",
    );
    this.#ring = ring;
    this.#published = ring.published;
    this.#tag = tag;
    // `| 0`: V8 then keeps these fields as integers.
    this.#offset = (position % ring.capacityBytes) | 0;
    this.#limit = ring.segmentStart(this.#offset + ring.segmentBytes - 1) | 0;
    this.#lapStart = position - this.#offset;
    this.#frontier = frontier;
    this.#sequence = sequence;
    this.#low = positionWord(position, tag);
  }

  /** The position of the next frame. */
  get position(): number {
    return this.#lapStart + this.#offset;
  }

  /** Where in the data the next frame begins, once there is room for it. */
  get offset(): number {
    return this.#offset;
  }

  /** Where in the data the present segment ends: a frame that ends beyond it needs more room. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Makes room for a frame of `size` bytes beyond the present segment: enters the segments that it
   * needs, in the next lap if it does not fit this one.
   *
   * @throws {RangeError} If the ring has carried 2^53 bytes.
   * @throws {ReplacedError} If another writer has taken over.
   */
  makeRoom(size: number): void {
    const { capacityBytes } = this.#ring;
    if (this.position > lastPosition(capacityBytes)) {
      throw new RangeError("Cannot claim as the ring has carried 2^53 bytes: create another");
    }
    const needed = this.#fits(size) ? size : capacityBytes - this.#offset + size;
    // Segments entered no more than half the ring past the published position leave marks that
    // readers can use.
    if (this.#pendingBytes + needed > capacityBytes / 2) this.publish();
    this.#enter(this.position + needed);
    if (!this.#fits(size)) this.#wrap();
    if (this.#offset === this.#limit) this.#mark();
  }

  /** Ends one message with a frame that ends at `end`, at most at the limit. */
  advanceTo(end: number): void {
    this.#ended = (this.#ended + 1) | 0;
    this.#offset = end;
  }

  /** Ends frames of `size` bytes together, and this many messages with them. */
  advance(size: number, messages: number): void {
    this.#ended = (this.#ended + messages) | 0;
    this.#offset += size;
    if (this.#offset > this.#limit) this.#markPassed();
  }

  /**
   * Makes everything before the cursor visible, and wakes readers that sleep.
   *
   * @throws {ReplacedError} If another writer has taken over.
   */
  publish(): void {
    const position = this.#lapStart + this.#offset;
    const before = this.#low;
    const after = withPosition(before, position);
    // Never as much as 2^32 bytes apart.
    if (after === before) return;
    if (position >= this.#highEnd) return this.#publishAndNotify(position, after);
    this.#published.publish(before, after);
    this.#low = after;
  }

  /** Publishes for the first time, or past a multiple of the unit of the high word. */
  #publishAndNotify(position: number, after: number): void {
    // Before the low word, so that it is never behind.
    this.#published.raiseHigh(position);
    this.#published.publish(this.#low, after);
    this.#low = after;
    this.#highEnd = unitEnd(position);
    // The thread that cleared the mark of sleeping readers may have died before it woke them.
    this.#published.notify();
  }

  /** How many bytes before the cursor are not published. */
  get #pendingBytes(): number {
    return bytesPast(this.#low, this.position);
  }

  #fits(size: number): boolean {
    return this.#offset + size <= this.#ring.capacityBytes;
  }

  /** Fills the rest of the lap with padding, and begins the next one. */
  #wrap(): void {
    const { capacityBytes, frames } = this.#ring;
    const rest = capacityBytes - this.#offset;
    if (rest > 0) {
      if (this.#offset === this.#limit) this.#mark();
      frames[this.#offset >> 2] = PADDING | (rest - FRAME_HEADER_BYTES);
      this.#offset = capacityBytes;
      this.#markPassed();
    }
    this.#lapStart += capacityBytes;
    this.#offset = 0;
    this.#limit = 0;
  }

  /** Marks the segments that the frame before the cursor has gone into. */
  #markPassed(): void {
    while (this.#limit < this.#offset) this.#mark();
  }

  /** Marks the segment that begins at the limit with the cursor, and moves the limit past it. */
  #mark(): void {
    const { words, segmentBytes } = this.#ring;
    this.#sequence += this.#ended;
    this.#ended = 0;
    const line = this.#ring.line(this.#lapStart + this.#limit);
    words[line + FIRST] = this.#offset - this.#limit;
    words[line + SEQUENCE_LOW] = this.#sequence;
    words[line + SEQUENCE_HIGH] = this.#sequence / 2 ** 32;
    this.#limit += segmentBytes;
  }

  /** Enters every segment that begins before `end`, in order. */
  #enter(end: number): void {
    const { words, segmentBytes, capacityBytes } = this.#ring;
    assertState(
      end - this.position <= capacityBytes / 2,
      "at most half the ring to be entered at once",
    );
    const tag = this.#tag << EPOCH_TAG_SHIFT;
    while (this.#frontier < end) {
      const index = this.#ring.line(this.#frontier) + EPOCH;
      const after = this.#ring.enteredEpoch(this.#frontier) | tag;
      const before = (after - EPOCH_STEP) | 0;
      // Before the first byte is overwritten; pairs with the reader's validation: either that came
      // first, and its copy happens before all we write here, or it sees this and discards.
      if (Atomics.compareExchange(words, index, before, after) !== before) {
        // It is cut if it was not entered since we, or a writer whose tag we have, took over.
        const cut = before | EPOCH_CUT;
        if (Atomics.compareExchange(words, index, cut, after) !== cut) {
          throw new ReplacedError("write");
        }
      }
      this.#frontier += segmentBytes;
    }
  }
}
