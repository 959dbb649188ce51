/**
 * Readers that sleep until something is published, under every schedule that matters; and broken
 * twins of them. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast } from "@busbar/busbar/broadcast";
import { tampered } from "../tamper.ts";
import { POSITION } from "../../src/broadcast/layout.ts";
import { fails, passes } from "../verdicts.ts";
import {
  append,
  type Cas,
  readUntil,
  ring,
  type Seen,
  type State,
  take,
  withCas,
  write,
} from "./models.ts";

Deno.test("broadcast: a reader that sleeps is always woken", async () => {
  await passes({
    setup: ring(),
    threads: { writer: write(3), reader: readUntil(3) },
    check: (_, { reader }) => assertEquals(reader, [1, 2, 3]),
  });
});

Deno.test("broadcast: two readers that sleep are both woken", async () => {
  await passes({
    setup: ring(),
    threads: { writer: write(1), first: readUntil(1), second: readUntil(1) },
    check: (_, { first, second }) => assertEquals([...first, ...second], [1, 1]),
  });
});

Deno.test("broadcast: a reader that awaits is always woken", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(2),
      async reader({ handle }: State): Promise<Seen> {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        const seen: number[] = [];
        while (seen.at(-1) !== 2) {
          await reader.waitAsync();
          take(reader, seen);
        }
        return seen;
      },
    },
    check: (_, { reader }) => assertEquals(reader, [1, 2]),
  });
});

Deno.test("broadcast: a heartbeat wakes a reader that sleeps, and is no message", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        writer.heartbeat();
        append(writer, 1);
        writer.heartbeat();
      },
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        assert(reader.wait());
        const seen: number[] = [];
        take(reader, seen);
        return seen;
      },
    },
    check: (_, { reader }) => assert(reader.length === 0 || reader[0] === 1),
  });
});

Deno.test("broadcast: a reader that sleeps is woken although the writer dies before it notifies", async () => {
  await passes({
    setup: ring(),
    threads: {
      dying: tampered(write(1), () => ({ notify: () => 0 })),
      reader: readUntil(1),
      next({ handle }: State) {
        const broadcast = Broadcast.attach(handle);
        const probe = broadcast.reader({ from: 0 });
        while (!probe.poll()) Atomics.pause();
        broadcast.writer({ takeOver: true });
      },
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a dropped notify leaves a reader asleep", async () => {
  const error = await fails("deadlock", {
    setup: ring(),
    threads: { writer: tampered(write(1), () => ({ notify: () => 0 })), reader: readUntil(1) },
  });
  assert(error.message.includes("broadcast.position"), error.message);
});

Deno.test("broken twin: a writer that overlooks the sleeper's mark leaves it asleep", async () => {
  await fails("deadlock", {
    setup: ring(),
    threads: {
      writer: withCas(
        write(2),
        (index) => index === POSITION,
        ({ store }) =>
          ((view: Int32Array, index: number, expected: number, replacement: number) => {
            store(view, index, replacement);
            return expected;
          }) as unknown as Cas,
      ),
      reader: readUntil(2),
    },
  });
});
