/**
 * The tests of test262 that pass natively and not inside a simulated thread, and why.
 *
 * @module
 */

/** A known difference. */
export interface Exception {
  /** The names of the tests. */
  readonly tests: RegExp;
  /** Whether only with `--shared`, only without, or always. */
  readonly mode: "shared" | "plain" | "both";
  readonly reason: string;
}

/** Every known difference. */
export const exceptions: readonly Exception[] = [
  {
    tests:
      /^SharedArrayBuffer\/prototype\/(grow|growable|maxByteLength)\/(grow-|new-length-|return-)/,
    mode: "both",
    reason: "growable shared memory is refused by name: growing cannot be undone",
  },
  {
    tests:
      /^Atomics\/(load\/descriptor|prop-desc)|^TypedArrayConstructors\/internals\/Get\/(BigInt\/)?indexed-value-sab/,
    mode: "both",
    reason: "they change the platform's own objects for good, so that a thread that is run again " +
      "does something else, as is said",
  },
  {
    tests:
      /^TypedArray\/prototype\/.*(get-length-|arraylength-internal|byteoffset-internal)|^TypedArrayConstructors\/internals\/(Get|Set)\/(BigInt\/)?(indexed-value|key-is-)/,
    mode: "shared",
    reason:
      "they give the prototypes of typed arrays properties that stay, which the same thread " +
      "finds when it is run again",
  },
];
