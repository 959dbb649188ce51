/**
 * One writer after the other, with and without the consent of the first, under every schedule that
 * matters; and broken twins of them. `models.ts` describes the rings.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Broadcast } from "@busbar/busbar/broadcast";
import { ExplorationError, explore } from "@busbar/busbar/model";
import { EPOCH_STEP, POSITION, segmentLine, WRITER } from "../../src/broadcast/layout.ts";
import { fails, passes } from "../verdicts.ts";
import {
  append,
  checkOrder,
  dataOf,
  FRAME,
  numbered,
  omitted,
  read,
  ring,
  type State,
  unlessExhaustive,
  withCas,
} from "./models.ts";

/** Becomes the writer and sends a message; returns its position, or the error text. */
function become({ handle }: State): number | string {
  try {
    using writer = Broadcast.attach(handle).writer();
    writer.send(new Uint8Array(8));
    return writer.position;
  } catch (error) {
    return (error as Error).message;
  }
}

Deno.test("broadcast: of two writers at once the later one fails", async () => {
  await passes({
    setup: ring(),
    threads: { first: become, second: become },
    check(_, { first, second }) {
      const failures = [first, second].filter((result) => typeof result === "string");
      assert(failures.every((message) => message.includes("has one")), failures.join());
      const positions = [first, second].filter((result) => typeof result === "number");
      assertEquals(Math.max(...positions), positions.length * FRAME);
    },
  });
});

/** The first number of the new writer's messages; those of the old one are smaller. */
const NEW = 100;

/** A writer that writes until it is replaced; returns how many messages it published. */
function writeUntilReplaced(count: number) {
  return ({ handle }: State): number => {
    let published = 0;
    try {
      const writer = Broadcast.attach(handle).writer();
      for (let number = 1; number <= count; number++) {
        writer.append(numbered(number), { userValue: number });
        writer.publish();
        published++;
      }
    } catch (error) {
      // The latter if it begins after the other one.
      assert(/another writer has taken over|has one/.test((error as Error).message), `${error}`);
    }
    return published;
  };
}

/** A writer that takes over from it. */
function takeOver(count: number, first = NEW) {
  return ({ handle }: State): number => {
    const writer = Broadcast.attach(handle).writer({ takeOver: true });
    for (let i = 0; i < count; i++) {
      writer.append(numbered(first + i), { userValue: first + i });
      writer.publish();
    }
    return count;
  };
}

/** A reader of both; returns the numbers of the messages, and -1 for each that was lost. */
function readBoth(polls: number) {
  return ({ handle }: State): number[] => {
    const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
    const numbers: number[] = [];
    for (let i = 0; i < polls; i++) {
      reader.poll();
      for (let lost = reader.takeLosses().messages; lost > 0; lost--) numbers.push(-1);
      while (reader.next()) {
        const [first, second] = new Uint32Array(reader.message().slice().buffer);
        assertEquals(first, second, "a torn message was accepted");
        numbers.push(first!);
      }
    }
    return numbers;
  };
}

/** Throws unless all of the old writer's messages come first, then those of the new one. */
function checkBoth(numbers: number[], old: number): void {
  numbers.forEach((number, i) => {
    if (number > 0) assertEquals(number, i < old ? i + 1 : NEW + i - old, numbers.join());
  });
}

Deno.test("broadcast: a new writer continues where the old one was closed", async () => {
  const writeNext = ({ handle }: State) => {
    try {
      using writer = Broadcast.attach(handle).writer();
      append(writer, 1 + writer.position / FRAME);
      // Enters a segment without writing there.
      writer.claim(8);
    } catch (error) {
      assert((error as Error).message.includes("has one"), `${error}`);
    }
  };
  await passes({
    setup: ring(),
    threads: { first: writeNext, second: writeNext, reader: read(2) },
    check: (_, { reader }) => checkOrder(reader),
  });
});

Deno.test("broadcast: a new writer takes over from one that still writes, and readers lose nothing", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { old: writeUntilReplaced(2), new: takeOver(1), reader: readBoth(2) },
    check(_, { old, reader }) {
      assert(!reader.includes(-1), "a loss without a lap");
      checkBoth(reader, old);
      outcomes.add(reader.join());
    },
  });
  for (const outcome of ["100", "1,100", "1,2,100", "1", "1,2", ""]) {
    assert(outcomes.has(outcome), `${outcome} in ${[...outcomes].join(";")}`);
  }
});

// The old writer began its second message; the new one finds that its segment was entered.
Deno.test("broadcast: a new writer leaves out frames that the old one may still write", async () => {
  await passes({
    setup() {
      const state = ring()();
      const writer = Broadcast.attach(state.handle).writer();
      writer.send(numbered(1), { userValue: 1 });
      writer.claim(8);
      return state;
    },
    threads: {
      // Fills its claim, header and all, whatever has happened since.
      old: ({ handle }: State) => dataOf(handle).fill(0xff, FRAME, 2 * FRAME),
      new: takeOver(1),
      reader: readBoth(3),
    },
    check: (_, { reader }) => checkBoth(reader, 1),
  });
});

