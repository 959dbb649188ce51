/**
 * The subscriptions of a waiter, and which of them have changes to report.
 *
 * @module
 */

import type { SlotRecord } from "./slot_types.ts";
import { type Subscription, watched, type WatchedSubscription } from "./subscription.ts";
import type { Watch } from "./watch.ts";

/** A subscription, whatever its messages are. */
export type AnySubscription = Subscription<SlotRecord | undefined>;

/** A subscription, and what is used of it here. */
interface Member extends WatchedSubscription {
  readonly subscription: AnySubscription;
}

/** The subscriptions of a waiter. */
export class WatchList {
  /** By the table entries of their slots. */
  readonly #members = new Map<number, Member>();
  /** All of them, for loops. */
  #listed: Member[] = [];
  /** What is known of the slots that wake the waiter. */
  #waking: Watch[] = [];
  /** Those that were reported last. */
  readonly #told: Member[] = [];
  /** Arrays of changes, to be used in turn. */
  #changed: AnySubscription[] = [];
  #spare: AnySubscription[] = [];

  /** The subscriptions, in the order in which they were made. */
  get subscriptions(): AnySubscription[] {
    return this.#listed.map(({ subscription }) => subscription);
  }

  /** When a subscription wants to know that nothing came, by the clock of `now`. */
  get deadline(): number {
    let deadline = Infinity;
    const waking = this.#waking;
    for (let i = 0; i < waking.length; i++) deadline = Math.min(deadline, waking[i]!.deadline);
    return deadline;
  }

  /** Whether there is one to the slot with this table entry. */
  has(entry: number): boolean {
    return this.#members.has(entry);
  }

  /** Adds one. */
  add(entry: number, subscription: AnySubscription): void {
    this.#members.set(entry, { subscription, ...watched(subscription) });
    this.#list();
  }

  /** Removes one. */
  delete(entry: number): void {
    this.#members.delete(entry);
    this.#list();
  }

  /** Takes back that subscriptions were reported, as nobody was told: they still have news. */
  unreport(subscriptions: readonly AnySubscription[]): void {
    for (const subscription of subscriptions) watched(subscription).watch.unreport();
  }

  #list(): void {
    this.#listed = [...this.#members.values()];
    this.#waking = this.#listed.map(({ watch }) => watch).filter(({ wakes }) => wakes);
  }

  /**
   * Notes the subscriptions with changes.
   *
   * @returns Those, if one of them wakes; none if nothing will ever change; undefined to wait. The
   * array is used again after the next one.
   */
  collect(): readonly AnySubscription[] | undefined {
    const waking = this.#waking;
    let mayChange = false;
    for (let i = 0; i < waking.length; i++) {
      const watch = waking[i]!;
      if (watch.look() !== 0) return this.#report();
      mayChange ||= !watch.isOver;
    }
    return mayChange ? undefined : [];
  }

  /**
   * As {@link WatchList.collect}, at a fraction of its cost; but it may overlook what came just
   * now, and that nothing will ever change.
   */
  collectSeen(): readonly AnySubscription[] | undefined {
    const waking = this.#waking;
    for (let i = 0; i < waking.length; i++) {
      const watch = waking[i]!;
      if (watch.seemsChanged && watch.look() !== 0) return this.#report();
    }
    return undefined;
  }

  #report(): readonly AnySubscription[] {
    const changed = this.#spare;
    const told = this.#told;
    for (let i = 0; i < told.length; i++) told[i]!.tell(0);
    changed.length = told.length = 0;
    const listed = this.#listed;
    for (let i = 0; i < listed.length; i++) {
      const member = listed[i]!;
      // What is overlooked here is reported by the next wait.
      if (!member.watch.seemsChanged) continue;
      const changes = member.watch.report();
      if (changes === 0) continue;
      member.tell(changes);
      told.push(member);
      changed.push(member.subscription);
    }
    this.#spare = this.#changed;
    this.#changed = changed;
    return changed;
  }
}
