/**
 * A schedule as a short string.
 *
 * Threads are letters, each with the number of steps that it makes in a row: `a3b1a2`. A letter is
 * a slot: they are given in the order of declaration, and then of the starts in this schedule. Runs
 * that repeat are in parentheses, with their number: `(a2b1)500`.
 *
 * @module
 */

import type { Execution } from "../machine/execution.ts";

const FIRST_LETTER = "a".charCodeAt(0);

/** Runs are folded if up to so many of them repeat at least so often. */
const MAX_PERIOD = 8;
const MIN_REPEATS = 3;

/** The schedule of an execution. */
export function encodeSchedule({ trace, threads }: Execution): string {
  const runs: string[] = [];
  const slotOf = (step: number) => threads[trace[step]!.thread]!.slot;
  for (let i = 0; i < trace.length;) {
    const slot = slotOf(i);
    let run = 0;
    while (i < trace.length && slotOf(i) === slot) {
      run++;
      i++;
    }
    runs.push(String.fromCharCode(FIRST_LETTER + slot) + run);
  }
  return foldRuns(runs);
}

/** The runs as text, with those in parentheses that repeat. */
function foldRuns(runs: readonly string[]): string {
  let text = "";
  for (let i = 0; i < runs.length;) {
    let best = { length: 1, times: 1 };
    for (let length = 1; length <= MAX_PERIOD; length++) {
      let end = i + length;
      while (end < runs.length && runs[end] === runs[end - length]) end++;
      const times = Math.floor((end - i) / length);
      if (times >= MIN_REPEATS && times * length > best.times * best.length) {
        best = { length, times };
      }
    }
    const { length, times } = best;
    const block = runs.slice(i, i + length).join("");
    text += times === 1 ? block : `(${block})${times}`;
    i += length * times;
  }
  return text;
}

/**
 * The slots of the threads, in the order in which the schedule runs them.
 *
 * @throws {TypeError} If the text is not a schedule.
 */
export function decodeSchedule(text: string): number[] {
  if (!/^(?:[a-h]\d+|\((?:[a-h]\d+)+\)\d+)*$/.test(text)) {
    throw new TypeError(
      `Cannot replay: expected letters a to h, each with a count, such as "a3b1" or "(a1b1)20", received "${text}"`,
    );
  }
  return [...text.matchAll(/\(([^)]*)\)(\d+)|([a-h]\d+)/g)].flatMap(([, block, times, run]) => {
    const runs = decodeRuns(block ?? run!);
    return block === undefined ? runs : new Array<number[]>(Number(times)).fill(runs).flat();
  });
}

function decodeRuns(text: string): number[] {
  return [...text.matchAll(/([a-h])(\d+)/g)].flatMap(([, letter, count]) =>
    new Array<number>(Number(count)).fill(letter!.charCodeAt(0) - FIRST_LETTER)
  );
}
