/**
 * A channel as it is at one moment.
 *
 * @module
 */

import { DROPPED, LOST, REDELIVERED, SENDER_LINE } from "./layout.ts";
import type { ChannelState } from "./state.ts";

/** A channel, as it was at one moment, or nearly. */
export interface ChannelInspection {
  /** How many messages are in it, those that are being sent or received included. */
  readonly depth: number;
  /** How many there may be. */
  readonly capacity: number;
  /** How many senders are attached. */
  readonly senders: number;
  /** How many receivers are attached. */
  readonly receivers: number;
  /** How many senders wait for room. */
  readonly waitingSenders: number;
  /** How many receivers wait for messages. */
  readonly waitingReceivers: number;
  /** Whether it was closed. */
  readonly isClosed: boolean;
  /** How many messages were dropped as it was full, modulo 2^32. */
  readonly dropped: number;
  /** How many messages were lost to threads that died, modulo 2^32. */
  readonly lost: number;
  /** How many messages were given back, or taken from dead threads, modulo 2^32. */
  readonly redelivered: number;
  /** Says all that in a line. */
  toString(): string;
}

/** Looks at a channel. */
export function inspect(state: ChannelState): ChannelInspection {
  const { words, cells } = state;
  const load = (index: number) => Atomics.load(words, index) >>> 0;
  const inspection = {
    depth: cells.depth,
    capacity: cells.capacity,
    senders: state.present("sender"),
    receivers: state.present("receiver"),
    waitingSenders: state.senders.count,
    waitingReceivers: state.receivers.count,
    isClosed: cells.isClosed,
    dropped: load(SENDER_LINE + DROPPED),
    lost: load(LOST),
    redelivered: load(REDELIVERED),
  };
  return { ...inspection, toString: () => describeInspection(inspection) };
}

function describeInspection(inspection: Omit<ChannelInspection, "toString">): string {
  const { depth, capacity, senders, receivers, waitingSenders, waitingReceivers } = inspection;
  const { isClosed, dropped, lost, redelivered } = inspection;
  return `${isClosed ? "closed" : "open"}: ${depth} of ${capacity} messages, ` +
    `${waitingSenders} of ${senders} senders and ${waitingReceivers} of ${receivers} receivers wait, ` +
    `${dropped} dropped, ${lost} lost, ${redelivered} redelivered`;
}
