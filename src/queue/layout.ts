/**
 * The layout of a flush queue in memory: its words, those of its writers, and the tables of
 * buffers.
 *
 * Region (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | buffer bytes | buffers | writers | messages | identity | pool |
 *             |  written once, before the region is handed to another thread                  |
 *     word 16 | flusher |                  which thread flushes
 *     word 32 | flushed |                  which writers have published
 *     word 48 | writer 0 ...               `writers` of these
 *             | table of buffer 0 ...      `buffers` of these
 *
 * A writer:
 *
 *     word  0 | use |                            which thread or threads have it
 *     word 16 | current |                        the number of its latest segment
 *     word 32 | consumed | received | received | the next segment to receive, and how much of it
 *     word 48 | segment 0: reserved, buffer, id, is shared, ticket | segment 1 ...
 *
 * The table of a buffer, which belongs to the owner of the buffer:
 *
 *     | marks: 16 messages a word | offset and length of message 0 | ... | count of message 0 | ...
 *
 * A local writer stores messages that lie end to end, and have ended in order, in one slot of the
 * table; its count says how many they are. A message of a shared writer has a slot of its own, and
 * no count.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { alignUp, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";

/** The number of bytes of a buffer. */
const BUFFER_BYTES = FIRST_WORD;
/** The number of buffers of the pool. */
const BUFFER_COUNT = FIRST_WORD + 1;
/** The number of writers. */
const WRITER_COUNT = FIRST_WORD + 2;
/** The number of messages in a buffer. */
const MESSAGE_COUNT = FIRST_WORD + 3;
/** A random number that identifies the queue to handles of its writers. */
export const IDENTITY: number = FIRST_WORD + 4;
/** The identity of the pool that the buffers belong to. */
export const POOL: number = FIRST_WORD + 5;
/**
 * {@link UNOWNED}, {@link DIED}, or 1 + the thread of the pool that flushes. Taken by
 * compareExchange; released by its holder, or by the thread that reclaims the holder.
 */
export const FLUSHER = 16;
/**
 * A bit for each writer that has published, {@link ABANDONING} and {@link SLEEPING}. Set by `or` by
 * threads that publish or reclaim; taken as a whole by exchange by the flusher.
 */
export const FLUSHED = 32;
/** The words of the region before its writers. */
export const WRITERS = 48;

/** {@link FLUSHER}: no thread flushes. */
export const UNOWNED = 0;
/** {@link FLUSHER}: no thread flushes, and the last one that did has died. */
export const DIED: number = -1;

/** The most writers: {@link FLUSHED} has bits for so many. */
export const MAX_WRITERS = 30;
/** {@link FLUSHED}: writers of a dead thread must be cleaned up. */
export const ABANDONING: number = 1 << 30;
/** {@link FLUSHED}: nothing was published, and the flusher may sleep. */
export const SLEEPING: number = 1 << 31;

/**
 * The holder of the writer, and how often it was closed:
 *
 *      bit 31                      8 7                                                          0
 *     | closings                    | FREE, 1 + thread, SHARED + attached threads, or ABANDONED |
 *
 * Taken by compareExchange. Given back, with one more closing, by its holder once everything is
 * published, or, if that has died, by the flusher once everything has arrived.
 */
export const USE = 0;
/**
 * The number of the latest segment, shifted by {@link CURRENT_SHIFT}, with {@link SWITCHING} and
 * {@link WAITING}. Changed by read-modify-writes of the writing threads.
 */
export const CURRENT = 16;
/** The number of the segment that is received next; stored by the flusher. */
export const CONSUMED = 32;
/**
 * How many messages of that segment were received: the first of two words if its number is even,
 * the second if it is odd. Read and written plainly, by the flusher alone.
 */
export const RECEIVED = 33;
/** The words of a writer before its segments. */
export const SEGMENTS = 48;

/** The bits of {@link USE} that name the holder of the writer. */
export const HOLDER_MASK = 0xff;
/** {@link USE}: one closing. */
export const CLOSING = 0x100;
/** {@link USE}: no thread has this writer. */
export const FREE = 0;
/** {@link USE}: threads may share it; the bits below count them. */
export const SHARED = 0x40;
/** {@link USE}: its thread has died; the flusher frees it once all its messages have arrived. */
export const ABANDONED = 0xff;

