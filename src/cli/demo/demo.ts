/**
 * The command `demo`: streams a file over one ring to three workers, and verifies the outcome.
 *
 * To read the code, begin with `stream.ts` (the writer) and `worker.ts` (the readers); then see
 * `tasks.ts` (the workers' computations) and `records.ts` (messages).
 *
 * @module
 */

import { parseArgs } from "node:util";
import { MAX_CAPACITY_BYTES, MIN_CAPACITY_BYTES } from "../../broadcast/layout.ts";
import { CommandError, type Output, printable } from "../output.ts";
import { stream } from "./stream.ts";
import { formatSummary } from "./summary.ts";

/** The text of `--help`. */
export const HELP = `Usage: deno task demo [OPTION]... [FILE]
       deno run --allow-read jsr:@busbar/busbar/cli demo [OPTION]... [FILE]

Streams FILE over one broadcast ring to three workers. One counts its records, one computes its
SHA-256, one finds its most frequent bytes. Then the hash is compared with that of the file itself.
Without FILE, the Deno executable is streamed.

A text file is streamed line by line, any other in records of 1 KiB.

  --ring BYTES     the size of the ring, a power of two from 64 bytes to 1 GiB
                   (default 1 MiB); 64K, 1M and 1G are accepted
  --record BYTES   streams in records of this size, text too
  --pace on|off    on (default): the writer waits for the slowest worker
                   off: it never waits; a worker that is overrun loses data, and reports it
  --json           prints the summary as one line of JSON
  -h, --help       prints this

The exit code is 0 if the hash was verified, or the loss reported with --pace off; otherwise 1.`;

/**
 * Runs the command.
 *
 * @returns The exit code.
 * @throws {CommandError} If the options are invalid, the file is unreadable, or a worker fails.
 */
export async function runDemo(args: string[], output: Output): Promise<number> {
  const { file, json, help, ...options } = parseOptions(args);
  if (help) {
    output.log(HELP);
    return 0;
  }
  // The Deno executable is a large file that exists wherever this runs.
  const path = file ?? Deno.execPath();
  using source = openFile(path);
  const summary = await stream(source, path, options);
  const styled = Deno.stdout.isTerminal() && !Deno.noColor;
  output.log(json ? JSON.stringify(summary) : formatSummary(summary, styled));
  return summary.faults.length === 0 ? 0 : 1;
}

/** Opens a regular file: a pipe or a device cannot be read twice, and may never end. */
function openFile(path: string): Deno.FsFile {
  try {
    const { isDirectory, isFile } = Deno.statSync(path);
    if (isDirectory) throw sourceError(path, "it is a directory");
    if (!isFile) throw sourceError(path, "it is not a regular file");
    return Deno.openSync(path);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof Deno.errors.NotFound) throw sourceError(path, "it does not exist");
    throw sourceError(path, `it cannot be read: ${(error as Error).message}`);
  }
}

function sourceError(path: string, reason: string): CommandError {
  return new CommandError(`Cannot stream '${printable(path)}' as ${reason}`);
}

/**
 * Reads a command line.
 *
 * @throws {CommandError} If an option is unknown or its value invalid.
 */
export function parseOptions(args: string[]) {
  const { values: { ring, record, pace, json, help }, positionals } = parse(args);
  if (positionals.length > 1) {
    throw usageError(`one FILE was expected: received ${positionals.length}`);
  }
  if (pace !== "on" && pace !== "off") {
    throw usageError(`'--pace' must be on or off: received "${printable(pace)}"`);
  }
  return {
    file: positionals[0],
    ringBytes: parseSize("--ring", ring, MIN_CAPACITY_BYTES, "power of two"),
    recordBytes: record === undefined ? record : parseSize("--record", record, 1),
    paced: pace === "on",
    json,
    help,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ring: { type: "string", default: "1M" },
        record: { type: "string" },
        pace: { type: "string", default: "on" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    // The first sentence is for users, such as "Unknown option '--x'".
    const [sentence] = (error as Error).message.split(/\.\s/);
    throw new CommandError(`Cannot run the demo: ${printable(sentence!)}\nTry --help.`);
  }
}

const UNITS = ["", "K", "M", "G"];

/** Reads `100`, `64K`, `1M` or `1G`, in capitals or not, with or without `B` or `iB`. */
function parseSize(option: string, text: string, min: number, kind = "whole number"): number {
  const [, digits, unit] = /^(\d{1,15})([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** UNITS.indexOf(unit?.toUpperCase() ?? "");
  const isInRange = bytes >= min && bytes <= MAX_CAPACITY_BYTES;
  if (isInRange && (kind === "whole number" || Number.isInteger(Math.log2(bytes)))) return bytes;
  const expected = `a ${kind} from ${min} to ${MAX_CAPACITY_BYTES}, such as 1024, 64K or 1M`;
  throw usageError(`'${option}' must be ${expected}: received "${printable(text)}"`);
}

function usageError(reason: string): CommandError {
  return new CommandError(`Cannot run the demo as ${reason}\nTry --help.`);
}
