/**
 * Any sequence of calls on the parts of several threads in a pool has the results of a plain model.
 *
 * All parts live in one thread here. The model keeps a list of references: which part has them, or
 * that they are in flight, and which bytes they must show. A buffer is free when there is no
 * reference to it.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BufferPool, type DetachedPacket, type Packet, PACKET_WORDS } from "../../mod.ts";
import { ClosedError } from "../../src/memory/errors.ts";
import { StaleTicketError, TicketsExhaustedError } from "../../src/pool/errors.ts";

const BUFFER_BYTES = 16;
const THREADS = 3;

/** The bytes that a reference of the model refers to. */
interface Range {
  buffer: number;
  offset: number;
  length: number;
}

type Reference =
  | { kind: "number"; thread: number; buffer: number }
  | { kind: "packet"; thread: number; packet: Packet } & Range
  | { kind: "ticket"; sender: number; buffer: number; ticket: number }
  | { kind: "detached"; sender: number; detached: DetachedPacket } & Range
  | { kind: "words"; sender: number; words: Int32Array } & Range;

class System {
  readonly parts: BufferPool[];
  /** The value of each byte of a buffer while it is in use. */
  readonly stamps = new Map<number, number>();
  references: Reference[] = [];
  #stamp = 0;

  constructor(batchCount: number, buffersPerBatch: number, tickets: number) {
    const first = BufferPool.create({
      bufferBytes: BUFFER_BYTES,
      batchCount,
      buffersPerBatch,
      tickets,
      threads: THREADS,
    });
    this.parts = [first];
    while (this.parts.length < THREADS) this.parts.push(BufferPool.attach(first.handle));
  }

  get total(): number {
    return this.parts[0]!.bufferCount;
  }

  /** How many buffers there are references to. */
  get used(): number {
    return new Set(this.references.map(({ buffer }) => buffer)).size;
  }

  /** The references of a kind, of one thread if given. */
  of<Kind extends Reference["kind"]>(
    kind: Kind,
    thread?: number,
  ): Extract<Reference, { kind: Kind }>[] {
    return this.references.filter((reference) =>
      reference.kind === kind &&
      (thread === undefined || "thread" in reference && reference.thread === thread)
    ) as Extract<Reference, { kind: Kind }>[];
  }

  remove(reference: Reference): void {
    this.references.splice(this.references.indexOf(reference), 1);
  }

  /** Fills a buffer that was just acquired. */
  stamp(pool: BufferPool, buffer: number): void {
    const stamp = this.#stamp = (this.#stamp + 1) % 256;
    this.stamps.set(buffer, stamp);
    const start = pool.offsetOf(buffer);
    pool.bytes.fill(stamp, start, start + BUFFER_BYTES);
  }

  /** Fails unless the usage adds up, and no buffer in use was written by another thread. */
  check(): void {
    for (const pool of this.parts) {
      const { free, kept, inUse, waiting } = pool.usage();
      assertEquals(waiting, []);
      const others = kept.reduce((sum, count) => sum + count) - kept[pool.thread]!;
      // Others told what they keep when they last took or returned some.
      assert(free + kept[pool.thread]! + this.used <= this.total);
      assert(others >= 0 && inUse <= this.total);
    }
    for (const reference of this.references) {
      const stamp = this.stamps.get(reference.buffer);
      const pool = this.parts[0]!;
      const start = pool.offsetOf(reference.buffer);
      const bytes = pool.bytes.subarray(start, start + BUFFER_BYTES);
      assert(bytes.every((byte) => byte === stamp), `buffer ${reference.buffer} was overwritten`);
      if (reference.kind !== "packet") continue;
      const { packet, offset, length } = reference;
      assertEquals([packet.buffer, packet.offset, packet.length], [
        reference.buffer,
        offset,
        length,
      ]);
      assertEquals(packet.byteOffset, start + offset);
      assertEquals(packet.bytes.length, length);
    }
  }
}

type Step = (system: System) => void;

/** Chooses one of a list. */
function pick<T>(list: readonly T[], any: number): T | undefined {
  return list.length === 0 ? undefined : list[any % list.length];
}

const anyThread = fc.nat(THREADS - 1);
const anyNumber = fc.nat(10_000);

/** A step of one thread that chooses something by a number. */
function step(name: string, run: (system: System, thread: number, any: number) => void) {
  return fc.tuple(anyThread, anyNumber).map(([thread, any]): Step => {
    const step: Step = (system) => run(system, thread, any);
    return Object.assign(step, { toString: () => `${name}(${thread}, ${any})` });
  });
}

