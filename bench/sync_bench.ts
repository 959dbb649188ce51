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
import { compare, declare, type Group, quantile, type Way } from "./alternating.ts";
import { Crew, type Duty } from "./crew.ts";
import type { Kind } from "./sync_worker.ts";

/** Operations of a run on one thread. */
const COUNT = 100_000;
/** The same of each of two threads. */
const EACH = 20_000;
/** The same of what takes microseconds. */
const FEW = 500;
/** Round trips of a run. */
const TRIPS = 500;
/** Runs of those. */
const ROUNDS = 7;

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

/** Two threads that wake each other. */
class RoundTrips {
  readonly #samples = new Float64Array(new SharedArrayBuffer(8 * TRIPS));
  readonly #woken = words(1);
  #crew: Crew | undefined;
  readonly microseconds: number[] = [];

  constructor(
    readonly name: string,
    readonly kind: Kind,
    readonly make: () => [unknown, unknown],
  ) {}

  run(): void {
    this.#crew ??= this.#start();
    this.#crew.run();
    this.microseconds.push(...this.#samples);
  }

  /** How many of those that waited were asleep, of all; none is known of a port. */
  get share(): number {
    return this.#woken[0]! / 2 / this.microseconds.length;
  }

  /** Forgets what was measured. */
  clear(): void {
    this.microseconds.length = 0;
    this.#woken[0] = 0;
  }

  #start(): Crew {
    const [there, back] = this.make();
    const isPort = this.kind === "port";
    const trip = {
      kind: this.kind,
      count: TRIPS,
      samples: this.#samples,
      woken: this.#woken,
      idle: words(1),
    };
    const duty = (name: string, there: unknown, back: unknown): Duty => ({
      name,
      argument: { ...trip, there: isPort ? undefined : there, back },
      transfer: isPort ? [back as MessagePort] : [],
    });
    return new Crew(module, [duty("ping", there, back), duty("pong", back, there)]);
  }
}

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

declare(groups);
declare([{
  name: "there and back, each woken, after 0.2 ms of rest",
  ways: trips.map((trip) => ({ name: trip.name, count: TRIPS, run: () => trip.run() })),
}]);

globalThis.addEventListener("unload", () => {
  compare(groups);
  for (const trip of trips) trip.clear();
  for (let round = 0; round < ROUNDS; round++) {
    for (const trip of trips) trip.run();
  }
  const cell = (text: string) => text.padStart(14);
  console.log(`\nmicroseconds there and back, ${ROUNDS} x ${TRIPS} of them`);
  console.log(`${"".padEnd(44)}${["median", "p99", "were asleep"].map(cell).join("")}`);
  for (const { name, kind, microseconds, share } of trips) {
    const cells = [0.5, 0.99].map((part) => quantile(microseconds, part).toFixed(1));
    cells.push(kind === "port" ? "" : `${(100 * share).toFixed(0)} %`);
    console.log(`  ${name.padEnd(42)}${cells.map(cell).join("")}`);
  }
});
