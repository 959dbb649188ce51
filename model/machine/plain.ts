/**
 * The effects of plain entries, and how they are undone: plain reads and writes, speculative spans,
 * new views and buffers, readings of the clock.
 *
 * @module
 */

import { timeOf } from "./clock.ts";
import type { EntryOf, PlainEntry } from "./entry.ts";
import type { Execution } from "./execution.ts";
import { unhandled } from "./impossible.ts";
import { forgetInitialised, recordInitialised, reportUninitialised } from "./initialisation.ts";
import { BUFFER, CLOCK, READ, SPAN_BEGIN, SPAN_END, VIEW, WRITE } from "./kinds.ts";
import {
  forgetPlainRead,
  forgetPlainWrite,
  raceOfKeptRead,
  raceOfPlainRead,
  raceOfPlainWrite,
  recordPlainRead,
  recordPlainWrite,
  reportRace,
} from "./races.ts";
import type { Thread } from "./thread.ts";

/**
 * Appends an entry to the thread's log and applies it.
 *
 * @param write For a write that takes effect for the first time: performs it. A write that was
 *   undone is repeated from the bytes that it left then.
 */
export function applyPlain(
  execution: Execution,
  thread: Thread,
  entry: PlainEntry,
  write?: () => void,
): void {
  entry.clock = thread.clock;
  entry.slot = thread.slot;
  entry.time = thread.clock[thread.slot]!;
  thread.log.push(entry);
  switch (entry.kind) {
    case READ:
      return applyRead(execution, thread, entry);
    case WRITE:
      return applyWrite(execution, entry, write);
    case BUFFER:
      execution.buffers.push(entry.detail.buffer);
      entry.detail.buffer.name = `${thread.name}.buffer${thread.buffersCreated}`;
      thread.buffersCreated++;
      return;
    case CLOCK:
      entry.result = timeOf(thread.clock);
      return;
    case SPAN_BEGIN:
      if (thread.span >= 0) {
        execution.fail({ kind: "misuse", message: "A speculative span begins inside another" });
      }
      thread.span = thread.log.length - 1;
      return;
    case SPAN_END:
      return endSpan(execution, thread, entry);
    case VIEW:
      return;
    default:
      return unhandled(entry);
  }
}

/** Undoes {@linkcode applyPlain} for an entry that was just removed from the log's end. */
export function undoPlain(execution: Execution, thread: Thread, entry: PlainEntry): void {
  switch (entry.kind) {
    case READ:
      return forgetPlainRead(entry);
    case WRITE:
      entry.buffer!.bytes.set(entry.before as Uint8Array, entry.start);
      if (entry.changed) entry.buffer!.bump(entry.start, entry.size, -1);
      forgetPlainWrite(entry);
      forgetInitialised(entry);
      return;
    case BUFFER:
      thread.buffersCreated--;
      execution.buffers.pop();
      return;
    case SPAN_BEGIN:
      thread.span = -1;
      return;
    case SPAN_END: {
      const { log } = thread;
      thread.span = entry.detail.begin;
      for (let i = log.length - 1; i > thread.span; i--) {
        const read = log[i]!;
        if (read.kind === READ) forgetPlainRead(read);
      }
      return;
    }
    case CLOCK:
    case VIEW:
      return;
    default:
      return unhandled(entry);
  }
}

function applyRead(execution: Execution, thread: Thread, entry: EntryOf<typeof READ>): void {
  const { start, size, real } = entry;
  const buffer = entry.buffer!;
  entry.result = real === undefined ? buffer.bytes.slice(start, start + size) : real[entry.index];
  entry.version = buffer.version(start, size);
  if (thread.span < 0) {
    const race = raceOfPlainRead(execution, entry);
    recordPlainRead(entry);
    reportRace(execution, entry, race);
  }
  reportUninitialised(execution, entry);
}

function applyWrite(
  execution: Execution,
  entry: EntryOf<typeof WRITE>,
  write: (() => void) | undefined,
): void {
  const { start, size } = entry;
  const buffer = entry.buffer!;
  entry.wrote = true;
  const race = raceOfPlainWrite(execution, entry);
  const before = buffer.bytes.slice(start, start + size);
  entry.before = before;
  recordPlainWrite(entry);
  if (write !== undefined) {
    write();
    entry.result = buffer.bytes.slice(start, start + size);
  } else {
    buffer.bytes.set(entry.result as Uint8Array, start);
  }
  entry.changed = differs(before, entry.result as Uint8Array);
  if (entry.changed) {
    buffer.bump(start, size, 1);
    execution.forcedYields = 0;
  }
  entry.version = buffer.version(start, size);
  recordInitialised(entry);
  reportRace(execution, entry, race);
}

/** Whether two ranges of the same length differ. */
function differs(before: Uint8Array, after: Uint8Array): boolean {
  for (let i = 0; i < before.length; i++) if (before[i] !== after[i]) return true;
  return false;
}

/** Ends a span; if the thread uses its reads, they count from the time when they were made. */
function endSpan(execution: Execution, thread: Thread, entry: EntryOf<typeof SPAN_END>): void {
  if (thread.span < 0) {
    execution.fail({ kind: "misuse", message: "A speculative span ends that did not begin" });
  }
  const begin = thread.span;
  entry.detail.begin = begin;
  thread.span = -1;
  if (!entry.detail.isKept) return;
  for (let i = begin; i < thread.log.length; i++) {
    const read = thread.log[i]!;
    if (read.kind !== READ) continue;
    const race = raceOfKeptRead(execution, read);
    recordPlainRead(read);
    reportRace(execution, read, race);
  }
}
