/**
 * Nodes that are added and removed while others run, under every schedule that matters; and broken
 * twins. `models.ts` describes the rings.
 */

import { assertEquals } from "@std/assert";
import { Disruptor } from "@busbar/busbar/disruptor";
import { CURSOR, REMOVED } from "../../src/disruptor/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { BLOCKING, consume, produce, ring, type State } from "./models.ts";

/** Attaches, takes one batch if there is one, and goes. */
function visit(name: string) {
  return ({ handle }: State): number[] => {
    const disruptor = Disruptor.attach(handle);
    const seen: number[] = [];
    const consumer = disruptor.consumer(name, BLOCKING);
    consumer.poll();
    for (let slot = consumer.begin; slot < consumer.end; slot++) {
      seen.push(consumer.events[slot]!);
      consumer.events[slot]! += 10;
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
