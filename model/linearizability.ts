/**
 * Linearizability: each call must appear to take effect at one instant between its begin and its
 * end.
 *
 * A search over the history of recorded calls looks for an order in which a call that ended before
 * another began comes first, and in which a sequential specification gives the same results. No
 * state is visited twice with the same calls done. A call that has not ended may have taken effect
 * with any result, or not at all.
 *
 * Source: Wing and Gong, "Testing and Verifying Concurrent Objects", JPDC 17, 1993, with the cache
 * of Lowe, "Testing for Linearizability", CCPE 29(4), 2017.
 *
 * @module
 */

import { callText, type RecordedCall, type Violation } from "./history.ts";
import { isThenable } from "./machine/thenable.ts";
import { type Specification, Throws } from "./specification.ts";
import { errorText, Keys, NoKeyError, valueText } from "./values.ts";

/** A specification that cannot be used; its message says why. */
export class SpecificationError extends Error {}

/** A state that the search has reached, and the calls that it has tried there. */
interface Frame<S> {
  readonly state: S;
  /** The key of the state. */
  readonly key: string;
  /** The call that led here; -1 at the beginning. */
  readonly call: number;
  /** Where to look for the next call to try. */
  next: number;
  /** No call that began later can come next: another one had ended before. */
  limit: number;
}

/**
 * Looks for an order of the calls that the specification allows.
 *
 * @returns undefined if there is one.
 * @throws {SpecificationError} If the specification throws, or what it returns is of no use.
 */
export function findViolation<S>(
  history: readonly RecordedCall[],
  specification: Specification<S>,
): Violation | undefined {
  const calls = history.toSorted((a, b) => a.begin - b.begin);
  return new Search(calls, specification).run();
}

class Search<S> {
  readonly #calls: readonly RecordedCall[];
  readonly #specification: Specification<S>;
  /** A specification can see the order of the members of a map, say, in a state. */
  readonly #stateKeys = new Keys(true);
  readonly #resultKeys = new Keys(false);
  /** The key of each call's result. */
  readonly #results: readonly (string | undefined)[];
  /** The calls that have taken effect, and how many of them have ended. */
  readonly #done: boolean[];
  #ended = 0;
  /** All calls before this one have taken effect. */
  #first = 0;
  /** Where the search has got furthest: the frames, and what was refused in the last one. */
  #furthest: readonly Frame<S>[] = [];
  #refused: Violation["refused"] = [];

