/**
 * What is in a domain, and which members have what. Looking disturbs nobody: it only loads.
 *
 * @module
 */

import type { Attachment } from "./attachment.ts";
import { memberOf } from "./members.ts";
import type { ListedSlot, SlotCard } from "./slot_table.ts";

/** A part of a slot that a member has. */
export interface SeatHolder {
  /** The member. */
  readonly member: number;
  /** Since when, in milliseconds since 1970. */
  readonly since: number;
}

/** A writer of a slot. */
export interface WriterHolder extends SeatHolder {
  /** Whether it has claimed a message, and not published it. */
  readonly isOpen: boolean;
}

/** A waiter that a slot wakes. */
export interface Subscriber {
  /** Its number. */
  readonly waiter: number;
  /** The member. */
  readonly member: number;
  /** Whether it waits. */
  readonly isWaiting: boolean;
}

/** A slot, as it was at one moment, or nearly. */
export interface SlotInspection extends SlotCard {
  /** The bytes that it takes. */
  readonly byteLength: number;
  /** The number of the last message. */
  readonly sequence: number;
  /** How many messages are kept now. */
  readonly kept: number;
  /** Whether it was closed. */
  readonly isClosed: boolean;
  /** Its writers. */
  readonly openWriters: readonly WriterHolder[];
  /** The messages that are held. */
  readonly held: readonly SeatHolder[];
  /** The waiters that it wakes. */
  readonly subscribers: readonly Subscriber[];
}

/** A domain, as it was at one moment, or nearly. */
export interface DomainInspection {
  /** When, in milliseconds since 1970. */
  readonly time: number;
  /** The members that have joined. */
  readonly members: readonly number[];
  /** How many waiters are in use. */
  readonly waiters: number;
  /** How many bytes of data are in no slot. */
  readonly freeBytes: number;
  /** All slots, in the order in which they were created. */
  readonly slots: readonly SlotInspection[];
  /**
   * How many messages a second were published in each slot since an earlier inspection, by the
   * names of the slots.
   */
  ratesSince(earlier: DomainInspection): Map<string, number>;
}

/** Looks at a domain. */
export function inspect(domain: Attachment): DomainInspection {
  const { members, table, signals, region } = domain;
  const time = Date.now();
  const waiters = new Map(signals.inspect().map((waiter) => [waiter.waiter, waiter]));
  const slots = table.list().map((slot) => inspectSlot(domain, slot, time, waiters));
  return {
    time,
    members: Array.from({ length: region.layout.size.members }, (_, member) => member)
      .filter((member) => members.isJoined(member)),
    waiters: waiters.size,
    freeBytes: table.freeBytes,
    slots,
    ratesSince(earlier) {
      const before = new Map(earlier.slots.map(({ name, sequence }) => [name, sequence]));
      const seconds = (time - earlier.time) / 1000;
      return new Map(slots.map(({ name, sequence }) => [
        name,
        seconds > 0 ? (sequence - (before.get(name) ?? 0)) / seconds : 0,
      ]));
    },
  };
}

function inspectSlot(
  domain: Attachment,
  listed: ListedSlot,
  time: number,
  waiters: ReadonlyMap<number, { readonly owner: number; readonly isWaiting: boolean }>,
): SlotInspection {
  const { words, holds, writers } = domain.parts(listed);
  const sequence = words.loadSequence();
  return {
    ...listed.card,
    byteLength: words.layout.byteLength,
    sequence,
    kept: Math.min(sequence, listed.card.history),
    isClosed: words.isClosed,
    openWriters: writers.inspect(time).map(({ owner, since, entry }) => (
      { member: memberOf(owner), since, isOpen: entry >= 0 }
    )),
    held: holds.inspect(time).map(({ owner, since }) => ({ member: memberOf(owner), since })),
    subscribers: domain.signals.waitersOf(words.first).flatMap((waiter) => {
      const found = waiters.get(waiter);
      if (found === undefined) return [];
      return [{ waiter, member: memberOf(found.owner), isWaiting: found.isWaiting }];
    }),
  };
}
