/**
 * The broadcast ring as shipped, under every schedule that matters, and broken twins of it.
 *
 * The rings are as small as they can be, so that a writer laps its readers within a few messages:
 * 64 bytes of data in 4 segments, each one frame with a payload of two equal words. Every message
 * carries its number, so a reader knows whether it got the one that belongs where it is, and
 * whether what it was told of a loss is true.
 *
 * Readers check what they read where they read it; `check` is for what several threads saw.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastReader,
  type BroadcastWriter,
  FrameCursor,
  OverrunError,
  type ReaderOptions,
  Reassembler,
} from "@busbar/busbar";
import { ExplorationError, explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { tampered } from "../tamper.ts";
import {
  dataByteOffset,
  EPOCH_STEP,
  FIRST,
  POSITION,
  segmentLine,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
} from "../../src/broadcast/layout.ts";

interface State {
  readonly handle: BroadcastHandle;
}

/** The bytes of a frame with a number. */
const FRAME = 16;
const CAPACITY = 64;

function ring(startPosition = 0): () => State {
  return () => ({
    handle: Broadcast.create({ capacityBytes: CAPACITY, segments: 4, startPosition }).handle,
  });
}

/** A payload that says its number twice. */
function numbered(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number, number]).buffer);
}

function append(writer: BroadcastWriter, number: number): void {
  writer.append(numbered(number), { userValue: number });
}

/** A writer that sends messages numbered from `first`, `each` at a time. */
function write(count: number, each = 1, first = 1) {
  return ({ handle }: State) => {
    const writer = Broadcast.attach(handle).writer();
    for (let i = 0; i < count; i++) {
      append(writer, first + i);
      if ((i + 1) % each === 0) writer.publish();
    }
  };
}

/** What a reader saw: the numbers of messages, and -1 where it was overrun. */
type Seen = readonly number[];

/** The number of the present message, which must be whole, and the one that belongs there. */
function numberOf(reader: BroadcastReader): number {
  const [first, second] = new Uint32Array(reader.message().slice().buffer);
  assertEquals(first, second, "a torn message was accepted");
  assertEquals(reader.userValue, first, "a header of another message");
  assertEquals(reader.sequence, first, "a message in the wrong place");
  return first!;
}

/** Takes one batch; returns whether there was one, or an overrun. */
function take(reader: BroadcastReader, seen: number[]): boolean {
  const { sequence } = reader;
  try {
    const found = reader.poll();
    while (reader.next()) seen.push(numberOf(reader));
    return found;
  } catch (error) {
    if (!(error instanceof OverrunError)) throw error;
    assertEquals(reader.sequence, sequence + error.lostMessages, "a false report of a loss");
    assert(error.resumedAt > error.position);
    seen.push(-1);
    return true;
  }
}

/** A reader that looks `polls` times, from the ring's beginning if not said otherwise. */
function read(polls: number, options: ReaderOptions = {}) {
  return ({ handle }: State): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition, ...options });
    const seen: number[] = [];
    for (let i = 0; i < polls; i++) take(reader, seen);
    return seen;
  };
}

/** A reader that sleeps until there is a message, then takes it, until it has seen the last. */
function readUntil(last: number) {
  return ({ handle }: State): Seen => {
    const ring = Broadcast.attach(handle);
    const reader = ring.reader({ from: ring.startPosition });
    const seen: number[] = [];
    while (seen.at(-1) !== last) {
      reader.wait();
      take(reader, seen);
    }
    return seen;
  };
}

/** Messages come in order, and none is missing but where an overrun was reported. */
function checkOrder(...readers: Seen[]): void {
  for (const seen of readers) {
    seen.forEach((number, i) => {
      const before = seen[i - 1];
      if (number < 0 || before === undefined || before < 0) return;
      assertEquals(number, before + 1, `a gap without an overrun: ${seen}`);
    });
  }
}

/** Whether to exhaust what takes minutes: `deno test -P tests/broadcast -- --exhaustive`. */
const isExhaustive = Deno.args.includes("--exhaustive");
/** Whether to say how much was explored. */
const isCounted = Deno.args.includes("--counts");

