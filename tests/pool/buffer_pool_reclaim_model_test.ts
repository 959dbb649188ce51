/**
 * Threads of a buffer pool that die, at each instruction, and are reclaimed while others continue.
 *
 * In each model there are three threads. The victim acts, and dies before its first operation, its
 * second, and so on: one exploration for each, until it survives. Its parent waits for its end and
 * reclaims it. The other thread uses the pool meanwhile. Afterwards all buffers must be free, each
 * once.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BufferPool, Packet } from "@busbar/busbar";
import {
  ExplorationError,
  explore,
  type ExploreOptions,
  type FailureKind,
  spawn,
  type Threads,
} from "@busbar/busbar/model";
import { passes } from "../verdicts.ts";
import {
  assertAllFree,
  attached,
  type Body,
  mortal,
  poolOf,
  post,
  type State,
  tellBegun,
  tryFetch,
  tryOnce,
  untilBegun,
  untilReady,
  use,
  waitOnce,
} from "./models.ts";
import { tampered } from "../tamper.ts";
import { StaleTicketError } from "../../src/pool/errors.ts";
import {
  DETACHING,
  DYING,
  FLYING,
  IDLE,
  KIND,
  LANDED,
  PHASE_MASK,
  STATE,
  STATE_MASK,
  TAKER_MASK,
  TAKER_SHIFT,
  threadLine,
  TICKET_WORDS,
} from "../../src/pool/layout.ts";

/** The hold of the only buffer, in pools that {@linkcode poolOf} makes. */
const HOLD = (() => {
  const { memory, byteOffset } = poolOf()().handle;
  return KIND.read(new Int32Array(memory.buffer, byteOffset)).holdWords;
})();

/** What happens before, during and after the death of the victim. */
interface Scenario<Prepared> {
  setup: () => State;
  /** What the victim does before it may die. */
  prepare: Body<Prepared>;
  /** What the victim does until it dies. */
  act: (pool: BufferPool, box: Int32Array, prepared: Prepared) => unknown;
  /** What the other thread does before the victim begins; the result is passed to `other`. */
  before?: Body<number>;
  /** What the other thread does. */
  other: (pool: BufferPool, box: Int32Array, before: number) => unknown;
  /** Whether the packets that the victim has detached are reclaimed, too. */
  detached?: boolean;
  /** What the parent does as reclaimer. */
  reclaim?: (pool: BufferPool) => unknown;
}

/** The model of a scenario in which the victim lives for so many operations. */
function model<Prepared>(scenario: Scenario<Prepared>, life: number) {
  const { setup, prepare, act, before, other, detached = false } = scenario;
  const reclaim = scenario.reclaim ?? ((pool) => pool.reclaim(0, { detached }));
  return {
    setup,
    threads: {
      parent(state: State): boolean {
        if (before !== undefined) untilBegun(state.box);
        const victim = spawn(() => mortal(life, prepare, act)(state), "victim");
        const hasDied = victim.join();
        attached(2, reclaim)(state);
        return hasDied;
      },
      other: attached(1, (pool, box) => {
        const begun = before === undefined ? -1 : before(pool, box);
        tellBegun(box);
        untilReady(box);
        other(pool, box, begun);
      }),
    },
  };
}

/** A bound, for fewer than all schedules. */
type Bound = Pick<ExploreOptions<State, Threads<State>>, "strategy" | "preemptions">;

/** Explores the death of the victim before each of its operations. */
async function survives<Prepared>(
  scenario: Scenario<Prepared>,
  check: (state: State) => void = assertAllFree,
  bound: Bound = {},
): Promise<void> {
  for (let life = 0;; life++) {
    let isAnyDead = false;
    await passes({
      ...model(scenario, life),
      ...bound,
      check(state, { parent }) {
        isAnyDead ||= parent;
        check(state);
      },
    });
    if (!isAnyDead) return assert(life > 1);
  }
}

const nothing = () => {};

/** Adopts a packet if there is one, and uses the buffer when it is free. */
const adopter: Body<void> = (pool, box) => {
  const packet = tryFetch(pool, box);
  packet?.release();
  tryOnce(pool);
};

/** Adopts a packet if there is one, and releases it. */
const fetchAndReturn: Body<void> = (pool, box) => {
  tryFetch(pool, box)?.release();
  pool.returnCached();
};

