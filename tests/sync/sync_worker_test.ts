/**
 * Synchronisation on real workers. Never more than two threads are busy; the others sleep.
 */

import { assert, assertEquals } from "@std/assert";
import {
  Barrier,
  EventCount,
  Latch,
  Memory,
  Mutex,
  Parker,
  RwLock,
  Semaphore,
  WaiterQueue,
} from "../../mod.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import { type Bed, type Job, storeIn } from "./bodies.ts";

const bodies = import.meta.resolve("./bodies.ts");

const run = (name: string, argument: unknown) => runOnWorker<void>(bodies, name, argument);

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}

workerTest("two workers that lock a mutex change plain words one after the other", async () => {
  const { handle } = Mutex.create();
  const job = { handle, rounds: 50_000, words: sharedWords(8) };
  await Promise.all([run("changeUnderMutex", job), run("changeUnderMutex", job)]);
  assertEquals(job.words, new Int32Array(8).fill(100_000));
  assertEquals(Mutex.attach(handle).isLocked, false);
});

workerTest("four workers that sleep at a mutex are each woken, one by one", async () => {
  const mutex = Mutex.create();
  const job = { handle: mutex.handle, rounds: 500, words: sharedWords(8) };
  const guard = mutex.lock();
  const workers = [1, 2, 3, 4].map(() => run("changeUnderMutex", job));
  guard.release();
  await Promise.all(workers);
  assertEquals(job.words[0], 2000);
});

workerTest("tasks, of which some give up, and a worker share a mutex", async () => {
  const { handle } = Mutex.create();
  const job = { handle, rounds: 300, words: sharedWords(64) };
  await Promise.all([
    run("changeUnderMutexAsync", { ...job, tasks: 3 }),
    run("changeUnderMutex", { ...job, rounds: 20_000 }),
  ]);
  assertEquals(job.words[0], 20_900);
  assertEquals(Mutex.attach(handle).isLocked, false);
});

workerTest("a writer enters beside readers that wait only for a short time", async () => {
  const { handle } = RwLock.create();
  const job = { handle, rounds: 1_000, words: sharedWords(2) };
  const readers = [1, 2, 3, 4].map(() => runOnWorker<number>(bodies, "readImpatiently", job));
  await run("writeOnce", job);
  const reads = await Promise.all(readers);
  assert(reads.every((count) => count < job.rounds), `the writer came after ${reads} reads`);
});

workerTest("a writer and three readers that enter and leave see only whole changes", async () => {
  const { handle } = RwLock.create();
  const job = { handle, rounds: 5_000, words: sharedWords(8) };
  await Promise.all([
    run("write", job),
    run("read", job),
    run("read", job),
    run("read", job),
  ]);
  const lock = RwLock.attach(handle);
  assertEquals([job.words[0], lock.readers, lock.isWriting], [5_000, 0, false]);
});

workerTest(
  "four workers step in step at a barrier, and a latch tells when all have ended",
  async () => {
    const barrier = Barrier.create({ parties: 4 });
    const finished = Latch.create({ count: 4 });
    const words = sharedWords(4);
    const job = { barrier: barrier.handle, finished: finished.handle, words, rounds: 500 };
    const workers = [0, 1, 2, 3].map((index) =>
      runOnWorker<number>(bodies, "step", { ...job, index })
    );
    assertEquals(await finished.waitAsync(), true);
    assertEquals(words, new Int32Array(4).fill(500));
    assertEquals(await Promise.all(workers), [0, 0, 0, 0]);
    assertEquals([barrier.arrived, barrier.parties, finished.count], [0, 4, 0]);
  },
);

workerTest("two writers and a reader do not starve one another", async () => {
  const { handle } = RwLock.create();
  const job = { handle, rounds: 5_000, words: sharedWords(8) };
  await Promise.all([run("write", job), run("write", job), run("read", job)]);
  assertEquals(job.words[0], 10_000);
});

workerTest("two semaphores carry values through a ring, each once and in order", async () => {
  const job = {
    ring: sharedWords(8),
    free: Semaphore.create({ permits: 8 }).handle,
    used: Semaphore.create({ permits: 0 }).handle,
    values: 100_000,
  };
  await Promise.all([run("produce", job), run("consume", job)]);
  assertEquals(Semaphore.attach(job.free).permits, 8);
  assertEquals(Semaphore.attach(job.used).permits, 0);
});

workerTest("four workers take turns by parkers", async () => {
  const memory = Memory.create({ byteLength: 4 * 64 });
  const parkers = [0, 1, 2, 3].map(() => Parker.create({ memory }));
  const words = sharedWords(8);
  const workers = parkers.map(({ handle: mine }, i) =>
    run("passOn", { rounds: 1_000, words, mine, next: parkers[(i + 1) % 4]!.handle })
  );
  parkers[0]!.unpark();
  await Promise.all(workers);
  assertEquals(words[0], 4_000);
});

workerTest("two workers wait for each other's progress by an event count", async () => {
  const { handle } = EventCount.create();
  const job = { handle, rounds: 20_000, words: sharedWords(2) };
  await Promise.all([
    run("countInTurn", { ...job, mine: 0 }),
    run("countInTurn", { ...job, mine: 1 }),
  ]);
  assertEquals(job.words, new Int32Array([20_000, 20_000]));
});

