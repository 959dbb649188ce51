/**
 * The command `demo`: streams a file over one ring to three workers, and verifies the outcome.
 *
 * @module
 */

import type { Terminal } from "../command.ts";
import { formatAmount } from "../format.ts";
import { HELP, parseOptions, type StreamOptions } from "./options.ts";
import { fileSource, type Source } from "./source.ts";
import { stream } from "./stream.ts";
import type { Summary } from "./summary.ts";
import { formatSummary } from "./summary_format.ts";

/** What the command is for. */
export const DEMO_PURPOSE = "streams a file over one ring to three workers";

const PROGRESS_INTERVAL_SECONDS = 0.1;

/**
 * Runs the command.
 *
 * @returns The exit code.
 * @throws {CommandError} If it cannot be run, or a worker fails.
 */
export async function demoCommand(args: string[], terminal: Terminal): Promise<number> {
  const options = parseOptions(args);
  if (options.isHelp) {
    terminal.print(HELP);
    return 0;
  }
  // There is a file wherever Deno runs, and a large one: Deno.
  const source = fileSource(options.file ?? Deno.execPath());
  const summary = await streamWatched(source, options, terminal);
  terminal.print(
    options.isJson ? JSON.stringify(summary) : formatSummary(summary, terminal.isStyled),
  );
  return summary.faults.length === 0 ? 0 : 1;
}

/** Streams, showing progress meanwhile. */
async function streamWatched(
  source: Source,
  options: StreamOptions,
  terminal: Terminal,
): Promise<Summary> {
  try {
    return await stream(source, options, { onProgress: progressOf(source, terminal) });
  } finally {
    terminal.showProgress?.("");
  }
}

/** Shows progress, not too often. */
function progressOf({ expectedBytes }: Source, { showProgress }: Terminal) {
  if (showProgress === undefined) return undefined;
  let next = 0;
  return (bytes: number, seconds: number) => {
    if (seconds < next) return;
    next = seconds + PROGRESS_INTERVAL_SECONDS;
    const whole = expectedBytes === undefined ? "" : ` of ${formatAmount(expectedBytes)}`;
    showProgress(`${formatAmount(bytes)}${whole}, ${formatAmount(bytes / seconds)}/s`);
  };
}
