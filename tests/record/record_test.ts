/**
 * Records on one thread: layout, views, copies, and what is refused.
 */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Broadcast, BufferPool, FlushQueue, Memory } from "@busbar/busbar";
import { array, bytes, defineRecord, type RecordInput, utf8 } from "@busbar/busbar/record";

const Level = defineRecord({ price: "f64", size: "u16" });
const Trade = defineRecord({
  id: "u32",
  price: "f64",
  side: "u8",
  symbol: utf8(8),
  digest: bytes(4),
  best: Level,
  last: array("f32", 3),
  levels: array(Level, 2),
  at: "i64",
  isOpen: "bool",
});

const trade: RecordInput<typeof Trade> = {
  id: 7,
  price: 99.5,
  side: 1,
  symbol: "BTC/€",
  digest: new Uint8Array([1, 2, 3, 4]),
  best: { price: 98, size: 3 },
  last: [1, 2, 0.5],
  levels: [{ price: 97, size: 5 }, { price: 96, size: 6 }],
  at: -(2n ** 63n),
  isOpen: true,
};

const twoTrades = () => new Uint8Array(2 * Trade.byteLength);

Deno.test("record: fields lie like those of a C struct, each aligned to its size", () => {
  assertEquals(Trade.offsets, {
    id: 0,
    price: 8,
    side: 16,
    symbol: 17,
    digest: 25,
    best: 32,
    last: 48,
    levels: 64,
    at: 96,
    isOpen: 104,
  });
  assertEquals([Trade.byteLength, Trade.alignment], [112, 8]);
  assertEquals([Level.byteLength, Level.alignment], [16, 8]);
  const { byteLength, alignment } = defineRecord({ text: utf8(3), flag: "bool" });
  assertEquals([byteLength, alignment], [4, 1]);
});

Deno.test("record: what is written is read, and nothing beside the record is touched", () => {
  const target = twoTrades().fill(0xaa);
  Trade.write(target, Trade.byteLength, trade);
  assertEquals(Trade.read(target, Trade.byteLength), trade);
  assert(target.subarray(0, Trade.byteLength).every((byte) => byte === 0xaa));
  const { price } = Trade.offsets;
  assertEquals(new DataView(target.buffer).getFloat64(Trade.byteLength + price, true), 99.5);
});

Deno.test("record: a view reads and sets each field in place, and moves with its parts", () => {
  const target = twoTrades();
  const view = Trade.view(target);
  const { best, levels, last, digest } = view;
  const level = levels.get(1);
  for (const start of [0, Trade.byteLength]) {
    view.moveTo(start);
    assertEquals(view.byteOffset, start);
    view.id = start + 1;
    view.price = -0;
    view.side = 255;
    view.symbol = "full 8 b";
    view.at = 2n ** 63n - 1n;
    view.isOpen = start === 0;
    best.price = start + 2;
    level.size = start + 3;
    for (let i = 0; i < 3; i++) last.set(i, start + i);
    digest.set(3, start === 0 ? 5 : 6);
  }
  for (const start of [0, Trade.byteLength]) {
    assertEquals(Trade.read(target, start), {
      id: start + 1,
      price: -0,
      side: 255,
      symbol: "full 8 b",
      digest: new Uint8Array([0, 0, 0, start === 0 ? 5 : 6]),
      best: { price: start + 2, size: 0 },
      last: [start, start + 1, start + 2],
      levels: [{ price: 0, size: 0 }, { price: 0, size: start + 3 }],
      at: 2n ** 63n - 1n,
      isOpen: start === 0,
    });
    view.moveTo(start);
    assertEquals([view.id, view.isOpen, view.symbol], [start + 1, start === 0, "full 8 b"]);
    assertEquals([best.price, last.get(2), digest.get(3)], [start + 2, start + 2, start ? 6 : 5]);
    assertEquals([level.size, levels.get(0).size, levels.get(1).size], [start + 3, 0, start + 3]);
  }
});

Deno.test("record: a view that is read or written moves first, if an offset is given", () => {
  const view = Trade.view(twoTrades());
  Trade.write(view, Trade.byteLength, trade);
  assertEquals(view.byteOffset, Trade.byteLength);
  assertEquals(Trade.read(view), trade);
  assertEquals(Trade.read(view, 0).id, 0);
  assertEquals(view.byteOffset, 0);
});

