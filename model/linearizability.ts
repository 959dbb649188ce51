/**
 * Linearizability: each call must seem to happen at one instant between its begin and its return.
 *
 * The history of recorded calls is searched for an order that respects which call returned before
 * which began, and in which a sequential specification gives the same results. States that were
 * reached with the same calls done are not visited twice.
 *
 * Source: Wing and Gong, "Testing and Verifying Concurrent Objects", JPDC 17, 1993, with the cache
 * of Lowe, "Testing for Linearizability", CCPE 29(4), 2017.
 *
 * @module
 */

import { CALL, type Entry, RETURN } from "./machine/entry.ts";
import { runningCalls } from "./interception/intercept.ts";

/** What an object does when calls come one at a time. */
export interface Specification<S = unknown> {
  /** The state before the first call. It is never changed in place. */
  readonly initial: S;
  /**
   * One call on a state.
   *
   * @returns The next state and the call's result. States and results are compared as JSON.
   */
  apply(state: S, name: string, args: readonly unknown[]): readonly [next: S, result: unknown];
}

/** A call of the history. */
export interface RecordedCall {
  /** Name of the thread. */
  readonly thread: string;
  /** Name of the operation. */
  readonly name: string;
  /** What it was given. */
  readonly args: readonly unknown[];
  /** What it returned. */
  readonly result: unknown;
  /** When it began and returned, counted in steps of the schedule. */
  readonly begin: number;
  /** See `begin`. */
  readonly end: number;
}

/**
 * Makes a call, and notes when it begins and what it returns; for use in a thread whose
 * exploration has a `linearizable` specification.
 *
 * @param name The operation, as the specification calls it.
 * @param args What it is given.
 * @param call Makes the call.
 * @returns What the call returns.
 */
export function record<T>(name: string, args: readonly unknown[], call: () => T): T {
  runningCalls("record a call").record(CALL, name, args);
  const result = call();
  runningCalls("record a call").record(RETURN, name, result);
  return result;
}

/** The calls of an execution in the order of their returns. */
export function historyOf(
  trace: readonly Entry[],
  threads: readonly ({ readonly name: string } | undefined)[],
): RecordedCall[] {
  const open = new Map<number, { entry: Entry; begin: number }>();
  const history: RecordedCall[] = [];
  trace.forEach((entry, step) => {
    if (entry.kind === CALL) open.set(entry.thread, { entry, begin: step });
    if (entry.kind !== RETURN) return;
    const { entry: call, begin } = open.get(entry.thread)!;
    history.push({
      thread: threads[entry.thread]!.name,
      name: call.view as string,
      args: call.a as readonly unknown[],
      result: entry.a,
      begin,
      end: step,
    });
  });
  return history;
}

/** Whether some order of the calls explains the history. */
export function isLinearizable<S>(
  history: readonly RecordedCall[],
  { initial, apply }: Specification<S>,
): boolean {
  const seen = new Set<string>();
  const all = 2 ** history.length - 1;
  const search = (done: number, state: S): boolean => {
    if (done === all) return true;
    const key = `${done}:${JSON.stringify(state)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    // Only a call that began before every open call returned can come next.
    let firstReturn = Infinity;
    history.forEach((call, i) => {
      if ((done & (1 << i)) === 0) firstReturn = Math.min(firstReturn, call.end);
    });
    return history.some((call, i) => {
      if ((done & (1 << i)) !== 0 || call.begin > firstReturn) return false;
      const [next, result] = apply(state, call.name, call.args);
      return JSON.stringify(result) === JSON.stringify(call.result) &&
        search(done | (1 << i), next);
    });
  };
  if (history.length > 30) {
    throw new RangeError(`Cannot check a history of ${history.length} calls: at most 30`);
  }
  return search(0, initial);
}

/** The history as a drawing: one line a call, its span against the steps of the schedule. */
export function formatHistory(history: readonly RecordedCall[]): string {
  const times = [...new Set(history.flatMap((call) => [call.begin, call.end]))].sort((a, b) =>
    a - b
  );
  const rows = [...history].sort((a, b) => a.begin - b.begin).map((call) => {
    const from = times.indexOf(call.begin);
    const to = times.indexOf(call.end);
    const span = " ".repeat(from) + "├" + "─".repeat(Math.max(0, to - from - 1)) + "┤";
    const args = call.args.map((arg) => JSON.stringify(arg)).join(", ");
    return {
      text: `${call.thread}: ${call.name}(${args}) → ${JSON.stringify(call.result)}`,
      span,
    };
  });
  const width = Math.max(...rows.map((row) => row.text.length));
  return rows.map(({ text, span }) => `${text.padEnd(width)}  ${span}`).join("\n");
}