Deno.test("broadcast: a reader of an old writer's messages, while the new one laps it", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup() {
      const state = ring()();
      const writer = Broadcast.attach(state.handle).writer();
      for (let number = 1; number <= 2; number++) {
        writer.send(numbered(number), { userValue: number });
      }
      Broadcast.attach(state.handle).writer({ takeOver: true })[Symbol.dispose]();
      return state;
    },
    threads: {
      new({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let number = NEW; number < NEW + 4; number++) {
          writer.send(numbered(number), { userValue: number });
        }
      },
      reader: readBoth(3),
    },
    check(_, { reader }) {
      checkBoth(reader, 2);
      outcomes.add(reader.join());
    },
  });
  assert([...outcomes].some((outcome) => outcome.startsWith("1,2,100")), [...outcomes].join(";"));
  assert([...outcomes].some((outcome) => outcome.startsWith("1,-1")), [...outcomes].join(";"));
});

for (const from of ["latest", "oldest"] as const) {
  Deno.test(`broadcast: a reader that joins at the ${from} while a writer takes over`, async () => {
    for (const published of [0, 1]) {
      await passes({
        setup() {
          const state = ring()();
          const writer = Broadcast.attach(state.handle).writer();
          if (published > 0) writer.send(numbered(1), { userValue: 1 });
          writer.claim(8);
          return state;
        },
        threads: {
          new: takeOver(1),
          reader({ handle }: State): number {
            const reader = Broadcast.attach(handle).reader({ from });
            const { sequence } = reader;
            const numbers: number[] = [];
            reader.poll();
            while (reader.next()) numbers.push(reader.userValue);
            const all = published > 0 ? [1, NEW] : [NEW];
            assertEquals(numbers, all.slice(sequence, reader.sequence));
            return sequence;
          },
        },
      });
    }
  });
}

Deno.test("broadcast: a reader that sleeps is woken by a writer that takes over", async () => {
  await passes({
    setup() {
      const state = ring()();
      Broadcast.attach(state.handle).writer();
      return state;
    },
    threads: {
      new: takeOver(1),
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        do assert(reader.wait()); while (!reader.poll());
        assert(reader.next());
        assertEquals(reader.message(), numbered(NEW));
      },
    },
  });
});

for (const published of [0, 1]) {
  const what = published > 0 ? "a writer with an open claim" : "one that has written nothing";
  Deno.test(`broadcast: of two writers that take over at once from ${what}, one stays`, async () => {
    const tryToTakeOver = ({ handle }: State): boolean => {
      try {
        Broadcast.attach(handle).writer({ takeOver: true });
        return true;
      } catch (error) {
        assert((error as Error).message.includes("another writer has taken over"), `${error}`);
        return false;
      }
    };
    await passes({
      setup() {
        const state = ring()();
        const writer = Broadcast.attach(state.handle).writer();
        if (published === 0) return state;
        writer.send(numbered(1), { userValue: 1 });
        writer.claim(8);
        return state;
      },
      threads: { first: tryToTakeOver, second: tryToTakeOver },
      check(state, { first, second }) {
        assert(first || second, "neither writer stayed");
        takeOver(1)(state);
        checkBoth(readBoth(2)(state), published);
      },
    });
  });
}

Deno.test("broadcast: a reader that was overrun finds a mark while a writer takes over", async () => {
  await passes({
    setup() {
      const state = ring()();
      const writer = Broadcast.attach(state.handle).writer();
      for (let number = 1; number <= 5; number++) append(writer, number);
      writer.publish();
      append(writer, 6);
      writer.claim(8);
      return state;
    },
    threads: {
      new: ({ handle }: State) => void Broadcast.attach(handle).writer({ takeOver: true }),
      reader: read(2),
    },
    check: (_, { reader }) => checkOrder(reader),
  });
});

// The cut that a reader loads may be of another lap than the epoch that told it of a cut.
Deno.test("broadcast: a reader while two writers take over one after the other, and lap it", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup() {
      const state = { handle: Broadcast.create({ capacityBytes: 256, segments: 4 }).handle };
      const writer = Broadcast.attach(state.handle).writer();
      for (let number = 1; number <= 16; number++) append(writer, number);
      writer.publish();
      return state;
    },
    threads: {
      takers({ handle }: State) {
        const broadcast = Broadcast.attach(handle);
        // The first enters the segment that is read, the second cuts it.
        for (let i = 0; i < 2; i++) broadcast.writer({ takeOver: true });
      },
      reader(state: State): string {
        try {
          return read(1, { from: 2 * FRAME })(state).join();
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          return "overwritten";
        }
      },
    },
    ...unlessExhaustive(3),
    check(_, { reader }) {
      outcomes.add(reader);
    },
  });
  assert(outcomes.has("overwritten") && outcomes.has("-1"), [...outcomes].join(";"));
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a writer that does not check whether there is one is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: { first: become, second: withCas(become, (index) => index === WRITER, omitted) },
  });
});

Deno.test("broken twin: a writer that takes over without a sign in the epochs is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      old: writeUntilReplaced(2),
      new: withCas(
        takeOver(1),
        (index, expected, replacement) =>
          index >= segmentLine(0) && replacement < expected + EPOCH_STEP,
        omitted,
      ),
      reader: readBoth(2),
    },
  });
});

Deno.test("broken twin: a writer that was replaced, and publishes all the same, is seen", async () => {
  const error = await assertRejects(() =>
    explore({
      setup: ring(),
      threads: {
        old: withCas(writeUntilReplaced(2), (index) =>
          index === POSITION, ({ exchange }) => (view, index, expected, replacement) => {
          exchange(view, index, replacement);
          return expected;
        }),
        new: takeOver(1),
        reader: readBoth(2),
      },
      check: (_, { old, reader }) =>
        checkBoth(reader, old),
    }), ExplorationError);
  assert(["data race", "assertion", "exception"].includes(error.failure.kind), error.message);
});
