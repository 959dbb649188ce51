/**
 * Threads that die before any of their operations, while others go on; and threads that die while
 * they repair what such a thread has left. For the deaths of one of several producers, and of a
 * worker, see `claims_model_test.ts`; of one that halts, `ending_model_test.ts`; of one that adds a
 * node, `adding_model_test.ts`.
 *
 * The victim dies before its first operation, its second, and so on: one exploration for each,
 * until it survives. Its parent waits for its end, and repairs what it left.
 */

import { assert, assertEquals } from "@std/assert";
import {
  Disruptor,
  DrainedError,
  type GraphOptions,
  type NodeReclaimOptions,
} from "@busbar/busbar/disruptor";
import { type ExploreOptions, spawn, type Threads } from "@busbar/busbar/model";
import { TAKEN } from "../../src/disruptor/layout.ts";
import { diesAfter, type Life, mortal, VISIBLE_OPERATIONS } from "../dying.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consume, consumeAll, produce, ring, type State } from "./models.ts";

/**
 * Explores a model for the victim's death before each of its operations: every schedule within the
 * bound that the model states, or some at random if it states none.
 */
async function survives<T extends Threads<State>>(
  model: (life: number) => ExploreOptions<State, T>,
  hasDied: (results: Parameters<NonNullable<ExploreOptions<State, T>["check"]>>[1]) => boolean,
): Promise<void> {
  let lives = 0;
  for (let isAnyDead = true; isAnyDead; lives++) {
    isAnyDead = false;
    const { check, ...rest } = model(lives);
    const watched = {
      ...rest,
      check(state, results) {
        check?.(state, results);
        isAnyDead = hasDied(results) || isAnyDead;
      },
    } as ExploreOptions<State, T>;
    if (rest.preemptions === undefined) await passesAtRandom(watched, lives + 1);
    else await passes(watched);
  }
  assert(lives > 1, "it has never died");
}

/** Consumes events up to the one with this number, and goes. */
function consumeUpTo(name: string, last: number) {
  return ({ handle }: State, notes: number[]): void => {
    using consumer = Disruptor.attach(handle).consumer(name, BLOCKING);
    while (!notes.includes(last)) {
      consumer.wait();
      if (consumer.poll(1) > 0) notes.push(consumer.events[consumer.begin]!);
      consumer.release();
    }
  };
}

/** Whether the single producer is attached. */
function isTaken({ handle }: State): boolean {
  return Atomics.load(new Int32Array(handle.memory.buffer, handle.byteOffset), TAKEN) === 1;
}

/** A node's consumer dies; another one follows it, or the node is removed. */
function consumerDies(life: number, last: number, options: NodeReclaimOptions) {
  return (state: State): Life & { seen: number[] } => {
    const victim = spawn(() => mortal(life, consumeUpTo("a", last), VISIBLE_OPERATIONS)(state));
    const { hasDied, notes } = victim.join();
    const seen: number[] = [];
    if (hasDied) Disruptor.attach(state.handle).reclaim("a", options);
    if (options.then !== "remove" && !notes.includes(last)) consumeUpTo("a", last)(state, seen);
    return { hasDied, notes, seen };
  };
}

Deno.test("disruptor: whenever a node's consumer dies, the next one gets what it had not released", async () => {
  await survives((life) => ({
    setup: withEvent({ a: {} }),
    threads: { producer: produce(1, { first: 2 }), parent: consumerDies(life, 2, {}) },
    preemptions: 1,
    check(_, { parent: { notes, seen } }) {
      const again = notes.length + seen.length - 2;
      // What the dead one was at comes again.
      assert(again === 0 || again === 1, `${notes} and ${seen}`);
      assertEquals([...notes, ...seen.slice(again)], [1, 2]);
    },
  }), ({ parent }) => parent.hasDied);
});

Deno.test("disruptor: whenever a node's consumer dies and is removed, the others go on", async () => {
  await survives((life) => ({
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: {
      producer: produce(2),
      parent: consumerDies(life, 2, { then: "remove" }),
      b: consume("b", 2),
    },
    check: (_, { b }) => assertEquals(b, [1, 2]),
  }), ({ parent }) => parent.hasDied);
});

Deno.test("disruptor: whenever a single producer dies, another one goes on where it published", async () => {
  await survives((life) => ({
    setup: ring({ a: {} }),
    threads: {
      parent(state: State): boolean {
        const dying = (state: State) =>
          diesAfter(life, () => produce(2)(state), VISIBLE_OPERATIONS);
        const hasDied = spawn(() => dying(state)).join();
        const disruptor = Disruptor.attach(state.handle);
        // It may have died before it was attached.
        if (hasDied && isTaken(state)) disruptor.reclaimProducer();
        if (hasDied) produce(1, { first: 9 })(state);
        disruptor.drain({ timeoutMs: 0 });
        return hasDied;
      },
      a: consumeAll("a"),
    },
    check(_, { parent, a }) {
      const rest = parent ? [9] : [];
      assertEquals(a, [1, 2].slice(0, a.length - rest.length).concat(rest));
    },
  }), ({ parent }) => parent);
});

Deno.test("disruptor: a drain waits for the claim of a dead producer, until it is given up", async () => {
  await survives((life) => ({
    setup: ring({ a: {} }, { capacity: 2, producers: 2 }),
    threads: {
      parent({ handle }: State): boolean {
        const dying = () => {
          try {
            produce(2)({ handle });
          } catch (error) {
            if (!(error instanceof DrainedError)) throw error;
          }
        };
        const hasDied = spawn(() => diesAfter(life, dying, VISIBLE_OPERATIONS)).join();
        const disruptor = Disruptor.attach(handle);
        if (hasDied && life > 0) disruptor.reclaimProducer(0);
        return hasDied;
      },
      drain: ({ handle }: State) => Disruptor.attach(handle).drain(),
      a: consumeAll("a"),
    },
    check(_, { drain, a }) {
      assert(drain);
      assertEquals(a, [1, 2].slice(0, a.length));
    },
  }), ({ parent }) => parent);
});

