/**
 * Claims: how several threads share the events of one sequence, each to exactly one of them. The
 * producers of a ring claim slots to fill, up to the room that there is; the workers of a node
 * claim published events to handle. A *goal*, the cursor or the node's gate, follows behind the
 * oldest claim that is not finished.
 *
 *     claims         | position, up to which all is claimed | closed | place of the last claimant |
 *     floor of each  | position, where its claim begins     | IDLE, INTENT or CLAIMED             |
 *
 * A claim of the events from p on, by the member A:
 *
 *     floor of A:  IDLE --store--> p, INTENT ----------------------store--> IDLE
 *                                    |      \ another member              /
 *                                    |       CAS --> p, CLAIMED ---------+
 *     claims:                      CAS from p to p + count, with A's place
 *
 * **The goal never passes an open claim.** The floor is stored before the claim is made. A thread
 * that advances the goal loads the claims first, and then all floors. If it finds claims that
 * include A's, it finds A's floor, too, or that A has finished. It raises the goal to the lowest of
 * all that it found.
 *
 * **The goal gets there.** A thread that finishes, or that gives up an intent, first makes its
 * floor IDLE, and then advances the goal. Of two that finish at once, the one that became IDLE last
 * finds both floors IDLE. That also holds for the shortcut: if the goal stands at the beginning of
 * a claim, and nothing was claimed after it, then the goal is raised to its end.
 *
 * **It can always be told whether a claim was made**, whenever its claimant dies. The claims name
 * their last claimant. Before another member claims after that, it changes the floor of the last
 * one to CLAIMED, if that is still INTENT; an intent to claim at the very position of the claims is
 * a later one, and stays. So an INTENT is a claim if the claims name its member and have another
 * position; otherwise it is none.
 *
 * Proven by: tests/disruptor/claims_model_test.ts.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import {
  CLAIMANT_MASK,
  CLAIMS_CLOSED,
  COUNT,
  FLAGS,
  FLOOR,
  FREE,
  LINE_WORDS,
  MEMBER,
  PRESENT,
} from "./layout.ts";
import type { Level } from "./level.ts";

/** In the word of a floor: no claim. */
const IDLE = 0;
/** In the word of a floor: a claim that is about to be made, or was. */
const INTENT = 1;
/** In the word of a floor: a claim that was made. */
const CLAIMED = 2;

const POSITION_MASK = ~FLAGS;
const STATE_MASK = FLAGS;
const LINE = LINE_WORDS;
const FLOOR_WORD = FLOOR;
const COUNT_WORD = COUNT;
const CLAIMANT = CLAIMANT_MASK;

/** Where the words of some claims are. */
export interface ClaimWords {
  /** The word of the claims. */
  readonly claims: number;
  /** The line of the first member. */
  readonly lines: number;
  /** How many members there may be. */
  readonly members: number;
}

/** A claim that a dead member left. */
export interface LeftClaim {
  /** Where it begins. */
  readonly position: number;
  /** How long it is. */
  readonly length: number;
}

/** The claims of one sequence, as one thread sees them, and makes them if it is a member. */
export class Claims {
  readonly #words: Int32Array;
  readonly #claims: number;
  readonly #lines: number;
  readonly #members: number;
  readonly #goal: Level;
  readonly #place: number;
  readonly #floor: number;
  #start = 0;
  #end = 0;
  #isOpen = false;

  /** @param place The place of this thread among the members; -1 if it is none. */
  constructor(words: Int32Array, where: ClaimWords, goal: Level, place: number) {
    this.#words = words;
    this.#claims = where.claims;
    this.#lines = where.lines;
    this.#members = where.members;
    this.#goal = goal;
    this.#place = place;
    this.#floor = where.lines + place * LINE + FLOOR_WORD;
  }

  /** The place of this thread among the members. */
  get place(): number {
    return this.#place;
  }

  /** Whether this thread has a claim. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Where the claim of this thread begins. */
  get start(): number {
    return this.#start;
  }

  /** Where it ends. */
  get end(): number {
    return this.#end;
  }