workerTest("this thread awaits a worker's progress by an event count", async () => {
  const progress = EventCount.create();
  const words = sharedWords(2);
  const rounds = 500;
  const worker = run("countInTurn", { handle: progress.handle, rounds, words, mine: 1 });
  for (let round = 0; round < rounds; round++) {
    assertEquals(await progress.untilAsync(() => Atomics.load(words, 1) >= round), true);
    Atomics.store(words, 0, round + 1);
    progress.notify();
  }
  await worker;
});

for (const values of [1, 2]) {
  workerTest(
    `workers and tasks borrow ${values} values, each with one owner at a time`,
    async () => {
      const queue = WaiterQueue.create({ threads: 4 });
      const free = sharedWords(1);
      const pool = { queue: queue.handle, free, owners: sharedWords(values) };
      const store = storeIn(free);
      for (let value = 0; value < values; value++) store.put(value);
      await Promise.all([
        run("borrow", { ...pool, rounds: 5_000, owner: 1 }),
        run("borrow", { ...pool, rounds: 5_000, owner: 2 }),
        run("borrow", { ...pool, rounds: 500, owner: 3 }),
        run("borrowAsync", { ...pool, rounds: 200, owner: 4, tasks: 3 }),
      ]);
      assertEquals(free[0], 2 ** values - 1);
      assertEquals(queue.isAnyWaiting, false);
    },
  );
}

/** Ends a worker that sleeps on this. */
async function endAsleep(bed: Bed, isAsleep: () => boolean): Promise<void> {
  const worker = startWorker(bodies, "sleepForever", bed);
  while (!isAsleep()) await new Promise((resolve) => setTimeout(resolve));
  worker.terminate();
  // Nothing tells when it has ended.
  await new Promise((resolve) => setTimeout(resolve, 100));
}

workerTest(
  "a worker that is ended while it sleeps is woken in vain, and then the next",
  async () => {
    const [mutex, lock] = [Mutex.create(), RwLock.create()];
    const semaphore = Semaphore.create({ permits: 0 });
    const queue = WaiterQueue.create({ threads: 2 });
    const bed = {
      mutex: mutex.handle,
      semaphore: semaphore.handle,
      lock: lock.handle,
      queue: queue.handle,
      taken: new Int32Array(new SharedArrayBuffer(4)),
    };

    const guard = mutex.lock();
    const state = new Int32Array(mutex.handle.memory.buffer);
    await endAsleep({ ...bed, on: "mutex" }, () => Atomics.load(state, 2) === 2);
    const locking = Mutex.attach(mutex.handle).lockAsync();
    guard.release();
    mutex.reclaimWakeups();
    (await locking).release();

    await endAsleep({ ...bed, on: "semaphore" }, () => semaphore.waiters === 1);
    const acquiring = semaphore.acquireAsync();
    semaphore.release();
    semaphore.reclaimWakeups();
    await acquiring;

    const reader = lock.read();
    const other = RwLock.attach(lock.handle);
    await endAsleep({ ...bed, on: "lock" }, () => {
      const guard = other.tryRead();
      guard?.release();
      return guard === undefined;
    });
    const reading = other.readAsync();
    reader.release();
    lock.reclaimWakeups();
    (await reading).release();

    await endAsleep({ ...bed, on: "queue" }, () => queue.isAnyWaiting);
    assert(queue.offer(5));
    assertEquals(queue.reclaim(0) ?? Atomics.load(bed.taken, 0), 5);
    assertEquals(queue.isAnyWaiting, false);
  },
);

// As `src/when_a_worker_dies.md` says of Deno; what Node does is tried in `tests/node`.
workerTest(
  "a worker that is terminated while it blocks runs on once woken, and gives back",
  async () => {
    const [mutex, lock] = [Mutex.create(), RwLock.create()];
    const semaphore = Semaphore.create({ permits: 0 });
    const job: Job = {
      mutex: mutex.handle,
      semaphore: semaphore.handle,
      lock: lock.handle,
      words: sharedWords(2),
    };
    const [guard, reader] = [mutex.lock(), lock.read()];
    const worker = startWorker(bodies, "workWhenWoken", job);
    const state = new Int32Array(mutex.handle.memory.buffer);
    while (Atomics.load(state, 2) !== 2) await pause();
    worker.terminate();

    await pause();
    assertEquals(job.words[0], 0);
    guard.release();
    mutex.reclaimWakeups();
    while (semaphore.waiters === 0) await pause();
    assertEquals([mutex.isLocked, job.words[0]], [false, 1]);
    semaphore.release();
    const other = RwLock.attach(lock.handle);
    while (other.tryRead()?.release() !== undefined || job.words[0] !== 2) await pause();
    reader.release();
    while (Atomics.load(job.words, 1) === 0) await pause();
    other.write().release();
    assertEquals([mutex.isLocked, semaphore.permits, lock.isWriting], [false, 1, false]);
  },
);
