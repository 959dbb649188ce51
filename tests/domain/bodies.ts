/**
 * The bodies of the workers in `domain_worker_test.ts`.
 *
 * @module
 */

import { Domain, type DomainHandle, HoldLimitError } from "@busbar/busbar/domain";
import { fillChecked, readChecked } from "../broadcast/messages.ts";
import { diesAfter } from "../dying.ts";

/** The task of a body. */
export interface Job {
  readonly handle: DomainHandle;
  /** The member that the worker is. */
  readonly member: number;
  /** The name of the slot. */
  readonly name: string;
  /** Words through which the test and its bodies communicate: see {@link AGREED}. */
  readonly agreed: Int32Array;
  /** How many messages to read or write. */
  readonly count: number;
}

/** The words of {@link Job.agreed}. */
export const AGREED = {
  /** How many readers have what they want: writers stop when all have. */
  done: 0,
  /** How many bodies are ready. */
  ready: 1,
  /** How many threads have died. */
  dead: 2,
  /** Never changes: sleeps wait on it. */
  never: 3,
} as const;

/** How many different messages of a size there are. */
function distinct(bytes: number): number {
  return bytes > 2 ** 20 ? 3 : 61;
}

/** The messages of a size, the same ones in each thread. */
function prepare(bytes: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: distinct(bytes) }, (_, number) => {
    const message = new Uint8Array(bytes);
    fillChecked(message, 0, bytes, number);
    return message;
  });
}

/** Fails unless this is the message with that number, of a slot with one writer. */
function check(bytes: Uint8Array, length: number, sequence: number): void {
  const found = readChecked(bytes, 0, length);
  if (found === -1) throw new Error(`Message ${sequence} is torn`);
  const expected = (sequence - 1) % distinct(length);
  if (found !== expected) throw new Error(`Message ${sequence} holds ${found}: not ${expected}`);
}

function tell({ agreed }: Job, word: number): void {
  Atomics.add(agreed, word, 1);
  Atomics.notify(agreed, word);
}

/** Publishes at full speed until so many readers are done; returns how many messages. */
export function publish(job: Job & { readers: number }): number {
  const slot = Domain.attach(job.handle, { member: job.member }).find(job.name)!;
  using writer = slot.writer();
  const messages = prepare(slot.messageBytes);
  tell(job, AGREED.ready);
  while (Atomics.load(job.agreed, AGREED.done) < job.readers) {
    for (let i = 0; i < 8; i++) writer.send(messages[slot.sequence % messages.length]!);
  }
  return slot.sequence;
}

/** Reads the last message again and again, until it has seen so many different ones. */
export function readLatest(job: Job): void {
  const slot = Domain.attach(job.handle).find(job.name)!;
  const reader = slot.reader();
  tell(job, AGREED.ready);
  try {
    for (let seen = 0, last = 0; seen < job.count;) {
      if (!reader.latest() || reader.sequence === last) continue;
      if (reader.sequence < last) throw new Error("An older message than before");
      check(reader.bytes, reader.length, last = reader.sequence);
      seen++;
    }
  } finally {
    tell(job, AGREED.done);
  }
}

/** Waits for messages, and reads all that it can get, until it has so many. */
export function receive(job: Job): { received: number; missed: number; passed: number } {
  const domain = Domain.attach(job.handle, { member: job.member });
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(domain.find(job.name)!);
  const start = subscription.sequence;
  tell(job, AGREED.ready);
  try {
    while (subscription.received < job.count) {
      waiter.wait();
      while (subscription.received < job.count && subscription.next()) {
        check(subscription.bytes, subscription.length, subscription.sequence);
      }
    }
  } finally {
    tell(job, AGREED.done);
  }
  const { received, missed, sequence } = subscription;
  return { received, missed, passed: sequence - start };
}

/** Holds so many messages, and looks at each twice. */
export function hold(job: Job): void {
  const slot = Domain.attach(job.handle, { member: job.member }).find(job.name)!;
  tell(job, AGREED.ready);
  try {
    for (let held = 0; held < job.count;) {
      using message = slot.hold({ back: held % slot.history });
      if (message === undefined) continue;
      held++;
      check(message.bytes, message.length, message.sequence);
      if (held % 8 === 0) Atomics.wait(job.agreed, AGREED.never, 0, 1);
      check(message.bytes, message.length, message.sequence);
    }
  } finally {
    tell(job, AGREED.done);
  }
}

