/**
 * Optimal dynamic partial-order reduction: one execution for each Mazurkiewicz trace.
 *
 * After each execution, every reversible race in it yields a *wakeup sequence*: the events that do
 * not depend on the race's first event, then the second. The sequence is inserted into the wakeup
 * tree of the state before the first event, unless the sleep set shows that it would repeat an
 * explored trace. A sleep set contains the next operations of threads that were explored from this
 * state or an earlier one, and that no later operation depends on.
 *
 * For programs whose operations are always enabled, the number of complete executions equals the
 * number of traces, and no execution is abandoned. With blocking (wait, pause, join) every trace is
 * still visited; an abandoned execution is counted as pruned.
 *
 * Source: Abdulla, Aronis, Jonsson, Sagonas, "Source Sets: A Foundation for Optimal Dynamic Partial
 * Order Reduction", JACM 64(4), 2017, algorithm 2.
 *
 * @module
 */

import {
  type Entry,
  type EntryOf,
  isYield,
  mayBlock,
  type Operation,
  type Yield,
} from "../machine/entry.ts";
import { impossible, unhandled } from "../machine/impossible.ts";
import {
  COMPARE_EXCHANGE,
  JOIN,
  NOTIFY,
  PAUSE,
  RESUME,
  SPAWN,
  WAIT,
  WAIT_ASYNC,
  WAKE,
} from "../machine/kinds.ts";
import type { Sleeper } from "../machine/memory.ts";
import type { Thread } from "../machine/thread.ts";
import { earliestOf, touchedDeadline } from "../machine/timeouts.ts";
import {
  accessRange,
  appendEvent,
  delays,
  type Dependence,
  type Event,
  type Footprint,
  precedes,
} from "./dependence.ts";
import type { ExecutionView, Strategy } from "./strategy.ts";

/** A node of a wakeup tree: run this thread next. */
interface Node {
  readonly footprint: Footprint;
  readonly children: Node[];
}

/** A state of the present execution. */
interface Frame {
  /** The sleep set: next operations that need not be tried here. */
  readonly sleep: Footprint[];
  /** The wakeup tree: the threads that are still to be tried here, in order. */
  readonly tree: Node[];
  /** Whether anything has been tried here. */
  isStarted: boolean;
}

/** Whether the next operation of a thread need not be tried. */
function isAsleep({ sleep }: Frame, thread: number): boolean {
  for (const next of sleep) if (next.thread === thread) return true;
  return false;
}

/** An event with other effects. */
function withFootprint(event: Event, changes: Partial<Footprint>): Event {
  return { ...event, footprint: { ...event.footprint, ...changes } };
}

/** Visits one execution of each Mazurkiewicz trace; see the module. */
export class OptimalDpor implements Strategy {
  readonly isExhaustive = true;
  readonly #dependence: Dependence;
  /** The events of the present execution. */
  readonly #events: Event[] = [];
  /** The state before each event, and the present one. */
  readonly #frames: Frame[] = [{ sleep: [], tree: [], isStarted: false }];
  /** The wakeup tree of the state after the chosen operation. */
  #subtree: Node[] = [];
  /** The events before this one were in the previous execution, and their races are reversed. */
  #firstNew = 0;
  /** The threads of the events that are being repeated. */
  #repeated: readonly number[] = [];

  constructor(dependence: Dependence) {
    this.#dependence = dependence;
  }

  /** Assumes that no state will have to try more than it has to try now. */
  get fraction(): number {
    let done = 0;
    let share = 1;
    for (const { sleep, tree } of this.#frames) {
      const explored = sleep.length;
      share /= explored + 1 + tree.length;
      done += share * explored;
    }
    return done;
  }

