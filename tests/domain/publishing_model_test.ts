/**
 * Publishing and reading by copies under every schedule that matters: no message is torn, none is
 * lost but as counted, writers wait for nobody; and broken twins. `models.ts` describes the slots.
 */

import { assert, assertEquals } from "@std/assert";
import { Domain } from "@busbar/busbar/domain";
import { EMPTY, FLAGS, READABLE } from "../../src/domain/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import {
  close,
  domain,
  domainFrom,
  numbered,
  numberIn,
  open,
  readLatest,
  type Seen,
  seenBy,
  SLOT,
  type State,
  unlessExhaustive,
  withWrong,
  wordsOf,
  write,
  writeUntilClosed,
} from "./models.ts";

Deno.test("domain: a reader of the last message sees only whole ones, while the writer laps it", async () => {
  await passes({
    setup: domain({ s: SLOT }),
    threads: { writer: write(0, 3), reader: readLatest(1, 1) },
    check(_, { reader }) {
      for (const [sequence, number] of reader) assertEquals(sequence, number);
    },
    reaches: {
      "there is no message yet": (_, { reader }) => reader.length === 0,
      "the last message is read": (_, { reader }) => reader[0]?.[0] === 3,
    },
  });
});

Deno.test("domain: two reads never go back", async () => {
  await passes({
    setup: domain({ s: SLOT }),
    threads: { writer: write(0, 2), reader: readLatest(1, 2) },
    check: (_, { reader: [first, second] }) =>
      assert(second === undefined || first![0] <= second[0]),
  });
});

Deno.test("domain: a subscriber sees every message in order, or is told how many it missed", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, history: 2 } }),
    threads: {
      writer: write(0, 5),
      reader(state: State) {
        const domain = Domain.attach(state.handle, { member: 1 });
        const subscription = domain.waiter().subscribe(domain.find("s")!, { history: Infinity });
        const before = subscription.sequence;
        const seen: Seen[] = [];
        for (let i = 0; i < 3; i++) {
          const expected = subscription.sequence + 1;
          if (!subscription.next()) continue;
          assertEquals(subscription.sequence, expected + subscription.missedBefore);
          seen.push(seenBy(subscription));
        }
        const { received, missed, sequence } = subscription;
        assertEquals(received + missed, sequence - before);
        assertEquals(received, seen.length);
        return seen;
      },
    },
    check(_, { reader }) {
      for (const [sequence, number] of reader) assertEquals(sequence, number);
    },
    reaches: {
      "a message is missed": (_, { reader }) => reader.length === 1 && reader[0]![0] > 1,
      "three are read": (_, { reader }) => reader.length === 3,
    },
  });
});

Deno.test("domain: messages of two writers get different numbers, and the last one is read", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, history: 2, writers: 2 } }),
    threads: { first: write(0, 1, { first: 10 }), second: write(1, 1, { first: 20 }) },
    check({ handle }, { first: [first], second: [second] }) {
      assertEquals([first!, second!].sort(), [1, 2]);
      const reader = Domain.attach(handle).find("s")!.reader();
      assert(reader.at(first!));
      assertEquals(seenBy(reader), [first!, 10]);
      assert(reader.at(second!));
      assertEquals(seenBy(reader), [second!, 20]);
    },
  });
});

Deno.test("domain: two writers that come around, and a reader", async () => {
  await passesAtRandom({
    setup: domain({ s: { ...SLOT, writers: 2 } }),
    threads: {
      first: write(0, 3, { first: 10 }),
      second: write(1, 3, { first: 20 }),
      reader: readLatest(2, 3),
    },
    check({ handle }, { first, second, reader }) {
      assertEquals([...first, ...second].sort(), [1, 2, 3, 4, 5, 6]);
      const sent = new Map([
        ...first.map((sequence, i): Seen => [sequence, 10 + i]),
        ...second.map((sequence, i): Seen => [sequence, 20 + i]),
      ]);
      for (const [sequence, number] of reader) assertEquals(sent.get(sequence), number);
      assertEquals(Domain.attach(handle).find("s")!.sequence, 6);
    },
  }, 1);
});

/** Fails unless every message that is kept can be read. */
function checkKept({ handle }: State): void {
  const slot = Domain.attach(handle).find("s")!;
  const reader = slot.reader();
  for (let back = 0; back < Math.min(slot.history, slot.sequence); back++) {
    assert(reader.back(back), "a message that is kept cannot be read");
    numberIn(reader.message());
  }
}

Deno.test("domain: a writer that is late does not harm one that has come around the index", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, history: 2, writers: 2 } }),
    threads: { late: write(0, 1), other: write(1, 6, { first: 10 }) },
    check: checkKept,
    ...unlessExhaustive(2),
  });
});

Deno.test("domain: a writer that finishes late does not harm one that has come around the entries", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, writers: 2 } }),
    threads: { late: write(0, 2), other: write(1, 4, { first: 10 }) },
    check: checkKept,
    ...unlessExhaustive(2),
  });
});

