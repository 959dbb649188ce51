/**
 * A writer and its flusher over a real pool, under every schedule that matters: buffers that the
 * flusher gives back come to the writer that waits for them, whatever the pool keeps in private.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  BufferPool,
  type BufferPoolHandle,
  FlushQueue,
  type FlushQueueHandle,
  type Writer,
  type WriterHandle,
} from "@busbar/busbar";
import { fails, passes } from "../verdicts.ts";

interface State {
  pool: BufferPoolHandle;
  queue: FlushQueueHandle;
}

const MESSAGES = 2;

/** A pool of so many buffers of 16 bytes, and a queue. */
function make(buffers: number): () => State {
  return () => {
    using pool = BufferPool.create({
      bufferBytes: 16,
      batchCount: buffers,
      buffersPerBatch: 1,
      threads: 2,
      tickets: 1,
    });
    const queue = FlushQueue.create({ pool, writers: 1, messagesPerBuffer: 4 });
    return { pool: pool.handle, queue: queue.handle };
  };
}

function open({ pool, queue }: State): FlushQueue {
  return FlushQueue.attach(queue, BufferPool.attach(pool));
}

/** Writes a message that needs a buffer, and flushes it. */
function write(writer: Writer, value: number): void {
  const offset = writer.claim(12);
  for (let i = 0; i < 8; i++) writer.bytes[offset + i] = value;
  writer.commit(offset, 8);
  writer.publish();
}

/** Writes all messages. */
function writer(state: State): void {
  const writer = open(state).writer();
  for (let value = 1; value <= MESSAGES; value++) write(writer, value);
}

/** Takes all messages, asleep while there are none. */
function flusher(state: State): number[] {
  return flushAll(open(state));
}

function flushAll(queue: FlushQueue): number[] {
  const flusher = queue.flusher();
  const seen: number[] = [];
  while (seen.length < MESSAGES) {
    flusher.wait();
    while (flusher.next()) {
      for (let i = 0; i < 8; i++) {
        assertEquals(flusher.bytes[flusher.offset + i], seen.length + 1);
      }
      seen.push(flusher.bytes[flusher.offset]!);
    }
  }
  return seen;
}

interface Shared extends State {
  shared: WriterHandle;
  ready: Int32Array;
}

/**
 * Two threads that share a writer; one keeps all free buffers, and the other may need one first.
 */
function sharing(attachKeeper: (handle: BufferPoolHandle) => BufferPool) {
  const reserve = (handles: Shared, pool: BufferPool): void => {
    FlushQueue.attach(handles.queue, pool).attachWriter(handles.shared).claim(4);
  };
  return {
    setup(): Shared {
      using pool = BufferPool.create({
        bufferBytes: 16,
        batchCount: 1,
        buffersPerBatch: 2,
        threads: 3,
      });
      const queue = FlushQueue.create({ pool, writers: 1, messagesPerBuffer: 4 });
      using writer = queue.writer({ shared: true });
      return {
        pool: pool.handle,
        queue: queue.handle,
        shared: writer.handle,
        ready: new Int32Array(new SharedArrayBuffer(4)),
      };
    },
    threads: {
      keeper(handles: Shared) {
        const pool = attachKeeper(handles.pool);
        pool.release(pool.tryAcquire()); // keeps both
        Atomics.store(handles.ready, 0, 1);
        Atomics.notify(handles.ready, 0);
        reserve(handles, pool);
      },
      other(handles: Shared) {
        const pool = BufferPool.attach(handles.pool, { thread: 1 });
        while (Atomics.load(handles.ready, 0) === 0) Atomics.wait(handles.ready, 0, 0);
        reserve(handles, pool);
      },
    },
    strategy: "all",
    preemptions: 2,
  } as const;
}

Deno.test("over a pool: a thread that waits for another to switch returns its cached buffers, in up to two preemptions", async () => {
  await passes(sharing((handle) => BufferPool.attach(handle, { thread: 0 })));
});

Deno.test("over a pool: buffers go from the writer to the flusher and back", async () => {
  await passes({ setup: make(2), threads: { writer, flusher } });
});

Deno.test("over a pool: a writer that waits for the only buffer gets it from the flusher", async () => {
  await passes({
    setup() {
      const state = make(1)();
      const pool = BufferPool.attach(state.pool);
      const queue = FlushQueue.attach(state.queue, pool);
      const writer = queue.writer();
      write(writer, 1);
      writer[Symbol.dispose]();
      // The message is on its way, and its buffer with it.
      pool[Symbol.dispose]();
      return state;
    },
    threads: {
      writer: (state: State) => write(open(state).writer(), 2),
      flusher,
    },
  });
});

Deno.test("over a pool: a writer that waits for the only buffer gets it from the flusher, twice", async () => {
  // Too many schedules for all: these interrupt threads that could go on at most twice.
  const report = await passes({
    setup: make(1),
    threads: { writer, flusher },
    strategy: "all",
    preemptions: 2,
  });
  assert(report.reason?.includes("more than 2 preemptions"));
});

/** A pool whose buffers that this thread keeps stay with it. */
function withoutReturns(pool: BufferPool): BufferPool {
  return Object.defineProperty(pool, "returnCached", { value: () => {} });
}

Deno.test("broken twin: a flusher that sleeps while it keeps buffers cached leaves the writer asleep", async () => {
  await fails("deadlock", {
    setup: make(1),
    threads: {
      writer,
      flusher({ pool, queue }: State) {
        return flushAll(FlushQueue.attach(queue, withoutReturns(BufferPool.attach(pool))));
      },
    },
  });
});

Deno.test("broken twin: a thread that waits for another to switch, and keeps the buffer that it needs, waits forever", async () => {
  await fails(
    "deadlock",
    sharing((handle) => withoutReturns(BufferPool.attach(handle, { thread: 0 }))),
  );
});
