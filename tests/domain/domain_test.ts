/** Names and slots, publishing and reading by copies, on one thread. */

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  Domain,
  DomainFullError,
  type DomainOptions,
  SlotClosedError,
  SlotMismatchError,
} from "@busbar/busbar/domain";
import { ClosedError, Memory, ReclaimedError } from "@busbar/busbar/memory";
import { defineRecord } from "@busbar/busbar/record";
import { DomainLayout, HIGH_UNIT, PUBLISHED, PUBLISHED_HIGH } from "../../src/domain/layout.ts";
import { wordOf } from "../../src/domain/slot_words.ts";

const BYTES = { messageBytes: 16 };

/** A domain that does not begin where its memory does. */
function create(options: Partial<DomainOptions> = {}): Domain {
  const memory = Memory.create({ byteLength: 2 ** 21 });
  memory.allocate(100);
  const size = { slots: 4, members: 4, waiters: 4, dataBytes: 64 * 1024 };
  return Domain.create({ ...size, memory, ...options });
}

/** A message of so many bytes of one value. */
function filled(value: number, length = 16): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).fill(value);
}

Deno.test("domain: a slot that is asked for again is the same, in any thread", () => {
  const domain = create();
  const other = Domain.attach(domain.handle);
  const slot = domain.slot("pose", BYTES);
  slot.writer().send(filled(1));
  assertEquals(other.slot("pose", BYTES).sequence, 1);
  assertEquals(domain.slot("pose", BYTES).sequence, 1);
  other.slot("status", { messageBytes: 8 });
  assertEquals([domain.names(), other.names()], [["pose", "status"], ["pose", "status"]]);
});

Deno.test("domain: a slot is found, with whatever options it has, if it is there", () => {
  const domain = create();
  assertEquals(domain.find("pose"), undefined);
  domain.slot("pose", { messageBytes: 24, history: 3, holds: 0, writers: 2 });
  const { name, messageBytes, history, holds, writers } = domain.find("pose")!;
  assertEquals([name, messageBytes, history, holds, writers], ["pose", 24, 3, 0, 2]);
});

Deno.test("domain: names have any characters but whitespace, control characters and slashes", () => {
  const domain = create();
  for (const name of ["a", "камера", "日本語.🚌-1", "x".repeat(64)]) {
    domain.slot(name, BYTES);
    assertEquals(Domain.attach(domain.handle).names().at(-1), name);
  }
  for (const name of ["a b", "a/b", "a\n", "a\u0000", "a\u0085", "\ud800"]) {
    const error = assertThrows(() => domain.slot(name, BYTES), TypeError);
    assert(error.message.includes(JSON.stringify(name)), error.message);
  }
  assertThrows(() => domain.slot("", BYTES), RangeError, "must have 1 to 64 bytes in UTF-8");
  assertThrows(() => domain.slot("é".repeat(33), BYTES), RangeError, "received 66");
  assertThrows(
    () => domain.slot(5 as unknown as string, BYTES),
    TypeError,
    "'name' must be a string: received 5",
  );
});

Deno.test("domain: other options than those of the slot are an error that names both", () => {
  const domain = create();
  domain.slot("pose", { messageBytes: 16, history: 2 });
  const clashes = [
    [{ messageBytes: 24, history: 2 }, "messageBytes 16: received messageBytes 24"],
    [{ messageBytes: 16 }, "history 2: received history 1"],
    [{ messageBytes: 16, history: 2, holds: 5 }, "holds 2: received holds 5"],
    [{ messageBytes: 16, history: 2, writers: 3 }, "writers 1: received writers 3"],
  ] as const;
  for (const [options, expected] of clashes) {
    assertThrows(() => domain.slot("pose", options), SlotMismatchError, expected);
  }
  const Pose = defineRecord({ x: "f64", y: "f64" });
  assertThrows(
    () => domain.slot("pose", { record: Pose, history: 2 }),
    SlotMismatchError,
    `record none: received record ${Pose.fingerprint}`,
  );
});

