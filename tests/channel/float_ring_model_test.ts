/**
 * The ring of samples under every schedule: blocks arrive whole and in order, and none is
 * overwritten before it was read; and broken twins.
 */

import { assertEquals } from "@std/assert";
import { FloatRing, type FloatRingHandle } from "@busbar/busbar/channel";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";

const PUSHED = 16;
const POPPED = 32;

interface State {
  readonly handle: FloatRingHandle;
}

/** A ring in which the next blocks of six do not lie in one piece, nor find room at once. */
function ring(): State {
  const ring = FloatRing.create({ capacity: 16 });
  const block = new Float32Array(6);
  for (let i = 0; i < 2; i++) {
    ring.push(block);
    ring.pop(block);
  }
  return { handle: ring.handle };
}

const BLOCKS = 3;

function push({ handle }: State): void {
  const ring = FloatRing.attach(handle);
  const block = new Float32Array(6);
  for (let i = 1; i <= BLOCKS; i++) {
    block.fill(i);
    while (!ring.push(block)) Atomics.pause();
  }
}

function pop({ handle }: State): number[] {
  const ring = FloatRing.attach(handle);
  const block = new Float32Array(6);
  const popped: number[] = [];
  while (popped.length < 6 * BLOCKS) {
    while (!ring.pop(block)) Atomics.pause();
    popped.push(...block);
  }
  return popped;
}

const expected = [1, 2, 3].flatMap((value) => new Array<number>(6).fill(value));

Deno.test("float ring: blocks arrive whole and in order, and none is overwritten", async () => {
  await passes({
    setup: ring,
    threads: { push, pop },
    check: (_, { pop }) => assertEquals(pop, expected),
  });
});

Deno.test("broken twin: samples that are counted by a plain store are a race", async () => {
  await fails("data race", {
    setup: ring,
    threads: {
      push: tampered(push, () => ({
        store: (view: Int32Array, index: number, value: number) => view[index] = value,
      })),
      pop,
    },
  });
});

Deno.test("broken twin: a pusher that does not look what was popped overwrites samples", async () => {
  await fails(["data race", "assertion"], {
    setup: ring,
    threads: {
      push: tampered(push, ({ load }) => ({
        load: (view: Int32Array, index: number) =>
          index === POPPED ? load(view, PUSHED) : load(view, index),
      })),
      pop,
    },
    check: (_, { pop }) => assertEquals(pop, expected),
  });
});

Deno.test("broken twin: a popper that does not look what was pushed reads old samples", async () => {
  await fails(["data race", "assertion"], {
    setup: ring,
    threads: {
      push,
      pop: tampered(pop, ({ load }) => ({
        load: (view: Int32Array, index: number) =>
          index === PUSHED ? load(view, POPPED) + 6 : load(view, index),
      })),
    },
    check: (_, { pop }) => assertEquals(pop, expected),
  });
});
