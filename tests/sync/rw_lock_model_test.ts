/**
 * The reader-writer lock as shipped, under every schedule that matters, and broken twins of it.
 *
 * Writers change two plain words alike, readers read both: a thread inside with a writer races.
 *
 * @module
 */

import { RwLock, type RwLockHandle } from "@busbar/busbar";
import { explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { assert, assertEquals, assertLess } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: RwLockHandle;
  /** Guarded by the lock: two words that are always written alike. */
  readonly data: Int32Array;
  /** For what threads agree on otherwise. */
  readonly flags: Int32Array;
}

/** How often a body wrote. */
type Body = (state: State) => number | Promise<number>;

/** The words of a lock. */
const STATE = 2;
const READERS_TURN = 3;
const WAITING_WRITERS = 4;
const WRITER = 1 << 29;
const WRITERS_WAIT = 1 << 31;

const setup = (): State => ({
  handle: RwLock.create().handle,
  data: sharedWords(2),
  flags: sharedWords(2),
});

function model(threads: Record<string, Body>): ExploreOptions<State, Threads<State>> {
  return {
    setup,
    threads,
    check({ handle, data }, results) {
      const written = Object.values(results as Record<string, number>)
        .reduce((sum, count) => sum + count, 0);
      assertEquals([data[0], data[1]], [written, written]);
      const lock = RwLock.attach(handle);
      assertEquals([lock.readers, lock.isWriting], [0, false]);
    },
  };
}

function increment(data: Int32Array): 1 {
  data[0]!++;
  data[1]!++;
  return 1;
}

function look(data: Int32Array): 0 {
  assertEquals(data[0], data[1]);
  return 0;
}

const write = ({ handle, data }: State): number => {
  using _guard = RwLock.attach(handle).write();
  return increment(data);
};

const read = ({ handle, data }: State): number => {
  using _guard = RwLock.attach(handle).read();
  return look(data);
};

const writeAsync: Body = async ({ handle, data }) => {
  using _guard = await RwLock.attach(handle).writeAsync();
  return increment(data);
};

const readAsync: Body = async ({ handle, data }) => {
  using _guard = await RwLock.attach(handle).readAsync();
  return look(data);
};

const writeBriefly = ({ handle, data }: State): number => {
  using guard = RwLock.attach(handle).write({ timeoutMs: 10 });
  return guard === undefined ? 0 : increment(data);
};

const readBriefly = ({ handle, data }: State): number => {
  using guard = RwLock.attach(handle).read({ timeoutMs: 10 });
  return guard === undefined ? 0 : look(data);
};

const writeBrieflyAsync: Body = async ({ handle, data }) => {
  using guard = await RwLock.attach(handle).writeAsync({ timeoutMs: 10 });
  return guard === undefined ? 0 : increment(data);
};

const readBrieflyAsync: Body = async ({ handle, data }) => {
  using guard = await RwLock.attach(handle).readAsync({ timeoutMs: 10 });
  return guard === undefined ? 0 : look(data);
};

/** Is aborted at any moment of its wait, also when it was woken already. */
const abort = (enter: "readAsync" | "writeAsync"): Body => async ({ handle, data }) => {
  const lock = RwLock.attach(handle);
  const controller = new AbortController();
  const entered = lock[enter](controller);
  lock.readers; // others may run before this
  controller.abort("enough");
  try {
    using _guard = await entered;
    return enter === "readAsync" ? look(data) : increment(data);
  } catch (reason) {
    assertEquals(reason, "enough");
    return 0;
  }
};

