/** The disruptor on one thread beside a plain queue for each node, for any graph and any calls. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Disruptor } from "@busbar/busbar/disruptor";

const CAPACITY = 8;
const NODES = ["a", "b", "c", "d", "e"] as const;
type Name = typeof NODES[number];

/** Any graph without a cycle: each node comes after some of those before it. */
const graph = fc.tuple(...NODES.map((_, i) => fc.subarray(NODES.slice(0, i)))).map((befores) =>
  Object.fromEntries(befores.map((after, i) => [NODES[i]!, { after }])) as Record<
    Name,
    { after: Name[] }
  >
);

const step = fc.oneof(
  fc.record({ do: fc.constant("send" as const), count: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ do: fc.constant("abort" as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({
    do: fc.constant("poll" as const),
    node: fc.constantFrom(...NODES),
    count: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({ do: fc.constant("release" as const), node: fc.constantFrom(...NODES) }),
);

for (const producers of ["single", "multi"] as const) {
  Deno.test(`disruptor: a ring of a ${producers} producer is a queue for each node`, () => {
    fc.assert(fc.property(graph, fc.array(step, { maxLength: 80 }), (nodes, steps) => {
      const disruptor = Disruptor.create({
        capacity: CAPACITY,
        elements: "f64",
        producers,
        consumers: nodes,
        start: 2 ** 28 - 11,
      });
      const producer = disruptor.producer();
      const consumers = new Map(NODES.map((name) => [name, disruptor.consumer(name)]));
      let number = 0;
      const seen: Record<Name, number[]> = { a: [], b: [], c: [], d: [], e: [] };
      /** How many events each node has released. */
      const released = { a: 0, b: 0, c: 0, d: 0, e: 0 };
      const release = (name: Name) => released[name] = seen[name].length;
      for (const now of steps) {
        if (now.do === "send") {
          const values = Array.from({ length: now.count }, (_, i) => number + i);
          const slowest = Math.min(...Object.values(released));
          const sent = producer.trySendAll(values);
          number += sent;
          // A slot that was given up takes room until all have passed it.
          if (producers === "single") {
            assertEquals(sent, Math.min(now.count, CAPACITY - (number - sent - slowest)));
          }
        } else if (now.do === "abort") {
          if (producer.tryClaim(now.count) !== -1) producer.abort();
        } else if (now.do === "poll") {
          const consumer = consumers.get(now.node)!;
          release(now.node);
          const before = nodes[now.node].after;
          const available = Math.min(number, ...before.map((other) => released[other]));
          const count = consumer.poll(now.count);
          const left = available - seen[now.node].length;
          assertEquals(count > 0, left > 0);
          for (let slot = consumer.begin; slot < consumer.end; slot++) {
            seen[now.node].push(consumer.events[slot]!);
          }
          assertEquals(seen[now.node], Array.from({ length: seen[now.node].length }, (_, i) => i));
        } else {
          consumers.get(now.node)!.release();
          release(now.node);
        }
      }
    }));
  });
}
