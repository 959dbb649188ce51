/**
 * Gates under every schedule that matters: no consumer sees an event that is not published or is
 * overwritten, none overtakes those that it depends on, nobody sleeps for ever; and broken twins.
 * `models.ts` describes the rings.
 */

import { assertEquals } from "@std/assert";
import { Disruptor } from "@busbar/busbar/disruptor";
import { CURSOR, GATE, PRODUCER_LINES } from "../../src/disruptor/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consume, NEAR_WRAP, produce, raise, ring, type State } from "./models.ts";

const DIAMOND = { a: {}, b: { after: "a" }, c: { after: "a" }, d: { after: ["b", "c"] } };

Deno.test("disruptor: a consumer sees every event, and a producer waits for it", async () => {
  await passes({
    setup: ring({ a: {} }),
    threads: { producer: produce(2), a: consume("a", 2) },
    check: (_, { a }) => assertEquals(a, [1, 2]),
  });
});

Deno.test("disruptor: the same as positions wrap", async () => {
  await passes({
    setup: ring({ a: {} }, { start: NEAR_WRAP + 1 }),
    threads: { producer: produce(2), a: consume("a", 2) },
    check: (_, { a }) => assertEquals(a, [1, 2]),
  });
});

Deno.test("disruptor: batches in a ring of two slots", async () => {
  await passes({
    setup: ring({ a: {} }, { capacity: 2, start: NEAR_WRAP + 1 }),
    threads: { producer: produce(4, { each: 2 }), a: consume("a", 4) },
    check: (_, { a }) => assertEquals(a, [1, 2, 3, 4]),
    preemptions: 2,
  });
});

Deno.test("disruptor: two consumers see every event, and the producer waits for both", async () => {
  await passes({
    setup: ring({ a: {}, b: {} }),
    threads: { producer: produce(1), a: consume("a", 1), b: consume("b", 1) },
    check: (_, { a, b }) => assertEquals([a, b], [[1], [1]]),
    preemptions: 1,
  });
  await passesAtRandom({
    setup: ring({ a: {}, b: {} }, { start: NEAR_WRAP }),
    threads: { producer: produce(4), a: consume("a", 4), b: consume("b", 4) },
    check: (_, { a, b }) => assertEquals([a, b], [[1, 2, 3, 4], [1, 2, 3, 4]]),
  }, 1);
});

Deno.test("disruptor: a stage of a pipeline sees what the one before it wrote", async () => {
  await passes({
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: { producer: produce(1), a: raise("a", 1), b: consume("b", 1) },
    check: (_, { b }) => assertEquals(b, [11]),
    preemptions: 2,
  });
  await passesAtRandom({
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: { producer: produce(3), a: raise("a", 3), b: consume("b", 3) },
    check: (_, { b }) => assertEquals(b, [11, 12, 13]),
  }, 2);
});

Deno.test("disruptor: the last stage of a diamond waits for both sides", async () => {
  // Every schedule of one event, which is published before.
  await passes({
    setup() {
      const state = ring({ a: {}, b: {}, c: { after: ["a", "b"] } })();
      produce(1)(state);
      return state;
    },
    // The last one changes the event: too early, that would be a race.
    threads: { a: consume("a", 1), b: consume("b", 1), c: raise("c", 1) },
    check: (_, { a, b }) => assertEquals([a, b], [[1], [1]]),
  });
  for (const events of [1, 3]) {
    await passesAtRandom({
      setup: ring(DIAMOND, { start: NEAR_WRAP + 1 }),
      threads: {
        producer: produce(events),
        a: raise("a", events),
        b: consume("b", events),
        c: consume("c", events),
        d: raise("d", events),
      },
      check: (_, { b, c }) =>
        assertEquals([b, c], [[11, 12, 13], [11, 12, 13]].map((seen) => seen.slice(0, events))),
    }, events);
  }
});

