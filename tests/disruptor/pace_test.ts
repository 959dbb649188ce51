/** How long a thread rests between two looks. */

import { assert, assertEquals } from "@std/assert";
import type { WaitStrategy } from "@busbar/busbar/disruptor";
import { Pace } from "../../src/disruptor/pace.ts";
import { tampered } from "../tamper.ts";

/** The pauses of a rest. */
function restOf(pace: Pace): number {
  let pauses = 0;
  tampered(() => pace.rest(), () => ({ pause: () => pauses++ }))(undefined);
  return pauses;
}

/** A pace after some looks, which each found so much after so many pauses. */
function paceAfter(
  looks: readonly (readonly [found: number, pauses: number])[],
  strategy: WaitStrategy = "phased",
): Pace {
  const pace = new Pace(4096, strategy);
  for (const [found, pauses] of looks) pace.learn(found, pauses);
  return pace;
}

const STREAM = Array.from({ length: 30 }, (_, i) => [20 + i % 7, 0] as const);

Deno.test("disruptor: a consumer rests between looks at a stream, for a bounded while", () => {
  assertEquals(restOf(paceAfter(STREAM)), 128);
  assertEquals(restOf(paceAfter(STREAM, "yielding")), 128);
  // The first looks of one that comes too early find little, after a short while.
  assert(restOf(paceAfter([[1, 3], [1, 4], [2, 2]])) >= 9);
});

Deno.test("disruptor: a consumer that asks and gets its answer does not rest for longer", () => {
  const answers = Array.from({ length: 30 }, () => [1, 0] as const);
  assertEquals(restOf(paceAfter(answers)), 1);
  assertEquals(restOf(paceAfter([[1, 10], ...answers])) < 10, true);
});

Deno.test("disruptor: a consumer does not rest where events are rare, or it is behind", () => {
  assertEquals(restOf(paceAfter([...STREAM, [1, 200]])), 0);
  assertEquals(restOf(paceAfter([...STREAM, [2000, 0]])), 0);
});

Deno.test("disruptor: a consumer that only looks, or sleeps at once, never rests", () => {
  assertEquals(restOf(paceAfter(STREAM, "spinning")), 0);
  assertEquals(restOf(paceAfter(STREAM, "blocking")), 0);
});