async function passes<S, T extends Threads<S>>(options: ExploreOptions<S, T>): Promise<void> {
  const report = await explore(options);
  assert(report.complete || options.allowIncomplete);
  assert(report.executions > 1, "one execution proves nothing");
  if (isCounted) console.log(`${report.executions} executions, ${Math.round(report.elapsedMs)} ms`);
}

async function fails<S, T extends Threads<S>>(
  kind: string,
  options: ExploreOptions<S, T>,
): Promise<ExplorationError> {
  const error = await assertRejects(() => explore(options), ExplorationError);
  assertEquals(error.failure.kind, kind, error.message);
  return error;
}

// --- lapping ----------------------------------------------------------------------------------

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

Deno.test("broadcast: a reader that was overrun goes on at a retained segment", async () => {
  const outcomes = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: write(7), reader: read(3) },
    check: (_, { reader }) => {
      checkOrder(reader);
      outcomes.add(reader.join());
    },
  });
  // Half the ring behind what was published, with a batch that is retained whatever comes after.
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
  Deno.test(`broadcast: a writer and a reader across ${what}`, async () => {
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
      // As if so many had gone before.
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

Deno.test("broadcast: frames of different sizes across the padding at the end", async () => {
  await passes({
    setup: () => ({ handle: Broadcast.create({ capacityBytes: 128, segments: 4 }).handle }),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        [20, 24, 24, 20, 4].forEach((length, i) => {
          writer.send(new Uint8Array(length).fill(length), { userValue: i + 1 });
        });
      },
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0 });
        for (let i = 0; i < 3; i++) {
          try {
            reader.poll();
            while (reader.next()) {
              assert(reader.message().every((byte) => byte === reader.length));
              assertEquals(reader.userValue, reader.sequence);
            }
          } catch (error) {
            if (!(error instanceof OverrunError)) throw error;
          }
        }
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

// --- joining ----------------------------------------------------------------------------------

for (const from of ["latest", "oldest"] as const) {
  Deno.test(`broadcast: a reader that joins at the ${from} while the writer laps`, async () => {
    await passes({
      setup: ring(),
      threads: { writer: write(6), reader: read(1, { from }) },
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

// --- sleeping ---------------------------------------------------------------------------------

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

// --- parts of messages, and some of them ------------------------------------------------------

Deno.test("broadcast: a message in fragments is whole or left out, across a lap", async () => {
  const message = Uint8Array.from({ length: 20 }, (_, i) => i);
  await passes({
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let userValue = 1; userValue <= 2; userValue++) {
          writer.appendFragments(message, { userValue });
          writer.publish();
        }
      },
      reader({ handle }: State): string {
        const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
        const messages = new Reassembler(reader);
        let count = 0;
        for (let i = 0; i < 2; i++) {
          messages.poll();
          while (messages.next()) {
            assertEquals(messages.message(), message);
            assertEquals(messages.userValue, ++count + messages.lostMessages);
          }
        }
        return `${count}+${messages.lostMessages}`;
      },
    },
  });
});

Deno.test("broadcast: a filter is asked of what may be torn, and lets only true messages pass", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader: read(2, { filter: (userValue) => userValue % 2 === 1 }),
    },
    check: (_, { reader }) => assert(reader.every((number) => number < 0 || number % 2 === 1)),
  });
});

Deno.test("broadcast: bulk reads are of whole and true frames, across a lap", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
        const window = new Uint8Array(40);
        for (let i = 0; i < 2; i++) {
          const length = reader.readBulk(window);
          const frames = new FrameCursor(window.subarray(0, length));
          let number = reader.sequence - length / FRAME;
          while (frames.next()) assertEquals(frames.message(), numbered(++number));
          assertEquals(number, reader.sequence);
        }
      },
    },
  });
});

// --- one writer after the other ---------------------------------------------------------------

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

/** The data of a ring. */
function dataOf(handle: BroadcastHandle): Uint8Array {
  const { memory, byteOffset, segments, capacityBytes } = Broadcast.attach(handle);
  const shape = { capacityBytes, segments, startPosition: 0, metadataBytes: 0 };
  return new Uint8Array(memory.buffer, byteOffset + dataByteOffset(shape), capacityBytes);
}

/** Messages of the old writer have small numbers, those of the new one begin here. */
const NEW = 100;

/** A writer that goes on as long as it may; returns how many messages it published. */
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
      // The second if it begins after the other one.
      assert(/another writer has taken over|has one/.test((error as Error).message), `${error}`);
    }
    return published;
  };
}

