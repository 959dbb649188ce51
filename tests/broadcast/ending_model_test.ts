/**
 * Writers that close while readers look, wait or sleep, under every schedule that matters; and
 * broken twins of them. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast } from "@busbar/busbar/broadcast";
import { POSITION, SLEEPING, TAKEN, WRITER } from "../../src/broadcast/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import {
  append,
  checkOrder,
  ring,
  type Seen,
  type State,
  take,
  unlessExhaustive,
} from "./models.ts";

/** A writer that sends messages numbered from 1 on, and closes. */
function writeAndClose(count: number) {
  return ({ handle }: State) => {
    using writer = Broadcast.attach(handle).writer();
    for (let number = 1; number <= count; number++) {
      append(writer, number);
      writer.publish();
    }
  };
}

/** A writer that continues the numbers, if it may begin, and closes; returns whether it did. */
function continueAndClose({ handle }: State): boolean {
  const broadcast = Broadcast.attach(handle);
  if (broadcast.hasWriter) return false;
  try {
    using writer = broadcast.writer();
    append(writer, 1 + writer.position / 16);
    writer.publish();
    return true;
  } catch (error) {
    assert((error as Error).message.includes("has one"), `${error}`);
    return false;
  }
}

/** A reader that sleeps while there is nothing, and reads until the stream ends. */
function readToEnd({ handle }: State): Seen {
  const reader = Broadcast.attach(handle).reader({ from: 0 });
  const seen: number[] = [];
  while (reader.wait()) take(reader, seen);
  return seen;
}

Deno.test("broadcast: a reader that sleeps learns of the end, and has read everything", async () => {
  for (const count of [0, 1, 2]) {
    await passes({
      setup: ring(),
      threads: { writer: writeAndClose(count), reader: readToEnd },
      check: (_, { reader }) => assertEquals(reader, [1, 2].slice(0, count)),
    });
  }
});

Deno.test("broadcast: two readers that sleep both learn of the end", async () => {
  await passes({
    setup: ring(),
    threads: { writer: writeAndClose(0), first: readToEnd, second: readToEnd },
    check: (_, { first, second }) => assertEquals([...first, ...second], []),
  });
  await passes({
    setup: ring(),
    threads: { writer: writeAndClose(1), first: readToEnd, second: readToEnd },
    ...unlessExhaustive(2),
    check: (_, { first, second }) => assertEquals([first, second], [[1], [1]]),
  });
});

Deno.test("broadcast: a reader that awaits learns of the end, and an iteration is over", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: writeAndClose(1),
      async reader({ handle }: State): Promise<Seen> {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        const seen: number[] = [];
        while (await reader.waitAsync()) take(reader, seen);
        assert(reader.isEnded);
        return seen;
      },
    },
    check: (_, { reader }) => assertEquals(reader, [1]),
  });
  await passes({
    setup: ring(),
    threads: {
      writer: writeAndClose(1),
      async reader({ handle }: State): Promise<Seen> {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        const seen: number[] = [];
        for await (const _ of reader.messages({ borrow: true })) seen.push(reader.userValue);
        return seen;
      },
    },
    check: (_, { reader }) => assertEquals(reader, [1]),
  });
});

/** A reader that looks for the end, and takes a batch if that has not come. */
function lookTwice({ handle }: State): { seen: Seen; isEnded: boolean } {
  const reader = Broadcast.attach(handle).reader({ from: 0 });
  const seen: number[] = [];
  for (let i = 0; i < 2; i++) {
    if (reader.isEnded) return { seen, isEnded: true };
    take(reader, seen);
  }
  return { seen, isEnded: false };
}

Deno.test("broadcast: a reader sees no end before it has read everything", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: writeAndClose(2), reader: lookTwice },
    check(_, { reader: { seen, isEnded } }) {
      if (isEnded) assertEquals(seen, [1, 2]);
      outcomes.add(`${isEnded}`);
    },
  });
  assertEquals(outcomes.size, 2);
});

Deno.test("broadcast: a reader that sleeps while one writer closes and another begins", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup() {
      const state = ring()();
      Broadcast.attach(state.handle).writer().close();
      return state;
    },
    threads: { first: continueAndClose, second: continueAndClose, reader: readToEnd },
    ...unlessExhaustive(2),
    check(_, { first, second, reader }) {
      assert(first || second);
      checkOrder(reader);
      outcomes.add(reader.join());
    },
  });
  for (const outcome of ["", "1", "1,2"]) assert(outcomes.has(outcome), [...outcomes].join(";"));
});

for (const takeOver of [false, true]) {
  const begins = takeOver ? "takes over from one that begins" : "begins";
  Deno.test(`broadcast: a writer that ${begins} while another is still closing is not taken for replaced`, async () => {
    const outcomes = new Set<boolean>();
    await passes({
      setup() {
        const state = ring()();
        const { memory } = Broadcast.attach(state.handle);
        // The mark of a reader, so that the position changes when it is cleared.
        new Int32Array(memory.buffer)[POSITION]! |= SLEEPING;
        return state;
      },
      threads: {
        closing: writeAndClose(0),
        next({ handle }: State): boolean {
          const broadcast = Broadcast.attach(handle);
          const words = new Int32Array(broadcast.memory.buffer);
          if (Atomics.load(words, WRITER) === 0 || broadcast.hasWriter) return false;
          if (takeOver) broadcast.writer(); // It dies.
          const writer = broadcast.writer({ takeOver });
          append(writer, 1);
          writer.publish();
          return true;
        },
      },
      check: (_, { next }) => void outcomes.add(next),
    });
    assertEquals(outcomes.size, 2);
  });
}

