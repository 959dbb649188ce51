/**
 * Claims: several producers, and workers that compete, under every schedule that matters, also when
 * one of them dies; and broken twins. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Disruptor } from "@busbar/busbar/disruptor";
import { explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { CLAIMS, FLOOR, PRODUCER_LINES, SKIPS } from "../../src/disruptor/layout.ts";
import { diesAfter, VISIBLE_OPERATIONS } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import {
  BLOCKING,
  consume,
  consumeAll,
  NEAR_WRAP,
  produce,
  ring,
  sorted,
  type State,
} from "./models.ts";

const ONE = { a: {} };
const WORKERS = { a: { workers: 2 } };

/** A ring with events 1 and 2, whose producer has closed, and which drains. */
function drainingWorkers(consumers = WORKERS): () => State {
  return () => {
    const state = ring(consumers, { capacity: 2 })();
    produce(2)(state);
    Disruptor.attach(state.handle).drain({ timeoutMs: 0 });
    return state;
  };
}

Deno.test("disruptor: every event of two producers is seen once", async () => {
  await passes({
    setup: ring(ONE, { capacity: 2, producers: 2 }),
    threads: { first: produce(1), second: produce(1, { first: 2, place: 1 }) },
    check: ({ handle }) => {
      const consumer = Disruptor.attach(handle).consumer("a");
      assertEquals(consumer.poll(), 2);
      assertEquals(sorted([...consumer.events]), [1, 2]);
    },
  });
});

Deno.test("disruptor: a consumer of two producers sees every event, across the wrap", async () => {
  await passes({
    setup: ring(ONE, { capacity: 2, producers: 2, start: NEAR_WRAP + 1 }),
    threads: {
      first: produce(1),
      second: produce(1, { first: 2, place: 1 }),
      a: consume("a", 2),
    },
    check: (_, { a }) => assertEquals(sorted(a), [1, 2]),
    preemptions: 1,
  });
  await passesAtRandom({
    setup: ring(ONE, { capacity: 2, producers: 2, start: NEAR_WRAP }),
    threads: {
      first: produce(4, { each: 2 }),
      second: produce(3, { first: 5, place: 1 }),
      a: consume("a", 7),
    },
    check: (_, { a }) => {
      assertEquals(sorted(a), [1, 2, 3, 4, 5, 6, 7]);
      const first = a.filter((number) => number < 5);
      assertEquals(first, sorted(first), "the events of a producer are out of order");
    },
  }, 3);
});

Deno.test("disruptor: of competing workers each event goes to one", async () => {
  await passes({
    setup: drainingWorkers(),
    threads: { first: consumeAll("a", 1), second: consumeAll("a", 1) },
    check: ({ handle }, { first, second }) => {
      assertEquals(sorted(first, second), [1, 2]);
      assert(Disruptor.attach(handle).drain({ timeoutMs: 0 }), "the node has not ended");
    },
    preemptions: 2,
  });
});

Deno.test("disruptor: a node after competing workers sees what all of them wrote", async () => {
  const worker = ({ handle }: State) => {
    const consumer = Disruptor.attach(handle).consumer("a", BLOCKING);
    while (consumer.wait()) {
      if (consumer.poll(1) > 0) consumer.events[consumer.begin]! += 10;
    }
  };
  const model = {
    setup: drainingWorkers({ a: { workers: 2 }, b: { after: "a" } } as typeof WORKERS),
    threads: { first: worker, second: worker, b: consumeAll("b") },
    check: (_: State, { b }: { b: number[] }) => assertEquals(b, [11, 12]),
  };
  await passesAtRandom(model, 4);
});

