/**
 * A disruptor: one ring of events, producers that fill it, and a graph of consumers that each see
 * every event after those that they depend on. No event is overwritten before the last consumers
 * have released it: producers wait instead.
 *
 * `README.md` in this folder has the protocol: which thread writes which word, and why each step is
 * right. Start there.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { RecordHandle } from "../record/mod.ts";
import { addNode, addWorkers, removeWorkers } from "./adding.ts";
import { checkStrategy, type WaitStrategy } from "./barrier.ts";
import { Consumer } from "./consumer.ts";
import {
  type Elements,
  type SlotArrays,
  slotFormat,
  type SlotType,
  type SlotValue,
} from "./elements.ts";
import { checkGraph, type Graph, type GraphOptions, nodeNumber } from "./graph.ts";
import { inspect, type Inspection } from "./inspection.ts";
import {
  CLOSED,
  DisruptorLayout,
  DRAINING,
  FLAGS,
  HALTED,
  JOINS,
  KIND,
  MAX_MEMBERS,
  REMOVED,
} from "./layout.ts";
import type { Level } from "./level.ts";
import { EventObserver } from "./observer.ts";
import { Producer } from "./producer.ts";
import {
  type NodeReclaimOptions,
  reclaimNode,
  reclaimProducer,
  reclaimSingleProducer,
} from "./reclaiming.ts";
import { Ring } from "./ring.ts";
import { Room } from "./seat.ts";
import { SharedSeat } from "./shared_seat.ts";
import { SingleSeat } from "./single_seat.ts";

/** The slots of a disruptor, as an array. */
export type EventsOf<E extends Elements> = E extends SlotType ? SlotArrays[E]
  : Uint8Array<SharedArrayBuffer>;

/** What can be sent to a disruptor. */
export type ValueOf<E extends Elements> = E extends SlotType ? SlotValue<E> : never;

/** What an observer copies: the numbers of the slots, or their bytes. */
export type ObservedOf<E extends Elements> = E extends SlotType ? SlotValue<E> : number;

/** Opens a {@link Disruptor} in another thread. */
export interface DisruptorHandle<E extends Elements = Elements, Name extends string = string>
  extends RegionHandle<"busbar.disruptor"> {
  /** The graph of consumers. */
  readonly graph: Graph;
  /** What the slots hold. Only its type is used. */
  readonly elements: E;
  /** The names of the nodes. */
  readonly names: readonly Name[];
}

/** Options of {@link Disruptor.create}. */
export interface DisruptorOptions<E extends Elements, Name extends string> {
  /** The number of slots, a power of two up to 2^24. */
  readonly capacity: number;
  /** What a slot holds. */
  readonly elements: E;
  /** The graph of consumers: a name for each node, and after which others it comes. */
  readonly consumers: GraphOptions<Name>;
  /**
   * Whether one producer at a time fills the ring, or several, and how many at most: 8 for "multi".
   * A single one is the default, and several times as fast.
   */
  readonly producers?: "single" | "multi" | number;
  /** The number of the first event; 0 by default. */
  readonly start?: number;
  /** The memory to lay it out in; one of its own by default. */
  readonly memory?: Memory | undefined;
}

/** Options of {@link Disruptor.attach}. */
export interface DisruptorAttachOptions {
  /** The record that the slots must hold, as `defineRecord` returns it. */
  readonly record?: { assertSame(handle: RecordHandle): void };
}

/** Options of {@link Disruptor.producer}. */
export interface ProducerOptions {
  /** How to wait for room; "phased" by default. */
  readonly strategy?: WaitStrategy;
  /**
   * What becomes of values that there is no room for. "wait", the default: the calls that send or
   * claim wait for room. "drop": they return as if their time was over, and
   * {@link Producer.dropped} counts the values. Those whose names begin with "try" neither wait nor
   * count.
   */
  readonly overflow?: "wait" | "drop";
  /** Which of the places of several producers to take; any that is free by default. */
  readonly place?: number;
}

/** Options of {@link Disruptor.consumer}. */
export interface ConsumerOptions {
  /** How to wait for events; "phased" by default. */
  readonly strategy?: WaitStrategy;
  /** Which of the competing workers to be; any that is free by default. */
  readonly worker?: number;
}

/** Options of {@link Disruptor.observer}. */
export interface ObserverOptions {
  /** How to wait for events; "phased" by default. */
  readonly strategy?: WaitStrategy;
}

