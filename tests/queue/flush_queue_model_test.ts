/**
 * Writers and the flusher as shipped, under every schedule that matters, and broken twins of them.
 *
 * Buffers hold 16 bytes, messages have 4 to 16, all the same byte, written plainly. The pool is a
 * plain one, so that what is explored is the queue; the pool has models of its own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { spawn } from "@busbar/busbar/model";
import { CLOSED, CURRENT, FLUSHED } from "../../src/queue/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { createQueue, fill, layoutOf, messagesOf, open, put, type State } from "./models.ts";
import { PlainPool } from "./plain_pool.ts";

const BUFFERS = 3;

/** Creates queues of so many buffers and writers. */
function queue(buffers = BUFFERS, writers = 2): () => State {
  return () => createQueue({ buffers, writers });
}

/** A thread that shares the writer, writes these messages of these lengths, and flushes once. */
function share(values: readonly number[], length = 4) {
  return (state: State): void => {
    const writer = open(state).queue.attachWriter(state.shared);
    for (const value of values) put(writer, value, length);
    writer.publish();
  };
}

/** A thread that has a writer for itself, and flushes after each message. */
function alone(values: readonly number[], length = 4) {
  return (state: State): void => {
    const writer = open(state).queue.writer();
    for (const value of values) {
      put(writer, value, length);
      writer.publish();
    }
  };
}

/** A flusher that sleeps until it has so many bytes; returns the messages, which must be whole. */
function receive(bytes: number, length = 4) {
  return (state: State): number[] => {
    const flusher = open(state).queue.flusher();
    const seen: number[] = [];
    for (let received = 0; received < bytes;) {
      flusher.wait();
      while (flusher.next()) {
        received += flusher.length;
        seen.push(...messagesOf(flusher, length));
      }
    }
    return seen;
  };
}

/** One thread that runs others, and then takes all that they have flushed. */
function thenReceive(
  bodies: readonly ((state: State) => void)[],
  bytes: number,
  length = 4,
  free?: number,
) {
  return (state: State): number[] => {
    const tasks = bodies.map((body) => spawn(() => body(state)));
    for (const task of tasks) task.join();
    const seen = receive(bytes, length)(state);
    if (free !== undefined) assertEquals(open(state).pool.freeCount, free, "free buffers");
    return seen;
  };
}

/** All of these, and the ones of each list in its order. */
function checkOrder(seen: readonly number[], ...lists: (readonly number[])[]): void {
  assertEquals(seen.toSorted(), lists.flat().toSorted());
  for (const list of lists) assertEquals(seen.filter((value) => list.includes(value)), list);
}

/** A queue whose shared writer has a segment open, with one message of 7. */
function begun(length = 4): () => State {
  return () => {
    const state = queue()();
    const writer = open(state).queue.attachWriter(state.shared);
    put(writer, 7, length);
    writer.publish();
    return state;
  };
}

Deno.test("shared writer: messages of two threads arrive whole, each thread's in order", async () => {
  const seen = new Set<string>();
  await passes({
    setup: begun(),
    threads: { first: share([1]), second: share([2]), flusher: receive(12) },
    check: (_, { flusher }) => {
      checkOrder(flusher, [7], [1], [2]);
      seen.add(flusher.join());
    },
  });
  assertEquals([...seen].toSorted(), ["7,1,2", "7,2,1"]);
});

Deno.test("shared writer: two threads that fill buffers switch, each message whole and in order", async () => {
  await passes({
    setup: queue(),
    threads: { main: thenReceive([share([1, 2], 8), share([3], 8)], 24, 8) },
    check: (_, { main }) => checkOrder(main, [1, 2], [3]),
  });
});

Deno.test("shared writer: of three threads that find a buffer full, one switches and all get room", async () => {
  await passes({
    setup: () => {
      const state = queue()();
      const { queue: opened } = open(state);
      const writer = opened.attachWriter(state.shared);
      for (const value of [7, 7]) put(writer, value, 6);
      writer.publish();
      return state;
    },
    threads: {
      main: thenReceive([share([1], 6), share([2], 6)], 24, 6),
    },
    check: (_, { main }) => checkOrder(main, [7, 7], [1], [2]),
  });
});

