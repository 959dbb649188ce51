/**
 * The layout of a domain in memory: members, waiters, the table of slots, and the data of slots.
 *
 * Region (32-bit words; each line of the drawing is one or more cache lines):
 *
 *     word  0 | magic | version | slots | members | waiters | data lines |    written once
 *     word 16 | head |                         the slot that was listed last
 *     word 32 | state |                        of member 0
 *       ...
 *             | owner | signal |               of waiter 0
 *       ...
 *             | card ...                       of table entry 0: what the slot is
 *             | name, 64 bytes
 *             | published | high | index, if it is short ... |
 *             | hold bits |
 *             | wake summary | joined | left | died | wake bits ... |
 *       ...
 *             | data                           given to slots as they are listed, in that order
 *
 * Data of one slot:
 *
 *             | owner | entry | since | 0 |    of hold seat 0
 *       ...
 *             | owner | 0 | since |            of writer seat 0
 *       ...
 *             | index, if it is long ...       which entry has which message
 *             | state | length | 0 | 0 | bytes of the message ...              entry 0
 *       ...
 *
 * All words of data are valid when they are zero.
 *
 * **Sequence words.** Messages of a slot are numbered from 1. Where a word holds a number, it holds
 * it modulo 2^28, times {@link UNIT}, with flags below. Numbers compare by wrapping subtraction
 * while they are less than 2^27 apart.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";

const SLOTS = FIRST_WORD;
const MEMBERS = FIRST_WORD + 1;
const WAITERS = FIRST_WORD + 2;
const DATA_LINES = FIRST_WORD + 3;

/**
 * The table entry that was listed last, plus 1; 0 if there is none. Changed by compareExchange by a
 * thread that lists a slot, which is then the last one.
 */
export const HEAD = 16;
const MEMBER_LINES = 32;

/** In a waiter's line: 0, or the member that has the waiter. By compareExchange. */
export const WAITER_OWNER = 0;
/**
 * In a waiter's line: {@link IDLE} or {@link WAITING}. Exchanged by its owner, and set back by
 * compareExchange by a thread that wakes it.
 */
export const SIGNAL = 1;

/** In the word {@link SIGNAL}: nobody needs to be woken. */
export const IDLE = 0;
/** In the word {@link SIGNAL}: a thread or task may sleep on this word. */
export const WAITING = 1;

/** In a table entry: 0, the member that prepares it, or {@link LISTED}. By compareExchange. */
export const ENTRY_STATE = 0;
/** In a table entry: the one that was listed before, as in {@link HEAD}. */
export const NEXT = 1;
/** In a table entry: how many are listed, this one included. */
export const COUNT = 2;
/** In a table entry: the first cache line of its data. */
export const DATA_LINE = 3;
/** In a table entry: how many cache lines of data it has. */
export const SIZE_LINES = 4;
/** In a table entry: the bytes of the largest message. */
export const MESSAGE_BYTES = 5;
/** In a table entry: how many messages are kept. */
export const HISTORY = 6;
/** In a table entry: how many can be held at once. */
export const HOLDS = 7;
/** In a table entry: how many writers there can be at once. */
export const WRITERS = 8;
/** In a table entry: 1 if its messages are records. */
export const TYPED = 9;
/** In a table entry: the fingerprint of the record, two words. */
export const FINGERPRINT = 10;
/** In a table entry: how many bytes its name has. */
export const NAME_BYTES = 12;
/** In a table entry: its name in UTF-8. */
export const NAME: number = CACHE_LINE_WORDS;
/** In a table entry: the number of the last message, and {@link CLOSED}. By compareExchange, or. */
export const PUBLISHED: number = 2 * CACHE_LINE_WORDS;
/** In a table entry: that number / 2^27, and at times one more. By compareExchange, before it. */
export const PUBLISHED_HIGH: number = 2 * CACHE_LINE_WORDS + 1;
/** In a table entry: the index, if it has at most {@link NEAR_INDEX_WORDS}: one line for all. */
export const NEAR_INDEX: number = 2 * CACHE_LINE_WORDS + 2;
const NEAR_INDEX_WORDS = 8;
/** In a table entry: a bit for each hold seat that holds. By or, and. */
export const HOLD_BITS: number = 3 * CACHE_LINE_WORDS;
/** In a table entry: a bit for each word of {@link WAKE_BITS} that was ever used. By or. */
export const WAKE_SUMMARY: number = 4 * CACHE_LINE_WORDS;
/** In a table entry: how many writers have joined. By add. */
export const JOINED: number = WAKE_SUMMARY + 1;
/** In a table entry: how many writers have left. By add. */
export const LEFT: number = WAKE_SUMMARY + 2;
/** In a table entry: how many writers were reclaimed. By add. */
export const DIED: number = WAKE_SUMMARY + 3;
/** In a table entry: a bit for each waiter that publications wake. By or, and. */
export const WAKE_BITS: number = WAKE_SUMMARY + 4;