/** A packet of the only buffer; a reclaimer may be the taker of its batch for a moment. */
function onePacket(pool: BufferPool): Packet {
  for (;;) {
    const buffer = pool.tryAcquire();
    if (buffer >= 0) return pool.packet(buffer, 0, 1);
    Atomics.pause();
  }
}

/** Two packets of the only buffer. */
function twoPackets(pool: BufferPool): [Packet, Packet] {
  const packet = onePacket(pool);
  return [packet, packet.clone()];
}

/** Detaches packets of the buffer into the box for the victim, and releases another. */
function detachTo(count: 1 | 2): Body<void> {
  return (pool, box) => {
    const [first, second] = twoPackets(pool);
    if (count === 1) post(box, first);
    else post(box, first, second.clone());
    second.release();
    pool.returnCached();
  };
}

/** Adopts the packets that the victim did not adopt, and fails unless all buffers are free then. */
function assertAllFreeAtLast(state: State): void {
  attached(3, (pool, box) => {
    for (const i of [0, 1]) {
      if (box[1 + 4 * i + 3] !== 0) tryFetch(pool, box, i);
    }
    pool.close();
  })(state);
  assertAllFree(state);
}

Deno.test("reclaim: a thread that takes and gives back", async () => {
  await survives({
    setup: poolOf({ buffersPerBatch: 2 }),
    prepare: nothing,
    act: tryOnce,
    other: tryOnce,
  });
});

Deno.test("reclaim: a thread that hands a buffer to one that waits", async () => {
  await survives({
    setup: poolOf(),
    prepare: (pool) => pool.tryAcquire(),
    act: (pool, _, buffer) => pool.release(buffer),
    other: waitOnce,
  });
});

// With at most two preemptions, since all schedules would be a million.
Deno.test("reclaim: a thread that gives back while one waits", async () => {
  await survives({
    setup: poolOf(),
    prepare: (pool) => pool.release(pool.tryAcquire()),
    act: (pool) => pool.returnCached(),
    other: (pool) => use(pool, pool.acquire()),
  }, (state) => {
    attached(3, (pool) => {
      assertEquals(pool.reclaim(1), 1);
      pool.close();
    })(state);
    assertAllFree(state);
  }, { strategy: "all", preemptions: 2 });
});

Deno.test("reclaim: a thread that waits", async () => {
  await survives({
    setup: poolOf(),
    prepare: nothing,
    act: (pool) => use(pool, pool.acquire()),
    before: (pool) => pool.tryAcquire(),
    other(pool, _, buffer) {
      use(pool, buffer);
      pool.release(buffer);
      pool.returnCached();
    },
  });
});

Deno.test("reclaim: a thread that leaves with a buffer in use", async () => {
  await survives({
    setup: poolOf(),
    prepare: (pool) => pool.tryAcquire(),
    act: (pool) => pool.close(),
    other: tryOnce,
    reclaim(pool) {
      try {
        pool.reclaim(0);
      } catch (error) {
        assertEquals((error as Error).message, "Cannot reclaim thread 0 as it is not attached");
      }
    },
  });
});

Deno.test("reclaim: a thread that detaches a whole buffer", async () => {
  await survives({
    setup: poolOf(),
    prepare: onePacket,
    act: (_, box, packet) => post(box, packet),
    other: adopter,
    detached: true,
  });
});

Deno.test("reclaim: a thread that detaches a packet of a buffer and releases another", async () => {
  await survives({
    setup: poolOf(),
    prepare: twoPackets,
    act(pool, box, [first, second]) {
      post(box, first);
      second.release();
      pool.returnCached();
    },
    other: adopter,
    detached: true,
  });
});

Deno.test("reclaim: a thread that detaches its last packet of a buffer that another has", async () => {
  await survives({
    setup: poolOf(),
    prepare(pool, box) {
      const [first, second] = twoPackets(pool);
      first.detachInto(box, 1 + 4);
      return second;
    },
    act: (_, box, packet) => post(box, packet),
    other(pool, box) {
      try {
        pool.adoptFrom(box, 1 + 4).release();
      } catch (error) {
        assert(error instanceof StaleTicketError, String(error));
      }
      fetchAndReturn(pool, box);
    },
    detached: true,
  });
});