/** Publishes so many messages beside other writers: each holds the member, and a count. */
export function contend(job: Job): void {
  using writer = Domain.attach(job.handle, { member: job.member }).find(job.name)!.writer();
  const message = new Uint8Array(8);
  const words = new Uint32Array(message.buffer);
  for (let i = 0; i < job.count; i++) {
    words[0] = job.member;
    words[1] = i;
    writer.send(message);
  }
}

/** Reads all messages of {@link contend}, until the slot is closed; returns counts by member. */
export async function tally(job: Job) {
  const domain = Domain.attach(job.handle, { member: job.member });
  const next = new Map<number, number>();
  let received = 0;
  tell(job, AGREED.ready);
  for await (const message of domain.find(job.name)!.messages({ history: Infinity })) {
    const [member, count] = new Uint32Array(message.buffer);
    if (count! < (next.get(member!) ?? 0)) throw new Error("Out of order");
    next.set(member!, count! + 1);
    received++;
  }
  return { received, last: [...next.values()] };
}

/** Creates so many slots, from another one on in each thread, and publishes in each. */
export function create(job: Job): void {
  const domain = Domain.attach(job.handle, { member: job.member });
  tell(job, AGREED.ready);
  while (Atomics.load(job.agreed, AGREED.ready) < 4) Atomics.pause?.();
  for (let i = 0; i < job.count; i++) {
    const name = `slot-${(i + job.member * 7) % job.count}`;
    using writer = domain.slot(name, { messageBytes: 16, holds: 0, writers: 4 }).writer();
    writer.send(new Uint8Array(1));
  }
}

/** Answers each message of one slot with the same in another, asleep in between. */
export function echo(job: Job & { back: string }): void {
  const domain = Domain.attach(job.handle, { member: job.member });
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(domain.find(job.name)!, { history: Infinity });
  using writer = domain.find(job.back)!.writer();
  tell(job, AGREED.ready);
  while (subscription.received < job.count) {
    waiter.wait();
    while (subscription.next()) writer.send(subscription.message());
  }
}

/** Writes, holds and waits, until it dies before its operation number `life`. */
export function die(job: Job & { life: number }): void {
  diesAfter(job.life, () => {
    const domain = Domain.attach(job.handle, { member: job.member });
    const slot = domain.find(job.name)!;
    const waiter = domain.waiter();
    const subscription = waiter.subscribe(slot);
    for (;;) {
      const writer = slot.writer();
      writer.send(new Uint8Array(8));
      try {
        using _held = slot.hold();
        writer.claim();
        writer.publish();
      } catch (error) {
        if (!(error instanceof HoldLimitError)) throw error;
      }
      waiter.wait({ timeoutMs: 1 });
      subscription.next();
      writer.close();
    }
  });
  tell(job, AGREED.dead);
  // What a dead worker has is still there, until the test terminates it.
  Atomics.wait(job.agreed, AGREED.never, 0);
}

/** Holds, claims and waits, and reports that; it is terminated then. */
export async function linger(job: Job): Promise<void> {
  const domain = Domain.attach(job.handle, { member: job.member });
  const slot = domain.find(job.name)!;
  slot.hold();
  slot.writer().claim();
  const waiter = domain.waiter();
  waiter.subscribe(domain.find("quiet")!);
  const waiting = waiter.waitAsync();
  tell(job, AGREED.ready);
  await waiting;
}

/** Waits without blocking for so many messages. */
export async function receiveAsync(job: Job): Promise<number> {
  const domain = Domain.attach(job.handle, { member: job.member });
  const waiter = domain.waiter();
  const subscription = waiter.subscribe(domain.find(job.name)!);
  const waiting = waiter.waitAsync();
  tell(job, AGREED.ready);
  await waiting;
  while (subscription.received < job.count) {
    while (subscription.next());
    if (subscription.received < job.count) await waiter.waitAsync();
  }
  return subscription.received;
}
