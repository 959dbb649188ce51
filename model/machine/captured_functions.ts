/**
 * Recognises errors of the platform's own functions that were given a view of the explorer's.
 *
 * @module
 */

/** What engines say if a function wants a typed array, or a buffer, and gets another object. */
const STRANGER =
  /typed ?array|incompatible receiver|must be an ArrayBuffer|not an ArrayBuffer|not a view|called on incompatible|Receiver should be a|instance of Buffer/i;

/** A sentence for the text of an error that may come from such a function, or nothing. */
export function capturedFunctionHint(text: string): string {
  if (!text.startsWith("TypeError: ") || !STRANGER.test(text)) return "";
  return " (If this is a view of shared memory, a function of the platform was captured before the " +
    "exploration, such as `const { load } = Atomics` in a module: it does not know the explorer's " +
    "views. Use the globals when the thread runs.)";
}