/** A thread reclaims, and may die; its parent does the same again. */
function repairs(life: number, repair: (disruptor: Disruptor) => void) {
  return ({ handle }: State): boolean => {
    const victim = spawn(() =>
      diesAfter(life, () => repair(Disruptor.attach(handle)), VISIBLE_OPERATIONS)
    );
    const hasDied = victim.join();
    if (hasDied) repair(Disruptor.attach(handle));
    return hasDied;
  };
}

/** A ring of one slot, with event 1. */
function withEvent(consumers: GraphOptions): () => State {
  return () => {
    const state = ring(consumers)();
    using producer = Disruptor.attach(state.handle).producer();
    producer.send(1);
    return state;
  };
}

/** As {@link withEvent}; a dead consumer of "a" has made a batch of it. */
function withDeadConsumer(workers: number): () => State {
  return () => {
    const a = workers === 0 ? {} : { workers };
    const state = withEvent({ a, b: { after: "a" } })();
    Disruptor.attach(state.handle).consumer("a").poll();
    return state;
  };
}

for (const workers of [0, 2]) {
  const [who, options] = workers === 0 ? ["consumer", {}] : ["worker", { worker: 0 }];

  Deno.test(`disruptor: a thread that reclaims a ${who} may die, too`, async () => {
    await survives((life) => ({
      setup: withDeadConsumer(workers),
      threads: {
        parent: repairs(life, (disruptor) => disruptor.reclaim("a", options)),
        producer: produce(1, { first: 2 }),
        b: consume("b", 1),
        heir({ handle }: State): number[] {
          // In the place of the dead one, as soon as that is free.
          for (;;) {
            try {
              const consumer = Disruptor.attach(handle).consumer("a", { ...BLOCKING, ...options });
              consumer.wait();
              consumer.poll();
              const seen = [consumer.events[consumer.begin]!];
              consumer.release();
              return seen;
            } catch {
              Atomics.pause();
            }
          }
        },
      },
      check: (_, { b, heir }) => assertEquals([b, heir], [[1], [1]]),
    }), ({ parent }) => parent);
  });

  Deno.test(`disruptor: a thread that reclaims a ${who} for good may die, too`, async () => {
    const then = { ...options, then: "remove" } as const;
    await survives((life) => ({
      setup: withDeadConsumer(workers),
      threads: {
        parent: repairs(life, (disruptor) => disruptor.reclaim("a", then)),
        producer: produce(1, { first: 2 }),
        b: consume("b", 1),
      },
      check: (_, { b }) => assertEquals(b, [1]),
    }), ({ parent }) => parent);
  });
}

Deno.test("disruptor: whenever a thread dies that removes a node, another one can remove it", async () => {
  await survives((life) => ({
    setup: ring({ a: { workers: 2 }, b: { after: "a" } }),
    threads: {
      producer: produce(2),
      parent({ handle }: State): boolean {
        const remove = () => Disruptor.attach(handle).remove("a");
        const hasDied = spawn(() => diesAfter(life, remove, VISIBLE_OPERATIONS)).join();
        if (!hasDied) return false;
        // It had the places of the workers.
        for (const worker of [0, 1]) Disruptor.attach(handle).reclaim("a", { worker });
        remove();
        return true;
      },
      b: consume("b", 2),
    },
    check: (_, { b }) => assertEquals(b, [1, 2]),
  }), ({ parent }) => parent);
  await survives((life) => ({
    setup: ring({ a: {}, b: { after: "a" } }),
    threads: {
      producer: produce(2),
      parent({ handle }: State): boolean {
        const remove = () => Disruptor.attach(handle).remove("a");
        const hasDied = spawn(() => diesAfter(life, remove, VISIBLE_OPERATIONS)).join();
        if (hasDied) Disruptor.attach(handle).reclaim("a", { then: "remove" });
        return hasDied;
      },
      b: consume("b", 2),
    },
    check: (_, { b }) => assertEquals(b, [1, 2]),
  }), ({ parent }) => parent);
});

/** A ring whose only slot a dead producer has claimed. */
function fullOfAClaim(): State {
  const state = ring({ a: {} }, { producers: 2 })();
  Disruptor.attach(state.handle).producer({ place: 0 }).claim();
  return state;
}

/** What others do meanwhile: one waits for room, and one for its event. */
const OTHERS = { living: produce(1, { first: 7, place: 1 }), a: consume("a", 1) };

Deno.test("disruptor: a claim of a dead producer is given up while the ring is full of it", async () => {
  await passes({
    setup: fullOfAClaim,
    threads: {
      ...OTHERS,
      reclaim: ({ handle }: State) => Disruptor.attach(handle).reclaimProducer(0),
    },
    check: (_, { a }) => assertEquals(a, [7]),
    preemptions: 1,
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a claim that is given up only if there is room blocks everything", async () => {
  await fails("deadlock", {
    setup: fullOfAClaim,
    threads: {
      ...OTHERS,
      reclaim({ handle }: State) {
        const disruptor = Disruptor.attach(handle);
        if (disruptor.inspect().remainingCapacity > 0) disruptor.reclaimProducer(0);
      },
    },
  });
});

Deno.test("broken twin: a dead consumer that nobody reclaims blocks the producer", async () => {
  await fails("deadlock", {
    setup: withDeadConsumer(0),
    threads: { producer: produce(1, { first: 2 }), b: consume("b", 1) },
  });
});
