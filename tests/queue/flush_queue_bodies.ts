/**
 * What the workers of `flush_queue_worker_test.ts` do.
 *
 * Messages are checked whole: length, writer, number, and bytes that follow from these.
 *
 *     | length: 2 bytes | writer: 1 | number: 4 | the low byte of writer + number + index ... |
 *
 * @module
 */

import {
  BufferPool,
  type BufferPoolHandle,
  FlushQueue,
  type FlushQueueHandle,
  FrameDecoder,
  lengthPrefixed,
  type Writer,
  type WriterHandle,
} from "../../mod.ts";

/** What each body is told. */
export interface Job {
  pool: BufferPoolHandle;
  queue: FlushQueueHandle;
}

/** What went through. */
export interface Sum {
  messages: number;
  bytes: number;
  checksum: number;
}

const HEADER = 7;

/** Numbers from 0 to `below`, the same ones each time. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

function fill(bytes: Uint8Array, at: number, length: number, writer: number, number: number): void {
  bytes[at] = length;
  bytes[at + 1] = length >> 8;
  bytes[at + 2] = writer;
  for (let i = 0; i < 4; i++) bytes[at + 3 + i] = number >> (8 * i);
  for (let i = HEADER; i < length; i++) bytes[at + i] = writer + number + i;
}

function add(sum: Sum, length: number, writer: number, number: number): void {
  sum.messages++;
  sum.bytes += length;
  // Does not depend on the order of writers.
  sum.checksum = (sum.checksum + Math.imul(number + 1, 2654435761) + writer * 31 + length) | 0;
}

/** Checks the message at `at`, and that its writer's numbers go up; returns where it ends. */
function check(bytes: Uint8Array, at: number, end: number, last: Map<number, number>, sum: Sum) {
  const length = bytes[at]! | bytes[at + 1]! << 8;
  const writer = bytes[at + 2]!;
  const number = bytes[at + 3]! | bytes[at + 4]! << 8 | bytes[at + 5]! << 16 | bytes[at + 6]! << 24;
  if (length < HEADER || at + length > end) throw new Error(`A torn message of ${length} bytes`);
  for (let i = HEADER; i < length; i++) {
    if (bytes[at + i] !== ((writer + number + i) & 255)) throw new Error("A torn message");
  }
  if (number <= (last.get(writer) ?? -1)) {
    throw new Error(`Message ${number} of ${writer} came after ${last.get(writer)}`);
  }
  last.set(writer, number);
  add(sum, length, writer, number);
  return at + length;
}

/** Takes so many messages, asleep while there are none. */
export function flush(job: Job & { messages: number }): Sum {
  using pool = BufferPool.attach(job.pool);
  using flusher = FlushQueue.attach(job.queue, pool).flusher();
  const sum = { messages: 0, bytes: 0, checksum: 0 };
  const last = new Map<number, number>();
  while (sum.messages < job.messages) {
    flusher.wait();
    while (flusher.next()) {
      const before = sum.messages;
      const end = flusher.offset + flusher.length;
      for (let at = flusher.offset; at < end;) at = check(flusher.bytes, at, end, last, sum);
      if (sum.messages - before !== flusher.messageCount) throw new Error("A wrong count");
    }
  }
  return sum;
}

/** As {@link flush}, without blocking. */
export async function drainAsync(job: Job & { messages: number }): Promise<Sum> {
  using pool = BufferPool.attach(job.pool);
  using flusher = FlushQueue.attach(job.queue, pool).flusher();
  const sum = { messages: 0, bytes: 0, checksum: 0 };
  const last = new Map<number, number>();
  while (sum.messages < job.messages) {
    await flusher.drainAsync((run) => {
      const end = run.offset + run.length;
      for (let at = run.offset; at < end;) at = check(run.bytes, at, end, last, sum);
    });
  }
  return sum;
}

/** How a writer of messages behaves. */
export interface Writing extends Job {
  /** The writer to share; one of the thread's own by default. */
  shared?: WriterHandle;
  /** The number of the thread. */
  id: number;
  messages: number;
  /** The longest message. */
  largest: number;
  /** How many messages from one flush to the next, at most. */
  each: number;
  /** Whether to reserve asynchronously. */
  awaits?: boolean;
}

