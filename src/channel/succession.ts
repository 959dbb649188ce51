/**
 * Tasks of one thread that do something one after the other, in the order in which they began.
 *
 * @module
 */

import { deferred } from "../memory/platform.ts";
import { type AsyncWaitOptions, Deadline } from "../memory/wait_options.ts";

/** Lets tasks of one thread come one after the other. */
export class Succession {
  #last: Promise<void> | undefined;
  #count = 0;

  /** Whether a task has not ended. */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /**
   * Runs a task once those before it have ended.
   *
   * @param options When to give up before that.
   * @param task Called with the options that are left.
   * @param empty What to return if the time was over before.
   * @returns What the task returns, or `empty`.
   * @throws The signal's reason, if it was aborted before.
   */
  async run<Result>(
    options: AsyncWaitOptions | undefined,
    empty: Result,
    task: (options: AsyncWaitOptions) => Promise<Result>,
  ): Promise<Result> {
    const deadline = new Deadline(options);
    const previous = this.#last;
    const { promise, resolve } = deferred();
    this.#last = promise;
    this.#count++;
    try {
      if (previous !== undefined && !await isOver(previous, deadline, options?.signal)) {
        return empty;
      }
      return await task({ signal: options?.signal, timeoutMs: deadline.remainingMs });
    } finally {
      this.#count--;
      // A task that has given up does not let those after it overtake those before it.
      if (previous === undefined) resolve();
      else previous.then(resolve);
    }
  }
}

/** Waits for the tasks before; false if the time is over. */
async function isOver(
  previous: Promise<void>,
  deadline: Deadline,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { promise: stopped, resolve: stop } = deferred();
  const onAbort = () => stop();
  signal?.addEventListener("abort", onAbort);
  const { remainingMs } = deadline;
  const timer = remainingMs === Infinity ? undefined : setTimeout(onAbort, remainingMs);
  let isDone = false;
  try {
    await Promise.race([previous.then(() => isDone = true), stopped]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    clearTimeout(timer);
  }
  signal?.throwIfAborted();
  return isDone;
}
