/**
 * The parts that the models of the domain share: domains, writers and readers.
 *
 * A slot has messages of two words, which both hold the number that was sent, so that a torn
 * message shows. Slots are as small as they can be, so that writers come around within a few
 * messages.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type AnySubscription,
  Domain,
  type DomainHandle,
  type Slot,
  SlotClosedError,
  type SlotOptions,
  type SlotReader,
} from "@busbar/busbar/domain";
import {
  DomainLayout,
  HEAD,
  HIGH_UNIT,
  HOLD_BITS,
  NEAR_INDEX,
  PUBLISHED,
  PUBLISHED_HIGH,
  SIGNAL,
  SlotLayout,
  WAKE_BITS,
} from "../../src/domain/layout.ts";
import { wordOf } from "../../src/domain/slot_words.ts";
import { type AtomicOperation, tampered } from "../tamper.ts";

export interface State {
  readonly handle: DomainHandle;
}

/**
 * Whether to exhaust models that take many seconds: `deno test -P tests/domain -- --exhaustive`.
 */
const isExhaustive = Deno.args.includes("--exhaustive");
/** For a model that takes many seconds: all of it, or up to this many preemptions. */
export function unlessExhaustive(preemptions: number) {
  return isExhaustive ? {} : { preemptions };
}

/** The members of a model: threads have fixed places, so that fewer steps tell them apart. */
export const MAX_MEMBERS = 4;

export const SLOT = { messageBytes: 8, holds: 0 } as const;

/** A domain with these slots, which no thread has joined. */
export function domain(slots: Readonly<Record<string, SlotOptions>>, waiters = 2): () => State {
  return () => {
    const names = Object.keys(slots);
    const dataBytes = names.reduce((sum, name) => sum + Domain.plan(slots[name]!), 64);
    const size = { slots: Math.max(1, names.length), members: MAX_MEMBERS, waiters, dataBytes };
    const domain = Domain.create(size);
    for (const name of names) domain.slot(name, slots[name]!);
    domain.close();
    return { handle: domain.handle };
  };
}

/** As {@link domain}, with a slot that begins just before the number `sequence + 1`. */
export function domainFrom(sequence: number, options: SlotOptions): () => State {
  return () => {
    const state = domain({ s: options })();
    const { words, layout } = regionOf(state.handle);
    words[layout.entry(0) + PUBLISHED] = wordOf(sequence);
    words[layout.entry(0) + PUBLISHED_HIGH] = Math.floor(sequence / HIGH_UNIT);
    return state;
  };
}

/** A message that holds its number twice. */
export function numbered(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number, number]).buffer);
}

/** The number in a message, which must be whole. */
export function numberIn(message: Uint8Array): number {
  const [first, second] = new Uint32Array(message.slice().buffer);
  assertEquals(first, second, "a torn message");
  return first!;
}

/** Opens a slot as a member. */
export function open({ handle }: State, member: number, name = "s"): Slot {
  return Domain.attach(handle, { member }).find(name)!;
}

/** A writer that sends numbers from `first` on; returns the numbers that its messages got. */
export function write(member: number, count: number, { first = 1, name = "s" } = {}) {
  return (state: State): number[] => {
    const writer = open(state, member, name).writer();
    return Array.from({ length: count }, (_, i) => writer.send(numbered(first + i)));
  };
}

/** As {@link write}, until the slot is closed. */
export function writeUntilClosed(member: number, count: number, { first = 1 } = {}) {
  return (state: State): number[] => {
    const writer = open(state, member).writer();
    const sent: number[] = [];
    try {
      for (let i = 0; i < count; i++) sent.push(writer.send(numbered(first + i)));
    } catch (error) {
      if (!(error instanceof SlotClosedError)) throw error;
    }
    return sent;
  };
}

/** What a read has seen: the number of the message, and the number that was sent in it. */
export type Seen = readonly [sequence: number, number: number];

/** The message that was read last. */
export function seenBy(reader: SlotReader | AnySubscription): Seen {
  return [reader.sequence, numberIn(reader.message())];
}

/** A reader that reads the last message so many times. */
export function readLatest(member: number, times: number) {
  return (state: State): Seen[] => {
    const reader = open(state, member).reader();
    const seen: Seen[] = [];
    for (let i = 0; i < times; i++) {
      if (reader.latest()) seen.push(seenBy(reader));
    }
    return seen;
  };
}

/** A thread that closes a slot. */
export function close(member: number, name = "s") {
  return (state: State): void => open(state, member, name).close();
}

/** Where the words of slot 0 of a domain with so many slots are. */
export function wordsOf(options: SlotOptions, { slots = 1, waiters = 2 } = {}) {
  const layout = DomainLayout.of({ slots, members: MAX_MEMBERS, waiters, dataBytes: 64 });
  const { messageBytes = 0, history = 1, holds = 0, writers = 1 } = options;
  const data = new SlotLayout({ messageBytes, history, holds, writers });
  const first = layout.entry(0);
  const entries = Array.from({ length: data.entries }, (_, i) => data.first + i * data.stride);
  return {
    head: HEAD,
    published: first + PUBLISHED,
    high: first + PUBLISHED_HIGH,
    holdBits: first + HOLD_BITS,
    wakeBits: first + WAKE_BITS,
    index: first + NEAR_INDEX,
    indexWords: data.indexWords,
    states: entries.map((entry) => layout.data + entry),
    signals: Array.from({ length: waiters }, (_, i) => layout.waiter(i) + SIGNAL),
  };
}

/** The words of a domain, and what is where in them. */
export function regionOf({ memory, byteOffset }: DomainHandle) {
  const words = new Int32Array(memory.buffer, byteOffset);
  return { words, layout: DomainLayout.read(words) };
}

type Operands = [view: Int32Array, index: number, ...values: number[]];

/** A body whose operations of one name go wrong, on some words. */
export function withWrong<Argument, Result>(
  body: (argument: Argument) => Result,
  name: AtomicOperation,
  isWrong: (index: number, values: number[]) => boolean,
  wrong: (proper: Pick<typeof Atomics, AtomicOperation>, ...operands: Operands) => unknown,
): (argument: Argument) => Result {
  return tampered(body, (proper) => ({
    [name]: (...operands: Operands) => {
      const [, index, ...values] = operands;
      if (isWrong(index, values)) return wrong(proper, ...operands);
      return (proper[name] as (...operands: Operands) => unknown)(...operands);
    },
  }));
}
