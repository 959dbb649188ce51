/** Waiting for sets of slots on one thread: what a wait reports, and how it ends. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AnySubscription,
  Domain,
  DomainFullError,
  type Slot,
  type SlotOptions,
} from "@busbar/busbar/domain";
import { ClosedError } from "@busbar/busbar/memory";

const SLOT: SlotOptions = { messageBytes: 8, history: 4 };

function create(waiters = 4) {
  const domain = Domain.create({ slots: 4, members: 4, waiters, dataBytes: 64 * 1024 });
  const slots = ["a", "b", "c"].map((name) => domain.slot(name, SLOT));
  const writers = slots.map((slot) => slot.writer());
  const send = (slot: number, value = 0) => writers[slot]!.send(new Uint8Array([value]));
  return { domain, slots: slots as [Slot, Slot, Slot], writers, send };
}

/** The names of subscriptions that were reported. */
function names(found: readonly AnySubscription[] | undefined): string[] | undefined {
  return found?.map(({ name }) => name);
}

/** What is left of iterations and waiters in a domain. */
function leftovers(domain: Domain) {
  const { waiters, slots } = domain.inspect();
  return [waiters, ...slots.flatMap(({ subscribers }) => subscribers)];
}

Deno.test("domain: a wait reports each slot that has changed, and once", () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  for (const slot of slots) waiter.subscribe(slot);
  assertEquals(waiter.wait({ timeoutMs: 0 }), undefined);
  send(0);
  send(2);
  send(2);
  assertEquals(names(waiter.wait()), ["a", "c"]);
  // Ignored, and so no news.
  assertEquals(waiter.tryWait(), undefined);
  assertEquals(waiter.wait({ timeoutMs: 1 }), undefined);
  send(1);
  assertEquals(names(waiter.tryWait()), ["b"]);
});

Deno.test("domain: after one message was read, those after it are news", () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slots[0]);
  for (let i = 1; i <= 3; i++) send(0, i);
  const seen: number[] = [];
  for (let found = waiter.tryWait(); found !== undefined; found = waiter.tryWait()) {
    assert(found[0]!.next());
    seen.push(subscription.message()[0]!);
  }
  assertEquals(seen, [1, 2, 3]);
});

Deno.test("domain: a million messages that nobody reads are one change, and counted", () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slots[0]);
  for (let i = 0; i < 1_000_000; i++) send(0);
  assertEquals(names(waiter.wait()), ["a"]);
  assertEquals(waiter.tryWait(), undefined);
  let count = 0;
  while (subscription.next()) count++;
  assertEquals([count, subscription.received, subscription.missed], [4, 4, 999_996]);
});

Deno.test("domain: what is there already ends the first wait, as far as it was asked for", () => {
  const { domain, slots: [slot], send } = create();
  for (let i = 1; i <= 6; i++) send(0, i);
  for (const [history, expected] of [[0, []], [1, [6]], [3, [4, 5, 6]], [Infinity, [3, 4, 5, 6]]]) {
    using waiter = domain.waiter();
    const subscription = waiter.subscribe(slot, { history: history as number });
    assertEquals(names(waiter.wait({ timeoutMs: 0 })), history === 0 ? undefined : ["a"]);
    const seen: number[] = [];
    while (subscription.next()) seen.push(subscription.message()[0]!);
    assertEquals([seen, subscription.missed], [expected as number[], 0]);
  }
});

Deno.test("domain: the last message passes over those before it, which are missed", () => {
  const { domain, slots: [slot], send } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slot);
  assert(!subscription.latest());
  for (let i = 1; i <= 6; i++) send(0, i);
  assertEquals(subscription.unread, 6);
  assert(subscription.latest());
  const { missedBefore, missed, received, sequence, unread } = subscription;
  assertEquals([missedBefore, missed, received, sequence, unread], [5, 5, 1, 6, 0]);
  assert(!subscription.latest() && !subscription.next());
  assertEquals(waiter.tryWait(), undefined);
});

