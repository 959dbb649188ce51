/**
 * A disruptor as one thread sees it: its words, its levels, and how it ends.
 *
 * **Draining.** The state becomes DRAINING, no more is claimed, and the cursor is closed once all
 * claims are published. A node that has released everything up to a closed level closes its own
 * gate. So the end goes through the graph behind the last event.
 *
 * **Halting.** The state becomes HALTED, then all levels are closed. A thread that finds a closed
 * level looks at the state. All that sleep, sleep on a level.
 *
 * @module
 */

import type { Region } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import { Barrier, type Guard, type WaitStrategy } from "./barrier.ts";
import { Claims } from "./claims.ts";
import { slotArray } from "./elements.ts";
import { DrainedError, HaltedError } from "./errors.ts";
import { type Graph, sinksOf } from "./graph.ts";
import {
  ADDING,
  CLAIMS,
  CLOSED,
  CURSOR,
  type DisruptorLayout,
  DRAINING,
  FLAGS,
  FREE,
  GATE,
  HALTED,
  HALVES,
  JOINS,
  NO_ROOM,
  NODE_CLAIMS,
  NODE_JOINED,
  NODE_TAKEN,
  PRESENT,
  PRODUCER_LINES,
  REASON,
  REMOVED,
  RUNNING,
  STATE,
  WORKER_LINES,
} from "./layout.ts";
import { Level } from "./level.ts";

/** One disruptor, as one thread sees it. */
export class Ring {
  /** Where it lies. */
  readonly region: Region<"busbar.disruptor", DisruptorLayout>;
  /** Its graph. */
  readonly graph: Graph;
  /** Its words. */
  readonly words: Int32Array;
  /** The number of slots. */
  readonly capacity: number;
  /** The first word of the lines of each node. */
  readonly nodeLines: readonly number[];
  /** How far events are published. */
  readonly cursor: Level;
  /** How far each node has released them. */
  readonly gates: readonly Level[];
  /** The slots. */
  readonly events: unknown;
  /** Threads that wait until all nodes are joined. */
  readonly joins: SleepWord;

  /** Opens the disruptor in this region. */
  constructor(region: Region<"busbar.disruptor", DisruptorLayout>, graph: Graph) {
    const { memory, words, layout, byteOffset } = region;
    this.region = region;
    this.graph = graph;
    this.words = words;
    this.capacity = layout.size.capacity;
    this.nodeLines = layout.nodeLinesOf(graph);
    this.cursor = new Level(memory, words, CURSOR);
    this.gates = this.nodeLines.map((line) => new Level(memory, words, line + GATE));
    this.joins = new SleepWord(memory, words, JOINS);
    const offset = byteOffset + layout.slotsByteOffset;
    this.events = slotArray(memory.buffer, offset, this.capacity, layout.size);
  }

  /** Whether there are nodes that observe. */
  get hasObservers(): boolean {
    return this.graph.nodes.some(({ observer }) => observer);
  }

  /**
   * Counts the half of all numbers that a claim from `position` on reaches, if it is not counted:
   * before the claim, so that observers can tell.
   */
  countHalf(position: number): void {
    const halves = Atomics.load(this.words, HALVES);
    if ((halves & 1) !== position >>> 31) return;
    Atomics.compareExchange(this.words, HALVES, halves, halves + 1 | 0);
  }

  /** Whether there may be several producers. */
  get hasManyProducers(): boolean {
    return this.region.layout.size.producers > 0;
  }

  /** What the whole does. */
  get state(): number {
    return Atomics.load(this.words, STATE);
  }

  /** Why a call fails now that levels are closed. */
  endError(action: string): DrainedError | HaltedError {
    if (this.state !== HALTED) return new DrainedError(action);
    const reason = Atomics.load(this.words, REASON);
    return new HaltedError(action, this.graph.nodes[reason - 1]?.name);
  }