/** In the word {@link ENTRY_STATE}: the slot is listed, for good. */
export const LISTED = -1;

/** In a seat of a slot: 0, or the member that has it. By compareExchange. */
export const SEAT_OWNER = 0;
/** In a hold seat: the entry that is held, plus 1. Stored by the owner before its bit is set. */
export const HELD_ENTRY = 1;
/** In a seat: when it was taken, in milliseconds since 1970, modulo 2^32. Stored by the owner. */
export const SINCE = 2;
/** The words of a hold seat. */
export const HOLD_SEAT_WORDS = 4;

/**
 * In an entry: the number of its message and {@link READABLE}; the number and the seat of the
 * writer that has claimed it, plus 1; or {@link EMPTY}. By compareExchange, exchange, and by add of
 * 0 by readers.
 */
export const STATE = 0;
/** In an entry: the bytes of its message. Plain, by the writer that has claimed it. */
export const LENGTH = 1;
/** The words before the bytes of a message. */
export const ENTRY_HEADER_WORDS = 4;

/** The number of a message after another. */
export const UNIT = 16;
/** By how much a number is shifted. */
export const UNIT_SHIFT = 4;
/** The flags below a number. */
export const FLAGS = 15;
/** In the word {@link PUBLISHED}: nothing more is published. */
export const CLOSED = 1;
/** In the word {@link STATE}: the entry can be claimed, whatever its number. */
export const EMPTY = 0;
/** In the word {@link STATE}: the message can be read. */
export const READABLE = 15;
/** How many messages {@link PUBLISHED_HIGH} counts as one. */
export const HIGH_UNIT: number = 2 ** 27;

/** The most members. */
export const MAX_MEMBERS = 512;
/** The most waiters: a bit of {@link WAKE_SUMMARY} for each 32. */
export const MAX_WAITERS = 1024;
/** The most slots. */
export const MAX_SLOTS = 65536;
/** The most bytes of a name. */
export const MAX_NAME_BYTES: number = CACHE_LINE_BYTES;
/** The largest message. */
export const MAX_MESSAGE_BYTES: number = 2 ** 30;
/** The most messages that are kept. */
export const MAX_HISTORY = 65536;
/** The most holds: a bit of {@link HOLD_BITS} for each. */
export const MAX_HOLDS = 31;
/** The most writers of a slot: their seats and two more values fit the flags. */
export const MAX_WRITERS = 14;

/** What a domain is laid out by. */
export interface DomainSize {
  /** The most slots. */
  readonly slots: number;
  /** The most members. */
  readonly members: number;
  /** The most waiters. */
  readonly waiters: number;
  /** The bytes of all slots' data. */
  readonly dataBytes: number;
}

/** The layout of one domain. */
export class DomainLayout implements Layout {
  /** What it is laid out by. */
  readonly size: DomainSize;
  /** How many table entries there are: one more for each member, which may prepare one. */
  readonly entries: number;
  /** How many words of {@link WAKE_BITS} a table entry has. */
  readonly wakeWords: number;
  /** The first word of the first waiter's line. */
  readonly waiterLines: number;
  /** The first word of the first table entry. */
  readonly table: number;
  /** The words of a table entry. */
  readonly entryWords: number;
  /** The first word of the data. */
  readonly data: number;
  /** How many cache lines of data there are. */
  readonly dataLines: number;
  /** The size of the region. */
  readonly byteLength: number;

