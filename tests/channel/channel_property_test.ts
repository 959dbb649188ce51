/** A channel on one thread beside a plain queue, whatever is called. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Channel, ChannelClosedError, textCodec } from "@busbar/busbar/channel";
import { BufferPool } from "@busbar/busbar/pool";

const CAPACITY = 4;
const LONG = 500;

const step = fc.oneof(
  fc.record({
    do: fc.constant("send" as const),
    by: fc.integer({ min: 0, max: 1 }),
    count: fc.integer({ min: 1, max: 6 }),
    length: fc.constantFrom(0, 3, 64, LONG),
  }),
  fc.record({ do: fc.constant("abort" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    do: fc.constantFrom("receive", "take", "borrow", "giveBack", "die"),
    by: fc.integer({ min: 0, max: 1 }),
    count: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({ do: fc.constant("close" as const) }),
);

const CASES = [false, true].flatMap((isPooled) => [1, 2].map((members) => ({ isPooled, members })));

for (const { isPooled, members } of CASES) {
  const what = isPooled ? "with long messages" : "with short ones";
  Deno.test(`channel: whatever ${members} a side call, it is a queue, ${what}`, () => {
    fc.assert(fc.property(fc.array(step, { minLength: 30, maxLength: 90 }), (steps) => {
      const pool = isPooled
        ? BufferPool.create({ bufferBytes: LONG, batchCount: 8, buffersPerBatch: 1 })
        : undefined;
      const channel = Channel.create({
        capacity: CAPACITY,
        codec: textCodec,
        inlineBytes: 64,
        redeliver: true,
        senders: members,
        receivers: members,
        pool,
        start: 2 ** 32 - 20,
      });
      const senders = Array.from({ length: members }, () => channel.sender());
      const receivers = Array.from({ length: members }, () => channel.receiver());
      /** What was sent and not received for good, in order; and what each receiver has. */
      let queue: string[] = [];
      const given: string[] = [];
      const held: string[][] = [[], []];
      let number = 0;
      let isClosed = false;
      const release = (by: number) => held[by] = [];
      /** What a receiver had is to be received again: in its place, or else before all other. */
      const giveBack = (by: number) => {
        if (members === 1) queue.unshift(...held[by]!);
        else given.push(...held[by]!);
        given.sort((a, b) => parseInt(a) - parseInt(b));
        release(by);
      };
      const expected = (count: number): string[] => {
        // Messages that were given back come first, one at a time.
        if (given.length > 0) return given.splice(0, 1);
        const taken = queue.slice(0, count);
        queue = queue.slice(count);
        return taken;
      };
      for (const now of steps) {
        if (now.do === "close") {
          channel.close();
          isClosed = true;
        } else if (now.do === "abort") {
          if (isClosed) continue;
          // Only where nothing lies between: it takes room until a receiver passes it.
          if (queue.length + given.length + held[0]!.length + held[1]!.length > 0) continue;
          senders[0]!.tryClaim(now.count);
          senders[0]!.abort();
          assertEquals(receivers[0]!.tryReceive(), undefined);
          release(0);
        } else if (now.do === "send") {
          const length = isPooled ? now.length : Math.min(now.length, 64);
          const texts = Array.from(
            { length: now.count },
            (_, i) => `${number + i}`.padEnd(length, "."),
          );
          if (isClosed) {
            assertThrows(() => senders[now.by % members]!.trySendAll(texts), ChannelClosedError);
            continue;
          }
          const inUse = queue.length + given.length + held[0]!.length + held[1]!.length;
          const sent = senders[now.by % members]!.trySendAll(texts);
          if (held[0]!.length + held[1]!.length + given.length === 0) {
            assertEquals(sent, Math.min(texts.length, CAPACITY - inUse));
          }
          queue.push(...texts.slice(0, sent));
          number += sent;
        } else {
          const by = now.by % members;
          const receiver = receivers[by]!;
          if (now.do === "receive" || now.do === "take") {
            release(by);
            const got = now.do === "receive"
              ? receiver.tryReceiveSome(now.count)
              : viewsOf(receiver, receiver.tryTake(now.count));
            if (got.length === 0) assertEquals([queue, given], [[], []]);
            // A piece ends at a message that was given back.
            const wanted = expected(got.length);
            assertEquals(got, wanted);
            held[by]!.push(...got);
            const isEnd = isClosed && got.length === 0;
            // The end takes a cell: it may not be found while others have some.
            const areOthersDone = (held[1 - by] ?? []).length === 0;
            if (areOthersDone) assertEquals(receiver.hasEnded, isEnd);
            else assert(isEnd || !receiver.hasEnded);
          } else if (now.do === "borrow") {
            release(by);
            using borrowed = receiver.tryBorrow();
            if (borrowed === undefined) assertEquals([queue, given], [[], []]);
            else assertEquals(textOf(borrowed.bytes), expected(1)[0]);
          } else if (now.do === "giveBack") {
            receiver.giveBack();
            giveBack(by);
          } else {
            assertEquals(channel.reclaimReceiver(receiver.place), held[by]!.length);
            giveBack(by);
            receivers[by] = channel.receiver({ place: by });
          }
        }
      }
      channel.close();
      const left: string[] = [];
      for (const receiver of receivers) receiver.release();
      const last = receivers[0]!;
      for (let text = last.tryReceive(); text !== undefined; text = last.tryReceive()) {
        left.push(text);
      }
      assertEquals(left.toSorted(), [...given, ...queue].toSorted());
      assertEquals(channel.inspect().depth, 0);
      if (pool !== undefined) assertEquals(pool.usage().inUse, 0);
    }));
  });
}

function viewsOf(
  receiver: { view(index: number): Uint8Array },
  count: number,
): string[] {
  return Array.from({ length: count }, (_, i) => textOf(receiver.view(i)));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.slice());
}
