/**
 * Messages on their way into a cell, and out of one: encoded in private bytes, and copied between
 * those and the cell; or the buffer of a pool, if they are too long for a cell.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import type { Copier } from "../memory/copier.ts";
import type { Memory } from "../memory/memory.ts";
import type { BufferPool } from "../pool/mod.ts";
import type { Codec } from "./codec.ts";
import type { Cells } from "./cells.ts";
import { IN_POOL } from "./layout.ts";
import type { ChannelState } from "./state.ts";

/** Up to how many bytes are copied by a loop over words. */
const FEW_BYTES = 64;

/** What the messages of a channel are made with. */
export interface Format<Value, Input> {
  /** Makes bytes of values, and values of bytes. */
  readonly codec: Codec<Value, Input>;
  /** Where long messages lie. */
  readonly pool: BufferPool | undefined;
}

/** Private bytes that grow, and copies between them and shared memory. */
export class Scratch {
  readonly #memory: Memory;
  readonly #shared: Int32Array;
  readonly #sharedStart: number;
  /** The bytes. */
  bytes: Uint8Array<ArrayBuffer>;
  #words: Int32Array;
  #copier: Copier;

  /** Bytes to copy from and to these shared words. */
  constructor(memory: Memory, shared: Int32Array, byteLength: number) {
    this.#memory = memory;
    this.#shared = shared;
    this.#sharedStart = shared.byteOffset;
    this.bytes = memory.privateBytes(roundUp(byteLength));
    this.#words = wordsOf(this.bytes);
    this.#copier = memory.copier(this.bytes);
  }

  /** Makes room, and keeps the first bytes. */
  reserve(byteLength: number): void {
    if (byteLength <= this.bytes.length) return;
    const before = this.bytes;
    this.bytes = this.#memory.privateBytes(roundUp(byteLength));
    this.bytes.set(before);
    this.#words = wordsOf(this.bytes);
    this.#copier = this.#memory.copier(this.bytes);
  }

  /** Copies from the offset `source`, a multiple of 4, to the shared word `target` and so on. */
  copyIn(target: number, source: number, byteLength: number): void {
    if (byteLength > FEW_BYTES) {
      this.#copier.copyIn(this.#sharedStart + 4 * target, source, byteLength);
      return;
    }
    const shared = this.#shared;
    const words = this.#words;
    const first = source >> 2;
    for (let i = 0; i < byteLength + 3 >> 2; i++) shared[target + i] = words[first + i]!;
  }

  /** Copies from the shared word `source` on to the beginning. */
  copyOut(source: number, byteLength: number): void {
    this.reserve(byteLength);
    if (byteLength > FEW_BYTES) {
      this.#copier.copyOut(0, this.#sharedStart + 4 * source, byteLength);
      return;
    }
    const shared = this.#shared;
    const words = this.#words;
    for (let i = 0; i < byteLength + 3 >> 2; i++) words[i] = shared[source + i]!;
  }
}

function roundUp(byteLength: number): number {
  return Math.max(64, 2 ** Math.ceil(Math.log2(byteLength)));
}

function wordsOf(bytes: Uint8Array<ArrayBuffer>): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/** The longest message of a channel, in bytes. */
export function maxMessageBytes(state: ChannelState, pool: BufferPool | undefined): number {
  const { inlineBytes } = state.region.layout.size;
  return Math.max(inlineBytes, pool?.bufferBytes ?? 0);
}

/** Encodes messages, end to end. */
export class Encoder<Input> {
  readonly #format: Format<unknown, Input>;
  readonly #scratch: Scratch;
  readonly #words: Int32Array;
  readonly #cells: Cells;
  readonly #inlineBytes: number;
  readonly #maxBytes: number;
  /** Where the next message begins in the scratch. */
  #end = 0;

  /** Encodes for this channel. */
  constructor(state: ChannelState, format: Format<unknown, Input>) {
    const { memory, words, layout } = state.region;
    this.#format = format;
    this.#words = words;
    this.#cells = state.cells;
    this.#inlineBytes = layout.size.inlineBytes;
    this.#maxBytes = maxMessageBytes(state, format.pool);
    this.#scratch = new Scratch(memory, words, this.#inlineBytes);
  }

  /** The bytes that are encoded. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#scratch.bytes;
  }

  /** Begins again. */
  restart(): void {
    this.#end = 0;
  }

  /** Where the next message will begin, a multiple of 8. */
  get next(): number {
    return this.#end;
  }

  /**
   * Encodes a value; returns its length.
   *
   * @throws {RangeError} If it takes more bytes than a message may have.
   * @throws The codec's error.
   */
  encode(value: Input): number {
    const { codec } = this.#format;
    const scratch = this.#scratch;
    const at = this.#end;
    const most = codec.encodedLength(value);
    if (!(most >= 0)) checkInteger("send", "encodedLength", most, 0);
    scratch.reserve(at + most);
    const length = codec.encodeInto(value, scratch.bytes, at);
    if (!(length >= 0 && length <= most && length <= this.#maxBytes)) this.#refuse(length, most);
    this.#end = at + length + 7 & ~7;
    return length;
  }

  #refuse(length: number, most: number): never {
    checkInteger("send", "encodeInto", length, 0, most);
    const remedy = this.#format.pool === undefined
      ? "create the channel with more 'inlineBytes', or with a 'pool'"
      : "create its pool with more 'bufferBytes'";
    throw new RangeError(
      `Cannot send a message of ${length} bytes as ${this.#maxBytes} fit: ${remedy}`,
    );
  }

  /** Whether a message of this length goes into a cell. */
  isInline(length: number): boolean {
    return length <= this.#inlineBytes;
  }

  /** Copies a message into a cell. */
  store(position: number, at: number, length: number): void {
    this.#words[this.#cells.lengthOf(position)] = length;
    this.#scratch.copyIn(this.#cells.messageOf(position), at, length);
  }
}

/** Decodes messages. */
export class Decoder<Value> {
  readonly #format: Format<Value, never>;
  readonly #scratch: Scratch;
  readonly #words: Int32Array;
  readonly #cells: Cells;

  /** Decodes for this channel. */
  constructor(state: ChannelState, format: Format<Value, never>) {
    const { memory, words, layout } = state.region;
    this.#format = format;
    this.#words = words;
    this.#cells = state.cells;
    this.#scratch = new Scratch(memory, words, layout.size.inlineBytes);
  }

  /** Copies the message at a position out; returns its length. */
  load(position: number): number {
    const length = this.#words[this.#cells.lengthOf(position)]!;
    if (length !== IN_POOL) {
      this.#scratch.copyOut(this.#cells.messageOf(position), length);
      return length;
    }
    const bytes = this.pooledBytes(position);
    this.#scratch.reserve(bytes.length);
    this.#scratch.bytes.set(bytes);
    return bytes.length;
  }

  /** The message at a position that lies in the pool. */
  pooledBytes(position: number): Uint8Array<SharedArrayBuffer> {
    const words = this.#words;
    const pool = poolOf(this.#format.pool);
    const message = this.#cells.messageOf(position);
    const start = pool.offsetOf(words[message]!) + words[message + 1]!;
    return pool.bytes.subarray(start, start + words[message + 2]!);
  }

  /** The value of the message that was loaded last. */
  decode(length: number): Value {
    return this.#format.codec.decode(this.#scratch.bytes, 0, length);
  }
}

/** The pool that a message lies in. */
export function poolOf(pool: BufferPool | undefined): BufferPool {
  if (pool !== undefined) return pool;
  throw new TypeError(
    "Cannot receive a message that lies in a pool: attach with the 'pool' of the sender",
  );
}
