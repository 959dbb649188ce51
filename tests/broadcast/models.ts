/**
 * The parts that the models of the broadcast ring share: rings, writers and readers, and ways to
 * make some of their operations go wrong.
 *
 * The rings are as small as they can be, so that a writer laps its readers within a few messages:
 * 64 bytes of data in 4 segments, each one frame with a payload of two equal words. Every message
 * carries its number, so a reader can check that it got the right one, and that the report of a
 * loss is true.
 *
 * Readers check each message as they read it; a model's `check` compares the results of threads.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastReader,
  type BroadcastWriter,
  OverrunError,
  type ReaderOptions,
} from "@busbar/busbar/broadcast";
import { tampered } from "../tamper.ts";
import {
  BroadcastLayout,
  EPOCH_STEP,
  FIRST,
  POSITION,
  segmentLine,
} from "../../src/broadcast/layout.ts";

export interface State {
  readonly handle: BroadcastHandle;
}

/** The bytes of a frame with a number. */
export const FRAME = 16;
export const CAPACITY = 64;

export function ring(startPosition = 0): () => State {
  return () => ({
    handle: Broadcast.create({ capacityBytes: CAPACITY, segments: 4, startPosition }).handle,
  });
}

/** A payload that holds its number twice. */
export function numbered(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number, number]).buffer);
}

export function append(writer: BroadcastWriter, number: number): void {
  writer.append(numbered(number), { userValue: number });
}

/** A writer that sends messages numbered from `first`, `each` at a time. */
export function write(count: number, each = 1, first = 1) {
  return ({ handle }: State) => {
    const writer = Broadcast.attach(handle).writer();
    for (let i = 0; i < count; i++) {
      append(writer, first + i);
      if ((i + 1) % each === 0) writer.publish();
    }
  };
}

/** The data of a ring. */
export function dataOf(handle: BroadcastHandle): Uint8Array {
  const { memory, byteOffset, segments, capacityBytes } = Broadcast.attach(handle);
  const size = { capacityBytes, segments, startPosition: 0, metadataBytes: 0 };
  const { dataByteOffset } = BroadcastLayout.of(size);
  return new Uint8Array(memory.buffer, byteOffset + dataByteOffset, capacityBytes);
}

/** The result of a reader: the numbers of messages, and -1 where it was overrun. */
export type Seen = readonly number[];

/** The number of the present message, which must be whole, and the right one. */
function numberOf(reader: BroadcastReader): number {
  const [first, second] = new Uint32Array(reader.message().slice().buffer);
  assertEquals(first, second, "a torn message was accepted");
  assertEquals(reader.userValue, first, "a header of another message");
  assertEquals(reader.sequence, first, "a message in the wrong place");
  return first!;
}

/** Takes one batch; returns whether there was one, or an overrun. */
export function take(reader: BroadcastReader, seen: number[]): boolean {
  const { sequence } = reader;
  try {
    const found = reader.poll();
    while (reader.next()) seen.push(numberOf(reader));
    return found;
  } catch (error) {
    if (!(error instanceof OverrunError)) throw error;
    assertEquals(reader.sequence, sequence + error.lostMessages, "a false report of a loss");
    assert(error.resumedAt > error.position);
    seen.push(-1);
    return true;
  }
}

/** A reader that polls `polls` times, from the ring's beginning by default. */
export function read(polls: number, options: ReaderOptions = {}) {
  return ({ handle }: State): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition, ...options });
    const seen: number[] = [];
    for (let i = 0; i < polls; i++) take(reader, seen);
    return seen;
  };
}

/** A reader that sleeps until there is a message, then takes it, until it has seen the last. */
export function readUntil(last: number) {
  return ({ handle }: State): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition });
    const seen: number[] = [];
    while (seen.at(-1) !== last) {
      reader.wait();
      take(reader, seen);
    }
    return seen;
  };
}

/** Throws unless messages come in order, and none is missing except at an overrun. */
export function checkOrder(...readers: Seen[]): void {
  for (const seen of readers) {
    seen.forEach((number, i) => {
      const before = seen[i - 1];
      if (number < 0 || before === undefined || before < 0) return;
      assertEquals(number, before + 1, `a gap without an overrun: ${seen}`);
    });
  }
}

/** Whether to exhaust models that take minutes: `deno test -P tests/broadcast -- --exhaustive`. */
const isExhaustive = Deno.args.includes("--exhaustive");
/** For a model that takes many seconds: all of it, or up to this many preemptions. */
export function unlessExhaustive(preemptions: number) {
  return isExhaustive ? {} : { preemptions };
}

/** compareExchange, as the ring calls it. */
export type Cas = (
  view: Int32Array,
  index: number,
  expected: number,
  replacement: number,
) => number;

/** A thread whose compareExchange on some words goes wrong. */
export function withCas<Argument, Result>(
  body: (argument: Argument) => Result,
  isWrong: (index: number, expected: number, replacement: number) => boolean,
  wrong: (proper: Pick<typeof Atomics, "load" | "store" | "exchange">) => Cas,
): (argument: Argument) => Result {
  return tampered(body, (proper) => {
    const wrongly = wrong(proper);
    const compareExchange: Cas = (view, index, expected, replacement) =>
      isWrong(index, expected, replacement)
        ? wrongly(view, index, expected, replacement)
        : proper.compareExchange(view, index, expected, replacement);
    return { compareExchange };
  });
}

/** Does nothing, and reports success. */
export const omitted = (): Cas => (_view, _index, expected) => expected;

export const isEntering = (index: number, expected: number, replacement: number) =>
  index !== POSITION && replacement === expected + EPOCH_STEP;

/** A compareExchange in two steps, by a load and a store. */
export const inTwoSteps =
  ({ load, store }: Pick<typeof Atomics, "load" | "store">): Cas =>
  (view, index, expected, replacement) => {
    const found = load(view, index);
    if (found === expected) store(view, index, replacement);
    return found;
  };

/** A reader that validates by a load instead of a read-modify-write. */
export function validatingByLoad<Result>(
  body: (state: State) => Result,
): (state: State) => Result {
  return tampered(body, (proper) => ({
    add: (view: Int32Array, index: number) => proper.load(view, index),
  }));
}

/** As `body`; then it writes a mark that readers already use. */
export function markingLate(body: (state: State) => void, segment: number) {
  return (state: State) => {
    body(state);
    const { memory, byteOffset } = Broadcast.attach(state.handle);
    new Int32Array(memory.buffer, byteOffset)[segmentLine(segment) + FIRST] = 0;
  };
}
