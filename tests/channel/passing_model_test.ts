/**
 * Messages under every schedule that matters: each is received once, in the order of its sender,
 * and no thread sleeps beside room or a message; and broken twins. `models.ts` describes the
 * channels.
 */

import { assertEquals } from "@std/assert";
import { record, type Specification } from "@busbar/busbar/model";
import { MEMBER_LINES, SENDER_LINE, WAITING, WAKE } from "../../src/channel/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import {
  attach,
  channelOf,
  NEAR_WRAP,
  receive,
  receiverOf,
  rest,
  send,
  senderOf,
  sorted,
  type State,
} from "./models.ts";

Deno.test("channel: a receiver gets what was sent, and a sender waits for room", async () => {
  await passes({
    setup: channelOf({ senders: 1, receivers: 1 }),
    threads: { sender: send([1, 2]), receiver: receive(2) },
    check: (_, { receiver }) => assertEquals(receiver, [1, 2]),
  });
  await passes({
    setup: channelOf({}),
    threads: { sender: send([1, 2]), receiver: receive(2) },
    check: (_, { receiver }) => assertEquals(receiver, [1, 2]),
    preemptions: 3,
  });
});

Deno.test("channel: the same as positions wrap, in one cell and in several", async () => {
  for (const [capacity, members] of [[1, 1], [2, 1], [1, 2], [2, 2], [256, 2]] as const) {
    await passes({
      setup: channelOf({
        capacity,
        senders: members,
        receivers: members,
        start: NEAR_WRAP + 1,
      }),
      threads: { sender: send([1, 2]), receiver: receive(2) },
      check: (_, { receiver }) => assertEquals(receiver, [1, 2]),
      preemptions: 2,
    });
  }
});

Deno.test("channel: two senders fill different cells", async () => {
  await passes({
    setup: channelOf({ capacity: 2 }),
    threads: { first: send([1]), second: send([2], 1) },
    check: (state) => assertEquals(sorted(rest(state)), [1, 2]),
  });
});

Deno.test("channel: of two receivers each gets another message", async () => {
  await passes({
    setup: channelOf({ capacity: 2 }, { sent: [1, 2] }),
    threads: { first: receive(1), second: receive(1, 1) },
    check: (_, { first, second }) => assertEquals(sorted(first, second), [1, 2]),
  });
});

Deno.test("channel: two senders wait for room, and get it", async () => {
  await passes({
    setup: channelOf({}, { sent: [1] }),
    threads: { first: send([2]), second: send([3], 1), receiver: receive(3) },
    check: (_, { receiver }) => assertEquals(sorted(receiver), [1, 2, 3]),
    preemptions: 1,
  });
});

Deno.test("channel: two receivers wait for messages, and get them", async () => {
  await passes({
    setup: channelOf({ capacity: 2 }),
    threads: { first: receive(1), second: receive(1, 1), sender: send([1, 2]) },
    check: (_, { first, second }) => assertEquals(sorted(first, second), [1, 2]),
    preemptions: 1,
  });
});

Deno.test("channel: many to many, each message once, in the order of its sender", async () => {
  await passesAtRandom({
    setup: channelOf({ capacity: 2, start: NEAR_WRAP }),
    threads: {
      a: send([1, 2, 3]),
      b: send([11, 12, 13], 1),
      c: receive(3),
      d: receive(3, 1),
    },
    check(_, { c, d }) {
      assertEquals(sorted(c, d), [1, 2, 3, 11, 12, 13]);
      for (const received of [c, d]) {
        const low = received.filter((value) => value < 10);
        const high = received.filter((value) => value > 10);
        assertEquals([low, high], [sorted(low), sorted(high)], "out of order");
      }
    },
  }, 1);
});

Deno.test("channel: batches of both", async () => {
  for (const members of [1, 2]) await passes(batches(members));
});

