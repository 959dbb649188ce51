/**
 * What an end of a channel does with its cells: it differs for a channel with one sender and one
 * receiver (`single_cells.ts`) and any other (`shared_cells.ts`).
 *
 * @module
 */

import { ReclaimedError } from "../memory/errors.ts";
import { type ChannelLayout, isClosedGate, SENDER_LINE, WAITING } from "./layout.ts";

/** Returned by {@link Cells.claim} and {@link Cells.take} if there will never be a cell. */
export const ENDED = -1;

/**
 * Whether the message at a position, which a dead receiver had, is there: a message in a pool may
 * be done with.
 */
export type IsThere = (position: number) => boolean;

/** The cells of a channel, as one thread sees them. */
export abstract class Cells {
  /** The number of cells. */
  readonly capacity: number;
  readonly #gate: Int32Array;
  readonly #lengths: number;
  readonly #messages: number;
  readonly #stride: number;
  /** The position of the first of the cells that were claimed, or taken, last. */
  position = 0;
  /** Set once a cell was passed that has no message: senders may have room. */
  hasPassed = false;

  /** The cells in these words. */
  constructor(words: Int32Array, layout: ChannelLayout) {
    this.capacity = layout.size.capacity;
    this.#gate = words;
    this.#lengths = layout.lengths;
    this.#messages = layout.messages;
    this.#stride = layout.stride;
  }

  /** The word with the length of the message at a position. */
  lengthOf(position: number): number {
    return this.#lengths + (position & (this.capacity - 1));
  }

  /** Where the message at a position begins, in words. */
  messageOf(position: number): number {
    return this.#messages + (position & (this.capacity - 1)) * this.#stride;
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return isClosedGate(Atomics.load(this.#gate, SENDER_LINE + WAITING));
  }

  /**
   * Claims the next free cells, in one piece.
   *
   * @param place The place of the sender.
   * @param max How many at most.
   * @returns How many; 0 if the channel is full, {@link ENDED} if its end is there.
   */
  abstract claim(place: number, max: number): number;

  /** Whether a sender could claim so many cells and one more. True also if that is unknown. */
  abstract hasRoom(spare: number): boolean;

  /**
   * Hands the messages in claimed cells to the receivers.
   *
   * @throws {ReclaimedError} If this sender was reclaimed.
   */
  abstract publish(position: number, count: number, place: number): void;

  /** Gives up claimed cells. */
  abstract abort(position: number, count: number, place: number): void;

  /**
   * Takes the next messages, in one piece.
   *
   * @param place The place of the receiver.
   * @param max How many at most.
   * @returns How many; 0 if the channel is empty, {@link ENDED} if there will be none.
   */
  abstract take(place: number, max: number): number;

  /** Makes it known that what was taken is in the hands of this receiver. */
  abstract hold(): void;

  /** Whether there may be a message for a receiver, or the end. True also if that is unknown. */
  abstract hasMessage(): boolean;

  /**
   * Lets senders have cells again whose messages were taken.
   *
   * @throws {ReclaimedError} If this receiver was reclaimed.
   */
  abstract free(position: number, count: number, place: number): void;

  /** Has messages taken again, by any receiver: those that were taken last. */
  abstract giveBack(position: number, count: number, place: number): void;

  /**
   * Gives up what a dead sender had claimed.
   *
   * @param release Called with the position of each message that it may have written.
   * @returns How many messages are lost.
   */
  abstract reclaimSender(place: number, release: (position: number) => void): number;

  /**
   * Has what a dead receiver had delivered again, or frees it.
   *
   * @returns How many messages it had.
   */
  abstract reclaimReceiver(place: number, redeliver: boolean, isThere: IsThere): number;

  /** How many messages there are, those that are being written or read included. */
  abstract get depth(): number;
}

/** What an end gets that was reclaimed, and goes on all the same. */
export function reclaimed(): ReclaimedError {
  return new ReclaimedError(
    "Cannot use this end of the channel as it was reclaimed: its thread was taken for dead",
  );
}
