/**
 * Random programs of locks and semaphores under random schedules: threads enter by each way in
 * turn, some of them while they wait in another. No thread is forgotten, and a writer is alone.
 *
 * More of them: `deno test tests/sync/locks_random_model_test.ts -- 5000`.
 *
 * @module
 */

import {
  type AsyncWaitOptions,
  type Guard,
  Mutex,
  RwLock,
  Semaphore,
  type WaitOptions,
} from "@busbar/busbar";
import fc from "fast-check";
import { passesAtRandom } from "../verdicts.ts";
import { sharedWords } from "./models.ts";

const RUNS = Number(Deno.args[0] ?? 60);

/** The three ways into a lock. */
interface Doors {
  enter(options?: WaitOptions): Guard | undefined;
  tryEnter(): Guard | undefined;
  enterAsync(options?: AsyncWaitOptions): Promise<Guard | undefined>;
}

/** Enters, does `work` inside if it came in, and leaves. */
type Way = (doors: Doors, work: () => void) => void | Promise<void>;

function leave(guard: Guard | undefined, work: () => void): void {
  if (guard === undefined) return;
  work();
  guard.release();
}

/** Is aborted after so many ticks. */
const aborted = (ticks: number): Way => async (doors, work) => {
  const controller = new AbortController();
  const abort = async () => {
    for (let i = 0; i < ticks; i++) await undefined;
    controller.abort("enough");
  };
  abort();
  try {
    leave(await doors.enterAsync(controller), work);
  } catch (reason) {
    if (reason !== "enough") throw reason;
  }
};

/** Ways in which a thread holds one guard at a time. */
const SINGLE: Way[] = [
  (doors, work) => leave(doors.enter(), work),
  (doors, work) => leave(doors.tryEnter(), work),
  (doors, work) => leave(doors.enter({ timeoutMs: 5 }), work),
  async (doors, work) => leave(await doors.enterAsync(), work),
  aborted(0),
  aborted(3),
  async (doors, work) => leave(await doors.enterAsync({ timeoutMs: 4 }), work),
];

/** Ways in which it waits twice at once. */
const DOUBLE: Way[] = [
  async (doors, work) => {
    const later = doors.enterAsync();
    try {
      leave(doors.enter({ timeoutMs: 3 }), work);
    } catch (error) {
      if (!(error as Error).message.includes("wait for itself")) throw error;
    }
    leave(await later, work);
  },
  async (doors, work) => {
    const [brief, later] = [doors.enterAsync({ timeoutMs: 2 }), doors.enterAsync()];
    leave(await brief, work);
    leave(await later, work);
  },
];

/** What a thread does: by which door it enters, and in which way. */
type Step = { door: number; way: Way };

/** Fails if some program has a schedule in which a thread is forgotten, or two race. */
async function holds<Handle>(
  ways: Way[],
  doors: number,
  create: () => Handle,
  attach: (handle: Handle) => { doors: Doors; work: (data: Int32Array) => void }[],
): Promise<void> {
  const step = fc.record({
    door: fc.nat(doors - 1),
    way: fc.nat(ways.length - 1).map((i) => ways[i]!),
  });
  const programs = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), {
    minLength: 2,
    maxLength: 3,
  });
  const body = (steps: Step[]) => async (state: { handle: Handle; data: Int32Array }) => {
    const entrances = attach(state.handle);
    for (const { door, way } of steps) {
      const { doors, work } = entrances[door]!;
      await way(doors, () => work(state.data));
    }
  };
  await fc.assert(
    fc.asyncProperty(programs, fc.integer(), async (threads, seed) => {
      await passesAtRandom({
        setup: () => ({ handle: create(), data: sharedWords(1) }),
        threads: Object.fromEntries(threads.map((steps, i) => ["abc"[i]!, body(steps)])),
      }, seed);
    }),
    { numRuns: RUNS },
  );
}

const write = (data: Int32Array) => void data[0]!++;
const read = (data: Int32Array) => void data[0];
const touchNothing = () => {};

Deno.test("mutex: random programs under random schedules forget no thread, and never race", async () => {
  await holds([...SINGLE, ...DOUBLE], 1, () => Mutex.create().handle, (handle) => {
    const mutex = Mutex.attach(handle);
    const doors: Doors = {
      enter: (options) => mutex.lock(options),
      tryEnter: () => mutex.tryLock(),
      enterAsync: (options) => mutex.lockAsync(options),
    };
    return [{ doors, work: write }];
  });
});

Deno.test("rw lock: random programs under random schedules forget no thread, and never race", async () => {
  await holds([...SINGLE, ...DOUBLE], 2, () => RwLock.create().handle, (handle) => {
    const lock = RwLock.attach(handle);
    const reading: Doors = {
      enter: (options) => lock.read(options),
      tryEnter: () => lock.tryRead(),
      enterAsync: (options) => lock.readAsync(options),
    };
    const writing: Doors = {
      enter: (options) => lock.write(options),
      tryEnter: () => lock.tryWrite(),
      enterAsync: (options) => lock.writeAsync(options),
    };
    return [{ doors: reading, work: read }, { doors: writing, work: write }];
  });
});

Deno.test("semaphore: random programs under random schedules forget no thread", async () => {
  // Two threads that hold permits while they wait for more may wait for each other.
  await holds(SINGLE, 3, () => Semaphore.create({ permits: 3 }).handle, (handle) => {
    const semaphore = Semaphore.attach(handle);
    return [1, 2, 3].map((count) => {
      const doors: Doors = {
        enter: (options) => semaphore.acquire(count, options),
        tryEnter: () => semaphore.tryAcquire(count),
        enterAsync: (options) => semaphore.acquireAsync(count, options),
      };
      return { doors, work: touchNothing };
    });
  });
});
