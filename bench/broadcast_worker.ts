/**
 * What the workers of the broadcast benches do: one end of a stream of messages, job by job.
 *
 * All ways of transport are driven, paced and verified alike: each message carries the low 16 bits
 * of its number, and a receiver sums them up.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastReader,
  type BroadcastWriter,
  FrameCursor,
} from "../mod.ts";
import { POSITION, SLEEPING } from "../src/broadcast/layout.ts";

/** The words of the control block, each on a cache line of its own. */
export const CONTROL = {
  /** How many workers are ready. */
  ready: 0,
  /** Set when they may begin. */
  go: 16,
  /** How many workers have done their part. */
  done: 32,
  /** Never changes: to sleep on. */
  idle: 48,
  /** How many messages are published in plain memory. */
  plain: 64,
  /** From here on, a line for each receiver: how many messages it has, and their sum. */
  receivers: 80,
  /** The size of the block. */
  words: 80 + 4 * 16,
} as const;

/** How often an end looks again before it gives its core up to whoever else wants it. */
const SPINS = 1000;

/** For how long a reader lets messages gather: about a microsecond. */
const GATHERING_PAUSES = 32;

/** What is so little that a reader of the ring lets more of it gather. */
const FEW_BYTES = 16 * 1024;

/** The bytes that a bulk read takes at most. */
const BULK_BYTES = 256 * 1024;

/** How many messages go between two looks at the heap, which allocate a little themselves. */
const HEAP_STEP = 1_000_000;

/** What one end of a stream is told. */
export interface Job {
  /** What to do. */
  role: keyof typeof roles;
  /** The control block. */
  control: Int32Array;
  /** A ring, a port, the name of a channel, or memory: whatever the role goes by. */
  via: unknown;
  /** For a round trip: the ring of the way back. */
  back?: BroadcastHandle;
  /** The bytes of a message. */
  messageBytes: number;
  /** How many messages are sent. */
  messages: number;
  /** How many are published at once, or sent between two looks at the progress. */
  batch: number;
  /** How many messages the sender may be ahead of the receivers; Infinity if it never waits. */
  ahead: number;
  /** How many receivers there are. */
  receivers: number;
  /** Which of them this is. */
  receiver: number;
  /** Whether an end that has nothing to do spins, rather than to block after a while. */
  spins: boolean;
  /** Whether a receiver lets messages gather for a moment after a batch, if that was small. */
  gathers?: boolean;
}

/** What the messages of a job sum up to. */
export function expectedSum(messages: number): number {
  let sum = 0;
  for (let i = 0; i < messages; i++) sum = (sum + (i & 0xffff)) | 0;
  return sum;
}

/** Where the words of a receiver are: its count, and its sum. */
export function receiverLine(receiver: number): number {
  return CONTROL.receivers + 16 * receiver;
}

// --- beginning, pacing and ending -------------------------------------------------------------

/** Says that this end is ready, and waits until all are. */
function begin({ control }: Job): void {
  Atomics.add(control, CONTROL.ready, 1);
  Atomics.notify(control, CONTROL.ready);
  while (Atomics.load(control, CONTROL.go) === 0) Atomics.wait(control, CONTROL.go, 0);
}

function end({ control }: Job): void {
  Atomics.add(control, CONTROL.done, 1);
  Atomics.notify(control, CONTROL.done);
}

/** Waits until no receiver has less than so many messages; returns how many the slowest has. */
function untilReceived({ control, receivers, spins: isSpinning }: Job, count: number): number {
  for (let spins = 0;; spins++) {
    let slowest = Infinity;
    for (let i = 0; i < receivers; i++) {
      slowest = Math.min(slowest, Atomics.load(control, receiverLine(i)));
    }
    if (slowest >= count) return slowest;
    if (isSpinning || spins < SPINS) Atomics.pause();
    else Atomics.wait(control, CONTROL.idle, 0, 0.1);
  }
}

/** Keeps count of what is allocated, whatever is collected meanwhile. */
class HeapCount {
  #used = Deno.memoryUsage().heapUsed;
  #next = HEAP_STEP;
  /** By how many bytes the heap grew, where it did. */
  growth = 0;

