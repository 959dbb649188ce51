/**
 * Threads that die at each of their operations, under every schedule that matters: what they had is
 * reclaimed, at most one message is lost or delivered again, and is counted; everyone else goes on.
 */

import { assert, assertEquals } from "@std/assert";
import type { Channel } from "@busbar/busbar/channel";
import { awaitDeath, explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { diesAfter, VISIBLE_OPERATIONS } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails } from "../verdicts.ts";
import {
  attach,
  channelOf,
  receiveAll,
  receiverOf,
  rest,
  send,
  senderOf,
  sorted,
  type State,
} from "./models.ts";

/** Visits every schedule, within a bound if one is given; returns how many there are. */
async function count<T extends Threads<State>>(model: ExploreOptions<State, T>): Promise<number> {
  const isBounded = model.preemptions !== undefined;
  const report = await explore({ clock: "virtual", allowIncomplete: isBounded, ...model });
  assert(report.complete || (isBounded && report.reason?.includes("preemptions")), report.reason);
  return report.executions;
}

/** Runs a model for each life that a thread can have, until it lives to its end. */
async function forEachLife(
  model: (life: number) => Promise<{ executions: number; hasDied: boolean }>,
): Promise<number> {
  let sum = 0;
  for (let life = 0;; life++) {
    const { executions, hasDied } = await model(life);
    sum += executions;
    if (!hasDied) return sum;
  }
}

/** Fails unless the channel has room for as many messages as ever. */
function checkRoom(channel: Channel<number>): void {
  const sender = channel.sender();
  const values = Array.from({ length: channel.capacity }, () => 0);
  assertEquals(sender.trySendAll(values), channel.capacity, "a cell is gone");
}

Deno.test("channel: wherever a sender dies, what it wrote is passed, and others go on", async () => {
  let executions = 0;
  for (const [capacity, members] of [[1, 1], [1, 3], [2, 3]] as const) {
    executions += await forEachLife(async (life) => {
      let hasDied = false;
      const executions = await count({
        setup: channelOf({ capacity, senders: members, receivers: members }),
        threads: {
          dying(state: State): boolean {
            const died = diesAfter(life, () => send([1])(state), VISIBLE_OPERATIONS);
            const channel = attach(state);
            if (died && channel.inspect().senders > 0) reclaimIfThere(channel, "sender");
            channel.close();
            return died;
          },
          receiver: receiveAll(),
        },
        check(state, { dying, receiver }) {
          hasDied ||= dying;
          const { lost, depth } = attach(state).inspect();
          assertEquals(depth, 0);
          assert(receiver.length + lost <= 1, `received ${receiver}, lost ${lost}`);
          if (!dying) assertEquals(receiver, [1]);
        },
        preemptions: 2,
      });
      return { executions, hasDied };
    });
  }
  assert(executions > 500, `${executions}`);
});

/** Reclaims the member at place 0, which may have died before it was there. */
function reclaimIfThere(channel: Channel<number>, side: "sender" | "receiver"): void {
  try {
    if (side === "sender") channel.reclaimSender(0);
    else channel.reclaimReceiver(0);
  } catch (error) {
    assert((error as Error).message.includes("not attached"), `${error}`);
  }
}

Deno.test("channel: wherever a sender dies, another one that waits gets room", async () => {
  const executions = await forEachLife(async (life) => {
    let hasDied = false;
    const executions = await count({
      setup: channelOf({ senders: 3, receivers: 3 }),
      threads: {
        dying(state: State): boolean {
          // Without a wait, so that it does not die asleep, which is nothing else.
          const died = diesAfter(life, () => void senderOf(state).trySend(1), VISIBLE_OPERATIONS);
          if (died) reclaimIfThere(attach(state), "sender");
          return died;
        },
        living: send([7], 1),
        receiver(state: State): number[] {
          const receiver = receiverOf(state);
          const first = receiver.receive()!;
          return first === 7 ? [7] : [first, receiver.receive()!];
        },
      },
      check(state, { dying, receiver }) {
        hasDied ||= dying;
        assert(receiver.includes(7));
        const left = rest(state);
        assert(left.length + receiver.length + attach(state).inspect().lost <= 2);
      },
      preemptions: 1,
    });
    return { executions, hasDied };
  });
  assert(executions > 500, `${executions}`);
});