/** One that reserves what is left of a buffer, and one for whom that is too little. */
function closing(long: (state: State) => void) {
  return {
    setup() {
      const state = queue()();
      share([7, 7], 6)(state);
      return state;
    },
    threads: { short: share([1], 4), long },
    check(state: State) {
      const flusher = open(state).queue.flusher();
      const seen: number[] = [];
      while (flusher.poll()) while (flusher.next()) seen.push(...flusher.view());
      const length = (value: number) => seen.filter((other) => other === value).length;
      assertEquals([length(7), length(1), length(2)], [12, 4, 8]);
    },
  };
}

Deno.test("shared writer: a thread claims the rest of a buffer while another, which needs more, closes it", async () => {
  await passes(closing(share([2], 8)));
});

Deno.test("broken twin: a segment that is closed by a load and a store loses a reservation", async () => {
  const long = tampered(share([2], 8), (proper) => ({
    or(view: View, index: number, bits: number) {
      if (bits !== CLOSED) return proper.or(view, index, bits);
      const before = proper.load(view, index);
      proper.store(view, index, before | bits);
      return before;
    },
  }));
  await fails("assertion", closing(long));
});

Deno.test("shared writer: a thread that waits for a buffer gets the one that the flusher releases", async () => {
  await passes({
    setup: queue(1),
    threads: { writer: share([1, 2, 3], 8), flusher: receive(24, 8) },
    check: (_, { flusher }) => assertEquals(flusher, [1, 2, 3]),
  });
});

Deno.test("shared writer: a thread sleeps until another, which waits for the only buffer, has it", async () => {
  await passes({
    setup: queue(1),
    threads: {
      main(state: State): number[] {
        const { pool } = open(state);
        const only = pool.tryAcquire();
        const other = spawn(() => share([1], 8)(state));
        pool.release(only);
        share([2], 8)(state);
        other.join();
        return receive(16, 8)(state);
      },
    },
    check: (_, { main }) => checkOrder(main, [1], [2]),
  });
});

/** A queue with one buffer, and a word that lets the second thread begin. */
interface Gated extends State {
  readonly gate: Int32Array;
}

function gated(): Gated {
  return { ...queue(1)(), gate: new Int32Array(new SharedArrayBuffer(4)) };
}

/**
 * A thread that has seen the only place of the ring last as it will be again when another opens the
 * next segment there. It flushes a message, and waits until it has received that.
 */
function late(state: Gated): number[] {
  const { queue } = open(state);
  const writer = queue.attachWriter(state.shared);
  const seen: number[] = [];
  using flusher = queue.flusher();
  const receive = () => {
    while (flusher.poll()) while (flusher.next()) seen.push(...messagesOf(flusher));
  };
  put(writer, 1, 12);
  // Without a buffer this closes the segment, of which the first knows nothing.
  queue.attachWriter(state.shared).tryClaim(12);
  receive();
  Atomics.store(state.gate, 0, 1);
  Atomics.notify(state.gate, 0);
  const offset = writer.tryClaim(4);
  if (offset < 0) return seen;
  fill(writer, offset, 2, 4);
  writer.commit(offset);
  writer.publish();
  while (!seen.includes(2)) {
    flusher.wait();
    receive();
  }
  return seen;
}

/** Writes a message, if there is room, and does not flush it. */
function opener(state: Gated): void {
  while (Atomics.load(state.gate, 0) === 0) Atomics.wait(state.gate, 0, 0);
  const writer = open(state).queue.attachWriter(state.shared);
  const offset = writer.tryClaim(12);
  if (offset < 0) return;
  fill(writer, offset, 3, 12);
  writer.commit(offset);
}

/** A queue over one buffer, which is in use. */
const busy = (): State => {
  const state = queue(1)();
  assertEquals(PlainPool.attach(state.pool).tryAcquire(), 0);
  return state;
};

/**
 * Tries to write on a thread that may not wait, as the main thread of a page, and gives the buffer
 * back.
 */