Deno.test("record: a field of bytes copies in and out, and shows its bytes", () => {
  const { digest } = Trade.view(twoTrades(), Trade.byteLength);
  digest.copyFrom(new Uint8Array([1, 2, 3, 4]));
  const target = new Uint8Array(6);
  digest.copyTo(target, 1);
  assertEquals(target, new Uint8Array([0, 1, 2, 3, 4, 0]));
  assertEquals(digest.toArray(), new Uint8Array([1, 2, 3, 4]));
  digest.subarray()[0] = 9;
  assertEquals(digest.get(0), 9);
  assertThrows(() => digest.copyTo(target, 3), RangeError, "'index' must be a whole number from 0");
  assertThrows(() => digest.copyTo(new Uint8Array(3)), RangeError, "4 bytes for field 'digest'");
  assertThrows(
    () => digest.copyFrom(new Uint8Array(5)),
    RangeError,
    "Cannot write record as field 'digest' must be exactly 4 bytes: received 5 bytes",
  );
});

Deno.test("record: arrays can be iterated, and set at once", () => {
  const view = Trade.view(twoTrades());
  view.last.copyFrom(new Float32Array([1, 2, 3]));
  assertEquals([...view.last], [1, 2, 3]);
  for (const level of view.levels) level.size = 4;
  assertEquals(Trade.read(view).levels.map(({ size }) => size), [4, 4]);
  assertStrictEquals(view.levels.get(0), view.levels.get(1));
});

Deno.test("record: every thing that hands out bytes takes records", () => {
  const memory = Memory.create({ byteLength: 256 });
  const pool = BufferPool.create({ bufferBytes: 1024, batchCount: 4 });
  const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
  const writer = broadcast.writer();
  const queue = FlushQueue.create({ pool }).writer();
  const packet = pool.packet(pool.acquire(), 0, Trade.byteLength);
  const targets = [
    [memory, 8],
    [memory.buffer, 8],
    [new ArrayBuffer(256), 16],
    [new DataView(new ArrayBuffer(256), 8), 8],
    [new Float64Array(32), 0],
    [writer.bytes, writer.claim(Trade.byteLength)],
    [pool.bytes, pool.offsetOf(pool.acquire())],
    [queue.bytes, queue.tryClaim(Trade.byteLength)],
    [packet.bytes, 0],
  ] as const;
  for (const [target, offset] of targets) {
    Trade.write(target, offset, trade);
    assertEquals(Trade.read(target, offset), trade);
  }
});

Deno.test("record: a target that is none, too short or not aligned is refused", () => {
  for (const target of [null, undefined, 5, {}, { buffer: new ArrayBuffer(8) }, [1]]) {
    assertThrows(
      () => Trade.view(target as unknown as Uint8Array),
      TypeError,
      "must be a Memory, a buffer, or a view of one such as a Uint8Array: received",
    );
  }
  assertThrows(
    () => Trade.view(new Uint8Array(111)),
    RangeError,
    "its target must have at least 112 bytes: received 111",
  );
  assertThrows(
    () => Trade.view(new Uint8Array(new ArrayBuffer(256), 4)),
    RangeError,
    "its target must begin at a multiple of 8 in its buffer: received one that begins at 4",
  );
});

Deno.test("record: an offset that is not aligned or out of bounds is refused, and does not move", () => {
  const view = Trade.view(twoTrades(), 8);
  for (const offset of [4, -8, 120, 8.5, NaN, Infinity, 2 ** 32, "8", 2 ** 53]) {
    assertThrows(
      () => view.moveTo(offset as number),
      RangeError,
      `Cannot move record of 112 bytes as 'byteOffset' must be a multiple of 8 from 0 to 112: received ${
        typeof offset === "string" ? `"8"` : offset
      }`,
    );
    assertThrows(() => Trade.write(twoTrades(), offset as number, trade), RangeError);
    assertEquals(view.byteOffset, 8);
  }
  view.moveTo(112);
});