Deno.test("domain: options out of range say what was expected", () => {
  const cases: [Partial<DomainOptions>, string][] = [
    [{ slots: 0 }, "'slots' must be a whole number from 1 to 65536: received 0"],
    [{ members: 513 }, "'members' must be a whole number from 1 to 512: received 513"],
    [{ waiters: 1025 }, "'waiters' must be a whole number from 1 to 1024: received 1025"],
    [{ dataBytes: 0.5 }, "'dataBytes' must be a whole number from 1 to 4294967296: received 0.5"],
  ];
  for (const [options, expected] of cases) {
    assertThrows(() => create(options), RangeError, expected);
  }
  const domain = create();
  const slots = [
    [{ messageBytes: 0 }, "'messageBytes' must be"],
    [{}, "'messageBytes' must be a whole number from 1 to 1073741824: received undefined"],
    [{ messageBytes: 1, history: 0 }, "'history' must be a whole number from 1 to 65536"],
    [{ messageBytes: 1, holds: 32 }, "'holds' must be a whole number from 0 to 31: received 32"],
    [{ messageBytes: 1, writers: 15 }, "'writers' must be a whole number from 1 to 14"],
  ] as const;
  for (const [options, expected] of slots) {
    assertThrows(() => domain.slot("pose", options), RangeError, expected);
  }
  const Pose = defineRecord({ x: "f64" });
  assertThrows(
    () => domain.slot("pose", { record: Pose, messageBytes: 16 }),
    TypeError,
    "'messageBytes' must be left out for a record",
  );
});

Deno.test("domain: a plan says how many bytes a slot takes, and a full domain how many are left", () => {
  const options = { messageBytes: 1000, history: 3 };
  const dataBytes = Domain.plan(options);
  const domain = create({ dataBytes });
  domain.slot("first", options);
  assertThrows(
    () => domain.slot("second", { messageBytes: 1 }),
    DomainFullError,
    `needs ${Domain.plan({ messageBytes: 1 })} bytes of data: 0 of ${dataBytes} are free`,
  );
  domain.slot("first", options);
});

Deno.test("domain: a table that is full says how many slots there are", () => {
  const domain = create({ slots: 2 });
  domain.slot("a", BYTES);
  domain.slot("b", BYTES);
  assertThrows(() => domain.slot("c", BYTES), DomainFullError, "as all 2 slots are in use");
  assertThrows(() => domain.slot("c", BYTES), DomainFullError, "as all 2 slots are in use");
  assertEquals(domain.names(), ["a", "b"]);
});

Deno.test("domain: the last messages are read by their age and by their number", () => {
  const slot = create().slot("pose", { ...BYTES, history: 3 });
  const writer = slot.writer();
  const reader = slot.reader();
  assert(!reader.latest() && !reader.back(0) && !reader.at(1) && !reader.at(0));
  assertEquals([reader.sequence, reader.length], [0, 0]);
  for (let i = 1; i <= 20; i++) {
    assertEquals(writer.send(filled(i, i % 17)), i);
    const kept = Math.min(i, 3);
    for (let back = 0; back < kept; back++) {
      assert(back === 0 ? reader.latest() : reader.back(back));
      assertEquals(reader.sequence, i - back);
      assertEquals(reader.message(), filled(i - back, (i - back) % 17));
      assert(reader.at(i - back));
      assertEquals([reader.sequence, reader.length], [i - back, (i - back) % 17]);
    }
    assert(!reader.at(i - 3) && !reader.at(i + 1));
    if (i < 3) assert(!reader.back(i));
  }
  assertThrows(() => reader.back(3), RangeError, "'count' must be a whole number from 0 to 2");
});

Deno.test("domain: messages of every length up to the largest arrive whole", () => {
  const messageBytes = 1100;
  const slot = create({ dataBytes: 2 ** 20 }).slot("blob", { messageBytes });
  const writer = slot.writer();
  const reader = slot.reader();
  const repeated = Memory.create({ byteLength: 2 ** 17 }).privateBytes(messageBytes);
  for (let length = 0; length <= messageBytes; length += length < 140 ? 1 : 97) {
    const message = Uint8Array.from({ length }, (_, i) => i * 7 + length);
    writer.send(message);
    assert(reader.latest());
    assertEquals(reader.message(), message);
    // The same array again and again.
    repeated.fill(length);
    for (let times = 0; times < 3; times++) writer.send(repeated.subarray(0, length));
    for (let times = 0; times < 3; times++) writer.send(repeated);
    assert(reader.latest());
    assertEquals(reader.message(), filled(length, messageBytes));
  }
});

Deno.test("domain: a message is filled in place, published shorter, or given up", () => {
  const slot = create().slot("pose", BYTES);
  const writer = slot.writer();
  const reader = slot.reader();
  const offset = writer.claim(8);
  assertEquals(offset % 16, 0);
  assert(writer.isOpen && !reader.latest());
  writer.bytes.fill(5, offset, offset + 8);
  assertThrows(() => writer.claim(), Error, "as a claim is open");
  assertThrows(() => writer.publish(9), RangeError, "'byteLength' must be");
  assertEquals(writer.publish(3), 1);
  assert(reader.latest());
  assertEquals(reader.message(), filled(5, 3));

  writer.claim();
  writer.abort();
  writer.abort();
  assert(!writer.isOpen);
  assertThrows(() => writer.publish(), Error, "as nothing is claimed");
  assertThrows(() => writer.claim(17), RangeError, "'byteLength' must be a whole number");
  assertThrows(
    () => writer.send("text" as unknown as Uint8Array),
    TypeError,
    `'message' must be a Uint8Array: received "text"`,
  );
  assertEquals(slot.sequence, 1);
  assertEquals(writer.send(filled(6)), 2);
});

