/**
 * An output that keeps the text that is written to it.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import type { Output } from "../../src/cli/mod.ts";

/** An output that keeps the text that is written to it, without styles. */
export class RecordingOutput implements Output {
  /** The results. */
  readonly results: string[] = [];
  /** The errors. */
  readonly errors: string[] = [];

  log(text: string): void {
    this.results.push(stripVTControlCharacters(text));
  }

  error(text: string): void {
    this.errors.push(text);
  }
}