Deno.test("reclaim: a thread that adopts a whole buffer", async () => {
  await survives({
    setup: poolOf(),
    prepare: nothing,
    act(pool, box) {
      const packet = tryFetch(pool, box);
      if (packet !== undefined) use(pool, packet.buffer);
      packet?.release();
      pool.returnCached();
    },
    other: (pool, box) => post(box, onePacket(pool)),
  }, assertAllFreeAtLast);
});

Deno.test("reclaim: a thread that adopts a packet of a buffer that another has", async () => {
  await survives({
    setup: poolOf(),
    prepare: nothing,
    act: fetchAndReturn,
    other: detachTo(1),
  }, assertAllFreeAtLast);
});

Deno.test("reclaim: a thread that adopts a second packet of a buffer", async () => {
  await survives({
    setup: poolOf(),
    prepare: nothing,
    act(pool, box) {
      const first = tryFetch(pool, box, 0);
      if (first === undefined) return;
      tryFetch(pool, box, 1)?.release();
      first.release();
      pool.returnCached();
    },
    other: detachTo(2),
  }, assertAllFreeAtLast);
});

/** Detaches one packet of a buffer, and releases another; a further buffer remains in use. */
function detachAndDrop(pool: BufferPool, box: Int32Array): void {
  const [first, second] = twoPackets(pool);
  pool.tryAcquire();
  post(box, first);
  second.release();
  pool.returnCached();
}

/**
 * A thread that reclaims another, which died after `firstLife` operations, and dies after
 * `secondLife`; then both are reclaimed.
 */
function reclaimTheReclaimer(firstLife: number, secondLife: number) {
  return (state: State): [boolean, boolean, boolean] => {
    const first = spawn(() => mortal(firstLife, nothing, detachAndDrop, 3)(state), "first");
    const hasFirstDied = first.join();
    const isBetween = isCountedAndNotFlying(state);
    const second = spawn(
      () => mortal(secondLife, nothing, (pool) => pool.reclaim(3, { detached: true }))(state),
      "second",
    );
    const hasSecondDied = second.join();
    attached(2, (pool) => {
      // A thread that is not yet known to be dead comes first: it may be the taker of a batch.
      const order = isDying(state, 3) ? [0, 3] : [3, 0];
      for (const thread of order) tryToReclaim(pool, thread);
    })(state);
    return [hasFirstDied, hasSecondDied, isBetween];
  };
}

/** Whether a thread has counted one of its tickets, which is not yet in flight. */
function isCountedAndNotFlying({ handle }: State): boolean {
  const words = new Int32Array(handle.memory.buffer, handle.byteOffset);
  const { holdWords, ticketWords, tickets, threads } = KIND.read(words);
  const state = Atomics.load(words, ticketWords + 3 * tickets * TICKET_WORDS);
  // The flights of a hold are above the holders, a bit for each thread.
  const flights = [0, 1].map((buffer) => Atomics.load(words, holdWords + buffer) >> threads);
  return (state & PHASE_MASK) === DETACHING && flights.includes(1);
}

/** Whether a reclaimer has begun to reclaim a thread. */
function isDying({ handle }: State, thread: number): boolean {
  const words = new Int32Array(handle.memory.buffer, handle.byteOffset);
  return (Atomics.load(words, threadLine(thread) + STATE) & STATE_MASK) === DYING;
}

/** Reclaims a thread, unless it was reclaimed before. */
function tryToReclaim(pool: BufferPool, thread: number): void {
  try {
    pool.reclaim(thread, { detached: true });
  } catch (error) {
    const expected = `Cannot reclaim thread ${thread} as it is not attached`;
    assertEquals((error as Error).message, expected);
  }
}

Deno.test("reclaim: a reclaimer that dies, at each instruction of both", async () => {
  for (let firstLife = 0, hasFirstDied = true; hasFirstDied; firstLife++) {
    for (let secondLife = 0, hasSecondDied = true; hasSecondDied; secondLife++) {
      await explore({
        setup: poolOf({ buffersPerBatch: 2, tickets: 1 }),
        threads: { parent: reclaimTheReclaimer(firstLife, secondLife) },
        check(state, { parent }) {
          [hasFirstDied, hasSecondDied] = parent;
          assertAllFree(state);
        },
      });
    }
  }
});