Deno.test("domain: a typed slot takes objects and is read by views", () => {
  const Pose = defineRecord({ x: "f64", id: "u32" });
  const domain = create();
  const slot = domain.slot("pose", { record: Pose, history: 2 });
  const writer = slot.writer();
  const reader = Domain.attach(domain.handle).find("pose", Pose)!.reader();
  writer.send({ x: 1.5, id: 7 });
  assert(reader.latest());
  assertEquals([reader.view.x, reader.view.id, reader.length], [1.5, 7, 16]);
  writer.claim();
  writer.view.x = 2.5;
  writer.view.id = 8;
  writer.publish();
  assert(reader.latest());
  assertEquals(Pose.read(reader.view), { x: 2.5, id: 8 });
  assertThrows(() => writer.send({ x: 1, id: -1 }), RangeError);
  assertThrows(() => writer.send(new Uint8Array(15)), RangeError, "from 16 to 16: received 15");
  assertEquals(writer.send(new Uint8Array(16)), 3);
  assertEquals(writer.send({ x: 2.5, id: 8 }), 4);
  assert(!writer.isOpen);
  using held = slot.hold()!;
  assertEquals(held.view.x, 2.5);

  const Other = defineRecord({ x: "f64", id: "i32" });
  assertThrows(
    () => domain.slot("pose", { record: Other, history: 2 }),
    SlotMismatchError,
    `has record ${Pose.fingerprint}: received record ${Other.fingerprint}`,
  );
  assertThrows(() => domain.find("pose", Other), SlotMismatchError);
});

Deno.test("domain: a slot has as many writers at once as it was made for", () => {
  const domain = create();
  const slot = domain.slot("pose", { ...BYTES, writers: 2, history: 4 });
  const first = slot.writer();
  const second = slot.writer();
  assertThrows(
    () => slot.writer(),
    DomainFullError,
    'slot "pose" as it can have 2 writers at once: members 0, 0 have it',
  );
  assertEquals([first.send(filled(1)), second.send(filled(2)), first.send(filled(3))], [1, 2, 3]);
  second.close();
  second.close();
  assertThrows(() => second.send(filled(4)), ClosedError, "as the writer was closed");
  using third = slot.writer();
  assertEquals(third.send(filled(4)), 4);
});

Deno.test("domain: writers that fill at once publish in the order in which they finish", () => {
  const slot = create().slot("pose", { ...BYTES, writers: 2, history: 2 });
  const [first, second] = [slot.writer(), slot.writer()];
  const offsets = [first.claim(), second.claim()];
  offsets.forEach((at, i) => first.bytes.fill(i + 1, at, at + 16));
  assertEquals([second.publish(), first.publish()], [1, 2]);
  const reader = slot.reader();
  assert(reader.at(1));
  assertEquals(reader.message(), filled(2));
  assert(reader.at(2));
  assertEquals(reader.message(), filled(1));
});

Deno.test("domain: a slot that was closed takes no more messages, and keeps what it has", () => {
  const slot = create().slot("pose", { ...BYTES, writers: 2 });
  const writer = slot.writer();
  writer.send(filled(1));
  writer.claim();
  assert(!slot.isClosed);
  slot.close();
  slot.close();
  assert(slot.isClosed);
  assertThrows(() => writer.publish(), SlotClosedError, 'slot "pose" was closed');
  assert(!writer.isOpen);
  assertInstanceOf(assertThrows(() => writer.send(filled(2))), ClosedError);
  const reader = slot.reader();
  assert(reader.latest());
  assertEquals(reader.message(), filled(1));
  assertEquals(slot.sequence, 1);
});

