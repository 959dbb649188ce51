/**
 * What the demo can be told, and how that is written on a command line.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { MAX_CAPACITY_BYTES, MIN_CAPACITY_BYTES } from "../../broadcast/layout.ts";
import { checkInteger, checkPowerOfTwo } from "../../memory/check.ts";
import { CommandError } from "../command.ts";
import { formatSize, printable } from "../format.ts";

/** How a file is streamed. */
export interface StreamOptions {
  /** The bytes of the ring's data. */
  readonly ringBytes: number;
  /** The bytes of a record; undefined for lines of text, or 1 KiB of anything else. */
  readonly recordBytes: number | undefined;
  /** Whether the writer waits for the slowest worker. */
  readonly isPaced: boolean;
}

/** What a command line says. */
export interface DemoOptions extends StreamOptions {
  /** The file; undefined for the default. */
  readonly file: string | undefined;
  /** Whether to print one line of JSON. */
  readonly isJson: boolean;
  /** Whether only help is wanted. */
  readonly isHelp: boolean;
}

/** The ring of a demo that is told nothing else. */
export const DEFAULT_RING_BYTES: number = 2 ** 20;
/** The record of a binary file in a demo that is told nothing else. */
export const DEFAULT_RECORD_BYTES = 1024;

/** The text of `--help`. */
export const HELP = `Usage: deno task demo [OPTION]... [FILE]
       deno run --allow-read jsr:@busbar/busbar/cli demo [OPTION]... [FILE]

Streams FILE over one broadcast ring to three workers. One counts its records, one hashes it, one
finds its most frequent words, or bytes if it is not text. Then the hash is compared with that of
the file itself. Without FILE, the Deno executable is streamed.

A text file is streamed line by line, any other in records of ${formatSize(DEFAULT_RECORD_BYTES)}.

  --ring BYTES     the size of the ring, a power of two from ${formatSize(MIN_CAPACITY_BYTES)} to ${
  formatSize(MAX_CAPACITY_BYTES)
}
                   (default ${formatSize(DEFAULT_RING_BYTES)}); 64K, 1M and 1G may be written
  --record BYTES   streams in records of this size, text too
  --pace on|off    on (default): the writer waits for the slowest worker
                   off: it never waits; a worker that is overrun loses data, and says so
  --json           prints the summary as one line of JSON
  -h, --help       prints this

The exit code is 0 if the hash was verified, or with --pace off the loss reported; otherwise 1.`;

/**
 * Reads a command line.
 *
 * @throws {CommandError} If it says something that the demo does not understand.
 */
export function parseOptions(args: string[]): DemoOptions {
  const { values, positionals } = parse(args);
  if (positionals.length > 1) {
    throw usageError(`one FILE was expected: received ${positionals.length}`);
  }
  if (values.pace !== "on" && values.pace !== "off") {
    throw usageError(`'--pace' must be on or off: received ${quote(values.pace)}`);
  }
  return {
    file: positionals[0],
    ringBytes: parseRing(values.ring),
    recordBytes: values.record === undefined ? undefined : parseRecord(values.record),
    isPaced: values.pace === "on",
    isJson: values.json,
    isHelp: values.help,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ring: { type: "string", default: String(DEFAULT_RING_BYTES) },
        record: { type: "string" },
        pace: { type: "string", default: "on" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    // Its first sentence is for users, such as "Unknown option '--x'".
    const [sentence] = printable((error as Error).message).split(". ");
    throw new CommandError(`Cannot run the demo: ${sentence}\nTry --help.`, { cause: error });
  }
}

function parseRing(text: string): number {
  const bytes = parseSize("--ring", text);
  return refusing(() => {
    checkPowerOfTwo(ACTION, "--ring", bytes, MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES);
    return bytes;
  });
}

function parseRecord(text: string): number {
  const bytes = parseSize("--record", text);
  return refusing(() => {
    checkInteger(ACTION, "--record", bytes, 1, MAX_CAPACITY_BYTES);
    return bytes;
  });
}

const ACTION = "run the demo";
const UNITS: Record<string, number> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Reads `100`, `64K`, `1M` or `1G`; lower case and a `B` or `iB` behind are welcome, too. */
function parseSize(option: string, text: string): number {
  const match = /^(\d{1,15})([kmg]?)(?:i?b)?$/i.exec(text);
  if (match === null) {
    throw usageError(
      `'${option}' must be a number of bytes, such as 1024, 64K or 1M: received ${quote(text)}`,
    );
  }
  return Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
}

/** Turns a refusal at the library's door into one that the user reads. */
function refusing<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandError(`${error.message}\nTry --help.`, { cause: error });
  }
}

function usageError(reason: string): CommandError {
  return new CommandError(`Cannot run the demo as ${reason}\nTry --help.`);
}

function quote(text: string): string {
  return `"${printable(text)}"`;
}
