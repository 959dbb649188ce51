/**
 * The layout of a channel in memory: its words, their bits, and its size.
 *
 * Region (32-bit words; each line of the drawing is one or more cache lines):
 *
 *     word  0 | magic | version | capacity | inline bytes | senders | receivers | options | start |
 *             |   written once, before the channel is handed to another thread
 *     word 16 | orphans | lost | redelivered |               what dead threads left
 *     word 32 | tail |                                       how far cells are claimed
 *     word 48 | head |                                       how far messages are taken
 *     word 64 | waiting | tickets | dropped |                of the senders
 *     word 80 | waiting | tickets |                          of the receivers
 *     word 96 | member | ticket | wake |                     of sender 0
 *       ...
 *             | member | ticket | wake | taken |             of receiver 0
 *       ...
 *             | cell 0 | cell 1 ...                          the words of the cells
 *             | length 0 | length 1 ...                      of the message in each cell
 *             | message 0 | message 1 ...                    the bytes
 *
 * **The word of a cell** names its lap, what state it is in, and which sender or receiver has it:
 *
 *     | lap: the position divided by the capacity | ... | state, 3 bits | owner, 5 bits |
 *
 * The lap has the highest bits of the word, as many as a position has for it, but 24 at most: so
 * that laps wrap when positions do, and compare by wrapping subtraction.
 *
 * **Positions** count messages since the channel was made, modulo 2^32, and the message at position
 * `p` lies in cell `p % capacity`.
 *
 * @module
 */

import { checkInteger, checkPowerOfTwo } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS, isPowerOfTwo } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";

/** The number of cells. */
export const CAPACITY: number = FIRST_WORD;
/** The most bytes of a message in a cell. */
export const INLINE_BYTES: number = FIRST_WORD + 1;
/** How many senders there may be at once. */
export const SENDERS: number = FIRST_WORD + 2;
/** How many receivers there may be at once. */
export const RECEIVERS: number = FIRST_WORD + 3;
/** The options: {@link FULL_MODES}, {@link REDELIVER}, {@link CLOSE_WITH_LAST}. */
export const OPTIONS: number = FIRST_WORD + 4;
/** The position of the first message. */
export const START: number = FIRST_WORD + 5;

/** How often cells have become {@link ORPHAN}: increased after that. */
export const ORPHANS = 16;
/** How many messages were lost to threads that died. Changed by add. */
export const LOST = 17;
/** How many messages of threads that died were, or will be, delivered again. Changed by add. */
export const REDELIVERED = 18;
/**
 * A position before which all cells were claimed, not far behind the next one to claim. A sender
 * moves it on by compareExchange after it has claimed a cell whose position is next to a multiple
 * of 16, so not each time.
 */
export const TAIL = 32;
/** A position before which all messages were taken; as {@link TAIL}. */
export const HEAD = 48;
/** The line of the senders as a whole. */
export const SENDER_LINE = 64;
/** The line of the receivers as a whole. */
export const RECEIVER_LINE = 80;
/** The line of sender 0. */
export const MEMBER_LINES = 96;

/**
 * In the line of one side: a bit for each member that waits, set and cleared by that; in the line
 * of the senders, the gate, also {@link CLOSED}.
 */
export const WAITING = 0;
/** In the line of one side: the number of the next wait, or of the next member. By add. */
export const TICKETS = 1;
/** In the line of the senders: how many messages were dropped. Changed by add. */
export const DROPPED = 2;
/** In the gate: the channel was closed. Set by `or`. */
export const CLOSED: number = 1 << 31;

/** In a member's line: 0 if the place is free, or the number of the member. By compareExchange. */
export const MEMBER = 0;
/** In a member's line: since when it waits. Stored by it, before it sets its bit. */
export const TICKET = 1;
/** In a member's line: 1 once it was told to look again; it stores 0 before it looks. */
export const WAKE = 2;
/** In the line of the only receiver, beside one sender: how far it has taken messages. */
export const TAKEN = 3;

