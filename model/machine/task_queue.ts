/**
 * The tasks that a thread has queued, other than microtasks: of `process.nextTick` and
 * `setImmediate`.
 *
 * @module
 */

/** A task. */
export type Task = () => void;

/** The queued tasks of one thread. */
export class TaskQueue {
  #ticks: Task[] = [];
  #immediates: Task[] = [];

  /** Queues a task of `process.nextTick`. */
  addTick(task: Task): void {
    this.#ticks.push(task);
  }

  /** Queues a task of `setImmediate`. */
  addImmediate(task: Task): void {
    this.#immediates.push(task);
  }

  /** Removes a task of `setImmediate`; a no-op if it has begun. */
  cancel(task: Task): void {
    this.#immediates = this.#immediates.filter((other) => other !== task);
  }

  /** Takes the next task of `process.nextTick`. */
  nextTick(): Task | undefined {
    return this.#ticks.shift();
  }

  /** Takes the next task: one of `setImmediate` only if there is no other. */
  next(): Task | undefined {
    return this.#ticks.shift() ?? this.#immediates.shift();
  }

  /** Removes all tasks. */
  clear(): void {
    if (this.#ticks.length > 0) this.#ticks = [];
    if (this.#immediates.length > 0) this.#immediates = [];
  }
}