Deno.test("record: the view of a field cannot be moved on its own", () => {
  const view = Trade.view(twoTrades());
  for (
    const [part, name] of [[view.best, "best"], [view.levels.get(0), "levels[]"]] as const
  ) {
    assertThrows(
      () => (part as unknown as typeof view).moveTo(0),
      TypeError,
      `Cannot move record as it is field '${name}' of another: move that one`,
    );
  }
});

/** A value that a field does not take, and the error. */
type Refusal = readonly [field: string, value: unknown, expected: string, received: string];

const WHOLE = "a whole number from";
const REFUSALS: readonly Refusal[] = [
  ["id", -1, `${WHOLE} 0 to 4294967295`, "-1"],
  ["id", 2 ** 32, `${WHOLE} 0 to 4294967295`, "4294967296"],
  ["id", 0.5, `${WHOLE} 0 to 4294967295`, "0.5"],
  ["id", NaN, `${WHOLE} 0 to 4294967295`, "NaN"],
  ["id", "1", `${WHOLE} 0 to 4294967295`, `"1"`],
  ["id", 1n, `${WHOLE} 0 to 4294967295`, "1n"],
  ["id", null, `${WHOLE} 0 to 4294967295`, "null"],
  ["side", 256, `${WHOLE} 0 to 255`, "256"],
  ["side", true, `${WHOLE} 0 to 255`, "true"],
  ["price", "1", "a number", `"1"`],
  ["price", undefined, "a number", "undefined"],
  ["at", 2n ** 63n, "a bigint from -9223372036854775808n to", "9223372036854775808n"],
  ["at", 5, "a bigint from -9223372036854775808n to", "5"],
  ["isOpen", 1, "a boolean", "1"],
  ["symbol", 5, "a string", "5"],
  ["symbol", "€€€", "text of at most 8 bytes in UTF-8", `9 bytes, "€€€"`],
  ["symbol", "a\0", "well-formed text without U+0000", String.raw`"a\u0000", with U+0000 at 1`],
  ["symbol", "\ud800", "well-formed text without U+0000", String.raw`"\ud800", with U+D800 at 0`],
];

for (const [field, value, expected, received] of REFUSALS) {
  Deno.test(`record: ${field} does not take ${received}, by a view nor by write`, () => {
    const target = twoTrades();
    Trade.write(target, 0, trade);
    const view = Trade.view(target);
    const message = `Cannot write record as field '${field}' must be ${expected}`;
    const set = () => (view as unknown as Record<string, unknown>)[field] = value;
    const write = () => Trade.write(target, 0, { ...trade, [field]: value });
    for (const use of [set, write]) {
      const error = assertThrows(use, Error, message);
      assert(error.message.endsWith(`: received ${received}`), error.message);
      const isOfType = typeof value === typeof trade[field as keyof typeof trade];
      const isText = expected.startsWith("well-formed");
      assertEquals(error.name, isOfType && !isText ? "RangeError" : "TypeError");
      assertEquals(Trade.read(target), trade);
    }
  });
}

Deno.test("record: write names the nested field or the element that it refuses", () => {
  const target = twoTrades();
  const refuses = (change: object, message: string) => {
    assertThrows(() => Trade.write(target, 0, { ...trade, ...change }), Error, message);
    assert(target.every((byte) => byte === 0));
  };
  refuses({ best: { price: 1, size: -1 } }, "field 'best.size' must be a whole number");
  refuses({ best: { price: 1 } }, "field 'best.size' is missing: received 'price'");
  refuses({ best: 5 }, "field 'best' must be an object with its fields: received 5");
  refuses({ last: [1, 2, "3"] }, `field 'last[2]' must be a number within the range of f32`);
  refuses({ last: [1, 2, 1e39] }, "field 'last[2]' must be a number within the range of f32");
  refuses({ last: [1, 2] }, "field 'last' must be an array of 3 elements: received one of 2");
  refuses({ last: 5 }, "field 'last' must be an array of 3 elements: received 5");
  refuses({ last: "123" }, `field 'last' must be an array of 3 elements: received "123"`);
  refuses({ levels: [trade.best, {}] }, "field 'levels[1].price' is missing: received no fields");
  refuses(
    { levels: [trade.best, { price: 1, size: 1, sise: 1 }] },
    "field 'levels[1]' must have no fields but 'price', 'size': received 'sise'",
  );
  refuses({ digest: [1, 2, 3, 4] }, "field 'digest' must be a Uint8Array: received [object Array]");
  refuses(
    { digest: new Uint8Array(3) },
    "field 'digest' must be exactly 4 bytes: received 3 bytes",
  );
});

