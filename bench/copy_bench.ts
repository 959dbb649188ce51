/**
 * Copies out of shared memory, within it, and into it: natively and by views, from 16 bytes to
 * 64 KiB. Then messages through a ring on one thread, published by 64, and read in batches or in
 * bulk: in a memory that copies natively, and in one that copies by views.
 *
 * @module
 */

import {
  Broadcast,
  type BroadcastReader,
  type BroadcastWriter,
  FrameCursor,
  Memory,
} from "../mod.ts";
import {
  compare,
  declare,
  type Group,
  type LocalWay,
  onThisThread,
  printAtEnd,
} from "./alternating.ts";
import { addNumber, checkSum, expectedSum, putNumber } from "./messages.ts";

/** The part of the memory that is copied from, and to: a power of two. */
const PART_BYTES = 512 * 1024;
/** How many bytes a run copies, or sends. */
const RUN_BYTES = 8 * 1024 * 1024;
const MAX_COPY_BYTES = 64 * 1024;
/** The size up to which a loop over words is worth a look. */
const MAX_LOOP_BYTES = 1024;

const memory = Memory.create({ byteLength: 2 * PART_BYTES });
const shared = new Uint8Array(memory.buffer);
const sharedLongs = new BigInt64Array(memory.buffer);
const own = memory.privateBytes(MAX_COPY_BYTES);
const ownLongs = new BigInt64Array(own.buffer);
const native = memory.copier(own);

/** Where the copy number `i` is in its part. */
function place(i: number, bytes: number): number {
  return i * bytes & (PART_BYTES - 1);
}

// Each has a loop of its own, in which the engine can optimize the copy.

function outByView(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    const at = place(i, bytes);
    own.set(shared.subarray(at, at + bytes));
  }
}

function outByLoop(count: number, bytes: number): void {
  const words = bytes >> 3;
  for (let i = 0; i < count; i++) {
    const first = place(i, bytes) >> 3;
    for (let k = 0; k < words; k++) ownLongs[k] = sharedLongs[first + k]!;
  }
}

function outNatively(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) native.copyOut(0, place(i, bytes), bytes);
}

function withinByView(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    const at = place(i, bytes);
    shared.copyWithin(PART_BYTES + at, at, at + bytes);
  }
}

function withinNatively(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    const at = place(i, bytes);
    memory.copyWithin(PART_BYTES + at, at, bytes);
  }
}

function inByView(count: number, bytes: number): void {
  const payload = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) shared.set(payload, place(i, bytes));
}

function inStaged(count: number, bytes: number): void {
  const payload = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    own.set(payload);
    native.copyIn(place(i, bytes), 0, bytes);
  }
}

function inNatively(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) native.copyIn(place(i, bytes), 0, bytes);
}

function copies(bytes: number): Group[] {
  const count = Math.max(200, Math.min(100_000, RUN_BYTES / bytes));
  const way = (name: string, copy: (count: number, bytes: number) => void) =>
    onThisThread(name, count, (count) => copy(count, bytes));
  const loop = bytes > MAX_LOOP_BYTES ? [] : [way("a loop over words", outByLoop)];
  return [
    {
      name: `out, ${bytes} B`,
      ways: [way("subarray and set", outByView), ...loop, way("native", outNatively)],
    },
    {
      name: `within, ${bytes} B`,
      ways: [way("copyWithin of a view", withinByView), way("native", withinNatively)],
    },
    {
      name: `in, ${bytes} B`,
      ways: [
        way("set of an array", inByView),
        way("set to private bytes, and native", inStaged),
        way("native, of private bytes", inNatively),
      ],
    },
  ];
}

/** A ring of 1 MiB, whose memory copies natively or not. */
function ringOf(isNative: boolean): Broadcast {
  const { handle } = Broadcast.create({ capacityBytes: 1024 * 1024 });
  if (isNative) return Broadcast.attach(handle);
  const { webAssembly: _, ...byViews } = handle.memory;
  return Broadcast.attach({ ...handle, memory: byViews });
}

/** Both ends of a ring, and their arrays. */
interface Ends {
  readonly writer: BroadcastWriter;
  readonly payload: Uint8Array;
  readonly reader: BroadcastReader;
  readonly target: Uint8Array;
}

function append({ writer, payload }: Ends, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    putNumber(payload, 0, i);
    writer.append(payload);
  }
}

function claim({ writer, payload }: Ends, from: number, to: number): void {
  const { bytes } = writer;
  const { length } = payload;
  for (let i = from; i < to; i++) {
    putNumber(bytes, writer.claim(length), i);
    writer.commit();
  }
}

/** Reads all that is published; returns the sum of the numbers. */
function read({ reader }: Ends): number {
  let sum = 0;
  while (reader.poll()) {
    const { bytes } = reader;
    while (reader.next()) sum = addNumber(sum, bytes, reader.offset);
  }
  return sum;
}

/** As {@link read}, in bulk. */
function bulk({ reader, target }: Ends): number {
  let sum = 0;
  for (;;) {
    const length = reader.readBulk(target);
    if (length === 0) return sum;
    const frames = new FrameCursor(target.subarray(0, length));
    while (frames.next()) sum = addNumber(sum, target, frames.offset);
  }
}

function passing(
  name: string,
  messageBytes: number,
  isNative: boolean,
  send: typeof append,
  take: typeof read,
): LocalWay {
  const broadcast = ringOf(isNative);
  const writer = broadcast.writer();
  const reader = broadcast.reader();
  const payload = writer.privateBytes(messageBytes);
  const ends: Ends = { writer, payload, reader, target: reader.privateBytes(256 * 1024) };
  const batch = Math.min(64, Math.floor(128 * 1024 / (messageBytes + 8)));
  const count = batch * Math.max(20, Math.floor(RUN_BYTES / (messageBytes + 8) / batch));
  return onThisThread(name, count, (messages) => {
    let sum = 0;
    for (let from = 0; from < messages; from += batch) {
      send(ends, from, Math.min(from + batch, messages));
      writer.publish();
      sum = (sum + take(ends)) | 0;
    }
    checkSum(name, expectedSum(messages), sum);
  });
}

function passages(messageBytes: number): Group[] {
  const combinations = [[append, read], [append, bulk], [claim, read], [claim, bulk]] as const;
  return combinations.map(([send, take]) => ({
    name: `ring, ${messageBytes} B: ${send.name}, ${take.name}`,
    ways: [
      passing("by views", messageBytes, false, send, take),
      passing("native", messageBytes, true, send, take),
    ],
  }));
}

const COPIES = [16, 64, 256, 1024, 4096, 65536].flatMap(copies);
const PASSAGES = [8, 64, 256, 1024, 60 * 1024].flatMap(passages);
const groups = [...COPIES, ...PASSAGES];

declare(groups, { warmup: 2, n: 3 });
printAtEnd(() => compare(groups, { rounds: 11 }));
