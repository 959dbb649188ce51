/**
 * The layout of a disruptor in memory: its words, their bits, and its size.
 *
 * Region (32-bit words). Processors fetch cache lines in pairs, so words that different threads
 * write while events flow are two lines apart; such a pair is called a line here.
 *
 *     word  0 | magic | version | capacity | slot bytes | elements | producers | nodes | lines |
 *             | start |   written once, before the disruptor is handed to another thread
 *     word 16 | state | reason | joins | skips |    the life of the whole
 *     word 32 | cursor |                     how far events are published
 *     word 64 | claims | taken | filled | halves |  how far producers have claimed
 *     word 96 | member | floor | count |     of producer 0, if there may be several
 *       ...
 *             | gate | joined | taken |      of each node: how far it has released
 *             | claims |                     then, if workers compete, how far they have claimed
 *             | member | floor | count |     and each worker
 *       ...
 *             | skipped ...                  a word a slot, if there may be several producers
 *             | slots ...                    the events
 *
 * **Level words.** The cursor and the gates are levels: a position with flags in its low bits. A
 * position is the number of an event times {@link UNIT}, modulo 2^32; so events are numbered modulo
 * 2^28, and positions compare by wrapping subtraction while they are less than 2^31 apart. No two
 * levels are further apart than the ring is long, and that is at most 2^24 events.
 *
 * @module
 */

import { checkPowerOfTwo } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS, isPowerOfTwo } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";
import { type Graph, MAX_WORKERS } from "./graph.ts";

/** The number of slots. */
export const CAPACITY: number = FIRST_WORD;
/** The bytes of a slot. */
export const SLOT_BYTES: number = FIRST_WORD + 1;
/** What a slot holds: the place of its type in `elements.ts`. */
export const ELEMENTS: number = FIRST_WORD + 2;
/** How many producers there may be at once; 0 for a single one. */
export const PRODUCERS: number = FIRST_WORD + 3;
/** The number of nodes. */
export const NODES: number = FIRST_WORD + 4;
/** How many lines the producers and the nodes take. */
export const LINES: number = FIRST_WORD + 5;
/** The position of the first event. */
export const START: number = FIRST_WORD + 6;

/** What the whole does: {@link RUNNING} and so on. Changed by compareExchange. */
export const STATE = 16;
/** Why it was halted: the number of the node that failed plus 1, or 0. Stored before the state. */
export const REASON = 17;
/**
 * Goes up whenever a node is joined for the first time, or the whole halts; sleepers wait on it.
 */
export const JOINS = 18;
/** 1 once a claim was given up, ever: from then on each slot says whether it is skipped. */
export const SKIPS = 19;
/**
 * The level up to which events are published. Changed by compareExchange by the single producer, or
 * by the thread that finds that more claims are published; by a thread about to sleep, which sets
 * {@link SLEEPING}; and by `or` by a thread that drains or halts.
 */
export const CURSOR = 32;
/**
 * The position up to which producers have claimed. Several producers: see `claims.ts`. A single
 * producer writes it plainly, as a hint for inspection.
 */
export const CLAIMS = 64;
/** Whether there is a single producer: 1 or 0. Changed by compareExchange. */
export const TAKEN = 65;
/**
 * If there are observers: the position up to which a single producer may have filled slots. It is
 * changed by exchange before they are filled, and never goes back.
 */
export const FILLED = 66;
/**
 * If there are observers: how many times positions have passed half of all numbers. It is raised
 * before the word of the claims, or {@link FILLED}, passes the half.
 */
export const HALVES = 67;
/** The line of producer 0, of several. */
export const PRODUCER_LINES = 96;

/** From one line to the next: two cache lines. */
export const LINE_WORDS: number = 2 * CACHE_LINE_WORDS;

/** In the word {@link STATE}. */
export const RUNNING = 0;
/** In the word {@link STATE}: no more is claimed; what was published is consumed. */
export const DRAINING = 1;
/** In the word {@link STATE}: nothing more happens. */
export const HALTED = 2;

/** In a node's line: the level up to which it has released events. See {@link CURSOR}. */
export const GATE = 0;
/** In a node's line: 1 once a consumer was attached. */
export const NODE_JOINED = 1;
/**
 * In the line of a node with one consumer: {@link FREE}, {@link PRESENT}, or {@link ADDING}. Taken
 * by compareExchange.
 */
export const NODE_TAKEN = 2;
/** In the line after that, of competing workers: the position up to which they have claimed. */
export const NODE_CLAIMS: number = LINE_WORDS;
/** From a node's line to that of its worker 0. */
export const WORKER_LINES: number = 2 * LINE_WORDS;