function batches(members: number) {
  return {
    setup: channelOf({
      capacity: 2,
      start: NEAR_WRAP + 1,
      senders: members,
      receivers: members,
    }),
    threads: {
      sender: (state: State) => senderOf(state).sendAll([1, 2, 3, 4]),
      receiver(state: State) {
        const receiver = receiverOf(state);
        const received: number[] = [];
        while (received.length < 4) received.push(...receiver.receiveSome(2));
        return received;
      },
    },
    check(_: State, { sender, receiver }: { sender: number; receiver: number[] }) {
      assertEquals([sender, receiver], [4, [1, 2, 3, 4]]);
    },
    preemptions: 2,
  };
}

Deno.test("channel: cells that are claimed in place, and messages that are taken in place", async () => {
  await passes({
    setup: channelOf({ capacity: 2 }),
    threads: {
      sender(state: State) {
        const sender = senderOf(state);
        const words = new Int32Array(sender.bytes.buffer);
        for (let value = 1; value <= 3;) {
          const count = sender.claim(2);
          for (let i = 0; i < count; i++) {
            words[(sender.bytes.byteOffset + sender.offset(i)) / 4] = value++;
          }
          sender.publish(4);
        }
      },
      receiver(state: State) {
        const receiver = receiverOf(state);
        const words = new Int32Array(receiver.bytes.buffer);
        const received: number[] = [];
        while (received.length < 3) {
          const count = receiver.take(2);
          for (let i = 0; i < count; i++) {
            received.push(words[(receiver.bytes.byteOffset + receiver.offset(i)) / 4]!);
          }
          receiver.release();
        }
        return received;
      },
    },
    check: (_, { receiver }) => assertEquals(receiver.slice(0, 3), [1, 2, 3]),
    preemptions: 1,
  });
});

Deno.test("channel: a cell that is given up is passed, and makes room", async () => {
  await passes({
    setup: channelOf({}),
    threads: {
      aborting(state: State) {
        const sender = senderOf(state, 1);
        if (sender.tryClaim() > 0) sender.abort();
      },
      sender: send([1, 2]),
      receiver: receive(2),
    },
    check: (_, { receiver }) => assertEquals(receiver, [1, 2]),
    preemptions: 1,
  });
});

Deno.test("channel: senders and receivers that await are woken", async () => {
  await passes({
    setup: channelOf({ senders: 1, receivers: 1 }),
    threads: {
      async sender(state: State) {
        const sender = senderOf(state);
        for (const value of [1, 2]) await sender.sendAsync(value);
      },
      async receiver(state: State) {
        const receiver = receiverOf(state);
        return [await receiver.receiveAsync(), await receiver.receiveAsync()];
      },
    },
    check: (_, { receiver }) => assertEquals(receiver, [1, 2]),
    preemptions: 2,
  });
});

Deno.test("channel: a thread that looks for a while finds what comes", async () => {
  await passes({
    setup: channelOf({ senders: 1, receivers: 1 }),
    threads: {
      sender: (state: State) => attach(state).sender().send(1),
      receiver: (state: State) => attach(state).receiver().receive(),
    },
    check: (_, { receiver }) => assertEquals(receiver, 1),
    preemptions: 2,
  });
});

Deno.test("channel: senders get room in the order in which they began to wait", async () => {
  await passes({
    setup: channelOf({ senders: 3 }, { sent: [1] }),
    threads: {
      first: send([2]),
      second(state: State) {
        // Once the first is in line.
        while (attach(state).inspect().waitingSenders === 0) Atomics.pause();
        senderOf(state, 1).send(3);
      },
      receiver(state: State) {
        while (attach(state).inspect().waitingSenders < 2) Atomics.pause();
        const receiver = receiverOf(state);
        return [receiver.receive(), receiver.receive(), receiver.receive()];
      },
    },
    check: (_, { receiver }) => assertEquals(receiver, [1, 2, 3]),
    preemptions: 1,
  });
});

/** A queue of limited length: a call that would wait is not made. */
const queue: Specification<readonly number[]> = {
  initial: [],
  apply(values, name, [value]) {
    if (name === "send") return [[...values, value as number], null];
    return [values.slice(1), values[0] ?? null];
  },
};

