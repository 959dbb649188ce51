/**
 * Codecs: how values become bytes, and bytes values.
 *
 * A codec is three functions. They work on bytes of one thread, never on shared ones, which the
 * encoders of browsers refuse; the channel copies between those and its cells.
 *
 * @module
 */

import { checkBytes, describe } from "../memory/check.ts";
import type {
  FieldTypes,
  RecordInput,
  RecordType,
  RecordValue,
  RecordView,
} from "../record/mod.ts";

/**
 * How values of one type become bytes, and bytes values. What a function throws reaches the caller
 * of the channel, which is as it was before.
 *
 * @typeParam Value What is received.
 * @typeParam Input What is sent: what is received, or the like.
 */
export interface Codec<Value, Input = Value> {
  /** How many bytes a value takes, or at most. Called before `encodeInto`, with the same value. */
  encodedLength(value: Input): number;
  /** Writes a value to `target` from the offset `at` on; returns how many bytes it took. */
  encodeInto(value: Input, target: Uint8Array, at: number): number;
  /** Makes a value of `length` bytes of `source` from the offset `at` on, and keeps no view. */
  decode(source: Uint8Array, at: number, length: number): Value;
  /** What the codec is called: threads whose codecs have different names cannot share a channel. */
  readonly name?: string;
  /** The bytes of each value, if they are equally many. */
  readonly byteLength?: number;
}

/** Up to how many units a text is encoded, and decoded, one by one. */
const SHORT_TEXT = 64;

let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/** Writes a text in UTF-8; returns how many bytes it took. */
function encodeText(value: string, target: Uint8Array, at: number): number {
  const { length } = value;
  if (length <= SHORT_TEXT && length <= target.length - at) {
    let i = 0;
    for (; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) break;
      target[at + i] = unit;
    }
    if (i === length) return length;
  }
  encoder ??= new TextEncoder();
  return encoder.encodeInto(value, at === 0 ? target : target.subarray(at)).written;
}

function decodeText(source: Uint8Array, at: number, length: number): string {
  if (length <= SHORT_TEXT) {
    let text = "";
    let i = at;
    for (const end = at + length; i < end; i++) {
      const byte = source[i]!;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (i === at + length) return text;
  }
  decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(source.subarray(at, at + length));
}

function checkText(value: string): void {
  if (typeof value === "string") return;
  throw new TypeError(`Cannot send as a text was expected: received ${describe(value)}`);
}

/** Bytes, as they are; received bytes are a copy that belongs to the receiver. */
export const bytesCodec: Codec<Uint8Array<ArrayBuffer>, Uint8Array> = {
  name: "bytes",
  encodedLength(value) {
    checkBytes("send", "value", value);
    return value.length;
  },
  encodeInto(value, target, at) {
    target.set(value, at);
    return value.length;
  },
  decode: (source, at, length) => new Uint8Array(source.subarray(at, at + length)),
};

/** Text, in UTF-8. Halves of surrogate pairs become U+FFFD. */
export const textCodec: Codec<string> = {
  name: "text",
  encodedLength(value) {
    checkText(value);
    return 3 * value.length;
  },
  encodeInto: encodeText,
  decode: decodeText,
};

/**
 * Values that JSON has: `JSON.stringify` and `JSON.parse` do the work.
 *
 * @typeParam Value What is sent, and received, which is not checked.
 */
export function jsonCodec<Value>(): Codec<Value> {
  let text = "";
  return {
    name: "json",
    encodedLength(value) {
      const found: string | undefined = JSON.stringify(value);
      if (found === undefined) {
        throw new TypeError(`Cannot send as JSON has no such value: received ${describe(value)}`);
      }
      text = found;
      return 3 * found.length;
    },
    encodeInto: (_, target, at) => encodeText(text, target, at),
    decode: (source, at, length) => JSON.parse(decodeText(source, at, length)) as Value,
  };
}

/**
 * Records, as plain objects. To write and read them in place, without an object for each, claim
 * cells and poll them instead.
 *
 * @param type What `defineRecord` returned.
 */
export function recordCodec<Fields extends FieldTypes>(
  type: RecordType<Fields>,
): Codec<RecordValue<RecordType<Fields>>, RecordInput<RecordType<Fields>>> {
  const { byteLength } = type;
  const views = new WeakMap<Uint8Array, RecordView<RecordType<Fields>>>();
  const viewOf = (bytes: Uint8Array): RecordView<RecordType<Fields>> => {
    let view = views.get(bytes);
    if (view === undefined) views.set(bytes, view = type.view(bytes));
    return view;
  };
  return {
    name: `record ${type.fingerprint}`,
    byteLength,
    encodedLength: () => byteLength,
    encodeInto(value, target, at) {
      type.write(viewOf(target), at, value);
      return byteLength;
    },
    decode: (source, at) => type.read(viewOf(source), at),
  };
}

/** The codec of this name, if it is one that needs nothing but its name. */
export function codecOfName(name: string | undefined): Codec<unknown, never> | undefined {
  switch (name) {
    case "bytes":
      return bytesCodec;
    case "text":
      return textCodec;
    case "json":
      return jsonCodec();
    default:
      return undefined;
  }
}

/**
 * Throws unless it is a codec.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
 */
export function checkCodec(action: string, codec: unknown): void {
  const { encodedLength, encodeInto, decode } = (codec ?? {}) as Partial<Codec<unknown>>;
  const isCodec = [encodedLength, encodeInto, decode].every((part) => typeof part === "function");
  if (isCodec) return;
  throw new TypeError(
    `Cannot ${action} as 'codec' must be an object with encodedLength, encodeInto and decode: received ${
      describe(codec)
    }`,
  );
}