/** A writer that gives up every other message, half filled. */
function writeAndAbort(member: number, count: number) {
  return (state: State): void => {
    const writer = open(state, member).writer();
    for (let i = 1; i <= count; i++) {
      writer.send(numbered(i));
      writer.bytes[writer.claim()] = 99;
      writer.abort();
    }
  };
}

Deno.test("domain: a message that is given up is never seen", async () => {
  await passes({
    setup: domain({ s: SLOT }),
    threads: { writer: writeAndAbort(0, 3), reader: readLatest(1, 2) },
    check(state, { reader }) {
      for (const [sequence, number] of reader) assertEquals(sequence, number);
      checkKept(state);
    },
  });
});

Deno.test("domain: what is published as a slot is closed is seen, or refused", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, history: 2 } }),
    threads: { writer: writeUntilClosed(0, 2), closer: close(1) },
    check({ handle }, { writer }) {
      const slot = Domain.attach(handle).find("s")!;
      assertEquals(slot.sequence, writer.length);
      const reader = slot.reader();
      writer.forEach((sequence) => {
        assert(reader.at(sequence));
        assertEquals(seenBy(reader), [sequence, sequence]);
      });
    },
    reaches: {
      "nothing is published": (_, { writer }) => writer.length === 0,
      "one is published": (_, { writer }) => writer.length === 1,
      "all is published": (_, { writer }) => writer.length === 2,
    },
  });
});

Deno.test("domain: the same with two writers, one of which finishes what the other appended", async () => {
  await passes({
    setup: domain({ s: { ...SLOT, history: 2, writers: 2 } }),
    threads: {
      first: writeUntilClosed(0, 1),
      second: writeUntilClosed(1, 1, { first: 2 }),
      closer: close(2),
    },
    check({ handle }, { first, second }) {
      assertEquals(Domain.attach(handle).find("s")!.sequence, first.length + second.length);
    },
  });
});

/** The numbers before which words wrap, or their high words are raised. */
const WRAPS = [2 ** 27, 2 ** 28, 3 * 2 ** 27];

Deno.test("domain: two writers and a reader, as numbers wrap in memory", async () => {
  for (const wrap of WRAPS) {
    const start = wrap - 2;
    await passes({
      setup: domainFrom(start, { ...SLOT, history: 2, writers: 2 }),
      threads: {
        first: write(0, 1),
        second: write(1, 1, { first: 2 }),
        reader: readLatest(2, 1),
      },
      check(state, { first: [first], second: [second], reader }) {
        assertEquals([first!, second!].toSorted(), [start + 1, start + 2]);
        for (const [sequence, number] of reader) {
          assertEquals(sequence, [first, second][number - 1]);
        }
        assertEquals(Domain.attach(state.handle).find("s")!.sequence, start + 2);
        checkKept(state);
      },
      ...unlessExhaustive(2),
    });
  }
});

Deno.test("domain: a subscriber across the wrap is told how much it missed", async () => {
  for (const wrap of WRAPS) {
    await passes({
      setup: domainFrom(wrap - 2, SLOT),
      threads: {
        writer: write(0, 3),
        reader(state: State) {
          const domain = Domain.attach(state.handle, { member: 1 });
          const subscription = domain.waiter().subscribe(domain.find("s")!);
          const start = subscription.sequence;
          for (let i = 0; i < 2; i++) subscription.next();
          const { received, missed, sequence } = subscription;
          assertEquals(received + missed, sequence - start);
        },
      },
    });
  }
});

// --- broken twins -----------------------------------------------------------------------------

const WORDS = wordsOf(SLOT);
const isState = (index: number) => WORDS.states.includes(index);
const isPublished = (index: number) => index === WORDS.published;
/** Whether a state of an entry says that it is claimed. */
const isClaim = (state: number) => (state & FLAGS) !== EMPTY && (state & FLAGS) !== READABLE;

Deno.test("broken twin: validation by a load lets a torn message through", async () => {
  const error = await fails("data race", {
    setup: domain({ s: SLOT }),
    threads: {
      writer: write(0, 3),
      reader: withWrong(
        readLatest(1, 1),
        "add",
        isState,
        (proper, view, index) => proper.load(view, index),
      ),
    },
  });
  assert(error.message.includes("domain.data"), error.message);
});

Deno.test("broken twin: a claim without a sign overwrites what a reader copies", async () => {
  await fails("data race", {
    setup: domain({ s: SLOT }),
    threads: {
      writer: withWrong(
        write(0, 3),
        "compareExchange",
        (index, [, replacement]) => isState(index) && isClaim(replacement!),
        (_proper, _view, _index, expected) => expected,
      ),
      reader: readLatest(1, 1),
    },
  });
});

Deno.test("broken twin: a claim by a store is not seen by a reader that validates", async () => {
  await fails("data race", {
    setup: domain({ s: SLOT }),
    threads: {
      writer: withWrong(
        write(0, 3),
        "compareExchange",
        (index, [, replacement]) => isState(index) && isClaim(replacement!),
        (proper, view, index, expected, replacement) => {
          proper.store(view, index, replacement!);
          return expected;
        },
      ),
      reader: readLatest(1, 1),
    },
  });
});

