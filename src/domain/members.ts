/**
 * The members of a domain: attaching and leaving, and which member may reclaim which.
 *
 * A thread needs to be a member in order to own something that others must be able to take back:
 * a table entry that it prepares, a writer, a hold, a waiter. Each of these has a word with its
 * *owner*: the member and its generation, so that a member that was reclaimed and lives on cannot
 * mistake what its successor owns for its own.
 *
 * The state of a member, `generation << 12 | reclaimer << 2 | phase`:
 *
 *                compareExchange              store
 *          FREE -----------------> LIVE -------------------+
 *           ^                       |                      |
 *           |                       | compareExchange      |  the generation goes up
 *           |                       v                      |
 *           +---- store ---------- DYING, with a reclaimer |
 *           +----------------------------------------------+
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { DomainFullError } from "./errors.ts";
import type { DomainLayout } from "./layout.ts";

const FREE = 0;
const LIVE = 1;
const DYING = 2;
const PHASE = 3;
const RECLAIMER_SHIFT = 2;
const GENERATION_SHIFT = 12;
const RECLAIMER = (1 << GENERATION_SHIFT - RECLAIMER_SHIFT) - 1;
const MEMBER = (1 << GENERATION_SHIFT) - 1;
/** The sign is not used, so that an owner is never negative. */
const GENERATION = (1 << 31 - GENERATION_SHIFT) - 1;

/** The member that an owner is. */
export function memberOf(owner: number): number {
  return (owner & MEMBER) - 1;
}

/** The members of one domain. */
export class Members {
  readonly #words: Int32Array;
  readonly #layout: DomainLayout;

  /** The members of the domain with these words. */
  constructor(words: Int32Array, layout: DomainLayout) {
    this.#words = words;
    this.#layout = layout;
  }

  /**
   * Checks the number of a member that a thread wants to be.
   *
   * @throws {RangeError} If there is no such member.
   */
  check(wanted: number): void {
    checkInteger("join the domain", "member", wanted, 0, this.#layout.size.members - 1);
  }

  /**
   * Becomes a member.
   *
   * @param wanted Its number; any that is free if undefined.
   * @returns The owner for the words of what it will have.
   * @throws {DomainFullError} If another thread is that member, or all are in use.
   */
  join(wanted: number | undefined): number {
    const { members } = this.#layout.size;
    if (wanted !== undefined) {
      const owner = this.#tryJoin(wanted);
      if (owner !== 0) return owner;
      throw new DomainFullError(
        `Cannot join the domain as member ${wanted} has joined: close its domain there, or reclaim it if its thread has died`,
      );
    }
    for (let member = 0; member < members; member++) {
      const owner = this.#tryJoin(member);
      if (owner !== 0) return owner;
    }
    throw new DomainFullError(
      `Cannot join the domain as all ${members} members are in use: close the domain in threads that are done, or create it with more 'members'`,
    );
  }

  #tryJoin(member: number): number {
    const index = this.#layout.member(member);
    const state = Atomics.load(this.#words, index);
    if ((state & PHASE) !== FREE) return 0;
    // Pairs with the store of the thread that was this member before, or of its reclaimer.
    if (Atomics.compareExchange(this.#words, index, state, state | LIVE) !== state) return 0;
    return ownerOf(state, member);
  }

  /** Whether the owner is a member, and no thread has begun to reclaim it. */
  isLive(owner: number): boolean {
    const member = memberOf(owner);
    const state = Atomics.load(this.#words, this.#layout.member(member));
    return (state & PHASE) === LIVE && ownerOf(state, member) === owner;
  }

  /** Whether there is such a member, or was, and its reclaim is unfinished. */
  isJoined(member: number): boolean {
    return (Atomics.load(this.#words, this.#layout.member(member)) & PHASE) !== FREE;
  }

  /** Frees the number of a member that has nothing any more. */
  leave(owner: number): void {
    this.#free(memberOf(owner));
  }

  /**
   * Becomes the reclaimer of a member whose thread has died.
   *
   * @returns The owner that the dead member was.
   * @throws {Error} If there is no such member, or another one that lives is reclaiming it.
   */
  beginReclaim(member: number, reclaimer: number): number {
    const index = this.#layout.member(member);
    const own = memberOf(reclaimer);
    for (;;) {
      const state = Atomics.load(this.#words, index);
      const phase = state & PHASE;
      if (phase === FREE) throw new Error(`Cannot reclaim member ${member} as it has not joined`);
      const other = state >>> RECLAIMER_SHIFT & RECLAIMER;
      if (phase === DYING && other !== own && this.#isLiveMember(other)) {
        throw new Error(`Cannot reclaim member ${member} as member ${other} is reclaiming it`);
      }
      const dying = (state & ~MEMBER) | own << RECLAIMER_SHIFT | DYING;
      if (Atomics.compareExchange(this.#words, index, state, dying) === state) {
        return ownerOf(state, member);
      }
    }
  }

  /** Frees the number of a member that was reclaimed. */
  endReclaim(member: number): void {
    this.#free(member);
  }

  #isLiveMember(member: number): boolean {
    return (Atomics.load(this.#words, this.#layout.member(member)) & PHASE) === LIVE;
  }

  #free(member: number): void {
    const index = this.#layout.member(member);
    const generation = (Atomics.load(this.#words, index) >>> GENERATION_SHIFT) + 1;
    // Pairs with the compareExchange of the thread that becomes this member next.
    Atomics.store(this.#words, index, (generation & GENERATION) << GENERATION_SHIFT | FREE);
  }
}

function ownerOf(state: number, member: number): number {
  return (state & ~MEMBER) | member + 1;
}
