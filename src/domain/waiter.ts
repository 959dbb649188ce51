/**
 * Waiting for any of a set of slots.
 *
 * The protocol is described at the head of `signals.ts`.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { now } from "../memory/platform.ts";
import { PullIterator, type PullOptions, type PullSource } from "../memory/pull_iterator.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { Attachment } from "./attachment.ts";
import { DomainFullError } from "./errors.ts";
import { WAITING } from "./layout.ts";
import { memberOf } from "./members.ts";
import { partsOf, recordOf, type Slot } from "./slot.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";
import { type AnySubscription, WatchList } from "./watch_list.ts";
import type { SlotRecord } from "./slot_types.ts";

/**
 * Waits for changes in any of a set of slots.
 *
 * A waiter belongs to the thread that made it. Any number of its tasks may wait at once; each
 * change is reported to one of them.
 *
 * - **No lost wake-up.** Whatever was published, or closed, before a wait or during it, ends it.
 * - **Reported once.** A wait reports a subscription when it has news: what was published since it
 *   was last reported, or what is unread since some of it was last read. So a slot that is ignored
 *   does not end every wait, and one of which a single message is read does.
 * - **A burst wakes once.** Publications wake a waiter only while it waits.
 * - **Ends.** Once no slot is left that may wake it, waits end at once: all were closed, which was
 *   reported, or unsubscribed.
 *
 * @example Usage
 * ```ts
 * import { Domain } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using domain = Domain.create({ slots: 2, dataBytes: 64 * 1024 });
 * const left = domain.slot("left", { messageBytes: 8 });
 * const right = domain.slot("right", { messageBytes: 8 });
 * using waiter = domain.waiter();
 * waiter.subscribe(left, { history: 1 });
 * waiter.subscribe(right, { history: 1 });
 *
 * using writer = right.writer(); // in reality in another thread
 * writer.send(new Uint8Array([7]));
 *
 * for (const subscription of waiter.wait()!) {
 *   assertEquals(subscription.name, "right");
 *   while (subscription.next()) assertEquals(subscription.message()[0], 7);
 * }
 * ```
 */
export class Waiter implements Disposable, AsyncIterable<AnySubscription> {
  readonly #domain: Attachment;
  readonly #waiter: number;
  readonly #owner: number;
  readonly #sleepers: SleepWord;
  readonly #list = new WatchList();
  /** What a wait that blocks has found. */
  #found: readonly AnySubscription[] = [];
  #isClosed = false;