Deno.test("channel: sending and receiving are linearizable, as of a plain queue", async () => {
  const sending = (value: number, place: number) => (state: State) => {
    const sender = senderOf(state, place);
    record("send", [value], () => {
      sender.send(value);
      return null;
    });
  };
  const receiving = (place: number) => (state: State) => {
    const receiver = receiverOf(state, place);
    record("receive", [], () => receiver.receive()!);
  };
  const models = [
    { a: sending(1, 0), b: sending(2, 1), c: receiving(0) },
    { a: sending(1, 0), b: receiving(0), c: receiving(1), d: sending(2, 1) },
  ];
  await passes({
    setup: channelOf({ capacity: 2 }),
    threads: models[0]!,
    linearizable: queue,
    preemptions: 1,
  });
  await passesAtRandom({
    setup: channelOf({ capacity: 2 }),
    threads: models[1]!,
    linearizable: queue,
  }, 2);
});

// --- broken twins -----------------------------------------------------------------------------

const silent = () => ({ notify: () => 0 });

Deno.test("broken twin: a sender that does not notify leaves the receiver asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({}),
    threads: { sender: tampered(send([1]), silent), receiver: receive(1) },
  });
});

Deno.test("broken twin: a receiver that does not notify leaves the sender asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({}),
    threads: { sender: send([1, 2]), receiver: tampered(receive(2), silent) },
  });
});

Deno.test("broken twin: a waiter that looks at the cells before it gets in line sleeps on", async () => {
  await fails("deadlock", {
    setup: channelOf({}, { sent: [1] }),
    threads: {
      sender: tampered(send([2]), ({ or }) => ({
        // Never: as if it looked once more before that, in vain, and paused.
        or: (view: Int32Array, index: number, bits: number) =>
          index === SENDER_LINE + WAITING ? 0 : or(view, index, bits),
      })),
      receiver: receive(2),
    },
  });
});

Deno.test("broken twin: a waiter that clears its wake word after it has looked sleeps on", async () => {
  await fails("deadlock", {
    setup: channelOf({}, { sent: [1] }),
    threads: {
      sender: tampered(send([2]), ({ store, wait }) => ({
        store: (view: Int32Array, index: number, value: number) =>
          index === MEMBER_LINES + WAKE ? value : store(view, index, value),
        wait(view: Int32Array, index: number, value: number, timeoutMs: number) {
          store(view, index, value);
          return wait(view, index, value, timeoutMs);
        },
      })),
      receiver: receive(2),
    },
  });
});

Deno.test("broken twin: a claim by a load and a store gives one cell to two senders", async () => {
  await fails(["data race", "assertion", "exception"], {
    setup: channelOf({ capacity: 2 }),
    threads: { first: tampered(send([1]), plainClaim), second: send([2], 1) },
    check: (state) => assertEquals(sorted(rest(state)), [1, 2]),
  });
});

Deno.test("broken twin: a message that is taken by a load and a store goes to two receivers", async () => {
  await fails(["data race", "assertion", "exception"], {
    setup: channelOf({ capacity: 2 }, { sent: [1, 2] }),
    threads: { first: tampered(receive(1), plainClaim), second: receive(1, 1) },
    check: (_, { first, second }) => assertEquals(sorted(first, second), [1, 2]),
  });
});

Deno.test("broken twin: a cell that is published before it is written is a race", async () => {
  await fails(["data race", "assertion"], {
    setup: channelOf({ capacity: 2 }),
    threads: {
      sender(state: State) {
        const sender = senderOf(state);
        sender.claim();
        sender.publish(4);
        sender.bytes[sender.offset(0)] = 1;
      },
      receiver: receive(1),
    },
    check: (_, { receiver }) => assertEquals(receiver, [1]),
  });
});

Deno.test("broken twin: a waiter that leaves without waking the next one leaves it asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({ capacity: 2 }),
    threads: {
      // It wakes nobody once it has its message, though there is another one.
      first: tampered(receive(1), silent),
      second: receive(1, 1),
      sender: (state: State) => senderOf(state).sendAll([1, 2]),
    },
  });
});

/** A compareExchange in two steps. */
function plainClaim({ load, store }: Pick<typeof Atomics, "load" | "store">) {
  return {
    compareExchange(view: Int32Array, index: number, before: number, after: number): number {
      const found = load(view, index);
      if (found === before) store(view, index, after);
      return found;
    },
  };
}