  private constructor(size: DomainSize) {
    const { slots, members, waiters, dataBytes } = size;
    this.size = size;
    this.entries = slots + members;
    this.wakeWords = Math.ceil(waiters / 32);
    this.waiterLines = MEMBER_LINES + members * CACHE_LINE_WORDS;
    this.table = this.waiterLines + waiters * CACHE_LINE_WORDS;
    this.entryWords = alignUp(WAKE_BITS + this.wakeWords, CACHE_LINE_WORDS);
    this.data = this.table + this.entries * this.entryWords;
    this.dataLines = Math.ceil(dataBytes / CACHE_LINE_BYTES);
    this.byteLength = this.data * 4 + this.dataLines * CACHE_LINE_BYTES;
  }

  /** The layout of a new domain. */
  static of(size: DomainSize): DomainLayout {
    const action = "create domain";
    checkInteger(action, "slots", size.slots, 1, MAX_SLOTS);
    checkInteger(action, "members", size.members, 1, MAX_MEMBERS);
    checkInteger(action, "waiters", size.waiters, 1, MAX_WAITERS);
    checkInteger(action, "dataBytes", size.dataBytes, 1, 2 ** 32);
    return new DomainLayout(size);
  }

  /**
   * The layout that the header states.
   *
   * @throws {TypeError} If no domain has such a layout.
   */
  static read(words: Int32Array): DomainLayout {
    const [slots, members, waiters] = [words[SLOTS]!, words[MEMBERS]!, words[WAITERS]!];
    const lines = words[DATA_LINES]!;
    const isValid = slots >= 1 && slots <= MAX_SLOTS && members >= 1 && members <= MAX_MEMBERS &&
      waiters >= 1 && waiters <= MAX_WAITERS && lines >= 1;
    if (!isValid) {
      throw new TypeError(
        `Cannot attach as no domain has ${slots} slots, ${members} members, ${waiters} waiters and ${lines} lines of data`,
      );
    }
    return new DomainLayout({ slots, members, waiters, dataBytes: lines * CACHE_LINE_BYTES });
  }

  /** Writes the header, before the region is handed to another thread. */
  initialize(words: Int32Array): void {
    words[SLOTS] = this.size.slots;
    words[MEMBERS] = this.size.members;
    words[WAITERS] = this.size.waiters;
    words[DATA_LINES] = this.dataLines;
  }

  /** The word with the state of a member. */
  member(member: number): number {
    return MEMBER_LINES + member * CACHE_LINE_WORDS;
  }

  /** The first word of a waiter's line. */
  waiter(waiter: number): number {
    return this.waiterLines + waiter * CACHE_LINE_WORDS;
  }

  /** The first word of a table entry. */
  entry(entry: number): number {
    return this.table + entry * this.entryWords;
  }

  /** Names the words, for an observer's reports. */
  *labels(): Generator<Label> {
    yield ["sizes", SLOTS, 4];
    yield ["head", HEAD];
    for (let i = 0; i < this.size.members; i++) yield [`member[${i}]`, this.member(i)];
    for (let i = 0; i < this.size.waiters; i++) {
      yield [`waiter[${i}].owner`, this.waiter(i) + WAITER_OWNER];
      yield [`waiter[${i}].signal`, this.waiter(i) + SIGNAL];
    }
    for (let i = 0; i < this.entries; i++) {
      const first = this.entry(i);
      yield [`slot[${i}].state`, first + ENTRY_STATE];
      yield [`slot[${i}].card`, first + NEXT, NAME_BYTES];
      yield [`slot[${i}].name`, first + NAME, MAX_NAME_BYTES / 4];
      yield [`slot[${i}].published`, first + PUBLISHED];
      yield [`slot[${i}].high`, first + PUBLISHED_HIGH];
      yield [`slot[${i}].index`, first + NEAR_INDEX, NEAR_INDEX_WORDS];
      yield [`slot[${i}].holdBits`, first + HOLD_BITS];
      yield [`slot[${i}].wakeSummary`, first + WAKE_SUMMARY];
      yield [`slot[${i}].joined`, first + JOINED];
      yield [`slot[${i}].left`, first + LEFT];
      yield [`slot[${i}].died`, first + DIED];
      yield [`slot[${i}].wakeBits`, first + WAKE_BITS, this.wakeWords];
    }
    yield ["data", this.data, this.dataLines * CACHE_LINE_WORDS];
  }
}

