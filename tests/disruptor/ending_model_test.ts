/**
 * Draining and halting under every schedule that matters, while others wait; and broken twins.
 * `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Disruptor, DrainedError, HaltedError, RewindError } from "@busbar/busbar/disruptor";
import { CLOSED, CURSOR, NO_ROOM } from "../../src/disruptor/layout.ts";
import { diesAfter } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consumeAll, produce, ring, type State } from "./models.ts";

/** A ring with events 1 and so on. */
function filled(count: number, consumers = {}, capacity = 2, producers = 0): () => State {
  return () => {
    const state = ring({ a: {}, ...consumers }, { capacity, producers })();
    const producer = Disruptor.attach(state.handle).producer();
    for (let number = 1; number <= count; number++) producer.send(number);
    producer.close();
    return state;
  };
}

function drain({ handle }: State): boolean {
  return Disruptor.attach(handle).drain();
}

function halt({ handle }: State): void {
  Disruptor.attach(handle).halt();
}

/** A producer that sends twice, unless it cannot; returns the class of the error. */
function sendOn({ handle }: State): string {
  const producer = Disruptor.attach(handle).producer(BLOCKING);
  try {
    for (const number of [10, 11]) producer.send(number);
    return "none";
  } catch (error) {
    assert(error instanceof DrainedError || error instanceof HaltedError, `${error}`);
    return error.name;
  }
}

Deno.test("disruptor: a drain waits for every node, which may attach late", async () => {
  await passes({
    setup: filled(2),
    threads: { drain, a: consumeAll("a") },
    check: (_, { drain, a }) => assertEquals([drain, a], [true, [1, 2]]),
  });
  await passesAtRandom({
    setup: filled(2, { b: { after: "a" } }),
    threads: { drain, a: consumeAll("a"), b: consumeAll("b") },
    check: (_, { drain, a, b }) => assertEquals([drain, a, b], [true, [1, 2], [1, 2]]),
  }, 5);
});

Deno.test("disruptor: a drain ends the wait of a producer for room", async () => {
  await passes({
    setup: filled(1, {}, 1),
    threads: {
      drain: ({ handle }: State) => Disruptor.attach(handle).drain({ timeoutMs: 0 }),
      producer: sendOn,
    },
    check: (_, { producer }) => assert(producer !== "none"),
  });
});

Deno.test("disruptor: what several producers publish before a drain is consumed", async () => {
  await passes({
    setup: ring({ a: {} }, { capacity: 2, producers: 2 }),
    threads: {
      drain,
      producer({ handle }: State): number {
        const producer = Disruptor.attach(handle).producer(BLOCKING);
        try {
          producer.send(1);
          return 1;
        } catch (error) {
          assert(error instanceof DrainedError);
          return 0;
        }
      },
      a: consumeAll("a"),
    },
    check: (_, { drain, producer, a }) => {
      assertEquals(drain, true);
      assertEquals(a.length, producer);
    },
    preemptions: 1,
  });
});

Deno.test("disruptor: a halt ends every wait", async () => {
  await passes({
    setup: filled(0, {}, 1),
    threads: { halt, a: consumeAll("a"), producer: sendOn },
    check: (_, { a }) => a.forEach((number, i) => assertEquals(number, 10 + i)),
    preemptions: 1,
  });
});

Deno.test("disruptor: a halt ends the waits of several producers and of competing workers", async () => {
  await passes({
    setup: filled(1, {}, 1, 2),
    threads: { halt, producer: sendOn },
    check: (_, { producer }) => assert(producer !== "none"),
  });
  await passes({
    setup: ring({ a: { workers: 2 } }),
    threads: { halt, first: consumeAll("a"), second: consumeAll("a") },
    check: (_, { first, second }) => assertEquals([first, second], [[], []]),
    preemptions: 1,
  });
});

Deno.test("disruptor: a drain ends the wait of one of several producers for room", async () => {
  await passes({
    setup: filled(1, {}, 1, 2),
    threads: {
      drain: ({ handle }: State) => Disruptor.attach(handle).drain({ timeoutMs: 0 }),
      producer: sendOn,
    },
    check: (_, { producer }) => assert(producer !== "none"),
  });
});

Deno.test("disruptor: two halts and consumers that attach between them", async () => {
  await passes({
    setup: filled(1),
    threads: { first: halt, second: halt, a: consumeAll("a") },
    check: ({ handle }) => assert(Disruptor.attach(handle).isHalted),
    preemptions: 1,
  });
  await passesAtRandom({
    setup: filled(1, { b: { after: "a" } }),
    threads: { first: halt, second: halt, a: consumeAll("a"), b: consumeAll("b") },
    check: ({ handle }) => assert(Disruptor.attach(handle).isHalted),
  }, 9);
});

Deno.test("disruptor: whenever a thread that halts dies, another one can halt", async () => {
  for (let life = 1, hasDied = true; hasDied; life++) {
    hasDied = false;
    await passes({
      setup: ring({ a: {} }),
      threads: {
        dying(state: State): boolean {
          return diesAfter(life, () => halt(state));
        },
        second: halt,
        a: consumeAll("a"),
      },
      check: (_, { dying, a }) => {
        hasDied ||= dying;
        assertEquals(a, []);
      },
      preemptions: 1,
    });
  }
});

