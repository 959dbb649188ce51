/**
 * Locks, semaphores and wake-ups: what they cost one thread that meets nobody, two threads that
 * contend, and how long it takes until a thread that sleeps has been woken and has answered.
 *
 * Beside them stands what one would use instead: the bare operations, a lock that spins, the locks of the
 * platform, a chain of promises, and messages.
 *
 * @module
 */

import { EventCount, Mutex, Parker, RwLock, Semaphore, WaiterQueue } from "../mod.ts";
import { compare, declare, type Group, print, type Way } from "./alternating.ts";
import { Crew, type Duty } from "./crew.ts";
import { RoundTripGroup, RoundTrips } from "./round_trips.ts";

/** Operations of a run on one thread. */
const COUNT = 100_000;
/** The same of each of two threads. */
const EACH = 20_000;
/** The same of what takes microseconds. */
const FEW = 500;

const module = import.meta.resolve("./sync_worker.ts");
const words = (count: number) => new Int32Array(new SharedArrayBuffer(4 * count));

const mutex = Mutex.create();
const lock = RwLock.create();
const semaphore = Semaphore.create({ permits: 1 });
const count = EventCount.create();
const parker = Parker.create();
const bare = words(1);
const store = words(1);
const waiters = WaiterQueue.create().join({
  take: () => Atomics.exchange(store, 0, 0) - 1,
  put: (value) => void Atomics.store(store, 0, value + 1),
});

/** Something that is done on this thread. */
function here(name: string, operate: () => void): Way {
  const run = () => {
    for (let i = 0; i < COUNT; i++) operate();
  };
  return { name, count: COUNT, run };
}

/** Two threads that do something as often at once; the cost is that of one of one of them. */
function contended(
  name: string,
  duties: readonly [string, string],
  argument: object,
  count = EACH,
): Way {
  let crew: Crew | undefined;
  const job = { ...argument, count, word: words(1), meeting: words(1) };
  const start = () => new Crew(module, duties.map((name): Duty => ({ name, argument: job })));
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
    name: "one thread, nobody waits",
    ways: [
      here("EventCount: notify", () => count.notify()),
      here("EventCount: until what holds", () => void count.until(() => true)),
      here("Parker: unpark, park", () => {
        parker.unpark();
        parker.park();
      }),
      here("WaiterQueue: release, take", () => {
        waiters.release(1);
        waiters.take();
      }),
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
      contended("a lock that spins", ["spinning", "spinning"], { lock: words(1) }),
      contended("navigator.locks", ["platform", "platform"], { name: crypto.randomUUID() }, FEW),
    ],
  },
];

const signal = () => ({ count: EventCount.create().handle, word: words(1) });
const parkers = (): [unknown, unknown] => [Parker.create().handle, Parker.create().handle];

const trips = [
  new RoundTrips("Parker", "parker", parkers),
  new RoundTrips("Parker, awaited", "parkerAsync", parkers),
  new RoundTrips("EventCount", "eventCount", () => [signal(), signal()]),
  new RoundTrips("Semaphore", "semaphore", () => [
    Semaphore.create({ permits: 0 }).handle,
    Semaphore.create({ permits: 0 }).handle,
  ]),
  new RoundTrips("a bare Atomics.wait", "atomics", () => [words(1), words(1)]),
  new RoundTrips("postMessage", "port", () => {
    const { port1, port2 } = new MessageChannel();
    return [port1, port2];
  }),
];

const roundTrips = new RoundTripGroup("there and back, each woken, after 0.2 ms of rest", trips);

declare([...groups, roundTrips]);

globalThis.addEventListener("unload", () => print(compare(groups), roundTrips.compare()));