/** {@link CURRENT}: a thread is about to open the next segment. */
export const SWITCHING = 1;
/** {@link CURRENT}: other threads sleep until it has. */
export const WAITING = 2;
/** {@link CURRENT}: the number of the segment is shifted by so many bits. */
export const CURRENT_SHIFT = 2;
/** The bits of a segment's number, which wraps. */
export const SEQUENCE_MASK: number = -1 >>> CURRENT_SHIFT;

/**
 * The bytes and the messages reserved in the segment, packed as {@link FlushQueueLayout.bytesBits}
 * says, and {@link CLOSED}. Changed by read-modify-writes of the writing threads; stored at
 * opening.
 */
export const RESERVED = 0;
/** The segment's buffer; written before the segment is opened. */
export const BUFFER = 1;
/** The user's number of the writer; likewise. */
export const ID = 2;
/** 1 if threads share the writer; likewise. */
export const IS_SHARED = 3;
/** The ticket of the buffer: written by the thread that opens the segment, then the flusher's. */
export const TICKET = 4;
/** {@link TICKET}: of no buffer. */
const NO_TICKET = -1;
/** The words of a segment. */
const SEGMENT_WORDS = 8;

/** {@link RESERVED}: no more can be claimed in this segment. */
export const CLOSED: number = 1 << 31;

/** A word of marks holds those of 2 to the power of this messages, in its low bits. */
export const MARKS_SHIFT = 4;
/** The messages of a word of marks, less one. */
export const MARKS_MASK = 15;
/** All marks of a word. */
export const MARKS: number = (1 << MARKS_MASK + 1) - 1;
/**
 * In a word of marks: a thread that ends a message here must publish it, as others wait behind it.
 */
export const STALLED: number = 1 << 16;

/** The length of a message that was aborted. */
export const ABORTED: number = -1;

/** The kind that handles of a shared writer name. */
export const WRITER_KIND = "busbar.writer";

const MAX_BUFFER_BYTES = 2 ** 26;
const DEFAULT_BYTES_PER_MESSAGE = 32;
const MIN_DEFAULT_MESSAGES = 16;

/** Where the words of one queue lie. */
export class FlushQueueLayout implements Layout {
  /** The number of bytes of a buffer. */
  readonly bufferBytes: number;
  /** The number of buffers of the pool. */
  readonly bufferCount: number;
  /** The number of writers. */
  readonly writerCount: number;
  /** The number of messages in a buffer. */
  readonly messageCount: number;
  /** The number of segments in a writer's ring: a power of two, not below the number of buffers. */
  readonly segmentCount: number;
  /** {@link RESERVED}: how many of its low bits count bytes; the rest counts messages. */
  readonly bytesBits: number;
  /** The words of marks in the table of a buffer. */
  readonly marksWords: number;
  /** The words from one table to the next. */
  readonly tableWords: number;
  readonly #writerWords: number;

  /** The layout for buffers of this size and so many of each. */
  constructor(bufferBytes: number, bufferCount: number, writerCount: number, messageCount: number) {
    this.bufferBytes = bufferBytes;
    this.bufferCount = bufferCount;
    this.writerCount = writerCount;
    this.messageCount = messageCount;
    this.segmentCount = bufferCount < 2 ? 1 : 2 ** (32 - Math.clz32(bufferCount - 1));
    this.bytesBits = bytesBits(bufferBytes);
    this.#writerWords = alignUp(SEGMENTS + this.segmentCount * SEGMENT_WORDS, CACHE_LINE_WORDS);
    this.marksWords = (messageCount + MARKS_MASK) >> MARKS_SHIFT;
    this.tableWords = alignUp(this.marksWords + 3 * messageCount, CACHE_LINE_WORDS);
  }

  /**
   * The layout for a pool, with so many writers and messages in a buffer.
   *
   * @throws {RangeError} If one of these is out of range.
   */
  static of(
    pool: { readonly bufferBytes: number; readonly bufferCount: number },
    writers: number,
    messagesPerBuffer: number | undefined,
  ): FlushQueueLayout {
    const action = "create flush queue";
    const { bufferBytes, bufferCount } = pool;
    checkInteger(action, "pool.bufferBytes", bufferBytes, 1, MAX_BUFFER_BYTES);
    checkInteger(action, "writers", writers, 1, MAX_WRITERS);
    const max = maxMessageCount(bufferBytes);
    const usual = Math.max(MIN_DEFAULT_MESSAGES, bufferBytes / DEFAULT_BYTES_PER_MESSAGE);
    const messages = messagesPerBuffer ?? Math.min(max, Math.ceil(usual));
    checkInteger(action, "messagesPerBuffer", messages, 1, max);
    return new FlushQueueLayout(bufferBytes, bufferCount, writers, messages);
  }

