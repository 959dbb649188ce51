/**
 * The bodies of the workers in `broadcast_worker_test.ts`.
 *
 * @module
 */

import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastReader,
  OverrunError,
  Pacer,
  type PacerHandle,
  type ReaderOptions,
} from "@busbar/busbar/broadcast";
import { CHECKED_MIN_BYTES, fillChecked, readChecked } from "./messages.ts";

/** The task of a body. */
export interface Job {
  /** The ring to write or to read. */
  handle: BroadcastHandle;
  /** How many messages to write or to read. */
  messages: number;
  /** Words through which the test and its bodies communicate: see {@link AGREED}. */
  agreed: Int32Array;
}

/** The words of {@link Job.agreed}. */
export const AGREED = {
  /** Set once the writer must stop. */
  stop: 0,
  /** How many bodies are ready. */
  ready: 1,
  /** Never changes: sleeps wait on it. */
  never: 2,
  /** From here on, one for each reader: how many messages it has read. */
  progress: 3,
} as const;

/** How often a message of {@link checkedMessages} is repeated. */
const DISTINCT = 251;

/** Pseudorandom numbers from 0 to `below`, the same ones each time. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** Checked messages of random sizes up to `largest`, the same ones each time. */
export function checkedMessages(largest: number): Uint8Array[] {
  const random = sequence(1);
  return Array.from({ length: DISTINCT }, (_, number) => {
    const message = new Uint8Array(CHECKED_MIN_BYTES + random(largest - CHECKED_MIN_BYTES + 1));
    fillChecked(message, 0, message.length, number);
    return message;
  });
}

/** Fails unless the present message is whole, and the one with this number. */
export function check(reader: BroadcastReader, number: number): void {
  const found = readChecked(reader.bytes, reader.offset, reader.offset + reader.length);
  if (found === -1) throw new Error(`A torn message was accepted at ${reader.position}`);
  if (found !== number % DISTINCT || reader.userValue !== number) {
    throw new Error(`Expected message ${number}: received ${reader.userValue} with ${found}`);
  }
}

function ready({ agreed }: Job): void {
  Atomics.add(agreed, AGREED.ready, 1);
  Atomics.notify(agreed, AGREED.ready);
}

/** Waits until this many bodies are ready. */
function untilReady({ agreed }: Job, bodies: number): void {
  for (let seen; (seen = Atomics.load(agreed, AGREED.ready)) < bodies;) {
    Atomics.wait(agreed, AGREED.ready, seen);
  }
}

/**
 * Writes batches of up to `ahead` messages while no reader is more than that behind, which is at
 * most half the ring.
 *
 * @returns The position at the end.
 */
export function writePaced(job: Job & { readers: number; ahead: number }): number {
  const { handle, messages, agreed, readers, ahead } = job;
  const ring = Broadcast.attach(handle);
  using writer = ring.writer();
  const prepared = checkedMessages(ring.capacityBytes / 4 / ahead - 8);
  const random = sequence(2);
  untilReady(job, readers);
  for (let number = 0; number < messages;) {
    const batch = Math.min(messages - number, 1 + random(ahead));
    for (let i = 0; i < batch; i++, number++) {
      writer.append(prepared[number % DISTINCT]!, { userValue: number });
    }
    writer.publish();
    for (let reader = 0; reader < readers; reader++) {
      const word = AGREED.progress + reader;
      for (let seen; (seen = Atomics.load(agreed, word)) + ahead < number;) {
        Atomics.wait(agreed, word, seen);
      }
    }
  }
  return writer.position;
}

/**
 * Reads every message, asleep while there is none.
 *
 * @returns The position at the end.
 */
export function readAll(job: Job & { reader: number }): number {
  const { handle, messages, agreed } = job;
  const reader = Broadcast.attach(handle).reader();
  const word = AGREED.progress + job.reader;
  ready(job);
  for (let number = 0; number < messages;) {
    reader.wait();
    while (reader.poll()) {
      while (reader.next()) check(reader, number++);
    }
    Atomics.store(agreed, word, number);
    Atomics.notify(agreed, word);
  }
  return reader.position;
}

/**
 * Writes messages of up to `largest` bytes at full speed until told to stop.
 *
 * @returns How many messages were written.
 */
export function writeUnpaced(job: Job & { largest: number }): number {
  const { handle, agreed, largest } = job;
  using writer = Broadcast.attach(handle).writer();
  const prepared = checkedMessages(largest);
  const random = sequence(3);
  const options = { userValue: 0 };
  untilReady(job, 1);
  let number = 0;
  while (Atomics.load(agreed, AGREED.stop) === 0) {
    const batch = random(8);
    for (let i = 0; i <= batch; i++) {
      options.userValue = number;
      writer.append(prepared[number++ % DISTINCT]!, options);
    }
    writer.publish();
  }
  return number;
}

/** The result of a reader that was overrun. */
export interface Hunt {
  messages: number;
  overruns: number;
  lostMessages: number;
  lostBytes: number;
  /** How many messages ended between the first that it asked for and the last that it got. */
  sequence: number;
  /** How far the position moved. */
  distance: number;
}

/** So many messages and overruns at least, however slow the machine is. */
export const LEAST = 10;

