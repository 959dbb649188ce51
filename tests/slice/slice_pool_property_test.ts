/**
 * Any lengths, orders of release, capacities and numbers of slots: slices do not overlap, and their
 * bytes do not change while they live.
 *
 * A plain model keeps what was written. It knows which modes are possible, but not which is taken.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type DetachedSlice,
  HeapBuffer,
  type Slice,
  type SliceBuffer,
  SlicePool,
  SliceReceiver,
} from "@busbar/busbar";

/** A slice, and what it must hold. */
interface Held {
  slice: Slice;
  readonly bytes: readonly number[];
}

/** A step: writes, takes or releases something. */
type Step =
  | { kind: "claim"; length: number; filled: number }
  | { kind: "append"; length: number }
  | { kind: "abort"; length: number }
  | { kind: "take" }
  | { kind: "setStart"; index: number }
  | { kind: "truncate"; length: number }
  | { kind: "release"; which: number }
  | { kind: "send"; which: number };

/** A buffer beside what was written into it. */
class Run {
  readonly held: Held[] = [];
  readonly #buffer: SliceBuffer;
  readonly #there: SliceReceiver | undefined;
  #written: number[] = [];
  #start = 0;
  #next = 0;
  taken = 0;

  constructor(buffer: SliceBuffer) {
    this.#buffer = buffer;
    if (buffer instanceof SlicePool) this.#there = SliceReceiver.attach(buffer.handle);
  }

  perform(step: Step): void {
    const buffer = this.#buffer;
    switch (step.kind) {
      case "claim": {
        buffer.claim(step.length);
        const filled = Math.min(step.filled, step.length);
        const { bytes, offset } = buffer;
        // What was claimed before is not filled: it must never be taken.
        bytes.fill(255, offset, offset + step.length);
        for (let i = 0; i < filled; i++) bytes[offset + i] = this.#byte();
        buffer.commit(filled);
        break;
      }
      case "append":
        buffer.append(Uint8Array.from({ length: step.length }, () => this.#byte()));
        break;
      case "abort":
        buffer.claim(step.length);
        buffer.room().fill(254);
        buffer.abort();
        break;
      case "setStart":
        this.#start = Math.min(step.index, this.#written.length);
        buffer.setStart(this.#start);
        break;
      case "truncate": {
        const length = Math.min(step.length, this.#written.length - this.#start);
        buffer.truncate(length);
        this.#written.length = this.#start + length;
        break;
      }
      case "take": {
        const slice = buffer.take();
        this.held.push({ slice, bytes: this.#written });
        if (this.#written.length > 0) this.taken++;
        this.#written = [];
        this.#start = 0;
        break;
      }
      case "release":
        this.#pick(step.which, (held) => {
          held.slice.release();
          this.held.splice(this.held.indexOf(held), 1);
        });
        break;
      case "send":
        this.#pick(step.which, (held) => {
          const detached: DetachedSlice = structuredClone(held.slice.detach());
          if (this.#there !== undefined) held.slice = this.#there.adopt(detached);
          else this.held.splice(this.held.indexOf(held), 1);
        });
    }
  }

  /** Fails unless everything is as it was written. */
  check(): void {
    const buffer = this.#buffer;
    assertEquals(buffer.length, this.#written.length);
    assertEquals([...buffer.peek(this.#written.length)], this.#written);
    assertEquals([...buffer.view()], this.#written.slice(this.#start));
    for (const { slice, bytes } of this.held) assertEquals([...slice.bytes], bytes);
    const inBlock = this.held.map(({ slice }) => slice).filter(({ slot }) => slot >= 0)
      .toSorted((a, b) => a.slot - b.slot);
    for (const [i, slice] of inBlock.entries()) {
      const next = inBlock[i + 1];
      if (next === undefined) continue;
      assert(slice.slot < next.slot, "two slices have one slot");
      assert(slice.byteOffset + slice.length <= next.byteOffset, "slices overlap");
    }
    if (!(buffer instanceof SlicePool)) return;
    const { living, livingBytes, pinnedBytes, hits, misses, mode, changes } = buffer.usage();
    assertEquals(living, inBlock.length);
    assertEquals(livingBytes, inBlock.reduce((sum, { length }) => sum + length, 0));
    const [first, last] = [inBlock[0], inBlock.at(-1)];
    const span = first === undefined || last === undefined
      ? 0
      : last.byteOffset + last.length - first.byteOffset;
    assertEquals(pinnedBytes, span);
    assertEquals([hits + misses, buffer.isDroppable], [this.taken, living === 0]);
    const into = changes.back + changes.front + changes.alloc;
    assert(mode === "back" || into > 0, "a mode was changed without a trace");
  }

  /** The next byte of the message. */
  #byte(): number {
    this.#next = (this.#next + 1) % 251;
    this.#written.push(this.#next);
    return this.#next;
  }

  #pick(which: number, use: (held: Held) => void): void {
    if (this.held.length > 0) use(this.held[which % this.held.length]!);
  }
}

/** Steps that write messages of up to so many bytes. */
function steps(maxLength: number): fc.Arbitrary<Step[]> {
  const length = fc.nat(maxLength);
  const which = fc.nat(1000);
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("append" as const), length }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant("claim" as const), length, filled: length }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("abort" as const), length }) },
      { weight: 4, arbitrary: fc.constant({ kind: "take" as const }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), which }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("send" as const), which }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("setStart" as const), index: length }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("truncate" as const), length }) },
    ),
    { maxLength: 120, size: "max" },
  );
}