/** Awaits, and blocks meanwhile. */
const both = (
  enterLater: "readAsync" | "writeAsync",
  enter: "read" | "write",
): Body =>
async ({ handle, data }) => {
  const lock = RwLock.attach(handle);
  const later = lock[enterLater]();
  let written = 0;
  if (!await isSettled(later)) {
    using _guard = lock[enter]();
    written += enter === "read" ? look(data) : increment(data);
  }
  using _guard = await later;
  return written + (enterLater === "readAsync" ? look(data) : increment(data));
};

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "2 writers": { write, other: write },
    "1 writer, 2 readers": { write, read, other: read },
    "2 writers, 1 reader": { write, other: write, read },
    "3 writers": { write, other: write, third: write },
    "2 writers, of which 1 awaits": { writeAsync, write },
    "1 writer that awaits, 1 reader": { writeAsync, read },
    "1 writer, 2 readers, of which 1 awaits": { write, read, readAsync },
    "tasks that write and read in a thread, and a writer": {
      async tasks(state) {
        const [written] = await Promise.all([writeAsync(state), readAsync(state)]);
        return written;
      },
      write,
    },
    "one that awaits writing and blocks reading, and a reader": {
      both: both("writeAsync", "read"),
      read,
    },
    "one that awaits writing and blocks reading, and a writer": {
      both: both("writeAsync", "read"),
      write,
    },
    "one that awaits reading and blocks writing, and a writer": {
      both: both("readAsync", "write"),
      write,
    },
    "one that awaits and blocks writing, and a reader": {
      both: both("writeAsync", "write"),
      read,
    },
  })
) {
  Deno.test(`rw lock: writers are alone, and no thread is forgotten: ${what}`, async () => {
    await passes(model(threads));
  });
}

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "a writer, beside a writer and a reader": { quitter: writeBriefly, write, read },
    "a reader, beside a writer and a reader": { quitter: readBriefly, write, read },
    "a writer that awaits, beside a writer": { quitter: writeBrieflyAsync, write },
    "a writer that awaits, beside a reader": { quitter: writeBrieflyAsync, read },
    "a reader that awaits, beside a writer": { quitter: readBrieflyAsync, write },
  })
) {
  Deno.test(`rw lock: a wait that gives up takes no wake-up with it: ${what}`, async () => {
    await passes(model(threads));
  });
}

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "a writer, beside a reader": { quitter: abort("writeAsync"), read },
    "a writer, beside 2 writers": { quitter: abort("writeAsync"), write, other: write },
    "a reader, beside 2 writers": { quitter: abort("readAsync"), write, other: write },
  })
) {
  Deno.test(`rw lock: a wait that is aborted takes no wake-up with it: ${what}`, async () => {
    await passes(model(threads));
  });
}

Deno.test("rw lock: two readers are inside at once in some schedule", async () => {
  let most = 0;
  const body = ({ handle }: State) => {
    const lock = RwLock.attach(handle);
    using _guard = lock.read();
    return lock.readers;
  };
  await passes({
    setup,
    threads: { a: body, b: body },
    check: (_, { a, b }) => {
      most = Math.max(most, a, b);
    },
  });
  assertEquals(most, 2);
});

/** Stays inside until another reader was. */
const readUntilJoined: Body = ({ handle, flags }) => {
  using _guard = RwLock.attach(handle).read();
  while (Atomics.load(flags, 0) === 0) Atomics.wait(flags, 0, 0);
  return 0;
};

const join: Body = ({ handle, flags }) => {
  using _guard = RwLock.attach(handle).read();
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
  return 0;
};

for (
  const [what, quitter] of Object.entries<Body>({
    "gives up": writeBriefly,
    "awaits and gives up": writeBrieflyAsync,
  })
) {
  Deno.test(`rw lock: a writer that ${what} admits the readers that waited behind it`, async () => {
    await passes(model({ readUntilJoined, quitter, join }));
  });
}

Deno.test("rw lock: a reader that reads already enters past a writer that waits for it", async () => {
  await passes(model({
    reentrant({ handle, data }) {
      const lock = RwLock.attach(handle);
      using _outer = lock.read();
      using _inner = lock.read();
      return look(data);
    },
    write,
  }));
});

Deno.test("rw lock: a reader that arrives while a writer waits does not enter before it", async () => {
  await passes(model({
    reader({ handle }) {
      const lock = RwLock.attach(handle);
      const words = new Int32Array(handle.memory.buffer);
      using _guard = lock.read();
      while ((Atomics.load(words, STATE) & WRITERS_WAIT) === 0) Atomics.pause();
      assertEquals(lock.tryRead(), undefined);
      return 0;
    },
    write: (state) => {
      // Not before the reader is inside.
      while (RwLock.attach(state.handle).readers === 0) Atomics.pause();
      return write(state);
    },
  }));
});

/** Reads until the flags `count` of those that wait meanwhile are up. */
const readUntilDone = (count: number): Body => ({ handle, flags }) => {
  using _guard = RwLock.attach(handle).read();
  for (let done; (done = Atomics.load(flags, 0)) < count;) Atomics.wait(flags, 0, done);
  return 0;
};