/** One that takes over from it. */
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

/** A reader of both, which returns the numbers of the messages, and -1 for each that was lost. */
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

/** Everything that the old writer published comes first, then what the new one did. */
function checkBoth(numbers: number[], old: number): void {
  numbers.forEach((number, i) => {
    if (number > 0) assertEquals(number, i < old ? i + 1 : NEW + i - old, numbers.join());
  });
}

Deno.test("broadcast: a new writer goes on where the old one gave up", async () => {
  const writeNext = ({ handle }: State) => {
    try {
      using writer = Broadcast.attach(handle).writer();
      append(writer, 1 + writer.position / FRAME);
      // Enters a segment for nothing.
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

Deno.test("broadcast: a new writer takes over from one that goes on, and readers lose nothing", async () => {
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
Deno.test("broadcast: a new writer leaves out what the old one may yet write", async () => {
  await passes({
    setup() {
      const state = ring()();
      const writer = Broadcast.attach(state.handle).writer();
      writer.send(numbered(1), { userValue: 1 });
      writer.claim(8);
      return state;
    },
    threads: {
      // Fills what it has claimed, header and all, whatever has happened since.
      old: ({ handle }: State) => dataOf(handle).fill(0xff, FRAME, 2 * FRAME),
      new: takeOver(1),
      reader: readBoth(3),
    },
    check: (_, { reader }) => checkBoth(reader, 1),
  });
});

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

Deno.test("broadcast: of two that take over at once one stays, in up to three preemptions", async () => {
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
      writer.send(numbered(1), { userValue: 1 });
      writer.claim(8);
      return state;
    },
    threads: { first: tryToTakeOver, second: tryToTakeOver },
    // All of them are 554,160 executions, in some three minutes.
    ...(isExhaustive ? {} : { preemptions: 3, allowIncomplete: true }),
    check(state, { first, second }) {
      assert(first || second, "nobody stayed");
      takeOver(1)(state);
      checkBoth(readBoth(2)(state), 1);
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

/** compareExchange, as the ring calls it. */
type Cas = (view: Int32Array, index: number, expected: number, replacement: number) => number;

/** A thread whose compareExchange on some words goes wrong. */
function withCas<Argument, Result>(
  body: (argument: Argument) => Result,
  isWrong: (index: number, expected: number, replacement: number) => boolean,
  wrong: (proper: Pick<typeof Atomics, "load" | "store" | "exchange">) => Cas,
): (argument: Argument) => Result {
  return tampered(body, (proper) => {
    const wrongly = wrong(proper);
    const compareExchange: Cas = (view, index, expected, replacement) =>
      isWrong(index, expected, replacement)
        ? wrongly(view, index, expected, replacement)
        : proper.compareExchange(view, index, expected, replacement);
    return { compareExchange };
  });
}

/** Does nothing, as if it had succeeded. */
const omitted = (): Cas => (_view, _index, expected) => expected;

const isEntering = (index: number, expected: number, replacement: number) =>
  index !== POSITION && replacement === expected + EPOCH_STEP;

/** The same by a load and a store. */
const inTwoSteps =
  ({ load, store }: Pick<typeof Atomics, "load" | "store">): Cas =>
  (view, index, expected, replacement) => {
    const found = load(view, index);
    if (found === expected) store(view, index, replacement);
    return found;
  };

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
      writer: withCas(
        write(6),
        // In the first lap as it should be.
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

Deno.test("broken twin: a mark that is written after the publication is a race", async () => {
  const error = await fails("data race", {
    setup: ring(),
    threads: {
      writer(state: State) {
        write(5)(state);
        const { memory, byteOffset } = Broadcast.attach(state.handle);
        new Int32Array(memory.buffer, byteOffset)[segmentLine(2) + FIRST] = 0;
      },
      reader: read(1),
    },
  });
  assert(error.message.includes("broadcast.first[2]"), error.message);
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
      writer: withCas(
        write(1),
        (index) => index === POSITION,
        ({ store }) =>
          ((view: Int32Array, index: number, expected: number, replacement: number) => {
            store(view, index, replacement);
            return expected;
          }) as unknown as Cas,
      ),
      reader: readUntil(1),
    },
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
