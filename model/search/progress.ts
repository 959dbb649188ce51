/**
 * Shows the progress of a long search.
 *
 * @module
 */

import { now } from "../native.ts";
import { standardError, type TextOutput } from "../platform.ts";

/** On a terminal: when the line is shown first, and how often it is updated. */
const FIRST_UPDATE_MS = 1000;
const UPDATE_MS = 500;
/** Elsewhere, as in a log: when the first line is written; the next ones after twice the time. */
const FIRST_LINE_MS = 10_000;

/**
 * Shows progress on standard error: on a terminal as a line that is updated, elsewhere as lines
 * that become rarer. A search that is over sooner shows nothing.
 */
export class Progress {
  readonly #output: TextOutput | undefined;
  readonly #now: () => number;
  readonly #started: number;
  /** When to show it next. */
  #next: number;
  #isShown = false;

  constructor(output: TextOutput | undefined = standardError(), clock: () => number = now) {
    this.#output = output;
    this.#now = clock;
    this.#started = clock();
    this.#next = this.#started + (output?.isTerminal ? FIRST_UPDATE_MS : FIRST_LINE_MS);
  }

  /**
   * Shows the progress, if it is time to.
   *
   * @param fraction How much of the search is done, from 0 to 1, if that can be estimated.
   */
  show(executions: number, depth: number, fraction: number | undefined): void {
    const output = this.#output;
    if (output === undefined) return;
    const time = this.#now();
    if (time < this.#next) return;
    const elapsed = time - this.#started;
    const text = progressText(elapsed / 1000, executions, depth, fraction);
    if (output.isTerminal) {
      this.#next = time + UPDATE_MS;
      this.#isShown = true;
      output.write(`\r\x1b[K${text}`);
    } else {
      this.#next = time + elapsed;
      output.write(`${text}, after ${duration(elapsed / 1000)}\n`);
    }
  }

  /** Removes the line from a terminal. */
  end(): void {
    if (this.#isShown) this.#output!.write("\r\x1b[K");
  }
}

function progressText(
  seconds: number,
  executions: number,
  depth: number,
  fraction: number | undefined,
): string {
  const isEstimate = fraction !== undefined && fraction > 0;
  const left = isEstimate
    ? `, about ${(100 * fraction).toFixed(1)} %, ${duration(seconds / fraction - seconds)} left`
    : "";
  const rate = Math.round(executions / seconds).toLocaleString("en");
  const count = executions.toLocaleString("en");
  return `exploring: ${count} executions, ${rate}/s, depth ${depth}${left}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