/** Writes so many messages, up to three at a time, ended in any order; aborts some more. */
export async function write(job: Writing): Promise<Sum> {
  using pool = BufferPool.attach(job.pool);
  const queue = FlushQueue.attach(job.queue, pool);
  using writer = job.shared === undefined ? queue.writer() : queue.attachWriter(job.shared);
  const random = sequence(job.id + 1);
  const sum = { messages: 0, bytes: 0, checksum: 0 };
  const open: { offset: number; length: number; number: number }[] = [];
  for (let number = 0, unflushed = 0; sum.messages < job.messages || open.length > 0;) {
    if (sum.messages + open.length < job.messages && random(3) > 0 && open.length < 3) {
      const length = HEADER + random(job.largest - HEADER + 1);
      // Not to wait for a buffer while what would free one waits for a reservation of ours.
      const offset = open.length > 0
        ? writer.tryClaim(length)
        : job.awaits
        ? await writer.claimAsync(length)
        : reserve(writer, length);
      if (offset >= 0) {
        open.push({ offset, length, number: number++ });
        continue;
      }
    }
    const [ended] = open.splice(random(open.length), 1);
    if (ended === undefined) continue;
    if (random(10) === 0) {
      writer.abort(ended.offset);
    } else {
      fill(writer.bytes, ended.offset, ended.length, job.id, ended.number);
      writer.commit(ended.offset);
      add(sum, ended.length, job.id, ended.number);
    }
    if (++unflushed > random(job.each)) {
      writer.publish();
      unflushed = 0;
    }
  }
  return sum;
}

function reserve(writer: Writer, length: number): number {
  const offset = writer.claim(length, { timeoutMs: 60_000 });
  if (offset < 0) throw new Error("No buffer came free within a minute");
  return offset;
}

/** Writes "hello, " and "world", flushes, and writes "!" when it was told that they arrived. */
export function hello(job: Job & { arrived: Int32Array }): void {
  using pool = BufferPool.attach(job.pool);
  using writer = FlushQueue.attach(job.queue, pool).writer({ id: 3 });
  const text = new TextEncoder();
  writer.append(text.encode("hello, "));
  writer.append(text.encode("world"));
  writer.publish();
  Atomics.wait(job.arrived, 0, 0);
  writer.append(text.encode("!"));
  writer.publish();
}

/** Takes what {@link hello} writes, and tells it when some has arrived; returns the runs. */
export function takeHello(job: Job & { arrived: Int32Array }): string[] {
  using pool = BufferPool.attach(job.pool);
  using flusher = FlushQueue.attach(job.queue, pool).flusher();
  const seen: string[] = [];
  for (let bytes = 0; bytes < "hello, world!".length;) {
    bytes += flusher.drain((run) => {
      if (run.writerId !== 3) throw new Error(`A run of writer ${run.writerId}`);
      seen.push(new TextDecoder().decode(run.view().slice()));
    });
    Atomics.store(job.arrived, 0, 1);
    Atomics.notify(job.arrived, 0);
  }
  return seen;
}

/** Flushes one message, leaves another open and a third unflushed, and does not tidy up. */
export function strand(job: Job & { shared?: WriterHandle }): number {
  const pool = BufferPool.attach(job.pool);
  const queue = FlushQueue.attach(job.queue, pool);
  const writer = job.shared === undefined ? queue.writer() : queue.attachWriter(job.shared);
  writer.append(new Uint8Array([1]));
  writer.publish();
  writer.claim(40);
  writer.claim(2);
  writer.append(new Uint8Array([3]));
  return pool.thread;
}

/** Becomes the flusher, takes a run, and does not tidy up. */
export function strandFlusher(job: Job): number {
  const pool = BufferPool.attach(job.pool);
  const flusher = FlushQueue.attach(job.queue, pool).flusher();
  flusher.wait();
  flusher.next();
  return pool.thread;
}

