/**
 * What replaces the functions that queue tasks, while a machine runs: the tasks of a simulated
 * thread belong to it, and to the run of its body that queued them.
 *
 * @module
 */

import type { Task } from "../machine/task_queue.ts";
import { calls, whileThreadRuns } from "./current_calls.ts";
import { replace } from "./replacements.ts";

type Queue = (task: unknown, ...args: unknown[]) => unknown;

/** What `setImmediate` returns. */
class Immediate {
  readonly task: Task;

  constructor(task: Task) {
    this.task = task;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.dispose](): void {
    calls?.cancelTask(this.task);
  }
}

/** A function that queues a task of the running thread; the native one refuses what is none. */
function queueing(queue: (task: Task, native: Queue) => unknown) {
  return (native: Queue): Queue =>
    whileThreadRuns(
      native,
      (task, ...args) =>
        typeof task === "function" ? queue(() => task(...args), native) : native(task),
    );
}

const { process } = globalThis as { process?: object };

replace(
  globalThis,
  "queueMicrotask",
  queueing((task, native) => calls!.addMicrotask(task, native)),
);
replace(process, "nextTick", queueing((task, native) => calls!.addTick(task, native)));
replace(
  globalThis,
  "setImmediate",
  queueing((task) => {
    calls!.addImmediate(task);
    return new Immediate(task);
  }),
);
replace(
  globalThis,
  "clearImmediate",
  (native: (immediate: unknown) => void) => (immediate: unknown) =>
    immediate instanceof Immediate ? immediate[Symbol.dispose]() : native(immediate),
);