Deno.test("domain: a slot that is only reported does not end a wait", () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  waiter.subscribe(slots[0]);
  waiter.subscribe(slots[1], { wakes: false });
  send(1);
  assertEquals(waiter.wait({ timeoutMs: 1 }), undefined);
  send(0);
  assertEquals(names(waiter.wait()), ["a", "b"]);
  assertEquals(domain.inspect().slots.map(({ subscribers }) => subscribers.length), [1, 0, 0]);
});

Deno.test("domain: a closed slot is reported, after its last message, and then waits end", () => {
  const { domain, slots: [slot], send } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slot);
  send(0, 1);
  slot.close();
  assertEquals(names(waiter.wait()), ["a"]);
  assert(subscription.hasMessages && subscription.hasClosed && !subscription.isEnded);
  assert(subscription.next());
  assert(subscription.isEnded);
  assertEquals(waiter.wait(), undefined);
});

Deno.test("domain: a waiter that nothing can wake does not wait", async () => {
  const { domain, slots: [slot] } = create();
  using waiter = domain.waiter();
  assertEquals(waiter.wait(), undefined);
  const subscription = waiter.subscribe(slot);
  const waiting = waiter.waitAsync();
  subscription.close();
  assertEquals(await waiting, undefined);
});

Deno.test("domain: writers that join, leave and die are changes, if asked for", () => {
  const { domain, slots: [slot], writers: [writer] } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slot, { writers: true });
  assertEquals(waiter.tryWait(), undefined);
  writer!.close();
  assertEquals(names(waiter.wait()), ["a"]);
  assert(subscription.hasWriters && !subscription.hasMessages);
  assertEquals(subscription.presence, { joined: 1, left: 1, died: 0 });
  const other = Domain.attach(domain.handle, { member: 3 });
  other.find("a")!.writer();
  assertEquals(names(waiter.wait()), ["a"]);
  domain.reclaim(3);
  assertEquals(names(waiter.wait()), ["a"]);
  assertEquals(subscription.presence, { joined: 2, left: 1, died: 1 });
  assertEquals(waiter.tryWait(), undefined);
});

Deno.test("domain: a deadline that passes without a message is reported, again and again", () => {
  const { domain, slots: [slot, other], send } = create();
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(slot, { deadlineMs: 2 });
  waiter.subscribe(other);
  for (let i = 0; i < 2; i++) {
    assertEquals(names(waiter.wait()), ["a"]);
    assert(subscription.hasDeadlinePassed && !subscription.hasMessages);
  }
  send(0);
  assertEquals(names(waiter.wait()), ["a"]);
  assert(subscription.hasMessages && !subscription.hasDeadlinePassed);
  slot.close();
  assertEquals(names(waiter.wait()), ["a"]);
  assertEquals(waiter.wait({ timeoutMs: 5 }), undefined);
});

Deno.test("domain: options of a subscription are checked, and two of one slot refused", () => {
  const { domain, slots: [slot] } = create();
  using waiter = domain.waiter();
  assertThrows(() => waiter.subscribe(slot, { history: -1 }), RangeError, "'history' must be");
  assertThrows(() => waiter.subscribe(slot, { deadlineMs: 0 }), RangeError, "received 0");
  assertThrows(
    () => waiter.subscribe(create().slots[0]),
    TypeError,
    "must be a slot of the waiter's domain",
  );
  const subscription = waiter.subscribe(slot);
  assertThrows(() => waiter.subscribe(slot), Error, 'slot "a" as this waiter has');
  assertStrictEquals(waiter.subscriptions[0] as unknown, subscription);
  subscription.close();
  subscription.close();
  assertThrows(() => subscription.next(), ClosedError, "as the subscription was closed");
  waiter.subscribe(slot);
});