  /** Looks, once in a while. */
  at(messages: number): void {
    if (messages < this.#next) return;
    this.#next += HEAP_STEP;
    const used = Deno.memoryUsage().heapUsed;
    this.growth += Math.max(0, used - this.#used);
    this.#used = used;
  }
}

/**
 * Calls `send` for each batch of messages, as soon as the receivers are near enough.
 *
 * @returns How much the heap grew.
 */
function sendBatches(job: Job, send: (from: number, to: number) => void): number {
  const { messages, batch, ahead } = job;
  let allowed = ahead;
  begin(job);
  const heap = new HeapCount();
  for (let from = 0; from < messages; from += batch) {
    const to = Math.min(from + batch, messages);
    if (to > allowed) allowed = ahead + untilReceived(job, to - ahead);
    send(from, to);
    heap.at(to);
  }
  end(job);
  return heap.growth;
}

function gather(): void {
  for (let i = 0; i < GATHERING_PAUSES; i++) Atomics.pause();
}

/** What a receiver has got. */
interface Got {
  count: number;
  sum: number;
}

/**
 * Calls `take`, which adds to what was got, until that is everything.
 *
 * @returns How much the heap grew.
 */
function takeAll(job: Job, take: (got: Got) => boolean, sleep: () => void): number {
  const { control, messages, spins } = job;
  const line = receiverLine(job.receiver);
  const got = { count: 0, sum: 0 };
  let idle = 0;
  begin(job);
  const heap = new HeapCount();
  while (got.count < messages) {
    const before = got.count;
    if (take(got)) {
      idle = 0;
      Atomics.store(control, line, got.count);
      heap.at(got.count);
      if (job.gathers === true && (got.count - before) * job.messageBytes < FEW_BYTES) gather();
    } else if (spins || ++idle < SPINS) {
      Atomics.pause();
    } else {
      sleep();
    }
  }
  control[line + 1] = got.sum;
  end(job);
  return heap.growth;
}

function writerOf({ via }: Job): BroadcastWriter {
  return Broadcast.attach(via as BroadcastHandle).writer();
}

function readerOf({ via }: Job): BroadcastReader {
  return Broadcast.attach(via as BroadcastHandle).reader();
}

/** Takes messages as they come as events. */
function onEvents(job: Job, finish: () => void): (event: MessageEvent<Uint8Array>) => void {
  const line = receiverLine(job.receiver);
  let count = 0;
  let sum = 0;
  return ({ data }) => {
    sum = (sum + data[0]! + (data[1]! << 8)) | 0;
    if (++count % job.batch === 0) Atomics.store(job.control, line, count);
    if (count < job.messages) return;
    job.control[line + 1] = sum;
    Atomics.store(job.control, line, count);
    finish();
    end(job);
  };
}

/**
 * Messages of one size in plain memory, published by a counter: without a reader's place to find, a
 * writer to notice, sleepers, or overruns. It says what copies and the way between two cores cost.
 */
class PlainRing {
  readonly bytes: Uint8Array;
  readonly #counter: Int32Array;
  readonly #frames: Int32Array;
  readonly #frameBytes: number;
  readonly #lapBytes: number;
  #offset = 0;
  #taken = 0;

  constructor({ via, messageBytes, control }: Job) {
    this.bytes = new Uint8Array(via as SharedArrayBuffer);
    this.#frames = new Int32Array(via as SharedArrayBuffer);
    this.#counter = control;
    this.#frameBytes = messageBytes + 8;
    this.#lapBytes = this.bytes.length - this.bytes.length % this.#frameBytes;
  }

  /** Writes the header of the next frame; returns where its payload goes. */
  begin(): number {
    const offset = this.#offset;
    const end = offset + this.#frameBytes;
    this.#frames[offset >> 2] = this.#frameBytes;
    this.#frames[(offset >> 2) + 1] = 0;
    this.#offset = end === this.#lapBytes ? 0 : end;
    return offset + 8;
  }

  publish(count: number): void {
    Atomics.store(this.#counter, CONTROL.plain, count);
  }

  /** Copies what is published, up to the end of the lap; returns how many bytes. */
  take(target: Uint8Array): number {
    const available = Atomics.load(this.#counter, CONTROL.plain) - this.#taken;
    const frame = this.#frameBytes;
    const rest = (this.#lapBytes - this.#offset) / frame;
    const count = Math.min(available, Math.floor(target.length / frame), rest);
    if (count === 0) return 0;
    const end = this.#offset + count * frame;
    target.set(this.bytes.subarray(this.#offset, end));
    this.#offset = end === this.#lapBytes ? 0 : end;
    this.#taken += count;
    return count * frame;
  }
}

// --- the ends ---------------------------------------------------------------------------------

const senders = {
  /** Copies each message in. */
  append(job: Job): number {
    using writer = writerOf(job);
    const payload = new Uint8Array(job.messageBytes);
    return sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        writer.append(payload);
      }
      writer.publish();
    });
  },

  /** Claims room for each message, and writes just two bytes there. */
  claim(job: Job): number {
    using writer = writerOf(job);
    const { bytes } = writer;
    const { messageBytes } = job;
    return sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        const offset = writer.claim(messageBytes);
        bytes[offset] = i;
        bytes[offset + 1] = i >> 8;
        writer.commit();
      }
      writer.publish();
    });
  },

  /** Collects a batch of messages in an array, and copies that in. */
  appendEqual(job: Job): number {
    using writer = writerOf(job);
    const { messageBytes, batch } = job;
    const payloads = new Uint8Array(messageBytes * batch);
    return sendBatches(job, (from, to) => {
      for (let i = from, at = 0; i < to; i++, at += messageBytes) {
        payloads[at] = i;
        payloads[at + 1] = i >> 8;
      }
      writer.appendEqual(payloads, messageBytes);
      writer.publish();
    });
  },

  /** What no ring can surpass: copies each message into plain memory. */
  plainCopy(job: Job): void {
    const plain = new PlainRing(job);
    const payload = new Uint8Array(job.messageBytes);
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        plain.bytes.set(payload, plain.begin());
      }
      plain.publish(to);
    });
  },

  /** The same, with just two bytes of each message. */
  plainTouch(job: Job): void {
    const plain = new PlainRing(job);
    const { bytes } = plain;
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        const offset = plain.begin();
        bytes[offset] = i;
        bytes[offset + 1] = i >> 8;
      }
      plain.publish(to);
    });
  },

  /** Posts a message each. */
  post(job: Job): void {
    const port = job.via as MessagePort;
    const payload = new Uint8Array(job.messageBytes);
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        port.postMessage(payload);
      }
    });
  },

  /** Posts a message each, which is handed over. */
  transfer(job: Job): void {
    const port = job.via as MessagePort;
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        const payload = new Uint8Array(job.messageBytes);
        payload[0] = i;
        payload[1] = i >> 8;
        port.postMessage(payload, [payload.buffer]);
      }
    });
  },

  /** Posts to a channel. */
  channelPost(job: Job): void {
    const channel = new BroadcastChannel(job.via as string);
    const payload = new Uint8Array(job.messageBytes);
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        channel.postMessage(payload);
      }
    });
    untilReceived(job, job.messages);
    channel.close();
  },

  /** Pushes each message into a queue of bytes for one producer and one consumer. */
  push(job: Job): void {
    const ring = new RingBuffer(job.via as SharedArrayBuffer, Uint8Array);
    const payload = new Uint8Array(job.messageBytes);
    sendBatches(job, (from, to) => {
      for (let i = from; i < to; i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        ring.push(payload, payload.length);
      }
    });
  },
};