Deno.test("reclaim: a reclaimer that dies while another thread adopts", async () => {
  // The first dies when its packet is counted, and not yet in flight.
  const firstLife = 7;
  let isBetween = false;
  for (let secondLife = 0, hasSecondDied = true; hasSecondDied; secondLife++) {
    hasSecondDied = false;
    await passes({
      setup: poolOf({ buffersPerBatch: 2, tickets: 1 }),
      threads: {
        parent: reclaimTheReclaimer(firstLife, secondLife),
        other: attached(1, fetchAndReturn),
      },
      check(state, { parent }) {
        hasSecondDied ||= parent[1];
        isBetween ||= parent[2];
        assertAllFree(state);
      },
    });
  }
  assert(isBetween);
});

/**
 * Fails unless one of the deaths of the victim leads to a failure of this kind, with this text in
 * its message.
 */
async function succumbs<Prepared>(
  kind: FailureKind,
  scenario: Scenario<Prepared>,
  text = "",
): Promise<void> {
  for (let life = 0; life < 40; life++) {
    try {
      await passes({ ...model(scenario, life), check: assertAllFree });
    } catch (error) {
      if (!(error instanceof ExplorationError)) throw error;
      assertEquals(error.failure.kind, kind, error.message);
      return assertStringIncludes(error.message, text);
    }
  }
  throw new Error("no death did any harm");
}

const handsOver: Scenario<number> = {
  setup: poolOf(),
  prepare: (pool) => pool.tryAcquire(),
  act: (pool, _, buffer) => pool.release(buffer),
  other: waitOnce,
};

Deno.test("broken twin: a reclaimer that does not wake a waiter that was given a buffer", async () => {
  await succumbs("deadlock", {
    ...handsOver,
    reclaim: (pool) => tampered(() => pool.reclaim(0), () => ({ notify: () => 0 }))(undefined),
  });
});

Deno.test("broken twin: a taker that writes a hold plainly while a thread has a stale number", async () => {
  await succumbs("data race", {
    setup: poolOf(),
    prepare: (pool) => pool.release(pool.tryAcquire()),
    act: (pool) => pool.returnCached(),
    other: waitOnce,
    reclaim(pool) {
      pool.reclaim(0);
      tampered(() => tryOnce(pool), (proper) => ({
        store(view: Int32Array, index: number, value: number) {
          if (index !== HOLD) return proper.store(view, index, value);
          view[index] = value;
          return value;
        },
      }))(undefined);
    },
  });
});

Deno.test("broken twin: a reclaimer that does not keep takers out", async () => {
  await succumbs(
    "exception",
    {
      setup: poolOf({ buffersPerBatch: 2 }),
      prepare: nothing,
      act: tryOnce,
      other: tryOnce,
      reclaim: (pool) =>
        tampered(() => pool.reclaim(0), (proper) => ({
          // It claims to have become the taker.
          compareExchange: (view: Int32Array, index: number, before: number, after: number) =>
            (after & TAKER_MASK) === 3 << TAKER_SHIFT
              ? before
              : proper.compareExchange(view, index, before, after),
        }))(undefined),
    },
    "expected one taker of a batch at a time",
  );
});

Deno.test("broken twin: a ticket that is counted in two steps", async () => {
  await succumbs("assertion", {
    setup: poolOf(),
    prepare: twoPackets,
    act: (_, box, [first]) =>
      tampered(() => post(box, first), (proper) => ({
        add(view: Int32Array, index: number, value: number) {
          proper.add(view, index, value + 1); // one more flight
          return proper.add(view, index, -1); // no holder
        },
      }))(undefined),
    other: adopter,
    detached: true,
  });
});

Deno.test("broken twin: an adopter whose ticket is idle before it is a holder", async () => {
  await succumbs("assertion", {
    setup: poolOf(),
    prepare: nothing,
    act: (pool, box) =>
      tampered(() => tryFetch(pool, box)?.release(), (proper) => ({
        // The state does not tell whether the ticket is counted.
        compareExchange: (view: Int32Array, index: number, before: number, after: number) =>
          (before & PHASE_MASK) === FLYING && (after & PHASE_MASK) === LANDED
            ? proper.compareExchange(view, index, before, (after & ~PHASE_MASK) | IDLE)
            : proper.compareExchange(view, index, before, after),
      }))(undefined),
    other: detachTo(1),
  });
});