const framing = lengthPrefixed({ prefixBytes: 2, maxLength: 2000 });

/** Accepts a connection, and sends each framed message back. */
export async function serve({ port }: { port: Int32Array }): Promise<number> {
  using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
  const queue = FlushQueue.create({ pool });
  using writer = queue.writer();
  using flusher = queue.flusher();
  using decoder = FrameDecoder.create(pool, framing);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  Atomics.store(port, 0, listener.addr.port);
  Atomics.notify(port, 0);
  using connection = await listener.accept();
  connection.setNoDelay();
  const chunk = new Uint8Array(1500);
  let messages = 0;
  for (let read; (read = await connection.read(chunk)) !== null;) {
    for (let from = 0; from < read;) {
      if (decoder.remaining === 0) decoder.nextBuffer();
      from = decoder.stage(chunk.subarray(0, read), from);
      while (decoder.next()) {
        sendFramed(
          writer,
          decoder.bytes.subarray(
            decoder.frameOffset,
            decoder.frameOffset + decoder.frameLength,
          ),
        );
        messages++;
      }
    }
    writer.publish();
    await flusher.drainTo(connection);
  }
  decoder.end();
  return messages;
}

function sendFramed(writer: Writer, message: Uint8Array): void {
  const offset = writer.claim(message.length + framing.overheadBytes);
  framing.encodeInto(message, writer.bytes, offset);
  writer.commit(offset);
}

/** Connects, sends messages in batches, and checks that each comes back. */
export async function call({ port, messages }: { port: Int32Array; messages: number }) {
  while (Atomics.load(port, 0) === 0) Atomics.wait(port, 0, 0);
  using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
  const queue = FlushQueue.create({ pool });
  using writer = queue.writer();
  using flusher = queue.flusher();
  using decoder = FrameDecoder.create(pool, framing);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Atomics.load(port, 0) });
  connection.setNoDelay();
  const random = sequence(7);
  const message = new Uint8Array(2000);
  const lengths: number[] = [];
  const last = new Map<number, number>();
  const sum = { messages: 0, bytes: 0, checksum: 0 };
  const expected = { messages: 0, bytes: 0, checksum: 0 };
  const chunk = new Uint8Array(1000);
  for (let number = 0; number < messages;) {
    for (let batch = 1 + random(8); batch > 0 && number < messages; batch--, number++) {
      const length = HEADER + random(message.length - HEADER + 1);
      fill(message, 0, length, 1, number);
      sendFramed(writer, message.subarray(0, length));
      lengths.push(length);
      add(expected, length, 1, number);
    }
    writer.publish();
    await flusher.drainTo(connection);
    while (sum.messages < number) {
      const read = (await connection.read(chunk))!;
      for (let from = 0; from < read;) {
        if (decoder.remaining === 0) decoder.nextBuffer();
        from = decoder.stage(chunk.subarray(0, read), from);
        while (decoder.next()) {
          const end = decoder.frameOffset + decoder.frameLength;
          const ended = check(decoder.bytes, decoder.frameOffset, end, last, sum);
          if (ended !== end) throw new Error("A message of another length");
        }
      }
    }
  }
  return { expected, sum };
}

/** A step at which {@link runTo} stops. */
export type Step = "attach" | "open" | "close" | "leave" | "end";

/**
 * Sends one message, closes its writer and leaves the pool, up to the given step, before which it
 * sets `reached` and awaits to be terminated.
 */
export async function runTo(
  job: Job & { thread: number; step: Step; reached: Int32Array },
): Promise<void> {
  const comeTo = async (step: Step) => {
    if (step !== job.step) return;
    Atomics.store(job.reached, 0, 1);
    await new Promise(() => {});
  };
  await comeTo("attach");
  const pool = BufferPool.attach(job.pool, { thread: job.thread });
  await comeTo("open");
  const writer = FlushQueue.attach(job.queue, pool).writer();
  writer.send(new Uint8Array([job.thread]));
  writer.claim(8);
  await comeTo("close");
  writer.close();
  await comeTo("leave");
  pool.close();
  await comeTo("end");
}
