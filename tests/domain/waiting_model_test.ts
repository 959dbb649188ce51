/**
 * Waiting for sets of slots under every schedule that matters: no wake-up is lost, whatever is
 * published, closed, subscribed and unsubscribed meanwhile; and broken twins. `models.ts` describes
 * the slots.
 */

import { assert, assertEquals } from "@std/assert";
import { Domain, type Waiter } from "@busbar/busbar/domain";
import { IDLE, WAITING } from "../../src/domain/layout.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { tampered } from "../tamper.ts";
import {
  close,
  domain,
  numberIn,
  open,
  type Seen,
  seenBy,
  SLOT,
  type State,
  unlessExhaustive,
  withWrong,
  wordsOf,
  write,
  writeUntilClosed,
} from "./models.ts";

const KEPT = { ...SLOT, history: 4 };
const PAIR = { s: KEPT, t: KEPT };

/** Subscribes to all slots of a domain, from their first messages on. */
function subscribe({ handle }: State, member: number, names: readonly string[]): Waiter {
  const domain = Domain.attach(handle, { member });
  const waiter = domain.waiter();
  for (const name of names) waiter.subscribe(domain.find(name)!, { history: Infinity });
  return waiter;
}

/** A thread that waits until it has so many messages of these slots. */
function receive(member: number, count: number, names: readonly string[] = ["s"]) {
  return (state: State): number[] => {
    const waiter = subscribe(state, member, names);
    const seen: number[] = [];
    while (seen.length < count) {
      for (const subscription of waiter.wait() ?? []) {
        while (subscription.next()) seen.push(numberIn(subscription.message()));
      }
    }
    return seen;
  };
}

/** As {@link receive}, without blocking. */
function receiveAsync(member: number, count: number, names: readonly string[] = ["s"]) {
  return async (state: State): Promise<number[]> => {
    const waiter = subscribe(state, member, names);
    const seen: number[] = [];
    while (seen.length < count) {
      for (const subscription of await waiter.waitAsync() ?? []) {
        while (subscription.next()) seen.push(numberIn(subscription.message()));
      }
    }
    return seen;
  };
}

/** A thread that waits until there will be no more. */
function receiveAll(member: number, names: readonly string[] = ["s"]) {
  return (state: State): Seen[] => {
    const waiter = subscribe(state, member, names);
    const seen: Seen[] = [];
    for (let found = waiter.wait(); found !== undefined; found = waiter.wait()) {
      for (const subscription of found) while (subscription.next()) seen.push(seenBy(subscription));
    }
    return seen;
  };
}

Deno.test("domain: a waiter is woken by every publication that it waits for", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: { writer: write(0, 2), waiter: receive(1, 2) },
    check: (_, { waiter }) => assertEquals(waiter, [1, 2]),
  });
});

Deno.test("domain: a task that awaits is woken by every publication", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: { writer: write(0, 2), waiter: receiveAsync(1, 2) },
    check: (_, { waiter }) => assertEquals(waiter, [1, 2]),
  });
});

Deno.test("domain: a waiter is woken by either of two slots", async () => {
  await passes({
    setup: domain(PAIR),
    threads: {
      first: write(0, 1),
      second: write(1, 1, { first: 2, name: "t" }),
      waiter: receive(2, 2, ["s", "t"]),
    },
    check: (_, { waiter }) => assertEquals(waiter.toSorted(), [1, 2]),
    ...unlessExhaustive(2),
  });
});

Deno.test("domain: two waiters are woken by one publication", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: { writer: write(0, 1), first: receive(1, 1), second: receive(2, 1) },
    check: (_, { first, second }) => assertEquals([first, second], [[1], [1]]),
  });
});

Deno.test("domain: a waiter gets everything, and then learns that the slot was closed", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer(state: State) {
        write(0, 2)(state);
        close(0)(state);
      },
      waiter: receiveAll(1),
    },
    check: (_, { waiter }) => assertEquals(waiter, [[1, 1], [2, 2]]),
    ...unlessExhaustive(3),
  });
});

