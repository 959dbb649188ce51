/**
 * Records in shared memory, written and read one after the other: through a view that moves, beside
 * typed arrays by hand, and beside two libraries from npm. Those do not move their views, so they
 * get one for each record, made beforehand.
 *
 * A round goes through the records in batches of a thousand, as the reader of a ring does. Then the
 * cost of each kind of field is printed, and by how much the heap grows.
 *
 * @module
 */

import * as backedModule from "buffer-backed-object";
import { View } from "structurae";
import { array, bytes, defineRecord, utf8 } from "../mod.ts";
import {
  compare,
  compareHeap,
  declare,
  type Group,
  type LocalWay,
  onThisThread,
  printAtEnd,
} from "./alternating.ts";
import { checkSum } from "./messages.ts";

/** The package exports all by default, which its types do not say. */
const backed = (backedModule as unknown as { default: typeof backedModule }).default;

const COUNT = 1_000_000;
/** As many take long with the libraries. */
const COUNT_OF_SLOW = 20_000;
/** Records of a batch, and of the memory. */
const BATCH = 1000;

const Trade = defineRecord({ id: "u32", price: "f64", side: "u8", quantity: "i32" });
const STRIDE = Trade.byteLength;
const { id: ID, price: PRICE, side: SIDE, quantity: QUANTITY } = Trade.offsets;

const memory = new SharedArrayBuffer(BATCH * STRIDE);
const u8 = new Uint8Array(memory);
const i32 = new Int32Array(memory);
const u32 = new Uint32Array(memory);
const f64 = new Float64Array(memory);
const data = new DataView(memory);
const trade = Trade.view(memory);
/** Arrays and a view that V8 cannot take for constants, like those of a function. */
const held = [{ u8, i32, u32, f64, trade: Trade.view(memory) }];

/** One view for each record, of `buffer-backed-object`. */
const backedTrades = Array.from({ length: BATCH }, (_, i) => {
  const { BufferBackedObject, Float64, Int32, Uint32, Uint8 } = backed;
  const fields = {
    id: Uint32({ endianness: "little" }),
    price: Float64({ endianness: "little", align: 8 }),
    side: Uint8(),
    quantity: Int32({ endianness: "little", align: 4 }),
  };
  return BufferBackedObject(memory as unknown as ArrayBuffer, fields, { byteOffset: i * STRIDE });
});

interface PlainTrade {
  id: number;
  price: number;
  side: number;
  quantity: number;
}

/** One view for each record, of `structurae`, in memory of its own: it does not align fields. */
const structuraeTrades = (() => {
  const protocol = new View();
  const TradeView = protocol.create<PlainTrade>({
    $id: "Trade",
    type: "object",
    properties: {
      id: { type: "integer", btype: "uint32" },
      price: { type: "number", btype: "float64" },
      side: { type: "integer", btype: "uint8" },
      quantity: { type: "integer", btype: "int32" },
    },
  });
  const plain = { id: 0, price: 0, side: 0, quantity: 0 };
  return Array.from({ length: BATCH }, () => TradeView.from(plain));
})();

/** A way that writes batches. */
function writing(name: string, writeBatch: () => void, count = COUNT): LocalWay {
  return onThisThread(name, count, (count) => {
    for (let start = 0; start < count; start += BATCH) writeBatch();
  });
}

/** A way that reads batches, each of which has this sum. */
function reading(name: string, readBatch: () => number, count = COUNT): LocalWay {
  const expected = BATCH * (BATCH - 1) / 2 * 2.5 + BATCH / 2;
  return onThisThread(name, count, (count) => {
    let sum = 0;
    for (let start = 0; start < count; start += BATCH) sum += readBatch();
    checkSum(name, expected * Math.ceil(count / BATCH), sum);
  });
}

const writes: readonly LocalWay[] = [
  writing("typed arrays by hand", () => {
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      u32[(at + ID) >> 2] = i;
      f64[(at + PRICE) >> 3] = i / 2;
      u8[at + SIDE] = i & 1;
      i32[(at + QUANTITY) >> 2] = i;
    }
  }),
  writing("a DataView by hand", () => {
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      data.setUint32(at + ID, i, true);
      data.setFloat64(at + PRICE, i / 2, true);
      data.setUint8(at + SIDE, i & 1);
      data.setInt32(at + QUANTITY, i, true);
    }
  }),
  writing("a view that moves", () => {
    for (let i = 0; i < BATCH; i++) {
      trade.moveTo(i * STRIDE);
      trade.id = i;
      trade.price = i / 2;
      trade.side = i & 1;
      trade.quantity = i;
    }
  }),
  writing("typed arrays, not constants", () => {
    const { u8, i32, u32, f64 } = held[0]!;
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      u32[(at + ID) >> 2] = i;
      f64[(at + PRICE) >> 3] = i / 2;
      u8[at + SIDE] = i & 1;
      i32[(at + QUANTITY) >> 2] = i;
    }
  }),
  writing("a view that moves, not a constant", () => {
    const { trade } = held[0]!;
    for (let i = 0; i < BATCH; i++) {
      trade.moveTo(i * STRIDE);
      trade.id = i;
      trade.price = i / 2;
      trade.side = i & 1;
      trade.quantity = i;
    }
  }),
  writing("buffer-backed-object", () => {
    for (let i = 0; i < BATCH; i++) {
      const trade = backedTrades[i]!;
      trade.id = i;
      trade.price = i / 2;
      trade.side = i & 1;
      trade.quantity = i;
    }
  }, COUNT_OF_SLOW),
  writing("structurae", () => {
    for (let i = 0; i < BATCH; i++) {
      const trade = structuraeTrades[i]!;
      trade.set("id", i);
      trade.set("price", i / 2);
      trade.set("side", i & 1);
      trade.set("quantity", i);
    }
  }, COUNT_OF_SLOW),
];

