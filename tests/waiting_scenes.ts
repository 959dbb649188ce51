/**
 * Every call of the library that waits, each in a scene in which it has to.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Broadcast,
  BufferPool,
  createWriter,
  EventCount,
  FlushQueue,
  FrameDecoder,
  Framer,
  lengthPrefixed,
  Mutex,
  Parker,
  Reassembler,
  RwLock,
  Semaphore,
  WaiterQueue,
  type WaitOptions,
  type Writer,
} from "@busbar/busbar";

/** A thing that a thread would have to wait for. */
export interface Scene {
  /** The calls that block for ever. */
  readonly blocking: Record<string, () => unknown>;
  /** The calls that block for a time. */
  readonly timed: Record<string, (timeoutMs?: number) => unknown>;
  /** The calls that await, by the time and the signal that they take. */
  readonly awaiting: Record<string, (options: WaitOptions) => Promise<unknown>>;
  /** Makes what is waited for come true. */
  readonly provide: () => void;
  /** Checks that everything is as if nobody had waited, before that comes true. */
  readonly checkUnchanged: () => void;
}

const bytes = new Uint8Array(8);
/** A key of an event count that was notified since. */
const NOTIFIED = 0;

function isDefault(options: WaitOptions | null): boolean {
  return options !== null && Object.keys(options).length === 0;
}

function emptyPool() {
  const pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
  return { pool, busy: pool.acquire() };
}

function writing(make: (pool: BufferPool) => Writer): Scene {
  const { pool, busy } = emptyPool();
  const writer = make(pool);
  return {
    blocking: {
      reserve: () => writer.claim(8),
      send: () => writer.append(bytes),
      message: () => writer.claimMessage(8),
    },
    timed: {
      reserve: (timeoutMs) => writer.claim(8, timeoutMs),
      send: (timeoutMs) => writer.append(bytes, timeoutMs),
    },
    awaiting: {
      claimAsync: (options) => writer.claimAsync(8, options),
      sendAsync: (options) => writer.appendAsync(bytes, options),
      claimMessageAsync: (options) => writer.claimMessageAsync(8, options),
    },
    provide: () => pool.release(busy),
    checkUnchanged: () => assertEquals([writer.openCount, writer.tryClaim(8)], [0, -1]),
  };
}

