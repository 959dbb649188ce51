/**
 * What the workers of `value_set_worker_test.ts` do.
 *
 * @module
 */

import { ValueSet, type ValueSetHandle, WaiterQueue, type WaiterQueueHandle } from "../../mod.ts";

/** A set of values, and what belongs to each of them. */
export interface Loans {
  set: ValueSetHandle;
  /** The thread that has a value, or 0: changed plainly by that thread. */
  owners: Int32Array;
  /** How often a value was taken: changed plainly by the thread that has it. */
  counts: Int32Array;
  /** How often to borrow some. */
  rounds: number;
  /** The number of this thread, from 1. */
  owner: number;
}

/** Takes up to seven values at a time, and puts them back; returns how many it took in all. */
export function borrow({ set: handle, owners, counts, rounds, owner }: Loans): number {
  const set = ValueSet.attach(handle);
  let total = 0;
  for (let round = 0; round < rounds; round++) {
    const taken: number[] = [];
    for (let i = 0; i <= round % 7; i++) {
      const value = set.take();
      if (value === undefined) break;
      if (owners[value] !== 0) throw new Error(`${owner} took ${value} of ${owners[value]}`);
      owners[value] = owner;
      taken.push(value);
    }
    for (const value of taken) {
      counts[value]! += 1;
      if (owners[value] !== owner) throw new Error(`${owners[value]} took ${value} of ${owner}`);
      owners[value] = 0;
      set.put(value);
    }
    total += taken.length;
  }
  return total;
}

/** Where slots wait for a thread, or threads for a slot. */
export interface Stage {
  queue: WaiterQueueHandle;
  set: ValueSetHandle;
}

/** Slots that go from consumers to producers when they are free, and back when they are filled. */
export interface Belt {
  free: Stage;
  filled: Stage;
  /** The words of each slot, written and read plainly. */
  slots: Int32Array;
}

/** How many words a slot has. */
export const SLOT_WORDS = 8;

/** Opens a stage in this thread. */
function joinStage({ queue, set }: Stage) {
  return WaiterQueue.attach(queue).join(ValueSet.attach(set));
}

/** Writes a message into all words of a slot. */
function write(slots: Int32Array, slot: number, message: number): void {
  slots.fill(message, slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
}

/** Reads the message of a slot; fails if it is not in all of its words. */
function read(slots: Int32Array, slot: number): number {
  const words = slots.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
  const message = words[0]!;
  for (const word of words) {
    if (word !== message) throw new Error(`Found ${word} beside ${message}`);
  }
  return message;
}

/** Sends the messages from `first` to `last`. */
export function produce(
  { free, filled, slots, first, last }: Belt & { first: number; last: number },
): void {
  using empty = joinStage(free);
  using full = joinStage(filled);
  for (let message = first; message <= last; message++) {
    const slot = empty.take();
    write(slots, slot, message);
    full.release(slot);
  }
}

/** Receives so many messages; returns their sum, and the sum of their squares modulo 2^31. */
export function consume({ free, filled, slots, count }: Belt & { count: number }): Sums {
  using empty = joinStage(free);
  using full = joinStage(filled);
  const sums = { sum: 0, squares: 0 };
  for (let i = 0; i < count; i++) {
    const slot = full.take();
    add(sums, read(slots, slot));
    empty.release(slot);
  }
  return sums;
}

/** The same by tasks, each of which receives so many. */
export async function consumeAsync(
  { free, filled, slots, count, tasks }: Belt & { count: number; tasks: number },
): Promise<Sums> {
  using empty = joinStage(free);
  using full = joinStage(filled);
  const sums = { sum: 0, squares: 0 };
  await Promise.all(Array.from({ length: tasks }, async () => {
    for (let i = 0; i < count; i++) {
      const slot = await full.takeAsync();
      add(sums, read(slots, slot));
      empty.release(slot);
    }
  }));
  return sums;
}

/** Checksums, which tell whether each message came once. */
export interface Sums {
  sum: number;
  squares: number;
}

/** Adds a message to the sums. */
export function add(sums: Sums, message: number): void {
  sums.sum += message;
  sums.squares = (sums.squares + message * message) % 2 ** 31;
}
