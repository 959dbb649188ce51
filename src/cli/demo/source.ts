/**
 * Where the bytes come from: a file, opened once to stream it and once more to hash it directly.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { CommandError } from "../command.ts";
import { printable } from "../format.ts";

/** Bytes that can be read from the beginning more than once. */
export interface Source {
  /** What they are called in messages. */
  readonly name: string;
  /** How many they seem to be, for showing progress; undefined if that is unknown. */
  readonly expectedBytes: number | undefined;
  /** Begins to read them. */
  open(): OpenSource;
}

/** Bytes that are being read. */
export interface OpenSource extends Disposable {
  /** Fills the beginning of `target`, and says how many bytes that were; `null` at the end. */
  readSync(target: Uint8Array): number | null;
}

const HASH_BLOCK_BYTES = 1024 * 1024;

/**
 * A file.
 *
 * @throws {CommandError} If it cannot be streamed, saying why.
 */
export function fileSource(path: string): Source {
  const info = explaining(path, () => Deno.statSync(path));
  if (info.isDirectory) throw refusal(path, "it is a directory");
  // A pipe or a device cannot be read twice, and may never end.
  if (!info.isFile) throw refusal(path, "it is not a regular file");
  return {
    name: path,
    expectedBytes: info.size || undefined,
    open() {
      const file = explaining(path, () => Deno.openSync(path));
      return {
        readSync: (target) => explaining(path, () => file.readSync(target)),
        [Symbol.dispose]: () => file.close(),
      };
    },
  };
}

/** A refusal to stream what is called `name`. */
export function refusal(name: string, reason: string, cause?: unknown): CommandError {
  return new CommandError(`Cannot stream '${printable(name)}' as ${reason}`, { cause });
}

/**
 * Hashes the first `bytes` bytes of a source, or all if there are fewer.
 *
 * So a file that grew after it was streamed is not taken for a different one.
 */
export function hashSource(source: Source, bytes: number): string {
  using input = source.open();
  const hash = createHash("sha256");
  const block = new Uint8Array(HASH_BLOCK_BYTES);
  for (let rest = bytes; rest > 0;) {
    const read = input.readSync(block.subarray(0, Math.min(rest, block.length)));
    if (read === null) break;
    hash.update(block.subarray(0, read));
    rest -= read;
  }
  return hash.digest("hex");
}

/** Runs `action` on a file and says in the user's terms why it failed. */
function explaining<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw refusal(path, reasonOf(error), error);
  }
}

function reasonOf(error: Error): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "you may not read it";
  if (error instanceof Deno.errors.NotCapable) {
    // Says which flag would permit it.
    return `Deno was not permitted to read it: ${error.message}`;
  }
  return `reading it failed: ${error.message}`;
}