/** In a member's line: {@link FREE}, {@link PRESENT}. */
export const MEMBER = 0;
/** In a member's line: the start of its claim, and what that is. See `claims.ts`. */
export const FLOOR = 1;
/** In a member's line: the length of its claim. Plain, written before the floor. */
export const COUNT = 2;

/** In the word {@link MEMBER}, or {@link NODE_TAKEN}: no thread has this place. */
export const FREE = 0;
/** In the word {@link MEMBER}, or {@link NODE_TAKEN}: a thread has this place. */
export const PRESENT = 1;
/** In the word {@link NODE_TAKEN}: a thread has this place, and adds the node. */
export const ADDING = 2;

/** In a level word: a thread may sleep on it. */
export const SLEEPING = 1;
/** In a level word: it will never change again; or everything was halted. */
export const CLOSED = 2;
/** In the word of a gate: producers get no more room. */
export const NO_ROOM = 4;
/** In the word of a gate: the node was removed; those that wait for it wait for its sources. */
export const REMOVED = 8;
/** All flags of a level word. */
export const FLAGS = 15;
/** The position of an event after another. */
export const UNIT = 16;
/** By how much the number of an event is shifted in a position. */
export const UNIT_SHIFT = 4;

/** How many numbers of events there are. */
export const SEQUENCES: number = 2 ** (32 - UNIT_SHIFT);

/** In a word of claims: nothing more may be claimed. */
export const CLAIMS_CLOSED = 8;
/** In a word of claims: the place of the member that claimed last. */
export const CLAIMANT_MASK = 7;
/** The maximum number of members that claim from one word. */
export const MAX_MEMBERS: number = MAX_WORKERS;

/** The largest ring. */
export const MAX_CAPACITY: number = 2 ** 24;
/** The smallest ring. */
export const MIN_CAPACITY = 1;

/** The lines of a node. */
export function nodeLines(workers: number): number {
  return workers === 0 ? 1 : 2 + workers;
}

/** What a disruptor is laid out by. */
export interface DisruptorSize {
  /** The number of slots. */
  readonly capacity: number;
  /** The bytes of a slot. */
  readonly slotBytes: number;
  /** What a slot holds. */
  readonly elements: number;
  /** How many producers there may be at once; 0 for a single one. */
  readonly producers: number;
  /** The number of nodes. */
  readonly nodes: number;
  /** How many lines the producers and the nodes take. */
  readonly lines: number;
  /** The number of the first event. */
  readonly start: number;
}

/** The layout of one disruptor. */
export class DisruptorLayout implements Layout {
  /** What it is laid out by. */
  readonly size: DisruptorSize;
  /** Where the words of skipped slots begin, in words; there are none for a single producer. */
  readonly skipped: number;
  /** Where the slots begin, in bytes. */
  readonly slotsByteOffset: number;
  /** The size of the region. */
  readonly byteLength: number;

  /** The graph, if it is known: for the names of words. */
  readonly #graph: Graph | undefined;

  private constructor(size: DisruptorSize, graph?: Graph) {
    this.size = size;
    this.#graph = graph;
    this.skipped = PRODUCER_LINES + size.lines * LINE_WORDS;
    const flags = size.producers === 0 ? 0 : size.capacity;
    this.slotsByteOffset = alignUp((this.skipped + flags) * 4, 2 * CACHE_LINE_BYTES);
    this.byteLength = alignUp(this.slotsByteOffset + size.capacity * size.slotBytes, 4);
  }

  /** The layout of a new disruptor. */
  static of(size: Omit<DisruptorSize, "nodes" | "lines">, graph: Graph): DisruptorLayout {
    const action = "create disruptor";
    checkPowerOfTwo(action, "capacity", size.capacity, MIN_CAPACITY, MAX_CAPACITY);
    const lines = graph.nodes.reduce(
      (sum, { workers }) => sum + nodeLines(workers),
      size.producers,
    );
    return new DisruptorLayout({ ...size, nodes: graph.nodes.length, lines }, graph);
  }

