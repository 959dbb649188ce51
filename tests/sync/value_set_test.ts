import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Memory, ValueSet, WaiterQueue } from "../../mod.ts";

/** The same set, as another thread would see it. */
function pair(capacity: number, full = false): [ValueSet, ValueSet] {
  const set = ValueSet.create({ capacity, full });
  return [set, ValueSet.attach(set.handle)];
}

/** Takes all values. */
function drain(set: ValueSet): number[] {
  const values: number[] = [];
  for (let value = set.take(); value !== undefined; value = set.take()) values.push(value);
  return values;
}

const upTo = (capacity: number) => Array.from({ length: capacity }, (_, value) => value);

Deno.test("a value that is put into a value set is taken once", () => {
  const [set, other] = pair(100);
  assertEquals([set.take(), set.size, set.capacity], [undefined, 0, 100]);
  for (const value of [7, 99, 0, 31, 32]) set.put(value);
  assertEquals([set.size, other.size, other.capacity], [5, 5, 100]);
  assertEquals(drain(other).sort((a, b) => a - b), [0, 7, 31, 32, 99]);
  assertEquals([set.take(), set.size], [undefined, 0]);
});

Deno.test("a value set can begin full, with as many values as its capacity", () => {
  for (const capacity of [1, 31, 32, 33, 64, 1000, 65_536]) {
    const [set, other] = pair(capacity, true);
    assertEquals(set.size, capacity);
    assertEquals(drain(other).sort((a, b) => a - b), upTo(capacity));
    for (const value of upTo(capacity)) set.put(value);
    assertEquals(other.size, capacity);
  }
});

Deno.test("a value set refuses a value that it has, and keeps it", () => {
  const [set, other] = pair(40);
  for (const value of [3, 31, 39]) {
    set.put(value);
    assertThrows(
      () => other.put(value),
      Error,
      `Cannot put value ${value} into the value set as it is in it already: it was put or released twice`,
    );
  }
  assertEquals(set.size, 3);
  drain(other);
  set.put(3);
  assertEquals(other.take(), 3);
});

Deno.test("a value set refuses a value out of range, and stays as it is", () => {
  const [set] = pair(33);
  const words = new Int32Array(set.handle.memory.buffer);
  const before = [...words];
  for (const value of [-1, 33, 0.5, NaN, Infinity, 2 ** 32, "1" as unknown as number]) {
    assertThrows(
      () => set.put(value),
      RangeError,
      "Cannot put into the value set as 'value' must be a whole number from 0 to 32: received ",
    );
  }
  assertEquals([...words], before);
});

Deno.test("a value set has from 1 to 65,536 values, and room for them", () => {
  for (const capacity of [0, -1, 65_537, 1.5, NaN]) {
    const message =
      `Cannot create value set as 'capacity' must be a whole number from 1 to 65536: received ${capacity}`;
    assertThrows(() => ValueSet.create({ capacity }), RangeError, message);
    assertThrows(() => ValueSet.byteLength(capacity), RangeError, message);
  }
  assertThrows(
    () => ValueSet.create(undefined as never),
    TypeError,
    "Cannot create value set as 'options' must be an object: received undefined",
  );
  const sizes = [1, 512, 513, 65_536].map((capacity) => ValueSet.byteLength(capacity));
  assertEquals(sizes, [128, 128, 192, 64 + 8192]);

  const memory = Memory.create({ byteLength: ValueSet.byteLength(600) });
  const { handle } = ValueSet.create({ capacity: 600, memory });
  const words = new Int32Array(memory.buffer);
  for (const capacity of [0, -1, -(2 ** 31), 1025, 2 ** 31 - 1]) {
    words[2] = capacity;
    const message = capacity === 1025 ? "does not fit" : "header of the value set is damaged";
    assertThrows(() => ValueSet.attach(handle), TypeError, message);
  }
});

Deno.test("a value set holds what a Set would, whatever is put and taken", () => {
  const action = fc.oneof(
    fc.record({ put: fc.nat(69) }),
    fc.constant("take" as const),
  );
  fc.assert(
    fc.property(fc.nat(69), fc.boolean(), fc.array(action), (last, full, actions) => {
      const capacity = last + 1;
      const sets = pair(capacity, full);
      const expected = new Set(full ? upTo(capacity) : []);
      for (const [i, action] of actions.entries()) {
        const set = sets[i % 2]!;
        if (action === "take") {
          const value = set.take();
          if (value === undefined) assertEquals(expected.size, 0);
          else assert(expected.delete(value), `${value} was not in the set`);
        } else if (action.put >= capacity) {
          assertThrows(() => set.put(action.put), RangeError);
        } else if (expected.has(action.put)) {
          assertThrows(() => set.put(action.put), Error, "in it already");
        } else {
          set.put(action.put);
          expected.add(action.put);
        }
        assertEquals(set.size, expected.size);
      }
      assertEquals(new Set(drain(sets[0])), expected);
    }),
  );
});

Deno.test("a value set is the store of a waiter queue, which refuses what the set does", async () => {
  const queue = WaiterQueue.create();
  const [set, other] = pair(40, true);
  using waiters = queue.join(set);
  for (let i = 0; i < 40; i++) waiters.take();
  assertEquals([waiters.tryTake(), waiters.take({ timeoutMs: 1 })], [undefined, undefined]);

  const taken = waiters.takeAsync();
  queue.release(39, other);
  assertEquals([await taken, set.size], [39, 0]);

  queue.release(39, other);
  assertThrows(() => waiters.release(39), Error, "it was put or released twice");
  assertThrows(() => waiters.release(40), RangeError, "from 0 to 39: received 40");
  assertEquals([waiters.take(), waiters.tryTake()], [39, undefined]);
});
