/**
 * Two threads that reach each other in one of many ways, for `round_trips.ts`.
 *
 * @module
 */

import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastReader,
  BufferPool,
  type BufferPoolHandle,
  Channel,
  type ChannelHandle,
  type Copier,
  Domain,
  type DomainHandle,
  EventCount,
  type EventCountHandle,
  Memory,
  Parker,
  type ParkerHandle,
  Semaphore,
  type SemaphoreHandle,
  type SlotWriter,
  type Subscription,
  WaiterQueue,
} from "../mod.ts";
import { POSITION, SLEEPING } from "../src/broadcast/layout.ts";
import { type Round, sleepFor, spinFor } from "./crew.ts";

/** How one thread wakes another, and waits until it is woken. */
interface End {
  /** Wakes the other thread. */
  wake(): void;
  /** Waits until the other thread has called `wake`. */
  wait(): void | Promise<unknown>;
  /**
   * Returns once the other thread is asleep. Both threads call it before they wake the other, and
   * the answer's rest is not measured. If it is not given, the first thread sleeps for a while.
   */
  rest?(): void;
  /** Whether no thread rests, as both spin. */
  readonly spins?: boolean;
}

/** How long the first thread sleeps by default, so that the second falls asleep. */
const REST_MS = 0.2;
/** How long a thread spins at most until the reader of its ring is about to sleep. */
const IDLE_BEFORE_SLEEP_MS = 1;
/** From being about to sleep until asleep. */
const FALLING_ASLEEP_MS = 0.02;
/** The time after which the other end of a port should be asleep; a port does not tell. */
const PORT_FALLING_ASLEEP_MS = 0.1;
/** The time after which a thread that waits has fallen asleep. */
const SURELY_ASLEEP_MS = 0.05;
/** The bytes of a message. */
const MESSAGE_BYTES = 8;

