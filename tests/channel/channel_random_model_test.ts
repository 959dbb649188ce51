/**
 * Random programs of senders, receivers and a thread that closes, under random schedules: whatever
 * they call, every message that was sent is received once, in its sender's order, and no thread
 * waits in vain.
 *
 * More of them: `deno test tests/channel/channel_random_model_test.ts -- 500`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ChannelClosedError } from "@busbar/busbar/channel";
import fc from "fast-check";
import { passesAtRandom } from "../verdicts.ts";
import { attach, BLOCKING, channelOf, NEAR_WRAP, sorted, type State } from "./models.ts";

const RUNS = Number(Deno.args[0] ?? 15);

/** What a sender does next. */
type Sending =
  | { do: "send" | "trySend" | "timed" | "awaited" | "aborted" }
  | { do: "all"; count: number };

/** What a receiver does next. */
type Receiving = { do: "receive" | "timed" | "awaited" | "borrow" } | { do: "some"; count: number };

/** Performs a program; returns what it has sent. Ends early if the channel is closed. */
const send = (steps: readonly Sending[], place: number) => async (state: State) => {
  const sender = attach(state).sender({ ...BLOCKING, place });
  const sent: number[] = [];
  let next = 100 * place;
  try {
    for (const step of steps) {
      if (step.do === "all") {
        const values = Array.from({ length: step.count }, () => next++);
        try {
          sent.push(...values.slice(0, sender.sendAll(values)));
        } catch (error) {
          if (!(error instanceof ChannelClosedError)) throw error;
          sent.push(...values.slice(0, error.sent));
          break;
        }
        continue;
      }
      const value = next++;
      if (step.do === "aborted") {
        if (sender.tryClaim() > 0) sender.abort();
      } else if (
        step.do === "send"
          ? sender.send(value)
          : step.do === "trySend"
          ? sender.trySend(value)
          : step.do === "timed"
          ? sender.send(value, { timeoutMs: 5 })
          : await sender.sendAsync(value)
      ) {
        sent.push(value);
      }
    }
  } catch (error) {
    if (!(error instanceof ChannelClosedError)) throw error;
  }
  sender.close();
  return sent;
};

/** Performs a program, and then receives until the end. */
const receive = (steps: readonly Receiving[], place: number) => async (state: State) => {
  const receiver = attach(state).receiver({ ...BLOCKING, place });
  const received: number[] = [];
  const add = (value: number | undefined) => {
    if (value !== undefined) received.push(value);
  };
  for (const step of steps) {
    if (step.do === "receive") add(receiver.receive());
    else if (step.do === "timed") add(receiver.receive({ timeoutMs: 5 }));
    else if (step.do === "awaited") add(await receiver.receiveAsync());
    else if (step.do === "some") received.push(...receiver.receiveSome(step.count));
    else {
      const borrowed = receiver.borrow();
      if (borrowed !== undefined) {
        add(new DataView(borrowed.bytes.slice().buffer).getInt32(0, true));
        borrowed.release();
      }
    }
  }
  while (!receiver.hasEnded) add(receiver.receive());
  receiver.close();
  return received;
};

const sending: fc.Arbitrary<Sending> = fc.oneof(
  fc.record({
    do: fc.constantFrom<("send" | "trySend" | "timed" | "awaited" | "aborted")[]>(
      "send",
      "trySend",
      "timed",
      "awaited",
      "aborted",
    ),
  }),
  fc.record({ do: fc.constant("all" as const), count: fc.integer({ min: 1, max: 3 }) }),
);
const receiving: fc.Arbitrary<Receiving> = fc.oneof(
  fc.record({
    do: fc.constantFrom<("receive" | "timed" | "awaited" | "borrow")[]>(
      "receive",
      "timed",
      "awaited",
      "borrow",
    ),
  }),
  fc.record({ do: fc.constant("some" as const), count: fc.integer({ min: 1, max: 3 }) }),
);

Deno.test("channel: random programs under random schedules lose and reorder nothing", async () => {
  const programs = (step: fc.Arbitrary<Sending>) =>
    fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 2 });
  const receivers = fc.array(fc.array(receiving, { maxLength: 3 }), {
    minLength: 1,
    maxLength: 2,
  });
  const options = fc.record({
    capacity: fc.constantFrom(1, 2, 4),
    redeliver: fc.boolean(),
    closesEarly: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      programs(sending),
      receivers,
      options,
      fc.integer(),
      async (sending, receiving, { capacity, redeliver, closesEarly }, seed) => {
        const setup = channelOf({
          capacity,
          redeliver,
          senders: sending.length,
          receivers: receiving.length,
          start: NEAR_WRAP,
          closeWithLastSender: true,
        });
        const threads: Record<string, (state: State) => Promise<number[]> | number[]> = {
          ...Object.fromEntries(sending.map((steps, i) => [`s${i}`, send(steps, i)])),
          ...Object.fromEntries(receiving.map((steps, i) => [`r${i}`, receive(steps, i)])),
        };
        if (closesEarly) {
          threads.closer = (state) => {
            attach(state).close();
            return [];
          };
        }
        await passesAtRandom({
          setup,
          threads,
          check(state, results) {
            const of = (side: string) =>
              Object.entries(results as Record<string, number[]>)
                .filter(([name]) => name.startsWith(side)).map(([, values]) => values);
            const sent = of("s");
            const received = of("r");
            assertEquals(sorted(...received), sorted(...sent));
            if (redeliver) return;
            for (const values of received) {
              for (const place of [0, 1]) {
                const own = values.filter((value) => Math.floor(value / 100) === place);
                assertEquals(own, sorted(own), "the messages of a sender are out of order");
              }
            }
            assert(attach(state).inspect().depth === 0);
          },
        }, seed);
      },
    ),
    { numRuns: RUNS },
  );
});
