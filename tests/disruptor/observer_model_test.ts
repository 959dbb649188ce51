/**
 * Observers, which nothing waits for, beside producers that overwrite what they read, under every
 * schedule that matters; and broken twins. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Disruptor } from "@busbar/busbar/disruptor";
import { CLAIMS, FILLED } from "../../src/disruptor/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consume, NEAR_WRAP, produce, ring, type State } from "./models.ts";

const GRAPH = { a: {}, watch: { observer: true } };

interface Seen {
  readonly numbers: number[];
  readonly lost: number;
  /** How many events the observer has dealt with. */
  readonly passed: number;
}

/** Reads a few times. */
function watch(reads: number) {
  return ({ handle }: State): Seen => {
    const observer = Disruptor.attach(handle).observer("watch", BLOCKING);
    const first = observer.sequence;
    const target = [0, 0];
    const numbers: number[] = [];
    for (let i = 0; i < reads; i++) numbers.push(...target.slice(0, observer.read(target)));
    return { numbers, lost: observer.lost, passed: observer.sequence - first };
  };
}

/** Throws unless an observer saw numbers in their order, whole, and was told what it has lost. */
function checkSeen({ numbers, lost, passed }: Seen): void {
  numbers.forEach((number, i) => assert(number > (numbers[i - 1] ?? 0), `saw ${numbers}`));
  assertEquals(numbers.length + lost, passed);
}

/** One thread that produces so many events, and consumes them. */
function flow(count: number) {
  return ({ handle }: State): void => {
    const disruptor = Disruptor.attach(handle);
    const producer = disruptor.producer({ ...BLOCKING, place: 0 });
    const consumer = disruptor.consumer("a", BLOCKING);
    for (let number = 1; number <= count; number++) {
      producer.send(number);
      consumer.poll();
      consumer.release();
    }
  };
}

Deno.test("disruptor: an observer sees whole events, or is told that they are lost", async () => {
  // Before positions wrap, before half of them, and at any other place.
  for (const start of [0, 2 ** 27 - 1, NEAR_WRAP + 1]) {
    for (const producers of [0, 2]) {
      await passes({
        setup: ring(GRAPH, { start, producers }),
        threads: { flow: flow(2), watch: watch(1) },
        check: (_, { watch }) => checkSeen(watch),
      });
    }
    await passesAtRandom({
      setup: ring(GRAPH, { start }),
      threads: { producer: produce(3), a: consume("a", 3), watch: watch(2) },
      check: (_, { a, watch }) => {
        assertEquals(a, [1, 2, 3]);
        checkSeen(watch);
      },
    }, start + 2);
  }
});

Deno.test("disruptor: an observer beside several producers", async () => {
  for (const start of [0, 2 ** 27 - 1, NEAR_WRAP + 1]) {
    const model = {
      setup: ring(GRAPH, { capacity: 2, producers: 2, start }),
      threads: {
        first: produce(2),
        second: produce(1, { first: 11, place: 1 }),
        a: consume("a", 3),
        watch: watch(2),
      },
      check: (_: State, { watch }: { watch: Seen }) => {
        const { numbers, lost, passed } = watch;
        assert(numbers.every((number) => [1, 2, 11].includes(number)), `saw ${numbers}`);
        assertEquals(numbers.length + lost, passed);
      },
    };
    await passesAtRandom(model, start + 1);
  }
});

Deno.test("disruptor: an observer that waits is woken, and holds up nobody", async () => {
  await passes({
    setup: ring(GRAPH),
    threads: {
      flow: flow(2),
      watch({ handle }: State): void {
        assert(Disruptor.attach(handle).observer("watch", BLOCKING).wait());
      },
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a producer that does not say what it fills tears an observer's copy", async () => {
  await fails(["data race", "assertion"], {
    setup: ring(GRAPH),
    threads: {
      producer: tampered(produce(2), ({ exchange }) => ({
        exchange: (view: Int32Array, index: number, value: number) =>
          index === FILLED ? value : exchange(view, index, value),
      })),
      a: consume("a", 2),
      watch: watch(1),
    },
    check: (_, { watch }) => checkSeen(watch),
  });
});

Deno.test("broken twin: an observer that only loads what is filled is not ordered before it", async () => {
  for (const producers of [0, 2]) {
    await fails("data race", {
      setup: ring(GRAPH, { producers }),
      threads: {
        producer: produce(2),
        a: consume("a", 2),
        watch: tampered(watch(1), ({ add, load }) => ({
          add: (view: Int32Array, index: number, value: number) =>
            index === FILLED || index === CLAIMS ? load(view, index) : add(view, index, value),
        })),
      },
    });
  }
});
