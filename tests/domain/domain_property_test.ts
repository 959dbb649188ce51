/** The domain on one thread beside a plain map of lists, whatever is called. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Domain,
  type HeldMessage,
  HoldLimitError,
  SlotClosedError,
  type SlotOptions,
  type SlotWriter,
  type Subscription,
} from "@busbar/busbar/domain";

const NAMES = ["a", "b", "c"] as const;
type Name = typeof NAMES[number];

const OPTIONS: Readonly<Record<Name, Required<Omit<SlotOptions, "record">>>> = {
  a: { messageBytes: 5, history: 1, holds: 1, writers: 1 },
  b: { messageBytes: 40, history: 3, holds: 2, writers: 2 },
  c: { messageBytes: 700, history: 8, holds: 0, writers: 1 },
};

/** What is known of a slot. */
interface Known {
  readonly messages: Uint8Array[];
  isClosed: boolean;
  held: [HeldMessage, Uint8Array][];
}

/** What is known of a subscription. */
interface KnownSubscription {
  readonly subscription: Subscription;
  readonly name: Name;
  readonly wakes: boolean;
  seen: number;
  received: number;
  missed: number;
  /** How many messages, and whether the end, a wait has reported. */
  reported: number;
  hasReportedEnd: boolean;
}

const name = fc.constantFrom(...NAMES);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("send" as const), name, fill: fc.nat(700) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("abort" as const), name, fill: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("back" as const), name, fill: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("at" as const), name, fill: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hold" as const), name, fill: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("release" as const), name, fill: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("subscribe" as const), name, fill: fc.nat(9) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("next" as const), name, fill: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("latest" as const), name, fill: fc.nat(3) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), name, fill: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), name, fill: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), name, fill: fc.nat(3) }) },
);

function messageOf(length: number, number: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => number * 13 + i);
}

