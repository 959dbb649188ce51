/**
 * Nodes that are added and removed while others run, under every schedule that matters; and broken
 * twins. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Disruptor } from "@busbar/busbar/disruptor";
import { ADDING, CLAIMS_CLOSED, CURSOR, PRESENT, REMOVED } from "../../src/disruptor/layout.ts";
import { spawn } from "@busbar/busbar/model";
import { diesAfter, VISIBLE_OPERATIONS } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consume, produce, ring, type State } from "./models.ts";

/** Attaches, takes one batch if there is one, and goes. */
function visit(name: string, raises = true) {
  return ({ handle }: State): number[] => {
    const disruptor = Disruptor.attach(handle);
    const seen: number[] = [];
    const consumer = disruptor.consumer(name, BLOCKING);
    consumer.poll();
    for (let slot = consumer.begin; slot < consumer.end; slot++) {
      seen.push(consumer.events[slot]!);
      if (raises) consumer.events[slot]! += 10;
    }
    consumer.release();
    consumer.close();
    disruptor.remove(name);
    return seen;
  };
}

/** Throws unless numbers follow one another. */
function checkRow(seen: readonly number[]): void {
  seen.forEach((number, i) => assertEquals(number, seen[0]! + i));
}

Deno.test("disruptor: a node that comes and goes sees a row of events, while the producer waits", async () => {
  await passes({
    setup: ring({ a: { absent: true } }),
    threads: { producer: produce(2), a: visit("a") },
    check: (_, { a }) => checkRow(a),
  });
});

Deno.test("disruptor: a node that comes and goes beside one that stays", async () => {
  const model = {
    setup: ring({ a: { absent: true }, b: { after: "a" } }),
    threads: { producer: produce(2), a: visit("a"), b: consume("b", 2) },
    check: (_: State, { a, b }: { a: number[]; b: number[] }) => {
      checkRow(a);
      // What the added node has seen, the next one has seen after it.
      const raised = b.filter((number) => number > 10).map((number) => number - 10);
      assertEquals(raised, a);
      assertEquals(b.map((number) => number % 10), [1, 2]);
    },
  };
  await passesAtRandom(model, 6);
  await passes({
    ...model,
    threads: { producer: produce(1), a: visit("a"), b: consume("b", 1) },
    check: (_, { a, b }) => {
      assertEquals(b.map((number) => number % 10), [1]);
      assertEquals(a.length, b[0]! > 10 ? 1 : 0);
    },
    preemptions: 1,
  });
});

Deno.test("disruptor: a producer that waits for a node goes on when that is removed", async () => {
  await passes({
    setup: ring({ a: {} }),
    threads: {
      producer: produce(2),
      remover: ({ handle }: State) => Disruptor.attach(handle).remove("a"),
    },
  });
});

/** A worker that takes one event, if there is one, and goes. */
function work({ handle }: State): number[] {
  using consumer = Disruptor.attach(handle).consumer("a", BLOCKING);
  const seen = consumer.poll(1) > 0 ? [consumer.events[consumer.begin]!] : [];
  consumer.release();
  return seen;
}

/**
 * As {@link work}; the last worker that goes removes the node. While it does, none can attach; and
 * as long as one is attached, it cannot.
 */
function workAndRemove(state: State): number[] {
  const seen: number[] = [];
  try {
    seen.push(...work(state));
    Disruptor.attach(state.handle).remove("a");
  } catch (error) {
    assert(`${error}`.includes("are attached: close"), `${error}`);
  }
  return seen;
}

const ABSENT_WORKERS = { a: { workers: 2, absent: true } };

Deno.test("disruptor: workers come and go beside a producer that waits", async () => {
  await passes({
    setup: ring(ABSENT_WORKERS),
    threads: { producer: produce(2), a: workAndRemove },
    check: (_, { a }) => assert(a.length <= 1),
  });
  await passes({
    setup: ring(ABSENT_WORKERS, { capacity: 2 }),
    threads: { first: workAndRemove, second: workAndRemove },
    preemptions: 2,
  });
});

Deno.test("disruptor: workers that attach to a removed node at once agree where it begins", async () => {
  const model = {
    setup: ring(ABSENT_WORKERS, { capacity: 2 }),
    threads: { producer: produce(2), first: work, second: work },
    check({ handle }: State, { first, second }: { first: number[]; second: number[] }) {
      const rest = Disruptor.attach(handle).consumer("a");
      const seen = [...first, ...second];
      for (let count; (count = rest.poll()) > 0;) {
        seen.push(...rest.events.subarray(rest.begin, rest.begin + count));
      }
      // From where the node begins on, each event once.
      checkRow(seen.sort());
      assert(seen.length === 0 || seen.at(-1) === 2, `saw ${seen}`);
    },
  };
  await passesAtRandom(model, 7);
  await passes({ ...model, preemptions: 1 });
});

