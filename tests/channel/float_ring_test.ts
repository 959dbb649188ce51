/** The ring of samples on one thread. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FloatRing } from "@busbar/busbar/channel";

Deno.test("float ring: a block is pushed and popped as a whole, or not at all", () => {
  const ring = FloatRing.create({ capacity: 16 });
  assertEquals([ring.available, ring.room], [0, 16]);
  assert(ring.push(Float32Array.of(1, 2, 3)));
  assert(!ring.push(new Float32Array(14)));
  assertEquals([ring.available, ring.room], [3, 13]);
  const block = new Float32Array(4).fill(9);
  assert(!ring.pop(block));
  assertEquals([...block], [9, 9, 9, 9]);
  assert(ring.pop(block.subarray(0, 3)));
  assertEquals([...block], [1, 2, 3, 9]);
});

Deno.test("float ring: a ring may be exactly full, and a block as long as the ring", () => {
  const ring = FloatRing.create({ capacity: 64 });
  const block = new Float32Array(64).map((_, i) => i);
  for (let i = 0; i < 3; i++) {
    assert(ring.push(block));
    assertEquals(ring.room, 0);
    assert(!ring.push(new Float32Array(1)));
    const out = new Float32Array(64);
    assert(ring.pop(out));
    assertEquals(out, block);
  }
  assert(!ring.push(new Float32Array(65)));
});

Deno.test("float ring: what is no block is refused", () => {
  const ring = FloatRing.create({ capacity: 16 });
  for (const wrong of [undefined, {}, new Float64Array(20)]) {
    assertThrows(() => ring.push(wrong as Float32Array), TypeError);
    assertThrows(() => ring.pop(wrong as Float32Array), TypeError);
  }
  assertThrows(() => FloatRing.create({ capacity: 100 }), RangeError, "a power of two");
});

Deno.test("float ring: whatever the sizes of blocks, samples are those of a plain queue", () => {
  const step = fc.record({ push: fc.boolean(), count: fc.integer({ min: 0, max: 70 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const ring = FloatRing.create({ capacity: 64 });
    const there = FloatRing.attach(ring.handle);
    const queue: number[] = [];
    let next = 0;
    for (const { push, count } of steps) {
      const block = new Float32Array(count);
      if (push) {
        const fits = queue.length + count <= 64;
        for (let i = 0; i < count; i++) block[i] = next + i;
        assertEquals(ring.push(block), fits);
        if (!fits) continue;
        queue.push(...block);
        next += count;
      } else {
        const fills = queue.length >= count;
        assertEquals(there.pop(block), fills);
        if (fills) assertEquals([...block], queue.splice(0, count));
      }
    }
  }));
});