  /** What keeps the consumers of a node. */
  consumerBarrier(node: number, strategy: WaitStrategy): Barrier {
    return new Barrier(this.region.memory, this.words, this.#sources(node), strategy);
  }

  /** What keeps producers. */
  producerBarrier(strategy: WaitStrategy): Barrier {
    const guards = sinksOf(this.graph).map((node) => this.#guard(node));
    return new Barrier(this.region.memory, this.words, guards, strategy);
  }

  #guard(node: number): Guard {
    return { level: this.gates[node]!, sources: () => this.#sources(node) };
  }

  #sources(node: number): readonly Guard[] {
    const { after } = this.graph.nodes[node]!;
    if (after.length > 0) return after.map((other) => this.#guard(other));
    return [{ level: this.cursor, sources: () => [] }];
  }

  /** The claims of several producers. */
  producerClaims(place: number): Claims {
    const where = {
      claims: CLAIMS,
      lines: PRODUCER_LINES,
      members: this.region.layout.size.producers,
    };
    return new Claims(this.words, where, this.cursor, place);
  }

  /** The claims of the workers of a node. */
  workerClaims(node: number, place: number): Claims {
    const line = this.nodeLines[node]!;
    const { workers } = this.graph.nodes[node]!;
    const where = { claims: line + NODE_CLAIMS, lines: line + WORKER_LINES, members: workers };
    return new Claims(this.words, where, this.gates[node]!, place);
  }

  /** Tells that a node has a consumer. */
  tellJoined(node: number): void {
    if (Atomics.exchange(this.words, this.nodeLines[node]! + NODE_JOINED, 1) === 1) return;
    Atomics.add(this.words, JOINS, 1);
    this.joins.notify();
  }

  /** Whether a node has a consumer, or had workers. */
  isJoined(node: number): boolean {
    return Atomics.load(this.words, this.nodeLines[node]! + NODE_JOINED) === 1;
  }

  /** Becomes the only consumer of a node; returns false if there is one. */
  takeNode(node: number): boolean {
    // Pairs with the store of leaveNode.
    return Atomics.compareExchange(
      this.words,
      this.nodeLines[node]! + NODE_TAKEN,
      FREE,
      PRESENT,
    ) ===
      FREE;
  }

  /** Tells whether the consumer that has taken a node is adding it. */
  tellAdding(node: number, isAdding: boolean): void {
    const state = isAdding ? ADDING : PRESENT;
    Atomics.store(this.words, this.nodeLines[node]! + NODE_TAKEN, state);
  }

  /** Whether the consumer that has taken a node is adding it, or was when it died. */
  isAdding(node: number): boolean {
    return Atomics.load(this.words, this.nodeLines[node]! + NODE_TAKEN) === ADDING;
  }

  /** Whether a node is removed. */
  isRemoved(node: number): boolean {
    return (this.gates[node]!.load() & REMOVED) !== 0;
  }

  /** Is the only consumer of a node no more. */
  leaveNode(node: number): void {
    Atomics.store(this.words, this.nodeLines[node]! + NODE_TAKEN, FREE);
  }

  /** Closes the gate of a node that has released everything that there will be. */
  closeIfDone(node: number, barrier: Barrier): void {
    const gate = this.gates[node]!;
    const word = gate.load();
    if ((word & CLOSED) !== 0) return;
    // The end of a level that is closed, and not halted, is final.
    if (barrier.look(word & ~FLAGS) === 0 && (barrier.flags & CLOSED) !== 0) gate.set(CLOSED);
  }

  /** Begins to drain: nothing more is claimed. Returns false if it was halted. */
  beginDrain(): boolean {
    Atomics.compareExchange(this.words, STATE, RUNNING, DRAINING);
    if (this.hasManyProducers) this.producerClaims(-1).close();
    else this.cursor.set(CLOSED);
    // Producers that wait for room look again, and find that there will be none.
    for (const gate of this.gates) gate.set(NO_ROOM);
    return this.state !== HALTED;
  }

  /** Halts; `reason` is the number of the node that failed plus 1, or 0. */
  halt(reason: number): void {
    // In this order: a thread that finds the state finds the reason.
    Atomics.compareExchange(this.words, REASON, 0, reason);
    Atomics.store(this.words, STATE, HALTED);
    if (this.hasManyProducers) this.producerClaims(-1).close();
    this.cursor.set(CLOSED);
    for (const gate of this.gates) gate.set(CLOSED);
    Atomics.add(this.words, JOINS, 1);
    this.joins.notify();
  }
}