Deno.test("domain: a waiter learns that its slots are closed, by whatever threads", async () => {
  await passes({
    setup: domain(PAIR),
    threads: { first: close(0), second: close(1, "t"), waiter: receiveAll(2, ["s", "t"]) },
    check: (_, { waiter }) => assertEquals(waiter, []),
  });
});

Deno.test("domain: an iteration ends after the last message, whenever the slot is closed", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer(state: State) {
        write(0, 2)(state);
        close(0)(state);
      },
      async iterating(state: State) {
        const seen: number[] = [];
        for await (const message of open(state, 1).messages({ history: 4 })) {
          seen.push(numberIn(message));
        }
        return seen;
      },
    },
    check({ handle }, { iterating }) {
      assertEquals(iterating, [1, 2]);
      assertEquals(Domain.attach(handle).inspect().waiters, 0);
    },
    ...unlessExhaustive(2),
  });
});

Deno.test("domain: whenever a slot is subscribed to, published in, and closed, waits end", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer: writeUntilClosed(0, 1),
      closer: close(1),
      waiter(state: State) {
        const domain = Domain.attach(state.handle, { member: 2 });
        using waiter = domain.waiter();
        const slot = domain.find("s")!;
        const first = waiter.subscribe(slot, { history: 1 });
        waiter.wait();
        while (first.next());
        first.close();
        const second = waiter.subscribe(slot, { history: 1 });
        while (waiter.wait() !== undefined);
        while (second.next());
        return [first.received, second.received];
      },
    },
    check({ handle }, { writer, waiter: [first, second] }) {
      assert(first! <= writer.length);
      assertEquals(second, writer.length, "what is there is the history of a new subscription");
      assertEquals(Domain.attach(handle).inspect().slots[0]!.subscribers, []);
    },
  });
});

Deno.test("domain: what is published as a thread subscribes is its history, or wakes it", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer: write(0, 2),
      waiter(state: State) {
        const domain = Domain.attach(state.handle, { member: 1 });
        using waiter = domain.waiter();
        const subscription = waiter.subscribe(domain.find("s")!);
        const start = subscription.sequence;
        while (subscription.sequence < 2) {
          waiter.wait();
          while (subscription.next()) assertEquals(seenBy(subscription)[1], subscription.sequence);
        }
        assertEquals(subscription.received, 2 - start);
        return start;
      },
    },
    check: ({ handle }) => assertEquals(Domain.attach(handle).inspect().slots[0]!.subscribers, []),
    reaches: {
      "all is published before": (_, { waiter }) => waiter === 2,
      "all is published after": (_, { waiter }) => waiter === 0,
    },
  });
});

Deno.test("domain: a thread that unsubscribes from one slot is woken by the other", async () => {
  await passes({
    setup: domain(PAIR),
    threads: {
      first: write(0, 1),
      second: write(1, 1, { name: "t" }),
      waiter(state: State) {
        const waiter = subscribe(state, 2, ["s", "t"]);
        waiter.tryWait();
        waiter.subscriptions[0]!.close();
        const [subscription] = waiter.subscriptions;
        while (!subscription!.next()) waiter.wait();
        return subscription!.received;
      },
    },
    check({ handle }, { waiter }) {
      assertEquals(waiter, 1);
      const counts = Domain.attach(handle).inspect().slots.map((slot) => slot.subscribers.length);
      assertEquals(counts, [0, 1]);
    },
  });
});

Deno.test("domain: a task that awaits is told of a slot that another task subscribes to", async () => {
  await passes({
    setup: domain(PAIR),
    threads: {
      writer: write(0, 1, { name: "t" }),
      async waiter({ handle }: State) {
        const domain = Domain.attach(handle, { member: 1 });
        const waiter = domain.waiter();
        waiter.subscribe(domain.find("s")!);
        const waiting = waiter.waitAsync();
        waiter.subscribe(domain.find("t")!, { history: 1 });
        return (await waiting)?.map(({ name }) => name);
      },
    },
    check: (_, { waiter }) => assertEquals(waiter, ["t"]),
  });
});