/** A reader that sleeps until there is a message, also after the end of the stream. */
function readOne({ handle }: State): void {
  const broadcast = Broadcast.attach(handle);
  const reader = broadcast.reader({ from: 0 });
  while (!reader.poll()) {
    if (!reader.wait()) { while (!broadcast.hasWriter) Atomics.pause(); }
  }
}

/** A writer that begins once another one has begun and given the ring up, and sends a message. */
function beginAfterIt({ handle }: State): void {
  const broadcast = Broadcast.attach(handle);
  const words = new Int32Array(broadcast.memory.buffer);
  for (let word = 0; word === 0 || (word & TAKEN) !== 0; word = Atomics.load(words, WRITER)) {
    Atomics.pause();
  }
  const writer = broadcast.writer();
  append(writer, 1);
  writer.publish();
}

/** A body that leaves the mark of a sleeping reader where it should clear it. */
function leavingMark<Result>(body: (state: State) => Result): (state: State) => Result {
  return tampered(body, ({ compareExchange }) => ({
    compareExchange: (view: Int32Array, index: number, expected: number, value: number) =>
      index === POSITION && value === (expected & ~SLEEPING)
        ? expected
        : compareExchange(view, index, expected, value),
  }));
}

/** A writer that gives the ring up and dies before it notifies, or before it clears the mark. */
function dieAsItCloses(clearsMark: boolean) {
  const body = writeAndClose(0);
  return tampered(clearsMark ? body : leavingMark(body), () => ({ notify: () => 0 }));
}

Deno.test("broadcast: a reader that sleeps is woken although the writer dies as it closes", async () => {
  for (const clearsMark of [true, false]) {
    await passes({
      setup: ring(),
      threads: { dying: dieAsItCloses(clearsMark), reader: readOne, next: beginAfterIt },
    });
  }
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a writer that closes and does not notify leaves a reader asleep", async () => {
  const error = await fails("deadlock", {
    setup: ring(),
    threads: {
      writer: tampered(writeAndClose(0), () => ({ notify: () => 0 })),
      reader: readToEnd,
    },
  });
  assert(error.message.includes("broadcast.position"), error.message);
});

Deno.test("broken twin: a writer that closes and leaves the sleeper's mark lets a reader fall asleep", async () => {
  await fails("deadlock", {
    setup: ring(),
    threads: {
      writer: leavingMark(writeAndClose(0)),
      reader: readToEnd,
    },
  });
});

Deno.test("broken twin: a writer that wakes the readers before it gives the ring up leaves one asleep", async () => {
  await fails("deadlock", {
    setup: ring(),
    threads: {
      writer: tampered(writeAndClose(0), (proper) => ({
        compareExchange(view: Int32Array, index: number, expected: number, replacement: number) {
          if (index === WRITER && (replacement & TAKEN) === 0) {
            proper.and(view, POSITION, ~SLEEPING);
            proper.notify(view, POSITION);
          }
          return proper.compareExchange(view, index, expected, replacement);
        },
        and: proper.load,
        notify: () => 0,
      })),
      reader: readToEnd,
    },
  });
});

Deno.test("broken twin: a reader that looks for the end before it sets its mark sleeps forever", async () => {
  await fails("deadlock", {
    setup: ring(),
    threads: {
      writer: writeAndClose(0),
      reader: tampered(readToEnd, (proper) => {
        let early = 0;
        return {
          compareExchange(view: Int32Array, index: number, expected: number, replacement: number) {
            early = proper.load(view, WRITER);
            return proper.compareExchange(view, index, expected, replacement);
          },
          load: (view: Int32Array, index: number) =>
            index === WRITER ? early : proper.load(view, index),
        };
      }),
    },
  });
});

Deno.test("broken twin: a reader that finds the end and leaves its mark set makes another sleep forever", async () => {
  const careless = leavingMark(readToEnd);
  await fails("deadlock", {
    setup: ring(),
    threads: { writer: writeAndClose(0), first: careless, second: careless },
  });
});

Deno.test("broken twin: a first publication without a notify leaves asleep the readers of a writer that died", async () => {
  await fails("deadlock", {
    setup: ring(),
    threads: {
      dying: tampered(writeAndClose(0), () => ({ notify: () => 0 })),
      reader: readOne,
      next: tampered(beginAfterIt, (proper) => {
        let count = 0;
        return {
          notify: (view: Int32Array, index: number) =>
            count++ === 0 ? 0 : proper.notify(view, index),
        };
      }),
    },
  });
});

Deno.test("broken twin: a reader that looks at the position before it looks for the end misses messages", async () => {
  await fails(["assertion", "exception"], {
    setup: ring(),
    threads: {
      writer: writeAndClose(2),
      reader: tampered(lookTwice, (proper) => {
        let early: number | undefined;
        return {
          load(view: Int32Array, index: number) {
            if (index === WRITER) early = proper.load(view, POSITION);
            if (index !== POSITION || early === undefined) return proper.load(view, index);
            const position = early;
            early = undefined;
            return position;
          },
        };
      }),
    },
    check: (_, { reader: { seen, isEnded } }) => {
      if (isEnded) assertEquals(seen, [1, 2]);
    },
  });
});
