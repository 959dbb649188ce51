/**
 * Both ends of round trips, for `broadcast_latency_bench.ts`: over two rings, or over a port.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle, type BroadcastReader } from "../mod.ts";
import { POSITION, SLEEPING } from "../src/broadcast/layout.ts";
import { type Round, spinFor } from "./crew.ts";

/** What each end is told. */
export interface Trip {
  /** The ring of the way there, or a port. */
  readonly there: unknown;
  /** The ring of the way back. */
  readonly back: BroadcastHandle;
  readonly count: number;
  /** Whether an end that has nothing to do spins; otherwise it blocks. */
  readonly spins: boolean;
  /** The microseconds of each round trip. Written by the end that begins. */
  readonly samples: Float64Array;
  /** Before how many round trips both ends were asleep. Added to by the end that begins. */
  readonly asleep: Int32Array;
}

const PAYLOAD_BYTES = 8;
/** How long an end waits at most until the other one is about to sleep. */
const IDLE_BEFORE_SLEEP_MS = 1;
/** From being about to sleep until asleep. */
const FALLING_ASLEEP_MS = 0.02;
/** The time after which the other end of a port should be asleep; a port does not tell. */
const PORT_FALLING_ASLEEP_MS = 0.1;

/** A function that tells whether a reader of this ring may be asleep. */
function sleeperOf(ring: Broadcast): () => boolean {
  const words = new Int32Array(ring.memory.buffer, ring.byteOffset, POSITION + 1);
  return () => (Atomics.load(words, POSITION) & SLEEPING) !== 0;
}

/** Spins until the other end is asleep; returns whether it is. */
function untilAsleep(isAsleep: () => boolean): boolean {
  const start = performance.now();
  while (!isAsleep()) {
    if (performance.now() - start > IDLE_BEFORE_SLEEP_MS) return false;
    Atomics.pause();
  }
  spinFor(FALLING_ASLEEP_MS);
  return true;
}

function receiveOne(reader: BroadcastReader, spins: boolean): void {
  while (!reader.poll()) {
    if (spins) Atomics.pause();
    else reader.wait();
  }
  reader.next();
}

/** For how many milliseconds an answer was held back. */
function heldFor(answer: Uint8Array): number {
  return new Float64Array(answer.slice().buffer)[0]!;
}

/** Sends a message, and waits for the answer on the other ring. */
export function ping({ there, back, count, spins, samples, asleep }: Trip): Round {
  const ring = Broadcast.attach(there as BroadcastHandle);
  const writer = ring.writer();
  const reader = Broadcast.attach(back).reader();
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const isAsleep = sleeperOf(ring);
  return () => {
    using _closed = writer;
    for (let i = 0; i < count; i++) {
      const wasAsleep = !spins && untilAsleep(isAsleep);
      const start = performance.now();
      writer.send(payload);
      receiveOne(reader, spins);
      const end = performance.now();
      samples[i] = (end - start - heldFor(reader.message())) * 1000;
      if (wasAsleep && reader.userValue === 1) asleep[0]! += 1;
    }
  };
}

/** Answers with how long it held the answer back, and with 1 if the other end was asleep then. */
export function pong({ there, back, count, spins }: Trip): Round {
  const ring = Broadcast.attach(back);
  const reader = Broadcast.attach(there as BroadcastHandle).reader();
  const writer = ring.writer();
  const isAsleep = sleeperOf(ring);
  const options = { userValue: 0 };
  const held = new Float64Array(1);
  const payload = new Uint8Array(held.buffer);
  return () => {
    using _closed = writer;
    for (let i = 0; i < count; i++) {
      receiveOne(reader, spins);
      if (!spins) {
        const received = performance.now();
        options.userValue = untilAsleep(isAsleep) ? 1 : 0;
        held[0] = performance.now() - received;
      }
      writer.send(payload, options);
    }
  };
}

/** Posts a message, and awaits the answer. */
export function portPing({ there, count, spins, samples }: Trip): Round {
  const port = there as MessagePort;
  const payload = new Uint8Array(PAYLOAD_BYTES);
  let returned = Promise.withResolvers<Uint8Array>();
  port.onmessage = ({ data }) => returned.resolve(data);
  return async () => {
    for (let i = 0; i < count; i++) {
      if (!spins) spinFor(PORT_FALLING_ASLEEP_MS);
      returned = Promise.withResolvers<Uint8Array>();
      const start = performance.now();
      port.postMessage(payload);
      const answer = await returned.promise;
      samples[i] = (performance.now() - start - heldFor(answer)) * 1000;
    }
    port.close();
  };
}

/** Posts back how long it held the answer back. */
export function portPong({ there, count, spins }: Trip): Round {
  const port = there as MessagePort;
  const held = new Float64Array(1);
  const payload = new Uint8Array(held.buffer);
  const { promise, resolve } = Promise.withResolvers<void>();
  let answered = 0;
  port.onmessage = () => {
    if (!spins) {
      const received = performance.now();
      spinFor(PORT_FALLING_ASLEEP_MS);
      held[0] = performance.now() - received;
    }
    port.postMessage(payload);
    if (++answered < count) return;
    port.close();
    resolve();
  };
  return () => promise;
}
