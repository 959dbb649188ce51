/**
 * Any sequence of waits, aborts, releases and departures on the parts of several threads in a pool
 * loses no buffer, gives none to two waits, and forgets no waiter.
 *
 * All parts live in one thread here, so that everything is asynchronous, and the steps fall between
 * any two turns of its queue of tasks. `deno test FILE -- 5000` makes so many runs.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BufferPool } from "../../mod.ts";

const RUNS = Number(Deno.args[0] ?? 60);
const THREADS = 3;
/** After this time a waiter counts as forgotten. */
const MAX_WAIT_MS = 500;

/** One wait for a buffer. */
interface Wait {
  readonly controller: AbortController;
  readonly settled: Promise<void>;
}

class System {
  readonly #first: BufferPool;
  readonly parts: BufferPool[];
  /** Which buffers are in use, and by which part. */
  readonly held: { buffer: number; part: BufferPool }[] = [];
  readonly waits: Wait[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether buffers are released as soon as they arrive. */
  isOver = false;

  constructor(batchCount: number, buffersPerBatch: number) {
    this.#first = BufferPool.create({
      bufferBytes: 8,
      batchCount,
      buffersPerBatch,
      threads: THREADS + 1,
    });
    this.parts = [1, 2, 3].map((thread) => this.#attach(thread));
  }

  #attach(thread: number): BufferPool {
    return BufferPool.attach(this.#first.handle, { thread });
  }

  wait(index: number, timeoutMs: number): void {
    const part = this.parts[index]!;
    const controller = new AbortController();
    const { signal } = controller;
    const settled = part.acquireAsync({ signal, timeoutMs }).then(
      (buffer) => this.#hold(part, buffer),
      (error: Error) => assert(signal.aborted || /has left/.test(error.message), error.message),
    );
    this.waits.push({ controller, settled });
  }

  #hold(part: BufferPool, buffer: number): void {
    // The buffers of a part that was closed were given back.
    if (buffer < 0 || !this.parts.includes(part)) return;
    assert(
      !this.held.some((other) => other.buffer === buffer),
      `buffer ${buffer} was given to two waits`,
    );
    if (!this.isOver) return void this.held.push({ buffer, part });
    part.release(buffer);
    // It may make no further call, while a thread is about to wait for the buffer that it keeps.
    part.returnCached();
  }

  release(any: number): void {
    const [one] = this.held.splice(any % (this.held.length || 1), 1);
    one?.part.release(one.buffer);
  }

  leave(index: number): void {
    const part = this.parts[index]!;
    this.parts[index] = undefined!;
    for (let i = this.held.length; i-- > 0;) {
      if (this.held[i]!.part === part) this.held.splice(i, 1);
    }
    part.close();
    this.parts[index] = this.#attach(index + 1);
  }

  /** Rejects once a waiter must have been forgotten. */
  #rejectLate(): Promise<never> {
    return new Promise((_, reject) => {
      const forget = () => {
        const { waiting } = this.#first.usage();
        for (const { controller } of this.waits) controller.abort();
        reject(new Error(`Threads ${waiting} wait forever`));
      };
      this.#timer = setTimeout(forget, MAX_WAIT_MS);
    });
  }

  /** Releases everything, and fails unless all waits are served then and all buffers are free. */
  async finish(): Promise<void> {
    this.isOver = true;
    while (this.held.length > 0) this.release(0);
    for (const part of this.parts) part.returnCached();
    await Promise.race([Promise.all(this.waits.map(({ settled }) => settled)), this.#rejectLate()]);
    clearTimeout(this.#timer);
    for (const part of this.parts) part.returnCached();
    const { free, inUse, waiting } = this.#first.usage();
    assertEquals({ free, inUse, waiting }, {
      free: this.#first.bufferCount,
      inUse: 0,
      waiting: [],
    });
    for (const part of [...this.parts, this.#first]) part.close();
  }
}

type Step = (system: System) => void | Promise<void>;

const anyPart = fc.nat(THREADS - 1);

/** A step with a name that is shown if a run fails. */
function named(name: string, step: Step): Step {
  return Object.assign(step, { toString: () => name });
}

const wait = anyPart.map((part) => named(`wait(${part})`, (system) => system.wait(part, Infinity)));
const waitBriefly = anyPart.map((part) =>
  named(`waitBriefly(${part})`, (system) => system.wait(part, 1))
);
const abort = fc.nat(100).map((any) =>
  named(`abort(${any})`, ({ waits }) => waits[any % (waits.length || 1)]?.controller.abort())
);
const release = fc.nat(100).map((any) => named(`release(${any})`, (system) => system.release(any)));
const returnCached = anyPart.map((part) =>
  named(`returnCached(${part})`, (system) => system.parts[part]!.returnCached())
);
const leave = anyPart.map((part) => named(`leave(${part})`, (system) => system.leave(part)));
const turns = fc.nat(8).map((count) =>
  named(`turns(${count})`, async () => {
    for (let i = 0; i < count; i++) await undefined;
  })
);
const later = fc.constant(
  named("later", () => new Promise<void>((resolve) => setTimeout(resolve))),
);

const anyStep = fc.oneof(
  { weight: 6, arbitrary: wait },
  { weight: 1, arbitrary: waitBriefly },
  { weight: 3, arbitrary: abort },
  { weight: 5, arbitrary: release },
  { weight: 1, arbitrary: returnCached },
  { weight: 1, arbitrary: leave },
  { weight: 4, arbitrary: turns },
  { weight: 2, arbitrary: later },
);

Deno.test("buffer pool: waits, aborts and departures lose no buffer and forget no waiter", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 2 }),
      fc.array(anyStep, { maxLength: 60, size: "max" }),
      async (batchCount, buffersPerBatch, steps) => {
        const system = new System(batchCount, buffersPerBatch);
        for (const step of steps) await step(system);
        await system.finish();
      },
    ),
    { numRuns: RUNS },
  );
});
