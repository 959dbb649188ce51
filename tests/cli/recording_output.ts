/**
 * An output that keeps what is written to it.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import type { Output } from "../../src/cli/mod.ts";

/** An output that keeps what is written to it, without styles. */
export class RecordingOutput implements Output {
  /** What was written as a result. */
  readonly results: string[] = [];
  /** What was written as an error. */
  readonly errors: string[] = [];

  log(text: string): void {
    this.results.push(stripVTControlCharacters(text));
  }

  error(text: string): void {
    this.errors.push(text);
  }
}
