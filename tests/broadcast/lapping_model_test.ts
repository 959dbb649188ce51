/**
 * A writer that laps its readers, and readers that join meanwhile, under every schedule that
 * matters; and broken twins of them. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast, OverrunError } from "@busbar/busbar/broadcast";
import {
  POSITION,
  POSITION_HIGH,
  segmentLine,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
} from "../../src/broadcast/layout.ts";
import { fails, passes } from "../verdicts.ts";
import {
  append,
  CAPACITY,
  type Cas,
  checkOrder,
  FRAME,
  inTwoSteps,
  isEntering,
  markingLate,
  numbered,
  omitted,
  read,
  ring,
  type State,
  take,
  unlessExhaustive,
  validatingByLoad,
  withCas,
  write,
} from "./models.ts";

Deno.test("broadcast: two readers and a writer that laps them see only true messages", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: write(5), first: read(1), second: read(1) },
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

Deno.test("broadcast: a reader that was overrun continues at a retained segment", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: write(7), reader: read(3) },
    check: (_, { reader }) => {
      checkOrder(reader);
      outcomes.add(reader.join());
    },
  });
  // Half the ring behind the published position, with a batch that is kept whatever comes after.
  assert(outcomes.has("-1,6,7") && outcomes.has("-1,4,5,6,7"), [...outcomes].join(";"));
});

Deno.test("broadcast: batches of one frame across the end of the ring", async () => {
  await passes({
    setup: ring(),
    threads: { writer: write(6, 2), reader: read(4, { batchBytes: FRAME }) },
    check: (_, { reader }) => checkOrder(reader),
  });
});

for (
  const [what, start] of [
    ["the sign of the 32-bit position", 2 ** 31 - 32],
    ["the 32-bit wrap of the position", 2 ** 32 - 32],
    ["the sign of the 32-bit epochs", 2 ** 27 * CAPACITY - 32],
    ["the 32-bit wrap of the epochs", 2 ** 28 * CAPACITY - 32],
  ] as const
) {
  Deno.test(`broadcast: a writer and two readers across ${what}`, async () => {
    const outcomes = new Set<string>();
    await passes({
      setup: ring(start),
      threads: { writer: write(5), first: read(1), second: read(1) },
      ...unlessExhaustive(2),
      check: (_, { first, second }) => {
        checkOrder(first, second);
        outcomes.add(first.join());
      },
    });
    // Each before and after the wrap, and overrun across it.
    for (const outcome of ["1", "1,2", "-1"]) {
      assert(outcomes.has(outcome), [...outcomes].join(";"));
    }
  });

  Deno.test(`broadcast: a reader that looks twice across ${what}`, async () => {
    await passes({
      setup: ring(start),
      threads: { writer: write(6), reader: read(2) },
      check: (_, { reader }) => checkOrder(reader),
    });
  });
}

Deno.test("broadcast: a writer and a reader across the 32-bit wrap of the number of messages", async () => {
  const first = 2 ** 32 - 2;
  await passes({
    setup() {
      const state = ring()();
      const broadcast = Broadcast.attach(state.handle);
      broadcast.writer()[Symbol.dispose]();
      {
        using writer = broadcast.writer();
        append(writer, first);
      }
      // As if this many messages had gone before.
      const words = new Int32Array(broadcast.memory.buffer);
      words[segmentLine(0) + SEQUENCE_LOW] = first - 1;
      words[segmentLine(0) + SEQUENCE_HIGH] = 0;
      return state;
    },
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let number = first + 1; number < first + 6; number++) {
          writer.append(numbered(number), { userValue: number >>> 0 });
          writer.publish();
        }
      },
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: "oldest" });
        for (let i = 0; i < 2; i++) {
          const { sequence } = reader;
          try {
            reader.poll();
            while (reader.next()) assertEquals(reader.userValue, reader.sequence % 2 ** 32);
          } catch (error) {
            if (!(error instanceof OverrunError)) throw error;
            assertEquals(reader.sequence, sequence + error.lostMessages);
          }
        }
      },
    },
  });
});

/** The lengths of payloads that lead to this padding at the end of a lap of 128 bytes. */
const SIZES = { 8: [20, 24, 12, 24, 20, 4], 16: [24, 20, 20, 4, 24, 12] } as const;