Deno.test("domain: more waiters than there can be are an error that names the members", () => {
  const { domain } = create(2);
  using _first = domain.waiter();
  using second = domain.waiter();
  assertThrows(() => domain.waiter(), DomainFullError, "as all 2 are in use, by members 0");
  second.close();
  second.close();
  using _third = domain.waiter();
});

Deno.test("domain: an asynchronous wait ends with a message, the time, an abort, or the waiter", async () => {
  const { domain, slots: [slot], send } = create();
  const waiter = domain.waiter();
  waiter.subscribe(slot);
  const waiting = waiter.waitAsync();
  send(0);
  assertEquals(names(await waiting), ["a"]);
  assertEquals(await waiter.waitAsync({ timeoutMs: 1 }), undefined);
  const reason = new Error("enough");
  const controller = new AbortController();
  const aborted = waiter.waitAsync({ signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  const closed = waiter.waitAsync();
  waiter.close();
  await assertRejects(() => closed, ClosedError, "as the waiter was closed");
  assertEquals(leftovers(domain), [0]);
});

Deno.test("domain: a publication wakes each of 70 waiters, and later those that are left", async () => {
  const { domain, slots: [slot, other], send } = create(70);
  const waiters = Array.from({ length: 70 }, () => domain.waiter());
  for (const [i, waiter] of waiters.entries()) {
    waiter.subscribe(slot);
    waiter.subscribe(other, { wakes: i % 2 === 0 });
  }
  for (let round = 0; round < 3; round++) {
    const waiting = waiters.map((waiter) => waiter.waitAsync());
    assert(domain.inspect().slots[0]!.subscribers.every(({ isWaiting }) => isWaiting));
    send(0);
    for (const found of await Promise.all(waiting)) assertEquals(names(found), ["a"]);
    for (const waiter of waiters.splice(3 * round, 9)) waiter.close();
  }
  const subscribers = domain.inspect().slots[0]!.subscribers.map(({ waiter }) => waiter);
  assertEquals(subscribers.length, 43);
  assertEquals(new Set(subscribers.map((waiter) => waiter >> 5)), new Set([0, 1, 2]));
});

Deno.test("domain: each change is reported to one of several tasks", async () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  for (const slot of slots) waiter.subscribe(slot);
  const tasks = [waiter.waitAsync(), waiter.waitAsync()];
  send(1);
  assertEquals(names(await Promise.race(tasks)), ["b"]);
  send(2);
  assertEquals((await Promise.all(tasks)).map(names).toSorted(), [["b"], ["c"]]);
});

Deno.test("domain: an iteration gets every message as it comes, and ends after the last", async () => {
  const { domain, slots: [slot], send } = create();
  const seen: number[] = [];
  const iterating = (async () => {
    for await (const message of slot.messages()) seen.push(message[0]!);
  })();
  for (let i = 1; i <= 3; i++) {
    send(0, i);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  send(0, 4);
  send(0, 5);
  slot.close();
  await iterating;
  assertEquals(seen, [1, 2, 3, 4, 5]);
  assertEquals(leftovers(domain), [0]);
  assertEquals(await Array.fromAsync(slot.messages({ history: 2 }), ([value]) => value), [4, 5]);
  assertEquals(await Array.fromAsync(slot), []);
});

Deno.test("domain: an iteration that is left, returned from or aborted leaves nothing behind", async () => {
  const { domain, slots: [slot], send } = create(1);
  send(0, 1);
  for (let times = 0; times < 3; times++) {
    for await (const [value] of slot.messages({ history: 1 })) {
      assertEquals(value, 1);
      break;
    }
    const iterator = slot.messages();
    const pending = iterator.next();
    assertEquals(await iterator.return(), { done: true, value: undefined });
    assertEquals(await pending, { done: true, value: undefined });
    const controller = new AbortController();
    const aborted = slot.messages({ signal: controller.signal }).next();
    controller.abort();
    await assertRejects(() => aborted, DOMException);
    const never = slot.messages();
    await never.throw(new RangeError()).catch(() => {});
    assertEquals(leftovers(domain), [0]);
  }
  assertThrows(() => slot.messages({ history: -1 }), RangeError);
  assertThrows(() => slot.messages({ timeoutMs: 1 } as object), TypeError, "'timeoutMs'");
  assertEquals(leftovers(domain), [0]);
});

Deno.test("domain: an iteration counts what was overwritten before it asked", async () => {
  const { slots: [slot], send } = create();
  const messages = slot.messages();
  for (let i = 1; i <= 10; i++) send(0, i);
  slot.close();
  assertEquals(await Array.fromAsync(messages, ([value]) => value), [7, 8, 9, 10]);
  assertEquals([messages.received, messages.missed], [4, 6]);
});

Deno.test("domain: messages of an iteration can be kept, or borrowed", async () => {
  const { slots: [slot], send } = create();
  for (let i = 1; i <= 3; i++) send(0, i);
  slot.close();
  const kept = await Array.fromAsync(slot.messages({ history: 3 }));
  assertEquals(kept.map(([value]) => value), [1, 2, 3]);
  const borrowed = await Array.fromAsync(slot.messages({ history: 3, borrow: true }));
  assertEquals(borrowed.map(([value]) => value), [3, 3, 3]);
});

Deno.test("domain: an iteration over changes goes on as slots are added, left and closed in it", async () => {
  const { domain, slots, send } = create();
  using waiter = domain.waiter();
  waiter.subscribe(slots[0]);
  send(0);
  const seen: string[] = [];
  for await (const subscription of waiter) {
    seen.push(subscription.name);
    if (subscription.name === "a" && seen.length === 1) {
      waiter.subscribe(slots[1], { history: 1 });
      waiter.subscribe(slots[2], { history: 1 });
      subscription.close();
      send(1);
      send(2);
    } else if (subscription.name === "b") {
      // Both are reported at once; the second is closed before its turn.
      waiter.subscriptions.find(({ name }) => name === "c")?.close();
      slots[1].close();
    }
    if (seen.length === 10) break;
  }
  assertEquals(seen, ["a", "b", "b"]);
});

Deno.test("domain: an iteration ends if its slot is closed inside of it", async () => {
  const { slots: [slot], send } = create();
  send(0, 1);
  send(0, 2);
  const seen: number[] = [];
  for await (const [value] of slot.messages({ history: 2 })) {
    slot.close();
    seen.push(value!);
  }
  assertEquals(seen, [1, 2]);
});

Deno.test("domain: an inspection shows everything, and rates since an earlier one", () => {
  const { domain, slots: [slot], writers: [writer], send } = create();
  const earlier = domain.inspect();
  for (let i = 0; i < 6; i++) send(0);
  using waiter = domain.waiter();
  waiter.subscribe(slot);
  using _held = slot.hold();
  writer!.claim();
  const inspection = domain.inspect();
  const [a] = inspection.slots;
  assertEquals([inspection.members, inspection.waiters], [[0], 1]);
  assertEquals(inspection.freeBytes, 64 * 1024 - 3 * Domain.plan(SLOT));
  assertEquals([a!.name, a!.messageBytes, a!.history], ["a", 8, 4]);
  assertEquals([a!.byteLength, a!.sequence, a!.kept], [Domain.plan(SLOT), 6, 4]);
  assertEquals(a!.subscribers, [{ waiter: 0, member: 0, isWaiting: false }]);
  assertEquals(a!.held.map(({ member }) => member), [0]);
  assertEquals(a!.openWriters.map(({ member, isOpen }) => [member, isOpen]), [[0, true]]);
  assert(Math.abs(a!.held[0]!.since - Date.now()) < 60_000);
  assert(!a!.isClosed);
  const later = { ...earlier, time: inspection.time - 2000 };
  assertEquals(inspection.ratesSince(later), new Map([["a", 3], ["b", 0], ["c", 0]]));
});