/** Performs all steps, checking after each. */
function follow(buffer: SliceBuffer, all: readonly Step[]): void {
  const run = new Run(buffer);
  for (const step of all) {
    run.perform(step);
    run.check();
  }
}

Deno.test("any steps on a slice pool give the slices that were written, and keep them", () => {
  const modes = new Set<string>();
  const reached = { resets: 0, back: 0, front: 0, alloc: 0 };
  const capacityBytes = fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 7, 8, 1000));
  const slots = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(31, 32));
  fc.assert(
    fc.property(capacityBytes, slots, steps(16), (capacityBytes, slots, all) => {
      const pool = SlicePool.create({ capacityBytes, slots });
      follow(pool, all);
      modes.add(pool.mode);
      const { changes } = pool.usage();
      for (const key of ["resets", "back", "front", "alloc"] as const) reached[key] += changes[key];
    }),
    { numRuns: 400, seed: 14 },
  );
  assertEquals(modes, new Set(["back", "front", "alloc"]));
  for (const [key, count] of Object.entries(reached)) assert(count > 50, `${key}: ${count}`);
});

Deno.test("any steps with long messages on a slice pool of any capacity", () => {
  const capacityBytes = fc.integer({ min: 0, max: 2 ** 24 });
  fc.assert(
    fc.property(capacityBytes, steps(20_000), (capacityBytes, all) => {
      follow(SlicePool.create({ capacityBytes }), all.slice(0, 20));
    }),
    { numRuns: 15 },
  );
});

Deno.test("any steps on a heap buffer give the slices that were written, and keep them", () => {
  fc.assert(fc.property(steps(90), (all) => follow(HeapBuffer.create(), all)), { numRuns: 100 });
});

Deno.test("a pool of the largest capacity has room at its end", () => {
  const capacityBytes = 2 ** 32;
  let pool: SlicePool;
  try {
    pool = SlicePool.create({ capacityBytes });
  } catch (error) {
    assert(error instanceof RangeError, "the platform does not provide so many bytes");
    return;
  }
  using _ = pool;
  pool.claim(capacityBytes - 3);
  pool.bytes[pool.offset + capacityBytes - 4] = 1;
  pool.commit();
  using first = pool.take();
  pool.append(new Uint8Array([2, 3, 4]));
  const words = new Int32Array(4);
  pool.take().detachInto(words, 0);
  using second = pool.adoptFrom(words, 0);
  assertEquals([second.byteOffset, ...second.bytes], [capacityBytes - 3, 2, 3, 4]);
  assertEquals([first.slot, second.slot, first.array[capacityBytes - 4]], [0, 1, 1]);
});
