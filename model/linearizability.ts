/**
 * Linearizability: each call must appear to take effect at one instant between its begin and its
 * return.
 *
 * A search over the history of recorded calls looks for an order in which a call that returned
 * before another began comes first, and in which a sequential specification gives the same results.
 * No state is visited twice with the same calls done.
 *
 * Source: Wing and Gong, "Testing and Verifying Concurrent Objects", JPDC 17, 1993, with the cache
 * of Lowe, "Testing for Linearizability", CCPE 29(4), 2017.
 *
 * @module
 */

import { runningCalls } from "./interception/intercept.ts";
import type { EntryOf, Operation } from "./machine/entry.ts";
import { CALL, RETURN } from "./machine/kinds.ts";

/** The sequential behaviour of an object: the effect of each call if no other overlaps it. */
export interface Specification<S = unknown> {
  /** The state before the first call. It is never modified. */
  readonly initial: S;
  /**
   * Applies one call to a state.
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
  /** The arguments of the call. */
  readonly args: readonly unknown[];
  /** Its result. */
  readonly result: unknown;
  /** The step of the schedule in which it began. */
  readonly begin: number;
  /** The step of the schedule in which it returned. */
  readonly end: number;
}

/**
 * Makes a call, and records when it begins, when it returns and its result; for use in a thread
 * whose exploration has a `linearizable` specification.
 *
 * @param name The name of the operation in the specification.
 * @param args Its arguments in the specification.
 * @param call Makes the call.
 * @returns The result of the call.
 * @throws {Error} If no simulated thread is running.
 */
export function record<T>(name: string, args: readonly unknown[], call: () => T): T {
  runningCalls("record a call").beginCall(name, args);
  const result = call();
  runningCalls("record a call").endCall(name, result);
  return result;
}

/** The calls of an execution in the order of their returns. */
export function historyOf(
  trace: readonly Operation[],
  threads: readonly ({ readonly name: string } | undefined)[],
): RecordedCall[] {
  const open = new Map<number, { call: EntryOf<typeof CALL>; begin: number }>();
  const history: RecordedCall[] = [];
  trace.forEach((entry, step) => {
    if (entry.kind === CALL) open.set(entry.thread, { call: entry, begin: step });
    if (entry.kind !== RETURN) return;
    const { call, begin } = open.get(entry.thread)!;
    history.push({
      thread: threads[entry.thread]!.name,
      name: call.detail.name,
      args: call.detail.args,
      result: entry.detail.result,
      begin,
      end: step,
    });
  });
  return history;
}

/** The done calls of a history are the bits of a number. */
const MAX_CALLS = 30;

/** Whether there is an order of the calls that the specification allows. */
export function isLinearizable<S>(
  history: readonly RecordedCall[],
  { initial, apply }: Specification<S>,
): boolean {
  if (history.length > MAX_CALLS) {
    throw new RangeError(
      `Cannot check the history as it has ${history.length} calls: at most ${MAX_CALLS} are possible`,
    );
  }
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
  return search(0, initial);
}

/** The history as a drawing: one line a call, with its span over the steps of the schedule. */
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
