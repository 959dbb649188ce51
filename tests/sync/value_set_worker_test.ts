/**
 * Value sets on real workers. Never more than two threads are busy; the others sleep.
 */

import { assertEquals } from "@std/assert";
import { ValueSet, WaiterQueue } from "../../mod.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker } from "../workers.ts";
import { add, consumeAsync, SLOT_WORDS, type Stage, type Sums } from "./value_set_bodies.ts";

const bodies = import.meta.resolve("./value_set_bodies.ts");

function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}

for (const capacity of [1, 8, 70]) {
  workerTest(
    `a set of ${capacity}: two workers borrow, a value has one owner at a time`,
    async () => {
      const set = ValueSet.create({ capacity, full: true });
      const loans = {
        set: set.handle,
        owners: sharedWords(capacity),
        counts: sharedWords(capacity),
        rounds: 200_000,
      };
      const totals = await Promise.all(
        [1, 2].map((owner) => runOnWorker<number>(bodies, "borrow", { ...loans, owner })),
      );
      assertEquals(loans.counts.reduce((sum, count) => sum + count), totals[0]! + totals[1]!);
      assertEquals([set.size, loans.owners], [capacity, sharedWords(capacity)]);
    },
  );
}

/** A stage of slots numbered 0 to 39. */
const createStage = (): Stage => ({
  queue: WaiterQueue.create({ threads: 4 }).handle,
  set: ValueSet.create({ capacity: 40 }).handle,
});

for (const slots of [[39], [0, 20, 39]]) {
  workerTest(`a belt of ${slots.length}: two workers send to a third and to tasks`, async () => {
    const [free, filled] = [createStage(), createStage()];
    const belt = { free, filled, slots: sharedWords(40 * SLOT_WORDS) };
    for (const slot of slots) ValueSet.attach(free.set).put(slot);
    const [theirs, mine] = await Promise.all([
      runOnWorker<Sums>(bodies, "consume", { ...belt, count: 5_000 }),
      consumeAsync({ ...belt, count: 500, tasks: 2 }),
      runOnWorker<void>(bodies, "produce", { ...belt, first: 1, last: 3_000 }),
      runOnWorker<void>(bodies, "produce", { ...belt, first: 3_001, last: 6_000 }),
    ]);

    const expected: Sums = { sum: 0, squares: 0 };
    for (let message = 1; message <= 6_000; message++) add(expected, message);
    assertEquals(mine.sum + theirs.sum, expected.sum);
    assertEquals((mine.squares + theirs.squares) % 2 ** 31, expected.squares);
    for (const { queue, set } of [free, filled]) {
      assertEquals(WaiterQueue.attach(queue).isAnyWaiting, false);
      assertEquals(ValueSet.attach(set).size, set === free.set ? slots.length : 0);
    }
  });
}