Deno.test("domain: it is a map of lists whose ends can be read, held and waited for", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const dataBytes = NAMES.reduce((sum, name) => sum + Domain.plan(OPTIONS[name]), 0);
      using domain = Domain.create({ slots: 3, members: 1, waiters: 1, dataBytes });
      const slots = new Map(NAMES.map((name) => [name, domain.slot(name, OPTIONS[name])]));
      const readers = new Map(NAMES.map((name) => [name, slots.get(name)!.reader()]));
      const writers = new Map(NAMES.map((name): [Name, SlotWriter[]] => [
        name,
        Array.from({ length: OPTIONS[name].writers }, () => slots.get(name)!.writer()),
      ]));
      const known = new Map<Name, Known>(
        NAMES.map((name) => [name, { messages: [], isClosed: false, held: [] }]),
      );
      const waiter = domain.waiter();
      const subscriptions = new Map<Name, KnownSubscription>();

      const hasNews = ({ name, reported, hasReportedEnd }: KnownSubscription) =>
        known.get(name)!.messages.length !== reported ||
        (known.get(name)!.isClosed && !hasReportedEnd);

      /** Reads the next message, or the last one. */
      const read = (subscribed: KnownSubscription, isLast: boolean) => {
        const { subscription, name } = subscribed;
        const { messages } = known.get(name)!;
        const isFound = isLast ? subscription.latest() : subscription.next();
        assertEquals(isFound, subscribed.seen < messages.length);
        if (!isFound) return;
        const first = Math.max(subscribed.seen + 1, messages.length - OPTIONS[name].history + 1);
        const number = isLast ? messages.length : first;
        subscribed.missed += number - subscribed.seen - 1;
        assertEquals(subscription.missedBefore, number - subscribed.seen - 1);
        subscribed.received++;
        subscribed.seen = subscribed.reported = number;
        assertEquals(subscription.message(), messages[number - 1]);
      };

      for (const now of steps) {
        const slot = slots.get(now.name)!;
        const reader = readers.get(now.name)!;
        const { messages, isClosed, held } = known.get(now.name)!;
        const { messageBytes, history, holds } = OPTIONS[now.name];
        const all = writers.get(now.name)!;
        const writer = all[now.fill % all.length]!;
        const subscribed = subscriptions.get(now.name);
        const isKept = (number: number) =>
          number >= 1 && number <= messages.length && number > messages.length - history;
        switch (now.do) {
          case "send": {
            const message = messageOf(now.fill % (messageBytes + 1), messages.length);
            if (isClosed) {
              assertThrows(() => writer.send(message), SlotClosedError);
            } else {
              assertEquals(writer.send(message), messages.push(message));
            }
            break;
          }
          case "abort":
            if (isClosed) break;
            writer.bytes[writer.claim(now.fill)] = 99;
            writer.abort();
            break;
          case "back": {
            if (now.fill >= history) break;
            const number = messages.length - now.fill;
            assertEquals(reader.back(now.fill), number >= 1);
            if (number >= 1) assertEquals(reader.message(), messages[number - 1]);
            break;
          }
          case "at":
            assertEquals(reader.at(now.fill), isKept(now.fill));
            if (isKept(now.fill)) assertEquals(reader.message(), messages[now.fill - 1]);
            break;
          case "hold": {
            const back = now.fill % history;
            if (!isKept(messages.length - back)) {
              assertEquals(slot.hold({ back }), undefined);
            } else if (held.length === holds) {
              assertThrows(() => slot.hold({ back }), HoldLimitError);
            } else {
              const message = slot.hold({ back })!;
              assertEquals(message.sequence, messages.length - back);
              held.push([message, messages[message.sequence - 1]!]);
            }
            break;
          }
          case "release": {
            const [first] = held.splice(now.fill % Math.max(1, held.length), 1);
            first?.[0].release();
            break;
          }
          case "subscribe": {
            if (subscribed !== undefined) break;
            const wakes = now.fill % 2 === 0;
            const subscription = waiter.subscribe(slot, { history: now.fill, wakes });
            const seen = messages.length - Math.min(messages.length, history, now.fill);
            subscriptions.set(now.name, {
              subscription,
              name: now.name,
              wakes,
              seen,
              received: 0,
              missed: 0,
              reported: seen,
              hasReportedEnd: false,
            });
            break;
          }
          case "next":
          case "latest":
            if (subscribed !== undefined) read(subscribed, now.do === "latest");
            break;
          case "wait": {
            const listed = [...subscriptions.values()];
            const isWoken = listed.some((one) => one.wakes && hasNews(one));
            const expected = isWoken ? listed.filter(hasNews) : [];
            const found = waiter.tryWait() ?? [];
            assertEquals(found.map(({ name }) => name), expected.map(({ name }) => name));
            for (const one of expected) {
              const { messages, isClosed } = known.get(one.name)!;
              assertEquals(one.subscription.hasMessages, messages.length !== one.reported);
              assertEquals(one.subscription.hasClosed, isClosed && !one.hasReportedEnd);
              one.reported = messages.length;
              one.hasReportedEnd = isClosed;
            }
            break;
          }
          case "leave":
            subscribed?.subscription.close();
            subscriptions.delete(now.name);
            break;
          case "close":
            slot.close();
            known.get(now.name)!.isClosed = true;
            break;
        }
        for (const [message, content] of held) assertEquals([...message.bytes], [...content]);
        for (const { subscription, seen, received, missed } of subscriptions.values()) {
          assertEquals(
            [subscription.sequence, subscription.received, subscription.missed],
            [seen, received, missed],
          );
        }
        assertEquals([slot.sequence, slot.isClosed], [
          messages.length,
          known.get(now.name)!.isClosed,
        ]);
      }
      const { slots: inspected } = domain.inspect();
      for (const { name, sequence, held } of inspected) {
        const { messages, held: expected } = known.get(name as Name)!;
        assertEquals([sequence, held.length], [messages.length, expected.length]);
      }
      assert(domain.inspect().waiters === 1);
    }),
    { numRuns: 300 },
  );
});
