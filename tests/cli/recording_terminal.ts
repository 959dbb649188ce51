/**
 * A terminal that keeps what is written to it.
 *
 * @module
 */

import type { Terminal } from "../../src/cli/mod.ts";

/** A terminal that keeps what is written to it. */
export class RecordingTerminal implements Terminal {
  readonly isStyled = false;
  /** What was printed as a result. */
  readonly printed: string[] = [];
  /** What was printed as an error. */
  readonly errors: string[] = [];
  /** What was shown as progress. */
  readonly progress: string[] = [];

  print(text: string): void {
    this.printed.push(text);
  }

  printError(text: string): void {
    this.errors.push(text);
  }

  showProgress = (text: string): void => {
    this.progress.push(text);
  };
}
