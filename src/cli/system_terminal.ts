/**
 * The terminal of this process: standard output and standard error.
 *
 * @module
 */

import type { Terminal } from "./command.ts";

const CLEAR_LINE = "\r\x1b[K";

/** Writes to standard output and standard error. */
export function systemTerminal(): Terminal {
  const isWatched = Deno.stderr.isTerminal();
  return {
    isStyled: Deno.stdout.isTerminal() && !Deno.noColor,
    print: (text) => console.log(text),
    printError: (text) => console.error(text),
    showProgress: isWatched ? showProgress : undefined,
  };
}

function showProgress(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(CLEAR_LINE + text));
}