  constructor(calls: readonly RecordedCall[], specification: Specification<S>) {
    this.#calls = calls;
    this.#specification = specification;
    this.#results = calls.map((call) =>
      call.isThrown || call.end === Infinity
        ? undefined
        : this.#keyOf(this.#resultKeys, call.result, () => `the result of ${textOf(call)}`)
    );
    this.#done = calls.map(() => false);
  }

  run(): Violation | undefined {
    const calls = this.#calls;
    const goal = calls.filter((call) => call.end !== Infinity).length;
    const seen = new Set<string>();
    const { initial } = this.#specification;
    const frames = [
      this.#frame(initial, this.#keyOf(this.#stateKeys, initial, () => "the initial state"), -1),
    ];
    while (this.#ended < goal) {
      const frame = frames.at(-1)!;
      const i = this.#nextCall(frame);
      if (i < 0) {
        this.#checkUnmodified(frame);
        frames.pop();
        if (frames.length === 0) return this.#violation();
        this.#setDone(frame.call, false);
        continue;
      }
      const [state, expected] = this.#apply(frame.state, i);
      if (!this.#agrees(i, expected)) {
        this.#refuse(frames, i, expected);
        continue;
      }
      this.#setDone(i, true);
      const key = this.#keyOf(
        this.#stateKeys,
        state,
        () => `the state after ${textOf(calls[i]!)}`,
      );
      const visit = `${this.#doneKey()} ${key}`;
      if (seen.has(visit)) {
        this.#setDone(i, false);
        continue;
      }
      seen.add(visit);
      frames.push(this.#frame(state, key, i));
    }
    for (const frame of frames) this.#checkUnmodified(frame);
    return undefined;
  }

  /** Remembers a call whose result the specification does not allow, if no order got further. */
  #refuse(frames: readonly Frame<S>[], i: number, expected: unknown): void {
    const refused = { call: this.#calls[i]!, expected };
    if (frames.length > this.#furthest.length) {
      this.#furthest = frames.slice();
      this.#refused = [refused];
    } else if (frames.at(-1) === this.#furthest.at(-1)) {
      this.#refused = [...this.#refused, refused];
    }
  }

  #violation(): Violation {
    const order = this.#furthest.slice(1).map(({ call }) => this.#calls[call]!);
    return { order, refused: this.#refused };
  }

  #frame(state: S, key: string, call: number): Frame<S> {
    return { state, key, call, next: this.#first, limit: Infinity };
  }

  /** The next call to try in a state, or -1. */
  #nextCall(frame: Frame<S>): number {
    const calls = this.#calls;
    while (frame.next < calls.length) {
      const i = frame.next++;
      const call = calls[i]!;
      // Calls are in the order of their begins, so no later one can come next either.
      if (call.begin > frame.limit) break;
      if (this.#done[i]!) continue;
      frame.limit = Math.min(frame.limit, call.end);
      return i;
    }
    return -1;
  }

  /** The state after a call, and the result that the specification gives it. */
  #apply(state: S, i: number): readonly [state: S, result: unknown] {
    const call = this.#calls[i]!;
    let applied: unknown;
    try {
      applied = this.#specification.apply(state, call.name, call.args);
    } catch (error) {
      throw new SpecificationError(
        `The specification threw at ${textOf(call)} in state ${valueText(state)}: ${
          errorText(error)
        }. Where a call throws, return [state, throws(ErrorClass)]`,
        { cause: error },
      );
    }
    if (!Array.isArray(applied) || applied.length !== 2) {
      throw new SpecificationError(
        `The specification must return [next state, result], and returned for ${textOf(call)} ${
          isThenable(applied) ? "a promise" : valueText(applied)
        }`,
      );
    }
    return applied as [S, unknown];
  }

  /** Whether a call ended as the specification says. */
  #agrees(i: number, expected: unknown): boolean {
    const { end, isThrown = false, result } = this.#calls[i]!;
    if (end === Infinity) return true;
    if (expected instanceof Throws) return isThrown && expected.allows(result);
    if (isThrown) return false;
    const name = () => `the expected result of ${textOf(this.#calls[i]!)}`;
    return this.#keyOf(this.#resultKeys, expected, name) === this.#results[i];
  }

  #setDone(i: number, isDone: boolean): void {
    this.#done[i] = isDone;
    if (this.#calls[i]!.end !== Infinity) this.#ended += isDone ? 1 : -1;
    if (!isDone) this.#first = Math.min(this.#first, i);
    else while (this.#done[this.#first] === true) this.#first++;
  }

  /** A key for the set of calls that are done: few after the first that is not. */
  #doneKey(): string {
    let key = `${this.#first}`;
    const last = this.#done.lastIndexOf(true);
    for (let i = this.#first + 1; i <= last; i++) if (this.#done[i]!) key += `,${i}`;
    return key;
  }

  #checkUnmodified({ state, key }: Frame<S>): void {
    if (this.#keyOf(this.#stateKeys, state, () => "a state") === key) return;
    throw new SpecificationError(
      `The specification modified a state that it was given, which now is ${valueText(state)}: ` +
        "return a new one, since other orders of the calls are tried from the same state",
    );
  }

  #keyOf(keys: Keys, value: unknown, name: () => string): string {
    try {
      return keys.of(value);
    } catch (error) {
      if (!(error instanceof NoKeyError)) {
        throw new SpecificationError(`Cannot compare ${name()}: ${errorText(error)}`);
      }
      throw new SpecificationError(
        `Cannot compare ${name()}, as it contains ${error.message}: expected primitives, arrays, ` +
          "plain objects, Map, Set, Date, errors, or memory that is not shared",
      );
    }
  }
}

function textOf({ name, args }: RecordedCall): string {
  return callText(name, args);
}
