/**
 * Cuts a file into records, and records into messages that the ring can carry.
 *
 * @module
 */

import type { FrameOptions } from "../../broadcast/mod.ts";

/** What is used of an open file. */
export type Source = Pick<Deno.FsFile, "readSync" | "seekSync">;

/** The bytes of a message, valid until the next is taken, and the flags of its frame. */
export interface Message {
  readonly bytes: Uint8Array;
  readonly frame: FrameOptions | undefined; // undefined for a whole record
}

const BLOCK_BYTES = 512 * 1024;
/** No message is longer, so that a block has room behind an incomplete record. */
const MAX_MESSAGE_BYTES = BLOCK_BYTES / 2;
const BINARY_RECORD_BYTES = 1024;
const NEWLINE = 10;

/** Reads a source record by record, block by block. A line includes its newline. */
export class RecordReader {
  /** What was read so far, and into how many records and messages it was cut. */
  readonly totals = { kind: "text", bytes: 0, records: 0, messages: 0 };
  readonly #source: Source;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  /** The end of the bytes in the block. */
  #end = 0;
  #isLastBlock = false;
  /** The length of a record; undefined for lines. */
  readonly #recordBytes: number | undefined;
  /** How many bytes of the current record were taken. */
  #taken = 0;

  /** Reads the first block. By default, records are lines of text or 1 KiB of binary data. */
  constructor(source: Source, recordBytes?: number) {
    this.#source = source;
    this.#readBlock(0);
    const isBinary = this.#block.subarray(0, this.#end).includes(0);
    if (isBinary) this.totals.kind = "binary data";
    this.#recordBytes = recordBytes ?? (isBinary ? BINARY_RECORD_BYTES : undefined);
  }

  /** Iterates over the messages; a record longer than `maxBytes` is split into several. */
  *take(maxBytes: number): Generator<Message> {
    const length = Math.min(maxBytes, MAX_MESSAGE_BYTES);
    while (this.#end > 0) {
      let from = 0;
      while (from < this.#end) {
        const end = this.#endOfRecord(from);
        const to = end ?? this.#end;
        for (; to - from > length; from += length) yield this.#message(from, from + length, false);
        if (end === undefined) break; // the rest comes first in the next block
        yield this.#message(from, to, true);
        from = to;
      }
      this.#readBlock(from);
    }
  }

  /** Moves the bytes from `from` on to the beginning, and fills the block behind them. */
  #readBlock(from: number): void {
    this.#block.copyWithin(0, from, this.#end);
    this.#end -= from;
    const read = this.#source.readSync(this.#block.subarray(this.#end)) ?? 0;
    this.#end += read;
    this.totals.bytes += read;
    this.#isLastBlock = read === 0;
  }

  /** The end of the record that continues at `from`; undefined if it is beyond this block. */
  #endOfRecord(from: number): number | undefined {
    const end = this.#recordBytes === undefined
      ? this.#block.indexOf(NEWLINE, from) + 1 || Infinity
      : from + this.#recordBytes - this.#taken;
    if (end <= this.#end) return end;
    return this.#isLastBlock ? this.#end : undefined;
  }

  #message(from: number, to: number, isLast: boolean): Message {
    const isFirst = this.#taken === 0;
    this.totals.messages++;
    if (isLast) this.totals.records++;
    this.#taken = isLast ? 0 : this.#taken + to - from;
    const frame = isFirst && isLast ? undefined : { continuation: !isFirst, final: isLast };
    return { bytes: this.#block.subarray(from, to), frame };
  }
}