const acquire = step("acquire", (system, thread) => {
  const pool = system.parts[thread]!;
  const buffer = pool.tryAcquire();
  if (buffer < 0) {
    // Other threads keep all buffers without references.
    const { free, kept } = pool.usage();
    assertEquals([free, kept[thread]], [0, 0]);
    return;
  }
  assert(buffer < system.total && !system.references.some((other) => other.buffer === buffer));
  system.stamp(pool, buffer);
  system.references.push({ kind: "number", thread, buffer });
});

const release = step("release", (system, thread, any) => {
  const pool = system.parts[thread]!;
  const reference = pick(system.of("number", thread), any);
  if (reference !== undefined) {
    pool.release(reference.buffer);
    system.remove(reference);
    return;
  }
  // This thread has no reference by number.
  for (const buffer of [-1, 0, 1, system.total, 0.5]) {
    assertThrows(() => pool.release(buffer), Error, "Cannot release");
  }
});

const retain = step("retain", (system, thread, any) => {
  const reference = pick(system.of("number", thread), any);
  if (reference === undefined) return;
  system.parts[thread]!.retain(reference.buffer);
  system.references.push({ ...reference });
});

const wrap = step("packet", (system, thread, any) => {
  const reference = pick(system.of("number", thread), any);
  if (reference === undefined) return;
  const offset = any % 7;
  const length = any % 5;
  const { buffer } = reference;
  const packet = system.parts[thread]!.packet(buffer, offset, length);
  system.remove(reference);
  system.references.push({ kind: "packet", thread, packet, buffer, offset, length });
});

const clone = step("clone", (system, thread, any) => {
  const reference = pick(system.of("packet", thread), any);
  if (reference === undefined) return;
  system.references.push({ ...reference, packet: reference.packet.clone() });
});

const advance = step("advance", (system, thread, any) => {
  const reference = pick(system.of("packet", thread), any);
  if (reference === undefined) return;
  const count = any % (reference.length + 1);
  reference.packet.advance(count);
  reference.offset += count;
  reference.length -= count;
});

const split = step("split", (system, thread, any) => {
  const reference = pick(system.of("packet", thread), any);
  if (reference === undefined) return;
  const { buffer, offset, length } = reference;
  const offsets = [any, any >> 3].map((n) => n % (length + 1)).sort((a, b) => a - b)
    .slice(any % 3);
  const packets = reference.packet.split(offsets);
  assertThrows(() => reference.packet.length, ClosedError, "released, detached or split before");
  system.remove(reference);
  const bounds = [0, ...offsets, length];
  for (const [i, packet] of packets.entries()) {
    const start = bounds[i]!;
    system.references.push({
      kind: "packet",
      thread,
      packet,
      buffer,
      offset: offset + start,
      length: bounds[i + 1]! - start,
    });
  }
});

const drop = step("drop", (system, thread, any) => {
  const reference = pick(system.of("packet", thread), any);
  if (reference === undefined) return;
  reference.packet.release();
  assertThrows(() => reference.packet.release(), Error, "Cannot release this packet");
  assertThrows(() => reference.packet.clone(), Error, "Cannot clone this packet");
  reference.packet[Symbol.dispose]();
  system.remove(reference);
});

/** Fails unless `detach` works, or throws because all tickets of the thread are in flight. */
function tryToDetach<T>(detach: () => T): T | undefined {
  try {
    return detach();
  } catch (error) {
    assert(error instanceof TicketsExhaustedError, String(error));
    return undefined;
  }
}

const detach = step("detach", (system, thread, any) => {
  const reference = pick(system.of("packet", thread), any);
  if (reference === undefined) return;
  const { buffer, offset, length, packet } = reference;
  if (any % 2 === 0) {
    const detached = tryToDetach(() => packet.detach());
    if (detached === undefined) return;
    system.references.push({
      kind: "detached",
      sender: thread,
      detached: structuredClone(detached),
      buffer,
      offset,
      length,
    });
  } else {
    const words = new Int32Array(PACKET_WORDS + 1);
    if (tryToDetach(() => (packet.detachInto(words, 1), true)) === undefined) return;
    system.references.push({ kind: "words", sender: thread, words, buffer, offset, length });
  }
  assertThrows(() => packet.detach(), ClosedError, "Cannot detach this packet");
  system.remove(reference);
});

const detachNumber = step("detachBuffer", (system, thread, any) => {
  const reference = pick(system.of("number", thread), any);
  if (reference === undefined) return;
  const { buffer } = reference;
  const ticket = tryToDetach(() => system.parts[thread]!.detachBuffer(buffer));
  if (ticket === undefined) return;
  system.remove(reference);
  system.references.push({ kind: "ticket", sender: thread, buffer, ticket });
});

