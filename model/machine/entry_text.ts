/**
 * Entries as text, for reports and messages.
 *
 * @module
 */

import { errorText, valueText } from "../values.ts";
import type { Entry, EntryOf, Operation, Wait } from "./entry.ts";
import {
  ADD,
  AND,
  CALL,
  CLOCK,
  COMPARE_EXCHANGE,
  DIE,
  EXCHANGE,
  JOIN,
  LOAD,
  NOTIFY,
  OR,
  PAUSE,
  READ,
  RESUME,
  RETURN,
  SPAWN,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  WRITE,
  XOR,
} from "./kinds.ts";

/** The names of threads, by their numbers. */
export type ThreadNames = readonly ({ readonly name: string } | undefined)[];

/** The access of an entry and its range, for instance `plain write of 4 bytes at ring.data+8`. */
export function accessText(entry: Entry): string {
  const { name, isOperation } = entry.traits;
  if (entry.kind === READ || entry.kind === WRITE) {
    const where = entry.buffer!.nameOf(entry.start, entry.size);
    return `plain ${name} of ${entry.size} byte${entry.size === 1 ? "" : "s"} at ${where}`;
  }
  if (entry.buffer === undefined || !isOperation) return name;
  return `${name} of ${entry.buffer.nameOf(entry.start, entry.size)}`;
}

/** What a thread asks for: an entry with its operands, without what comes of it. */
export function requestText(entry: Entry, threads: ThreadNames): string {
  const text = accessText(entry);
  switch (entry.kind) {
    case CALL:
      return `${text} of ${entry.detail.name}`;
    case RETURN:
      return `${text} of ${entry.detail.call.detail.name}`;
    case SPAWN:
      return `${text} of ${entry.detail.child.name ?? "a thread"}`;
    case JOIN:
      return `${text} of ${threads[entry.detail.child]?.name ?? entry.detail.child}`;
    default:
      return text + operandsText(entry.a, entry.b);
  }
}

/** The operands of a function of `Atomics`. */
export function operandsText(...operands: readonly unknown[]): string {
  const given = operands.filter((operand) => operand !== undefined);
  return given.length === 0 ? "" : ` with ${given.map(valueText).join(", ")}`;
}

/** A pause that the explorer has put into a loop is not one that the reader finds in the code. */
function pauseName({ detail }: EntryOf<typeof PAUSE>): string {
  if (!detail.isImplied) return "pause";
  return detail.isOfLongLoop ? "stands back" : "polls";
}

/** An operation and its result in a few words: `load ring.position → 64`. */
export function operationText(entry: Operation, threads: ThreadNames): string {
  const { name } = entry.traits;
  const word = entry.buffer?.nameOf(entry.start, entry.size) ?? "";
  const { kind, operand, expected, result } = entry;
  switch (kind) {
    case LOAD:
      return `load ${word} → ${result}`;
    case STORE:
      return `store ${word} ← ${operand}`;
    case ADD:
    case SUB:
    case AND:
    case OR:
    case XOR:
    case EXCHANGE:
      return `${name} ${word} ${operand}: saw ${result}`;
    case COMPARE_EXCHANGE:
      return entry.wrote
        ? `compareExchange ${word} ${expected} ⇒ ${operand}`
        : `compareExchange ${word} ${expected} ⇏ ${operand}: saw ${result}`;
    case WAIT:
    case WAIT_ASYNC:
      return `${name} ${word} while ${expected}${durationText(entry)}: ${result ?? "sleeps"}`;
    case WAKE:
      return `wake ${word}: ${result ?? "sleeping"}`;
    case NOTIFY:
      return `notify ${word}: wakes ${result}`;
    case PAUSE:
      return `${pauseName(entry)}${entry.detail.isForced ? " (nothing else can run)" : ""}`;
    case CALL:
      return `${entry.detail.name}(${entry.detail.args.map(valueText).join(", ")}) begins`;
    case RETURN: {
      const { call, result, isThrown } = entry.detail;
      const how = isThrown ? `throws ${errorText(result)}` : `returns ${valueText(result)}`;
      return `${call.detail.name} ${how}`;
    }
    case SPAWN:
      return `spawn ${threads[entry.detail.child.id]?.name ?? entry.detail.child.id}`;
    case JOIN:
      return `join ${threads[entry.detail.child]?.name ?? entry.detail.child}`;
    case DIE:
      return `${threads[entry.detail.victim]?.name ?? entry.detail.victim} dies, ${result}`;
    case RESUME:
      return resumeText(entry);
  }
}

/** How long a wait sleeps at most, if that is limited. */
function durationText({ detail: { timeoutMs } }: Wait): string {
  return timeoutMs === Infinity ? "" : `, ${timeoutMs} ms`;
}

/** Which asynchronous wait was resumed, and by what. */
function resumeText({ traits, detail, result }: EntryOf<typeof RESUME>): string {
  const wait = detail.outstanding.find((wait) => wait.detail.promise === detail.promise);
  if (wait === undefined) return traits.name;
  return `${traits.name} ${wait.buffer!.nameOf(wait.start, wait.size)}: ${result}`;
}

/** A plain access, or a reading of the clock. */
export type Shown = EntryOf<typeof READ> | EntryOf<typeof WRITE> | EntryOf<typeof CLOCK>;

/** A plain access and its value in a few words: `read ring.data[3] → 7`. */
export function plainText(entry: Shown): string {
  if (entry.kind === CLOCK) return `read clock → ${entry.result}`;
  const { buffer, start, size, kind, result } = entry;
  const value = result instanceof Uint8Array ? buffer!.valueText(start, result) : String(result);
  return `${kind === READ ? "read" : "write"} ${buffer!.nameOf(start, size)} ${
    kind === READ ? "→" : "←"
  } ${value}`;
}