Deno.test("channel: wherever a sender that waits dies, the others get their room", async () => {
  const executions = await forEachLife(async (life) => {
    let hasDied = false;
    const executions = await count({
      setup: channelOf({ senders: 3, receivers: 3 }, { sent: [1] }),
      threads: {
        dying(state: State): boolean {
          const died = diesAfter(
            life,
            () => void senderOf(state).send(2, { timeoutMs: 5 }),
            VISIBLE_OPERATIONS,
          );
          if (died) reclaimIfThere(attach(state), "sender");
          return died;
        },
        living: send([7], 1),
        receiver(state: State): number[] {
          const receiver = receiverOf(state);
          const received: number[] = [];
          while (!received.includes(7)) received.push(receiver.receive()!);
          return received;
        },
      },
      check(state, { dying, receiver }) {
        hasDied ||= dying;
        assertEquals(receiver[0], 1);
        const left = rest(state);
        assert(left.length + receiver.length + attach(state).inspect().lost <= 3);
      },
      preemptions: 1,
    });
    return { executions, hasDied };
  });
  assert(executions > 500, `${executions}`);
});

for (const redeliver of [false, true]) {
  const what = redeliver ? "delivered again" : "lost";
  Deno.test(`channel: wherever a receiver dies, at most one message is ${what}`, async () => {
    let executions = 0;
    for (const [capacity, members] of [[1, 1], [2, 1], [1, 3], [2, 3]] as const) {
      executions += await forEachLife(async (life) => {
        let hasDied = false;
        const executions = await count({
          setup: channelOf({ capacity, redeliver, senders: members, receivers: members }),
          threads: {
            sender: send([1, 2]),
            dying(state: State): { died: boolean; received: number[]; after: number[] } {
              const received: number[] = [];
              const died = diesAfter(life, () => {
                const receiver = receiverOf(state);
                received.push(receiver.receive()!);
                receiver.release();
                receiver.close();
              }, VISIBLE_OPERATIONS);
              const channel = attach(state);
              if (died) reclaimIfThere(channel, "receiver");
              // Another one goes on until it has the last one, which the dead one never had.
              const receiver = receiverOf(state);
              const after: number[] = [];
              while (!after.includes(2)) after.push(receiver.receive()!);
              receiver.release();
              receiver.close();
              return { died, received, after };
            },
          },
          check(state, { dying: { died, received, after } }) {
            hasDied ||= died;
            const channel = attach(state);
            const { lost, redelivered } = channel.inspect();
            const all = sorted(received, after, rest(state));
            if (redeliver) {
              assertEquals([...new Set(all)], [1, 2], "a message is lost");
              assert(all.length <= 3 && lost === 0, `received ${all}`);
              assert(redelivered >= all.length - 2, "it is not counted");
            } else {
              assert(all.length + lost <= 3 && redelivered === 0, `received ${all}, lost ${lost}`);
              assertEquals([...new Set(all)], all, "a message is delivered twice");
              if (!died) assertEquals([all, lost], [[1, 2], 0]);
            }
          },
          preemptions: 1,
        });
        return { executions, hasDied };
      });
    }
    assert(executions > 500, `${executions}`);
  });
}

Deno.test("channel: a thread that reclaims may die, too", async () => {
  for (const side of ["sender", "receiver"] as const) {
    const executions = await forEachLife(async (life) => {
      let hasDied = false;
      const executions = await count({
        setup() {
          const state = channelOf({ capacity: 2, redeliver: true, receivers: 3 }, { sent: [1] })();
          if (side === "sender") senderOf(state).claim();
          else receiverOf(state).receive();
          return state;
        },
        threads: {
          reclaiming(state: State): boolean {
            const channel = attach(state);
            const died = diesAfter(life, () => reclaimIfThere(channel, side));
            if (died) reclaimIfThere(channel, side);
            channel.close();
            return died;
          },
          receiver: receiveAll(1),
        },
        check(state, { reclaiming, receiver }) {
          hasDied ||= reclaiming;
          assertEquals([receiver, rest(state)], [[1], []]);
        },
        preemptions: 2,
      });
      return { executions, hasDied };
    });
    assert(executions > 100, `${executions}`);
  }
});