const reads: readonly LocalWay[] = [
  reading("typed arrays by hand", () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      sum += u32[(at + ID) >> 2]! + f64[(at + PRICE) >> 3]!;
      sum += u8[at + SIDE]! + i32[(at + QUANTITY) >> 2]!;
    }
    return sum;
  }),
  reading("a DataView by hand", () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      sum += data.getUint32(at + ID, true) + data.getFloat64(at + PRICE, true);
      sum += data.getUint8(at + SIDE) + data.getInt32(at + QUANTITY, true);
    }
    return sum;
  }),
  reading("a view that moves", () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      trade.moveTo(i * STRIDE);
      sum += trade.id + trade.price;
      sum += trade.side + trade.quantity;
    }
    return sum;
  }),
  reading("typed arrays, not constants", () => {
    const { u8, i32, u32, f64 } = held[0]!;
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      const at = i * STRIDE;
      sum += u32[(at + ID) >> 2]! + f64[(at + PRICE) >> 3]!;
      sum += u8[at + SIDE]! + i32[(at + QUANTITY) >> 2]!;
    }
    return sum;
  }),
  reading("a view that moves, not a constant", () => {
    const { trade } = held[0]!;
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      trade.moveTo(i * STRIDE);
      sum += trade.id + trade.price;
      sum += trade.side + trade.quantity;
    }
    return sum;
  }),
  reading("buffer-backed-object", () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      const trade = backedTrades[i]!;
      sum += trade.id + trade.price;
      sum += trade.side + trade.quantity;
    }
    return sum;
  }, COUNT_OF_SLOW),
  reading("structurae", () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) {
      const trade = structuraeTrades[i]!;
      sum += trade.get("id")! + trade.get("price")!;
      sum += trade.get("side")! + trade.get("quantity")!;
    }
    return sum;
  }, COUNT_OF_SLOW),
];

const Level = defineRecord({ price: "f64", size: "u32" });
const Book = defineRecord({
  at: "i64",
  symbol: utf8(8),
  digest: bytes(16),
  best: Level,
  sums: array("f64", 4),
  levels: array(Level, 4),
});
const book = Book.view(new SharedArrayBuffer(BATCH * Book.byteLength));
book.symbol = "BUSBAR";
const plain = Book.read(book);

/** A way that does the same with each book of a batch; view and record are at hand. */
function each(name: string, use: (i: number) => void): LocalWay {
  return writing(name, () => {
    for (let i = 0; i < BATCH; i++) {
      book.moveTo(i * Book.byteLength);
      use(i);
    }
  });
}

const kinds: readonly LocalWay[] = [
  each("only move", () => {}),
  each("set a 64-bit integer", () => book.at = 5n),
  each("set a field of a nested record", (i) => book.best.price = i),
  each("set an element of an array", (i) => book.sums.set(i & 3, i)),
  each("set a field of a record of an array", (i) => book.levels.get(i & 3).price = i),
  each("set a byte of bytes", (i) => book.digest.set(i & 15, 7)),
  each("set text of 6 bytes", () => book.symbol = "BUSBAR"),
  each("get text of 6 bytes: makes a string", () => book.symbol),
  each("write a plain object", (i) => Book.write(book, i * Book.byteLength, plain)),
  each("read a plain object", () => Book.read(book)),
];

const groups: readonly Group[] = [
  { name: "write 4 fields", ways: writes },
  { name: "read 4 fields", ways: reads },
  { name: "a record of every kind of field", ways: kinds },
];

/** So that reading has something to read, whatever runs first. */
for (const { use } of writes) use(BATCH);

declare(groups.slice(0, 2));
printAtEnd(
  () => compare(groups.slice(0, 2), { unit: "nanoseconds a record", rounds: 15 }),
  () => compare(groups.slice(2), { unit: "nanoseconds a record", rounds: 5 }),
  () => compareHeap([writes[2]!, reads[2]!, ...kinds.slice(0, 7)]),
);
