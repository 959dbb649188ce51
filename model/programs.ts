// deno-lint-ignore-file no-explicit-any -- fast-check's types are not imported
/**
 * Random small programs for fast-check: a list of calls for each thread.
 *
 * A property over them says "for all small programs, for all schedules". fast-check shrinks the
 * program of a counterexample; the explorer then reports a failing schedule with few preemptions
 * and few steps.
 *
 * @module
 */

import type { Threads } from "./options.ts";

/**
 * The used part of a fast-check arbitrary of `T`s. fast-check is not imported, so that it is not
 * needed where programs are not used.
 */
export interface ArbitraryOf<T> {
  /** See fast-check. */
  generate(random: any, bias: number | undefined): any;
  /** See fast-check. */
  canShrinkWithoutContext(value: unknown): value is T;
  /** See fast-check. */
  shrink(value: T, context: unknown): any;
  /** See fast-check. */
  filter(predicate: (value: T) => boolean): any;
  /** See fast-check. */
  map(mapper: (value: T) => any, unmapper?: (value: any) => T): any;
  /** See fast-check. */
  chain(chainer: (value: T) => any): any;
}

/** The used part of fast-check. */
export interface FastCheck {
  /** See fast-check. */
  array(arbitrary: any, constraints: { minLength?: number; maxLength?: number }): any;
}

/** The calls of random programs, and bounds of their number. */
export interface ProgramOptions<C> {
  /** The fast-check arbitrary of one call. */
  readonly call: ArbitraryOf<C>;
  /** The most threads of a program, which has at least 2. Default 3. */
  readonly threads?: number;
  /** The most calls of one thread. Default 3. */
  readonly calls?: number;
}

/**
 * A fast-check arbitrary of programs.
 *
 * @example For all small programs, for all schedules
 * ```ts
 * import fc from "fast-check";
 * import { explore, programs, record, threadsOf } from "@busbar/busbar/model";
 *
 * const call = fc.oneof(
 *   fc.record({ name: fc.constant("add" as const), value: fc.integer({ min: 1, max: 3 }) }),
 *   fc.record({ name: fc.constant("get" as const), value: fc.constant(0) }),
 * );
 * await fc.assert(
 *   fc.asyncProperty(programs(fc, { call, calls: 2 }), async (program) => {
 *     await explore({
 *       setup: () => new Int32Array(new SharedArrayBuffer(4)),
 *       threads: threadsOf(program, (word: Int32Array, { name, value }) =>
 *         record(name, [value], () => Atomics.add(word, 0, value))),
 *       linearizable: {
 *         initial: 0,
 *         apply: (sum: number, _name, [value]) => [sum + (value as number), sum],
 *       },
 *     });
 *   }),
 *   { numRuns: 20 },
 * );
 * ```
 *
 * @param fc The fast-check module.
 * @param options The calls, and the bounds of a program.
 * @returns An arbitrary of programs: an array of threads, each an array of calls.
 */
export function programs<C>(fc: FastCheck, options: ProgramOptions<C>): ArbitraryOf<C[][]> {
  const { call, threads = 3, calls = 3 } = options;
  const thread = fc.array(call, { minLength: 1, maxLength: calls });
  return fc.array(thread, { minLength: 2, maxLength: threads });
}

/**
 * The threads of a program, for `explore`.
 *
 * @param program A list of calls for each thread.
 * @param perform Makes one call, and returns its result.
 * @returns Threads named `a`, `b` and so on, each of which returns the results of its calls.
 */
export function threadsOf<State, C, R>(
  program: readonly (readonly C[])[],
  perform: (state: State, call: C, thread: number) => R,
): Threads<State> {
  return Object.fromEntries(program.map((calls, thread) => [
    String.fromCharCode(97 + thread),
    (state: State) => calls.map((call) => perform(state, call, thread)),
  ]));
}
