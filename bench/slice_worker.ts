/**
 * The threads of `slice_bench.ts`: one that writes messages ten bytes at a time and takes them, and
 * one that messages are sent to, which drops each of them later.
 *
 * @module
 */

import {
  type DetachedSlice,
  HeapBuffer,
  type Slice,
  SLICE_WORDS,
  SlicePool,
  type SlicePoolHandle,
  SliceReceiver,
} from "../mod.ts";
import type { Round } from "./crew.ts";

/** The bytes of a write. */
const PIECE_BYTES = 10;
/** The longest message, and by how much others are shorter at most. */
const MAX_MESSAGE_BYTES = 2 ** 14;
const MESSAGE_BYTES_RANGE = 12_000;
/** How many arrays the map-based pool has. */
const MAP_ARRAYS = 255;

/** Ways to have memory for messages. */
export type Kind = "pool" | "heap" | "fresh" | "map" | "maximum";

/** The words by which both threads meet: counts that only go up, and the words of messages. */
export const MEETING = { put: 0, dropped: 16, returned: 32, entries: 48 } as const;

/** What both threads are given. */
export interface SliceJob {
  readonly kind: Kind;
  readonly rounds: number;
  /** How long a message is kept; undefined if it is not sent. */
  readonly keepMs: number | undefined;
  /** Whether both messages of a round are awaited. */
  readonly waits: boolean;
  readonly pool: SlicePoolHandle;
  /** {@link MEETING}, with room for two entries a round, and numbers that are returned. */
  readonly words: Int32Array;
  readonly port: MessagePort;
  /** The arrays of the map-based pool. */
  readonly arrays: SharedArrayBuffer[];
  /** Hits and misses of the pool. */
  readonly counts: Int32Array;
}

/** How many words a job needs. */
export function meetingWords(rounds: number): number {
  return MEETING.entries + 2 * rounds * (SLICE_WORDS + 1);
}

/** The arrays of the map-based pool. */
export function mapArrays(): SharedArrayBuffer[] {
  return Array.from({ length: MAP_ARRAYS }, () => new SharedArrayBuffer(MAX_MESSAGE_BYTES));
}

/** What messages are written into, as {@link SliceBuffer}. */
interface Writable {
  readonly bytes: Uint8Array;
  readonly offset: number;
  claim(length: number): void;
  commit(): void;
}

/** A way to have memory for messages. */
interface Target {
  /** What they are written into. */
  readonly buffer: Writable;
  /** Takes a message and releases it on this thread. */
  drop(): void;
  /** Takes a message and sends it, as number `index`. */
  send(index: number): void;
}

/** Where the words of a message go. */
function entryOf(index: number): number {
  return MEETING.entries + index * SLICE_WORDS;
}

/** Our pool, and heap memory: slices. */
class Slices implements Target {
  readonly buffer: SlicePool | HeapBuffer;
  readonly #job: SliceJob;

  constructor(buffer: SlicePool | HeapBuffer, job: SliceJob) {
    this.buffer = buffer;
    this.#job = job;
  }

  drop(): void {
    this.buffer.take().release();
  }

  send(index: number): void {
    const { words, port } = this.#job;
    const slice = this.buffer.take();
    if (slice.slot >= 0) {
      slice.detachInto(words, entryOf(index));
      return;
    }
    const transfer: ArrayBuffer[] = [];
    port.postMessage(slice.detach(transfer), transfer);
    words[entryOf(index)] = -1;
  }
}

/** A fresh array for each message, of the maximum length. */
class FreshArrays implements Target, Writable {
  readonly buffer = this;
  bytes = new Uint8Array(0);
  offset = 0;
  readonly #job: SliceJob;

  constructor(job: SliceJob) {
    this.#job = job;
  }

  claim(_length: number): void {
    if (this.offset === 0) this.bytes = new Uint8Array(MAX_MESSAGE_BYTES);
  }

  commit(): void {
    this.offset += PIECE_BYTES;
  }

  drop(): void {
    this.offset = 0;
  }

  send(index: number): void {
    const { bytes } = this;
    this.offset = 0;
    this.#job.port.postMessage(bytes, [bytes.buffer]);
    this.#job.words[entryOf(index)] = -1;
  }
}

/** A map of arrays, and a list of those that are free. */
class MapPool implements Target, Writable {
  readonly buffer = this;
  offset = 0;
  readonly #job: SliceJob;
  readonly #arrays: Map<number, Uint8Array>;
  readonly #free: number[] = [];
  #returned = 0;

  constructor(job: SliceJob) {
    this.#job = job;
    this.#arrays = new Map(job.arrays.map((array, i) => [i, new Uint8Array(array)]));
  }

  get bytes(): Uint8Array {
    return this.#arrays.get(this.#free.at(-1)!)!;
  }

  claim(_length: number): void {
    while (this.#free.length === 0) this.#takeBack();
  }

  commit(): void {
    this.offset += PIECE_BYTES;
  }

  drop(): void {
    this.offset = 0;
    this.#free.push(this.#free.pop()!);
  }

  send(index: number): void {
    this.#job.words[entryOf(index)] = this.#free.pop()!;
    this.offset = 0;
  }

  /** Takes the arrays that were returned. */
  #takeBack(): void {
    const { words, rounds } = this.#job;
    const returned = Atomics.load(words, MEETING.returned);
    const list = entryOf(2 * rounds);
    for (; this.#returned < returned; this.#returned++) {
      this.#free.push(words[list + this.#returned % (2 * rounds)]!);
    }
  }

