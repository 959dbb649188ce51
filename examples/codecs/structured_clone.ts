import { deserialize, serialize } from "node:v8";
import type { Codec } from "@busbar/busbar/channel";

/** Values that survive structured clone, and hold no shared memory or ports. */
export function structuredCloneCodec<Value>(): Codec<Value> {
  let bytes = new Uint8Array();
  return {
    name: "structured clone",
    encodedLength: (value) => (bytes = new Uint8Array(serialize(value))).length,
    encodeInto(_value, target, at) {
      target.set(bytes, at);
      return bytes.length;
    },
    decode: (source, at, length) => deserialize(source.slice(at, at + length)) as Value,
  };
}
