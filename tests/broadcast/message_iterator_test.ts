/** Iteration over messages: ends that come at once, several pending calls, and other tasks. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Broadcast, OverrunError, Reassembler, type WriterOptions } from "@busbar/busbar/broadcast";

function make(capacityBytes = 1024, options?: WriterOptions) {
  const broadcast = Broadcast.create({ capacityBytes });
  const writer = broadcast.writer(options);
  const reader = broadcast.reader();
  const send = (value: number) => writer.send(new Uint8Array([value]), { userValue: value });
  return { broadcast, writer, reader, send };
}

const pause = (ms = 2) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Both ways to iterate. */
const kinds = {
  "a reader": ({ reader }: ReturnType<typeof make>) => reader,
  "a reassembler": ({ reader }: ReturnType<typeof make>) => Reassembler.create(reader),
};

for (const [kind, sourceOf] of Object.entries(kinds)) {
  Deno.test(`${kind}: return() ends pending calls at once, and loses no message`, async () => {
    const ring = make();
    const source = sourceOf(ring);
    const messages = source.messages();
    const waiting = [messages.next(), messages.next()];
    await pause();
    assertEquals(await messages.return(), { done: true, value: undefined });
    for (const next of waiting) assertEquals(await next, { done: true, value: undefined });
    ring.send(7);
    assertEquals(await messages.next(), { done: true, value: undefined });
    const next = await source.messages().next();
    assertEquals([...next.value!], [7]);
  });

  Deno.test(`${kind}: throw() ends pending calls at once`, async () => {
    const ring = make();
    const messages = sourceOf(ring).messages();
    const waiting = messages.next();
    await pause();
    await assertRejects(() => messages.throw(new Error("enough")), Error, "enough");
    assertEquals(await waiting, { done: true, value: undefined });
    assertEquals(await messages.return(), { done: true, value: undefined });
  });

  Deno.test(`${kind}: several messages asked for at once are several messages`, async () => {
    for (const borrow of [false, true]) {
      for (const published of ["before", "after", "one by one"]) {
        const ring = make();
        const { broadcast, send } = ring;
        const reader = broadcast.reader({ batchBytes: 16 });
        const source = sourceOf({ ...ring, reader });
        if (published === "before") [1, 2, 3].forEach(send);
        const messages = source.messages({ borrow });
        const seen: number[][] = [];
        const asked = [1, 2, 3].map(() =>
          messages.next().then(({ value }) => seen.push([value![0]!, source.userValue]))
        );
        await pause();
        for (const value of published === "before" ? [] : [1, 2, 3]) {
          send(value);
          if (published === "one by one") await pause();
        }
        await Promise.all(asked);
        assertEquals(seen, [[1, 1], [2, 2], [3, 3]], `${published}, ${borrow}`);
      }
    }
  });

  Deno.test(`${kind}: an aborted signal ends the iteration, and loses no message`, async () => {
    const ring = make();
    const source = sourceOf(ring);
    const controller = new AbortController();
    const messages = source.messages(controller);
    const waiting = [messages.next(), messages.next()];
    await pause();
    ring.send(1);
    await pause();
    controller.abort(new Error("enough"));
    assertEquals([...(await waiting[0]!).value!], [1]);
    await assertRejects(() => waiting[1]!, Error, "enough");
    assertEquals((await messages.next()).done, true);
    ring.send(2);
    assertEquals([...(await source.messages().next()).value!], [2]);
    const late = source.messages(controller);
    await assertRejects(() => late.next(), Error, "enough");
    assertEquals((await late.next()).done, true);
  });

  Deno.test(`${kind}: messages are copies, unless they are asked for as views`, async () => {
    const ring = make();
    const source = sourceOf(ring);
    const collect = async (options: { borrow?: boolean }) => {
      const all: Uint8Array[] = [];
      for await (const message of source.messages(options)) {
        all.push(message);
        if (all.length === 3) break;
      }
      return all.map((message) => message[0]);
    };
    for (const borrow of [false, true]) {
      const collecting = collect({ borrow });
      for (const value of [1, 2, 3]) {
        await pause();
        ring.send(value);
      }
      assertEquals(await collecting, borrow ? [3, 3, 3] : [1, 2, 3]);
    }
  });

  Deno.test(`${kind}: timers and messages of other threads come while there are always messages`, async () => {
    const ring = make(4096);
    const source = sourceOf(ring);
    ring.send(0);
    let count = 0;
    const timer = pause(1).then(() => count);
    const { port1, port2 } = new MessageChannel();
    const heard = new Promise<void>((resolve) => port1.onmessage = () => resolve());
    port2.postMessage("");
    await assertRejects(
      async () => {
        for await (const _ of source.messages({ signal: AbortSignal.timeout(5) })) {
          if (++count === 3_000_000) throw new Error("the abort never came");
          ring.send(count & 255);
        }
      },
      DOMException,
      "timeout",
    );
    assert(await timer <= count);
    await heard;
    port1.close();
  });
}

Deno.test("an overrun ends all pending calls of an iteration, and another iteration continues", async () => {
  const { reader, send } = make(256);
  const messages = reader.messages();
  for (let i = 0; i < 40; i++) send(i);
  const asked = [messages.next(), messages.next()];
  await assertRejects(() => asked[0]!, OverrunError);
  assertEquals((await asked[1]!).done, true);
  const again = await reader.messages().next();
  assertEquals(again.value![0]! + 0, reader.lostMessages);
});

Deno.test("two iterations over one reader share its messages", async () => {
  const { reader, send } = make();
  const [first, second] = [reader.messages(), reader.messages()];
  const asked = [first.next(), second.next(), first.next(), second.next()];
  for (let i = 0; i < 4; i++) send(i);
  const seen = (await Promise.all(asked)).map(({ value }) => value![0]!);
  assertEquals(seen.toSorted(), [0, 1, 2, 3]);
});

Deno.test("an iteration is an async iterator of the platform: for await, using, fromAsync, a stream", async () => {
  const { reader, send } = make();
  const controller = new AbortController();
  for (let i = 0; i < 3; i++) send(i);
  {
    await using messages = reader.messages();
    assertEquals([...(await messages.next()).value!], [0]);
  }
  const stream = ReadableStream.from(reader.messages(controller)).getReader();
  assertEquals([...(await stream.read()).value!], [1]);
  assertEquals([...(await stream.read()).value!], [2]);
  const waiting = stream.read();
  await pause();
  await stream.cancel(); // calls return(), which must not wait for a message
  assertEquals((await waiting).done, true);
  send(3);
  assert(reader.poll() && reader.next());
  assertEquals(reader.userValue, 3);
});

Deno.test("an iteration throws at once if its options are not those of an iteration", () => {
  const { reader } = make();
  for (const signal of [5, {}, null] as unknown as AbortSignal[]) {
    assertThrows(
      () => reader.messages({ signal }),
      TypeError,
      "Cannot wait as 'signal' must be an AbortSignal",
    );
  }
  assertThrows(
    () => reader.messages(null as unknown as object),
    TypeError,
    "Cannot iterate over messages as 'options' must be an object: received null",
  );
  for (const signal of [AbortSignal.abort(), new AbortController().signal]) {
    assertThrows(() => reader.messages(signal as object), TypeError, "received the signal itself");
  }
  assertThrows(
    () => reader.messages({ timeoutMs: 5 } as object),
    TypeError,
    "Cannot iterate over messages with a 'timeoutMs': use 'signal'",
  );
});