Deno.test("domain: only what another must take back makes a thread a member", () => {
  const domain = create({ members: 2 });
  domain.slot("pose", BYTES).writer().send(filled(1));
  assertEquals(domain.member, 0);
  for (let i = 0; i < 5; i++) {
    const reading = Domain.attach(domain.handle);
    assert(reading.find("pose")!.reader().latest());
    assertEquals(reading.inspect().members, [0]);
  }
  const second = Domain.attach(domain.handle, { member: 1 });
  assertEquals(second.member, 1);
  assertThrows(
    () => Domain.attach(domain.handle).member,
    DomainFullError,
    "as all 2 members are in use",
  );
  assertThrows(
    () => Domain.attach(domain.handle, { member: 1 }).member,
    DomainFullError,
    "as member 1 has joined",
  );
  assertThrows(() => Domain.attach(domain.handle, { member: 2 }).member, RangeError);
  second.close();
  assertEquals(Domain.attach(domain.handle).member, 1);
});

Deno.test("domain: closing it closes everything that this thread has of it", () => {
  const domain = create();
  const other = Domain.attach(domain.handle);
  const slot = domain.slot("pose", BYTES);
  const writer = slot.writer();
  writer.send(filled(1));
  const held = slot.hold()!;
  const waiter = domain.waiter();
  waiter.subscribe(slot);
  domain.close();
  domain.close();
  assert(held.isReleased);
  assertThrows(() => writer.send(filled(1)), ClosedError);
  assertThrows(() => waiter.wait(), ClosedError);
  assertThrows(() => domain.slot("pose", BYTES), ClosedError, "closed in this thread");
  assertThrows(() => slot.writer(), ClosedError);
  const { members, waiters, slots: [pose] } = other.inspect();
  assertEquals([members, waiters], [[], 0]);
  assertEquals([pose!.openWriters, pose!.held, pose!.subscribers], [[], [], []]);
});

Deno.test("domain: a thread that was taken for dead learns of it", () => {
  const domain = create();
  const other = Domain.attach(domain.handle);
  const slot = other.slot("pose", { ...BYTES, writers: 2 });
  slot.writer().send(filled(1));
  const [claiming, idle] = [slot, other.slot("more", BYTES)].map((one) => one.writer());
  claiming!.claim();
  const held = slot.hold()!;
  const waiter = other.waiter();
  domain.slot("mine", BYTES).writer();
  domain.reclaim(other.member);
  assertThrows(() => claiming!.publish(), ReclaimedError, "member 0 was reclaimed");
  assertThrows(() => idle!.send(filled(1)), ReclaimedError);
  assertThrows(() => held.release(), ReclaimedError);
  assertThrows(() => waiter.close(), ReclaimedError);
});

/** Has slot 0 begin just before the number `sequence + 1`. */
function skipTo(domain: Domain, sequence: number): void {
  const { memory, byteOffset } = domain.handle;
  const words = new Int32Array(memory.buffer, byteOffset);
  const first = DomainLayout.read(words).entry(0);
  words[first + PUBLISHED] = wordOf(sequence);
  words[first + PUBLISHED_HIGH] = Math.floor(sequence / HIGH_UNIT);
}

Deno.test("domain: numbers go on as they wrap in memory", () => {
  for (
    const start of [2 ** 27, 2 ** 28, 3 * 2 ** 27, 2 ** 32, 2 ** 53 - 2 ** 28].map((n) => n - 4)
  ) {
    const domain = create();
    const slot = domain.slot("pose", { ...BYTES, history: 2, holds: 1 });
    skipTo(domain, start);
    const writer = slot.writer();
    const reader = slot.reader();
    for (let i = 1; i <= 12; i++) {
      assertEquals(writer.send(filled(i)), start + i);
      assertEquals(slot.sequence, start + i);
      assert(reader.latest());
      assertEquals([reader.sequence, reader.bytes[0]], [start + i, i]);
      assertEquals(reader.back(1), i > 1);
      if (i > 1) assertEquals([reader.sequence, reader.bytes[0]], [start + i - 1, i - 1]);
      using held = slot.hold()!;
      assertEquals([held.sequence, held.bytes[0]], [start + i, i]);
    }
  }
});

Deno.test("domain: an entry that was held while numbers wrapped is used again", () => {
  for (const held of [1, 2 ** 27 - 1, 2 ** 27, 2 ** 27 + 5, 2 ** 28 - 2 ** 21]) {
    const domain = create();
    const slot = domain.slot("pose", { ...BYTES, history: 2, holds: 1 });
    const writer = slot.writer();
    writer.send(filled(1));
    const first = slot.hold()!;
    skipTo(domain, held + 1);
    for (let i = 0; i < 10; i++) writer.send(filled(i));
    assertEquals([...first.bytes], [...filled(1)]);
    first.release();
    for (let i = 0; i < 4; i++) writer.send(filled(i));
    // Then another is held, and there is still one to be claimed.
    using _second = slot.hold()!;
    for (let i = 0; i < 10; i++) writer.send(filled(i));
  }
});
