/**
 * The pacer as shipped, under every schedule that matters, and broken twins of it.
 *
 * The ring has room for four frames, and the writer writes more than that: a reader that is not
 * waited for is overrun, and its poll throws.
 *
 * @module
 */

import { Broadcast, Pacer, type PacerHandle, type PacerSeat } from "@busbar/busbar/broadcast";
import { awaitDeath } from "@busbar/busbar/model";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { append, CAPACITY } from "./models.ts";

interface State {
  readonly handle: PacerHandle;
}

/** The bytes of a payload. */
const LENGTH = 8;
const MESSAGES = 5;
/** How many words the pacer has. */
const WORDS = 48;

const setup = (expected: number, startPosition = 0) => (): State => {
  const broadcast = Broadcast.create({ capacityBytes: CAPACITY, segments: 4, startPosition });
  return { handle: Pacer.create({ broadcast, seats: 2, expected }).handle };
};

/** Sends messages, numbered from 1, each when there is room, and closes. */
const write = ({ handle }: State): void => {
  const pacer = Pacer.attach(handle);
  const writer = pacer.broadcast.writer();
  for (let i = 1; i <= MESSAGES; i++) {
    assert(pacer.wait(writer, LENGTH));
    append(writer, i);
  }
  writer.close();
};

const writeAsync = async ({ handle }: State): Promise<void> => {
  const pacer = Pacer.attach(handle);
  const writer = pacer.broadcast.writer();
  for (let i = 1; i <= MESSAGES; i++) {
    assert(await pacer.waitAsync(writer, LENGTH));
    append(writer, i);
  }
  writer.close();
};

/** Reads to the end, or so many messages; returns their numbers. */
function readFrom(pacer: Pacer, seat: PacerSeat, most = Infinity): number[] {
  const reader = pacer.broadcast.reader({ from: seat.position });
  const seen: number[] = [];
  while (seen.length < most && reader.wait()) {
    while (reader.poll()) while (reader.next()) seen.push(reader.userValue);
    seat.reached(reader.position);
  }
  seat.leave();
  return seen;
}

const read = ({ handle }: State): number[] => {
  const pacer = Pacer.attach(handle);
  return readFrom(pacer, pacer.join());
};

/** Reads some, and leaves. */
const readSome = ({ handle }: State): number[] => {
  const pacer = Pacer.attach(handle);
  return readFrom(pacer, pacer.join(), 2);
};

/** Reclaims the first seat once the reader is dead. */
const reclaimDead = ({ handle }: State): void => {
  awaitDeath("reader");
  Pacer.attach(handle).reclaim(0);
};

const all = Array.from({ length: MESSAGES }, (_, i) => i + 1);

for (const [what, writer] of Object.entries({ "blocks": write, "awaits": writeAsync })) {
  Deno.test(`pacer: a reader that is expected gets all, from a writer that ${what}`, async () => {
    await passes({
      setup: setup(1),
      threads: { writer, reader: read },
      check: (_, { reader }) => assertEquals(reader, all),
      preemptions: 2,
    });
  });
}

Deno.test("pacer: positions wrap, and all is still read", async () => {
  await passes({
    setup: setup(1, 2 ** 33 - 32),
    threads: { writer: write, reader: read },
    check: (_, { reader }) => assertEquals(reader, all),
    preemptions: 1,
  });
});

Deno.test("pacer: a reader that joins while the writer runs gets all from there on", async () => {
  const firsts = new Set<number | undefined>();
  await passes({
    setup: setup(0),
    threads: { writer: write, reader: read },
    check(_, { reader }) {
      assertEquals(reader, all.slice(MESSAGES - reader.length));
      firsts.add(reader[0]);
    },
    preemptions: 2,
  });
  assert(firsts.size > 3, "it joined at different times");
});

Deno.test("pacer: the writer goes on when a reader leaves", async () => {
  await passes({
    setup: setup(1),
    threads: { writer: write, leaver: readSome },
    check: (_, { leaver }) => assert(leaver.length >= 2),
    preemptions: 1,
  });
});

Deno.test("pacer: two readers get all, random schedules", async () => {
  await passesAtRandom({
    setup: setup(2),
    threads: { writer: write, a: read, b: read },
    check: (_, { a, b }) => assertEquals([a, b], [all, all]),
  }, 1);
});

Deno.test("pacer: the writer goes on when a seat is reclaimed", async () => {
  await passes({
    setup: setup(1),
    threads: {
      writer: write,
      reclaimer: ({ handle }: State) => Pacer.attach(handle).reclaim(0),
    },
    check: ({ handle }) => assertEquals(Pacer.attach(handle).readers, 0),
    preemptions: 1,
  });
});

