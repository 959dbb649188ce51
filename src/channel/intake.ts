/**
 * What a receiver does with the cells, whatever becomes of the messages: it takes some, frees their
 * cells or gives the messages back, and leaves.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import type { BufferPool, Packet } from "../pool/mod.ts";
import { type Cells, ENDED } from "./cells.ts";
import { IN_POOL, REDELIVER, REDELIVERED } from "./layout.ts";
import type { ChannelState, Membership } from "./state.ts";
import { type WaitingLine, WaitingPlace } from "./waiting_line.ts";

/** The cells of one receiver. */
export class Intake {
  /** The cells. */
  readonly cells: Cells;
  /** Where this receiver waits for messages. */
  readonly waiting: WaitingPlace;
  /** Whether a message stays with this receiver until it asks for the next one. */
  readonly keeps: boolean;
  /** How many messages it has, and the position of the first. */
  count = 0;
  position = 0;
  /** Whether there will be no more, as the last look has found. */
  hasEnded = false;
  readonly #words: Int32Array;
  readonly #membership: Membership;
  readonly #place: number;
  readonly #pool: BufferPool | undefined;
  readonly #senders: WaitingLine;
  readonly #receivers: WaitingLine;
  #isClosed = false;

  /** @param spins Whether to look for a while before sleeping. */
  constructor(
    state: ChannelState,
    membership: Membership,
    pool: BufferPool | undefined,
    spins: boolean,
  ) {
    const { region, words, senders, receivers } = state;
    this.cells = state.openCells();
    this.keeps = state.has(REDELIVER);
    this.#words = words;
    this.#membership = membership;
    this.#place = membership.place;
    this.#pool = pool;
    this.#senders = senders;
    this.#receivers = receivers;
    const hasMessage = () => this.cells.hasMessage();
    this.waiting = new WaitingPlace(region, receivers, membership, hasMessage, spins);
  }

  /** Takes messages; returns whether that has an end, with some or with the end of all. */
  take(max: number): boolean {
    if (this.#isClosed || this.count > 0) this.#refuse();
    const { cells } = this;
    const count = cells.take(this.#place, max);
    if (cells.hasPassed) {
      cells.hasPassed = false;
      this.#senders.wakeFirst();
    }
    if (count === 0) return false;
    this.hasEnded = count === ENDED;
    this.count = Math.max(0, count);
    this.position = cells.position;
    // What the caller gets before it is done with must be known.
    if (this.keeps && count > 0) cells.hold();
    return true;
  }

  /** Has done with all messages that it has. */
  release(): void {
    const { position, count } = this;
    if (count === 0) return;
    this.count = 0;
    this.finish(position, count);
  }

  /** Frees cells, and the buffers of their messages. */
  finish(position: number, count: number): void {
    const packets = this.#pool === undefined ? undefined : this.#adopt(this.#pool, position, count);
    try {
      this.cells.free(position, count, this.#place);
    } finally {
      packets?.forEach((packet) => packet.release());
    }
    // A sender; or a receiver, as the end may be in a cell that was freed.
    if (this.#senders.wakeFirst()) this.#receivers.wakeFirst();
  }

  /**
   * Adopts the packets of some messages, before their cells are free: so a thread that reclaims
   * this receiver finds which messages are done with, if it knows which were taken.
   */
  #adopt(pool: BufferPool, position: number, count: number): Packet[] {
    const { cells } = this;
    const packets: Packet[] = [];
    for (let i = 0; i < count; i++) {
      if (this.#words[cells.lengthOf(position + i | 0)] !== IN_POOL) continue;
      if (packets.length === 0) cells.hold();
      packets.push(pool.adoptFrom(this.#words, cells.messageOf(position + i | 0)));
    }
    return packets;
  }

  /** Has the messages from one on, of those that it has, received again by any receiver. */
  giveBack(from: number): void {
    const count = this.count - from;
    if (count <= 0) return;
    this.count = from;
    this.cells.giveBack(this.position + from | 0, count, this.#place);
    Atomics.add(this.#words, REDELIVERED, count);
    this.#receivers.wakeFirst();
  }

  /** Leaves, without the messages that it has. */
  close(): void {
    if (this.#isClosed) return;
    if (this.keeps) this.giveBack(0);
    else this.release();
    this.#isClosed = true;
    this.waiting.leave();
    this.#membership.leave();
  }

  /** Throws if this receiver is closed. */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError("Cannot receive as the receiver is closed");
  }

  #refuse(): never {
    this.checkOpen();
    throw new Error(
      "Cannot receive as another task of this receiver has messages: use a receiver for each",
    );
  }
}
