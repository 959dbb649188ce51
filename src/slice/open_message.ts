/**
 * The message that is being written: committed bytes, and room behind them, in one array.
 *
 *     | ... | data .............. | claimed, not committed | room ... | ...
 *           start                 end                                 limit
 *
 * A request that fits before the limit is served here. Any other is for the buffer, which finds a
 * place and moves the message there.
 *
 * @module
 */

import { checkBytes, checkInteger } from "../memory/check.ts";

/** The length of the longest message: longer arrays exist on no platform. */
const MAX_MESSAGE_BYTES: number = 2 ** 40;
/** In place of the length of a claim: there is none. */
const UNCLAIMED = -1;
/** How long an append may be to be copied byte by byte, which is faster then. */
const SHORT_COPY_BYTES = 24;

/** One message while it is written. */
export class OpenMessage {
  /** The array that it lies in. */
  bytes: Uint8Array;
  /** Where in that array it begins. */
  start = 0;
  /** Where its committed bytes end. */
  end = 0;
  /** How far it can extend without another look for room. */
  limit = 0;
  /** How many bytes are claimed, or {@link UNCLAIMED}. */
  #claimed = UNCLAIMED;
  /** How many of its first bytes {@link OpenMessage.view} leaves out. */
  #skipped = 0;

  /** An empty message without room. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The committed bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /**
   * Claims bytes that fit before the limit.
   *
   * @returns Whether they do; a message that is empty may have to begin elsewhere, and so may one
   * whose request is invalid.
   */
  tryClaim(length: number): boolean {
    const { end } = this;
    if (length >>> 0 !== length || end + length > this.limit || end === this.start) return false;
    if (this.#claimed !== UNCLAIMED) return false;
    this.#claimed = length;
    return true;
  }

  /** Claims bytes that fit before the limit, as the buffer has made sure. */
  claim(length: number): void {
    this.#claimed = length;
  }

  /** Throws unless so many bytes can be claimed. */
  checkClaim(action: string, length: number): void {
    checkInteger(action, "length", length, 0, MAX_MESSAGE_BYTES);
    this.checkUnclaimed(action);
  }

  /** Throws if bytes are claimed. */
  checkUnclaimed(action: string): void {
    if (this.#claimed === UNCLAIMED) return;
    throw new Error(
      `Cannot ${action} as ${this.#claimed} bytes are claimed: commit or abort them first`,
    );
  }

  /** Shows the claimed bytes; see {@link SliceBuffer.room}. */
  room(): Uint8Array {
    if (this.#claimed === UNCLAIMED) throw new Error("Cannot show the room as nothing is claimed");
    return this.bytes.subarray(this.end, this.end + this.#claimed);
  }

  /** Makes claimed bytes part of the message; see {@link SliceBuffer.commit}. */
  commit(length: number | undefined): void {
    const claimed = this.#claimed;
    if (claimed === UNCLAIMED) throw new Error("Cannot commit as nothing is claimed");
    if (length !== undefined) checkInteger("commit", "length", length, 0, claimed);
    this.#claimed = UNCLAIMED;
    this.end += length === undefined ? claimed : length;
  }

  /** Drops the claim; see {@link SliceBuffer.abort}. */
  abort(): void {
    if (this.#claimed === UNCLAIMED) throw new Error("Cannot abort as nothing is claimed");
    this.#claimed = UNCLAIMED;
  }

  /** Copies bytes into the claim, and commits them. */
  fill(source: Uint8Array): void {
    const { bytes, end } = this;
    const length = source.length;
    if (length > SHORT_COPY_BYTES) bytes.set(source, end);
    else for (let i = 0; i < length; i++) bytes[end + i] = source[i]!;
    this.end = end + length;
    this.#claimed = UNCLAIMED;
  }

  /** Shows the first bytes of the message; see {@link SliceBuffer.peek}. */
  peek(length: number): Uint8Array {
    checkInteger("peek", "length", length, 0);
    return this.bytes.subarray(this.start, Math.min(this.start + length, this.end));
  }

  /** Shows the message from where {@link OpenMessage.setStart} says. */
  view(): Uint8Array {
    return this.bytes.subarray(this.start + this.#skipped, this.end);
  }

  /** See {@link SliceBuffer.setStart}. */
  setStart(index: number): void {
    checkInteger("set the start", "index", index, 0, this.length);
    this.#skipped = index;
  }

  /** See {@link SliceBuffer.truncate}. */
  truncate(length: number): void {
    this.checkUnclaimed("truncate");
    checkInteger("truncate", "length", length, 0, this.length - this.#skipped);
    this.end = this.start + this.#skipped + length;
  }

  /** Moves the message within its array. */
  moveTo(start: number, limit: number): void {
    const { length } = this;
    if (start !== this.start && length > 0) this.bytes.copyWithin(start, this.start, this.end);
    this.start = start;
    this.end = start + length;
    this.limit = limit;
  }

  /** Copies the message into another array. */
  moveInto(bytes: Uint8Array, start: number, limit: number): void {
    const { length } = this;
    if (length > 0) bytes.set(this.bytes.subarray(this.start, this.end), start);
    this.bytes = bytes;
    this.start = start;
    this.end = start + length;
    this.limit = limit;
  }

  /** Begins the next message behind this one. */
  begin(): void {
    this.start = this.end;
    this.#skipped = 0;
  }
}

/** Throws unless this is an array of bytes. */
export function checkSource(source: Uint8Array): void {
  if (source?.BYTES_PER_ELEMENT !== 1) checkBytes("append", "source", source);
}
