/** Holds on one thread: reading in place, passing over, and the limit. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Domain, HoldLimitError, type SlotOptions } from "@busbar/busbar/domain";
import { Memory } from "@busbar/busbar/memory";

function filled(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(16).fill(value);
}

function create(options: SlotOptions = {}) {
  const memory = Memory.create({ byteLength: 2 ** 17 });
  memory.allocate(100); // the domain does not begin where the memory does
  const size = { slots: 2, members: 4, waiters: 2, dataBytes: 64 * 1024 };
  const domain = Domain.create({ ...size, memory });
  const slot = domain.slot("pose", { messageBytes: 16, ...options });
  return { domain, slot, writer: slot.writer() };
}

Deno.test("domain: a held message stays as it is, however much is published", () => {
  const { slot, writer } = create({ history: 2, holds: 2 });
  assertEquals(slot.hold(), undefined);
  writer.send(filled(1));
  using first = slot.hold()!;
  writer.send(filled(2));
  using second = slot.hold()!;
  const reader = slot.reader();
  for (let i = 3; i < 40; i++) {
    writer.send(filled(i));
    assert(reader.latest() && reader.message()[15] === i);
    assert(reader.back(1) && reader.message()[15] === i - 1);
    assertEquals([first.sequence, first.length, ...first.bytes], [1, 16, ...filled(1)]);
    assertEquals([second.sequence, ...second.bytes], [2, ...filled(2)]);
  }
});

Deno.test("domain: a message is held by its age or its number, if it is kept", () => {
  const { slot, writer } = create({ history: 3, holds: 1 });
  for (let i = 1; i <= 5; i++) writer.send(filled(i));
  const numbers = [{}, { back: 2 }, { sequence: 4 }, { sequence: 2 }, { sequence: 6 }]
    .map((options) => {
      using held = slot.hold(options);
      return held?.sequence;
    });
  assertEquals(numbers, [5, 3, 4, undefined, undefined]);
  assertThrows(
    () => slot.hold({ back: 3 }),
    RangeError,
    "'back' must be a whole number from 0 to 2",
  );
});

Deno.test("domain: more holds than there can be are an error that names the holders", () => {
  const { domain, slot, writer } = create({ holds: 2 });
  writer.send(filled(1));
  using _first = slot.hold();
  const other = Domain.attach(domain.handle, { member: 3 });
  const second = other.find("pose")!.hold()!;
  const before = Date.now();
  const error = assertThrows(
    () => slot.hold(),
    HoldLimitError,
    'slot "pose" as 2 can be held at once: member 0 since ',
  );
  const [since] = error.message.match(/(?<=member 3 since )\S+Z/)!;
  assert(Math.abs(Date.parse(since) - before) < 60_000, since);
  second.release();
  second.release();
  assert(second.isReleased);
  using third = slot.hold()!;
  assertEquals(third.sequence, 1);
});

Deno.test("domain: a slot without holds refuses them", () => {
  const { slot, writer } = create({ holds: 0 });
  writer.send(filled(1));
  assertThrows(() => slot.hold(), HoldLimitError, "as 0 can be held at once: none");
});

Deno.test("domain: a subscription holds its next message, or the last one", () => {
  const { domain, slot, writer } = create({ history: 3, holds: 2 });
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slot);
  assertEquals(subscription.holdNext(), undefined);
  for (let i = 1; i <= 5; i++) writer.send(filled(i));
  {
    using third = subscription.holdNext()!;
    assertEquals([third.sequence, subscription.missedBefore], [3, 2]);
    using fifth = subscription.holdLatest()!;
    assertEquals([fifth.sequence, subscription.missedBefore], [5, 1]);
    assertEquals(subscription.holdLatest(), undefined);
  }
  const { received, missed, unread } = subscription;
  assertEquals([received, missed, unread], [2, 3, 0]);
});
