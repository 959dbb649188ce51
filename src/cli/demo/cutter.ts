/**
 * Cuts a stream of bytes into records, and records into messages that the ring can carry.
 *
 * @module
 */

import type { FrameOptions } from "../../broadcast/writer.ts";

/** Where a record ends: after each newline, or after a number of bytes. */
export type RecordKind = "lines" | { readonly recordBytes: number };

/**
 * Is given each message: the bytes of `block` from `from` to before `to`, never none, and what to
 * tell the ring of it; undefined if it is a whole record.
 */
export type Send = (
  block: Uint8Array,
  from: number,
  to: number,
  options: FrameOptions | undefined,
) => void;

const FIRST: FrameOptions = { final: false };
const MIDDLE: FrameOptions = { final: false, continuation: true };
const LAST: FrameOptions = { continuation: true };

const NEWLINE = 10;

/**
 * Cuts a stream of bytes into records. A record includes its newline, so the messages joined are
 * the stream again. One longer than the largest message goes in several.
 */
export class Cutter {
  /** The bytes of a record, or 0 for lines. */
  readonly #recordBytes: number;
  readonly #maxMessageBytes: number;
  /** How many bytes of the present record were sent. */
  #sent = 0;
  /** How many records were sent whole. */
  #records = 0;
  /** How many messages were sent. */
  #messages = 0;

  /** Makes a cutter for records of this kind. */
  constructor(kind: RecordKind, maxMessageBytes: number) {
    this.#recordBytes = kind === "lines" ? 0 : kind.recordBytes;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** How many records were sent whole. */
  get records(): number {
    return this.#records;
  }

  /** How many messages were sent. */
  get messages(): number {
    return this.#messages;
  }

  /**
   * Sends what the bytes of `block` before `end` hold.
   *
   * @param isLast Whether the stream ends here, and with it the present record.
   * @returns How many bytes were sent. The rest, less than a message, is the beginning of a record
   * and must come first in the next block.
   */
  cut(block: Uint8Array, end: number, isLast: boolean, send: Send): number {
    let from = 0;
    while (from < end) {
      const found = this.#endOfRecord(block, from, end);
      const isWhole = found !== -1 || isLast;
      const to = found === -1 ? end : found;
      for (; to - from > this.#maxMessageBytes; from += this.#maxMessageBytes) {
        this.#send(block, from, from + this.#maxMessageBytes, false, send);
      }
      if (!isWhole) return from;
      this.#send(block, from, to, true, send);
      from = to;
    }
    return from;
  }

  /** Where the record that goes on at `from` ends, or -1 if that is not before `end`. */
  #endOfRecord(block: Uint8Array, from: number, end: number): number {
    if (this.#recordBytes === 0) {
      const newline = block.indexOf(NEWLINE, from);
      return newline === -1 || newline >= end ? -1 : newline + 1;
    }
    const to = from + this.#recordBytes - this.#sent;
    return to > end ? -1 : to;
  }

  #send(block: Uint8Array, from: number, to: number, isLast: boolean, send: Send): void {
    const isFirst = this.#sent === 0;
    if (isLast) send(block, from, to, isFirst ? undefined : LAST);
    else send(block, from, to, isFirst ? FIRST : MIDDLE);
    this.#messages++;
    this.#sent += to - from;
    if (!isLast) return;
    this.#records++;
    this.#sent = 0;
  }
}