/** The kinds of ends, each made from the paths to the other thread, and back. */
const ends = {
  parker: (there: ParkerHandle, back: ParkerHandle): End => {
    const [other, own] = [Parker.attach(there), Parker.attach(back)];
    return { wake: () => other.unpark(), wait: () => void own.park() };
  },
  parkerAsync: (there: ParkerHandle, back: ParkerHandle): End => {
    const [other, own] = [Parker.attach(there), Parker.attach(back)];
    return { wake: () => other.unpark(), wait: () => own.parkAsync() };
  },
  semaphore: (there: SemaphoreHandle, back: SemaphoreHandle): End => {
    const [other, own] = [Semaphore.attach(there), Semaphore.attach(back)];
    return { wake: () => other.release(), wait: () => void own.acquire() };
  },
  eventCount: (there: Signal, back: Signal): End => {
    const [other, own] = [EventCount.attach(there.count), EventCount.attach(back.count)];
    let expected = 0;
    const hasCome = () => Atomics.load(back.word, 0) === expected;
    return {
      wake() {
        Atomics.add(there.word, 0, 1);
        other.notify();
      },
      wait() {
        expected++;
        own.until(hasCome);
      },
    };
  },
  atomics: (there: Int32Array, back: Int32Array): End => {
    let seen = 0;
    return {
      wake() {
        Atomics.add(there, 0, 1);
        Atomics.notify(there, 0);
      },
      wait() {
        while (Atomics.load(back, 0) === seen) Atomics.wait(back, 0, seen);
        seen++;
      },
    };
  },
  atomicsAsleep: (there: Int32Array, back: Int32Array): End => (
    { ...ends.atomics(there, back), rest: () => spinFor(SURELY_ASLEEP_MS) }
  ),
  domainAsleep: (there: DomainPath, back: DomainPath): End => (
    { ...ends.domain(there, back), rest: () => spinFor(SURELY_ASLEEP_MS) }
  ),
  pool: (there: BufferPoolHandle | undefined, back: BufferPoolHandle | undefined): End => {
    const handle = (there ?? back)!;
    const pool = BufferPool.attach(handle);
    const queue = WaiterQueue.attach(handle.waiters);
    // The thread that begins has the only buffer.
    let buffer = there === undefined ? -1 : pool.acquire();
    return {
      wake() {
        while (!queue.isAnyWaiting) Atomics.pause();
        pool.release(buffer);
      },
      wait: () => void (buffer = pool.acquire()),
    };
  },
  ring: (there: BroadcastHandle, back: BroadcastHandle): End => {
    const words = new Int32Array(there.memory.buffer, there.byteOffset, POSITION + 1);
    return {
      ...ringEnd(there, back, (reader) => reader.wait()),
      rest() {
        const start = performance.now();
        while ((Atomics.load(words, POSITION) & SLEEPING) === 0) {
          if (performance.now() - start > IDLE_BEFORE_SLEEP_MS) return;
          Atomics.pause();
        }
        spinFor(FALLING_ASLEEP_MS);
      },
    };
  },
  ringSpinning: (there: BroadcastHandle, back: BroadcastHandle): End => (
    { ...ringEnd(there, back, () => Atomics.pause()), spins: true }
  ),
  channel: (there: ChannelHandle<never>, back: ChannelHandle<never>): End => (
    { ...channelEnd(there, back, "blocking"), rest: () => spinFor(PORT_FALLING_ASLEEP_MS) }
  ),
  channelAwake: (there: ChannelHandle<never>, back: ChannelHandle<never>): End => (
    { ...channelEnd(there, back, "phased"), spins: true }
  ),
  port: (_: undefined, port: MessagePort): End => portEnd(port, null),
  portBytes: (_: undefined, port: MessagePort): End => (
    { ...portEnd(port, new Uint8Array(MESSAGE_BYTES)), rest: () => spinFor(PORT_FALLING_ASLEEP_MS) }
  ),
  portSpinning: (_: undefined, port: MessagePort): End => (
    { ...portEnd(port, new Uint8Array(MESSAGE_BYTES)), spins: true }
  ),
  domain: (there: DomainPath, back: DomainPath): End => (
    domainEnd(there, back, (writer, source) => writer.send(source), (subscription) => (
      subscription.next()
    ))
  ),
  domainInPlace: (there: DomainPath, back: DomainPath): End => (
    domainEnd(there, back, (writer, source, copier) => {
      copier.copyIn(writer.claim(source.length), 0, source.length);
      writer.publish();
    }, (subscription) => {
      using held = subscription.holdLatest();
      return held !== undefined;
    })
  ),
  cloned: (_: undefined, { port, bytes }: PortPath): End => portEnd(port, new Uint8Array(bytes)),
  transferred: (_: undefined, { port, bytes }: PortPath): End => {
    const arrivals = new Arrivals(port);
    const source = new Uint8Array(bytes);
    let array = new Uint8Array(bytes);
    return {
      wake() {
        array.set(source);
        port.postMessage(array, [array.buffer]);
      },
      wait: async () => array = await arrivals.next() as Uint8Array<ArrayBuffer>,
    };
  },
  broadcastChannel: (there: ChannelPath, back: ChannelPath): End => {
    const out = new BroadcastChannel(there.name);
    const arrivals = new Arrivals(new BroadcastChannel(back.name));
    const message = new Uint8Array(there.bytes);
    return { wake: () => out.postMessage(message), wait: () => arrivals.next() };
  },
  transfer: (_: undefined, port: MessagePort): End => {
    const arrivals = new Arrivals(port);
    let array = new Uint8Array(1033);
    return {
      wake: () => port.postMessage(array, [array.buffer]),
      wait: async () => array = await arrivals.next() as Uint8Array<ArrayBuffer>,
    };
  },
};

/** A writer to one ring and a reader of another, which calls `idle` while it has no message. */
function ringEnd(
  there: BroadcastHandle,
  back: BroadcastHandle,
  idle: (reader: BroadcastReader) => void,
): End {
  const writer = Broadcast.attach(there).writer();
  const reader = Broadcast.attach(back).reader();
  const payload = new Uint8Array(MESSAGE_BYTES);
  return {
    wake: () => writer.send(payload),
    wait() {
      while (!reader.poll()) idle(reader);
      reader.next();
    },
  };
}

/** A slot that one thread writes and the other waits for, among others that nobody writes. */
export interface DomainPath {
  readonly handle: DomainHandle;
  readonly name: string;
  /** The other slots in the set. */
  readonly others: readonly string[];
  /** The bytes of the messages. */
  readonly bytes: number;
}

/** A port, and the bytes of the messages. */
export interface PortPath {
  readonly port: MessagePort;
  readonly bytes: number;
}

/** The name of a channel, and the bytes of the messages. */
export interface ChannelPath {
  readonly name: string;
  readonly bytes: number;
}