Deno.test("disruptor: whenever a thread that drains dies, another one can drain", async () => {
  for (const producers of [0, 2]) {
    for (let life = 0, hasDied = true; hasDied; life++) {
      hasDied = false;
      await passes({
        setup: filled(1, {}, 1, producers),
        threads: {
          dying: (state: State): boolean => diesAfter(life, () => void drain(state)),
          second: drain,
          a: consumeAll("a"),
        },
        check(_, { dying, second, a }) {
          hasDied ||= dying;
          assertEquals([second, a], [true, [1]]);
        },
        preemptions: 1,
      });
    }
  }
});

Deno.test("disruptor: a halt ends the wait of a stage, and a drain", async () => {
  await passes({
    setup: filled(1, { b: { after: "a" } }),
    threads: { halt, drain, b: consumeAll("b") },
    check: (_, { drain, b }) => {
      assertEquals(drain, false);
      assertEquals(b, []);
    },
    preemptions: 2,
  });
});

Deno.test("disruptor: a halt ends a handler that always wants the same again", async () => {
  await passes({
    setup: filled(1, {}, 1),
    threads: {
      halt,
      a({ handle }: State): boolean {
        const consumer = Disruptor.attach(handle).consumer("a", BLOCKING);
        try {
          consumer.run(() => "again", { attempts: Number.MAX_SAFE_INTEGER });
          return true;
        } catch (error) {
          return error instanceof RewindError;
        }
      },
    },
    check: (_, { a }) => assert(a),
  });
});

Deno.test("disruptor: a halt ends the wait for all to be joined", async () => {
  await passes({
    setup: ring({ a: {} }),
    threads: {
      halt,
      start({ handle }: State): boolean {
        try {
          Disruptor.attach(handle).start();
          return true;
        } catch (error) {
          assert(error instanceof HaltedError);
          return false;
        }
      },
    },
    check: (_, { start }) => assertEquals(start, false),
  });
});

Deno.test("disruptor: start returns once every node is joined", async () => {
  await passes({
    setup: ring({ a: {}, b: {} }),
    threads: {
      start: ({ handle }: State) => Disruptor.attach(handle).start(),
      a: ({ handle }: State) => void Disruptor.attach(handle).consumer("a"),
      b: ({ handle }: State) => void Disruptor.attach(handle).consumer("b"),
    },
  });
});

Deno.test("disruptor: a node that is removed is waited for no more", async () => {
  await passes({
    setup: filled(1, { b: { after: "a" } }, 1),
    threads: {
      remover: ({ handle }: State) => Disruptor.attach(handle).reclaim("a", { then: "remove" }),
      producer: produce(1, { first: 2 }),
      b({ handle }: State) {
        const consumer = Disruptor.attach(handle).consumer("b", BLOCKING);
        const seen: number[] = [];
        while (seen.length < 2) {
          consumer.wait();
          if (consumer.poll() > 0) seen.push(consumer.events[consumer.begin]!);
        }
        return seen;
      },
    },
    check: (_, { b }) => assertEquals(b, [1, 2]),
    preemptions: 1,
  });
});

Deno.test("disruptor: a producer goes on once the node that it waits for is removed", async () => {
  await passes({
    setup: filled(1, {}, 1),
    threads: {
      remover: ({ handle }: State) => Disruptor.attach(handle).reclaim("a", { then: "remove" }),
      producer: produce(2),
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a drain that does not tell producers leaves one asleep", async () => {
  await fails("deadlock", {
    setup: filled(1, {}, 1),
    threads: {
      drain: tampered(
        ({ handle }: State) => Disruptor.attach(handle).drain({ timeoutMs: 0 }),
        ({ or }) => ({
          or: (view: Int32Array, index: number, flag: number) =>
            flag === NO_ROOM ? 0 : or(view, index, flag),
        }),
      ),
      producer: sendOn,
    },
  });
});

Deno.test("broken twin: a halt that only notifies leaves a consumer asleep", async () => {
  await fails("deadlock", {
    setup: filled(0),
    threads: {
      halt: tampered(halt, () => ({ or: () => 0 })),
      a: consumeAll("a"),
    },
  });
});

Deno.test("broken twin: a halt that does not notify leaves a consumer asleep", async () => {
  await fails("deadlock", {
    setup: filled(0),
    threads: { halt: tampered(halt, () => ({ notify: () => 0 })), a: consumeAll("a") },
  });
});

Deno.test("broken twin: a consumer that ends without closing its gate hangs the drain", async () => {
  await fails("deadlock", {
    setup: filled(1),
    threads: {
      drain,
      a: tampered(consumeAll("a"), ({ or }) => ({
        or: (view: Int32Array, index: number, flag: number) =>
          flag === CLOSED && index !== CURSOR ? 0 : or(view, index, flag),
      })),
    },
  });
});