  /** Begins a round, with all arrays. */
  restart(): void {
    this.#returned = Atomics.load(this.#job.words, MEETING.returned);
    this.#free.length = 0;
    for (let i = 0; i < this.#arrays.size; i++) this.#free.push(i);
  }
}

/** One array, written at its beginning again and again. */
class Maximum implements Target, Writable {
  readonly buffer = this;
  readonly bytes = new Uint8Array(MAX_MESSAGE_BYTES);
  readonly offset = 0;
  readonly #job: SliceJob;

  constructor(job: SliceJob) {
    this.#job = job;
  }

  claim(_length: number): void {}

  commit(): void {}

  drop(): void {}

  send(index: number): void {
    this.#job.words[entryOf(index)] = 0;
  }
}

/** Writes a message ten bytes at a time. */
function write(target: Writable, data: Uint8Array, from: number, length: number): void {
  for (let written = 0; written < length; written += PIECE_BYTES) {
    target.claim(PIECE_BYTES);
    const { bytes, offset } = target;
    for (let i = 0; i < PIECE_BYTES; i++) bytes[offset + i] = data[from + i]!;
    target.commit();
  }
}

/** A thread that writes messages, and drops or sends them. */
export function produce(job: SliceJob): Round {
  const { kind, rounds, keepMs, waits, words, counts } = job;
  const data = Uint8Array.from({ length: 4096 }, (_, i) => i * 31);
  const pool = kind === "pool" ? SlicePool.attach(job.pool) : undefined;
  const map = kind === "map" ? new MapPool(job) : undefined;
  const target: Target = pool !== undefined
    ? new Slices(pool, job)
    : map ?? (kind === "heap"
      ? new Slices(HeapBuffer.create(), job)
      : kind === "fresh"
      ? new FreshArrays(job)
      : new Maximum(job));
  const { buffer } = target;
  let sent = 0;
  return () => {
    map?.restart();
    let random = 1;
    for (let round = 0; round < rounds; round++) {
      random = Math.imul(random, 1664525) + 1013904223 | 0;
      const shorter = Math.floor((random >>> 0) / 2 ** 32 * MESSAGE_BYTES_RANGE);
      const length = MAX_MESSAGE_BYTES - PIECE_BYTES - shorter;
      for (let half = 0; half < 2; half++) {
        write(buffer, data, round, length);
        if (keepMs === undefined) target.drop();
        else {
          target.send(2 * round + half);
          Atomics.store(words, MEETING.put, ++sent);
        }
      }
      if (!waits) continue;
      for (let dropped; (dropped = Atomics.load(words, MEETING.dropped)) < sent;) {
        Atomics.wait(words, MEETING.dropped, dropped);
      }
    }
    if (pool === undefined) return;
    const { hits, misses } = pool.usage();
    counts[0] = hits;
    counts[1] = misses;
  };
}

/** What the other thread keeps for a while. */
interface Kept {
  readonly due: number;
  readonly slice: Slice | undefined;
  readonly number: number;
}

/** Lets messages arrive. */
function nextTask(): Promise<void> {
  return new Promise((resolve) =>
    (globalThis as unknown as { setImmediate(task: () => void): void }).setImmediate(resolve)
  );
}

/** A thread that drops what it is sent, some time later. */
export function drop(job: SliceJob): Round {
  const { kind, rounds, keepMs = 0, words, port } = job;
  const receiver = SliceReceiver.attach(job.pool);
  const kept: Kept[] = [];
  let first = 0;
  const keep = (slice: Slice | undefined, number: number) => {
    kept.push({ due: performance.now() + keepMs, slice, number });
  };
  port.onmessage = ({ data }: MessageEvent<DetachedSlice | Uint8Array>) => {
    keep("kind" in data ? receiver.adopt(data) : undefined, -1);
  };
  const list = entryOf(2 * rounds);
  let taken = 0;
  let dropped = 0;
  return async () => {
    const end = dropped + 2 * rounds;
    kept.length = first = 0;
    while (dropped < end) {
      for (const put = Atomics.load(words, MEETING.put); taken < put; taken++) {
        const entry = entryOf(taken % (2 * rounds));
        if (words[entry] === -1) continue;
        const slice = kind === "pool" ? receiver.adoptFrom(words, entry) : undefined;
        keep(slice, words[entry]!);
      }
      const before = dropped;
      for (; first < kept.length && performance.now() >= kept[first]!.due; first++, dropped++) {
        const { slice, number } = kept[first]!;
        slice?.release();
        if (kind !== "map") continue;
        words[list + dropped % (2 * rounds)] = number;
        Atomics.store(words, MEETING.returned, dropped + 1);
      }
      if (dropped > before) {
        Atomics.store(words, MEETING.dropped, dropped);
        Atomics.notify(words, MEETING.dropped);
      }
      await nextTask();
    }
  };
}
