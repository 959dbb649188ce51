/**
 * The workers of a stream, as the main thread sees them.
 *
 * @module
 */

import type { Broadcast } from "../../broadcast/broadcast.ts";
import { CommandError } from "../command.ts";
import type { FollowReport } from "./follow.ts";
import type { TaskName } from "./tasks.ts";
import type { News, Order } from "./worker.ts";

/** The module that a worker runs. */
export const WORKER_URL: URL = new URL("./worker.ts", import.meta.url);

/** Workers that follow one ring, each with a task of its own. */
export class Team implements Disposable {
  readonly #members: Member[];

  /**
   * Starts a worker for each task.
   *
   * @param control The control block; see `pace.ts`.
   * @param url The module that they run.
   */
  constructor(
    tasks: readonly TaskName[],
    broadcast: Broadcast,
    control: Int32Array,
    url: URL = WORKER_URL,
  ) {
    this.#members = tasks.map((task, worker) =>
      new Member({ task, broadcast: broadcast.handle, control, worker }, url)
    );
  }

  /**
   * Resolves once every worker follows the ring.
   *
   * @throws {CommandError} If one fails before.
   */
  async ready(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.ready));
  }

  /**
   * Resolves once every worker has reported, in the order of the tasks.
   *
   * @throws {CommandError} If one fails.
   */
  reports(): Promise<FollowReport[]> {
    return Promise.all(this.#members.map((member) => member.report));
  }

  /** Ends the workers. One that sleeps must have been woken before. */
  [Symbol.dispose](): void {
    for (const member of this.#members) member.terminate();
  }
}

/** One worker. */
class Member {
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<void>();
  readonly #report = Promise.withResolvers<FollowReport>();

  constructor(order: Order, url: URL) {
    // A failure is told to whoever asks, and is nobody's surprise if none does.
    this.#ready.promise.catch(() => {});
    this.#report.promise.catch(() => {});
    this.#worker = new Worker(url, { type: "module", name: order.task });
    this.#worker.onmessage = ({ data }: MessageEvent<News>) => {
      if (data.kind === "ready") this.#ready.resolve();
      else if (data.kind === "report") this.#report.resolve(data.report);
      else this.#fail(order.task, data.message);
    };
    this.#worker.onerror = (event) => {
      // Otherwise it would end this process.
      event.preventDefault();
      this.#fail(order.task, event.message);
    };
    this.#worker.postMessage(order);
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get report(): Promise<FollowReport> {
    return this.#report.promise;
  }

  terminate(): void {
    this.#worker.terminate();
  }

  #fail(task: TaskName, message: string): void {
    const error = new CommandError(`The ${task} worker failed: ${message}`);
    this.#ready.reject(error);
    this.#report.reject(error);
  }
}