/**
 * A disruptor: a ring buffer with backpressure, one or several producers, and a graph of consumers
 * (multicast, pipelines, diamonds) on any threads.
 *
 * - **Gated.** A consumer gets an event after those that it depends on have released it. A slot is
 *   filled again after the last consumers have.
 * - **Competing workers.** A node may have several, each event going to one of them.
 * - **In place.** Events are numbers, or bytes, in shared memory; nothing is allocated for any.
 *
 * @example A diamond
 * ```ts
 * import { Disruptor } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const disruptor = Disruptor.create({
 *   capacity: 1024,
 *   elements: "i32",
 *   consumers: {
 *     parse: {},
 *     enrich: { after: "parse" },
 *     store: { after: "parse" },
 *     audit: { after: ["enrich", "store"] },
 *   },
 * });
 * // worker.postMessage(disruptor.handle), and there: Disruptor.attach(handle).consumer("parse")
 * const nodes = (["parse", "enrich", "store", "audit"] as const)
 *   .map((name) => disruptor.consumer(name));
 * using producer = disruptor.producer();
 * producer.sendAll([1, 2, 3]);
 * assertEquals(nodes.map((node) => node.poll()), [3, 0, 0, 0]);
 * assertEquals(nodes.map((node) => node.poll()), [0, 3, 3, 0]);
 * ```
 */
export class Disruptor<E extends Elements = Elements, Name extends string = string> {
  readonly #ring: Ring;
  readonly #elements: E;

  /** @ignore */
  private constructor(ring: Ring, elements: E) {
    this.#ring = ring;
    this.#elements = elements;
  }

  /**
   * Lays out a new disruptor.
   *
   * @throws {TypeError} If an option is of another type, or the graph has no nodes, an unknown one,
   * one that is stated twice, or a cycle.
   * @throws {RangeError} If a number is out of its range, or the memory has not enough free bytes.
   */
  static create<const E extends Elements, Name extends string>(
    options: DisruptorOptions<E, Name>,
  ): Disruptor<E, Name> {
    checkOptions("create disruptor", options);
    const { capacity, elements, consumers, start = 0, memory } = options;
    const graph = checkGraph(consumers);
    checkInteger("create disruptor", "start", start, 0, 2 ** 28 - 1);
    const producers = producersOf(options.producers);
    const layout = DisruptorLayout.of(
      { capacity, ...slotFormat(elements), producers, start },
      graph,
    );
    const region = Region.create(KIND, layout, memory);
    layout.initialize(region.words, graph);
    return new Disruptor(new Ring(region, graph), elements);
  }

  /**
   * Opens a disruptor that another thread created.
   *
   * @param options For slots of records: the `record` of this thread.
   * @throws {TypeError} If it is not a handle of a disruptor of this version, or its slots hold
   * other records.
   */
  static attach<E extends Elements, Name extends string>(
    handle: DisruptorHandle<E, Name>,
    options: DisruptorAttachOptions = {},
  ): Disruptor<E, Name> {
    const region = Region.attach(KIND, handle);
    const { graph, elements } = handle;
    const { size } = region.layout;
    const lines = DisruptorLayout.of(size, graph).size.lines;
    if (graph.nodes.length !== size.nodes || lines !== size.lines) {
      throw new TypeError(
        `Cannot attach as a graph of ${size.nodes} nodes was expected: received ${graph.nodes.length}`,
      );
    }
    const { record } = options;
    if (record !== undefined) {
      if (typeof elements !== "object" || !("record" in elements)) {
        throw new TypeError("Cannot attach as slots of records were expected: received others");
      }
      record.assertSame(elements.record);
    }
    return new Disruptor(new Ring(region, graph), elements);
  }