/** The scenes, each made anew. */
export const scenes: Record<string, () => Scene> = {
  Mutex() {
    const mutex = Mutex.create();
    const guard = Mutex.attach(mutex.handle).lock();
    return {
      blocking: { lock: () => mutex.lock() },
      timed: { tryLock: (timeoutMs) => mutex.lock({ timeoutMs: timeoutMs }) },
      awaiting: { tryLockAsync: (options) => mutex.lockAsync(options) },
      provide: () => guard.release(),
      checkUnchanged: () => assertEquals(mutex.tryLock(), undefined),
    };
  },
  "RwLock, reading"() {
    const lock = RwLock.create();
    const guard = RwLock.attach(lock.handle).write();
    return {
      blocking: { read: () => lock.read() },
      timed: { tryRead: (timeoutMs) => lock.read({ timeoutMs: timeoutMs }) },
      awaiting: { tryReadAsync: (options) => lock.readAsync(options) },
      provide: () => guard.release(),
      checkUnchanged: () => assertEquals([lock.readers, lock.isWriting], [0, true]),
    };
  },
  "RwLock, writing"() {
    const lock = RwLock.create();
    const third = RwLock.attach(lock.handle);
    const guard = RwLock.attach(lock.handle).read();
    return {
      blocking: { write: () => lock.write() },
      timed: { tryWrite: (timeoutMs) => lock.write({ timeoutMs: timeoutMs }) },
      awaiting: { tryWriteAsync: (options) => lock.writeAsync(options) },
      provide: () => guard.release(),
      // No mark of a writer keeps readers out.
      checkUnchanged: () => third.tryRead()!.release(),
    };
  },
  Semaphore() {
    const semaphore = Semaphore.create({ permits: 1 });
    return {
      blocking: { acquire: () => semaphore.acquire(2) },
      timed: { tryAcquire: (timeoutMs) => semaphore.acquire(2, { timeoutMs: timeoutMs }) },
      awaiting: { tryAcquireAsync: (options) => semaphore.acquireAsync(2, options) },
      provide: () => semaphore.release(),
      checkUnchanged: () => assertEquals([semaphore.permits, semaphore.waiters], [1, 0]),
    };
  },
  Parker() {
    const parker = Parker.create();
    return {
      blocking: { park: () => parker.park() },
      timed: { park: (timeoutMs) => parker.park({ timeoutMs: timeoutMs }) },
      awaiting: { parkAsync: (options) => parker.parkAsync(options) },
      provide: () => parker.unpark(),
      checkUnchanged: () => assertEquals(parker.park({ timeoutMs: 0 }), false),
    };
  },
  EventCount() {
    const count = EventCount.create();
    const word = new Int32Array(new SharedArrayBuffer(4));
    const holds = () => Atomics.load(word, 0) === 1;
    return {
      blocking: {
        until: () => count.until(holds),
        wait: () => count.wait(count.prepare()),
      },
      timed: {
        until: (timeoutMs) => count.until(holds, timeoutMs),
        wait: (timeoutMs) => count.wait(count.prepare(), timeoutMs),
      },
      awaiting: {
        untilAsync: (options) => count.untilAsync(holds, options),
        waitAsync: (options) =>
          count.waitAsync(holds() && isDefault(options) ? NOTIFIED : count.prepare(), options),
      },
      provide() {
        Atomics.store(word, 0, 1);
        count.notify();
      },
      checkUnchanged: () => assertEquals(count.until(holds, 0), false),
    };
  },
  WaiterQueue() {
    const queue = WaiterQueue.create();
    const free: number[] = [];
    const store = { take: () => free.pop(), put: (value: number) => void free.push(value) };
    const [waiters, others] = [queue.join(store), queue.join(store)];
    return {
      blocking: { take: () => waiters.take() },
      timed: { tryTake: (timeoutMs) => waiters.take({ timeoutMs: timeoutMs }) },
      awaiting: { tryTakeAsync: (options) => waiters.takeAsync(options) },
      provide: () => others.release(3),
      checkUnchanged: () => assertEquals([queue.waiting, waiters.waiting], [0, 0]),
    };
  },
  BufferPool() {
    const { pool, busy } = emptyPool();
    return {
      blocking: { acquire: () => pool.acquire() },
      timed: { acquire: (timeoutMs) => pool.acquire(timeoutMs) },
      awaiting: { acquireAsync: (options) => pool.acquireAsync(options) },
      provide: () => pool.release(busy),
      checkUnchanged: () => assertEquals([pool.usage().waiting, pool.usage().inUse], [[], 1]),
    };
  },
  "a local writer": () => writing((pool) => FlushQueue.create({ pool }).writer()),
  "a shared writer": () =>
    writing((pool) => FlushQueue.create({ pool }).writer({ isShared: true })),
  "a writer without a queue": () => writing(createWriter),
  WriteFlusher() {
    const pool = BufferPool.create({ bufferBytes: 8, batchCount: 2 });
    const queue = FlushQueue.create({ pool });
    const [writer, flusher] = [queue.writer(), queue.flusher()];
    const visit = () => {};
    return {
      blocking: { wait: () => flusher.wait(), flush: () => flusher.drain(visit) },
      timed: {
        wait: (timeoutMs) => flusher.wait(timeoutMs),
        flush: (timeoutMs) => flusher.drain(visit, timeoutMs),
      },
      awaiting: {
        waitAsync: (options) => flusher.waitAsync(options),
        drainAsync: (options) => flusher.drainAsync(visit, options),
      },
      provide() {
        writer.append(bytes);
        writer.publish();
      },
      checkUnchanged: () => assertEquals(flusher.poll(), false),
    };
  },
  Framer() {
    const { pool, busy } = emptyPool();
    const framer = new Framer(pool);
    return {
      blocking: { nextBuffer: () => framer.nextBuffer() },
      timed: { nextBuffer: (timeoutMs) => framer.nextBuffer(timeoutMs) },
      awaiting: { nextBufferAsync: (options) => framer.nextBufferAsync(options) },
      provide: () => pool.release(busy),
      checkUnchanged: () => assertEquals(framer.tryNextBuffer(), false),
    };
  },
  FrameDecoder() {
    const pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
    const decoder = new FrameDecoder(pool, lengthPrefixed({ prefixBytes: 1 }));
    decoder.nextBuffer();
    decoder.stage(new Uint8Array([2, 1, 1, 5, 9, 9, 9, 9]));
    assert(decoder.next());
    const packet = decoder.packet();
    return {
      blocking: { nextBuffer: () => decoder.nextBuffer() },
      timed: { nextBuffer: (timeoutMs) => decoder.nextBuffer(timeoutMs) },
      awaiting: {
        async nextBufferAsync(options) {
          if (!await decoder.nextBufferAsync(options)) return;
          // What had come of the frame before is not lost.
          decoder.stage(new Uint8Array([9]));
          assert(decoder.next());
          assertEquals(decoder.frameLength, 5);
        },
      },
      provide: () => packet.release(),
      checkUnchanged: () => assertEquals([decoder.next(), decoder.remaining], [false, 0]),
    };
  },
  BroadcastReader() {
    const ring = Broadcast.create({ capacityBytes: 64 });
    const reader = ring.reader();
    return {
      blocking: { wait: () => reader.wait() },
      timed: { wait: (timeoutMs) => reader.wait(timeoutMs) },
      awaiting: { waitAsync: (options) => reader.waitAsync(options) },
      provide: () => ring.writer().send(bytes),
      checkUnchanged: () => assertEquals(reader.poll(), false),
    };
  },
  Reassembler() {
    const ring = Broadcast.create({ capacityBytes: 64 });
    const messages = new Reassembler(ring.reader());
    return {
      blocking: { wait: () => messages.wait() },
      timed: { wait: (timeoutMs) => messages.wait(timeoutMs) },
      awaiting: { waitAsync: (options) => messages.waitAsync(options) },
      provide: () => ring.writer().send(bytes),
      checkUnchanged: () => assertEquals(messages.poll(), false),
    };
  },
};
