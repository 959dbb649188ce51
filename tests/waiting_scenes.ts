/**
 * Every call of the library that waits, each in a scene in which it has to.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type AsyncWaitOptions,
  Barrier,
  Broadcast,
  BufferPool,
  Domain,
  EventCount,
  FlushQueue,
  FrameDecoder,
  Framer,
  Latch,
  lengthPrefixed,
  Mutex,
  PacketWriter,
  Parker,
  Reassembler,
  RwLock,
  Semaphore,
  WaiterQueue,
  type WaitOptions,
  type Writer,
} from "@busbar/busbar";

/** One thing that can be waited for, in its three forms. */
export interface Call {
  /** Blocks. */
  readonly block: (options?: WaitOptions) => unknown;
  /** Never waits, where there is such a form. */
  readonly attempt?: () => unknown;
  /** Awaits. */
  readonly awaits: (options?: AsyncWaitOptions) => Promise<unknown>;
  /** The result of a wait whose time is over, and of an attempt that fails. */
  readonly empty: undefined | -1 | false | 0;
}

/** A thing that a thread would have to wait for. */
export interface Scene {
  /** The calls that wait for it, by name. */
  readonly calls: Record<string, Call>;
  /** Provides what is waited for. */
  readonly provide: () => void;
  /** Checks that everything is as if no thread had waited, before that is provided. */
  readonly checkUnchanged: () => void;
}

const bytes = new Uint8Array(8);
/** A key of an event count that was notified since. */
const NOTIFIED = 0;

function isDefault(options: WaitOptions | null | undefined): boolean {
  return options !== null && Object.keys(options ?? {}).length === 0;
}

function emptyPool() {
  const pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
  return { pool, busy: pool.acquire() };
}

function writing(make: (pool: BufferPool) => Writer): Scene {
  const { pool, busy } = emptyPool();
  const writer = make(pool);
  return {
    calls: {
      claim: {
        block: (options) => writer.claim(8, options),
        attempt: () => writer.tryClaim(8),
        awaits: (options) => writer.claimAsync(8, options),
        empty: -1,
      },
      append: {
        block: (options) => writer.append(bytes, options),
        attempt: () => writer.tryAppend(bytes),
        awaits: (options) => writer.appendAsync(bytes, options),
        empty: false,
      },
      send: {
        block: (options) => writer.send(bytes, options),
        attempt: () => writer.trySend(bytes),
        awaits: (options) => writer.sendAsync(bytes, options),
        empty: false,
      },
      claimMessage: {
        block: (options) => writer.claimMessage(8, options),
        attempt: () => writer.tryClaimMessage(8),
        awaits: (options) => writer.claimMessageAsync(8, options),
        empty: undefined,
      },
    },
    provide: () => pool.release(busy),
    checkUnchanged: () => assertEquals([writer.openCount, writer.tryClaim(8)], [0, -1]),
  };
}