const receivers = {
  /** Looks at each message in the batch that the reader took. */
  read(job: Job): number {
    const reader = readerOf(job);
    return takeAll(job, (got) => {
      if (!reader.poll()) return false;
      const { bytes } = reader;
      let { count, sum } = got;
      while (reader.next()) {
        const { offset } = reader;
        sum = (sum + bytes[offset]! + (bytes[offset + 1]! << 8)) | 0;
        count++;
      }
      got.count = count;
      got.sum = sum;
      return true;
    }, () => reader.wait());
  },

  /** Copies each message to an array. */
  receive(job: Job): number {
    const reader = readerOf(job);
    const target = new Uint8Array(job.messageBytes);
    return takeAll(job, (got) => {
      if (!reader.poll()) return false;
      while (reader.next()) {
        reader.receive(target);
        got.sum = (got.sum + target[0]! + (target[1]! << 8)) | 0;
        got.count++;
      }
      return true;
    }, () => reader.wait());
  },

  /** Copies the frames out in bulk, and goes through them there. */
  bulk(job: Job): number {
    const reader = readerOf(job);
    const window = new Uint8Array(BULK_BYTES);
    return takeAll(job, (got) => {
      const length = reader.readBulk(window);
      if (length === 0) return false;
      const frames = new FrameCursor(window.subarray(0, length));
      let { count, sum } = got;
      while (frames.next()) {
        const { offset } = frames;
        sum = (sum + window[offset]! + (window[offset + 1]! << 8)) | 0;
        count++;
      }
      got.count = count;
      got.sum = sum;
      return true;
    }, () => reader.wait());
  },

  /** Copies out of plain memory as much as there is. */
  plainTake(job: Job): void {
    const plain = new PlainRing(job);
    const window = new Uint8Array(BULK_BYTES);
    const frame = job.messageBytes + 8;
    takeAll(job, (got) => {
      const length = plain.take(window);
      let { sum } = got;
      for (let at = 8; at < length; at += frame) {
        sum = (sum + window[at]! + (window[at + 1]! << 8)) | 0;
      }
      got.sum = sum;
      got.count += length / frame;
      return length > 0;
    }, () => {});
  },

  /** Receives from a port. */
  onPort(job: Job): void {
    const port = job.via as MessagePort;
    port.onmessage = onEvents(job, () => port.close());
    begin(job);
  },

  /** Receives from a channel. */
  onChannel(job: Job): void {
    const channel = new BroadcastChannel(job.via as string);
    channel.onmessage = onEvents(job, () => channel.close());
    // It hears nothing at first, and does not say from when on it does.
    setTimeout(() => begin(job), 20);
  },

  /** Pops each message. */
  pop(job: Job): void {
    const ring = new RingBuffer(job.via as SharedArrayBuffer, Uint8Array);
    const payload = new Uint8Array(job.messageBytes);
    takeAll(job, (got) => {
      let available = ring.available_read();
      if (available < payload.length) return false;
      for (; available >= payload.length; available -= payload.length) {
        ring.pop(payload, payload.length);
        got.sum = (got.sum + payload[0]! + (payload[1]! << 8)) | 0;
        got.count++;
      }
      return true;
    }, () => Atomics.wait(job.control, CONTROL.idle, 0, 0.1));
  },
};