function ringOfSizes(): State {
  return { handle: Broadcast.create({ capacityBytes: 128, segments: 4 }).handle };
}

function writeSizes(padding: 8 | 16) {
  return ({ handle }: State) => {
    const writer = Broadcast.attach(handle).writer();
    SIZES[padding].forEach((length, i) => {
      writer.send(new Uint8Array(length).fill(length), { userValue: i + 1 });
      // The last but one is the first of the next lap.
      if (i === 4) assertEquals(writer.position, 128 + 8 + Math.ceil(length / 8) * 8);
    });
  };
}

/** Returns the number of the last message that it saw. */
function readSizes(padding: 8 | 16, polls: number) {
  return ({ handle }: State): number => {
    const reader = Broadcast.attach(handle).reader({ from: 0 });
    let last = 0;
    for (let i = 0; i < polls; i++) {
      try {
        reader.poll();
        while (reader.next()) {
          last = reader.sequence;
          assertEquals([reader.userValue, reader.length], [last, SIZES[padding][last - 1]]);
          assert(reader.message().every((byte) => byte === reader.length));
        }
      } catch (error) {
        if (!(error instanceof OverrunError)) throw error;
      }
    }
    return last;
  };
}

for (const padding of [8, 16] as const) {
  Deno.test(`broadcast: frames of different sizes across ${padding} bytes of padding`, async () => {
    const seen = new Set<number>();
    await passes({
      setup: ringOfSizes,
      threads: {
        writer: writeSizes(padding),
        first: readSizes(padding, 3),
        second: readSizes(padding, 1),
      },
      ...unlessExhaustive(2),
      check(_, { first }) {
        seen.add(first);
      },
    });
    assert(seen.has(SIZES[padding].length), [...seen].join());
  });
}

Deno.test("broadcast: batches of more than half the ring leave a mark to continue at", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: write(8, 4), reader: read(2) },
    check: (_, { reader }) => {
      checkOrder(reader);
      outcomes.add(reader.join());
    },
  });
  // Published in two parts each, as no reader could keep up with them as a whole.
  assert(outcomes.has("1,2") && outcomes.has("-1,7,8"), [...outcomes].join(";"));
});

Deno.test("broadcast: a reader that joins as the position enters its next unit", async () => {
  const start = 2 ** 31 - 32;
  const positions = new Set<number>();
  await passes({
    setup: ring(start),
    threads: {
      writer: write(3),
      reader: ({ handle }: State) => Broadcast.attach(handle).reader().position,
    },
    check(_, { reader }) {
      positions.add(reader - start);
    },
  });
  assertEquals([...positions].toSorted((a, b) => a - b), [0, 16, 32, 48]);
});

Deno.test("broadcast: an abandoned claim is never seen", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let number = 1; number <= 5; number++) {
          const offset = writer.claim(8);
          writer.bytes.fill(0xff, offset, offset + 8);
          writer.abort();
          append(writer, number);
          writer.publish();
        }
      },
      reader: read(2),
    },
    check: (_, { reader }) => checkOrder(reader),
  });
});

for (const from of ["latest", "oldest"] as const) {
  Deno.test(`broadcast: a reader that joins at the ${from} while the writer laps`, async () => {
    await passes({
      setup: ring(),
      threads: { writer: write(8), reader: read(1, { from }) },
      check: (_, { reader }) => checkOrder(reader),
    });
  });
}

