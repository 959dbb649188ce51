// deno-lint-ignore-file no-explicit-any -- fast-check's types are not imported
/**
 * Random small programs for fast-check: lists of calls, one a thread.
 *
 * A property over them says "for all small programs, for all schedules". A counterexample shrinks
 * in the program, by fast-check; the schedule of what is left is then the one with the fewest
 * preemptions that fails, and the shortest of those that are found.
 *
 * @module
 */

import type { Threads } from "./options.ts";

/**
 * A fast-check arbitrary of `T`s, as far as its type matters: fast-check is not imported, so that
 * whoever does not use it does not need it.
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

/** The part of fast-check that is used. */
export interface FastCheck {
  /** See fast-check. */
  array(arbitrary: any, constraints: { minLength?: number; maxLength?: number }): any;
}

/** What programs are made of. */
export interface ProgramOptions<C> {
  /** The fast-check arbitrary of one call. */
  readonly call: ArbitraryOf<C>;
  /** The most threads; there are at least 2. Default 3. */
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
 * @param options What programs are made of.
 * @returns An arbitrary of programs: an array of threads, each an array of calls.
 */
export function programs<C>(fc: FastCheck, options: ProgramOptions<C>): ArbitraryOf<C[][]> {
  const { call, threads = 3, calls = 3 } = options;
  const thread = fc.array(call, { minLength: 1, maxLength: calls });
  return fc.array(thread, { minLength: 2, maxLength: threads });
}

/**
 * The threads of a program.
 *
 * @param program A list of calls a thread.
 * @param perform Makes one call; what it returns becomes part of the thread's result.
 * @returns Threads named `a`, `b` and so on; each returns the list of its calls' results.
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
