/**
 * The record of `record_worker_test.ts`, and the bodies of its workers.
 *
 * @module
 */

import {
  array,
  Broadcast,
  type BroadcastHandle,
  BufferPool,
  type BufferPoolHandle,
  bytes,
  defineRecord,
  type DetachedPacket,
  type RecordHandle,
  utf8,
} from "@busbar/busbar";

const Level = defineRecord({ price: "f64", size: "u32" });

/** A record with a field of each kind. */
export const Trade = defineRecord({
  id: "u32",
  price: "f64",
  side: "i8",
  isOpen: "bool",
  symbol: utf8(8),
  digest: bytes(4),
  at: "u64",
  levels: array(Level, 2),
  sums: array("i16", 3),
});

/** The trade with a number. */
export function tradeOf(id: number) {
  return {
    id,
    price: id / 3,
    side: (id % 256) - 128,
    isOpen: id % 2 === 0,
    symbol: `#${id}`,
    digest: new Uint8Array([id, id >> 8, id >> 16, id >> 24]),
    at: BigInt(id) << 32n,
    levels: [{ price: id + 1, size: id }, { price: id + 2, size: id }],
    sums: [id % 7, 5 - (id % 11), id % 13],
  };
}

/** The task of a body. */
export interface Job {
  /** What the record is in the thread that gives the task. */
  record: RecordHandle;
  ring: BroadcastHandle;
  messages: number;
  /** How many trades were read, so that the writer does not overrun the reader. */
  progress: Int32Array;
}

/** Writes trades into a ring: every other one field by field, the others at once. */
export function writeTrades({ record, ring, messages, progress }: Job): void {
  Trade.assertSame(record);
  using writer = Broadcast.attach(ring).writer();
  const view = Trade.view(writer.bytes);
  for (let id = 0; id < messages; id++) {
    for (let read; id - (read = Atomics.load(progress, 0)) >= 64;) Atomics.wait(progress, 0, read);
    view.moveTo(writer.claim(Trade.byteLength));
    const trade = tradeOf(id);
    if (id % 2 === 0) Trade.write(view, view.byteOffset, trade);
    else {
      view.id = trade.id;
      view.price = trade.price;
      view.side = trade.side;
      view.isOpen = trade.isOpen;
      view.symbol = trade.symbol;
      view.digest.copyFrom(trade.digest);
      view.at = trade.at;
      for (let i = 0; i < 2; i++) {
        const level = view.levels.get(i);
        level.price = trade.levels[i]!.price;
        level.size = trade.levels[i]!.size;
      }
      view.sums.copyFrom(trade.sums);
    }
    writer.commit();
    writer.publish();
  }
}

/** Compares its own definition, of another record, with that of the task. */
export function useAnother({ record }: Job): void {
  defineRecord({ id: "u32", price: "f32" }).assertSame(record);
}

/** Adopts a packet that holds a trade, and reads it. */
export function readPacket({ pool, packet }: { pool: BufferPoolHandle; packet: DetachedPacket }) {
  using attached = BufferPool.attach(pool);
  using adopted = attached.adopt(packet);
  return Trade.read(adopted.bytes);
}