/** In a cell: nothing is in it, and the sender whose turn it is may claim it. */
export const FREE = 0;
/** In a cell: the sender that is its owner writes the message. */
export const WRITING: number = 1 << 5;
/** In a cell: a message to be taken. */
export const FULL: number = 2 << 5;
/** In a cell: the receiver that is its owner has the message. */
export const READING: number = 3 << 5;
/** In a cell: no message; receivers pass it. */
export const SKIPPED: number = 4 << 5;
/** In a cell: a message that a dead receiver had, to be taken by another. */
export const ORPHAN: number = 5 << 5;
/** In a cell: the end; nothing is claimed or taken from here on. */
export const END: number = 6 << 5;
/** The bits of the state. */
export const STATE_MASK: number = 7 << 5;
/** How many bits state and owner have together. */
export const STATE_BITS = 8;

/** In place of a length: the message lies in the pool, and four words say where. */
export const IN_POOL = -1;

/** The largest channel. */
export const MAX_CAPACITY: number = 2 ** 22;
/** The fewest bytes that a cell has for its message: the four words of a packet. */
export const MIN_INLINE_BYTES = 16;
/** The most bytes that a cell has for its message. */
export const MAX_INLINE_BYTES: number = 2 ** 20;
/** The most senders, and the most receivers. */
export const MAX_MEMBERS = 31;

/** What becomes of a message for which there is no room, by its number in {@link OPTIONS}. */
export const FULL_MODES = ["wait", "fail", "drop"] as const;
/** The bits of {@link OPTIONS} for the mode. */
export const FULL_MODE_MASK = 3;
/** In {@link OPTIONS}: what a dead receiver had is delivered again. */
export const REDELIVER = 4;
/** In {@link OPTIONS}: it closes when the last sender leaves. */
export const CLOSE_WITH_LAST = 8;

/** Whether the word of the gate says that the channel was closed. */
export function isClosedGate(gate: number): boolean {
  return gate < 0;
}

/** By how much the number of a lap is shifted in the word of a cell. */
export function lapShiftOf(capacity: number): number {
  return Math.max(STATE_BITS, 31 - Math.clz32(capacity));
}

/** What a channel is laid out by. */
export interface ChannelSize {
  /** The number of cells. */
  readonly capacity: number;
  /** The most bytes of a message in a cell. */
  readonly inlineBytes: number;
  /** How many senders there may be at once. */
  readonly senders: number;
  /** How many receivers there may be at once. */
  readonly receivers: number;
  /** What happens in which case. */
  readonly options: number;
  /** The position of the first message. */
  readonly start: number;
}

/** The layout of one channel. */
export class ChannelLayout implements Layout {
  /** What it is laid out by. */
  readonly size: ChannelSize;
  /** The word of cell 0; the others follow. */
  readonly cells: number;
  /** The length of the message in cell 0. */
  readonly lengths: number;
  /** The first word of the message in cell 0. */
  readonly messages: number;
  /** The words from a message to the next. */
  readonly stride: number;
  /** The size of the region. */
  readonly byteLength: number;

  private constructor(size: ChannelSize) {
    this.size = size;
    const members = size.senders + size.receivers;
    this.cells = MEMBER_LINES + members * CACHE_LINE_WORDS;
    const words = this.isSingle ? 0 : size.capacity;
    this.lengths = this.cells + alignUp(words, CACHE_LINE_WORDS);
    this.messages = this.lengths + alignUp(size.capacity, CACHE_LINE_WORDS);
    this.stride = alignUp(size.inlineBytes, 8) / 4;
    this.byteLength = alignUp(
      (this.messages + size.capacity * this.stride) * 4,
      CACHE_LINE_BYTES,
    );
  }

  /** The layout of a new channel. */
  static of(size: ChannelSize): ChannelLayout {
    const action = "create channel";
    checkPowerOfTwo(action, "capacity", size.capacity, 1, MAX_CAPACITY);
    checkInteger(action, "inlineBytes", size.inlineBytes, MIN_INLINE_BYTES, MAX_INLINE_BYTES);
    checkInteger(action, "senders", size.senders, 1, MAX_MEMBERS);
    checkInteger(action, "receivers", size.receivers, 1, MAX_MEMBERS);
    checkInteger(action, "start", size.start, 0, 2 ** 32 - 1);
    return new ChannelLayout(size);
  }

