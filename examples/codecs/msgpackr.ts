import { pack, unpack } from "msgpackr/index-no-eval";
import type { Codec } from "@busbar/busbar/channel";

/** Values as MessagePack has them. */
export function msgpackrCodec<Value>(): Codec<Value> {
  let packed = new Uint8Array();
  return {
    name: "msgpackr",
    encodedLength: (value) => (packed = new Uint8Array(pack(value))).length,
    encodeInto(_value, target, at) {
      target.set(packed, at);
      return packed.length;
    },
    decode: (source, at, length) => unpack(source.subarray(at, at + length)),
  };
}
