/**
 * What happens between operations: plain reads and writes, speculative spans, new buffers.
 *
 * @module
 */

import { checkInitialised, initialise } from "./effects.ts";
import { BUFFER, CLOCK, type Entry, READ, SPAN_BEGIN, SPAN_END, WRITE } from "./entry.ts";
import type { Machine } from "./machine.ts";
import {
  checkKeptRead,
  checkPlainRead,
  checkPlainWrite,
  notePlainRead,
  notePlainWrite,
  type Race,
} from "./races.ts";
import { buffers } from "../interception/registry.ts";
import type { Thread } from "./thread.ts";

/**
 * Appends an entry to the thread's log and lets it happen: for the first time, or again after it
 * was undone.
 *
 * @param write For the first time of a write: makes it.
 */
export function happen(machine: Machine, thread: Thread, entry: Entry, write?: () => void): void {
  entry.clock = thread.clock;
  entry.time = thread.clock[thread.id]!;
  thread.log.push(entry);
  switch (entry.kind) {
    case READ:
      return read(machine, thread, entry);
    case WRITE:
      return overwrite(machine, entry, write);
    case BUFFER:
      machine.buffers.push(buffers.get(entry.result as SharedArrayBuffer)!);
      thread.made++;
      return;
    case CLOCK:
      entry.result = thread.elapsed;
      return;
    case SPAN_BEGIN:
      if (thread.span >= 0) {
        machine.fail({ kind: "misuse", message: "A speculative span begins inside another one" });
      }
      thread.span = thread.log.length - 1;
      return;
    case SPAN_END:
      return settle(machine, thread, entry);
  }
}

function read(machine: Machine, thread: Thread, entry: Entry): void {
  const { buffer, start, size, real } = entry;
  entry.result = real === undefined ? buffer!.bytes.slice(start, start + size) : real[entry.index];
  entry.version = buffer!.version(start, size);
  if (thread.span < 0) judge(machine, entry, checkPlainRead(machine, entry));
  if (buffer!.initialised !== undefined) checkInitialised(machine, thread, entry);
}

function judge(machine: Machine, entry: Entry, race: Race | undefined): void {
  notePlainRead(entry);
  if (race !== undefined) machine.race(entry, race);
}

function overwrite(machine: Machine, entry: Entry, write?: () => void): void {
  const buffer = entry.buffer!;
  const { start, size } = entry;
  entry.wrote = true;
  const race = checkPlainWrite(machine, entry);
  entry.before = buffer.bytes.slice(start, start + size);
  notePlainWrite(entry);
  if (write !== undefined) {
    write();
    entry.result = buffer.bytes.slice(start, start + size);
  } else {
    buffer.bytes.set(entry.result as Uint8Array, start);
  }
  const before = entry.before as Uint8Array;
  entry.changed = (entry.result as Uint8Array).some((byte, i) => byte !== before[i]);
  if (entry.changed) {
    buffer.bump(start, size, 1);
    machine.forcedPauses = 0;
  }
  entry.version = buffer.version(start, size);
  initialise(buffer, start, size, entry);
  if (race !== undefined) machine.race(entry, race);
}

/** A span ends; if what it read is kept, its reads count as made when they were made. */
function settle(machine: Machine, thread: Thread, entry: Entry): void {
  if (thread.span < 0) {
    machine.fail({ kind: "misuse", message: "A speculative span ends that did not begin" });
  }
  const begin = thread.span;
  entry.other = begin;
  thread.span = -1;
  if (entry.start === 0) return;
  for (let i = begin; i < thread.log.length; i++) {
    const read = thread.log[i]!;
    if (read.kind === READ) judge(machine, read, checkKeptRead(machine, read));
  }
}