Deno.test("channel: after a death there is room for as many messages as ever", async () => {
  for (const capacity of [1, 2]) {
    for (const side of ["sender", "receiver"] as const) {
      await forEachLife((life) => {
        const state = channelOf({ capacity, senders: 3, receivers: 3 })();
        if (side === "receiver") attach(state).sender().trySendAll([1, 2]);
        const hasDied = diesAfter(life, () => {
          if (side === "sender") senderOf(state, 2).trySend(1);
          else receiverOf(state).tryReceive();
        });
        const channel = attach(state);
        if (hasDied) {
          if (side === "receiver") reclaimIfThere(channel, side);
          else if (channel.inspect().senders > 0) channel.reclaimSender(2);
        }
        const receiver = channel.receiver({ place: 2 });
        while (receiver.tryReceive() !== undefined);
        checkRoom(channel);
        return Promise.resolve({ executions: 1, hasDied });
      });
    }
  }
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a sender that is not reclaimed stops the channel", async () => {
  await fails("deadlock", {
    setup: channelOf({ capacity: 2 }),
    threads: {
      dying: (state: State) => void senderOf(state).claim(),
      living: send([7], 1),
      receiver: (state: State) => receiverOf(state).receive(),
    },
  });
});

/** A message that a dead receiver has, which another one gets only if it is reclaimed as here. */
const reclaimedWith = (wrong: Parameters<typeof tampered>[1]) => ({
  setup() {
    const state = channelOf({ redeliver: true }, { sent: [1] })();
    receiverOf(state).receive();
    return state;
  },
  threads: {
    reclaiming: tampered((state: State) => void attach(state).reclaimReceiver(0), wrong),
    receiver: (state: State) => receiverOf(state, 1).receive(),
  },
});

Deno.test("broken twin: a thread that reclaims in silence leaves a receiver asleep", async () => {
  await fails("deadlock", reclaimedWith(() => ({ notify: () => 0 })));
});

Deno.test("broken twin: orphans that are not counted are not found", async () => {
  await fails("deadlock", reclaimedWith(() => ({ add: () => 0 })));
});

Deno.test("channel: wherever a task that sends dies, also as it awaits room, it is reclaimed", async () => {
  const seen = new Set<number>();
  const executions = await count({
    setup: channelOf({ capacity: 1, senders: 1, receivers: 1 }, { sent: [1] }),
    mortal: ["dying"],
    threads: {
      async dying(state: State) {
        await senderOf(state).sendAsync(2);
      },
      repair(state: State) {
        awaitDeath("dying");
        const channel = attach(state);
        if (channel.inspect().senders > 0) reclaimIfThere(channel, "sender");
        channel.close();
      },
      receiver: receiveAll(),
    },
    check(state, { receiver }) {
      const { lost, depth } = attach(state).inspect();
      assertEquals(depth, 0);
      assertEquals(receiver[0], 1);
      assert(receiver.length + lost <= 2, `received ${receiver}, lost ${lost}`);
      seen.add(receiver.length);
    },
    preemptions: 2,
  });
  assertEquals([...seen].sort(), [1, 2]);
  assert(executions > 500, `${executions}`);
});

Deno.test("channel: wherever a task that receives dies, at most one message is lost", async () => {
  const seen = new Set<number>();
  const executions = await count({
    setup: channelOf({ capacity: 2, senders: 1, receivers: 2 }),
    mortal: ["dying"],
    threads: {
      async dying(state: State) {
        await receiverOf(state).receiveAsync();
      },
      sender: send([1, 2]),
      repair(state: State) {
        awaitDeath("dying");
        const channel = attach(state);
        if (channel.inspect().receivers > 0) reclaimIfThere(channel, "receiver");
      },
    },
    check(state) {
      const left = rest(state);
      const { lost } = attach(state).inspect();
      seen.add(left.length);
      assert(left.length + lost >= 1 && lost <= 1, `left ${left}, lost ${lost}`);
      assertEquals(left, left.toSorted());
    },
    preemptions: 2,
  });
  assertEquals([...seen].sort(), [1, 2]);
  assert(executions > 500, `${executions}`);
});
