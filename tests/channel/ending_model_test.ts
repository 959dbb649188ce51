/**
 * The end of a channel, and of waits, under every schedule that matters: what was sent is received,
 * no thread waits on, and a wait that gives up takes no wake-up with it; and broken twins.
 */

import { assert, assertEquals } from "@std/assert";
import { ChannelClosedError } from "@busbar/busbar/channel";
import { END, STATE_MASK } from "../../src/channel/layout.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import {
  attach,
  channelOf,
  receive,
  receiveAll,
  receiverOf,
  rest,
  send,
  senderOf,
  sorted,
  type State,
} from "./models.ts";

/** Sends until the channel is closed; returns what was sent. */
function sendUntilClosed(values: readonly number[], place = 0) {
  return (state: State): number[] => {
    const sender = senderOf(state, place);
    const sent: number[] = [];
    try {
      for (const value of values) {
        sender.send(value);
        sent.push(value);
      }
    } catch (error) {
      if (!(error instanceof ChannelClosedError)) throw error;
    }
    return sent;
  };
}

const close = (state: State): void => attach(state).close();

Deno.test("channel: what was sent before the end is received, and nothing else", async () => {
  for (const [capacity, members] of [[1, 1], [1, 2], [2, 2]] as const) {
    await passes({
      setup: channelOf({ capacity, senders: members, receivers: members }),
      threads: { sender: sendUntilClosed([1, 2]), receiver: receiveAll(), closer: close },
      check: (_, { sender, receiver }) => assertEquals(receiver, sender),
      preemptions: 2,
    });
  }
});

Deno.test("channel: a sender that waits for room is refused once it closes", async () => {
  await passes({
    setup: channelOf({}, { sent: [1] }),
    threads: { sender: sendUntilClosed([2]), closer: close, other: close },
    check(state, { sender }) {
      assertEquals([sender, rest(state)], [[], [1]]);
    },
  });
});

Deno.test("channel: the end reaches all receivers", async () => {
  for (const capacity of [1, 2]) {
    await passes({
      setup: channelOf({ capacity }, { sent: [1] }),
      threads: { first: receiveAll(), second: receiveAll(1), closer: close },
      check: (_, { first, second }) => assertEquals([...first, ...second], [1]),
      preemptions: 2,
    });
  }
});

Deno.test("channel: the end reaches those that await", async () => {
  await passes({
    setup: channelOf({}, { sent: [1] }),
    threads: {
      async sender(state: State) {
        try {
          return await senderOf(state).sendAsync(2);
        } catch (error) {
          return error instanceof ChannelClosedError;
        }
      },
      async receiver(state: State) {
        const received: number[] = [];
        for await (const value of receiverOf(state)) received.push(value);
        return received;
      },
      closer: close,
    },
    check(_, { sender, receiver }) {
      assert(sender);
      assert(`${receiver}` === "1" || `${receiver}` === "1,2", `${receiver}`);
    },
    preemptions: 2,
  });
});

Deno.test("channel: what is claimed as it closes is waited for, published or given up", async () => {
  for (
    const [end, members] of [["publish", 2], ["abort", 2], ["publish", 1], ["abort", 1]] as const
  ) {
    await passes({
      setup: channelOf({ senders: members, receivers: members }),
      threads: {
        sender(state: State) {
          const sender = senderOf(state);
          try {
            sender.claim();
          } catch {
            return 0;
          }
          sender.bytes.fill(0, sender.offset(0), sender.offset(0) + 4);
          if (end === "abort") {
            sender.abort();
            return 0;
          }
          try {
            sender.publish(4);
            return 1;
          } catch (error) {
            // What one of several has claimed is waited for.
            assert(members === 1 && error instanceof ChannelClosedError, `${error}`);
            return 0;
          }
        },
        receiver: receiveAll(),
        closer: close,
      },
      check: (_, { sender, receiver }) => assertEquals(receiver.length, sender),
      preemptions: 2,
    });
  }
});