/** Does something while a writer waits, and says that it is done. */
const whileWriterWaits = (
  isWaiting: (words: Int32Array) => boolean,
  body: (lock: RwLock) => void,
): Body =>
({ handle, flags }) => {
  const words = new Int32Array(handle.memory.buffer);
  while (!isWaiting(words)) Atomics.pause();
  body(RwLock.attach(handle));
  Atomics.add(flags, 0, 1);
  Atomics.notify(flags, 0);
  return 0;
};

const isMarked = (words: Int32Array) => (Atomics.load(words, STATE) & WRITERS_WAIT) !== 0;
const isCounted = (words: Int32Array) => Atomics.load(words, WAITING_WRITERS) > 0;

const impatient = whileWriterWaits(
  isMarked,
  (lock) => assertEquals(lock.read({ timeoutMs: 1 }), undefined, "it passed a writer that waits"),
);
/** Gives up beside another writer, which goes on waiting. */
const quitWriting = whileWriterWaits(
  isCounted,
  (lock) => assertEquals(lock.write({ timeoutMs: 1 }), undefined),
);

/** May not wait, as the main thread of a page. */
const forbidden = (body: (state: State) => number) =>
  tampered((state: State) => {
    try {
      return body(state);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return 0;
    }
  }, () => ({
    wait() {
      throw new TypeError("forbidden");
    },
  }));

/** Writes once another thread reads. */
const writeAfterReader: Body = (state) => {
  while (RwLock.attach(state.handle).readers === 0) Atomics.pause();
  return write(state);
};

Deno.test("rw lock: a reader whose time is over does not enter while a writer waits", async () => {
  await passes(model({ first: readUntilDone(1), write: writeAfterReader, impatient }));
});

/** One of two writers gives up. */
const oneOfTwoQuits = model({
  first: readUntilDone(2),
  write: writeAfterReader,
  impatient,
  quitter: quitWriting,
});

Deno.test("rw lock: a writer that gives up does not admit readers past another writer, in up to two preemptions", async () => {
  await passes({ ...oneOfTwoQuits, preemptions: 2 });
});

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "a writer, beside readers": { readUntilJoined, quitter: forbidden(write), join },
    "a writer, beside a writer and a reader": { quitter: forbidden(write), write, read },
    "a reader, beside a writer and a reader": { quitter: forbidden(read), write, read },
    "a reader, beside 2 writers": { quitter: forbidden(read), write, other: write },
  })
) {
  Deno.test(`rw lock: a thread that may not wait takes no wake-up with it: ${what}`, async () => {
    await passes(model(threads));
  });
}

Deno.test("rw lock: a writer sleeps while a reader is inside, and never spins", async () => {
  const calls = { most: 0, slept: false };
  const counting = tampered((state: State) => {
    let operations = 0;
    let slept = false;
    const body = tampered(write, (proper) => ({
      compareExchange(...args: [Int32Array, number, number, number]) {
        operations++;
        return proper.compareExchange(...args);
      },
      load(view: Int32Array, index: number) {
        operations++;
        return proper.load(view, index);
      },
      wait(...args: [Int32Array, number, number, number]) {
        const result = proper.wait(...args);
        slept ||= result === "ok";
        return result;
      },
    }));
    body(state);
    return [operations, slept] as const;
  }, () => ({}));
  await passes({
    setup,
    threads: { reader: read, writer: counting },
    check: (_, { writer: [operations, slept] }) => {
      calls.most = Math.max(calls.most, operations);
      calls.slept ||= slept;
    },
  });
  assert(calls.slept);
  assertLess(calls.most, 16);
});

Deno.test("rw lock: leaving notifies only if a thread waits", () => {
  const body = tampered((state: State) => {
    read(state);
    return write(state);
  }, () => ({
    notify() {
      throw new Error("a needless wake-up");
    },
  }));
  assertEquals(body(setup()), 1);
});

/** Leaves while a mark is set for which no thread waits any more. */
const leaveMark: Body = async ({ handle, data }) => {
  const lock = RwLock.attach(handle);
  const first = lock.write();
  const second = lock.writeAsync();
  let written: number = increment(data);
  first.release();
  using _guard = await second;
  return written += increment(data);
};

/** The searches for wake-ups that are lost only in three steps at once are bounded by them. */
const RARE = { strategy: "all", preemptions: 3, allowIncomplete: true } as const;

const markedByTwo = model({ leaveMark, read, other: leaveMark });

Deno.test("rw lock: the mark of a writer that arrived meanwhile stays, in up to three preemptions", async () => {
  await explore({ clock: "virtual", ...markedByTwo, ...RARE, maxExecutions: 300_000 });
});