/** The kind of a domain; the magic word is "doma". */
export const KIND: RegionKind<"busbar.domain", DomainLayout> = {
  kind: "busbar.domain",
  magic: 0x646f6d61,
  minBytes: MEMBER_LINES * 4,
  read: DomainLayout.read,
};

/** What the data of a slot is laid out by. */
export interface SlotSize {
  /** The bytes of the largest message. */
  readonly messageBytes: number;
  /** How many messages are kept. */
  readonly history: number;
  /** How many can be held at once. */
  readonly holds: number;
  /** How many writers there can be at once. */
  readonly writers: number;
}

/** The layout of the data of one slot, from its first word on. */
export class SlotLayout {
  /** What it is laid out by. */
  readonly size: SlotSize;
  /** The number of entries: what is kept, what may be held besides, and what may be claimed. */
  readonly entries: number;
  /** The first word of writer seat 0; the hold seats are before. */
  readonly writerSeats: number;
  /** The first word of the index; undefined if that is in the table entry. */
  readonly index: number | undefined;
  /** The words of the index, a power of two. */
  readonly indexWords: number;
  /** How many bits of an index word name an entry. */
  readonly entryBits: number;
  /** The first word of entry 0. */
  readonly first: number;
  /** The words of an entry. */
  readonly stride: number;
  /** How many cache lines all takes. */
  readonly lines: number;

  /** The layout for a size that was checked. */
  constructor(size: SlotSize) {
    const { messageBytes, history, holds, writers } = size;
    this.size = size;
    this.entries = history + holds + writers;
    this.writerSeats = alignUp(holds * HOLD_SEAT_WORDS, CACHE_LINE_WORDS);
    const seats = this.writerSeats + writers * CACHE_LINE_WORDS;
    // One more than is kept, so that the next message does not overwrite the place of the oldest.
    // With 4 at least, the number of a lap and an entry fit a word.
    this.indexWords = Math.max(4, 1 << 32 - Math.clz32(history));
    // Entries are named from 1 on, so that a word that was never written names none.
    this.entryBits = 32 - Math.clz32(this.entries);
    const isNear = this.indexWords <= NEAR_INDEX_WORDS;
    this.index = isNear ? undefined : seats;
    this.first = isNear ? seats : alignUp(seats + this.indexWords, CACHE_LINE_WORDS);
    this.stride = alignUp(ENTRY_HEADER_WORDS + Math.ceil(messageBytes / 4), CACHE_LINE_WORDS);
    this.lines = (this.first + this.entries * this.stride) / CACHE_LINE_WORDS;
  }

  /** The bytes that it takes. */
  get byteLength(): number {
    return this.lines * CACHE_LINE_BYTES;
  }

  /**
   * Checks the size of a slot.
   *
   * @throws {RangeError} If a number is out of its range.
   */
  static of(action: string, size: SlotSize): SlotLayout {
    checkInteger(action, "messageBytes", size.messageBytes, 1, MAX_MESSAGE_BYTES);
    checkInteger(action, "history", size.history, 1, MAX_HISTORY);
    checkInteger(action, "holds", size.holds, 0, MAX_HOLDS);
    checkInteger(action, "writers", size.writers, 1, MAX_WRITERS);
    return new SlotLayout(size);
  }
}
