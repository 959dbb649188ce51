/**
 * Helpers of the models of the flush queue: a small queue over a plain pool, so that nothing but
 * the queue is explored, and threads that write and read whole messages.
 *
 * A message is a number, in each of its bytes. The bytes are written and read plainly.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  FlushQueue,
  type FlushQueueHandle,
  type WriteFlusher,
  type Writer,
  type WriterHandle,
} from "@busbar/busbar";
import { FlushQueueLayout } from "../../src/queue/layout.ts";
import { PlainPool, type PlainPoolHandle } from "./plain_pool.ts";

/** The shared state of the threads of a model. */
export interface State {
  readonly pool: PlainPoolHandle;
  readonly queue: FlushQueueHandle;
  /** A writer that threads may share. */
  readonly shared: WriterHandle;
}

/** Options of {@link createQueue}. */
export interface QueueOptions {
  /** 3 by default. */
  readonly buffers?: number;
  /** 2 by default. */
  readonly writers?: number;
  /** 4 by default. */
  readonly messagesPerBuffer?: number;
  /** Whether a buffer can be adopted only once for each time it was detached. */
  readonly tracksFlights?: boolean;
  /** Whether the thread that creates the shared writer stays attached to it. */
  readonly keepsShared?: boolean;
}

/** The bytes of a buffer. */
export const BUFFER_BYTES = 16;
const SIZE = { buffers: 3, writers: 2, messagesPerBuffer: 4 };

/** The layout of a queue. */
export function layoutOf(options: QueueOptions = {}): FlushQueueLayout {
  const { buffers, writers, messagesPerBuffer } = { ...SIZE, ...options };
  return new FlushQueueLayout(BUFFER_BYTES, buffers, writers, messagesPerBuffer);
}

/** Creates a queue and a shared writer. */
export function createQueue(options: QueueOptions = {}): State {
  const { buffers, writers, messagesPerBuffer, tracksFlights, keepsShared } = {
    ...SIZE,
    ...options,
  };
  const pool = PlainPool.create(BUFFER_BYTES, buffers, tracksFlights);
  const queue = FlushQueue.create({ pool, writers, messagesPerBuffer });
  const shared = queue.writer({ shared: true });
  if (!keepsShared) shared.close();
  return { pool: pool.handle, queue: queue.handle, shared: shared.handle };
}

/** Attaches a thread to a queue and its pool. */
export function open(
  state: State,
  thread?: number,
): { readonly pool: PlainPool; readonly queue: FlushQueue } {
  const pool = PlainPool.attach(state.pool, thread);
  return { pool, queue: FlushQueue.attach(state.queue, pool) };
}

/** Attaches a thread to a queue, and to the shared writer or one of its own. */
export function openWriter(state: State, isShared: boolean, thread?: number): Writer {
  const { queue } = open(state, thread);
  return isShared ? queue.attachWriter(state.shared) : queue.writer();
}

/** Fills a message. */
export function fill(writer: Writer, offset: number, value: number, length: number): void {
  for (let i = offset; i < offset + length; i++) writer.bytes[i] = value;
}

/** Writes a message, and does not publish it. */
export function put(writer: Writer, value: number, length = 4): void {
  const offset = writer.claim(length);
  fill(writer, offset, value, length);
  writer.commit(offset);
}

/** The messages of the present run of a flusher, all of one length. Fails unless they are whole. */
export function messagesOf(flusher: WriteFlusher, length = 4): number[] {
  const { bytes, offset } = flusher;
  const values: number[] = [];
  for (let at = offset; at < offset + flusher.length; at += length) {
    for (let i = 1; i < length; i++) assertEquals(bytes[at + i], bytes[at], "a torn message");
    values.push(bytes[at]!);
  }
  return values;
}