  /** Whether the next transition repeats one that was made before. */
  get #isRepeating(): boolean {
    return this.#events.length < this.#repeated.length;
  }

  /**
   * To be called after a backtrack, if the machine goes back to the first state instead: the next
   * transitions lead to the state that the backtrack asked for.
   */
  repeat(): void {
    this.#repeated = this.#events.map((event) => event.footprint.thread);
    this.#events.length = 0;
  }

  choose(enabled: readonly Thread[], { threads }: ExecutionView): Thread | undefined {
    if (this.#isRepeating) {
      const thread = this.#repeated[this.#events.length];
      return enabled.find((t) => t.id === thread) ?? impossible("a repeated thread cannot run");
    }
    const frame = this.#frames[this.#events.length]!;
    for (let node = frame.tree.shift(); node !== undefined; node = frame.tree.shift()) {
      frame.isStarted = true;
      const { thread } = node.footprint;
      const chosen = enabled.find((t) => t.id === thread);
      if (chosen === undefined) {
        // A yield that was free where the race was found is held here: the rest goes on without it.
        const entry = threads[thread]?.announced;
        if (entry !== undefined && isYield(entry)) frame.tree.unshift(...node.children);
        continue;
      }
      this.#subtree = node.children;
      return chosen;
    }
    if (frame.isStarted) return undefined;
    frame.isStarted = true;
    this.#subtree = [];
    const last = this.#events.at(-1)?.footprint.thread;
    let first: Thread | undefined;
    for (const thread of enabled) {
      if (isAsleep(frame, thread.id)) continue;
      if (thread.id === last) return thread;
      // A thread dies at its end first: then earlier and earlier, as that races with all it does.
      if (first === undefined || (first.isDeath && !thread.isDeath)) first = thread;
    }
    return first;
  }

  advanced(entry: Operation, log: readonly Entry[]): void {
    if (this.#isRepeating) {
      appendEvent(this.#events, entry, log, this.#dependence);
      return;
    }
    const frame = this.#frames[this.#events.length]!;
    const { footprint } = appendEvent(this.#events, entry, log, this.#dependence);
    const sleep: Footprint[] = [];
    for (const next of frame.sleep) {
      if (!this.#dependence.dependent(next, footprint)) sleep.push(next);
    }
    this.#frames.push({ sleep, tree: this.#subtree, isStarted: false });
  }

  backtrack(): number {
    this.#repeated = [];
    this.#reverseRaces();
    const events = this.#events;
    const frames = this.#frames;
    if (frames.length !== events.length + 1) impossible("a state has no event that led to it");
    while (events.length > 0) {
      frames.pop();
      const frame = frames.at(-1)!;
      frame.sleep.push(events.pop()!.footprint);
      if (frame.tree.length > 0) return this.#firstNew = events.length;
    }
    return -1;
  }

  /** Schedules the other order of every new race of the execution that has just ended. */
  #reverseRaces(): void {
    const events = this.#events;
    // Whether a timeout can expire earlier depends on what came later, too, which is new.
    const first = this.#dependence.ordersTimeouts ? 0 : this.#firstNew;
    for (let i = first; i < events.length; i++) {
      for (const j of events[i]!.races) {
        if (!this.#isReversible(j, i)) continue;
        const begin = this.#beginOfHurry(j);
        if (begin === j || !this.#isBetween(begin, i)) this.#insert(begin, i);
      }
      if (this.#dependence.ordersTimeouts) this.#expireEarlier(i);
    }
  }

  /**
   * Schedules a timeout before each event that began a wait for an earlier deadline. That is not a
   * race of the two, as the end of that wait, which enabled the timeout, comes in between.
   */
  #expireEarlier(i: number): void {
    const events = this.#events;
    const { footprint } = events[i]!;
    if (footprint.expired === 0) return;
    const wait = events.findLast((e, k) => k < i && e.footprint.thread === footprint.thread)!;
    for (let k = 0; k < i; k++) {
      const other = events[k]!;
      if (other.footprint.thread === footprint.thread || precedes(other, wait)) continue;
      if (delays(other.footprint, footprint) && this.#isDue(k, i)) this.#insert(k, i);
    }
  }

  /** Whether event `i` could take effect in the state before event `j`, with which it races. */
  #isReversible(j: number, i: number): boolean {
    const events = this.#events;
    const first = events[j]!;
    const { entry, footprint } = events[i]!;
    if (first.footprint.kind === SPAWN && first.footprint.child === footprint.thread) return false;
    if (!mayBlock(entry)) return !first.footprint.isBarrier;
    const survives = (k: number) => this.#isBefore(j, k);
    switch (entry.kind) {
      case JOIN:
        // A child that is done can have tasks that go on.
        return footprint.child !== first.footprint.thread || first.entry.doneBefore;
      case WAKE: {
        const { timeoutMs, waker } = entry.detail;
        return survives(waker) ||
          (timeoutMs !== Infinity && this.#canYield(entry, i, survives) && this.#isDue(j, i));
      }
      case RESUME: {
        const waits = entry.detail.outstanding.map((wait) => wait.detail);
        return waits.some(({ sleeper }) => sleeper!.notified && survives(sleeper!.wakerDepth)) ||
          (waits.some(({ timeoutMs }) => timeoutMs !== Infinity) &&
            this.#canYield(entry, i, survives) && this.#isDue(j, i));
      }
      case PAUSE:
        return this.#canYield(entry, i, survives);
      default:
        return unhandled(entry);
    }
  }

  /** Whether the timeout of event `i` could expire in the state before event `j`. */
  #isDue(j: number, i: number): boolean {
    if (!this.#dependence.ordersTimeouts) return true;
    const events = this.#events;
    const { entry, footprint } = events[i]!;
    const deadline = touchedDeadline(entry);
    const isBefore = (k: number) => this.#isBefore(j, k);
    const seen = new Set([footprint.thread]);
    for (let k = events.length - 1; k >= 0; k--) {
      const { thread } = events[k]!.footprint;
      if (seen.has(thread) || !isBefore(k)) continue;
      seen.add(thread);
      const { sleepers } = events[k]!.entry;
      const waiting = sleepers.filter(({ wakerDepth }) => !isBefore(wakerDepth));
      if (earliestOf(waiting) < deadline) return false;
    }
    return true;
  }

  /** Whether a yield, event `i`, would be free, or released by one of the surviving events. */
  #canYield(entry: Yield, i: number, survives: (k: number) => boolean): boolean {
    const { isForced, isHeld, watches, emptyLists } = entry.detail;
    if (isForced || !isHeld) return !isForced;
    const isChanged = (other: Operation) =>
      other.changed &&
      watches.some((watch) =>
        watch.buffer === other.buffer && watch.start < other.start + other.size &&
        other.start < watch.start + watch.size && other.version > watch.version
      );
    const isEntered = ({ cell, traits: { sleeps } }: Operation) =>
      sleeps && emptyLists.some(({ list }) => list === cell!.list);
    return this.#events.slice(0, i).some(({ entry: other }, k) =>
      survives(k) && other.thread !== entry.thread && (isChanged(other) || isEntered(other))
    );
  }

  /**
   * Where the hurried run begins that event `j` is in; `j` if it is in none.
   *
   * No other thread can run in the middle of it: one that should come before `j` comes before it.
   */
  #beginOfHurry(j: number): number {
    const events = this.#events;
    const { thread } = events[j]!.footprint;
    let begin = j;
    for (let k = j; k >= 0 && events[k]!.footprint.thread === thread; k--) {
      const { entry } = events[k]!;
      if (!isYield(entry)) continue;
      if (!entry.detail.isHurried) break;
      begin = k;
    }
    return begin;
  }

  /** Whether an event of another thread follows event `j`, and precedes event `i`. */
  #isBetween(j: number, i: number): boolean {
    const events = this.#events;
    const first = events[j]!;
    const last = events[i]!;
    return events.slice(j + 1, i).some((event) =>
      event.footprint.thread !== first.footprint.thread && precedes(first, event) &&
      precedes(event, last)
    );
  }

  /** Inserts the sequence that reverses a race into the wakeup tree before its first event. */
  #insert(j: number, i: number): void {
    const events = this.#events;
    const first = events[j]!;
    let sequence: Event[] = [];
    for (let k = j + 1; k < events.length; k++) {
      if (!precedes(first, events[k]!)) sequence.push(events[k]!);
    }
    sequence.push(this.#reversed(j, i, sequence));
    const frame = this.#frames[j]!;
    if (frame.sleep.some((next) => this.#isWeakInitial(next, sequence))) return;
    let { tree } = frame;
    for (;;) {
      const node = tree.find((child) => this.#isWeakInitial(child.footprint, sequence));
      if (node === undefined) break;
      if (node.children.length === 0) return;
      const at = sequence.findIndex((e) => e.footprint.thread === node.footprint.thread);
      if (at >= 0) sequence = sequence.toSpliced(at, 1);
      tree = node.children;
    }
    for (const { footprint } of sequence) {
      const children: Node[] = [];
      tree.push({ footprint, children });
      tree = children;
    }
  }

  /** The second event of a race as it will be if the first does not come before it. */
  #reversed(j: number, i: number, before: readonly Event[]): Event {
    const event = this.#events[i]!;
    const { entry } = event;
    switch (entry.kind) {
      case NOTIFY: {
        const sleepers = this.#sleepersAt(j, entry).slice(0, entry.detail.count);
        const woken = sleepers.map((sleeper) => sleeper.thread);
        return withFootprint(event, { woken, awaited: earliestOf(sleepers) });
      }
      case WAKE:
        if (this.#isBefore(j, entry.detail.waker)) return event;
        // Without the notify that woke it, its timeout expires.
        return withFootprint(event, {
          lists: [accessRange(entry)],
          expired: touchedDeadline(entry),
          notifyKey: -1,
        });
      case RESUME: {
        const isNotified = entry.detail.outstanding.some(({ detail: { sleeper } }) =>
          sleeper!.notified && this.#isBefore(j, sleeper!.wakerDepth)
        );
        return withFootprint(event, { expired: isNotified ? 0 : touchedDeadline(entry) });
      }
      case COMPARE_EXCHANGE: {
        const wrote = this.#willWrite(j, entry, before);
        return wrote === event.footprint.wrote ? event : withFootprint(event, { wrote });
      }
      default:
        return event;
    }
  }

  /** Whether event `k` takes effect even without event `j`. */
  #isBefore(j: number, k: number): boolean {
    const events = this.#events;
    return k >= 0 && k !== j && !(k > j && precedes(events[j]!, events[k]!));
  }

  /** The waiter list of a notify, after all events but `j` and those that it comes before. */
  #sleepersAt(j: number, { cell }: Operation): Sleeper[] {
    const isBefore = (k: number) => this.#isBefore(j, k);
    const sleepers = new Set<Sleeper>();
    this.#events.forEach(({ entry }, k) => {
      if (entry.cell?.list !== cell!.list || !isBefore(k)) return;
      if (entry.kind === WAIT || entry.kind === WAIT_ASYNC) {
        const { sleeper } = entry.detail;
        if (sleeper !== undefined && !isBefore(sleeper.wakerDepth)) sleepers.add(sleeper);
      } else if (entry.kind === WAKE || entry.kind === RESUME) {
        sleepers.delete(entry.detail.sleeper!);
      }
    });
    return [...sleepers];
  }

  /** Whether a compareExchange that comes before event `j` will write. */
  #willWrite(
    j: number,
    entry: EntryOf<typeof COMPARE_EXCHANGE>,
    before: readonly Event[],
  ): boolean {
    const same = (other: Event) =>
      other.entry.buffer === entry.buffer && other.entry.start === entry.start &&
      other.entry.size === entry.size && other.footprint.access !== undefined;
    const source = before.findLast((other) => same(other) && other.footprint.wrote);
    if (source !== undefined) return source.footprint.value === entry.expected;
    const first = this.#events[j]!;
    return !same(first) || first.entry.before === entry.expected;
  }

  /** Whether `first` can come first in an execution equivalent to one that begins as `sequence`. */
  #isWeakInitial(first: Footprint, sequence: readonly Event[]): boolean {
    const at = sequence.findIndex((event) => event.footprint.thread === first.thread);
    if (at < 0) {
      return sequence.every((event) => !this.#dependence.dependent(event.footprint, first));
    }
    const event = sequence[at]!;
    for (let k = 0; k < at; k++) {
      if (precedes(sequence[k]!, event)) return false;
    }
    // The last event is reversed, so that it may depend on others than it did.
    if (at === sequence.length - 1) {
      for (let k = 0; k < at; k++) {
        if (this.#dependence.dependent(sequence[k]!.footprint, event.footprint)) return false;
      }
    }
    return true;
  }
}
