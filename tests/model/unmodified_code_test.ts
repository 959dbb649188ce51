/**
 * Code that is unaware of the explorer: a ring of another package, for one thread that pushes and
 * one that pops.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RingBuffer } from "ringbuf.js";
import { ExplorationError, explore } from "../../model/mod.ts";

const setup = () => RingBuffer.getStorageForCapacity(2, Uint32Array);

/** Pushes values; returns the number of those that fit. */
const push = (...values: number[]) => (storage: SharedArrayBuffer): number => {
  const ring = new RingBuffer(storage, Uint32Array);
  return values.filter((value) => ring.push(Uint32Array.of(value)) === 1).length;
};

/** Pops so many times; returns the values. */
const pop = (times: number) => (storage: SharedArrayBuffer): number[] => {
  const ring = new RingBuffer(storage, Uint32Array);
  const values = Array.from({ length: times }, () => {
    const into = new Uint32Array(1);
    return ring.pop(into) === 1 ? into[0]! : 0;
  });
  return values.filter((value) => value !== 0);
};

Deno.test("a ring of another package passes with one thread at each end", async () => {
  const report = await explore({
    setup,
    threads: { writer: push(1, 2, 3), reader: pop(3) },
    check(_storage, { reader, writer }) {
      assertEquals(reader, [1, 2, 3].slice(0, reader.length));
      assert(writer >= 2 && writer >= reader.length);
    },
  });
  assert(report.complete);
  assert(report.executions > 10);
});

Deno.test("a ring of another package races with two threads that push", async () => {
  const error = await assertRejects(
    async () => void await explore({ setup, threads: { a: push(1), b: push(2) } }),
    ExplorationError,
  );
  assertEquals(error.failure.kind, "data race");
  assertStringIncludes(error.message, "RingBuffer.push");
});