Deno.test("broken twin: a number that is raised plainly publishes nothing else", async () => {
  const error = await fails("data race", {
    setup: domain({ s: SLOT }),
    threads: {
      writer: withWrong(
        write(0, 1),
        "compareExchange",
        isPublished,
        (_proper, view, index, expected, replacement) => {
          view[index] = replacement!;
          return expected;
        },
      ),
      reader: readLatest(1, 1),
    },
  });
  assert(error.message.includes("published"), error.message);
});

Deno.test("broken twin: a message that is published before it is readable is not found", async () => {
  await fails("assertion", {
    setup: domain({ s: SLOT }),
    threads: {
      writer: withWrong(
        write(0, 1),
        "exchange",
        isState,
        () => 0,
      ),
    },
    check({ handle }) {
      assert(Domain.attach(handle).find("s")!.reader().latest(), "the message is lost");
    },
  });
});

Deno.test("broken twin: a number that is taken in two steps is given to two messages", async () => {
  const options = { ...SLOT, history: 2, writers: 2 };
  const { index: from, indexWords } = wordsOf(options);
  const writer = (member: number) =>
    withWrong(
      write(member, 1),
      "compareExchange",
      (index) => index >= from && index < from + indexWords,
      (proper, view, index, expected, replacement) => {
        const found = proper.load(view, index);
        if (found === expected) proper.store(view, index, replacement!);
        return found;
      },
    );
  await fails("assertion", {
    setup: domain({ s: options }),
    threads: { first: writer(0), second: writer(1) },
    check: (_, { first, second }) => assertEquals([...first, ...second].sort(), [1, 2]),
  });
});

Deno.test("broken twin: a writer that does not look again takes a number that is long gone", async () => {
  const options = { ...SLOT, history: 2, writers: 2 };
  const { published, index: from, indexWords } = wordsOf(options);
  await fails("assertion", {
    setup: domain({ s: options }),
    threads: {
      late: (state: State) => {
        let last = 0;
        let hasFound = false;
        return tampered(write(0, 1), ({ load }) => ({
          load(view: Int32Array, index: number) {
            if (index === published && hasFound) {
              hasFound = false;
              return last;
            }
            const value = load(view, index);
            hasFound = index >= from && index < from + indexWords;
            if (index === published) last = value;
            return value;
          },
        }))(state);
      },
      other: write(1, 6, { first: 10 }),
    },
    check: checkKept,
    preemptions: 2,
  });
});

Deno.test("broken twin: a writer that finishes without a second look makes a claim readable", async () => {
  const options = { ...SLOT, writers: 2 };
  const { published, states } = wordsOf(options);
  await fails(["data race", "assertion", "livelock"], {
    setup: domain({ s: options }),
    threads: {
      late: (state: State) => {
        let last = 0;
        let hasLooked = false;
        return tampered(write(0, 2), ({ load }) => ({
          load(view: Int32Array, index: number) {
            if (index === published && hasLooked) {
              hasLooked = false;
              return last;
            }
            const value = load(view, index);
            hasLooked = states.includes(index);
            if (index === published) last = value;
            return value;
          },
        }))(state);
      },
      other: write(1, 4, { first: 10 }),
    },
    check: checkKept,
    preemptions: 2,
  });
});

Deno.test("broken twin: a writer that does not finish what another appended publishes nothing", async () => {
  const options = { ...SLOT, history: 2, writers: 2 };
  const { published } = wordsOf(options);
  const omitting = (member: number) =>
    withWrong(
      write(member, 1),
      "compareExchange",
      (index) => index === published,
      (_proper, _view, _index, expected) => expected,
    );
  await fails(["livelock", "assertion", "deadlock", "spin without pause"], {
    setup: domain({ s: options }),
    threads: { dying: omitting(0), second: omitting(1) },
    maxSteps: 500,
    check: ({ handle }) => assertEquals(Domain.attach(handle).find("s")!.sequence, 2),
  });
});

Deno.test("broken twin: a high word that is not raised puts a reader back", async () => {
  const { high } = wordsOf(SLOT);
  for (const wrap of WRAPS) {
    await fails("assertion", {
      setup: domainFrom(wrap - 1, SLOT),
      threads: {
        writer: withWrong(
          write(0, 1),
          "compareExchange",
          (index) => index === high,
          (_proper, _view, _index, expected) => expected,
        ),
      },
      check({ handle }) {
        assertEquals(Domain.attach(handle).find("s")!.sequence, wrap);
      },
    });
  }
});

Deno.test("broken twin: a close that looks and then stores takes a message back", async () => {
  await fails("assertion", {
    setup: domain({ s: { ...SLOT, history: 2 } }),
    threads: {
      writer: writeUntilClosed(0, 1),
      closer: withWrong(close(1), "or", isPublished, (proper, view, index, value) => {
        const found = proper.load(view, index);
        proper.store(view, index, found | value!);
        return found;
      }),
    },
    check({ handle }, { writer }) {
      assertEquals(Domain.attach(handle).find("s")!.sequence, writer.length);
    },
  });
});
