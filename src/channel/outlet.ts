/**
 * What a sender does with the cells, whatever it puts into them: it claims some if that is its
 * turn, publishes them or gives them up, and leaves.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import { type Cells, ENDED } from "./cells.ts";
import { ChannelClosedError, ChannelFullError } from "./errors.ts";
import {
  DROPPED,
  FULL_MODE_MASK,
  FULL_MODES,
  isClosedGate,
  SENDER_LINE,
  WAITING,
} from "./layout.ts";
import type { ChannelState, Membership } from "./state.ts";
import { Succession } from "./succession.ts";
import { type WaitingLine, WaitingPlace } from "./waiting_line.ts";

// A local copy for the hot path.
const GATE = SENDER_LINE + WAITING;

/** The cells of one sender. */
export class Outlet {
  /** The words of the channel. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The cells; their position is that of the first claimed one. */
  readonly cells: Cells;
  /** Where this sender waits for room. */
  readonly waiting: WaitingPlace;
  /** Asynchronous sends, one after the other. */
  readonly succession: Succession = new Succession();
  /** How many cells are claimed. */
  count = 0;
  readonly #membership: Membership;
  readonly #place: number;
  readonly #line: WaitingLine;
  readonly #receivers: WaitingLine;
  readonly #mode: typeof FULL_MODES[number];
  #isClosed = false;

  /** @param spins Whether to look for a while before sleeping. */
  constructor(state: ChannelState, membership: Membership, spins: boolean) {
    const { region, words, senders, receivers } = state;
    this.words = words;
    this.cells = state.openCells();
    this.#membership = membership;
    this.#place = membership.place;
    this.#line = senders;
    this.#receivers = receivers;
    this.#mode = FULL_MODES[region.layout.size.options & FULL_MODE_MASK]!;
    const hasRoom = () => this.cells.hasRoom(0) || this.cells.isClosed;
    this.waiting = new WaitingPlace(region, senders, membership, hasRoom, spins);
  }

  /**
   * Claims some cells, if there are any, and that takes none from others that have waited longer.
   *
   * @param max How many at most.
   * @throws {ChannelClosedError} If the channel was closed.
   */
  claim(max: number): boolean {
    if (this.#isClosed || this.count > 0) this.#refuse("send");
    const gate = Atomics.load(this.words, GATE);
    if (gate !== 0 && !this.#mayEnter(gate)) return false;
    const count = this.cells.claim(this.#place, max);
    if (count === ENDED) throw new ChannelClosedError();
    this.count = count;
    return count > 0;
  }

  #mayEnter(gate: number): boolean {
    if (isClosedGate(gate)) throw new ChannelClosedError();
    return this.#line.isFirst(this.#place) || this.cells.hasRoom(this.#line.count);
  }

  /**
   * What becomes of messages for which there is no room.
   *
   * @param count How many there are.
   * @returns Whether they are dropped; otherwise they may wait.
   * @throws {ChannelFullError} If that is not wanted.
   */
  refuses(count: number): boolean {
    if (this.#mode === "wait") return false;
    if (this.#mode === "fail") throw new ChannelFullError(this.cells.capacity);
    Atomics.add(this.words, SENDER_LINE + DROPPED, count);
    return true;
  }

  /** Publishes what is claimed. */
  publish(): void {
    const { cells, count } = this;
    this.count = 0;
    cells.publish(cells.position, count, this.#place);
    this.#receivers.wakeFirst();
  }

  /** Gives up what is claimed, if anything is. */
  abort(): void {
    const { cells, count } = this;
    if (count === 0) return;
    this.count = 0;
    cells.abort(cells.position, count, this.#place);
    // They have to be passed, before there is room again or the end is found.
    this.#receivers.wakeFirst();
  }

  /** Gives up what is claimed, and leaves. */
  close(): void {
    if (this.#isClosed) return;
    this.abort();
    this.#isClosed = true;
    this.waiting.leave();
    this.#membership.leave();
  }

  /** Throws unless this sender may send now, before anything else that it does. */
  checkTurn(action: string): void {
    if (this.#isClosed || this.count > 0) this.#refuse(action);
    if (!this.succession.isBusy) return;
    throw new Error(
      `Cannot ${action} as messages of this sender wait to be sent: await them first, or use another sender`,
    );
  }

  /** Throws if this sender is closed. */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError("Cannot send as the sender is closed");
  }

  #refuse(action: string): never {
    this.checkOpen();
    throw new Error(`Cannot ${action} as cells are claimed: publish or abort them first`);
  }
}