Deno.test("domain: a waiter that is used by one thread after the other loses nothing", async () => {
  await passesAtRandom({
    setup: domain(PAIR, 1),
    threads: {
      first: write(0, 2),
      second: write(1, 2, { name: "t", first: 3 }),
      waiter(state: State) {
        const seen: number[] = [];
        for (const name of ["s", "t"]) {
          const domain = Domain.attach(state.handle, { member: 2 });
          const waiter = domain.waiter();
          const subscription = waiter.subscribe(domain.find(name)!, { history: Infinity });
          while (subscription.sequence < 2) {
            waiter.wait();
            while (subscription.next()) seen.push(numberIn(subscription.message()));
          }
          domain.close();
        }
        return seen;
      },
    },
    check: (_, { waiter }) => assertEquals(waiter, [1, 2, 3, 4]),
  }, 1);
});

Deno.test("domain: a message that comes as a deadline passes is reported, then or later", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer: write(0, 1),
      waiter({ handle }: State) {
        const domain = Domain.attach(handle, { member: 1 });
        const waiter = domain.waiter();
        const subscription = waiter.subscribe(domain.find("s")!, { history: 1, deadlineMs: 5 });
        const reports: string[] = [];
        while (!subscription.next()) {
          assert(waiter.wait() !== undefined);
          assert(subscription.hasMessages !== subscription.hasDeadlinePassed);
          reports.push(subscription.hasMessages ? "message" : "deadline");
          if (reports.length > 2) break;
        }
        return reports;
      },
    },
    reaches: {
      "the deadline passes first": (_, { waiter }) => waiter[0] === "deadline",
      "the message comes first": (_, { waiter }) => waiter[0] === "message",
    },
  });
});

Deno.test("domain: a subscriber learns of a writer that joins and leaves", async () => {
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer: (state: State) => open(state, 0).writer().close(),
      waiter({ handle }: State) {
        const domain = Domain.attach(handle, { member: 1 });
        const waiter = domain.waiter();
        const subscription = waiter.subscribe(domain.find("s")!, { writers: true });
        while (subscription.presence.left === 0) waiter.wait();
        return subscription.presence;
      },
    },
    check: (_, { waiter }) => assertEquals(waiter, { joined: 1, left: 1, died: 0 }),
  });
});