Deno.test("disruptor: a consumer and a producer that await are woken", async () => {
  await passes({
    setup: ring({ a: {} }),
    threads: {
      async producer({ handle }: State) {
        const producer = Disruptor.attach(handle).producer(BLOCKING);
        for (const number of [1, 2]) await producer.sendAsync(number);
      },
      async a({ handle }: State) {
        const consumer = Disruptor.attach(handle).consumer("a", BLOCKING);
        const seen: number[] = [];
        for await (const batch of consumer.batches()) {
          seen.push(batch.events[batch.begin]!);
          if (seen.length === 2) break;
        }
        return seen;
      },
    },
    check: (_, { a }) => assertEquals(a, [1, 2]),
    preemptions: 2,
  });
});

Deno.test("disruptor: a batch that is released early makes room", async () => {
  await passes({
    setup: ring({ a: {} }, { capacity: 2 }),
    threads: {
      producer: produce(3),
      a({ handle }: State) {
        const consumer = Disruptor.attach(handle).consumer("a", BLOCKING);
        const seen: number[] = [];
        while (seen.length < 3) {
          consumer.wait();
          consumer.poll();
          while (consumer.count > 0) {
            seen.push(consumer.events[consumer.begin]!);
            consumer.release(1);
          }
        }
        return seen;
      },
    },
    check: (_, { a }) => assertEquals(a, [1, 2, 3]),
    preemptions: 2,
  });
});

Deno.test("disruptor: whatever the strategy, a wait ends", async () => {
  for (const strategy of ["phased", "yielding", "spinning"] as const) {
    await passes({
      setup: ring({ a: {} }),
      threads: {
        producer: produce(1),
        a({ handle }: State) {
          const consumer = Disruptor.attach(handle).consumer("a", { strategy });
          while (consumer.poll() === 0) consumer.wait();
          return consumer.events[consumer.begin];
        },
      },
      check: (_, { a }) => assertEquals(a, 1),
      preemptions: 2,
    });
  }
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a producer that does not notify leaves the consumer asleep", async () => {
  await fails("deadlock", {
    setup: ring({ a: {} }),
    threads: { producer: tampered(produce(1), () => ({ notify: () => 0 })), a: consume("a", 1) },
  });
});

Deno.test("broken twin: a consumer that does not notify leaves the producer asleep", async () => {
  await fails("deadlock", {
    setup: ring({ a: {} }),
    threads: { producer: produce(2), a: tampered(consume("a", 2), () => ({ notify: () => 0 })) },
  });
});

Deno.test("broken twin: a stage that does not notify leaves the next one asleep", async () => {
  await fails("deadlock", {
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: {
      producer: produce(1),
      a: tampered(consume("a", 1), () => ({ notify: () => 0 })),
      b: consume("b", 1),
    },
  });
});

Deno.test("broken twin: a publication that overlooks the sleeper leaves it asleep", async () => {
  await fails("deadlock", {
    setup: ring({ a: {} }),
    threads: {
      producer: tampered(produce(1), ({ compareExchange, store }) => ({
        compareExchange(view: Int32Array, index: number, before: number, after: number) {
          if (index !== CURSOR) return compareExchange(view, index, before, after);
          store(view, index, after);
          return before;
        },
      })),
      a: consume("a", 1),
    },
  });
});

Deno.test("broken twin: a producer that does not look at the gate overwrites events", async () => {
  await fails(["data race", "assertion", "deadlock"], {
    setup: ring({ a: {} }),
    threads: {
      producer: tampered(produce(2), ({ load }) => ({
        // Any gate seems to have been released.
        load: (view: Int32Array, index: number) => index === CURSOR ? load(view, index) : 16,
      })),
      a: consume("a", 2),
    },
    check: (_, { a }) => assertEquals(a, [1, 2]),
  });
});

Deno.test("broken twin: a stage that follows the cursor overtakes the one before it", async () => {
  await fails(["data race", "assertion"], {
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: {
      producer: produce(1),
      a: raise("a", 1),
      b: tampered(consume("b", 1), ({ load }) => ({
        // The gate of "a" is in the first line of all.
        load: (view: Int32Array, index: number) =>
          load(view, index === PRODUCER_LINES + GATE ? CURSOR : index),
      })),
    },
    check: (_, { b }) => assertEquals(b, [11]),
  });
});
