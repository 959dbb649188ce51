/**
 * The types that follow from a definition: this file is the test, by being type-checked.
 */

import { assertEquals, assertThrows } from "@std/assert";
import {
  array,
  bytes,
  type BytesView,
  defineRecord,
  type RecordInput,
  type RecordsView,
  type RecordValue,
  type RecordView,
  type ScalarsView,
  utf8,
} from "@busbar/busbar/record";

/** True if both types are the same, `readonly` included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true
  : false;
/** Fails to compile unless its argument is true. */
function holds<_Claim extends true>(): void {}

const Level = defineRecord({ price: "f64", size: "u32" });
const Trade = defineRecord({
  id: "u32",
  at: "u64",
  isOpen: "bool",
  symbol: utf8(8),
  digest: bytes(4),
  best: Level,
  last: array("f32", 3),
  ids: array("i64", 3),
  levels: array(Level, 2),
});
type Trade = RecordValue<typeof Trade>;
type View = RecordView<typeof Trade>;
type Input = RecordInput<typeof Trade>;

Deno.test("types: values, inputs and views follow from the definition", () => {
  holds<
    Same<Trade, {
      id: number;
      at: bigint;
      isOpen: boolean;
      symbol: string;
      digest: Uint8Array<ArrayBuffer>;
      best: { price: number; size: number };
      last: number[];
      ids: bigint[];
      levels: { price: number; size: number }[];
    }>
  >();
  holds<Same<Input["last"], ArrayLike<number>>>();
  holds<Same<Input["digest"], Uint8Array>>();
  holds<Trade extends Input ? true : false>();
  holds<Same<View["id"], number>>();
  holds<Same<View["at"], bigint>>();
  holds<Same<View["symbol"], string>>();
  holds<Same<View["digest"], BytesView>>();
  holds<Same<View["ids"], ScalarsView<"i64">>>();
  holds<View["levels"] extends RecordsView<infer One> ? Same<One, View["best"]> : false>();
  holds<Same<View["best"]["price"], number>>();
  holds<Same<keyof typeof Trade.offsets, keyof Trade>>();
});

Deno.test("types: misuse that TypeScript sees does not compile", () => {
  const view = Trade.view(new Uint8Array(Trade.byteLength));
  // @ts-expect-error A number has no text.
  assertThrows(() => view.id = "1");
  // @ts-expect-error A 64-bit number is a bigint.
  assertThrows(() => view.at = 1);
  // @ts-expect-error An array is set by its own methods.
  assertThrows(() => view.last = [1, 2, 3]);
  // @ts-expect-error A nested record is set by its own fields.
  assertThrows(() => view.best = { price: 1, size: 1 });
  // @ts-expect-error No such field.
  assertThrows(() => view.prise = 1);
  // @ts-expect-error A part moves along, and cannot be moved.
  assertThrows(() => view.best.moveTo(0));
  // @ts-expect-error Other fields are missing.
  assertThrows(() => Trade.write(view, 0, { id: 1 }));
  // @ts-expect-error No such type.
  assertThrows(() => defineRecord({ id: "u31" }));
  // @ts-expect-error Text cannot be an element.
  assertThrows(() => array(utf8(3), 2));
  // @ts-expect-error A view of another record.
  assertThrows(() => Trade.read(Level.view(new Uint8Array(16))));
  assertEquals(view.id, 0);
});