const refused = tampered((state: State) => {
  const { pool, queue } = open(state);
  const writer = queue.attachWriter(state.shared);
  try {
    writer.claim(8);
    throw new Error("there was no buffer");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  pool.release(0);
}, () => ({
  wait() {
    throw new TypeError("forbidden");
  },
}));

Deno.test("shared writer: a thread that may not wait for a buffer leaves the switch to others, in up to three preemptions", async () => {
  await passes({
    setup: busy,
    threads: { refused, other: share([2], 8) },
    preemptions: 3,
    check: (state) => assertEquals(receive(8, 8)(state), [2]),
  });
});

Deno.test("broken twin: a thread that may not wait and keeps the switch blocks the others", async () => {
  const keeps = tampered(refused, (proper) => ({
    exchange: (view: Int32Array, index: number, value: number) =>
      proper.load(view, index) === value + 1 ? value : proper.exchange(view, index, value),
  }));
  await fails("deadlock", {
    setup: busy,
    threads: { keeps, other: share([2], 8) },
  });
});

Deno.test("shared writer: a message published before its segment is announced arrives", async () => {
  const seen = new Set<string>();
  await passes({
    setup: gated,
    threads: { late, opener },
    check: (_, { late }) => void seen.add(late.join()),
  });
  assert(seen.has("1,1,1,3,3,3,2"));
});

Deno.test("broken twin: an announced segment whose messages were published before is missed", async () => {
  await fails("deadlock", {
    setup: gated,
    threads: {
      late,
      opener: tampered(opener, (proper) => ({
        or: (view: View, index: number, bits: number) =>
          index === FLUSHED ? 0 : proper.or(view, index, bits),
      })),
    },
  });
});

/** Reserves two, commits the second and flushes it; then ends the first, and does not flush. */
function outOfOrder(end: "commit" | "abort") {
  return (state: State): void => {
    const writer = open(state).queue.attachWriter(state.shared);
    const first = writer.claim(4);
    const second = writer.claim(4);
    fill(writer, second, 2, 4);
    writer.commit(second);
    writer.publish();
    fill(writer, first, 1, 4);
    writer[end](first);
  };
}

Deno.test("shared writer: a published message arrives once the one before it is committed", async () => {
  await passes({
    setup: queue(),
    threads: { writer: outOfOrder("commit"), flusher: receive(8) },
    check: (_, { flusher }) => assertEquals(flusher, [1, 2]),
  });
});

Deno.test("shared writer: a published message arrives once the one before it is aborted", async () => {
  await passes({
    setup: queue(),
    threads: { writer: outOfOrder("abort"), flusher: receive(4) },
    check: (_, { flusher }) => assertEquals(flusher, [2]),
  });
});

Deno.test("shared writer: two threads end their messages in any order, and one gives up", async () => {
  await passes({
    setup: queue(),
    threads: { main: thenReceive([outOfOrder("abort"), share([3])], 8) },
    check: (_, { main }) => checkOrder(main, [2], [3]),
  });
});

Deno.test("shared writer: a message waits for an open one in the buffer before", async () => {
  await passes({
    setup: queue(),
    threads: {
      writer(state: State) {
        const writer = open(state).queue.attachWriter(state.shared);
        const first = writer.claim(8);
        put(writer, 2, 8);
        put(writer, 3, 8);
        writer.publish();
        fill(writer, first, 1, 8);
        writer.commit(first);
      },
      flusher: receive(24, 8),
    },
    check: (_, { flusher }) => assertEquals(flusher, [1, 2, 3]),
  });
});

Deno.test("shared writer: long messages of two threads have buffers of their own, in order", async () => {
  await passes({
    setup: begun(),
    threads: { main: thenReceive([share([1], 12), share([2], 12)], 28) },
    check: (_, { main }) => checkOrder(main, [7], [1, 1, 1], [2, 2, 2]),
  });
});

Deno.test("shared writer: all buffers return when the last thread has left", async () => {
  const leave = (state: State) => {
    using writer = open(state).queue.attachWriter(state.shared);
    put(writer, 1, 4);
  };
  await passes({
    setup: queue(),
    threads: {
      main: thenReceive([leave, leave], 8, 4, BUFFERS),
    },
    check: (_, { main }) => assertEquals(main, [1, 1]),
  });
});

Deno.test("local writers: two that publish each message wake a sleeping flusher each time", async () => {
  await passes({
    setup: queue(2, 3),
    threads: { first: alone([1]), second: alone([2]), flusher: receive(8) },
    check: (_, { flusher }) => checkOrder(flusher, [1], [2]),
  });
});

Deno.test("local writer: a flusher takes messages as they are published, buffer by buffer", async () => {
  await passes({
    setup: queue(2),
    threads: { writer: alone([1, 2, 3], 8), flusher: receive(24, 8) },
    check: (_, { flusher }) => assertEquals(flusher, [1, 2, 3]),
  });
});

Deno.test("local writer: a published message arrives once the one before it has ended", async () => {
  for (const end of ["commit", "abort"] as const) {
    await passes({
      setup: queue(),
      threads: {
        writer(state: State) {
          const writer = open(state).queue.writer();
          const first = writer.claim(4);
          put(writer, 2);
          writer.publish();
          fill(writer, first, 1, 4);
          writer[end](first);
        },
        flusher: receive(end === "commit" ? 8 : 4),
      },
      check: (_, { flusher }) => assertEquals(flusher, end === "commit" ? [1, 2] : [2]),
    });
  }
});

Deno.test("local writer: another takes the place of one that closes", async () => {
  const visit = (value: number) => (state: State) => {
    try {
      using writer = open(state).queue.writer({ id: value });
      put(writer, value);
    } catch {
      return 0;
    }
    return 4;
  };
  await passes({
    setup: queue(),
    threads: {
      main(state: State) {
        const tasks = [1, 2].map((value) => spawn(() => visit(value)(state)));
        const bytes = tasks.reduce((sum, task) => sum + task.join(), 0);
        const seen = receive(bytes)(state);
        return { bytes, seen };
      },
    },
    check: (_, { main }) => assertEquals(main.seen.length * 4, main.bytes),
  });
});

Deno.test("flusher: one that follows another continues where that one stopped", async () => {
  await passes({
    setup: queue(2),
    threads: {
      writer: alone([1, 2], 12),
      flusher(state: State) {
        const seen: number[] = [];
        const take = (most: number) => {
          using flusher = open(state).queue.flusher();
          while (seen.length < most) {
            flusher.wait();
            if (flusher.poll() && flusher.next()) seen.push(...messagesOf(flusher, 12));
          }
        };
        take(1);
        take(2);
        return seen;
      },
    },
    check: (_, { flusher }) => assertEquals(flusher, [1, 2]),
  });
});

// --- broken twins ---------------------------------------------------------------------------

type View = Int32Array;

Deno.test("broken twin: a mark that is set by load and store loses another's", async () => {
  const wrong = (values: readonly number[]) =>
    tampered(share(values), (proper) => ({
      or(view: View, index: number, value: number) {
        const before = proper.load(view, index);
        proper.store(view, index, before | value);
        return before;
      },
    }));
  await fails("deadlock", {
    setup: queue(),
    threads: { first: wrong([1]), second: wrong([2]), flusher: receive(8) },
  });
});

Deno.test("broken twin: a mark that is stored plainly is a race", async () => {
  await fails("data race", {
    setup: queue(),
    threads: {
      first: share([1]),
      second: tampered(share([2]), () => ({
        or(view: View, index: number, value: number) {
          const before = view[index]!;
          view[index] = before | value;
          return before;
        },
      })),
      flusher: receive(8),
    },
  });
});

Deno.test("broken twin: room that is claimed by load and store is claimed twice", async () => {
  const wrong = (values: readonly number[]) =>
    tampered(share(values), (proper) => ({
      compareExchange(view: View, index: number, expected: number, value: number) {
        const before = proper.load(view, index);
        if (before === expected) proper.store(view, index, value);
        return before;
      },
    }));
  await fails(["data race", "deadlock", "assertion"], {
    setup: begun(),
    threads: { first: wrong([1]), second: wrong([2]), flusher: receive(12) },
  });
});

/** Where the word is that threads of the shared writer sleep on. */
function currentIndex(): number {
  return layoutOf().writer(0) + CURRENT;
}

Deno.test("broken twin: two threads that switch at once lose a buffer's messages", async () => {
  const wrong = (values: readonly number[]) =>
    tampered(share(values, 8), (proper) => ({
      compareExchange(view: View, index: number, expected: number, value: number) {
        const before = proper.compareExchange(view, index, expected, value);
        // Switches though another is switching.
        return index === currentIndex() ? before & ~3 : before;
      },
    }));
  await fails(["data race", "deadlock", "assertion"], {
    setup: queue(),
    threads: { first: wrong([1]), second: wrong([2]), flusher: receive(16, 8) },
  });
});

Deno.test("broken twin: a switch that wakes no thread leaves one asleep", async () => {
  const wrong = (values: readonly number[]) =>
    tampered(share(values, 12), (proper) => ({
      notify: (view: View, index: number, count: number) =>
        index === currentIndex() ? 0 : proper.notify(view, index, count),
    }));
  await fails("deadlock", {
    setup: queue(),
    threads: { main: thenReceive([wrong([1]), wrong([2])], 24, 12) },
  });
});

Deno.test("broken twin: a publication without a wake-up leaves the flusher asleep", async () => {
  await fails("deadlock", {
    setup: queue(),
    threads: {
      writer: tampered(alone([1]), () => ({ notify: () => 0 })),
      flusher: receive(4),
    },
  });
});

Deno.test("broken twin: a flusher that takes the published writers by load and store loses some", async () => {
  await fails("deadlock", {
    setup: queue(2, 3),
    threads: {
      first: alone([1]),
      second: alone([2]),
      flusher: tampered(receive(8), (proper) => ({
        exchange(view: View, index: number, value: number) {
          assertEquals(index, FLUSHED);
          const before = proper.load(view, index);
          proper.store(view, index, value);
          return before;
        },
      })),
    },
  });
});

Deno.test("broken twin: a publication by load and store loses that of another thread", async () => {
  const wrong = (values: readonly number[]) =>
    tampered(alone(values), (proper) => ({
      or(view: View, index: number, value: number) {
        if (index !== FLUSHED) return proper.or(view, index, value);
        const before = proper.load(view, index);
        proper.store(view, index, before | value);
        return before;
      },
    }));
  await fails("deadlock", {
    setup: queue(2, 3),
    threads: { first: wrong([1]), second: wrong([2]), flusher: receive(8) },
  });
});

Deno.test("broken twin: a flusher that clears the published writers after its look misses a message", async () => {
  const tables = layoutOf().table(0);
  await fails("deadlock", {
    setup: queue(),
    threads: {
      writer: alone([1, 2]),
      flusher(state: State) {
        let late: (() => void) | undefined;
        return tampered(receive(8), (proper) => ({
          exchange(view: View, index: number, value: number) {
            late = () => proper.store(view, index, value);
            return proper.load(view, index);
          },
          load(view: View, index: number) {
            const value = proper.load(view, index);
            if (late !== undefined && index >= tables) {
              late();
              late = undefined;
            }
            return value;
          },
        }))(state);
      },
    },
  });
});

Deno.test("broken twin: a flusher that does not mark a stalled message leaves those behind it waiting", async () => {
  await fails("deadlock", {
    setup: queue(),
    threads: {
      writer: outOfOrder("commit"),
      flusher: tampered(receive(8), (proper) => ({
        or: (view: View, index: number) => proper.load(view, index),
      })),
    },
  });
});

Deno.test("broken twin: a segment that is announced plainly is a race", async () => {
  await fails("data race", {
    setup: queue(),
    threads: {
      writer: tampered(alone([1, 2, 3], 8), (proper) => ({
        store(view: View, index: number, value: number) {
          if (index === layoutOf().writer(1) + CURRENT) {
            view[index] = value;
          } else proper.store(view, index, value);
          return value;
        },
      })),
      flusher: receive(24, 8),
    },
  });
});

// --- ending in any order ----------------------------------------------------------------------

/** A twin of writers that make each commit wait for those before it: turn by turn. */
function inTurn(order: readonly number[]) {
  return (turn: Int32Array): void => {
    for (const reservation of order) {
      while (Atomics.load(turn, 0) !== reservation) Atomics.pause();
      Atomics.store(turn, 0, reservation + 1);
    }
  };
}

Deno.test("broken twin: commits that wait for their turn block a thread that makes them in reverse", async () => {
  await fails(["livelock", "deadlock", "spin without pause"], {
    setup: () => new Int32Array(new SharedArrayBuffer(8)),
    threads: { writer: inTurn([1, 0]), other: inTurn([2]) },
  });
});

Deno.test("a thread that ends its messages in reverse blocks neither itself nor another", async () => {
  await passes({
    setup: queue(),
    threads: {
      main: thenReceive([(state) => {
        const writer = open(state).queue.attachWriter(state.shared);
        const offsets = [1, 2].map((value) => {
          const offset = writer.claim(4);
          fill(writer, offset, value, 4);
          return offset;
        });
        for (const offset of offsets.reverse()) writer.commit(offset);
        writer.publish();
      }, share([3])], 12),
    },
    check: (_, { main }) => checkOrder(main, [1, 2], [3]),
  });
});