  /** The size of the region. */
  get byteLength(): number {
    return this.table(this.bufferCount) * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Word offset of the message counts within a table; add the slot. */
  get countsOffset(): number {
    return this.marksWords + 2 * this.messageCount;
  }

  /**
   * Where the ticket of a buffer lies that one message has to itself: in the table of that buffer,
   * which has no other use. Written by the thread that ends the message, before it marks it.
   */
  ownedTicket(buffer: number): number {
    return this.table(buffer) + this.marksWords;
  }

  /** The first word of a writer. */
  writer(index: number): number {
    return WRITERS + index * this.#writerWords;
  }

  /** The first word of a segment, of the writer whose words begin at `base`. */
  segment(base: number, sequence: number): number {
    return base + SEGMENTS + (sequence & (this.segmentCount - 1)) * SEGMENT_WORDS;
  }

  /** The first word of the table of a buffer, where its marks are. */
  table(buffer: number): number {
    return this.writer(this.writerCount) + buffer * this.tableWords;
  }

  /** Writes the header of an empty queue; no other thread has the memory yet. */
  initialize(words: Int32Array, identity: number, pool: number): void {
    words[BUFFER_BYTES] = this.bufferBytes;
    words[BUFFER_COUNT] = this.bufferCount;
    words[WRITER_COUNT] = this.writerCount;
    words[MESSAGE_COUNT] = this.messageCount;
    words[IDENTITY] = identity;
    words[POOL] = pool;
    for (let index = 0; index < this.writerCount; index++) {
      const base = this.writer(index);
      // Segment 0 counts as consumed, and like all places of the ring as closed and without
      // messages.
      words[base + CONSUMED] = 1;
      for (let place = 0; place < this.segmentCount; place++) {
        const segment = this.segment(base, place);
        words[segment + RESERVED] = CLOSED;
        words[segment + TICKET] = NO_TICKET;
      }
    }
  }

  /** Names the words, for an observer's reports. */
  *labels(): Generator<Label> {
    yield ["flusher", FLUSHER];
    yield ["flushed", FLUSHED];
    for (let index = 0; index < this.writerCount; index++) {
      const base = this.writer(index);
      const name = `writer${index}`;
      yield [`${name}.use`, base + USE];
      yield [`${name}.current`, base + CURRENT];
      yield [`${name}.consumed`, base + CONSUMED];
      yield [`${name}.received`, base + RECEIVED, 2];
      for (let place = 0; place < this.segmentCount; place++) {
        const segment = this.segment(base, place);
        yield [`${name}.reserved${place}`, segment + RESERVED];
        yield [`${name}.segment${place}`, segment + RESERVED + 1, SEGMENT_WORDS - 1];
      }
    }
    for (let buffer = 0; buffer < this.bufferCount; buffer++) {
      const table = this.table(buffer);
      yield [`marks${buffer}`, table, this.marksWords];
      yield [`messages${buffer}`, table + this.marksWords, 3 * this.messageCount];
    }
  }
}

/** The kind of flush queues. */
export const KIND: RegionKind<"busbar.flush_queue", FlushQueueLayout> = {
  kind: "busbar.flush_queue",
  magic: 0x666c7368, // "flsh"
  minBytes: WRITERS * Int32Array.BYTES_PER_ELEMENT,
  read(words) {
    const [bufferBytes, buffers, writers, messages] = [
      words[BUFFER_BYTES]!,
      words[BUFFER_COUNT]!,
      words[WRITER_COUNT]!,
      words[MESSAGE_COUNT]!,
    ];
    const isSound = bufferBytes > 0 && bufferBytes <= MAX_BUFFER_BYTES && buffers > 0 &&
      writers > 0 && writers <= MAX_WRITERS && messages > 0 &&
      messages <= maxMessageCount(bufferBytes);
    if (isSound) return new FlushQueueLayout(bufferBytes, buffers, writers, messages);
    throw new TypeError(
      `Cannot attach as the header of the flush queue is damaged: found ${buffers} buffers of ${bufferBytes} bytes, ${writers} writers, ${messages} messages per buffer`,
    );
  },
};

/** How many bits it takes to count the bytes of a buffer. */
function bytesBits(bufferBytes: number): number {
  return 32 - Math.clz32(bufferBytes);
}

/** The most messages that can be counted beside the bytes of a buffer. */
function maxMessageCount(bufferBytes: number): number {
  return 2 ** (31 - bytesBits(bufferBytes)) - 1;
}
