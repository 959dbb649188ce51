/** Arguments that are of the wrong kind, and iterations that are left early. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type AnySubscription, Domain } from "@busbar/busbar/domain";
import { ClosedError, ReclaimedError } from "@busbar/busbar/memory";

function create() {
  const domain = Domain.create({ slots: 2, members: 2, waiters: 2, dataBytes: 64 * 1024 });
  const slot = domain.slot("a", { messageBytes: 8, history: 4 });
  const other = domain.slot("b", { messageBytes: 8, history: 4 });
  return { domain, slot, other, writer: slot.writer(), otherWriter: other.writer() };
}

const WRONG = [1.5, NaN, 1n, "1", null] as unknown as number[];

Deno.test("domain: a number of a message that is not whole is refused, not rounded", () => {
  const { slot, writer } = create();
  writer.send(new Uint8Array([1]));
  const reader = slot.reader();
  for (const sequence of WRONG) {
    assertThrows(() => reader.at(sequence), RangeError, "'sequence' must be a whole number");
    assertThrows(() => slot.hold({ sequence }), RangeError, "'sequence' must be a whole number");
  }
  assertThrows(() => slot.hold({ sequence: 1, back: 0 }), TypeError, "must be left out");
  assertEquals(reader.at(0), false);
});

Deno.test("domain: a length that is not whole is refused, and the claim stays as it was", () => {
  const { slot, writer } = create();
  for (const length of WRONG) {
    assertThrows(() => writer.claim(length), RangeError, "'byteLength' must be a whole number");
    assert(!writer.isOpen);
  }
  writer.claim();
  for (const length of WRONG) {
    assertThrows(() => writer.publish(length), RangeError, "'byteLength' must be a whole number");
    assert(writer.isOpen);
  }
  assertEquals(writer.publish(3), 1);
  const reader = slot.reader();
  assert(reader.latest());
  assertEquals(reader.length, 3);
});

Deno.test("domain: a bad deadline leaves no subscription behind", () => {
  const { domain, slot } = create();
  using waiter = domain.waiter();
  for (const deadlineMs of [5n, "5", NaN, 0, null] as unknown as number[]) {
    assertThrows(() => waiter.subscribe(slot, { deadlineMs }), RangeError, "'deadlineMs' must be");
  }
  assertEquals(domain.inspect().slots[0]!.subscribers, []);
  assertEquals(waiter.subscriptions, []);
});

Deno.test("domain: what an iteration found and did not hand over is news for the next wait", async () => {
  const { domain, slot, other, writer, otherWriter } = create();
  using waiter = domain.waiter();
  waiter.subscribe(slot);
  const unread = waiter.subscribe(other);
  writer.send(new Uint8Array([1]));
  otherWriter.send(new Uint8Array([2]));
  for await (const subscription of waiter) {
    assertEquals(subscription.name, "a");
    break;
  }
  assertEquals(names(waiter.tryWait()), ["b"]);
  assertEquals(waiter.tryWait(), undefined);

  // Unless it was read meanwhile.
  writer.send(new Uint8Array([3]));
  otherWriter.send(new Uint8Array([4]));
  for await (const _ of waiter) {
    while (unread.next());
    break;
  }
  assertEquals(waiter.tryWait(), undefined);
});

Deno.test("domain: an iteration that is left as its wait ends loses no news", async () => {
  const { domain, slot, writer } = create();
  using waiter = domain.waiter();
  waiter.subscribe(slot);
  const waitAsync = waiter.waitAsync.bind(waiter);
  waiter.waitAsync = async (options) => {
    const found = await waitAsync(options);
    await changes.return();
    return found;
  };
  const changes = waiter.changes();
  const pending = changes.next();
  writer.send(new Uint8Array([1]));
  assertEquals((await pending).done, true);
  // Its wait ends after it.
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(names(waiter.tryWait()), ["a"]);
});

Deno.test("domain: a member that there is not is refused at once, not when it is needed", () => {
  const { domain } = create();
  for (const member of [2, -1, 0.5]) {
    assertThrows(() => Domain.attach(domain.handle, { member }), RangeError, "'member' must be");
  }
});

Deno.test("domain: a thread that was taken for dead closes all it has, waits too", async () => {
  const { domain } = create();
  const dead = Domain.attach(domain.handle);
  const slot = dead.slot("b", { messageBytes: 8, history: 4 });
  domain.slot("b", { messageBytes: 8, history: 4 });
  const waiter = dead.waiter();
  const other = dead.waiter();
  waiter.subscribe(slot);
  other.subscribe(slot);
  const waits = [waiter, other].map((waiter) => waiter.waitAsync({ timeoutMs: 60_000 }));
  const ends = Promise.all(waits.map((wait) => assertRejects(() => wait, ClosedError)));
  domain.reclaim(dead.member);
  assertThrows(() => dead.close(), ReclaimedError);
  await ends;
});

function names(found: readonly AnySubscription[] | undefined): string[] | undefined {
  return found?.map(({ name }) => name);
}