  /**
   * The layout that the header states.
   *
   * @throws {TypeError} If no disruptor has such a layout.
   */
  static read(words: Int32Array): DisruptorLayout {
    const size: DisruptorSize = {
      capacity: words[CAPACITY]!,
      slotBytes: words[SLOT_BYTES]!,
      elements: words[ELEMENTS]!,
      producers: words[PRODUCERS]!,
      nodes: words[NODES]!,
      lines: words[LINES]!,
      start: words[START]!,
    };
    const isValid = isPowerOfTwo(size.capacity) && size.capacity <= MAX_CAPACITY &&
      size.slotBytes > 0 && size.producers >= 0 && size.producers <= MAX_MEMBERS &&
      size.nodes > 0 && size.lines >= size.nodes;
    if (!isValid) {
      throw new TypeError(
        `Cannot attach as no disruptor has ${size.capacity} slots of ${size.slotBytes} bytes, ${size.producers} producers and ${size.nodes} nodes in ${size.lines} lines`,
      );
    }
    return new DisruptorLayout(size);
  }

  /** The first word of a producer's line. */
  producerLine(place: number): number {
    return PRODUCER_LINES + place * LINE_WORDS;
  }

  /** The first word of the lines of each node. */
  nodeLinesOf(graph: Graph): number[] {
    let line = PRODUCER_LINES + this.size.producers * LINE_WORDS;
    return graph.nodes.map(({ workers }) => {
      const first = line;
      line += nodeLines(workers) * LINE_WORDS;
      return first;
    });
  }

  /** Writes the header and the first levels, before the region is handed to another thread. */
  initialize(words: Int32Array, graph: Graph): void {
    const { size } = this;
    words[CAPACITY] = size.capacity;
    words[SLOT_BYTES] = size.slotBytes;
    words[ELEMENTS] = size.elements;
    words[PRODUCERS] = size.producers;
    words[NODES] = size.nodes;
    words[LINES] = size.lines;
    words[START] = size.start;
    const position = size.start << UNIT_SHIFT;
    words[CURSOR] = position;
    words[CLAIMS] = position;
    words[FILLED] = position;
    words[HALVES] = position >>> 31;
    this.nodeLinesOf(graph).forEach((line, node) => {
      const { workers, absent } = graph.nodes[node]!;
      words[line + GATE] = position | (absent ? REMOVED : 0);
      if (workers > 0) words[line + NODE_CLAIMS] = position | (absent ? CLAIMS_CLOSED : 0);
    });
  }

  /** Names the words. */
  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY];
    yield ["slotBytes", SLOT_BYTES];
    yield ["elements", ELEMENTS];
    yield ["producers", PRODUCERS];
    yield ["nodes", NODES];
    yield ["lines", LINES];
    yield ["start", START];
    yield ["state", STATE];
    yield ["reason", REASON];
    yield ["joins", JOINS];
    yield ["skips", SKIPS];
    yield ["cursor", CURSOR];
    yield ["claims", CLAIMS];
    yield ["taken", TAKEN];
    yield ["filled", FILLED];
    yield ["halves", HALVES];
    for (let i = 0; i < this.size.producers; i++) {
      const line = this.producerLine(i);
      yield [`producer[${i}].member`, line + MEMBER];
      yield [`producer[${i}].floor`, line + FLOOR];
      yield [`producer[${i}].count`, line + COUNT];
    }
    if (this.#graph !== undefined) yield* this.#nodeLabels(this.#graph);
    if (this.size.producers > 0) yield ["skipped", this.skipped, this.size.capacity];
    const slotWords = Math.ceil(this.size.capacity * this.size.slotBytes / 4);
    yield ["slots", this.slotsByteOffset / 4, slotWords];
  }

  *#nodeLabels(graph: Graph): Generator<Label> {
    const lines = this.nodeLinesOf(graph);
    for (const [i, { name, workers }] of graph.nodes.entries()) {
      const line = lines[i]!;
      yield [`gate[${name}]`, line + GATE];
      yield [`joined[${name}]`, line + NODE_JOINED];
      yield [`taken[${name}]`, line + NODE_TAKEN];
      if (workers > 0) yield [`claims[${name}]`, line + NODE_CLAIMS];
      for (let worker = 0; worker < workers; worker++) {
        const first = line + WORKER_LINES + worker * LINE_WORDS;
        yield [`worker[${name}][${worker}].member`, first + MEMBER];
        yield [`worker[${name}][${worker}].floor`, first + FLOOR];
        yield [`worker[${name}][${worker}].count`, first + COUNT];
      }
    }
  }
}

/** The kind of a disruptor; the magic word is "disr". */
export const KIND: RegionKind<"busbar.disruptor", DisruptorLayout> = {
  kind: "busbar.disruptor",
  magic: 0x64697372,
  minBytes: PRODUCER_LINES * 4,
  read: DisruptorLayout.read,
};