  /**
   * The layout that the header states.
   *
   * @throws {TypeError} If no channel has such a layout.
   */
  static read(words: Int32Array): ChannelLayout {
    const size: ChannelSize = {
      capacity: words[CAPACITY]!,
      inlineBytes: words[INLINE_BYTES]!,
      senders: words[SENDERS]!,
      receivers: words[RECEIVERS]!,
      options: words[OPTIONS]!,
      start: words[START]! >>> 0,
    };
    const isWithin = (count: number, min: number, max: number) => count >= min && count <= max;
    const isValid = isPowerOfTwo(size.capacity) && size.capacity <= MAX_CAPACITY &&
      isWithin(size.inlineBytes, MIN_INLINE_BYTES, MAX_INLINE_BYTES) &&
      isWithin(size.senders, 1, MAX_MEMBERS) && isWithin(size.receivers, 1, MAX_MEMBERS) &&
      (size.options & FULL_MODE_MASK) < FULL_MODES.length;
    if (isValid) return new ChannelLayout(size);
    throw new TypeError(
      `Cannot attach as no channel has ${size.capacity} cells of ${size.inlineBytes} bytes, ${size.senders} senders and ${size.receivers} receivers`,
    );
  }

  /** Whether there is one sender and one receiver: cells have no words then, only cursors. */
  get isSingle(): boolean {
    return this.size.senders === 1 && this.size.receivers === 1;
  }

  /** The first word of a sender's line. */
  senderLine(place: number): number {
    return MEMBER_LINES + place * CACHE_LINE_WORDS;
  }

  /** The first word of a receiver's line. */
  receiverLine(place: number): number {
    return this.senderLine(this.size.senders + place);
  }

  /** Writes the header and the first cells, before the region is handed to another thread. */
  initialize(words: Int32Array): void {
    const { size } = this;
    words[CAPACITY] = size.capacity;
    words[INLINE_BYTES] = size.inlineBytes;
    words[SENDERS] = size.senders;
    words[RECEIVERS] = size.receivers;
    words[OPTIONS] = size.options;
    words[START] = size.start;
    const cursor = this.isSingle ? size.start << 1 : size.start;
    words[TAIL] = cursor;
    words[HEAD] = cursor;
    if (this.isSingle) {
      words[this.receiverLine(0) + TAKEN] = cursor;
      return;
    }
    const down = 31 - Math.clz32(size.capacity);
    const up = lapShiftOf(size.capacity);
    for (let i = 0; i < size.capacity; i++) {
      const position = size.start + i | 0;
      words[this.cells + (position & (size.capacity - 1))] = (position >>> down) << up;
    }
  }

  /** Names the words. */
  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY];
    yield ["inlineBytes", INLINE_BYTES];
    yield ["senders", SENDERS];
    yield ["receivers", RECEIVERS];
    yield ["options", OPTIONS];
    yield ["start", START];
    yield ["orphans", ORPHANS];
    yield ["lost", LOST];
    yield ["redelivered", REDELIVERED];
    yield ["tail", TAIL];
    yield ["head", HEAD];
    for (const [side, line] of [["senders", SENDER_LINE], ["receivers", RECEIVER_LINE]] as const) {
      yield [`${side}.waiting`, line + WAITING];
      yield [`${side}.tickets`, line + TICKETS];
    }
    yield ["dropped", SENDER_LINE + DROPPED];
    for (let i = 0; i < this.size.senders; i++) {
      yield [`sender[${i}].member`, this.senderLine(i) + MEMBER];
      yield [`sender[${i}].ticket`, this.senderLine(i) + TICKET];
      yield [`sender[${i}].wake`, this.senderLine(i) + WAKE];
    }
    for (let i = 0; i < this.size.receivers; i++) {
      yield [`receiver[${i}].member`, this.receiverLine(i) + MEMBER];
      yield [`receiver[${i}].ticket`, this.receiverLine(i) + TICKET];
      yield [`receiver[${i}].wake`, this.receiverLine(i) + WAKE];
      if (this.isSingle) yield ["taken", this.receiverLine(i) + TAKEN];
    }
    for (let i = 0; i < this.size.capacity; i++) {
      if (!this.isSingle) yield [`cell[${i}]`, this.cells + i];
      yield [`length[${i}]`, this.lengths + i];
      yield [`message[${i}]`, this.messages + i * this.stride, this.stride];
    }
  }
}

/** The kind of a channel; the magic word is "chan". */
export const KIND: RegionKind<"busbar.channel", ChannelLayout> = {
  kind: "busbar.channel",
  magic: 0x6368616e,
  minBytes: MEMBER_LINES * 4,
  read: ChannelLayout.read,
};