Deno.test("domain: a burst wakes once, and nobody is notified who does not wait", async () => {
  // The signal is set back once for each time that the waiter set it.
  const [signal] = wordsOf(KEPT).signals;
  await passes({
    setup: domain({ s: KEPT }),
    threads: {
      writer(state: State) {
        let notified = 0;
        tampered(write(0, 3), (proper) => ({
          notify(view: Int32Array, index: number, count: number) {
            assertEquals(index, signal);
            notified++;
            return proper.notify(view, index, count);
          },
        }))(state);
        return notified;
      },
      waiter(state: State) {
        let marks = 0;
        withWrong(receive(1, 3), "exchange", (index, [value]) => {
          if (index === signal && value === WAITING) marks++;
          return false;
        }, () => 0)(state);
        return marks;
      },
    },
    ...unlessExhaustive(2),
    check: (_, { writer, waiter }) => assert(writer <= waiter, `${writer} > ${waiter}`),
    reaches: {
      "nobody is woken": (_, { writer }) => writer === 0,
      "a wake-up is needed": (_, { writer }) => writer > 0,
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

const { signals: [SIGNAL], wakeBits: WAKE_BITS, published: PUBLISHED } = wordsOf(KEPT);

Deno.test("broken twin: a publication that does not notify leaves a waiter asleep", async () => {
  const error = await fails("deadlock", {
    setup: domain({ s: KEPT }),
    threads: {
      writer: tampered(write(0, 1), () => ({ notify: () => 0 })),
      waiter: receive(1, 1),
    },
  });
  assert(error.message.includes("domain.waiter[0].signal"), error.message);
});

Deno.test("broken twin: a publication that looks for waiters first leaves one asleep", async () => {
  await fails("deadlock", {
    setup: domain({ s: KEPT }),
    threads: {
      // What it finds as it joins is what it goes by ever after.
      writer: (state: State) => {
        let first: number | undefined;
        return withWrong(
          write(0, 1),
          "load",
          (index) => index === SIGNAL || index === WAKE_BITS - 4,
          (proper, view, index) => first ??= proper.load(view, index),
        )(state);
      },
      waiter: receive(1, 1),
    },
  });
});

Deno.test("broken twin: a waiter that looks only before it marks its signal is not woken", async () => {
  await fails("deadlock", {
    setup: domain({ s: KEPT }),
    threads: {
      writer: write(0, 1),
      waiter: (state: State) => {
        let isMarked = false;
        return tampered(receive(1, 1), (proper) => ({
          exchange(view: Int32Array, index: number, value: number) {
            isMarked = true;
            return proper.exchange(view, index, value);
          },
          wait(view: Int32Array, index: number, value: number, timeout: number) {
            isMarked = false;
            return proper.wait(view, index, value, timeout);
          },
          load: (view: Int32Array, index: number) =>
            isMarked && index === PUBLISHED ? 0 : proper.load(view, index),
        }))(state);
      },
    },
  });
});

Deno.test("broken twin: a waiter that looks before it subscribes is not woken", async () => {
  await fails("deadlock", {
    setup: domain({ s: KEPT }),
    threads: {
      writer: write(0, 1),
      // Its bit is set only as it falls asleep.
      waiter: (state: State) => {
        let late: (() => void) | undefined;
        return tampered(receive(1, 1), (proper) => ({
          or(view: Int32Array, index: number, value: number) {
            const before = late;
            late = () => {
              before?.();
              proper.or(view, index, value);
            };
            return 0;
          },
          wait(view: Int32Array, index: number, value: number, timeout: number) {
            late?.();
            late = undefined;
            return proper.wait(view, index, value, timeout);
          },
        }))(state);
      },
    },
  });
});

Deno.test("broken twin: a close that does not wake leaves a waiter asleep", async () => {
  await fails("deadlock", {
    setup: domain({ s: KEPT }),
    threads: {
      closer: tampered(close(0), () => ({ notify: () => 0 })),
      waiter: receiveAll(1),
    },
  });
});

Deno.test("broken twin: an iteration that looks for the end last loses the last message", async () => {
  await fails("assertion", {
    setup: domain({ s: KEPT }),
    threads: {
      writer(state: State) {
        write(0, 1)(state);
        close(0)(state);
      },
      waiter(state: State) {
        const waiter = subscribe(state, 1, ["s"]);
        const [subscription] = waiter.subscriptions;
        let count = 0;
        for (;;) {
          while (subscription!.next()) count++;
          // Between the two looks a message may come.
          if (open(state, 2).isClosed) return count;
          waiter.wait();
        }
      },
    },
    check: (_, { waiter }) => assertEquals(waiter, 1),
  });
});

Deno.test("broken twin: a signal that is set back by a store wakes nobody the next time", async () => {
  await fails(["deadlock", "livelock"], {
    setup: domain({ s: { ...KEPT, writers: 2 } }),
    threads: {
      // It stores after it has looked, whatever came in between, and does not notify.
      first: withWrong(
        write(0, 1),
        "compareExchange",
        (index) => index === SIGNAL,
        (proper, view, index) => {
          proper.store(view, index, IDLE);
          return IDLE;
        },
      ),
      waiter: receive(1, 1),
    },
  });
});