Deno.test("pacer: a writer that gives up has waited for room in vain, or got it", async () => {
  const outcomes = new Set<boolean>();
  await passes({
    setup: setup(1),
    threads: {
      writer({ handle }: State) {
        const pacer = Pacer.attach(handle);
        const writer = pacer.broadcast.writer();
        for (let i = 1; i <= 3; i++) append(writer, i);
        return pacer.wait(writer, LENGTH, { timeoutMs: 10 });
      },
      reader: ({ handle }: State) => {
        const pacer = Pacer.attach(handle);
        const seat = pacer.join();
        const reader = pacer.broadcast.reader({ from: seat.position });
        reader.wait();
        while (reader.poll()) while (reader.next());
        seat.reached(reader.position);
      },
    },
    check: (_, { writer }) => void outcomes.add(writer),
  });
  assertEquals(outcomes.size, 2);
});

Deno.test("pacer: wherever a reader dies, the writer goes on once its seat is reclaimed", async () => {
  await passes({
    setup: setup(1),
    mortal: ["reader"],
    threads: { writer: write, reader: read, repair: reclaimDead },
    check: ({ handle }) => assertEquals(Pacer.attach(handle).readers, 0),
    preemptions: 2,
  });
});

Deno.test("pacer: wherever a thread that reclaims dies, another one can", async () => {
  await passes({
    setup: setup(1),
    mortal: ["reader"],
    threads: {
      writer: write,
      reader: ({ handle }: State) => Pacer.attach(handle).reclaim(0),
      repair: reclaimDead,
    },
    check: ({ handle }) => assertEquals(Pacer.attach(handle).readers, 0),
    preemptions: 2,
  });
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a reader that does not notify leaves the writer asleep", async () => {
  const reader = tampered(read, () => ({ notify: () => 0 }));
  const error = await fails("deadlock", { setup: setup(1), threads: { writer: write, reader } });
  assert(error.message.includes("pacer.position[0]"), error.message);
});

Deno.test("broken twin: a writer that does not say that it sleeps is not woken", async () => {
  const writer = tampered(write, (proper) => ({
    compareExchange: (view: Int32Array, index: number, expected: number, value: number) =>
      view.length === WORDS ? expected : proper.compareExchange(view, index, expected, value),
    wait: (view: Int32Array, index: number, value: number, timeoutMs: number) =>
      proper.wait(view, index, view.length === WORDS ? value & ~1 : value, timeoutMs),
  }));
  await fails("deadlock", { setup: setup(1), threads: { writer, reader: read } });
});

Deno.test("broken twin: a reader that tells its position too early is overrun", async () => {
  const reader = ({ handle }: State) => {
    const pacer = Pacer.attach(handle);
    const seat = pacer.join();
    const reader = pacer.broadcast.reader({ from: seat.position });
    for (let round = 0; reader.wait(); round++) {
      seat.reached(pacer.broadcast.publishedPosition);
      if (round % 2 === 0) continue;
      while (reader.poll()) while (reader.next());
      seat.reached(reader.position);
    }
  };
  await fails("exception", { setup: setup(1), threads: { writer: write, reader }, preemptions: 2 });
});

Deno.test("broken twin: a reader that joins and looks once may be overrun", async () => {
  const late = ({ handle }: State) => {
    const pacer = Pacer.attach(handle);
    const position = pacer.broadcast.publishedPosition;
    const seat = pacer.join();
    const reader = pacer.broadcast.reader({ from: position });
    while (reader.wait()) {
      while (reader.poll()) while (reader.next());
      seat.reached(reader.position);
    }
  };
  await fails("exception", { setup: setup(0), threads: { writer: write, late }, preemptions: 2 });
});

Deno.test("broken twin: a writer that looks before it publishes waits without end", async () => {
  const writer = ({ handle }: State) => {
    const pacer = Pacer.attach(handle);
    const writer = pacer.broadcast.writer();
    const held = Object.create(writer, {
      publish: { value: () => {} },
      position: { get: () => writer.position },
      maxMessageBytes: { get: () => writer.maxMessageBytes },
    });
    for (let i = 1; i <= MESSAGES; i++) {
      pacer.wait(held, LENGTH);
      append(writer, i);
    }
    writer.close();
  };
  await fails("deadlock", { setup: setup(1), threads: { writer, reader: read } });
});

Deno.test("broken twin: a seat that is reclaimed in silence leaves the writer asleep", async () => {
  const repair = tampered(reclaimDead, () => ({ notify: () => 0 }));
  await fails("deadlock", {
    setup: setup(1),
    mortal: ["reader"],
    threads: { writer: write, reader: read, repair },
    preemptions: 2,
  });
});
