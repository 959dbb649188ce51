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
  /** How far it can extend without another look for room; 0 if each request is to look. */
  limit = 0;
  /** Where the claimed bytes end: at {@link OpenMessage.end} if none are claimed. */
  #claimEnd = 0;
  /** Whether there is a claim of no bytes. */
  #isEmptyClaim = false;
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
   * @returns Whether they do. If not, the buffer has to look for room, or the request is invalid.
   */
  tryClaim(length: number): boolean {
    const { end } = this;
    const claimEnd = end + length;
    if (length >>> 0 !== length || claimEnd > this.limit || this.#claimEnd !== end) return false;
    this.#claimEnd = claimEnd;
    return length > 0;
  }

  /** Claims bytes for which the buffer has found room. */
  claim(length: number): void {
    this.#claimEnd = this.end + length;
    this.#isEmptyClaim = length === 0;
  }

  /** Throws unless so many bytes can be claimed. */
  checkClaim(action: string, length: number): void {
    checkInteger(action, "length", length, 0, MAX_MESSAGE_BYTES);
    this.checkUnclaimed(action);
  }

  /** Throws if bytes are claimed. */
  checkUnclaimed(action: string): void {
    if (!this.#isClaimed) return;
    throw new Error(
      `Cannot ${action} as ${
        this.#claimEnd - this.end
      } bytes are claimed: commit or abort them first`,
    );
  }

  /** Shows the claimed bytes; see {@link SliceBuffer.room}. */
  room(): Uint8Array {
    this.#checkClaimed("show the room");
    return this.bytes.subarray(this.end, this.#claimEnd);
  }

  /** Makes claimed bytes part of the message; see {@link SliceBuffer.commit}. */
  commit(length: number | undefined): void {
    const claimEnd = this.#claimEnd;
    if (claimEnd === this.end || length !== undefined) this.#commit(length);
    else this.end = claimEnd;
  }

  /** Drops the claim; see {@link SliceBuffer.abort}. */
  abort(): void {
    this.#checkClaimed("abort");
    this.#unclaim();
  }

  /** Copies bytes into the claim, and commits them. */
  fill(source: Uint8Array): void {
    const { bytes, end } = this;
    const length = source.length;
    if (length > SHORT_COPY_BYTES) bytes.set(source, end);
    else for (let i = 0; i < length; i++) bytes[end + i] = source[i]!;
    this.end = end + length;
    this.#unclaim();
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
    this.#unclaim();
  }

  /** Moves the message within its array. */
  moveTo(start: number, limit: number): void {
    const { length } = this;
    if (start !== this.start && length > 0) this.bytes.copyWithin(start, this.start, this.end);
    this.start = start;
    this.end = start + length;
    this.limit = limit;
    this.#unclaim();
  }

  /** Copies the message into another array. */
  moveInto(bytes: Uint8Array, start: number, limit: number): void {
    const { length } = this;
    if (length > 0) bytes.set(this.bytes.subarray(this.start, this.end), start);
    this.bytes = bytes;
    this.start = start;
    this.end = start + length;
    this.limit = limit;
    this.#unclaim();
  }

  /** Begins the next message behind this one. */
  begin(): void {
    this.start = this.end;
    this.limit = 0;
    this.#skipped = 0;
    this.#unclaim();
  }

  get #isClaimed(): boolean {
    return this.#claimEnd !== this.end || this.#isEmptyClaim;
  }

  #checkClaimed(action: string): void {
    if (!this.#isClaimed) throw new Error(`Cannot ${action} as nothing is claimed`);
  }

  #commit(length: number | undefined): void {
    this.#checkClaimed("commit");
    const claimed = this.#claimEnd - this.end;
    if (length !== undefined) checkInteger("commit", "length", length, 0, claimed);
    this.end += length ?? claimed;
    this.#unclaim();
  }

  #unclaim(): void {
    this.#claimEnd = this.end;
    this.#isEmptyClaim = false;
  }
}

/** Throws unless this is an array of bytes. */
export function checkSource(source: Uint8Array): void {
  if (source?.BYTES_PER_ELEMENT !== 1) checkBytes("append", "source", source);
}