/** The scenes, each made on demand. */
export const scenes: Record<string, () => Scene> = {
  Mutex() {
    const mutex = Mutex.create();
    const guard = Mutex.attach(mutex.handle).lock();
    return {
      calls: {
        lock: {
          block: (options) => mutex.lock(options),
          attempt: () => mutex.tryLock(),
          awaits: (options) => mutex.lockAsync(options),
          empty: undefined,
        },
      },
      provide: () => guard.release(),
      checkUnchanged: () => assertEquals(mutex.tryLock(), undefined),
    };
  },
  "RwLock, reading"() {
    const lock = RwLock.create();
    const guard = RwLock.attach(lock.handle).write();
    return {
      calls: {
        read: {
          block: (options) => lock.read(options),
          attempt: () => lock.tryRead(),
          awaits: (options) => lock.readAsync(options),
          empty: undefined,
        },
      },
      provide: () => guard.release(),
      checkUnchanged: () => assertEquals([lock.readers, lock.isWriting], [0, true]),
    };
  },
  "RwLock, writing"() {
    const lock = RwLock.create();
    const third = RwLock.attach(lock.handle);
    const guard = RwLock.attach(lock.handle).read();
    return {
      calls: {
        write: {
          block: (options) => lock.write(options),
          attempt: () => lock.tryWrite(),
          awaits: (options) => lock.writeAsync(options),
          empty: undefined,
        },
      },
      provide: () => guard.release(),
      // No mark of a writer keeps readers out.
      checkUnchanged: () => third.tryRead()!.release(),
    };
  },
  Semaphore() {
    const semaphore = Semaphore.create({ permits: 1 });
    return {
      calls: {
        acquire: {
          block: (options) => semaphore.acquire(2, options),
          attempt: () => semaphore.tryAcquire(2),
          awaits: (options) => semaphore.acquireAsync(2, options),
          empty: undefined,
        },
      },
      provide: () => semaphore.release(),
      checkUnchanged: () => assertEquals([semaphore.permits, semaphore.waiters], [1, 0]),
    };
  },
  Latch() {
    const latch = Latch.create({ count: 2 });
    return {
      calls: {
        wait: {
          block: (options) => latch.wait(options),
          attempt: () => latch.tryWait(),
          awaits: (options) => latch.waitAsync(options),
          empty: false,
        },
      },
      provide: () => void latch.countDown(2),
      checkUnchanged: () => assertEquals(latch.count, 2),
    };
  },
  Barrier() {
    const barrier = Barrier.create({ parties: 2 });
    return {
      calls: {
        wait: {
          block: (options) => barrier.wait(options),
          attempt: () => barrier.tryWait(),
          awaits: (options) => barrier.waitAsync(options),
          empty: -1,
        },
      },
      provide: () => barrier.leave(),
      checkUnchanged: () => assertEquals([barrier.arrived, barrier.parties], [0, 2]),
    };
  },
  "Waiter of a domain"() {
    const domain = Domain.create({ slots: 1, dataBytes: 1024 });
    const slot = domain.slot("s", { messageBytes: 8 });
    const waiter = domain.waiter();
    waiter.subscribe(slot);
    return {
      calls: {
        wait: {
          block: (options) => waiter.wait(options),
          attempt: () => waiter.tryWait(),
          awaits: (options) => waiter.waitAsync(options),
          empty: undefined,
        },
      },
      provide: () => void slot.writer().send(bytes),
      checkUnchanged() {
        const [inspected] = domain.inspect().slots;
        assertEquals(inspected!.subscribers.map(({ isWaiting }) => isWaiting), [false]);
      },
    };
  },
  Parker() {
    const parker = Parker.create();
    return {
      calls: {
        park: {
          block: (options) => parker.park(options),
          attempt: () => parker.tryPark(),
          awaits: (options) => parker.parkAsync(options),
          empty: false,
        },
      },
      provide: () => parker.unpark(),
      checkUnchanged: () => assertEquals(parker.park({ timeoutMs: 0 }), false),
    };
  },
  EventCount() {
    const count = EventCount.create();
    const word = new Int32Array(new SharedArrayBuffer(4));
    const holds = () => Atomics.load(word, 0) === 1;
    return {
      calls: {
        until: {
          block: (options) => count.until(holds, options),
          awaits: (options) => count.untilAsync(holds, options),
          empty: false,
        },
        wait: {
          block: (options) => count.wait(count.prepare(), options),
          awaits: (options) =>
            count.waitAsync(holds() && isDefault(options) ? NOTIFIED : count.prepare(), options),
          empty: false,
        },
      },
      provide() {
        Atomics.store(word, 0, 1);
        count.notify();
      },
      checkUnchanged: () => assertEquals(count.until(holds, { timeoutMs: 0 }), false),
    };
  },
  WaiterQueue() {
    const queue = WaiterQueue.create();
    const free: number[] = [];
    const store = { take: () => free.pop(), put: (value: number) => void free.push(value) };
    const [waiters, others] = [queue.join(store), queue.join(store)];
    return {
      calls: {
        take: {
          block: (options) => waiters.take(options),
          attempt: () => waiters.tryTake(),
          awaits: (options) => waiters.takeAsync(options),
          empty: undefined,
        },
      },
      provide: () => others.release(3),
      checkUnchanged: () => assertEquals([queue.waiting, waiters.waiting], [0, 0]),
    };
  },
  BufferPool() {
    const { pool, busy } = emptyPool();
    return {
      calls: {
        acquire: {
          block: (options) => pool.acquire(options),
          attempt: () => pool.tryAcquire(),
          awaits: (options) => pool.acquireAsync(options),
          empty: -1,
        },
      },
      provide: () => pool.release(busy),
      checkUnchanged: () => assertEquals([pool.usage().waiting, pool.usage().inUse], [[], 1]),
    };
  },
  "a local writer": () => writing((pool) => FlushQueue.create({ pool }).writer()),
  "a shared writer": () => writing((pool) => FlushQueue.create({ pool }).writer({ shared: true })),
  "a writer without a queue": () => writing((pool) => PacketWriter.create(pool)),
  WriteFlusher() {
    const pool = BufferPool.create({ bufferBytes: 8, batchCount: 2 });
    const queue = FlushQueue.create({ pool });
    const [writer, flusher] = [queue.writer(), queue.flusher()];
    const visit = () => {};
    return {
      calls: {
        wait: {
          block: (options) => flusher.wait(options),
          attempt: () => flusher.poll(),
          awaits: (options) => flusher.waitAsync(options),
          empty: false,
        },
        drain: {
          block: (options) => flusher.drain(visit, options),
          attempt: () => flusher.tryDrain(visit),
          awaits: (options) => flusher.drainAsync(visit, options),
          empty: 0,
        },
      },
      provide: () => void writer.send(bytes),
      checkUnchanged: () => assertEquals(flusher.poll(), false),
    };
  },
  Framer() {
    const { pool, busy } = emptyPool();
    const framer = Framer.create(pool);
    return {
      calls: {
        nextBuffer: {
          block: (options) => framer.nextBuffer(options),
          attempt: () => framer.tryNextBuffer(),
          awaits: (options) => framer.nextBufferAsync(options),
          empty: false,
        },
      },
      provide: () => pool.release(busy),
      checkUnchanged: () => assertEquals(framer.tryNextBuffer(), false),
    };
  },
  FrameDecoder() {
    const pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
    const decoder = FrameDecoder.create(pool, lengthPrefixed({ prefixBytes: 1 }));
    decoder.nextBuffer();
    decoder.stage(new Uint8Array([2, 1, 1, 5, 9, 9, 9, 9]));
    assert(decoder.next());
    const packet = decoder.packet();
    return {
      calls: {
        nextBuffer: {
          block: (options) => decoder.nextBuffer(options),
          attempt: () => decoder.tryNextBuffer(),
          async awaits(options) {
            if (!await decoder.nextBufferAsync(options)) return false;
            // The part of the next frame that had arrived is not lost.
            decoder.stage(new Uint8Array([9]));
            assert(decoder.next());
            assertEquals(decoder.frameLength, 5);
            return true;
          },
          empty: false,
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
      calls: {
        wait: {
          block: (options) => reader.wait(options),
          awaits: (options) => reader.waitAsync(options),
          empty: false,
        },
      },
      provide: () => ring.writer().send(bytes),
      checkUnchanged: () => assertEquals(reader.poll(), false),
    };
  },
  Reassembler() {
    const ring = Broadcast.create({ capacityBytes: 64 });
    const messages = Reassembler.create(ring.reader());
    return {
      calls: {
        wait: {
          block: (options) => messages.wait(options),
          awaits: (options) => messages.waitAsync(options),
          empty: false,
        },
      },
      provide: () => ring.writer().send(bytes),
      checkUnchanged: () => assertEquals(messages.poll(), false),
    };
  },
};