Deno.test("disruptor: a claim that is aborted is skipped by all", async () => {
  await passes({
    setup: ring({ a: {} }, { capacity: 2, producers: 2 }),
    threads: {
      aborting({ handle }: State) {
        const producer = Disruptor.attach(handle).producer({ ...BLOCKING, place: 0 });
        producer.claim();
        producer.abort();
      },
      second: produce(1, { first: 7, place: 1 }),
    },
    check: ({ handle }) => {
      const consumer = Disruptor.attach(handle).consumer("a");
      assertEquals(consumer.poll(), 1);
      assertEquals(consumer.events[consumer.begin], 7);
      assertEquals(consumer.poll(), 0);
    },
  });
});

/** A producer that claims a slot and gives it up. */
function abort({ handle }: State): void {
  const producer = Disruptor.attach(handle).producer({ ...BLOCKING, place: 0 });
  producer.claim();
  producer.abort();
}

Deno.test("disruptor: a slot that was skipped is used again, a lap later", async () => {
  /** Sends and consumes, which passes the skipped slot wherever it is. */
  const flow = ({ handle }: State): number[] => {
    const disruptor = Disruptor.attach(handle);
    const producer = disruptor.producer({ ...BLOCKING, place: 1 });
    const consumer = disruptor.consumer("a", BLOCKING);
    const seen: number[] = [];
    const take = () => {
      if (consumer.poll() > 0) seen.push(consumer.events[consumer.begin]!);
      consumer.release();
    };
    for (const number of [7, 8]) {
      while (!producer.trySend(number)) take();
      take();
    }
    while (seen.length < 2) {
      consumer.wait();
      take();
    }
    return seen;
  };
  await passes({
    setup: ring(ONE, { capacity: 2, producers: 2 }),
    threads: { abort, flow },
    check: (_, { flow }) => assertEquals(flow, [7, 8]),
    preemptions: 2,
  });
  await passesAtRandom({
    setup: ring({ a: {}, b: { after: "a" } }, { capacity: 2, producers: 2 }),
    threads: {
      abort,
      second: produce(4, { first: 7, place: 1 }),
      a: consume("a", 4),
      b: consume("b", 4),
    },
    check: (_, { a, b }) => assertEquals([a, b], [[7, 8, 9, 10], [7, 8, 9, 10]]),
  }, 8);
});

Deno.test("disruptor: parts of a claim are seen as they are published", async () => {
  const inParts = ({ handle }: State): void => {
    const producer = Disruptor.attach(handle).producer({ ...BLOCKING, place: 0 });
    const first = producer.claim(2);
    for (let i = 0; i < 2; i++) {
      producer.events[producer.slot(first + i)] = 1 + i;
      producer.publish(1);
    }
  };
  for (const producers of [0, 2]) {
    await passes({
      setup: ring(ONE, { capacity: 2, producers, start: NEAR_WRAP + 1 }),
      threads: { inParts, a: consume("a", 2, 1) },
      check: (_, { a }) => assertEquals(a, [1, 2]),
    });
  }
  await passes({
    setup: ring(ONE, { capacity: 4, producers: 2 }),
    threads: { inParts, second: produce(1, { first: 7, place: 1 }) },
    check({ handle }) {
      const consumer = Disruptor.attach(handle).consumer("a");
      assertEquals(consumer.poll(), 3);
      assertEquals(sorted([...consumer.events.subarray(0, 3)]), [1, 2, 7]);
    },
  });
});

/**
 * Visits every schedule, within a bound if one is given; returns how many there are, which is one
 * if a thread dies early.
 */
async function count<T extends Threads<State>>(model: ExploreOptions<State, T>): Promise<number> {
  const isBounded = model.preemptions !== undefined;
  const report = await explore({ clock: "virtual", allowIncomplete: isBounded, ...model });
  assert(report.complete || (isBounded && report.reason?.includes("preemptions")), report.reason);
  return report.executions;
}