Deno.test("rw lock: a reader that falls asleep after the turn was given still gets it, in up to three preemptions", async () => {
  await explore({
    clock: "virtual",
    ...model({ read, write, readBriefly, late: read }),
    ...RARE,
    maxExecutions: 300_000,
  });
});

// --- broken twins ---------------------------------------------------------------------------

/**
 * What can go wrong if readers and writers sleep on one word: a writer waits for the readers
 * inside, newcomers that would read wait for the writer, and the last reader to leave wakes one
 * sleeper.
 */
class OneWord {
  readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  read(): void {
    for (;;) {
      const seen = Atomics.load(this.words, 0);
      if ((seen & (WRITER | WRITERS_WAIT)) !== 0) Atomics.wait(this.words, 0, seen);
      else if (Atomics.compareExchange(this.words, 0, seen, seen + 1) === seen) return;
    }
  }

  leaveReading(): void {
    const left = Atomics.sub(this.words, 0, 1) - 1;
    if (left === WRITERS_WAIT) Atomics.notify(this.words, 0, 1);
  }

  write(): void {
    for (;;) {
      const seen = Atomics.load(this.words, 0);
      if ((seen & ~WRITERS_WAIT) === 0) {
        if (Atomics.compareExchange(this.words, 0, seen, WRITER) === seen) return;
      } else if (Atomics.compareExchange(this.words, 0, seen, seen | WRITERS_WAIT) === seen) {
        Atomics.wait(this.words, 0, seen | WRITERS_WAIT);
      }
    }
  }

  leaveWriting(): void {
    Atomics.store(this.words, 0, 0);
    Atomics.notify(this.words, 0);
  }
}

Deno.test("broken twin: readers and writers that sleep on one word steal each other's wake-ups", async () => {
  const reader = ({ flags }: State) => {
    const lock = new OneWord(flags);
    lock.read();
    lock.leaveReading();
  };
  const writer = ({ flags }: State) => {
    const lock = new OneWord(flags);
    lock.write();
    lock.leaveWriting();
  };
  const error = await fails("deadlock", { setup, threads: { a: reader, b: reader, writer } });
  assert(/[ab] sleeps/.test(error.message) && /writer sleeps/.test(error.message), error.message);
});

Deno.test("broken twin: a wake-up for a writer that goes to readers is lost", async () => {
  const reader = tampered(read, (proper) => ({
    notify: (view: Int32Array, index: number, count: number) =>
      proper.notify(view, index === STATE ? READERS_TURN : index, count),
  }));
  await fails("deadlock", model({ reader, write, other: reader }));
});

Deno.test("broken twin: a writer that sleeps at another value than it saw spins", async () => {
  const writer = tampered(write, (proper) => ({
    wait: (view: Int32Array, index: number, value: number, timeoutMs: number) =>
      proper.wait(view, index, value - 1, timeoutMs),
  }));
  await fails("spin without pause", { ...model({ writer, read }), polling: "refuse" });
});

Deno.test("broken twin: a reader that leaves without a notify leaves a writer asleep", async () => {
  const reader = tampered(read, () => ({ notify: () => 1 }));
  const error = await fails("deadlock", model({ reader, write }));
  assert(error.message.includes("rw_lock.state"), error.message);
});

Deno.test("broken twin: a writer that leaves without a notify leaves a reader asleep", async () => {
  const writer = tampered(write, () => ({ notify: () => 1 }));
  const error = await fails("deadlock", model({ writer, read }));
  assert(error.message.includes("rw_lock.readersTurn"), error.message);
});

Deno.test("broken twin: a turn that is not counted is missed by a thread that is about to sleep", async () => {
  const writer = tampered(write, () => ({ add: () => 0 }));
  await fails("deadlock", model({ writer, read }));
});

Deno.test("broken twin: a mark that remains after its waiter has gone keeps readers out", async () => {
  const writer = tampered(write, (proper) => ({
    notify: (view: Int32Array, index: number, count: number) =>
      proper.notify(view, index, count) || 1,
  }));
  const reader = tampered(read, (proper) => ({
    notify: (view: Int32Array, index: number, count: number) =>
      proper.notify(view, index, count) || 1,
  }));
  await fails("deadlock", model({ writer, reader, other: reader }));
});