const adopt = step("adopt", (system, thread, any) => {
  const pool = system.parts[thread]!;
  const flight = pick([...system.of("detached"), ...system.of("words")], any);
  if (flight === undefined) return;
  const adoptIt = () =>
    flight.kind === "detached" ? pool.adopt(flight.detached) : pool.adoptFrom(flight.words, 1);
  const { buffer, offset, length } = flight;
  system.references.push({ kind: "packet", thread, packet: adoptIt(), buffer, offset, length });
  system.remove(flight);
  assertThrows(adoptIt, StaleTicketError);
});

const adoptNumber = step("adoptBuffer", (system, thread, any) => {
  const pool = system.parts[thread]!;
  const flight = pick(system.of("ticket"), any);
  if (flight === undefined) return;
  const { buffer, ticket } = flight;
  pool.adoptBuffer(buffer, ticket);
  assertThrows(() => pool.adoptBuffer(buffer, ticket), StaleTicketError);
  assertEquals(pool.tryAdoptBuffer(buffer, ticket), false);
  system.remove(flight);
  system.references.push({ kind: "number", thread, buffer });
});

const adoptForged = step("adopt with a forged ticket", (system, thread, any) => {
  const pool = system.parts[thread]!;
  const known = system.references.map((reference) =>
    reference.kind === "ticket"
      ? reference.ticket
      : reference.kind === "detached"
      ? reference.detached.ticket
      : reference.kind === "words"
      // Words that are sent carry the ticket together with the identity of the pool.
      ? reference.words[4]! ^ pool.identity
      : undefined
  );
  for (const ticket of [any, any << 16, -1, -any, (1 << 31) + any, 1 << 30]) {
    if (known.includes(ticket)) continue;
    assertThrows(() => pool.adoptBuffer(any % system.total, ticket), StaleTicketError);
  }
});

const returnCached = step("returnCached", (system, thread) => {
  const pool = system.parts[thread]!;
  pool.returnCached();
  assertEquals(pool.usage().kept[thread], 0);
});

/** Removes the references of a thread. */
function forget(system: System, thread: number): void {
  system.references = system.references.filter((reference) =>
    !("thread" in reference) || reference.thread !== thread
  );
}

const leave = step("leave", (system, thread) => {
  const { handle } = system.parts[thread]!;
  const packet = system.of("packet", thread)[0]?.packet;
  system.parts[thread]!.close();
  assertThrows(() => system.parts[thread]!.tryAcquire(), ClosedError, "has left the pool");
  if (packet !== undefined) assertThrows(() => packet.bytes, ClosedError, "has left the pool");
  forget(system, thread);
  system.parts[thread] = BufferPool.attach(handle, { thread });
});

const reclaim = step("reclaim", (system, thread, any) => {
  // This part is not used any more, as if its thread had died.
  const { handle } = system.parts[thread]!;
  const usedBefore = system.used;
  forget(system, thread);
  const detached = any % 2 === 0;
  if (detached) {
    system.references = system.references.filter((reference) =>
      !("sender" in reference) || reference.sender !== thread
    );
  }
  const reclaimer = system.parts[(thread + 1 + any % (THREADS - 1)) % THREADS]!;
  const count = reclaimer.reclaim(thread, { detached });
  assert(count >= usedBefore - system.used, "not all buffers were returned");
  system.parts[thread] = BufferPool.attach(handle, { thread });
});

const anyStep = fc.oneof(
  { weight: 8, arbitrary: acquire },
  { weight: 4, arbitrary: release },
  { weight: 1, arbitrary: retain },
  { weight: 6, arbitrary: wrap },
  { weight: 3, arbitrary: clone },
  { weight: 1, arbitrary: advance },
  { weight: 2, arbitrary: split },
  { weight: 4, arbitrary: drop },
  { weight: 6, arbitrary: detach },
  { weight: 3, arbitrary: detachNumber },
  { weight: 6, arbitrary: adopt },
  { weight: 3, arbitrary: adoptNumber },
  { weight: 1, arbitrary: adoptForged },
  { weight: 1, arbitrary: returnCached },
  { weight: 1, arbitrary: leave },
  { weight: 1, arbitrary: reclaim },
);

Deno.test("buffer pool: any sequence of calls has the results of a plain model", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 6 }),
      fc.array(anyStep, { maxLength: 120, size: "max" }),
      (batchCount, buffersPerBatch, tickets, steps) => {
        const system = new System(batchCount, buffersPerBatch, tickets);
        for (const step of steps) {
          step(system);
          system.check();
        }
        const { handle } = system.parts[0]!;
        const inFlight = new Set(
          system.references.filter((reference) => "sender" in reference).map((r) => r.buffer),
        ).size;
        for (const pool of system.parts) pool.close();
        using pool = BufferPool.attach(handle);
        assertEquals(pool.usage().free, system.total - inFlight);
        assertEquals(pool.usage().inUse, inFlight);
      },
    ),
    { numRuns: 300 },
  );
});