Deno.test("disruptor: whenever a worker dies that adds its node, another one can add it", async () => {
  for (let life = 1, hasDied = true; hasDied; life++) {
    hasDied = false;
    await passes({
      setup: ring(ABSENT_WORKERS),
      threads: {
        dying({ handle }: State): boolean {
          return diesAfter(life, () => {
            Disruptor.attach(handle).consumer("a", { worker: 0 });
          }, VISIBLE_OPERATIONS);
        },
        flow({ handle }: State): void {
          const disruptor = Disruptor.attach(handle);
          const consumer = disruptor.consumer("a", { ...BLOCKING, worker: 1 });
          const producer = disruptor.producer(BLOCKING);
          for (const number of [1, 2]) {
            producer.send(number);
            assertEquals(consumer.poll(), 1);
            consumer.release();
          }
        },
      },
      check(_, { dying }) {
        hasDied ||= dying;
      },
    });
  }
});

/** Produces events, and consumes them in node "b". */
function flow(count: number) {
  return ({ handle }: State): void => {
    const disruptor = Disruptor.attach(handle);
    const producer = disruptor.producer(BLOCKING);
    const consumer = disruptor.consumer("b", BLOCKING);
    for (let number = 1; number <= count; number++) {
      producer.send(number);
      assertEquals(consumer.poll(), 1);
      consumer.release();
    }
  };
}

function add({ handle }: State): void {
  Disruptor.attach(handle).consumer("a").close();
}

/** A thread adds the node "a", and dies before or after; its parent repairs that, and visits it. */
function addAfterDeath(life: number, adding = add) {
  return (state: State): { hasDied: boolean; seen: number[] } => {
    const victim = spawn(() => diesAfter(life, () => adding(state), VISIBLE_OPERATIONS));
    const hasDied = victim.join();
    if (hasDied) Disruptor.attach(state.handle).reclaim("a");
    return { hasDied, seen: visit("a", false)(state) };
  };
}

Deno.test("disruptor: whenever a consumer dies that adds its node, another one can add it", async () => {
  for (let life = 0, hasDied = true; hasDied; life++) {
    hasDied = false;
    await passes({
      setup: ring({ a: { absent: true }, b: {} }),
      threads: { flow: flow(2), a: addAfterDeath(life) },
      check(_, { a }) {
        hasDied ||= a.hasDied;
        checkRow(a.seen);
      },
    });
  }
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a removal that only notifies leaves the producer asleep", async () => {
  await fails("deadlock", {
    setup: ring({ a: {} }),
    threads: {
      producer: produce(2),
      remover: tampered(
        ({ handle }: State) => Disruptor.attach(handle).remove("a"),
        ({ or }) => ({
          or: (view: Int32Array, index: number, flag: number) =>
            flag === REMOVED ? 0 : or(view, index, flag),
        }),
      ),
    },
  });
});

Deno.test("broken twin: a worker of a node that is removed with its claims open begins too low", async () => {
  await fails("data race", {
    setup: ring({ a: { workers: 2 }, b: {} }),
    threads: {
      producer: produce(2),
      worker: tampered((state: State) => {
        Disruptor.attach(state.handle).remove("a");
        return work(state);
      }, ({ store }) => ({
        store: (view: Int32Array, index: number, value: number) =>
          (value & CLAIMS_CLOSED) !== 0 ? value : store(view, index, value),
      })),
      b: consume("b", 2),
    },
  });
});

Deno.test("broken twin: a consumer that dies and has not said that it adds is followed too low", async () => {
  const silently = tampered(add, ({ store }) => ({
    store: (view: Int32Array, index: number, value: number) =>
      store(view, index, value === ADDING ? PRESENT : value),
  }));
  await fails("data race", {
    setup: ring({ a: { absent: true }, b: {} }),
    // It takes the node, says that it adds it, and puts the gate at the cursor.
    threads: { flow: flow(2), a: addAfterDeath(3, silently) },
  });
});

Deno.test("broken twin: a node that begins where it was added first is overtaken", async () => {
  await fails(["data race", "assertion"], {
    setup: ring({ a: { absent: true }, b: { after: "a" } }, { capacity: 2 }),
    threads: {
      producer: produce(1),
      a: tampered(visit("a"), ({ load }) => {
        // The second look at the cursor, in the addition, finds what the first one found.
        let looks = 0;
        let first = 0;
        return {
          load(view: Int32Array, index: number) {
            if (index !== CURSOR || looks >= 2) return load(view, index);
            return looks++ === 0 ? first = load(view, index) : first;
          },
        };
      }),
      b: consume("b", 1),
    },
    check: (_, { a, b }) => assertEquals(a.length, b[0]! > 10 ? 1 : 0),
  });
});
