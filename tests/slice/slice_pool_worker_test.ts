/**
 * The slice pool on real workers: contents never change while a slice lives, however late and in
 * whatever order slices are released.
 */

import { assert, assertEquals } from "@std/assert";
import { type DetachedSlice, type ModeChanges, type Slice, SlicePool } from "../../mod.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import type { Outcome } from "../worker_entry.ts";
import { newLane, type Parcel, verify, write } from "./bodies.ts";

const bodies = import.meta.resolve("./bodies.ts");

/** Numbers that look random, and are the same in each run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return Math.floor((state >>> 0) / 2 ** 32 * below);
  };
}

/** A worker that keeps slices, and its result. */
function startKeeper(pool: SlicePool, thread: number) {
  const { port1, port2 } = new MessageChannel();
  const worker = startWorker(bodies, "keepAll", { pool: pool.handle, thread, port: port2 }, [
    port2,
  ]);
  const result = new Promise<Outcome>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
  });
  return { port: port1, worker, result };
}

/** Lets the event loop run. */
const breathe = (milliseconds: number) =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

for (
  const [capacityBytes, slots, maxLength] of [
    [0, 8, 3_000],
    [1, 8, 3_000],
    [10_000, 8, 3_000],
    [130_816, 8, 16_384],
    [65_536 * 5, 32, 16_384],
    [2 ** 26, 8, 300_000],
  ] as const
) {
  const what = `${capacityBytes} bytes in ${slots} slots`;
  workerTest(`slices of ${what} hold, released on workers after random delays`, async () => {
    using pool = SlicePool.create({ capacityBytes, slots });
    const random = randomNumbers(capacityBytes + slots);
    const keepers = [startKeeper(pool, 1), startKeeper(pool, 2)];
    const own: [Slice, number][] = [];
    const count = 300;
    let sent = 0;
    for (let message = 0; message < count; message++) {
      write(pool, message, random(maxLength), 1 + random(maxLength));
      const slice = pool.take();
      verify(slice, message);
      const choice = random(5);
      if (choice === 0) own.push([slice, message]);
      else {
        const transfer: ArrayBuffer[] = [];
        const parcel: Parcel = { message, keepMs: random(5), slice: slice.detach(transfer) };
        keepers[choice % 2]!.port.postMessage(parcel, transfer);
        sent++;
      }
      if (own.length > random(4)) {
        const [slice, message] = own.splice(random(own.length), 1)[0]!;
        verify(slice, message);
        slice.release();
      }
      if (random(3) === 0) await breathe(random(4));
    }
    for (const [slice, message] of own) {
      verify(slice, message);
      slice.release();
    }
    for (const { port } of keepers) port.postMessage(null);
    const outcomes = await Promise.all(keepers.map(({ result }) => result));
    for (const { port, worker } of keepers) {
      port.close();
      worker.terminate();
    }
    const counts = outcomes.map((outcome) => {
      if (outcome.failed) throw outcome.error;
      return outcome.result as number;
    });
    assertEquals(counts[0]! + counts[1]!, sent);
    const { living, hits, misses, changes } = pool.usage();
    assertEquals(living, 0);
    assert(hits + misses <= count && hits + misses > count - 20);
    if (capacityBytes > 1) assert(hits > 0 && changes.resets > 0);
    else assert(misses > 0);
  });
}

for (
  const [capacityBytes, slots, maxLength, held] of [
    [64, 8, 16, 1],
    [600, 8, 100, 3],
    [600, 32, 100, 3],
    [64, 1, 16, 0],
  ] as const
) {
  const what = `${capacityBytes} bytes in ${slots} slots`;
  workerTest(`a worker reuses ${what} while two others release slices`, async () => {
    const pool = SlicePool.create({ capacityBytes, slots });
    const { handle } = pool;
    pool.close();
    const lanes = [newLane(), newLane()];
    const job = { pool: handle, lanes, count: 20_000, maxLength };
    const [changes, ...received] = await Promise.all([
      runOnWorker<ModeChanges>(bodies, "sendAll", job),
      ...lanes.map((lane, i) =>
        runOnWorker<number>(bodies, "receiveAll", { pool: handle, thread: i + 1, lane, held })
      ),
    ]);
    assertEquals(received, [10_000, 10_000]);
    const { resets, back, front, alloc } = changes;
    assert(resets + back + front + alloc > 0, "nothing was reused");
    using again = SlicePool.attach(handle);
    assert(again.isDroppable);
  });
}

workerTest("the slices of a terminated worker are reclaimed", async () => {
  using pool = SlicePool.create({ capacityBytes: 64 });
  for (let round = 0; round < 3; round++) {
    const slices: DetachedSlice[] = [];
    for (let i = 0; i < 8; i++) {
      write(pool, i, 8, 8);
      slices.push(pool.take().detach());
    }
    // It is terminated when it is idle.
    const job = { pool: pool.handle, thread: 1, slices: slices.slice(0, 6) };
    assertEquals(await runOnWorker(bodies, "hoard", job), 6);
    write(pool, 8, 8, 8);
    const miss = pool.take();
    assertEquals([miss.slot, pool.mode, pool.usage().living], [-1, "alloc", 8]);
    assertEquals([pool.reclaim(1), pool.reclaimDetached()], [6, 2]);
    assert(pool.isDroppable);
  }
});