  /**
   * @ignore Use {@link Domain.waiter}.
   * @throws {DomainFullError} If all waiters are in use.
   */
  constructor(domain: Attachment) {
    const { signals, region } = domain;
    this.#domain = domain;
    this.#owner = domain.owner;
    this.#waiter = signals.take(this.#owner);
    if (this.#waiter === -1) throw fullError(domain);
    this.#sleepers = new SleepWord(region.memory, region.words, signals.signal(this.#waiter));
    domain.open.add(this);
  }

  /** The subscriptions, in the order in which they were made. */
  get subscriptions(): AnySubscription[] {
    return this.#list.subscriptions;
  }

  /**
   * Subscribes to a slot.
   *
   * @throws {RangeError} If `history` or `deadlineMs` is negative, or not a number.
   * @throws {Error} If this waiter has a subscription to it.
   * @throws {ClosedError} If this waiter was closed.
   */
  subscribe<R extends SlotRecord | undefined>(
    slot: Slot<R>,
    options: SubscribeOptions = {},
  ): Subscription<R> {
    checkOptions("subscribe", options);
    const { history = 0, wakes = true, writers = false, deadlineMs = Infinity } = options;
    if (history !== Infinity) checkInteger("subscribe", "history", history, 0);
    if (typeof deadlineMs !== "number" || !(deadlineMs > 0)) {
      throw new RangeError(
        `Cannot subscribe as 'deadlineMs' must be a number above 0: received ${
          describe(deadlineMs)
        }`,
      );
    }
    this.#check("subscribe");
    const parts = partsOf(slot as unknown as Slot<SlotRecord | undefined>, this.#domain);
    const { entry, first, card } = parts.words;
    if (this.#list.has(entry)) {
      throw new Error(
        `Cannot subscribe to slot "${card.name}" as this waiter has: use that subscription, or close it first`,
      );
    }
    const { signals } = this.#domain;
    // Before the look at the last message, so that all that is published after that wakes.
    if (wakes) signals.subscribe(first, this.#waiter);
    const subscription = new Subscription(
      this.#domain,
      parts,
      recordOf(slot),
      { history, wakes, writers, deadlineMs },
      () => {
        this.#list.delete(entry);
        // The waiter may be another's, if this thread was taken for dead.
        if (wakes && this.#isOurs) signals.unsubscribe(first, this.#waiter);
        // Tasks that wait look again, at what is left.
        if (this.#sleepers.isAwaited) this.#sleepers.notify();
      },
    );
    this.#list.add(entry, subscription as unknown as AnySubscription);
    if (this.#sleepers.isAwaited) this.#sleepers.notify();
    return subscription;
  }

  /**
   * Blocks until something has changed in a slot that wakes, or the time is over.
   *
   * @returns The subscriptions with changes, in an array that is valid until the wait after the
   * next one; nothing if the time is over, or nothing is left that may wake this waiter.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this waiter was closed.
   */
  wait(options?: WaitOptions): readonly AnySubscription[] | undefined {
    checkWaitOptions(options);
    const deadline = new Deadline(options);
    for (;;) {
      const timeoutMs = this.#timeout(deadline);
      const hasFound = this.#sleepers.sleepUntil(this.#attemptToBlock, { timeoutMs }, this.#giveUp);
      if (hasFound) return some(this.#found);
      if (deadline.remainingMs === 0) return undefined;
    }
  }

  /** As {@link Waiter.wait}, without waiting. */
  tryWait(): readonly AnySubscription[] | undefined {
    this.#check("wait");
    return some(this.#list.collect() ?? []);
  }

  /** As {@link Waiter.wait}, without blocking. */
  async waitAsync(options?: AsyncWaitOptions): Promise<readonly AnySubscription[] | undefined> {
    checkAsyncWaitOptions(options);
    const signal = options?.signal;
    const deadline = new Deadline(options);
    let found: readonly AnySubscription[] = [];
    const attempt = () => {
      const changed = this.#attempt();
      if (changed === undefined) return WAITING;
      // Another task may wait before this one goes on.
      found = [...changed];
      return undefined;
    };
    for (;;) {
      const timeoutMs = this.#timeout(deadline);
      const hasFound = await this.#sleepers.sleepUntilAsync(
        attempt,
        { signal, timeoutMs },
        this.#giveUp,
      );
      if (hasFound) return some(found);
      if (deadline.remainingMs === 0) return undefined;
    }
  }

  /**
   * Iterates over subscriptions as they change; one comes again with its next change. It ends when
   * waits end.
   */
  changes(options: PullOptions = {}): PullIterator<AnySubscription> {
    let changed: AnySubscription[] = [];
    let at = 0;
    let isEnded = false;
    let present!: AnySubscription;
    const take = (found: readonly AnySubscription[] | undefined) => {
      changed = [...found ?? []];
      at = 0;
      if (isEnded) putBack();
      return changed.length > 0;
    };
    // Those that were found and not handed over are news for the next wait.
    const putBack = () => {
      this.#list.unreport(changed.splice(at));
      if (this.#sleepers.isAwaited) this.#sleepers.notify();
    };
    const source: PullSource<AnySubscription> = {
      poll: () => at < changed.length || take(this.tryWait()),
      next: () => {
        // Those that were closed meanwhile have no more changes.
        while (at < changed.length && changed[at]!.isClosed) at++;
        if (at === changed.length) return false;
        present = changed[at++]!;
        return true;
      },
      value: () => present,
      waitAsync: async (waiting) => take(await this.waitAsync(waiting)),
      end: () => {
        isEnded = true;
        putBack();
      },
    };
    return new PullIterator(source, options, "changes");
  }

  /** As {@link Waiter.changes}. */
  [Symbol.asyncIterator](): PullIterator<AnySubscription> {
    return this.changes();
  }

  /**
   * Ends all subscriptions, and all waits with a {@link ClosedError}. Closing again does nothing.
   */
  close(): void {
    if (this.#isClosed) return;
    for (const subscription of this.subscriptions) subscription.close();
    this.#isClosed = true;
    this.#domain.open.delete(this);
    this.#sleepers.notify();
    if (!this.#isOurs) throw this.#domain.reclaimedError("close a waiter");
    const { signals } = this.#domain;
    signals.disarm(this.#waiter);
    signals.release(this.#waiter, this.#owner);
  }

  /** As {@link Waiter.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  get #isOurs(): boolean {
    return this.#domain.signals.isOwned(this.#waiter, this.#owner);
  }

  #check(action: string): void {
    if (this.#isClosed) throw new ClosedError(`Cannot ${action} as the waiter was closed`);
  }

  readonly #giveUp = (): void => this.#disarm();

  readonly #attemptToBlock = (): number | undefined => {
    const found = this.#attempt();
    if (found === undefined) return WAITING;
    this.#found = found;
    return undefined;
  };

  /** Looks for changes, and if there seem to be none, marks this waiter and looks again. */
  #attempt(): readonly AnySubscription[] | undefined {
    this.#check("wait");
    const present = this.#list.collectSeen();
    if (present !== undefined) return present;
    // In this order: pairs with the publisher's look at the signal after it has published.
    this.#domain.signals.arm(this.#waiter);
    const found = this.#list.collect();
    if (found !== undefined) this.#disarm();
    return found;
  }

  /** Takes the mark off, unless a task of this waiter sleeps. */
  #disarm(): void {
    if (!this.#sleepers.isAwaited) this.#domain.signals.disarm(this.#waiter);
  }

  /** How long to sleep: until the time is over, or a subscription wants to know. */
  #timeout(deadline: Deadline): number {
    const { remainingMs } = deadline;
    const next = this.#list.deadline;
    return next === Infinity ? remainingMs : Math.min(remainingMs, Math.max(0, next - now()));
  }
}

/** The empty value of a wait in place of no subscriptions. */
function some(found: readonly AnySubscription[]): readonly AnySubscription[] | undefined {
  return found.length === 0 ? undefined : found;
}

function fullError({ region, signals }: Attachment): DomainFullError {
  const members = [...new Set(signals.inspect().map(({ owner }) => memberOf(owner)))].join(", ");
  return new DomainFullError(
    `Cannot create a waiter as all ${region.layout.size.waiters} are in use, by members ${members}: close one, reclaim a member that has died, or create the domain with more 'waiters'`,
  );
}
