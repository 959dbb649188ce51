/**
 * One channel as a thread sees it: its words, its cells, both lines of waiting, and who takes part.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import type { Region } from "../memory/region.ts";
import { type Cells, reclaimed } from "./cells.ts";
import {
  type ChannelLayout,
  CLOSE_WITH_LAST,
  CLOSED,
  MEMBER,
  MEMBER_LINES,
  RECEIVER_LINE,
  SENDER_LINE,
  TICKETS,
  WAITING,
} from "./layout.ts";
import { SharedCells } from "./shared_cells.ts";
import { SingleCells } from "./single_cells.ts";
import { WaitingLine } from "./waiting_line.ts";

/** Senders, or receivers. */
export type Side = "sender" | "receiver";

/** One channel as a thread sees it. */
export class ChannelState {
  /** Where it lies. */
  readonly region: Region<"busbar.channel", ChannelLayout>;
  /** Its words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The cells, as none of the ends sees them. */
  readonly cells: Cells;
  /** Where senders wait for room. */
  readonly senders: WaitingLine;
  /** Where receivers wait for messages. */
  readonly receivers: WaitingLine;

  /** Opens the channel in this region. */
  constructor(region: Region<"busbar.channel", ChannelLayout>) {
    const { memory, words, layout } = region;
    this.region = region;
    this.words = words;
    this.cells = this.openCells();
    this.senders = new WaitingLine(memory, words, SENDER_LINE, MEMBER_LINES);
    this.receivers = new WaitingLine(memory, words, RECEIVER_LINE, layout.receiverLine(0));
  }

  /** The cells as one more end sees them. */
  openCells(): Cells {
    const { layout } = this.region;
    return layout.isSingle
      ? new SingleCells(this.words, layout)
      : new SharedCells(this.words, layout);
  }

  /** Whether this option is set. */
  has(option: number): boolean {
    return (this.region.layout.size.options & option) !== 0;
  }

  /** Closes it: see `cells.ts`. */
  close(): void {
    Atomics.or(this.words, SENDER_LINE + WAITING, CLOSED);
    this.wakeAll();
  }

  /** Has everyone that waits look again, whatever the wake words say. */
  wakeAll(): void {
    const { senders, receivers } = this.region.layout.size;
    this.senders.wakeAll(senders);
    this.receivers.wakeAll(receivers);
  }

  /** How many places there are. */
  places(side: Side): number {
    const { senders, receivers } = this.region.layout.size;
    return side === "sender" ? senders : receivers;
  }

  /** How many of them are taken. */
  present(side: Side): number {
    let count = 0;
    for (let place = 0; place < this.places(side); place++) {
      if (this.isPresent(side, place)) count++;
    }
    return count;
  }

  /** Whether a place is taken. */
  isPresent(side: Side, place: number): boolean {
    return Atomics.load(this.words, this.#memberWord(side, place)) !== 0;
  }

  /**
   * Takes a place.
   *
   * @param wanted Which one; any that is free if undefined.
   * @throws {Error} If that is taken, or all are.
   */
  join(side: Side, wanted: number | undefined): Membership {
    const places = this.places(side);
    const line = side === "sender" ? SENDER_LINE : RECEIVER_LINE;
    const number = Atomics.add(this.words, line + TICKETS, 1) + 1 | 0 || 1;
    for (let place = wanted ?? 0; place <= (wanted ?? places - 1); place++) {
      const word = this.#memberWord(side, place);
      // Pairs with leave: the one that had the place before has ended all that it did.
      if (Atomics.compareExchange(this.words, word, 0, number) !== 0) continue;
      return new Membership(this, side, place, word, number);
    }
    const action = side === "sender" ? "send" : "receive";
    throw new Error(
      wanted === undefined
        ? `Cannot ${action} as all ${places} places of ${side}s are taken: close one, reclaim it if its thread has died, or create the channel with more '${side}s'`
        : `Cannot ${action} as ${side} ${wanted} is attached: close it, or reclaim it if its thread has died`,
    );
  }

  /** Frees the place of a member that has died. */
  release(side: Side, place: number): void {
    Atomics.store(this.words, this.#memberWord(side, place), 0);
    this.closeAfter(side);
  }

  /** Closes the channel if the last sender has left, and it was created so. */
  closeAfter(side: Side): void {
    if (side === "sender" && this.has(CLOSE_WITH_LAST) && this.present(side) === 0) this.close();
  }

  #memberWord(side: Side, place: number): number {
    const { layout } = this.region;
    return MEMBER + (side === "sender" ? layout.senderLine(place) : layout.receiverLine(place));
  }
}

/** The place of one end, until it is closed or reclaimed. */
export class Membership {
  /** Which place it is. */
  readonly place: number;
  readonly #state: ChannelState;
  readonly #side: Side;
  readonly #word: number;
  readonly #number: number;
  #hasLeft = false;

  /** @param number What the word of the place holds. */
  constructor(state: ChannelState, side: Side, place: number, word: number, number: number) {
    this.place = place;
    this.#state = state;
    this.#side = side;
    this.#word = word;
    this.#number = number;
  }

  /** Whether it is still there. */
  get isValid(): boolean {
    return Atomics.load(this.#state.words, this.#word) === this.#number;
  }

  /**
   * Throws unless the end may go on.
   *
   * @throws {ClosedError} If it was closed.
   * @throws {ReclaimedError} If it was reclaimed.
   */
  check(): void {
    if (this.#hasLeft) {
      const action = this.#side === "sender" ? "send" : "receive";
      throw new ClosedError(`Cannot ${action} as the ${this.#side} is closed`);
    }
    if (!this.isValid) throw reclaimed();
  }

  /**
   * Gives the place up; the last sender may close the channel.
   *
   * @throws {ReclaimedError} If it was reclaimed.
   */
  leave(): void {
    const { words } = this.#state;
    this.#hasLeft = true;
    const found = Atomics.compareExchange(words, this.#word, this.#number, 0);
    if (found !== this.#number) throw reclaimed();
    this.#state.closeAfter(this.#side);
  }
}