Deno.test("record: write wants each field, and no others", () => {
  const target = twoTrades();
  const { id: _, ...rest } = trade;
  assertThrows(
    () => Trade.write(target, 0, rest as typeof trade),
    TypeError,
    "Cannot write record as field 'id' is missing: received 'price', 'side',",
  );
  assertThrows(
    () => Trade.write(target, 0, { ...trade, prise: 1 } as typeof trade),
    TypeError,
    "Cannot write record as the value must have no fields but 'id', 'price',",
  );
  assertThrows(
    () => Trade.write(target, 0, null as unknown as typeof trade),
    TypeError,
    "Cannot write record as the value must be an object with its fields: received null",
  );
});

Deno.test("record: elements of views check their index and their value", () => {
  const view = Trade.view(twoTrades());
  for (const index of [-1, 3, 0.5, NaN]) {
    const message =
      `record as an index of field 'last' must be a whole number from 0 to 2: received ${index}`;
    assertThrows(() => view.last.get(index), RangeError, `Cannot read ${message}`);
    assertThrows(() => view.last.set(index, 0), RangeError, `Cannot write ${message}`);
    assertThrows(() => view.levels.get(index), RangeError, "of field 'levels' must be a whole");
  }
  assertThrows(() => view.digest.get(4), RangeError, "of field 'digest' must be a whole number");
  assertThrows(() => view.digest.set(4, 0), RangeError, "of field 'digest' must be a whole number");
  assertThrows(() => view.digest.set(0, 256), RangeError, "field 'digest[0]' must be a whole");
  assertThrows(() => view.last.set(1, 1e39), RangeError, "field 'last[1]' must be a number within");
  assertThrows(
    () => view.levels.get(1).size = 65536,
    RangeError,
    "field 'levels[].size' must be a whole number from 0 to 65535: received 65536",
  );
  assertThrows(() => view.best.size = -1, RangeError, "field 'best.size' must be a whole number");
});

Deno.test("record: a view has no other fields, and keeps its parts", () => {
  const view = Trade.view(twoTrades()) as unknown as Record<string, unknown>;
  assertThrows(() => view.prise = 1, TypeError, "prise");
  assertThrows(() => view.levels = [], TypeError, "levels");
  assertThrows(() => view.best = {}, TypeError, "best");
});

Deno.test("record: a number of 32 bits is rounded, and may be infinite or NaN", () => {
  const view = Trade.view(twoTrades());
  for (const value of [0.1, -1e-50, Infinity, -Infinity, NaN, 3.4e38]) {
    view.last.set(0, value);
    assertEquals(view.last.get(0), Math.fround(value));
  }
});

Deno.test("record: a view of another record is not read", () => {
  const other = Level.view(new Uint8Array(256)) as unknown as Uint8Array;
  assertThrows(
    () => Trade.read(other),
    TypeError,
    "a view of this record was expected: received one of another",
  );
});

Deno.test("record: bytes that are not UTF-8 read as U+FFFD", () => {
  const target = twoTrades();
  const view = Trade.view(target);
  const decoder = new TextDecoder();
  for (
    const found of [
      [0x61, 0xff, 0x62],
      [0xe2, 0x82],
      [0xc0, 0x80],
      [0x80, 0x61],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf8, 0x61],
      [0xe2, 0x61, 0x61],
      [0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0xe2],
    ]
  ) {
    target.fill(0).set(found, Trade.offsets.symbol);
    const marks = (text: string) => text.replaceAll(/\ufffd+/g, "\ufffd");
    assertEquals(marks(view.symbol), marks(decoder.decode(new Uint8Array(found))));
  }
});

Deno.test("record: text keeps a byte order mark, and shorter text clears what was there", () => {
  const view = Trade.view(twoTrades());
  view.symbol = "\ufeff12345";
  assertEquals(view.symbol, "\ufeff12345");
  view.symbol = "😀";
  assertEquals(view.symbol, "😀");
  view.symbol = "";
  assertEquals(view.symbol, "");
  assertNotStrictEquals(Trade.view(twoTrades()), view);
});