Deno.test("disruptor: whenever a producer dies, what it claimed is given up, and no more", async () => {
  let executions = 0;
  for (const capacity of [2, 4]) {
    for (let life = 1, hasDied = true; hasDied; life++) {
      hasDied = false;
      executions += await count({
        setup: ring({ a: {} }, { capacity, producers: 2 }),
        threads: {
          dying(state: State): boolean {
            return diesAfter(life, () => produce(1)(state), VISIBLE_OPERATIONS);
          },
          living: produce(1, { first: 7, place: 1 }),
        },
        check({ handle }, { dying }) {
          hasDied ||= dying;
          const disruptor = Disruptor.attach(handle);
          if (dying) disruptor.reclaimProducer(0);
          const consumer = disruptor.consumer("a");
          const seen: number[] = [];
          while (consumer.poll() > 0) {
            for (let slot = consumer.begin; slot < consumer.end; slot++) {
              seen.push(consumer.events[slot]!);
            }
          }
          const both = sorted(seen);
          assert(`${both}` === "7" || `${both}` === "1,7", `saw ${seen}`);
          if (!dying) assertEquals(both, [1, 7]);
          assertEquals(disruptor.inspect().remainingCapacity, capacity);
        },
      });
    }
  }
  assert(executions > 100);
});

Deno.test("disruptor: a thread that reclaims a producer may die, too", async () => {
  let executions = 0;
  for (let life = 1, hasDied = true; hasDied; life++) {
    hasDied = false;
    executions += await count({
      setup: () => {
        const state = ring({ a: {} }, { capacity: 2, producers: 2 })();
        Disruptor.attach(state.handle).producer({ place: 0 }).claim();
        return state;
      },
      threads: {
        reclaiming({ handle }: State): boolean {
          return diesAfter(life, () => Disruptor.attach(handle).reclaimProducer(0));
        },
        living: produce(1, { first: 7, place: 1 }),
      },
      check({ handle }, { reclaiming }) {
        hasDied ||= reclaiming;
        const disruptor = Disruptor.attach(handle);
        if (reclaiming) disruptor.reclaimProducer(0);
        const consumer = disruptor.consumer("a");
        assertEquals(consumer.poll(), 1);
        assertEquals(consumer.events[consumer.begin], 7);
      },
    });
  }
  assert(executions > 100);
});

/** A worker dies beside one that lives, and is reclaimed; others get the rest. */
async function exploreDeadWorker(
  then: "keep" | "remove",
  check: (all: readonly number[], dying: readonly number[], rest: readonly number[]) => void,
): Promise<void> {
  let executions = 0;
  for (let life = 1, hasDied = true; hasDied; life++) {
    hasDied = false;
    executions += await count({
      setup: drainingWorkers(),
      threads: {
        dying({ handle }: State): { hasDied: boolean; seen: number[] } {
          const seen: number[] = [];
          const hasDied = diesAfter(life, () => {
            const consumer = Disruptor.attach(handle).consumer("a", { ...BLOCKING, worker: 0 });
            if (consumer.poll(1) > 0) seen.push(consumer.events[consumer.begin]!);
            consumer.release();
          }, VISIBLE_OPERATIONS);
          return { hasDied, seen };
        },
        living({ handle }: State): number[] {
          const consumer = Disruptor.attach(handle).consumer("a", { ...BLOCKING, worker: 1 });
          const seen: number[] = [];
          while (consumer.poll(1) > 0) seen.push(consumer.events[consumer.begin]!);
          return seen;
        },
      },
      check(state, { dying, living }) {
        hasDied ||= dying.hasDied;
        const disruptor = Disruptor.attach(state.handle);
        disruptor.reclaim("a", { worker: 0, then });
        disruptor.reclaim("a", { worker: 1 });
        const rest = consumeAll("a")(state);
        check(sorted(living, rest), dying.seen, rest);
        assert(disruptor.drain({ timeoutMs: 0 }), "the node has not ended");
      },
      preemptions: 1,
    });
  }
  assert(executions > 100);
}

Deno.test("disruptor: whenever a worker dies, another one gets what it had claimed", async () => {
  await exploreDeadWorker("keep", (others, dying, rest) => {
    // What it had handled and not released comes again.
    assertEquals(sorted(others, rest.includes(dying[0]!) ? [] : dying), [1, 2]);
  });
});