/** What a ping has measured. */
export interface Trips {
  /** How long each round trip took, in microseconds. */
  microseconds: number[];
  /** Before how many of them both ends were asleep. */
  parked: number;
}

/** Whether a reader of this ring may be asleep. */
function isAsleep(ring: Broadcast): () => boolean {
  const words = new Int32Array(ring.memory.buffer, ring.byteOffset, POSITION + 1);
  return () => (Atomics.load(words, POSITION) & SLEEPING) !== 0;
}

/** For how long an end gives the other one time to fall asleep. */
const DROWSY_MS = 1;
/** From being about to sleep until asleep. */
const NODDING_MS = 0.02;
/** After this time the other end of a port should be asleep, of which it says nothing. */
const PORT_NODDING_MS = 0.1;

/** For how long an answer was held back. */
function heldFor(answer: Uint8Array): number {
  return new Float64Array(answer.slice().buffer)[0]!;
}

/** Spins until the other end is asleep; says whether it is. */
function untilAsleep(otherIsAsleep: () => boolean): boolean {
  const start = performance.now();
  while (!otherIsAsleep()) {
    if (performance.now() - start > DROWSY_MS) return false;
    Atomics.pause();
  }
  spinFor(NODDING_MS);
  return true;
}

/** Spins for so long. */
function spinFor(milliseconds: number): void {
  const start = performance.now();
  while (performance.now() - start < milliseconds) Atomics.pause();
}

