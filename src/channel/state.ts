/**
 * One channel as a thread sees it: its words, its cells, both lines of waiting, and who takes part.
 *
 * @module
 */

import type { Region } from "../memory/region.ts";
import { Cells } from "./cells.ts";
import {
  type ChannelLayout,
  CLOSE_WITH_LAST,
  CLOSED,
  MEMBER_LINES,
  PRESENT,
  RECEIVER_LINE,
  SENDER_LINE,
  WAITING,
} from "./layout.ts";
import { WaitingLine } from "./waiting_line.ts";

/** Senders, or receivers. */
export type Side = "sender" | "receiver";

/** One channel as a thread sees it. */
export class ChannelState {
  /** Where it lies. */
  readonly region: Region<"busbar.channel", ChannelLayout>;
  /** Its words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The cells, as this object last claimed or took some: each end has a state of its own. */
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
    this.cells = new Cells(words, layout);
    this.senders = new WaitingLine(memory, words, SENDER_LINE, MEMBER_LINES);
    this.receivers = new WaitingLine(memory, words, RECEIVER_LINE, layout.receiverLine(0));
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

  /** A bit for each place of this side that is taken. */
  present(side: Side): number {
    return Atomics.load(this.words, presentWord(side));
  }

  /**
   * Takes a place.
   *
   * @param wanted Which one; any that is free if undefined.
   * @throws {Error} If that is taken, or all are.
   */
  join(side: Side, wanted: number | undefined): number {
    const { senders, receivers } = this.region.layout.size;
    const places = side === "sender" ? senders : receivers;
    for (let place = wanted ?? 0; place <= (wanted ?? places - 1); place++) {
      const bit = 1 << place;
      // Pairs with leave: the one that had the place before has ended all that it did.
      if ((Atomics.or(this.words, presentWord(side), bit) & bit) === 0) return place;
    }
    const action = side === "sender" ? "send" : "receive";
    throw new Error(
      wanted === undefined
        ? `Cannot ${action} as all ${places} places of ${side}s are taken: close one, reclaim it if its thread has died, or create the channel with more '${side}s'`
        : `Cannot ${action} as ${side} ${wanted} is attached: close it, or reclaim it if its thread has died`,
    );
  }

  /** Gives a place up; the last sender may close the channel. */
  leave(side: Side, place: number): void {
    const bit = 1 << place;
    const before = Atomics.and(this.words, presentWord(side), ~bit);
    if (side === "sender" && before === bit && this.has(CLOSE_WITH_LAST)) this.close();
  }
}

function presentWord(side: Side): number {
  return (side === "sender" ? SENDER_LINE : RECEIVER_LINE) + PRESENT;
}
