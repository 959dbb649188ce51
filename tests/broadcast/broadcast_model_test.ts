/**
 * The broadcast ring as shipped, under every schedule that matters, and broken twins of it.
 *
 * The rings are as small as they can be, so that a writer laps its readers within a few messages:
 * 64 bytes of data in 4 segments, each one frame with a payload of two equal words.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Broadcast, type BroadcastHandle, OverrunError } from "@busbar/busbar";
import { ExplorationError, explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { tampered } from "../tamper.ts";
import { POSITION } from "../../src/broadcast/layout.ts";

interface State {
  readonly handle: BroadcastHandle;
}

/** The bytes of a frame that {@linkcode write} sends. */
const FRAME = 16;
const CAPACITY = 64;

function ring(startPosition = 0, batchBytes = CAPACITY): () => State & { batchBytes: number } {
  return () => ({
    handle: Broadcast.create({ capacityBytes: CAPACITY, segments: 4, startPosition }).handle,
    batchBytes,
  });
}

/** A writer that sends messages numbered from 1, `each` at a time. */
function write(count: number, each = 1) {
  return ({ handle }: State) => {
    const writer = Broadcast.attach(handle).writer();
    for (let i = 1; i <= count; i++) {
      writer.append(new Uint8Array(new Uint32Array([i, i]).buffer));
      if (i % each === 0) writer.publish();
    }
  };
}

/** What a reader saw: the numbers of messages, and -1 where it was overrun. */
type Seen = readonly number[];

/** A reader from the ring's beginning that looks `polls` times. */
function read(polls: number) {
  return ({ handle, batchBytes }: State & { batchBytes: number }): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition, batchBytes });
    const seen: number[] = [];
    for (let i = 0; i < polls; i++) take(reader, seen, ring.startPosition);
    return seen;
  };
}

/** Takes one batch; every message must be whole and be the one that belongs there. */
function take(reader: ReturnType<Broadcast["reader"]>, seen: number[], start: number): boolean {
  try {
    const found = reader.poll();
    while (reader.next()) {
      const [first, second] = new Uint32Array(reader.message().slice().buffer);
      assertEquals(first, second, "a torn message was accepted");
      assertEquals(first, (reader.position - start) / FRAME, "a message in the wrong place");
      seen.push(first!);
    }
    return found;
  } catch (error) {
    if (!(error instanceof OverrunError)) throw error;
    seen.push(-1);
    return true;
  }
}

/** Messages come in order, none is missing but where an overrun was reported. */
function checkOrder(...readers: Seen[]): void {
  for (const seen of readers) {
    seen.forEach((number, i) => {
      if (number < 0) return;
      const before = seen[i - 1];
      if (before === undefined) assertEquals(number, 1);
      else if (before > 0) assertEquals(number, before + 1, `a gap without an overrun: ${seen}`);
    });
  }
}

async function passes<S, T extends Threads<S>>(options: ExploreOptions<S, T>): Promise<void> {
  const report = await explore(options);
  assert(report.complete);
  assert(report.executions > 1, "one execution proves nothing");
}

async function fails<S, T extends Threads<S>>(
  kind: string,
  options: ExploreOptions<S, T>,
): Promise<ExplorationError> {
  const error = await assertRejects(() => explore(options), ExplorationError);
  assertEquals(error.failure.kind, kind, error.message);
  return error;
}

Deno.test("broadcast: two readers and a writer that laps them see only true messages", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: write(6), first: read(1), second: read(1) },
    check: (_, { first, second }) => {
      checkOrder(first, second);
      outcomes.add(first.join());
    },
  });
  assert(
    outcomes.has("-1") && outcomes.has("") && outcomes.has("1,2,3,4"),
    [...outcomes].join(";"),
  );
});

Deno.test("broadcast: a reader that polls again after an overrun goes on with true messages", async () => {
  await passes({
    setup: ring(),
    threads: { writer: write(7, 1), reader: read(3) },
    check: (_, { reader }) => checkOrder(reader),
  });
});

Deno.test("broadcast: batches of one frame across the end of the ring", async () => {
  await passes({
    setup: ring(0, FRAME),
    threads: { writer: write(6, 2), reader: read(4) },
    check: (_, { reader }) => checkOrder(reader),
  });
});

for (
  const [what, start] of [
    ["the sign of the 32-bit position", 2 ** 31 - 32],
    ["the 32-bit wrap of the position", 2 ** 32 - 32],
    ["the 32-bit wrap of the epochs", 2 ** 32 * CAPACITY - 32],
  ] as const
) {
  Deno.test(`broadcast: a writer and a reader across ${what}`, async () => {
    await passes({
      setup: ring(start),
      threads: { writer: write(6), reader: read(2) },
      check: (_, { reader }) => checkOrder(reader),
    });
  });
}

