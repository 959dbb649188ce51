/**
 * What the messages of a slot are: bytes, or records.
 *
 * @module
 */

import type { NestedType, RecordInput, RecordView } from "../record/mod.ts";

/** A record that messages can be, as `defineRecord` returns it. */
export interface SlotRecord extends NestedType {
  /** Equal for two records if and only if their fields are. */
  readonly fingerprint: string;
  /** Makes a view of a record. */
  view(target: Uint8Array): unknown;
  /** Copies a plain object into a record. */
  write(target: never, byteOffset: number, value: never): void;
}

/** The view of a message: of its record, if the slot is typed. */
export type ViewOf<R extends SlotRecord | undefined> = R extends SlotRecord ? RecordView<R>
  : undefined;

/** What can be sent: bytes, or also what the record can be written from. */
export type MessageOf<R extends SlotRecord | undefined> = R extends SlotRecord
  ? Uint8Array | RecordInput<R>
  : Uint8Array;

/** A view of the record of a typed slot in some bytes; undefined if the slot is not typed. */
export function viewOf<R extends SlotRecord | undefined>(
  record: R,
  bytes: Uint8Array,
): ViewOf<R> {
  return record?.view(bytes) as ViewOf<R>;
}