const trips = {
  /** Sends a message, and awaits it on the other ring. */
  ping(job: Job): Trips {
    const there = Broadcast.attach(job.via as BroadcastHandle);
    const back = Broadcast.attach(job.back!);
    using writer = there.writer();
    const reader = back.reader();
    const payload = new Uint8Array(job.messageBytes);
    const otherIsAsleep = isAsleep(there);
    const microseconds: number[] = [];
    let parked = 0;
    begin(job);
    for (let i = 0; i < job.messages; i++) {
      const wasAsleep = !job.spins && untilAsleep(otherIsAsleep);
      const start = performance.now();
      writer.send(payload);
      receiveOne(reader, job.spins);
      const end = performance.now();
      microseconds.push((end - start - heldFor(reader.message())) * 1000);
      if (wasAsleep && reader.userValue === 1) parked++;
    }
    end(job);
    return { microseconds, parked };
  },

  /** Answers with how long it held the answer back, and with 1 if the other end was asleep then. */
  pong(job: Job): void {
    const back = Broadcast.attach(job.back!);
    const reader = readerOf(job);
    using writer = back.writer();
    const otherIsAsleep = isAsleep(back);
    const options = { userValue: 0 };
    const held = new Float64Array(1);
    const payload = new Uint8Array(held.buffer);
    begin(job);
    for (let i = 0; i < job.messages; i++) {
      receiveOne(reader, job.spins);
      if (!job.spins) {
        const received = performance.now();
        options.userValue = untilAsleep(otherIsAsleep) ? 1 : 0;
        held[0] = performance.now() - received;
      }
      writer.send(payload, options);
    }
    end(job);
  },

  /** Posts a message, and awaits it. */
  async portPing(job: Job): Promise<Trips> {
    const port = job.via as MessagePort;
    const payload = new Uint8Array(job.messageBytes);
    const microseconds: number[] = [];
    let returned = Promise.withResolvers<Uint8Array>();
    port.onmessage = ({ data }) => returned.resolve(data);
    begin(job);
    for (let i = 0; i < job.messages; i++) {
      if (!job.spins) spinFor(PORT_NODDING_MS);
      returned = Promise.withResolvers<Uint8Array>();
      const start = performance.now();
      port.postMessage(payload);
      const answer = await returned.promise;
      microseconds.push((performance.now() - start - heldFor(answer)) * 1000);
    }
    end(job);
    port.close();
    return { microseconds, parked: 0 };
  },

  /** Posts back for how long it held that back. */
  portPong(job: Job): void {
    const port = job.via as MessagePort;
    const held = new Float64Array(1);
    const payload = new Uint8Array(held.buffer);
    let count = 0;
    port.onmessage = () => {
      if (!job.spins) {
        const received = performance.now();
        spinFor(PORT_NODDING_MS);
        held[0] = performance.now() - received;
      }
      port.postMessage(payload);
      if (++count < job.messages) return;
      port.close();
      end(job);
    };
    begin(job);
  },
};

function receiveOne(reader: BroadcastReader, spins: boolean): void {
  while (!reader.poll()) {
    if (spins) Atomics.pause();
    else reader.wait();
  }
  reader.next();
}

/** What a writer that never waits has measured. */
export interface WriterCost {
  /** Nanoseconds a message, of each chunk. */
  nanoseconds: number[];
}

const costs = {
  /** Writes without regard to readers, and times itself. */
  writeFreely(job: Job): WriterCost {
    using writer = writerOf(job);
    const { messages, messageBytes, batch } = job;
    const payload = new Uint8Array(messageBytes);
    const chunk = 200 * batch;
    const nanoseconds = new Array<number>(Math.floor(messages / chunk)).fill(0);
    begin(job);
    for (let n = 0; n < nanoseconds.length; n++) {
      const start = performance.now();
      for (let i = 0; i < chunk; i += batch) {
        for (let k = 0; k < batch; k++) {
          payload[0] = k;
          writer.append(payload);
        }
        writer.publish();
      }
      nanoseconds[n] = (performance.now() - start) * 1e6 / chunk;
    }
    Atomics.store(job.control, CONTROL.go, 2);
    writer.heartbeat();
    end(job);
    return { nanoseconds };
  },

  /** Reads what it can until the writer has ended. */
  readFreely(job: Job): { messages: number; lost: number } {
    const reader = Broadcast.attach(job.via as BroadcastHandle).reader({ onOverrun: "continue" });
    let messages = 0;
    let idle = 0;
    begin(job);
    for (;;) {
      const isOver = Atomics.load(job.control, CONTROL.go) === 2;
      if (reader.poll()) {
        idle = 0;
        while (reader.next()) messages++;
        if (job.gathers === true) { for (let i = 0; i < GATHERING_PAUSES; i++) Atomics.pause(); }
      } else if (isOver) break;
      else if (job.spins || ++idle < SPINS) Atomics.pause();
      else reader.wait({ timeoutMs: 10 });
    }
    end(job);
    return { messages, lost: reader.lostMessages };
  },
};

const roles = { ...senders, ...receivers, ...trips, ...costs };

declare function postMessage(message: unknown): void;

if ("WorkerGlobalScope" in globalThis) {
  globalThis.addEventListener("message", async (event) => {
    const job = (event as MessageEvent<Job>).data;
    postMessage(await roles[job.role](job));
  });
}