Deno.test("broadcast: frames of different sizes across the padding at the end", async () => {
  await passes({
    setup: () => ({ handle: Broadcast.create({ capacityBytes: 128, segments: 4 }).handle }),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (const length of [20, 24, 24, 20, 4]) writer.send(new Uint8Array(length).fill(length));
      },
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        const seen: number[] = [];
        for (let i = 0; i < 3; i++) {
          try {
            reader.poll();
            while (reader.next()) {
              assert(reader.message().every((byte) => byte === reader.length));
              seen.push(reader.length);
            }
          } catch (error) {
            if (!(error instanceof OverrunError)) throw error;
            seen.push(-1);
          }
        }
        return seen.join();
      },
    },
  });
});

Deno.test("broadcast: an abandoned claim is never seen", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let i = 1; i <= 5; i++) {
          const offset = writer.claim(8);
          writer.bytes.fill(0xff, offset, offset + 8);
          writer.abort();
          writer.send(new Uint8Array(new Uint32Array([i, i]).buffer));
        }
      },
      reader: read(2),
    },
    check: (_, { reader }) => checkOrder(reader),
  });
});

Deno.test("broadcast: a reader that joins while the writer writes begins at a message", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader({ handle }: State): Seen {
        const reader = Broadcast.attach(handle).reader({ from: "latest" });
        const seen: number[] = [];
        take(reader, seen, 0);
        return seen;
      },
    },
    check: (_, { reader }) => {
      const numbers = reader.filter((n) => n > 0);
      numbers.forEach((n, i) => assertEquals(n, numbers[0]! + i));
    },
  });
});

/** A reader that sleeps until there is a message, then takes it, until it has seen the last. */
function readUntil(last: number) {
  return ({ handle }: State): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition });
    const seen: number[] = [];
    while (seen.at(-1) !== last) {
      reader.wait();
      take(reader, seen, ring.startPosition);
    }
    return seen;
  };
}

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

Deno.test("broadcast: of two writers at once the later is refused", async () => {
  const become = ({ handle }: State) => {
    try {
      using writer = Broadcast.attach(handle).writer();
      writer.send(new Uint8Array(8));
      return writer.position;
    } catch (error) {
      return (error as Error).message;
    }
  };
  await passes({
    setup: ring(),
    threads: { first: become, second: become },
    check(_, { first, second }) {
      const refused = [first, second].filter((result) => typeof result === "string");
      assert(refused.every((message) => message.includes("has one")), refused.join());
      const positions = [first, second].filter((result) => typeof result === "number");
      assertEquals(Math.max(...positions), positions.length * FRAME);
    },
  });
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a position that is stored before the payload is a race", async () => {
  const error = await fails("data race", {
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        const offset = writer.claim(8);
        writer.commit();
        writer.publish();
        writer.bytes.fill(1, offset, offset + 8);
      },
      reader: read(1),
    },
  });
  assert(error.message.includes("broadcast.data"), error.message);
});

Deno.test("broken twin: validation by a load instead of a read-modify-write is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: write(6),
      reader: tampered(read(1), (proper) => ({
        add: (view: Int32Array, index: number) => proper.load(view, index),
      })),
    },
  });
});

Deno.test("broken twin: a segment that is entered without a sign is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: tampered(write(6), (proper) => ({
        // In the first lap as it should be.
        add: (view: Int32Array, index: number, value: number) =>
          proper.load(view, index) > 0 ? 1 : proper.add(view, index, value),
      })),
      reader: read(1),
    },
  });
});

Deno.test("broken twin: a segment that is entered by a store is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: tampered(write(6), (proper) => ({
        add: (view: Int32Array, index: number, value: number) =>
          proper.store(view, index, proper.load(view, index) + value),
      })),
      reader: read(1),
    },
  });
});

Deno.test("broken twin: a position that is published plainly is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: tampered(write(1), () => ({
        exchange(view: Int32Array, index: number, value: number) {
          const before = view[index];
          view[index] = value;
          return before;
        },
      })),
      reader: read(1),
    },
  });
});

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
      writer: tampered(write(1), (proper) => ({
        exchange(view: Int32Array, index: number, value: number) {
          assertEquals(index, POSITION);
          const before = proper.load(view, index);
          proper.store(view, index, value);
          return before;
        },
      })),
      reader: readUntil(1),
    },
  });
});