Deno.test("broken twin: a writer that removes the mark of another forgets it", async () => {
  const writer = tampered(write, (proper) => ({
    compareExchange: (view: Int32Array, index: number, expected: number, value: number) =>
      proper.compareExchange(
        view,
        index,
        expected,
        (value & WRITER) !== 0 && (expected & WRITER) === 0 ? WRITER : value,
      ),
  }));
  await fails("deadlock", model({ a: writer, b: writer, c: writer }));
});

Deno.test("broken twin: a reader that enters by a load and a store meets a writer", async () => {
  const reader = tampered(read, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails("data race", model({ reader, write }));
});

Deno.test("broken twin: a reader that leaves by a load and a store loses another", async () => {
  const reader = tampered(read, (proper) => ({
    sub(view: Int32Array, index: number, value: number) {
      const before = proper.load(view, index);
      proper.store(view, index, before - value);
      return before;
    },
  }));
  await fails("assertion", model({ reader, other: reader }));
});

Deno.test("broken twin: a writer that leaves by a plain store is a race", async () => {
  const writer = tampered(write, (proper) => ({
    and(view: Int32Array, index: number, bits: number) {
      const before = proper.load(view, index);
      view[index] = before & bits;
      return before;
    },
  }));
  await fails("data race", model({ writer, read }));
});

Deno.test("broken twin: a writer that gives up and leaves its mark keeps readers out", async () => {
  const quitter = tampered(writeBriefly, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const takesMarkAway = (expected & WRITERS_WAIT) !== 0 && (value & WRITERS_WAIT) === 0;
      return takesMarkAway ? expected : proper.compareExchange(view, index, expected, value);
    },
  }));
  await fails("deadlock", model({ readUntilJoined, quitter, join }));
});

Deno.test("broken twin: a writer that may not wait and leaves its mark keeps readers out", async () => {
  const quitter = tampered(forbidden(write), (proper) => ({
    sub: (view: Int32Array, index: number, value: number) =>
      index === WAITING_WRITERS ? 2 : proper.sub(view, index, value),
  }));
  await fails("deadlock", model({ readUntilJoined, quitter, join }));
});

Deno.test("broken twin: a reader that takes any second look for its turn enters past a writer", async () => {
  const hasty = tampered(impatient as (state: State) => number, (proper) => {
    let looks = 0;
    return {
      load: (view: Int32Array, index: number) =>
        proper.load(view, index) + (index === READERS_TURN && looks++ > 0 ? 1 : 0),
    };
  });
  await fails(
    "exception",
    model({ first: readUntilDone(1), write: writeAfterReader, impatient: hasty }),
  );
});

Deno.test("broken twin: a writer that gives up and removes the mark of another admits readers past it", async () => {
  const quitter = tampered(quitWriting as (state: State) => number, (proper) => ({
    sub(view: Int32Array, index: number, value: number) {
      const before = proper.sub(view, index, value);
      return index === WAITING_WRITERS ? 1 : before;
    },
  }));
  const threads = { first: readUntilDone(2), write: writeAfterReader, impatient, quitter };
  await fails("exception", model(threads));
});

Deno.test("broken twin: a reader that was woken and does not pass its wake-up on strands a writer", async () => {
  const late = tampered(read, (proper) => ({
    notify: (view: Int32Array, index: number, count: number) =>
      index === STATE ? 0 : proper.notify(view, index, count),
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const takesMarkAway = (expected & WRITERS_WAIT) !== 0 && (value & WRITERS_WAIT) === 0;
      return takesMarkAway ? expected : proper.compareExchange(view, index, expected, value);
    },
  }));
  await fails("deadlock", { ...model({ read, write, readBriefly, late }), ...RARE });
});

Deno.test("broken twin: an aborted writer that does not pass on its wake-up strands another", async () => {
  await withMemory(
    ({ notify }) => ({
      // Only a thread that gives up wakes all writers.
      notify(view, index, count) {
        const isForAll = count === undefined || count === Infinity;
        return isForAll && index === STATE ? 0 : notify(view, index, count);
      },
    }),
    () => fails("deadlock", model({ quitter: abort("writeAsync"), write, other: write })),
  );
});

Deno.test("broken twin: a mark that is removed although a writer arrived meanwhile strands it", async () => {
  await withMemory(
    ({ notify }) => ({
      // No thread gives up here, so this one removes the mark.
      notify: (view, index, count) =>
        index === STATE && count !== 1 ? 0 : notify(view, index, count),
    }),
    () => fails("deadlock", { ...markedByTwo, ...RARE }),
  );
});