/** A writer to one slot, and a waiter for another and its set. */
function domainEnd(
  there: DomainPath,
  back: DomainPath,
  send: (writer: SlotWriter, source: Uint8Array, copier: Copier) => unknown,
  take: (subscription: Subscription) => boolean,
): End {
  const domain = Domain.attach(there.handle);
  const memory = Memory.attach(there.handle.memory);
  const writer = domain.find(there.name)!.writer();
  const waiter = domain.waiter();
  const subscription = waiter.subscribe(domain.find(back.name)!, { history: Infinity });
  for (const other of back.others) waiter.subscribe(domain.find(other)!);
  const source = memory.privateBytes(there.bytes);
  const copier = memory.copier(source);
  return {
    wake: () => send(writer, source, copier),
    wait() {
      while (!take(subscription)) waiter.wait();
    },
  };
}

/** A sender to one channel of bytes, and the receiver of another. */
function channelEnd(
  there: ChannelHandle<never>,
  back: ChannelHandle<never>,
  strategy: "blocking" | "phased",
): End {
  const sender = Channel.attach(there).sender({ strategy });
  const receiver = Channel.attach(back).receiver({ strategy });
  const payload = new Uint8Array(MESSAGE_BYTES) as never;
  return { wake: () => void sender.send(payload), wait: () => void receiver.receive() };
}

function portEnd(port: MessagePort, message: unknown): End {
  const arrivals = new Arrivals(port);
  return { wake: () => port.postMessage(message), wait: () => arrivals.next() };
}

/** The messages that come through a port, one after the other. */
class Arrivals {
  #arrival = Promise.withResolvers<unknown>();

  constructor(port: MessagePort | BroadcastChannel) {
    port.onmessage = ({ data }) => this.#arrival.resolve(data);
  }

  async next(): Promise<unknown> {
    const data = await this.#arrival.promise;
    this.#arrival = Promise.withResolvers();
    return data;
  }
}

/** A word, and an event count that is notified of its changes. */
export interface Signal {
  count: EventCountHandle;
  word: Int32Array;
}

/** The ways for two threads to reach each other. */
export type Kind = keyof typeof ends;

/** The job of each of the threads. */
export interface Trip {
  readonly kind: Kind;
  readonly there: unknown;
  readonly back: unknown;
  /** How many round trips a round has. */
  readonly count: number;
  /** The microseconds of each round trip. Written by the thread that begins. */
  readonly samples: Float64Array;
  /** How many sleepers were woken. Added to by both threads. */
  readonly woken: Int32Array;
  /** Whether to count them. */
  readonly countsWoken: boolean;
  /** The milliseconds that the answer's rest took. Written by the thread that answers. */
  readonly held: Float64Array;
}

function endOf({ kind, there, back }: Trip): End {
  return ends[kind](there as never, back as never);
}

/**
 * Counts the sleepers that this thread wakes from here on. That slows all its atomic operations
 * down, by half a microsecond a round trip; so it is left out where both threads spin.
 */
function countWoken(woken: Int32Array): void {
  const notify = Atomics.notify;
  Atomics.notify = ((view: Int32Array, index: number, count?: number) => {
    const number = notify(view, index, count);
    Atomics.add(woken, 0, number);
    return number;
  }) as typeof notify;
}

/** Wakes the other thread once that has fallen asleep, and waits for its answer. */
export function ping(trip: Trip): Round {
  const { count, samples, woken, countsWoken, held } = trip;
  const end = endOf(trip);
  const { rest = () => sleepFor(REST_MS), spins = false } = end;
  if (countsWoken && !spins) countWoken(woken);
  return async () => {
    for (let i = 0; i < count; i++) {
      if (!spins) rest();
      const start = performance.now();
      end.wake();
      const waiting = end.wait();
      if (waiting !== undefined) await waiting;
      samples[i] = (performance.now() - start - held[0]!) * 1000;
    }
  };
}

/** Answers. */
export function pong(trip: Trip): Round {
  const { count, woken, countsWoken, held } = trip;
  const end = endOf(trip);
  if (countsWoken && end.spins !== true) countWoken(woken);
  return async () => {
    for (let i = 0; i < count; i++) {
      const waiting = end.wait();
      if (waiting !== undefined) await waiting;
      if (end.rest !== undefined) {
        const received = performance.now();
        end.rest();
        held[0] = performance.now() - received;
      }
      end.wake();
    }
  };
}
