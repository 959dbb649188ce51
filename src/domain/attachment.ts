/**
 * A domain as one thread sees it, and what that thread has of it.
 *
 * @module
 */

import { ClosedError, ReclaimedError } from "../memory/errors.ts";
import { HoldSeats } from "./hold_seats.ts";
import { memberOf, Members } from "./members.ts";
import type { DomainRegion } from "./region.ts";
import { Signals } from "./signals.ts";
import { type ListedSlot, SlotTable } from "./slot_table.ts";
import { SlotWords } from "./slot_words.ts";
import { WriterSeats } from "./writer_seats.ts";

/** What is needed of one slot. */
export interface SlotParts {
  /** Its words. */
  readonly words: SlotWords;
  /** Its hold seats. */
  readonly holds: HoldSeats;
  /** Its writer seats. */
  readonly writers: WriterSeats;
}

/** A domain as one thread sees it. */
export class Attachment {
  /** The region of the domain. */
  readonly region: DomainRegion;
  /** Its members. */
  readonly members: Members;
  /** Its slots. */
  readonly table: SlotTable;
  /** Its waiters. */
  readonly signals: Signals;
  /** What this thread has that must be closed before it leaves. */
  readonly open: Set<Disposable> = new Set();
  readonly #wanted: number | undefined;
  readonly #slots = new Map<number, SlotParts>();
  /** The member that this thread is; 0 if it is none. */
  #owner = 0;
  #isClosed = false;

  /**
   * Opens a domain.
   *
   * @param member The member to be, once one is needed; any that is free if undefined.
   * @throws {RangeError} If there is no member of that number.
   */
  constructor(region: DomainRegion, member: number | undefined) {
    this.region = region;
    this.members = new Members(region.words, region.layout);
    if (member !== undefined) this.members.check(member);
    this.table = new SlotTable(region);
    this.signals = new Signals(region);
    this.#wanted = member;
  }

  /** The member that this thread is, for the words of what it has. Joins if it is none. */
  get owner(): number {
    if (this.#owner === 0) {
      this.checkOpen("join the domain");
      this.#owner = this.members.join(this.#wanted);
    }
    return this.#owner;
  }

  /** The parts of a slot. */
  parts(slot: ListedSlot): SlotParts {
    let parts = this.#slots.get(slot.entry);
    if (parts === undefined) {
      const words = new SlotWords(this.region, slot);
      const holds = new HoldSeats(words);
      parts = { words, holds, writers: new WriterSeats(words, holds) };
      this.#slots.set(slot.entry, parts);
    }
    return parts;
  }

  /** Throws if this thread has closed the domain. */
  checkOpen(action: string): void {
    if (!this.#isClosed) return;
    throw new ClosedError(`Cannot ${action} as the domain was closed in this thread`);
  }

  /** Closes everything that this thread has, and leaves. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#owner === 0) return;
    const isLive = this.members.isLive(this.#owner);
    for (const resource of [...this.open]) {
      try {
        resource[Symbol.dispose]();
      } catch (error) {
        // If this thread was taken for dead, that is thrown once all is closed.
        if (!(error instanceof ReclaimedError)) throw error;
      }
    }
    if (!isLive) throw this.reclaimedError("leave the domain");
    this.members.leave(this.#owner);
  }

  /** The error of a thread that was reclaimed, and lives. */
  reclaimedError(action: string): ReclaimedError {
    const member = memberOf(this.#owner);
    return new ReclaimedError(
      `Cannot ${action} as member ${member} was reclaimed: what it had is given to others`,
    );
  }
}
