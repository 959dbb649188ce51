/**
 * The layout of a flush queue in memory: its words, those of its writers, and the tables of buffers.
 *
 * Region (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | buffer size | buffers | writers | messages a buffer | identity | pool |
 *     word 16 | flusher |              who receives
 *     word 32 | flushed |              which writers have flushed
 *     word 48 | writer 0 ...           `writers` of these
 *             | table of buffer 0 ...  `buffers` of these
 *
 * A writer:
 *
 *     word  0 | use |                            who has it
 *     word 16 | current |                        the number of its latest segment
 *     word 32 | consumed | received | received | the segment that is received next, and how much of it
 *     word 48 | segment 0: reserved, buffer, id, is shared, ticket | segment 1 ...
 *
 * A buffer's table, which belongs to whoever the buffer belongs to:
 *
 *     | marks: 16 messages a word | offset and length of message 0 | ... | count of message 0 | ...
 *
 * A local writer puts messages that lie end to end, and have ended in order, into one place of the
 * table; its count says how many. For a shared writer each has a place for itself, and no count.
 *
 * @module
 */

import { alignUp, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { FIRST_WORD, type Region, type RegionKind } from "../memory/region.ts";

/** What flush queues are called. */
export type FlushQueueKind = "busbar.flushQueue";

/** By what flush queues are known. */
export const FLUSH_QUEUE: RegionKind<FlushQueueKind> = {
  kind: "busbar.flushQueue",
  version: 3,
  magic: 0x666c7368, // "flsh"
};

/** The bytes of a buffer. Written once, as all words up to {@link FLUSHER}. */
export const BUFFER_BYTES: number = FIRST_WORD;
/** How many buffers the pool has. */
export const BUFFER_COUNT: number = FIRST_WORD + 1;
/** How many writers there may be. */
export const WRITER_COUNT: number = FIRST_WORD + 2;
/** How many messages a buffer may hold. */
export const MESSAGE_COUNT: number = FIRST_WORD + 3;
/** A random number by which the queue is known to handles of its writers. */
export const IDENTITY: number = FIRST_WORD + 4;
/** The identity of the pool that the buffers are of. */
export const POOL: number = FIRST_WORD + 5;
/**
 * {@link NOBODY}, {@link DIED}, or 1 + the thread of the pool that receives. Taken by compareExchange,
 * given back by its holder, or by who reclaims that.
 */
export const FLUSHER = 16;
/**
 * A bit for each writer that has flushed, {@link ABANDONING} and {@link SLEEPING}. Or-ed to by who
 * flushes or reclaims; taken whole by exchange by the flusher.
 */
export const FLUSHED = 32;
/** The words of the region before its writers. */
export const WRITERS = 48;

/** {@link FLUSHER}: nobody receives. */
export const NOBODY = 0;
/** {@link FLUSHER}: nobody receives, and who did so last has died. */
export const DIED: number = -1;

/** How many writers {@link FLUSHED} has bits for. */
export const MOST_WRITERS = 30;
/** {@link FLUSHED}: the writers of a thread that died are to be settled. */
export const ABANDONING: number = 1 << 30;
/** {@link FLUSHED}: nothing was flushed, and the flusher may sleep. */
export const SLEEPING: number = 1 << 31;

/**
 * {@link FREE}, 1 + the thread of the pool that has it for itself, {@link SHARED} plus how many have
 * attached, or {@link ABANDONED}.
 */
export const USE = 0;
/**
 * The number of the latest segment, shifted by {@link CURRENT_SHIFT}, with {@link SWITCHING} and
 * {@link WAITING}. Changed by read-modify-writes of the threads that write.
 */
export const CURRENT = 16;
/** The number of the segment that is received next; stored by the flusher. */
export const CONSUMED = 32;
/**
 * How many messages of that segment were received: the first of two words if its number is even, the second
 * if it is odd. Read and written plainly, by the flusher alone.
 */
export const RECEIVED = 33;
/** The words of a writer before its segments. */
export const SEGMENTS = 48;

/** {@link USE}: nobody has this writer. */
export const FREE = 0;
/** {@link USE}: threads may share it; the low bits count them. */
export const SHARED: number = 1 << 30;
/** {@link USE}: who had it has died; the flusher makes it free once all has arrived. */
export const ABANDONED: number = -1;

/** {@link CURRENT}: a thread is about to open the next segment. */
export const SWITCHING = 1;
/** {@link CURRENT}: others sleep until it has. */
export const WAITING = 2;
/** {@link CURRENT}: how far the number of the segment is shifted. */
export const CURRENT_SHIFT = 2;
/** The bits of a segment's number, which wraps. */
export const SEQUENCE_MASK: number = -1 >>> CURRENT_SHIFT;

/**
 * The bytes and the messages reserved in the segment, packed as {@link Shape} says, and
 * {@link CLOSED}. Changed by read-modify-writes of the threads that write; stored at opening.
 */
export const RESERVED = 0;
/** The segment's buffer; written before the segment is opened. */
export const BUFFER = 1;
/** The user's number of the writer; likewise. */
export const ID = 2;
/** 1 if threads share the writer; likewise. */
export const IS_SHARED = 3;
/** What lets the flusher take the buffer over: written by who opens the segment, then the flusher's. */
export const TICKET = 4;
/** {@link TICKET}: of no buffer. */
export const NO_TICKET: number = -1;
/** The words of a segment. */
export const SEGMENT_WORDS = 8;

/** {@link RESERVED}: nothing more may be reserved here. */
export const CLOSED: number = 1 << 31;

/** A word of marks holds those of 2 to the power of this messages, in its low bits. */
export const MARKS_SHIFT = 4;
/** The messages of a word of marks, less one. */
export const MARKS_MASK = 15;
/** All marks of a word. */
export const MARKS: number = (1 << MARKS_MASK + 1) - 1;
/** In a word of marks: who ends a message here must flush it, since others wait behind it. */
export const STALLED: number = 1 << 16;

/** The length of a message that was given up. */
export const ABORTED: number = -1;

/** The most bytes that a buffer may have. */
export const MAX_BUFFER_BYTES: number = 2 ** 26;

/** The shape of one queue, and what follows from it. */
export class Shape {
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** How many buffers the pool has. */
  readonly bufferCount: number;
  /** How many writers there may be. */
  readonly writerCount: number;
  /** How many messages a buffer may hold. */
  readonly messageCount: number;
  /** How many segments a writer's ring has: a power of two, not below the number of buffers. */
  readonly segmentCount: number;
  /** {@link RESERVED}: how many of its low bits count bytes; the rest counts messages. */
  readonly bytesBits: number;
  readonly #writerWords: number;
  readonly #marksWords: number;
  readonly #tableWords: number;

  /** Computes it. */
  constructor(bufferBytes: number, bufferCount: number, writerCount: number, messageCount: number) {
    this.bufferBytes = bufferBytes;
    this.bufferCount = bufferCount;
    this.writerCount = writerCount;
    this.messageCount = messageCount;
    this.segmentCount = bufferCount < 2 ? 1 : 2 ** (32 - Math.clz32(bufferCount - 1));
    this.bytesBits = bytesBits(bufferBytes);
    const line = CACHE_LINE_WORDS;
    this.#writerWords = alignUp(SEGMENTS + this.segmentCount * SEGMENT_WORDS, line);
    this.#marksWords = (messageCount + MARKS_MASK) >> MARKS_SHIFT;
    this.#tableWords = alignUp(this.#marksWords + 3 * messageCount, line);
  }

  /** The size of the region. */
  get byteLength(): number {
    return this.table(this.bufferCount) * Int32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Where the ticket of a buffer that one message has for its own stands: in its table, which is not
   * used otherwise. Written by who ends the message, before it marks it.
   */
  ownedTicket(buffer: number): number {
    return this.table(buffer) + this.#marksWords;
  }

  /** From where in a table offset and length of a message are to where its count is, less the message. */
  get countsOffset(): number {
    return this.#marksWords + 2 * this.messageCount;
  }

  /** The words of marks that a buffer has. */
  get marksWords(): number {
    return this.#marksWords;
  }

  /** Where the words of a writer begin. */
  writer(index: number): number {
    return WRITERS + index * this.#writerWords;
  }

  /** Where the words of a segment begin, of the writer whose words begin at `base`. */
  segment(base: number, sequence: number): number {
    return base + SEGMENTS + (sequence & (this.segmentCount - 1)) * SEGMENT_WORDS;
  }

  /** Where the table of a buffer begins, which is where its marks do. */
  table(buffer: number): number {
    return this.writer(this.writerCount) + buffer * this.#tableWords;
  }
}

/** How many bits it takes to count the bytes of a buffer. */
function bytesBits(bufferBytes: number): number {
  return 32 - Math.clz32(bufferBytes);
}

/** The greatest number of messages that can be counted beside the bytes of a buffer. */
export function largestMessageCount(bufferBytes: number): number {
  return 2 ** (31 - bytesBits(bufferBytes)) - 1;
}

/** Writes the header of a queue of this shape; nobody else has the memory yet. */
export function initialize(words: Int32Array, shape: Shape, identity: number, pool: number): void {
  words[BUFFER_BYTES] = shape.bufferBytes;
  words[BUFFER_COUNT] = shape.bufferCount;
  words[WRITER_COUNT] = shape.writerCount;
  words[MESSAGE_COUNT] = shape.messageCount;
  words[IDENTITY] = identity;
  words[POOL] = pool;
  for (let index = 0; index < shape.writerCount; index++) {
    const base = shape.writer(index);
    // Segment 0 counts as consumed, and like all places of the ring as closed and without messages.
    words[base + CONSUMED] = 1;
    for (let place = 0; place < shape.segmentCount; place++) {
      const segment = shape.segment(base, place);
      words[segment + RESERVED] = CLOSED;
      words[segment + TICKET] = NO_TICKET;
    }
  }
}

/** The shape that the header says. */
export function readShape(words: Int32Array): Shape {
  const [bufferBytes, buffers, writers, messages] = [
    words[BUFFER_BYTES]!,
    words[BUFFER_COUNT]!,
    words[WRITER_COUNT]!,
    words[MESSAGE_COUNT]!,
  ];
  const isShape = bufferBytes > 0 && bufferBytes <= MAX_BUFFER_BYTES && buffers > 0 &&
    writers > 0 && writers <= MOST_WRITERS && messages > 0 &&
    messages <= largestMessageCount(bufferBytes);
  if (!isShape) {
    throw new TypeError(
      `Cannot attach as the queue's header is damaged: found ${buffers} buffers of ${bufferBytes} bytes, ${writers} writers, ${messages} messages a buffer`,
    );
  }
  return new Shape(bufferBytes, buffers, writers, messages);
}

/** Names the words for an observer's reports. */
export function labelRegion(region: Region<FlushQueueKind>, shape: Shape): void {
  region.label("flusher", FLUSHER);
  region.label("flushed", FLUSHED);
  for (let index = 0; index < shape.writerCount; index++) {
    const base = shape.writer(index);
    const name = `writer${index}`;
    region.label(`${name}.use`, base + USE);
    region.label(`${name}.current`, base + CURRENT);
    region.label(`${name}.consumed`, base + CONSUMED);
    region.label(`${name}.received`, base + RECEIVED, 2);
    for (let place = 0; place < shape.segmentCount; place++) {
      const segment = shape.segment(base, place);
      region.label(`${name}.reserved${place}`, segment + RESERVED);
      region.label(`${name}.segment${place}`, segment + RESERVED + 1, SEGMENT_WORDS - 1);
    }
  }
  for (let buffer = 0; buffer < shape.bufferCount; buffer++) {
    const table = shape.table(buffer);
    region.label(`marks${buffer}`, table, shape.marksWords);
    region.label(`messages${buffer}`, table + shape.marksWords, 3 * shape.messageCount);
  }
}
