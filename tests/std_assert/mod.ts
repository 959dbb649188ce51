/**
 * A stand-in for `@std/assert` where JSR cannot be reached: the same names and signatures, over
 * `node:assert/strict`. Deleting `links` from `deno.json` brings the published package back.
 *
 * Two differences to keep out of tests: the text of a failure, and equality, which here follows
 * `deepStrictEqual` (`0` and `-0` differ).
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

// deno-lint-ignore no-explicit-any
type ErrorConstructor<E extends Error> = new (...args: any[]) => E;

/** Any constructor. */
// deno-lint-ignore no-explicit-any
export type AnyConstructor = new (...args: any[]) => any;

/** What a constructor builds. */
export type GetConstructorType<T extends AnyConstructor> = InstanceType<T>;

/** Whatever has elements and a length and is not a string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** What {@linkcode assertFalse} accepts. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Thrown when an assertion fails. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function demand(
  holds: boolean,
  claim: () => string,
  msg: string | undefined,
): asserts holds {
  if (!holds) throw new AssertionError(msg ? `${claim()}: ${msg}` : claim());
}

function text(value: unknown): string {
  return Deno.inspect(value);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  demand(false, () => difference(actual, expected), msg);
}

function difference(actual: unknown, expected: unknown): string {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return `Expected ${text(actual)} to equal ${text(expected)}`;
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  const claim = () => `Expected ${text(actual)} to differ from ${text(expected)}`;
  demand(!isDeepStrictEqual(actual, expected), claim, msg);
}

/** Fails unless both are the same value, by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  const claim = () => `Expected ${text(actual)} to be the same as ${text(expected)}`;
  demand(Object.is(actual, expected), claim, msg);
}

/** Fails if both are the same value, by `Object.is`. */
export function assertNotStrictEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  const claim = () => `Expected ${text(actual)} not to be the same as ${text(expected)}`;
  demand(!Object.is(actual, expected), claim, msg);
}

/** Fails unless the numbers differ by at most `tolerance`, by default 1e-7 of `expected`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ??
    (isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const claim = () => `Expected ${actual} to be within ${allowed} of ${expected}`;
  demand(Math.abs(expected - actual) <= allowed, claim, msg);
}

/** Fails unless `actual` is neither `null` nor `undefined`. */
export function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T> {
  demand(
    actual !== undefined && actual !== null,
    () => `Expected ${actual} to exist`,
    msg,
  );
}

/** Fails unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is GetConstructorType<T> {
  const claim = () => `Expected ${text(actual)} to be an instance of ${expectedType.name}`;
  demand(actual instanceof expectedType, claim, msg);
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  demand(
    actual > expected,
    () => `Expected ${text(actual)} > ${text(expected)}`,
    msg,
  );
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  demand(
    actual >= expected,
    () => `Expected ${text(actual)} >= ${text(expected)}`,
    msg,
  );
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  demand(
    actual < expected,
    () => `Expected ${text(actual)} < ${text(expected)}`,
    msg,
  );
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  demand(
    actual <= expected,
    () => `Expected ${text(actual)} <= ${text(expected)}`,
    msg,
  );
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  demand(
    actual.includes(expected),
    () => `Expected ${text(actual)} to contain ${text(expected)}`,
    msg,
  );
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  demand(
    expected.test(actual),
    () => `Expected ${text(actual)} to match ${expected}`,
    msg,
  );
}

/** Fails if `actual` matches `expected`. */
export function assertNotMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  demand(
    !expected.test(actual),
    () => `Expected ${text(actual)} not to match ${expected}`,
    msg,
  );
}

/** Fails unless each element of `expected` deeply equals some element of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const present = Array.from(actual);
  const missing = Array.from(expected)
    .filter((item) => !present.some((other) => isDeepStrictEqual(item, other)));
  demand(
    missing.length === 0,
    () => `Expected ${text(actual)} to include ${text(missing)}`,
    msg,
  );
}

/** Fails unless everything in `expected` is, deeply, in `actual` too. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  demand(
    includes(actual, expected),
    () => `Expected a superset: ${difference(actual, expected)}`,
    msg,
  );
}

/** Records and arrays may hold more than expected; anything else must be equal. */
function includes(actual: unknown, expected: unknown): boolean {
  if (!isContainer(actual) || !isContainer(expected)) {
    return isDeepStrictEqual(actual, expected);
  }
  return Reflect.ownKeys(expected)
    .every((key) => Object.hasOwn(actual, key) && includes(actual[key], expected[key]));
}

function isContainer(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const tag = Object.prototype.toString.call(value);
  return tag === "[object Object]" || tag === "[object Array]";
}

/** Fails unless `error` is an `Error`, of `ErrorClass`, whose message contains `msgMatches`. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorConstructor<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  demand(
    error instanceof Error,
    () => `Expected ${text(error)} to be an Error`,
    msg,
  );
  if (ErrorClass !== undefined) {
    const claim = () => `Expected an error of class ${ErrorClass.name}: received ${text(error)}`;
    demand(error instanceof ErrorClass, claim, msg);
  }
  if (msgMatches === undefined) return;
  const isMatch = typeof msgMatches === "string"
    ? error.message.includes(msgMatches)
    : msgMatches.test(error.message);
  const claim = () => `Expected error message ${text(error.message)} to match ${text(msgMatches)}`;
  demand(isMatch, claim, msg);
}

/** Fails unless `fn` throws. Returns what was thrown. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an `ErrorClass` whose message contains `msgIncludes`. Returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClassOrMsg?: ErrorConstructor<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    return judged(error, ErrorClassOrMsg, msgIncludes, msg);
  }
  return demand(
    false,
    () => "Expected function to throw",
    note(ErrorClassOrMsg, msg),
  );
}

/** Fails unless the promise that `fn` returns is rejected. Resolves to the reason. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/** Fails unless it is rejected with an `ErrorClass` whose message contains `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClassOrMsg?: ErrorConstructor<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
    await promise;
  } catch (error) {
    const claim = () => `Expected function to reject, not to throw ${text(error)}`;
    demand(promise !== undefined, claim, note(ErrorClassOrMsg, msg));
    return judged(error, ErrorClassOrMsg, msgIncludes, msg);
  }
  return demand(
    false,
    () => "Expected function to reject",
    note(ErrorClassOrMsg, msg),
  );
}

function judged<E extends Error>(
  error: unknown,
  ErrorClassOrMsg: ErrorConstructor<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): unknown {
  if (typeof ErrorClassOrMsg === "function") {
    assertIsError(error, ErrorClassOrMsg, msgIncludes, msg);
  }
  return error;
}

function note(
  ErrorClassOrMsg: unknown,
  msg: string | undefined,
): string | undefined {
  return typeof ErrorClassOrMsg === "string" ? ErrorClassOrMsg : msg;
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(
    msg ? `Failed assertion: ${msg}` : "Failed assertion.",
  );
}

/** Fails where control must not come. */
export function unreachable(msg?: string): never {
  throw new AssertionError(msg ? `Unreachable: ${msg}` : "Unreachable.");
}
