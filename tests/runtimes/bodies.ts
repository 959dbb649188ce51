/**
 * What the workers of the suite do, on any platform.
 *
 * @module
 */

import {
  Broadcast,
  type BroadcastHandle,
  BufferPool,
  type BufferPoolHandle,
  Channel,
  type ChannelHandle,
  defineRecord,
  Disruptor,
  type DisruptorHandle,
  Domain,
  type DomainHandle,
  EventCount,
  type EventCountHandle,
  FloatRing,
  type FloatRingHandle,
  FlushQueue,
  type FlushQueueHandle,
  Memory,
  type MemoryHandle,
  Mutex,
  type MutexHandle,
  Parker,
  type ParkerHandle,
  RwLock,
  type RwLockHandle,
  Semaphore,
  type SemaphoreHandle,
} from "../../mod.ts";

/** An order on its way through a disruptor. */
export const Order = defineRecord({ id: "u32", price: "f64", left: "i32", right: "i32" });

/** Handles of all that synchronises, and words to work on. */
export interface Shared {
  mutex: MutexHandle;
  lock: RwLockHandle;
  semaphore: SemaphoreHandle;
  parker: ParkerHandle;
  count: EventCountHandle;
  words: Int32Array;
  rounds: number;
}

/** A domain to ask and answer in. */
export interface DomainJob {
  domain: DomainHandle;
  messages: number;
}