  /** Loads the claims: a position and flags. */
  load(): number {
    return Atomics.load(this.#words, this.#claims);
  }

  /** The claims, as a hint: a claim from there on fails if they are others. */
  glance(): number {
    return racyLoad(this.#words, this.#claims);
  }

  /**
   * Claims from the position of `seen` on, unless another member was quicker.
   *
   * @param seen The claims, not closed.
   * @param length How much.
   */
  tryClaim(seen: number, length: number): boolean {
    const words = this.#words;
    const start = seen & POSITION_MASK;
    words[this.#floor - FLOOR_WORD + COUNT_WORD] = length;
    // Before the claim: pairs with the look at the floors of a thread that advances the goal.
    Atomics.store(words, this.#floor, start | INTENT);
    const last = seen & CLAIMANT;
    if (last !== this.#place) this.#confirm(last, seen);
    const end = start + length | 0;
    if (Atomics.compareExchange(words, this.#claims, seen, end | this.#place) !== seen) {
      return false;
    }
    this.#start = start;
    this.#end = end;
    this.#isOpen = true;
    return true;
  }

  /** Makes it known that the last claim was made, before another one hides that. */
  #confirm(last: number, seen: number): void {
    const words = this.#words;
    const index = this.#lines + last * LINE + FLOOR_WORD;
    const floor = Atomics.load(words, index);
    if ((floor & STATE_MASK) !== INTENT) return;
    if ((floor & POSITION_MASK) === (seen & POSITION_MASK)) return;
    // Only if the floor was that of the last claim, when we loaded it.
    if (Atomics.load(words, this.#claims) !== seen) return;
    Atomics.compareExchange(words, index, floor, floor - INTENT + CLAIMED);
  }

  /** Has no intent any more, after a claim that failed. */
  withdraw(): void {
    Atomics.store(this.#words, this.#floor, IDLE);
    this.advance();
  }

  /**
   * Finishes the claim: everything that this thread did with it happens before the goal is there.
   *
   * @returns Whether the goal can get there: false if it is closed.
   */
  finish(): boolean {
    const words = this.#words;
    this.#isOpen = false;
    Atomics.store(words, this.#floor, IDLE);
    if (Atomics.load(words, this.#claims) === (this.#end | this.#place)) {
      // Nothing was claimed after it.
      if (this.#goal.tryMove(this.#start, this.#end)) return true;
    }
    return this.advance();
  }

  /** Finishes a first part of the claim. */
  finishPart(length: number): boolean {
    const start = this.#start + length | 0;
    this.#words[this.#floor - FLOOR_WORD + COUNT_WORD] = this.#end - start | 0;
    this.#start = start;
    Atomics.store(this.#words, this.#floor, start | CLAIMED);
    return this.advance();
  }

  /** Raises the goal to the lowest open claim; returns false if it is closed below that. */
  advance(): boolean {
    const words = this.#words;
    const position = Atomics.load(words, this.#claims) & POSITION_MASK;
    let least = 0;
    for (let i = 0; i < this.#members; i++) {
      const floor = Atomics.load(words, this.#lines + i * LINE + FLOOR_WORD);
      if ((floor & STATE_MASK) === IDLE) continue;
      const ahead = (floor & POSITION_MASK) - position | 0;
      if (ahead < least) least = ahead;
    }
    return this.#goal.raiseTo(position + least | 0);
  }

  /** Prevents any further claim. */
  close(): void {
    Atomics.or(this.#words, this.#claims, CLAIMS_CLOSED);
  }

  /** Closes the claims of members of which none is there. */
  closeAt(position: number): void {
    Atomics.store(this.#words, this.#claims, position | CLAIMS_CLOSED);
  }

  /** Replaces exactly this word of the claims. */
  exchange(before: number, after: number): void {
    Atomics.compareExchange(this.#words, this.#claims, before, after);
  }

  /** The first place that is free; -1 if there is none. The thread has it from now on. */
  join(wanted: number | undefined): number {
    const first = wanted ?? 0;
    const last = wanted ?? this.#members - 1;
    for (let place = first; place <= last; place++) {
      const index = this.#lines + place * LINE + MEMBER;
      // Pairs with the store of leave.
      if (Atomics.compareExchange(this.#words, index, FREE, PRESENT) === FREE) return place;
    }
    return -1;
  }

  /** Whether a thread has this place. */
  isPresent(place: number): boolean {
    return Atomics.load(this.#words, this.#lines + place * LINE + MEMBER) === PRESENT;
  }

  /** Frees a place. */
  leave(place: number): void {
    Atomics.store(this.#words, this.#lines + place * LINE + MEMBER, FREE);
  }

  /** The claim of a member that is dead, if it has one. */
  leftClaim(place: number): LeftClaim | undefined {
    const line = this.#lines + place * LINE;
    for (;;) {
      const floor = Atomics.load(this.#words, line + FLOOR_WORD);
      const state = floor & STATE_MASK;
      if (state === IDLE) return undefined;
      const position = floor & POSITION_MASK;
      const seen = Atomics.load(this.#words, this.#claims);
      const isLast = (seen & CLAIMANT) === place && (seen & POSITION_MASK) !== position;
      if (state === CLAIMED || isLast) {
        return { position, length: this.#words[line + COUNT_WORD]! };
      }
      // Another member that claimed after it has changed its floor before.
      if (Atomics.load(this.#words, line + FLOOR_WORD) === floor) return undefined;
    }
  }

  /**
   * The claim of a member that may be alive, as a hint: where it begins; undefined if it has none.
   */
  openClaim(place: number): number | undefined {
    const floor = Atomics.load(this.#words, this.#lines + place * LINE + FLOOR_WORD);
    return (floor & STATE_MASK) === IDLE ? undefined : floor & POSITION_MASK;
  }

  /** Ends the claim of a member that is dead. */
  endClaim(place: number): void {
    Atomics.store(this.#words, this.#lines + place * LINE + FLOOR_WORD, IDLE);
    this.advance();
    // The dead one may have raised the goal, and died before it notified.
    this.#goal.notify();
  }

  /** Goes on with the claim that a dead member left, whose place this thread has now. */
  resume({ position, length }: LeftClaim): void {
    this.#words[this.#floor - FLOOR_WORD + COUNT_WORD] = length;
    Atomics.store(this.#words, this.#floor, position | CLAIMED);
    this.#start = position;
    this.#end = position + length | 0;
    this.#isOpen = true;
  }
}
