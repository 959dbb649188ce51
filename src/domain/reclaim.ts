/**
 * Giving up what a dead member had.
 *
 * Every step can be done again, since the thread that reclaims may die, too. Its own reclaim then
 * lets others begin again.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import type { Attachment } from "./attachment.ts";
import { DIED } from "./layout.ts";
import { memberOf } from "./members.ts";

/** Gives up what a dead member had, and frees its number. */
export function reclaim(domain: Attachment, member: number): void {
  const { members, region, signals, table } = domain;
  checkInteger("reclaim", "member", member, 0, region.layout.size.members - 1);
  const { owner } = domain;
  if (member === memberOf(owner)) {
    throw new Error(`Cannot reclaim member ${member} as that is this thread: close the domain`);
  }
  const dead = members.beginReclaim(member, owner);
  const slots = table.list().map((slot) => domain.parts(slot));
  for (const { words, holds, writers } of slots) {
    holds.reclaim(dead);
    // Before its seats are free, so that a thread that dies in between leaves it to be told again.
    const count = writers.count(dead);
    if (count > 0) Atomics.add(words.words, words.first + DIED, count);
    writers.reclaim(dead);
  }
  signals.reclaim(dead, slots.map(({ words }) => words.first));
  table.reclaim(dead);
  // In any case: it may have died after it published, and before it woke others.
  signals.wakeAll();
  members.endReclaim(member);
}
