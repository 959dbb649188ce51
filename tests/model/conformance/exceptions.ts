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
];
