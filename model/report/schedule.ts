/**
 * A schedule as a short string.
 *
 * Threads are letters: first those of the model in the order of their declaration, then the spawned
 * ones in the order in which this schedule spawns them; one that is spawned when another was joined
 * can have its letter. Each has the number of steps that it makes in a row: `a3b1a2`. Runs that
 * repeat are in parentheses, with their number: `(a2b1)500`. A schedule without a step is `a0`.
 *
 * @module
 */

import type { Operation } from "../machine/entry.ts";
import type { Execution } from "../machine/execution.ts";
import { SPAWN } from "../machine/kinds.ts";

const FIRST_LETTER = "a".charCodeAt(0);

/** Runs are folded if up to so many of them repeat at least so often. */
const MAX_PERIOD = 64;
const MIN_REPEATS = 3;

/** The schedule of no steps: a failure before the first one. */
const EMPTY = "a0";
/** Longer schedules are not decoded; those of executions are far shorter. */
const MAX_STEPS = 10_000_000;

/** The numbers of the threads: of those of the model, then of the spawned ones, as they start. */
export function threadsByStart(
  threads: readonly unknown[],
  trace: readonly Operation[],
): number[] {
  const spawned: number[] = [];
  for (const entry of trace) {
    if (entry.kind === SPAWN && threads[entry.detail.child.id] !== undefined) {
      spawned.push(entry.detail.child.id);
    }
  }
  const declared = [...threads.keys()].filter((id) =>
    threads[id] !== undefined && !spawned.includes(id)
  );
  return [...declared, ...spawned];
}

/** The letter of a slot. */
export function letter(slot: number): string {
  return String.fromCharCode(FIRST_LETTER + slot);
}

/** The schedule of an execution. */
export function encodeSchedule({ trace, threads }: Execution): string {
  if (trace.length === 0) return EMPTY;
  const runs: string[] = [];
  const slotOf = (step: number) => threads[trace[step]!.thread]!.slot;
  for (let i = 0; i < trace.length;) {
    const slot = slotOf(i);
    let run = 0;
    while (i < trace.length && slotOf(i) === slot) {
      run++;
      i++;
    }
    runs.push(letter(slot) + run);
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
 * The slots of the threads, in the order in which the schedule runs them; 0 is letter `a`.
 *
 * @throws {TypeError} If the text is not a schedule.
 */
export function decodeSchedule(text: string): number[] {
  if (text === EMPTY) return [];
  if (!/^(?:[a-h][1-9]\d*|\((?:[a-h][1-9]\d*)+\)[1-9]\d*)+$/.test(text)) {
    throw new TypeError(
      'Cannot replay: expected letters a to h, each with a count, such as "a3b1" or "(a1b1)20", ' +
        `received "${shortened(text)}"`,
    );
  }
  const steps: number[] = [];
  for (const [, block, times, run] of text.matchAll(/\(([^)]*)\)(\d+)|([a-h]\d+)/g)) {
    const runs = [...(block ?? run!).matchAll(/([a-h])(\d+)/g)];
    for (let i = 0; i < Number(times ?? 1); i++) {
      for (const [, letter, count] of runs) {
        if (steps.length + Number(count) > MAX_STEPS) {
          throw new TypeError(
            `Cannot replay: expected at most ${MAX_STEPS} steps, received "${shortened(text)}"`,
          );
        }
        const thread = letter!.charCodeAt(0) - FIRST_LETTER;
        for (let j = 0; j < Number(count); j++) steps.push(thread);
      }
    }
  }
  return steps;
}

function shortened(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
