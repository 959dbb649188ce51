/**
 * Locks, semaphores, barriers and wake-ups: their cost to one thread without contention, and to two
 * threads that contend or meet; and how long it takes until a thread that sleeps has been woken and
 * has answered.
 *
 * They are compared with their alternatives: the bare operations, a spin lock, the locks of
 * the platform, and messages.
 *
 * @module
 */

import {
  Barrier,
  EventCount,
  Latch,
  Mutex,
  Parker,
  RwLock,
  Semaphore,
  WaiterQueue,
} from "../mod.ts";
import { compare, declare, type Group, onThisThread, printAtEnd, type Way } from "./alternating.ts";
import { Crew, ports, sharedWords } from "./crew.ts";
import { compareRoundTrips, roundTrips } from "./round_trips.ts";
import type { Job } from "./sync_worker.ts";

/** Operations of a run on one thread. */
const COUNT = 100_000;
/** Operations of each of two threads. */
const COUNT_OF_TWO = 20_000;
/** Operations that take microseconds each. */
const COUNT_OF_SLOW = 500;

const mutex = Mutex.create();
const lock = RwLock.create();
const semaphore = Semaphore.create({ permits: 1 });
const count = EventCount.create();
const parker = Parker.create();
const latch = Latch.create({ count: 2 ** 30 });
const open = Latch.create({ count: 0 });
const alone = Barrier.create({ parties: 1 });
const bare = sharedWords(1);
const store = sharedWords(1);
const waiters = WaiterQueue.create().join({
  take: () => Atomics.exchange(store, 0, 0) - 1,
  put: (value) => void Atomics.store(store, 0, value + 1),
});

/** A way that calls a function on this thread, over and over. */
function here(name: string, operate: () => void): Way {
  return onThisThread(name, COUNT, (count) => {
    for (let i = 0; i < count; i++) operate();
  });
}

/** Two threads that contend; the cost is that of an operation of one of them. */
function contended(
  name: string,
  duties: readonly [string, string],
  argument: object,
  count = COUNT_OF_TWO,
): Way {
  let crew: Crew | undefined;
  const job: Job = { ...argument, count, word: sharedWords(1), meeting: sharedWords(1) };
  const start = () =>
    new Crew("./sync_worker.ts").assign(duties.map((name) => ({ name, argument: job })));
  const writers = duties.filter((name) => name !== "reader").length;
  return {
    name,
    count,
    run() {
      const before = job.word[0]!;
      (crew ??= start()).run();
      if (job.word[0]! - before !== writers * count) throw new Error(`${name} lets two in`);
    },
  };
}

const groups: Group[] = [
  {
    name: "one thread, in and out",
    ways: [
      here("Mutex: lock, release", () => mutex.lock().release()),
      here("Mutex: using", () => {
        using _guard = mutex.lock();
      }),
      here("Mutex: tryLock, release", () => mutex.tryLock()!.release()),
      here("Semaphore: acquire, its guard's release", () => semaphore.acquire().release()),
      here("Semaphore: acquire, release", () => {
        semaphore.acquire();
        semaphore.release();
      }),
      here("RwLock: read, release", () => lock.read().release()),
      here("RwLock: write, release", () => lock.write().release()),
      here("a bare compareExchange and exchange", () => {
        Atomics.compareExchange(bare, 0, 0, 1);
        Atomics.exchange(bare, 0, 0);
      }),
    ],
  },
  {
    name: "one thread, no waiter",
    ways: [
      here("EventCount: notify", () => count.notify()),
      here("EventCount: until a condition that holds", () => void count.until(() => true)),
      here("Parker: unpark, park", () => {
        parker.unpark();
        parker.park();
      }),
      here("WaiterQueue: release, take", () => {
        waiters.release(1);
        waiters.take();
      }),
      here("Latch: count down", () => void latch.countDown()),
      here("Latch: wait, once it is open", () => void open.wait()),
      here("Barrier: wait, for no other", () => void alone.wait()),
      here("a bare notify", () => void Atomics.notify(bare, 0)),
    ],
  },
  {
    name: "two threads, in and out",
    ways: [
      contended("Mutex", ["mutex", "mutex"], { handle: mutex.handle }),
      contended("Semaphore, 1 permit", ["semaphore", "semaphore"], {
        handle: Semaphore.create({ permits: 1 }).handle,
      }),
      contended("RwLock, two writers", ["writer", "writer"], { handle: RwLock.create().handle }),
      contended("RwLock, two readers", ["reader", "reader"], { handle: RwLock.create().handle }),
      contended("RwLock, a writer and a reader", ["writer", "reader"], {
        handle: RwLock.create().handle,
      }),
      contended("a lock that spins", ["spinning", "spinning"], { lock: sharedWords(1) }),
      contended("navigator.locks", ["platform", "platform"], {
        name: crypto.randomUUID(),
      }, COUNT_OF_SLOW),
    ],
  },
  {
    name: "two threads that meet",
    ways: [
      contended("Barrier", ["barrier", "barrier"], {
        handle: Barrier.create({ parties: 2 }).handle,
      }, COUNT_OF_SLOW),
      contended(
        "the same of bare words",
        ["bareBarrier", "bareBarrier"],
        { words: sharedWords(2) },
        COUNT_OF_SLOW,
      ),
    ],
  },
];

const signal = () => ({ count: EventCount.create().handle, word: sharedWords(1) });
const parkers = () => [Parker.create().handle, Parker.create().handle] as const;

const wakeUps = {
  name: "there and back, each woken, after 0.2 ms of rest",
  ways: [
    roundTrips("Parker", "parker", parkers),
    roundTrips("Parker, awaited", "parkerAsync", parkers),
    roundTrips("EventCount", "eventCount", () => [signal(), signal()]),
    roundTrips("Semaphore", "semaphore", () => [
      Semaphore.create({ permits: 0 }).handle,
      Semaphore.create({ permits: 0 }).handle,
    ]),
    roundTrips("a bare Atomics.wait", "atomics", () => [sharedWords(1), sharedWords(1)]),
    roundTrips("postMessage", "port", ports),
  ],
};

declare([...groups, wakeUps]);
printAtEnd(
  () => compare(groups),
  () => compareRoundTrips(wakeUps),
);
