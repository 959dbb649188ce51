/**
 * How long to wait: the options that every wait takes, their checks, and deadlines.
 *
 * There is one grammar of waiting. `x(options)` blocks, `tryX()` never waits, `xAsync(options)`
 * awaits. A wait whose time is over returns what a try that fails returns, the *empty value* of its
 * result: `undefined` for an object or a value, `-1` for an index or an offset, `false` for a
 * statement.
 *
 * @module
 */

import { checkOptions, describe } from "./check.ts";
import { now } from "./platform.ts";

/** Options of every wait that blocks. */
export interface WaitOptions {
  /** Gives up after this many milliseconds; never by default. */
  timeoutMs?: number | undefined;
}

/** Options of every wait that does not block its thread. */
export interface AsyncWaitOptions extends WaitOptions {
  /** Gives up when aborted: the wait rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Options of a wait that does not give up for the time that it takes. */
export interface UntimedWaitOptions extends AsyncWaitOptions {
  /** None. */
  timeoutMs?: undefined;
}

/**
 * Throws unless these are options of a wait that blocks. To be called before anything is done.
 *
 * @throws {TypeError} If `options` is not an object, or has a `signal`: a thread that blocks cannot
 * receive one.
 * @throws {RangeError} If `timeoutMs` is negative, or not a number.
 */
export function checkWaitOptions(options: WaitOptions | undefined): void {
  if (options === undefined) return;
  checkCommonOptions(options);
  if ((options as AsyncWaitOptions).signal === undefined) return;
  throw new TypeError(
    "Cannot block with a 'signal' as a blocked thread cannot receive it: use 'timeoutMs', or " +
      "await the method whose name ends in Async",
  );
}

/**
 * Throws unless these are options of a wait that does not block. To be called before anything is
 * done.
 *
 * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
 * @throws {RangeError} If `timeoutMs` is negative, or not a number.
 * @throws The signal's reason, if it is aborted.
 */
export function checkAsyncWaitOptions(options: AsyncWaitOptions | undefined): void {
  if (options === undefined) return;
  checkCommonOptions(options);
  const { signal } = options;
  if (signal === undefined) return;
  if (typeof signal?.throwIfAborted !== "function") {
    throw new TypeError(
      `Cannot wait as 'signal' must be an AbortSignal: received ${describe(signal)}`,
    );
  }
  signal.throwIfAborted();
}

function checkCommonOptions(options: WaitOptions): void {
  if (typeof options === "number") {
    throw new TypeError(
      `Cannot wait as 'options' must be an object such as { timeoutMs: ${options} }: received ${options}`,
    );
  }
  checkOptions("wait", options);
  if (typeof (options as Partial<AbortSignal>).throwIfAborted === "function") {
    throw new TypeError(
      "Cannot wait as 'options' must be an object such as { signal }: received the signal itself",
    );
  }
  const { timeoutMs } = options;
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs >= 0)) return;
  throw new RangeError(
    `Cannot wait as 'timeoutMs' must be a number not below 0: received ${describe(timeoutMs)}`,
  );
}

/** The time at which a wait gives up. */
export class Deadline {
  static readonly #never = new Deadline(undefined);
  readonly #time: number;

  /** As the constructor; all waits that never give up share one object. */
  static of(options: WaitOptions | undefined): Deadline {
    return options?.timeoutMs === undefined ? Deadline.#never : new Deadline(options);
  }

  /** Begins to count now; a deadline without `timeoutMs` never passes. */
  constructor(options: WaitOptions | undefined) {
    const timeoutMs = options?.timeoutMs ?? Infinity;
    this.#time = timeoutMs === Infinity ? Infinity : now() + timeoutMs;
  }

  /** The time by the clock of {@link now}, in milliseconds; Infinity for never. */
  get time(): number {
    return this.#time;
  }

  /** How many milliseconds are left, at least 0. */
  get remainingMs(): number {
    return this.#time === Infinity ? Infinity : Math.max(0, this.#time - now());
  }
}