/** Whether a hunt goes on: until so many messages were written, and enough was seen. */
function goesOn(job: Job, { sequence, overruns }: BroadcastReader, messages: number): boolean {
  return sequence < job.messages || overruns < LEAST || messages < LEAST;
}

/** Reads whatever it can until this many messages were written. */
export function hunt(job: Job & { options: ReaderOptions }): Hunt {
  const { handle, agreed, options } = job;
  const ring = Broadcast.attach(handle);
  const reader = ring.reader(options);
  const start = reader.position;
  let messages = 0;
  ready(job);
  try {
    while (goesOn(job, reader, messages)) {
      try {
        while (reader.poll()) {
          for (; reader.next(); messages++) {
            // The writer numbers its messages from 0, and so does the ring.
            check(reader, reader.sequence - 1);
          }
        }
      } catch (error) {
        if (!(error instanceof OverrunError)) throw error;
      }
    }
  } finally {
    Atomics.store(agreed, AGREED.stop, 1);
  }
  const { overruns, lostMessages, lostBytes, sequence, position } = reader;
  return { messages, overruns, lostMessages, lostBytes, sequence, distance: position - start };
}

/** The same through a filter that passes everything, and with overruns only counted. */
export function huntFiltered(job: Job): Hunt {
  return hunt({ ...job, options: { filter: () => true, onOverrun: "continue" } });
}

/** Sleeps before each batch, so that it is lapped many times before it polls again. */
export function huntSlowly(job: Job & { options: ReaderOptions }): Hunt {
  const { handle, agreed, options } = job;
  const reader = Broadcast.attach(handle).reader(options);
  const start = reader.position;
  let messages = 0;
  ready(job);
  try {
    while (goesOn(job, reader, messages)) {
      Atomics.wait(agreed, AGREED.never, 0, 1);
      try {
        reader.poll();
      } catch (error) {
        if (!(error instanceof OverrunError)) throw error;
        if (!reader.poll()) throw new Error("Nothing was retained");
      }
      for (; reader.next(); messages++) check(reader, reader.sequence - 1);
    }
  } finally {
    Atomics.store(agreed, AGREED.stop, 1);
  }
  const { overruns, lostMessages, lostBytes, sequence, position } = reader;
  return { messages, overruns, lostMessages, lostBytes, sequence, distance: position - start };
}

/** Writes messages as fast as it can, numbered by the ring, until it is replaced or killed. */
export function writeOn({ handle, agreed }: Job): string {
  const writer = Broadcast.attach(handle).writer({ takeOver: true });
  const prepared = checkedMessages(200);
  const options = { userValue: 0 };
  // No other thread writes, so the sequence of a new reader is the next number.
  let number = Broadcast.attach(handle).reader().sequence;
  Atomics.store(agreed, AGREED.ready, 1);
  Atomics.notify(agreed, AGREED.ready);
  try {
    for (;;) {
      for (let i = 0; i < 5; i++) {
        options.userValue = number;
        writer.append(prepared[number++ % DISTINCT]!, options);
      }
      writer.publish();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

/** Answers each message of one ring with the same on another, asleep in between. */
export function echo(job: Job & { back: BroadcastHandle }): void {
  const reader = Broadcast.attach(job.handle).reader();
  using writer = Broadcast.attach(job.back).writer();
  ready(job);
  for (let count = 0; count < job.messages;) {
    reader.wait();
    while (reader.poll()) {
      while (reader.next()) {
        writer.send(reader.message(), { userValue: reader.userValue });
        count++;
      }
    }
  }
}

/** Writes messages `first` to `first + messages - 1`, then closes. */
export function writeSome({ handle, messages, first }: Job & { first: number }): void {
  using writer = Broadcast.attach(handle).writer();
  const prepared = checkedMessages(writer.maxMessageBytes);
  for (let number = first; number < first + messages; number++) {
    writer.append(prepared[number % DISTINCT]!, { userValue: number });
  }
}

/** Reads until the stream ends, asleep while there is nothing; returns how many messages came. */
export function readToEnd(job: Job): number {
  const reader = Broadcast.attach(job.handle).reader();
  let number = 0;
  ready(job);
  while (reader.wait()) number = checkFrom(reader, number);
  if (!reader.isEnded) throw new Error("A wait ended before the stream did");
  return number;
}

/** As {@link readToEnd}, by an iteration. */
export async function iterateToEnd(job: Job): Promise<number> {
  const reader = Broadcast.attach(job.handle).reader();
  let number = 0;
  ready(job);
  for await (const _ of reader.messages({ borrow: true })) check(reader, number++);
  return number;
}

/** Reads the messages from `first` on; returns the number after the last. */
export function checkFrom(reader: BroadcastReader, first: number): number {
  let number = first;
  while (reader.poll()) {
    while (reader.next()) check(reader, number++);
  }
  return number;
}

/** Reads a paced ring to its end; returns how many messages came in order, and how many did not. */
export function readPaced(handle: PacerHandle): [inOrder: number, others: number] {
  const pacer = Pacer.attach(handle);
  using seat = pacer.join();
  const reader = pacer.broadcast.reader({ from: seat.position });
  let [next, others] = [0, 0];
  while (reader.wait()) {
    while (reader.poll()) {
      while (reader.next()) {
        if (reader.userValue === next) next++;
        else others++;
      }
    }
    seat.reached(reader.position);
  }
  return [next, others];
}
