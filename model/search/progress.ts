/**
 * A line on the terminal that shows the progress of a long search.
 *
 * @module
 */

import { now } from "../native.ts";
import { terminal } from "../platform.ts";

const INTERVAL_MS = 500;

/** Shows progress on standard error, if that is a terminal, from the first second on. */
export class Progress {
  readonly #write: ((text: string) => void) | undefined = terminal();
  readonly #started = now();
  #next = this.#started + 2 * INTERVAL_MS;
  #isShown = false;

  /**
   * Updates the line, unless it was updated less than half a second ago.
   *
   * @param fraction How much of the search is done, from 0 to 1, if that can be estimated.
   */
  show(executions: number, depth: number, fraction: number | undefined): void {
    if (this.#write === undefined) return;
    const time = now();
    if (time < this.#next) return;
    this.#next = time + INTERVAL_MS;
    this.#isShown = true;
    const seconds = (time - this.#started) / 1000;
    const left = fraction === undefined || fraction <= 0
      ? ""
      : `, about ${(100 * fraction).toFixed(1)} %, ${duration(seconds / fraction - seconds)} left`;
    const rate = Math.round(executions / seconds).toLocaleString("en");
    const count = executions.toLocaleString("en");
    this.#write(`\r\x1b[Kexploring: ${count} executions, ${rate}/s, depth ${depth}${left}`);
  }

  /** Removes the line. */
  end(): void {
    if (this.#isShown) this.#write!("\r\x1b[K");
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
