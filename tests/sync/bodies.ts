/**
 * What the workers of `sync_worker_test.ts` do.
 *
 * @module
 */

import {
  Barrier,
  type BarrierHandle,
  EventCount,
  type EventCountHandle,
  Latch,
  type LatchHandle,
  Mutex,
  type MutexHandle,
  Parker,
  type ParkerHandle,
  RwLock,
  type RwLockHandle,
  Semaphore,
  type SemaphoreHandle,
  type ValueStore,
  WaiterQueue,
  type WaiterQueueHandle,
} from "../../mod.ts";

/** So many rounds on plain words, which only one thread may change at a time. */
export interface Rounds {
  rounds: number;
  words: Int32Array;
}

/** Increments words one after the other, which would show another thread that does so meanwhile. */
function change(words: Int32Array): void {
  const before = words[0]!;
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== before) throw new Error(`Word ${i} is ${words[i]} where others are ${before}`);
    words[i] = before + 1;
  }
}

/** Fails if the words are not all the same; returns what they are. */
function look(words: Int32Array): number {
  const first = words[0]!;
  for (const word of words) if (word !== first) throw new Error(`Found ${word} beside ${first}`);
  return first;
}

/**
 * Reads with little patience, and stays inside for a while, so that readers overlap; until a writer
 * was in, or `rounds` reads are done.
 *
 * @returns How many reads there were.
 */
export function readImpatiently({ handle, rounds, words }: Rounds & { handle: RwLockHandle }) {
  const lock = RwLock.attach(handle);
  let reads = 0;
  while (reads < rounds && Atomics.load(words, 0) === 0) {
    using guard = lock.read({ timeoutMs: 1 });
    if (guard === undefined) continue;
    reads++;
    Atomics.wait(words, 1, 0, 2);
  }
  return reads;
}

/** Writes once. */
export function writeOnce({ handle, words }: Rounds & { handle: RwLockHandle }) {
  using _guard = RwLock.attach(handle).write();
  Atomics.store(words, 0, 1);
}

/** Changes the words under a mutex. */
export function changeUnderMutex({ handle, rounds, words }: Rounds & { handle: MutexHandle }) {
  const mutex = Mutex.attach(handle);
  for (let round = 0; round < rounds; round++) {
    using _guard = mutex.lock();
    change(words);
  }
}

/** The same by tasks of one thread, of which some are aborted or give up, and try again. */
export async function changeUnderMutexAsync(
  { handle, rounds, words, tasks }: Rounds & { handle: MutexHandle; tasks: number },
) {
  const mutex = Mutex.attach(handle);
  await Promise.all(Array.from({ length: tasks }, async (_, task) => {
    for (let round = 0; round < rounds;) {
      const controller = new AbortController();
      const options = { signal: controller.signal, timeoutMs: task === 1 ? 0.1 : Infinity };
      if (task === 2) setTimeout(() => controller.abort());
      using guard = await mutex.lockAsync(options).catch(() => undefined);
      if (guard === undefined) continue;
      change(words);
      round++;
    }
  }));
}

/** Changes the words as a writer. */
export function write({ handle, rounds, words }: Rounds & { handle: RwLockHandle }) {
  const lock = RwLock.attach(handle);
  for (let round = 0; round < rounds; round++) {
    using _guard = lock.write();
    change(words);
  }
}

/** Looks at the words as a reader until they have changed so often; gives up at times. */
export function read({ handle, rounds, words }: Rounds & { handle: RwLockHandle }) {
  const lock = RwLock.attach(handle);
  for (let round = 0, seen = 0; seen < rounds; round++) {
    using guard = round % 8 === 0 ? lock.read({ timeoutMs: 0.05 }) : lock.read();
    if (guard === undefined) continue;
    const found = look(words);
    if (found < seen) throw new Error(`Found ${found} after ${seen}`);
    seen = found;
  }
}

/** A ring of plain words, its free places, and its used ones. */
export interface Ring {
  ring: Int32Array;
  free: SemaphoreHandle;
  used: SemaphoreHandle;
  values: number;
}

/** Puts values into a ring, up to three at a time. */
export function produce({ ring, free, used, values }: Ring) {
  const [places, items] = [Semaphore.attach(free), Semaphore.attach(used)];
  for (let value = 0; value < values;) {
    const batch = Math.min(1 + value % 3, values - value);
    places.acquire(batch);
    for (let i = 0; i < batch; i++, value++) ring[value % ring.length] = value;
    items.release(batch);
  }
}

/** Takes values out of a ring, in their order. */
export function consume({ ring, free, used, values }: Ring) {
  const [places, items] = [Semaphore.attach(free), Semaphore.attach(used)];
  for (let value = 0; value < values; value++) {
    items.acquire();
    const found = ring[value % ring.length];
    if (found !== value) throw new Error(`Expected ${value}: found ${found}`);
    places.release();
  }
}

/** Waits for its turn, changes the words, and gives the turn to the next. */
export function passOn(
  { rounds, words, mine, next }: Rounds & { mine: ParkerHandle; next: ParkerHandle },
) {
  const [parker, successor] = [Parker.attach(mine), Parker.attach(next)];
  for (let round = 0; round < rounds; round++) {
    while (!parker.park({ timeoutMs: round % 2 === 0 ? Infinity : 0.05 }));
    change(words);
    successor.unpark();
  }
}