Deno.test("disruptor: whenever a worker dies and is given up, no event is handled twice", async () => {
  await exploreDeadWorker("remove", (others, dying) => {
    const all = sorted(others, dying);
    assertEquals(all, [...new Set(all)]);
    // It had claimed no more than one.
    assert(all.length >= 1, `saw ${all}`);
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: an abort that does not say that slots are skipped shows an empty event", async () => {
  await fails(["assertion", "data race", "deadlock"], {
    setup: ring(ONE, { producers: 2 }),
    threads: {
      abort: tampered(abort, ({ store }) => ({
        store: (view: Int32Array, index: number, value: number) =>
          index === SKIPS ? value : store(view, index, value),
      })),
      second: produce(1, { first: 7, place: 1 }),
      a: consume("a", 1),
    },
    check: (_, { a }) => assertEquals(a, [7]),
  });
});

const isFloor = (index: number) => index === PRODUCER_LINES + FLOOR;

Deno.test("broken twin: a floor that is stored after the claim lets the cursor pass it", async () => {
  await fails(["data race", "assertion"], {
    setup: ring(ONE, { capacity: 2, producers: 2 }),
    threads: {
      first: tampered(produce(1), ({ store }) => ({
        // Never: as if the claim came first, and the thread paused then.
        store: (view: Int32Array, index: number, value: number) =>
          isFloor(index) && value !== 0 ? value : store(view, index, value),
      })),
      second: produce(1, { first: 2, place: 1 }),
      a: consume("a", 2),
    },
    check: (_, { a }) => assertEquals(sorted(a), [1, 2]),
  });
});

Deno.test("broken twin: a claim by a load and a store gives one slot to two producers", async () => {
  await fails(["data race", "assertion"], {
    setup: ring(ONE, { capacity: 2, producers: 2 }),
    threads: {
      first: tampered(produce(1), ({ compareExchange, load, store }) => ({
        compareExchange(view: Int32Array, index: number, before: number, after: number) {
          if (index !== CLAIMS) return compareExchange(view, index, before, after);
          const found = load(view, index);
          if (found === before) store(view, index, after);
          return found;
        },
      })),
      second: produce(1, { first: 2, place: 1 }),
    },
  });
});

Deno.test("broken twin: a producer that looks at the floors before it ends its claim", async () => {
  await fails("assertion", {
    setup: ring(ONE, { capacity: 2, producers: 2 }),
    threads: {
      first: late(produce(1)),
      second: late(produce(1, { first: 2, place: 1 })),
    },
    check({ handle }) {
      assertEquals(Disruptor.attach(handle).inspect().published, 2);
    },
  });
});

/** A producer whose floor becomes idle only at its end. */
function late(body: (state: State) => void) {
  return (state: State) => {
    const omitted: (() => void)[] = [];
    tampered(body, ({ store }) => ({
      store(view: Int32Array, index: number, value: number) {
        if (value !== 0 || index < PRODUCER_LINES) return store(view, index, value);
        omitted.push(() => store(view, index, value));
        return value;
      },
    }))(state);
    for (const end of omitted) end();
  };
}

Deno.test("broken twin: a claim that is not confirmed is lost when its claimant dies", async () => {
  await fails("assertion", {
    setup: () => {
      const state = ring(ONE, { capacity: 2, producers: 2 })();
      Disruptor.attach(state.handle).producer({ place: 0 }).claim();
      return state;
    },
    threads: {
      living: tampered(produce(1, { first: 7, place: 1 }), ({ load }) => ({
        load: (view: Int32Array, index: number) => isFloor(index) ? 0 : load(view, index),
      })),
      other: () => Atomics.pause(),
    },
    check({ handle }) {
      const disruptor = Disruptor.attach(handle);
      disruptor.reclaimProducer(0);
      const consumer = disruptor.consumer("a");
      assertEquals(consumer.poll(), 1);
    },
  });
});