Deno.test("broadcast: a reader that joins at a position, or is told that it is overwritten", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup() {
      const state = ring()();
      using writer = Broadcast.attach(state.handle).writer();
      for (let number = 1; number <= 3; number++) append(writer, number);
      return state;
    },
    threads: {
      writer: write(4, 1, 4),
      reader(state: State): string {
        try {
          return read(1, { from: FRAME })(state).join();
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          return error.message;
        }
      },
    },
    check(_, { reader }) {
      outcomes.add(reader);
    },
  });
  assert(outcomes.has("2,3"), [...outcomes].join(";"));
  assert([...outcomes].some((outcome) => outcome.includes("is overwritten")));
});

Deno.test("broadcast: a reader that is reset while the writer laps", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        const seen: number[] = [];
        take(reader, seen);
        reader.reset();
        take(reader, seen);
      },
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

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

Deno.test("broken twin: a position that is published plainly is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: withCas(
        write(1),
        (index) => index === POSITION,
        () =>
          ((view: Int32Array, index: number, _expected: number, replacement: number) => {
            const before = view[index];
            view[index] = replacement;
            return before;
          }) as unknown as Cas,
      ),
      reader: read(1),
    },
  });
});

Deno.test("broken twin: validation by a load instead of a read-modify-write is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: write(6),
      reader: validatingByLoad(read(1)),
    },
  });
});

Deno.test("broken twin: a segment that is entered without a sign is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: withCas(
        write(6),
        // Only from the second lap on.
        (index, expected, replacement) => isEntering(index, expected, replacement) && expected > 0,
        omitted,
      ),
      reader: read(1),
    },
  });
});

Deno.test("broken twin: a segment that is entered by a store is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: { writer: withCas(write(6), isEntering, inTwoSteps), reader: read(1) },
  });
});

Deno.test("broken twin: a mark that is written after the publication is a race", async () => {
  const error = await fails("data race", {
    setup: ring(),
    threads: {
      writer: markingLate(write(5), 2),
      reader: read(1),
    },
  });
  assert(error.message.includes("broadcast.first[2]"), error.message);
});

Deno.test("broken twin: a segment that is entered without a sign, across the wrap of the epochs, is a race", async () => {
  await fails("data race", {
    setup: ring(2 ** 28 * CAPACITY - 32),
    threads: {
      writer: withCas(
        write(5),
        // From the last epoch before the wrap to the first after it.
        (index, expected, replacement) =>
          isEntering(index, expected, replacement) && replacement === 16,
        omitted,
      ),
      reader: read(1),
    },
  });
});

Deno.test("broken twin: a position whose high word is not raised misleads a reader that joins", async () => {
  await fails("exception", {
    setup: ring(2 ** 31 - 32),
    threads: {
      writer: withCas(write(3), (index) => index === POSITION_HIGH, omitted),
      reader: ({ handle }: State) => {
        const { position, lagBytes } = Broadcast.attach(handle).reader();
        assert(position >= 2 ** 31 - 32 && lagBytes >= 0, `${position}`);
      },
    },
  });
});

Deno.test("broken twin: padding that is not there is taken for a message", async () => {
  await fails("exception", {
    setup: ringOfSizes,
    threads: {
      writer: withCas(
        writeSizes(8),
        (index) => index === POSITION,
        ({ exchange }) => (view, index, expected, replacement) => {
          const data = new Uint8Array(view.buffer, view.byteLength - 128, 128);
          if (expected < 128 && replacement > 128) data.fill(0, 120, 128);
          exchange(view, index, replacement);
          return expected;
        },
      ),
      reader: readSizes(8, 3),
    },
  });
});

Deno.test("broken twin: a claim that is committed instead of aborted is seen", async () => {
  await fails("exception", {
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        const offset = writer.claim(8);
        writer.bytes.fill(0xff, offset, offset + 8);
        writer.commit();
        append(writer, 1);
        writer.publish();
      },
      reader: read(1),
    },
  });
});

for (const from of ["latest", "oldest"] as const) {
  Deno.test(`broken twin: a reader that joins at the ${from}, and validates by a load, is a race`, async () => {
    await fails("data race", {
      setup: ring(),
      threads: { writer: write(9), reader: validatingByLoad(read(1, { from })) },
    });
  });
}