  /** A plain object that survives structured clone and opens this disruptor in another thread. */
  get handle(): DisruptorHandle<E, Name> {
    const { region, graph } = this.#ring;
    const names = graph.nodes.map(({ name }) => name as Name);
    return { ...region.handle, graph, elements: this.#elements, names };
  }

  /** The number of slots. */
  get capacity(): number {
    return this.#ring.capacity;
  }

  /** Whether it was halted. */
  get isHalted(): boolean {
    return this.#ring.state === HALTED;
  }

  /** Whether it drains, or has drained, or was halted: no more events are taken. */
  get isClosed(): boolean {
    return this.#ring.state >= DRAINING;
  }

  /**
   * Becomes the producer, or one of several.
   *
   * @throws {Error} If there is one already, or as many as there may be.
   * @throws {RangeError} If there is no such `place`.
   */
  producer(options: ProducerOptions = {}): Producer<EventsOf<E>, ValueOf<E>> {
    checkOptions("produce", options);
    const { strategy = "phased", place, overflow = "wait" } = options;
    checkStrategy("produce", strategy);
    if (overflow !== "wait" && overflow !== "drop") {
      throw new TypeError(
        `Cannot produce as 'overflow' must be "wait" or "drop": received ${describe(overflow)}`,
      );
    }
    const { producers } = this.#ring.region.layout.size;
    if (place !== undefined) {
      checkInteger("produce", "place", place, 0, Math.max(0, producers - 1));
    }
    const room = new Room(this.#ring, strategy, 0);
    const seat = producers === 0
      ? SingleSeat.join(this.#ring, room)
      : SharedSeat.join(this.#ring, room, place);
    return new Producer(this.#ring, seat, room, overflow === "drop");
  }

  /**
   * Becomes the consumer of a node, or one of its workers. It begins where the last one released,
   * or at the first event; or at the next one, if the node was removed, which it is no more then.
   *
   * @throws {TypeError} If there is no such node.
   * @throws {Error} If the node has a consumer, or as many workers as it may have.
   */
  consumer(name: Name, options: ConsumerOptions = {}): Consumer<EventsOf<E>, ValueOf<E>> {
    checkOptions("consume", options);
    const { strategy = "phased", worker } = options;
    checkStrategy("consume", strategy);
    const ring = this.#ring;
    const node = nodeNumber(ring.graph, name, "consume");
    const { workers, observer } = ring.graph.nodes[node]!;
    if (observer) {
      throw new TypeError(`Cannot consume as node "${name}" is an observer: use observer()`);
    }
    if (worker !== undefined) checkInteger("consume", "worker", worker, 0, workers - 1);
    if (workers === 0) {
      this.#take(node, "consume");
      addNode(ring, node);
      ring.tellJoined(node);
      return new Consumer(ring, node, strategy, undefined);
    }
    const place = ring.workerClaims(node, -1).join(worker);
    if (place === -1) {
      throw new Error(
        worker === undefined
          ? `Cannot consume as all ${workers} workers of node "${name}" are attached: close one, or reclaim it if its thread has died`
          : `Cannot consume as worker ${worker} of node "${name}" is attached: close it, or reclaim it if its thread has died`,
      );
    }
    addWorkers(ring, node);
    ring.tellJoined(node);
    return new Consumer(ring, node, strategy, ring.workerClaims(node, place));
  }

  /**
   * Becomes the observer of a node that is stated as one. It begins where the last one ended, or at
   * the first event; what is overwritten by then is lost.
   *
   * @throws {TypeError} If there is no such node, or it is not an observer.
   * @throws {Error} If the node has an observer.
   */
  observer(name: Name, options: ObserverOptions = {}): EventObserver<ObservedOf<E>> {
    checkOptions("observe", options);
    const { strategy = "phased" } = options;
    checkStrategy("observe", strategy);
    const ring = this.#ring;
    const node = nodeNumber(ring.graph, name, "observe");
    if (!ring.graph.nodes[node]!.observer) {
      throw new TypeError(
        `Cannot observe as node "${name}" is a consumer: use consumer(), or state it as 'observer'`,
      );
    }
    this.#take(node, "observe");
    ring.tellJoined(node);
    return new EventObserver(ring, node, strategy);
  }

  #take(node: number, action: string): void {
    if (this.#ring.takeNode(node)) return;
    const { name } = this.#ring.graph.nodes[node]!;
    throw new Error(
      `Cannot ${action} as node "${name}" is taken: close its consumer, or reclaim it if its ` +
        "thread has died",
    );
  }

  /**
   * Blocks until every node has a consumer. Producers need not wait for that: what they publish
   * before is kept.
   *
   * @throws {Error} If the time is over, naming the nodes that have none.
   * @throws {ClosedError} If it was halted.
   */
  start(options?: WaitOptions): void {
    if (this.#ring.joins.sleepUntil(() => this.#attemptStart(), options)) this.#checkStarted();
    else throw this.#notStarted();
  }

  /** As {@link Disruptor.start}, without blocking. */
  async startAsync(options?: AsyncWaitOptions): Promise<void> {
    const { joins } = this.#ring;
    if (await joins.sleepUntilAsync(() => this.#attemptStart(), options)) this.#checkStarted();
    else throw this.#notStarted();
  }

  #attemptStart(): number | undefined {
    // Before the look at the nodes: pairs with the addition after one is joined.
    const joins = Atomics.load(this.#ring.words, JOINS);
    return this.isHalted || this.#missing().length === 0 ? undefined : joins;
  }

  #missing(): string[] {
    const { graph } = this.#ring;
    return graph.nodes
      .filter(({ observer }, i) => !observer && !this.#ring.isJoined(i) && !this.#ring.isRemoved(i))
      .map(({ name }) => `"${name}"`);
  }

  #checkStarted(): void {
    if (this.isHalted) throw this.#ring.endError("start");
  }

  #notStarted(): Error {
    return new Error(
      `Cannot start as no consumer is attached to ${this.#missing().join(", ")}: the time is over`,
    );
  }

  /**
   * Takes no more events, and blocks until everything that was published is consumed and released
   * by every node. Consumers then find that they have ended. What several producers have claimed is
   * waited for; a claim that a single producer publishes later fails.
   *
   * @returns Whether everything is consumed: false if the time is over, or it was halted.
   */
  drain(options?: WaitOptions): boolean {
    checkWaitOptions(options);
    const deadline = new Deadline(options);
    if (!this.#ring.beginDrain()) return false;
    for (const { level, target } of this.#endings()) {
      if (!level.sleep(target(), CLOSED | REMOVED, deadline.remainingMs)) return false;
      this.#passEnding(level);
    }
    return !this.isHalted;
  }

  /** As {@link Disruptor.drain}, without blocking. */
  async drainAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    const deadline = new Deadline(options);
    if (!this.#ring.beginDrain()) return false;
    for (const { level, target } of this.#endings()) {
      const left = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (!await level.sleepAsync(target(), CLOSED | REMOVED, left)) return false;
      this.#passEnding(level);
    }
    return !this.isHalted;
  }

  /** The levels that a drain waits for, one after the other, and up to where. */
  *#endings(): Generator<{ level: Level; target: () => number }> {
    const { cursor, gates, graph, hasManyProducers } = this.#ring;
    if (hasManyProducers) {
      const claimed = this.#ring.producerClaims(-1).load() & ~FLAGS;
      yield { level: cursor, target: () => claimed };
    }
    // Further than any level gets, so that only its flags count.
    for (const [i, level] of gates.entries()) {
      if (graph.nodes[i]!.observer) continue;
      yield { level, target: () => (level.load() & ~FLAGS) + 2 ** 30 | 0 };
    }
  }

  #passEnding(level: Level): void {
    // Everything that was claimed is published, and nothing more can be claimed.
    if (level === this.#ring.cursor && !this.isHalted) level.set(CLOSED);
  }

  /** Stops everything now: every wait ends, and nothing more is published or consumed. */
  halt(): void {
    this.#ring.halt(0);
  }

  /**
   * Removes a node, whose consumer or workers have been closed: nothing waits for it any more. One
   * that attaches to it later adds it again.
   *
   * @throws {TypeError} If there is no such node, or it is an observer.
   * @throws {Error} If the node has a consumer, or workers.
   */
  remove(name: Name): void {
    const ring = this.#ring;
    const node = nodeNumber(ring.graph, name, "remove");
    if (ring.graph.nodes[node]!.observer) {
      throw new TypeError(`Cannot remove node "${name}" as nothing waits for an observer`);
    }
    if (ring.graph.nodes[node]!.workers > 0) {
      if (removeWorkers(ring, node)) return;
      throw new Error(
        `Cannot remove node "${name}" as workers are attached: close them, or reclaim them if ` +
          "their threads have died",
      );
    }
    this.#take(node, "remove");
    ring.gates[node]!.set(REMOVED);
    ring.leaveNode(node);
  }

  /**
   * Repairs what a consumer left whose thread has died. Never call it for one that is alive, and
   * from one thread at a time; if that dies meanwhile, another may call it again.
   *
   * @throws {TypeError} If there is no such node.
   * @throws {RangeError} If the node has workers, and `worker` is not one of them.
   */
  reclaim(name: Name, options: NodeReclaimOptions = {}): void {
    checkOptions("reclaim", options);
    const ring = this.#ring;
    reclaimNode(ring, nodeNumber(ring.graph, name, "reclaim"), options);
  }

  /**
   * Gives up what a producer had claimed whose thread has died, and frees its place. Consumers skip
   * that. Never call it for one that is alive, and from one thread at a time; if that dies
   * meanwhile, another may call it again.
   *
   * @param place Its place, if there may be several producers.
   * @throws {Error} If no producer is attached there.
   */
  reclaimProducer(place = 0): void {
    const ring = this.#ring;
    const { producers } = ring.region.layout.size;
    if (producers === 0) return reclaimSingleProducer(ring);
    checkInteger("reclaim", "place", place, 0, producers - 1);
    reclaimProducer(ring, place);
  }

  /** How far everything is, and which node holds up which: an estimate, part by part. */
  inspect(): Inspection {
    return inspect(this.#ring);
  }
}

function producersOf(producers: "single" | "multi" | number | undefined): number {
  if (producers === undefined || producers === "single") return 0;
  if (producers === "multi") return MAX_MEMBERS;
  if (typeof producers === "number") {
    checkInteger("create disruptor", "producers", producers, 1, MAX_MEMBERS);
    return producers;
  }
  throw new TypeError(
    `Cannot create disruptor as 'producers' must be "single", "multi" or a number: received ${
      describe(producers)
    }`,
  );
}