Deno.test("channel: it closes with its last sender, if it was created so", async () => {
  const sendAndLeave = (value: number, place: number) => (state: State) => {
    const sender = senderOf(state, place);
    sender.send(value);
    sender.close();
  };
  await passes({
    setup() {
      const state = channelOf({ capacity: 2, closeWithLastSender: true })();
      // Both are there from the beginning, so that neither is the last one too early.
      for (const place of [0, 1]) attach(state).sender({ place });
      return state;
    },
    threads: {
      first: leaving(0),
      second: leaving(1),
      receiver: receiveAll(),
    },
    check: (_, { receiver }) => assertEquals(sorted(receiver), []),
    preemptions: 2,
  });
  await passes({
    setup: channelOf({ closeWithLastSender: true, senders: 1 }),
    threads: { sender: sendAndLeave(1, 0), receiver: receiveAll() },
    check: (_, { receiver }) => assertEquals(receiver, [1]),
  });
});

/** Leaves, as a sender that was attached before. */
function leaving(place: number) {
  return (state: State): void => {
    attach(state).reclaimSender(place);
  };
}

Deno.test("channel: a receiver whose time is over leaves its wake-up to the next", async () => {
  await passes({
    setup: channelOf({ capacity: 2, receivers: 3 }),
    threads: {
      timed: (state: State) => receiverOf(state).receive({ timeoutMs: 5 }),
      patient: receive(1, 1),
      sender: send([1, 2]),
    },
    check(state, { timed, patient }) {
      assertEquals(sorted(timed === undefined ? [] : [timed], patient, rest(state)), [1, 2]);
    },
    preemptions: 1,
  });
});

Deno.test("channel: a sender whose time is over leaves its room to the next", async () => {
  await passes({
    setup: channelOf({}, { sent: [1] }),
    threads: {
      timed: (state: State) => senderOf(state).send(2, { timeoutMs: 5 }),
      patient: send([3], 1),
      receiver: receive(2),
    },
    check(state, { timed, receiver }) {
      assertEquals(sorted(receiver, rest(state)), timed ? [1, 2, 3] : [1, 3]);
    },
    preemptions: 1,
  });
});

Deno.test("channel: an aborted wait leaves its wake-up to the next", async () => {
  await passes({
    setup: channelOf({ capacity: 2, receivers: 3 }),
    threads: {
      async aborted(state: State) {
        const controller = new AbortController();
        const receiving = receiverOf(state).receiveAsync({ signal: controller.signal });
        controller.abort(new Error("enough"));
        return await receiving.catch(() => undefined);
      },
      patient: receive(1, 1),
      sender: send([1, 2]),
    },
    check(state, { aborted, patient }) {
      assertEquals(sorted(aborted === undefined ? [] : [aborted], patient, rest(state)), [1, 2]);
    },
    preemptions: 1,
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a receiver that does not seal the end loses a message", async () => {
  await fails("assertion", {
    setup: channelOf({}),
    threads: {
      sender: sendUntilClosed([1]),
      closer: close,
      receiver: tampered(receiveAll(), ({ compareExchange, load }) => {
        let sealed = -1;
        return {
          compareExchange(view: Int32Array, index: number, before: number, after: number) {
            if ((after & STATE_MASK) !== END) return compareExchange(view, index, before, after);
            sealed = index;
            return before;
          },
          load: (view: Int32Array, index: number) =>
            index === sealed ? load(view, index) | END : load(view, index),
        };
      }),
    },
    check: (_, { sender, receiver }) => assertEquals(receiver, sender),
  });
});

Deno.test("broken twin: a close that does not notify leaves a receiver asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({}),
    threads: { receiver: receiveAll(), closer: tampered(close, () => ({ notify: () => 0 })) },
  });
});

Deno.test("broken twin: a close that only notifies leaves a receiver asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({}),
    threads: { receiver: receiveAll(), closer: tampered(close, () => ({ or: () => 0 })) },
  });
});

Deno.test("broken twin: a cell that is given up in silence leaves a receiver asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({}),
    threads: {
      aborting: tampered((state: State) => {
        const sender = senderOf(state);
        try {
          sender.claim();
        } catch {
          return;
        }
        sender.abort();
      }, () => ({ notify: () => 0 })),
      receiver: receiveAll(),
      closer: close,
    },
  });
});

Deno.test("broken twin: a receiver that gives up in silence leaves the next one asleep", async () => {
  await fails("deadlock", {
    setup: channelOf({ capacity: 2 }),
    threads: {
      timed: tampered(
        (state: State) => void receiverOf(state).receive({ timeoutMs: 5 }),
        () => ({ notify: () => 0 }),
      ),
      patient: receive(1, 1),
      sender: (state: State) => senderOf(state).sendAll([1, 2]),
    },
  });
});
