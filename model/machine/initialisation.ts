/**
 * Which bytes have ever been written, to report reads of bytes that no thread has initialised.
 *
 * @module
 */

import type { Entry } from "./entry.ts";
import { accessText } from "./entry_text.ts";
import type { Execution } from "./execution.ts";
import type { ModelBuffer } from "./memory.ts";

/** Marks a range as initialised by setup or check. */
export function initialise(buffer: ModelBuffer, start: number, size: number): void {
  buffer.initialised?.fill(1, start, start + size);
}

/** Marks the range that an entry writes as initialised. */
export function recordInitialised(entry: Entry): void {
  const { start, size } = entry;
  const { initialised } = entry.buffer!;
  if (initialised === undefined) return;
  entry.initialisedBefore = initialised.slice(start, start + size);
  initialised.fill(1, start, start + size);
}

/** Undoes {@linkcode recordInitialised}. */
export function forgetInitialised(entry: Entry): void {
  if (entry.initialisedBefore === undefined) return;
  entry.buffer!.initialised!.set(entry.initialisedBefore, entry.start);
}

/** Fails if an entry reads bytes that no thread has written; a no-op unless that is asked for. */
export function reportUninitialised(execution: Execution, entry: Entry): void {
  const { buffer, start, size, thread } = entry;
  const { initialised } = buffer!;
  if (initialised === undefined || !initialised.subarray(start, start + size).includes(0)) return;
  execution.fail({
    kind: "uninitialised read",
    message: `Thread ${execution.threads[thread]!.name}: ${accessText(entry)} reads bytes that ` +
      "no thread has written",
  });
}
