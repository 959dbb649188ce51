/**
 * A schedule as a short string.
 *
 * Threads are letters in the order of their declaration, each with the number of steps that it
 * makes in a row: `a3b1a2`.
 *
 * @module
 */

import type { Operation } from "../machine/entry.ts";

const FIRST_LETTER = "a".charCodeAt(0);

/** The schedule of a trace. */
export function encodeSchedule(trace: readonly Operation[]): string {
  let text = "";
  for (let i = 0; i < trace.length;) {
    const { thread } = trace[i]!;
    let run = 0;
    while (i < trace.length && trace[i]!.thread === thread) {
      run++;
      i++;
    }
    text += String.fromCharCode(FIRST_LETTER + thread) + run;
  }
  return text;
}

/**
 * The numbers of the threads, in the order in which the schedule runs them.
 *
 * @throws {TypeError} If the text is not a schedule.
 */
export function decodeSchedule(text: string): number[] {
  if (!/^([a-h]\d+)*$/.test(text)) {
    throw new TypeError(
      `Cannot replay: expected letters a to h, each with a count, such as "a3b1", received "${text}"`,
    );
  }
  return [...text.matchAll(/([a-h])(\d+)/g)].flatMap(([, letter, count]) =>
    new Array<number>(Number(count)).fill(letter!.charCodeAt(0) - FIRST_LETTER)
  );
}