/** The bodies, by name. */
export const bodies = {
  /** Increments a plain word under a mutex, blocking. */
  increment({ mutex, words, rounds }: Shared): void {
    const attached = Mutex.attach(mutex);
    for (let i = 0; i < rounds; i++) {
      const guard = attached.lock();
      words[0] = words[0]! + 1;
      guard.release();
    }
  },

  /** Waits in every way that blocks, and says at each how it went. */
  waitForEach({ lock, semaphore, parker, count, words }: Shared): string[] {
    const reading = RwLock.attach(lock);
    const steps: string[] = [];
    steps.push(`timed: ${Semaphore.attach(semaphore).acquire(1, { timeoutMs: 5 }) === undefined}`);
    Atomics.store(words, 1, 1);
    EventCount.attach(count).notify();
    Semaphore.attach(semaphore).acquire();
    steps.push("acquired");
    steps.push(`parked: ${Parker.attach(parker).park()}`);
    reading.read().release();
    steps.push("read");
    return steps;
  },

  /** Locks, says so in a word, and leaves. */
  lockOnce({ mutex, words }: Shared): void {
    const guard = Mutex.attach(mutex).lock();
    Atomics.store(words, 2, 1);
    guard.release();
  },

  /** Reads so many messages of a ring, blocking; returns the sum of their first bytes. */
  readRing({ ring, messages, ready }: RingJob): number {
    const reader = Broadcast.attach(ring).reader();
    Atomics.store(ready, 0, 1);
    Atomics.notify(ready, 0);
    let sum = 0;
    for (let seen = 0; seen < messages;) {
      reader.wait();
      while (reader.poll()) {
        while (reader.next()) {
          sum += reader.message()[0]!;
          seen++;
        }
      }
    }
    return sum;
  },

  /** Copies bytes to the beginning of a memory, and out of it: says where it lies, and which. */
  copyOut(handle: MemoryHandle): [isInWebAssembly: boolean, bytes: string] {
    const memory = Memory.attach(handle);
    memory.copyWithin(0, 100_000, 500);
    const bytes = memory.privateBytes(1000);
    memory.copier(bytes).copyOut(0, 100_000, 1000);
    return [memory.handle.webAssembly !== undefined, bytes.join()];
  },

  /** Writes so many messages to a ring. */
  writeRing({ ring, messages }: RingJob): void {
    const writer = Broadcast.attach(ring).writer();
    for (let i = 0; i < messages; i++) writer.send(new Uint8Array([i, i, i, i]));
    writer[Symbol.dispose]();
  },

  /** Answers each message of one slot in another, blocking in between. */
  answer({ domain, messages }: DomainJob): void {
    const attached = Domain.attach(domain, { member: 1 });
    const waiter = attached.waiter();
    const answers = attached.slot("answers", { messageBytes: 8, history: 4 });
    const writer = answers.writer();
    const questions = waiter.subscribe(attached.find("questions")!, { history: Infinity });
    waiter.subscribe(attached.slot("others", { messageBytes: 8 }));
    while (questions.received < messages) {
      waiter.wait();
      while (questions.next()) {
        writer.bytes[writer.claim(1)] = questions.message()[0]! + 1;
        writer.publish();
      }
    }
    answers.close();
    attached.close();
  },

  /** Leaves a claim, a hold, and a waiter that waits. */
  hoard({ domain }: DomainJob): void {
    const attached = Domain.attach(domain, { member: 1 });
    const slot = attached.find("questions")!;
    slot.hold();
    slot.writer().claim();
    const waiter = attached.waiter();
    waiter.subscribe(slot);
    waiter.waitAsync();
  },

  /** Receives from a channel until its end, blocking, and sends each message on in upper case. */
  echo({ questions, answers, pool, samples }: EchoJob): number {
    const attached = BufferPool.attach(pool);
    const receiver = Channel.attach(questions, { pool: attached }).receiver();
    const sender = Channel.attach(answers).sender();
    const ring = FloatRing.attach(samples);
    let count = 0;
    while (true) {
      const question = receiver.receive();
      if (question === undefined) break;
      sender.send({ count, text: question.toUpperCase().slice(0, 40) });
      ring.push(new Float32Array(64).fill(count++));
    }
    sender.close();
    receiver.close();
    attached[Symbol.dispose]();
    return count;
  },

  /** Fills a field of each record of a disruptor, blocking until the end; returns how many. */
  fillField({ handle, node }: DisruptorJob): number {
    const consumer = Disruptor.attach(handle, { record: Order }).consumer(node);
    const order = Order.view(consumer.events);
    let count = 0;
    consumer.runEach((slot) => {
      order.moveTo(consumer.offset(slot));
      order[node] = order.id * 2;
      count++;
    });
    return count;
  },

  /** Sends so many messages to a queue, waiting for buffers. */
  writeQueue({ pool, queue, messages, value }: QueueJob): number {
    const attached = BufferPool.attach(pool);
    const writer = FlushQueue.attach(queue, attached).writer();
    for (let i = 0; i < messages; i++) {
      writer.append(new Uint8Array([value, value]));
      if (i % 10 === 9) writer.publish();
    }
    writer[Symbol.dispose]();
    attached[Symbol.dispose]();
    return messages;
  },
};

/** For the bodies that use a ring. */
export interface RingJob {
  ring: BroadcastHandle;
  messages: number;
  ready: Int32Array;
}

/** For the body that answers. */
export interface EchoJob {
  questions: ChannelHandle<string>;
  answers: ChannelHandle<Answer>;
  pool: BufferPoolHandle;
  samples: FloatRingHandle;
}

/** What it answers with. */
export interface Answer {
  count: number;
  text: string;
}

/** For the bodies that use a disruptor. */
export interface DisruptorJob {
  handle: DisruptorHandle<{ record: typeof Order.handle }>;
  node: "left" | "right";
}

/** For the bodies that use a queue. */
export interface QueueJob {
  pool: BufferPoolHandle;
  queue: FlushQueueHandle;
  messages: number;
  value: number;
}

/** What a worker is asked to do. */
export interface Task {
  body: keyof typeof bodies;
  argument: unknown;
}

/** What it answers. */
export type Outcome = { result: unknown } | { error: string };

/** Does a task. */
export function perform({ body, argument }: Task): Outcome {
  try {
    return { result: (bodies[body] as (argument: unknown) => unknown)(argument) };
  } catch (error) {
    return { error: String((error as Error).stack ?? error) };
  }
}
