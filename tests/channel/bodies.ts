/**
 * The bodies of the workers in `channel_worker_test.ts`.
 *
 * @module
 */

import {
  Channel,
  type ChannelHandle,
  FloatRing,
  type FloatRingHandle,
} from "@busbar/busbar/channel";
import { BufferPool, type BufferPoolHandle } from "@busbar/busbar/pool";

/** The task of a body. */
export interface Job {
  readonly handle: ChannelHandle<string>;
  /** The pool of long messages. */
  readonly pool?: BufferPoolHandle;
  /** The number of a sender. */
  readonly sender: number;
  /** How many messages a sender sends. */
  readonly messages: number;
  /** How many are sent, or received, at once. */
  readonly batch: number;
  /** Whether to await instead of blocking. */
  readonly isAsync: boolean;
}

/** What a receiver has received. */
export interface Received {
  readonly count: number;
  readonly sum: number;
  /** How many messages were not as long as their number says, or not whole. */
  readonly torn: number;
  /** How many messages of a sender did not come after the one before. */
  readonly disordered: number;
}

function attach({ handle, pool }: Job): Channel<string> {
  return Channel.attach(handle, pool === undefined ? {} : { pool: BufferPool.attach(pool) });
}

/** A text whose length and letters follow from its number; some are long if there is a pool. */
function textOf(sender: number, number: number, isLong: boolean): string {
  const letter = String.fromCharCode(97 + (number % 26));
  return `${sender},${number},${letter.repeat(isLong && number % 5 === 0 ? 700 : number % 40)}`;
}

/** Sends numbered texts. */
export async function send(job: Job): Promise<void> {
  const channel = attach(job);
  using sender = channel.sender();
  const { messages, batch, isAsync } = job;
  for (let number = 0; number < messages; number += batch) {
    const texts = Array.from(
      { length: Math.min(batch, messages - number) },
      (_, i) => textOf(job.sender, number + i, job.pool !== undefined),
    );
    if (batch > 1) sender.sendAll(texts);
    else if (isAsync) await sender.sendAsync(texts[0]!);
    else sender.send(texts[0]!);
  }
}

/** Receives until the end, and checks each text. */
export async function receive(job: Job): Promise<Received> {
  const channel = attach(job);
  using receiver = channel.receiver();
  const last = new Map<number, number>();
  let [count, sum, torn, disordered] = [0, 0, 0, 0];
  const take = (text: string) => {
    const [sender, number] = text.split(",").map(Number) as [number, number];
    if (text !== textOf(sender, number, job.pool !== undefined)) torn++;
    if (number <= (last.get(sender) ?? -1)) disordered++;
    last.set(sender, number);
    count++;
    sum += number;
  };
  if (job.isAsync) {
    for await (const text of receiver) take(text);
  } else if (job.batch > 1) {
    while (!receiver.hasEnded) for (const text of receiver.receiveSome(job.batch)) take(text);
  } else {
    for (let text = receiver.receive(); text !== undefined; text = receiver.receive()) take(text);
  }
  return { count, sum, torn, disordered };
}

/** Receives one message, and stays with it until it is terminated. */
export async function receiveAndStay(job: Job): Promise<void> {
  const receiver = attach(job).receiver({ place: 0 });
  await receiver.receiveAsync();
  await new Promise(() => {});
}

/** Pushes blocks of counted samples. */
export function push({ handle, blocks }: { handle: FloatRingHandle; blocks: number }): void {
  const ring = FloatRing.attach(handle);
  const block = new Float32Array(128);
  for (let i = 0; i < blocks; i++) {
    for (let j = 0; j < 128; j++) block[j] = i * 128 + j;
    while (!ring.push(block)) Atomics.pause();
  }
}

/** Answers each request with its double. */
export async function serve(
  { requests, replies }: { requests: ChannelHandle<Call>; replies: ChannelHandle<Call> },
): Promise<void> {
  const sender = Channel.attach(replies).sender();
  for await (const { id, value } of Channel.attach(requests).receiver()) {
    await sender.sendAsync({ id, value: 2 * value });
  }
}

/** A request, or a reply. */
export interface Call {
  readonly id: number;
  readonly value: number;
}