/** Counts up one word of two in turn with another thread, each waiting for the other. */
export function countInTurn(
  { handle, rounds, words, mine }: Rounds & { handle: EventCountHandle; mine: 0 | 1 },
) {
  const progress = EventCount.attach(handle);
  for (let round = 0; round < rounds; round++) {
    progress.until(() => Atomics.load(words, 1 - mine) >= round + mine);
    Atomics.store(words, mine, round + 1);
    progress.notify();
  }
}

/** The values of a waiter queue, and what belongs to each. */
export interface Pool {
  queue: WaiterQueueHandle;
  /** The values that no thread has, a bit for each. */
  free: Int32Array;
  /** For each value its owner, or 0: changed plainly. */
  owners: Int32Array;
}

/** A store in a word, of up to 31 values. */
export function storeIn(free: Int32Array): ValueStore {
  return {
    take() {
      for (let seen = Atomics.load(free, 0); seen !== 0;) {
        const value = 31 - Math.clz32(seen);
        const found = Atomics.compareExchange(free, 0, seen, seen ^ (1 << value));
        if (found === seen) return value;
        seen = found;
      }
      return undefined;
    },
    put: (value) => void Atomics.or(free, 0, 1 << value),
  };
}

function own({ owners }: Pool, value: number, owner: number): void {
  if (owners[value] !== 0) throw new Error(`${owners[value]} has ${value} which ${owner} got`);
  owners[value] = owner;
}

function disown({ owners }: Pool, value: number, owner: number): void {
  if (owners[value] !== owner) throw new Error(`${owners[value]} has ${value} of ${owner}`);
  owners[value] = 0;
}

/** Takes values, has them for a moment, and gives them back; gives up at times. */
export function borrow(pool: Pool & { rounds: number; owner: number }): void {
  const { rounds, owner } = pool;
  using waiters = WaiterQueue.attach(pool.queue).join(storeIn(pool.free));
  for (let round = 0; round < rounds;) {
    const value = round % 4 === 0 ? waiters.take({ timeoutMs: 0.05 }) : waiters.take();
    if (value === undefined) continue;
    own(pool, value, owner);
    disown(pool, value, owner);
    waiters.release(value);
    round++;
  }
}

/** The same by tasks, of which some are aborted or give up, and try again. */
export async function borrowAsync(
  pool: Pool & { rounds: number; owner: number; tasks: number },
): Promise<void> {
  const { rounds, owner, tasks } = pool;
  using waiters = WaiterQueue.attach(pool.queue).join(storeIn(pool.free));
  await Promise.all(Array.from({ length: tasks }, async (_, task) => {
    for (let round = 0; round < rounds;) {
      const controller = new AbortController();
      const options = { signal: controller.signal, timeoutMs: task === 1 ? 0.1 : Infinity };
      if (task === 2) setTimeout(() => controller.abort());
      const value = await waiters.takeAsync(options).catch(() => undefined);
      if (value === undefined) continue;
      own(pool, value, owner + task);
      await Promise.resolve();
      disown(pool, value, owner + task);
      waiters.release(value);
      round++;
    }
  }));
}

/** What {@link workWhenWoken} blocks on, and where it says how far it has come. */
export interface Job {
  mutex: MutexHandle;
  semaphore: SemaphoreHandle;
  lock: RwLockHandle;
  /** How often it was inside, and whether it has come to its end. */
  words: Int32Array;
}

/** Blocks, one after the other, on a mutex, for a permit, and to write; gives each back. */
export function workWhenWoken({ mutex, semaphore, lock, words }: Job): void {
  {
    using _guard = Mutex.attach(mutex).lock();
    Atomics.add(words, 0, 1);
  }
  {
    using _permit = Semaphore.attach(semaphore).acquire();
    Atomics.add(words, 0, 1);
  }
  {
    using _guard = RwLock.attach(lock).write();
    Atomics.add(words, 0, 1);
  }
  Atomics.store(words, 1, 1);
}

/** What {@link sleepForever} sleeps on. */
export interface Bed {
  mutex: MutexHandle;
  semaphore: SemaphoreHandle;
  lock: RwLockHandle;
  queue: WaiterQueueHandle;
  /** A word for what it takes out of the queue, should it. */
  taken: Int32Array;
  on: "mutex" | "semaphore" | "lock" | "queue";
}

/**
 * Sleeps until it is ended from outside. It awaits: a worker that blocks or computes is not ended
 * before it is done.
 */
export async function sleepForever(bed: Bed): Promise<void> {
  const { mutex, semaphore, lock, queue, taken, on } = bed;
  if (on === "mutex") await Mutex.attach(mutex).lockAsync();
  if (on === "semaphore") await Semaphore.attach(semaphore).acquireAsync();
  if (on === "lock") await RwLock.attach(lock).writeAsync();
  if (on === "queue") {
    const waiters = WaiterQueue.attach(queue).join({ take: () => undefined, put() {} });
    taken[0] = await waiters.takeAsync();
  }
}

/** What {@link step} works with. */
export interface Steps {
  barrier: BarrierHandle;
  finished: LatchHandle;
  /** A plain word for each worker: how many steps it has made. */
  words: Int32Array;
  index: number;
  rounds: number;
}

/**
 * Steps in step with the others, and counts the latch down at the end; returns how often it saw
 * another that had not made the step, or was ahead by more than one.
 */
export function step({ barrier, finished, words, index, rounds }: Steps): number {
  const attached = Barrier.attach(barrier);
  let wrong = 0;
  for (let round = 1; round <= rounds; round++) {
    words[index] = round;
    attached.wait();
    for (const word of words) if (word !== round) wrong++;
    attached.wait(); // nobody begins the next step before all have looked
  }
  Latch.attach(finished).countDown();
  return wrong;
}
