/**
 * How far everything is, and which node holds up which.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import { sinksOf } from "./graph.ts";
import { CLAIMS, CLOSED, DRAINING, FLAGS, HALTED, REMOVED, UNIT_SHIFT } from "./layout.ts";
import type { Ring } from "./ring.ts";

/** A node, as it was at one moment. */
export interface NodeInspection {
  /** Its name. */
  readonly name: string;
  /** The number of the next event that it releases, modulo 2^28. */
  readonly sequence: number;
  /** How many published events it has not released. */
  readonly lag: number;
  /** Whether a consumer was attached. */
  readonly isJoined: boolean;
  /** Whether it has released everything that there will be, or all was halted. */
  readonly isEnded: boolean;
  /** Whether it was removed. */
  readonly isRemoved: boolean;
  /** Whether it observes, so that nothing waits for it. */
  readonly isObserver: boolean;
  /** The node that it waits for, or "producer" if it waits for events; undefined if for none. */
  readonly waitsFor: string | undefined;
}

/** A claim of one of several producers. */
export interface ClaimInspection {
  /** The place of the producer. */
  readonly place: number;
  /** The number of the first event. */
  readonly sequence: number;
}

/** A disruptor, as it was at one moment, or nearly. */
export interface Inspection {
  /** What it does. */
  readonly state: "running" | "draining" | "halted";
  /** The number of slots. */
  readonly capacity: number;
  /** The number of the next event that is published, modulo 2^28. */
  readonly published: number;
  /** How many events are claimed and not published. */
  readonly claimed: number;
  /** The open claims, if there may be several producers. */
  readonly claims: readonly ClaimInspection[];
  /** How many more events there is room for. */
  readonly remainingCapacity: number;
  /** The nodes. */
  readonly nodes: readonly NodeInspection[];
  /** The node that producers wait for, or would next. */
  readonly slowest: string | undefined;
  /** Says in a few lines who holds up whom. */
  toString(): string;
}

/** Looks at a disruptor. */
export function inspect(ring: Ring): Inspection {
  const cursor = ring.cursor.load() & ~FLAGS;
  const claims = ring.hasManyProducers ? ring.producerClaims(-1) : undefined;
  // A single producer writes it plainly.
  const claimed = claims === undefined ? racyLoad(ring.words, CLAIMS) : claims.load() & ~FLAGS;
  const words = ring.gates.map((gate) => gate.load());
  const lags = words.map((word) => Math.max(0, eventsFrom(word, cursor)));
  const nodes = ring.graph.nodes.map(({ name, after, observer }, i): NodeInspection => {
    const word = words[i]!;
    const ahead = after.filter((other) => (words[other]! & REMOVED) === 0);
    const slowest = ahead.find((other) => lags[other]! >= lags[i]!);
    const waitsFor = slowest === undefined ? undefined : ring.graph.nodes[slowest]!.name;
    return {
      name,
      sequence: word >>> UNIT_SHIFT,
      lag: lags[i]!,
      isJoined: ring.isJoined(i),
      isEnded: (word & CLOSED) !== 0,
      isRemoved: (word & REMOVED) !== 0,
      isObserver: observer,
      waitsFor: waitsFor ?? (lags[i] === 0 ? "producer" : undefined),
    };
  });
  const sinks = sinksOf(ring.graph).filter((i) => !nodes[i]!.isRemoved);
  const worst = sinks.reduce((least, i) => Math.max(least, nodes[i]!.lag), 0);
  const open = Math.max(0, eventsFrom(cursor, claimed));
  const state = ring.state;
  const inspection = {
    state: state === HALTED ? "halted" : state === DRAINING ? "draining" : "running",
    capacity: ring.capacity,
    published: cursor >>> UNIT_SHIFT,
    claimed: open,
    claims: claims === undefined ? [] : openClaims(ring),
    remainingCapacity: Math.max(0, ring.capacity - worst - open),
    nodes,
    slowest: sinks.map((i) => nodes[i]!).find(({ lag }) => lag === worst)?.name,
  } as const;
  return { ...inspection, toString: () => describeInspection(inspection) };
}

function openClaims(ring: Ring): ClaimInspection[] {
  const claims = ring.producerClaims(-1);
  const open: ClaimInspection[] = [];
  for (let place = 0; place < ring.region.layout.size.producers; place++) {
    const position = claims.openClaim(place);
    if (position !== undefined) open.push({ place, sequence: position >>> UNIT_SHIFT });
  }
  return open;
}

/** How many events `position` is past the level `word`. */
function eventsFrom(word: number, position: number): number {
  return (position - (word & ~FLAGS) | 0) >> UNIT_SHIFT;
}

function describeInspection(inspection: Omit<Inspection, "toString">): string {
  const { state, capacity, claimed, remainingCapacity, slowest, nodes } = inspection;
  const room = remainingCapacity === 0 && slowest !== undefined
    ? `producers wait for "${slowest}"`
    : `${remainingCapacity} of ${capacity} slots are free`;
  const lines = [`${state}: ${room}, ${claimed} events are claimed and not published`];
  for (const { name, lag, isJoined, isEnded, isRemoved, isObserver, waitsFor } of nodes) {
    const wait = waitsFor === undefined
      ? "is behind by itself"
      : waitsFor === "producer"
      ? "waits for events"
      : `waits for "${waitsFor}"`;
    const what = isRemoved
      ? "was removed"
      : isObserver
      ? "observes"
      : isEnded
      ? "has ended"
      : isJoined
      ? wait
      : "has no consumer";
    lines.push(`  "${name}" ${what}, ${lag} events to go`);
  }
  return lines.join("\n");
}
