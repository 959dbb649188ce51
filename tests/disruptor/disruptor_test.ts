/** The disruptor on one thread: graphs, batches, failures, ends, and errors. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Disruptor,
  DrainedError,
  type GraphOptions,
  HaltedError,
  RewindError,
} from "@busbar/busbar/disruptor";
import { defineRecord } from "@busbar/busbar/record";
import { tampered } from "../tamper.ts";

function create(consumers: GraphOptions = { a: {} }, capacity = 4, producers = 0) {
  return Disruptor.create({
    capacity,
    elements: "i32",
    consumers,
    producers: producers === 0 ? "single" : producers,
  });
}

Deno.test("disruptor: a graph with a mistake is refused, and the node named", () => {
  const refused = (consumers: GraphOptions, message: string) =>
    assertThrows(() => create(consumers), TypeError, message);
  refused({}, "from 1 to 1000 nodes");
  refused({ a: { after: "b" } }, 'node "a" comes after "b", which is not a node: the nodes are a');
  refused({ a: {}, b: { after: ["a", "a"] } }, 'node "b" comes after "a" twice');
  refused({ a: { after: "a" } }, '"a" after "a"');
  refused({ a: { after: "c" }, b: { after: "a" }, c: { after: "b" } }, '"a" after "c" after "b"');
  assertThrows(() => create({ a: { workers: 9 } }), RangeError, "'workers' of node 'a'");
});

Deno.test("disruptor: unknown nodes and second consumers are refused", () => {
  const disruptor = create({ a: {}, b: { after: "a", workers: 1 } });
  assertThrows(() => disruptor.consumer("c" as "a"), TypeError, "the nodes are a, b");
  disruptor.consumer("a");
  assertThrows(() => disruptor.consumer("a"), Error, 'node "a" is taken');
  disruptor.consumer("b");
  assertThrows(() => disruptor.consumer("b"), Error, "all 1 workers");
  disruptor.producer();
  assertThrows(() => disruptor.producer(), Error, "a single producer");
});

Deno.test("disruptor: start names the nodes without a consumer", async () => {
  const disruptor = create({ a: {}, b: {} });
  disruptor.consumer("a");
  assertThrows(() => disruptor.start({ timeoutMs: 0 }), Error, 'attached to "b"');
  await assertRejects(() => disruptor.startAsync({ timeoutMs: 1 }), Error, 'attached to "b"');
  disruptor.consumer("b");
  disruptor.start();
});

Deno.test("disruptor: a claim of more than the ring, or of nothing, is refused", () => {
  for (const producers of [0, 2]) {
    const producer = create({ a: {} }, 4, producers).producer();
    for (const count of [0, -1, 5, 1.5]) {
      assertThrows(() => producer.claim(count), RangeError, "'count'");
      assertThrows(() => producer.tryClaim(count), RangeError, "'count'");
    }
    assertEquals(producer.tryClaim(4), 0);
  }
});

Deno.test("disruptor: a full ring refuses, or waits for its time", async () => {
  const disruptor = create();
  const producer = disruptor.producer();
  const consumer = disruptor.consumer("a");
  assertEquals(producer.trySendAll([1, 2, 3, 4, 5]), 4);
  assertEquals(producer.remainingCapacity, 0);
  assertEquals(producer.claim(1, { timeoutMs: 0 }), -1);
  assertEquals(await producer.claimAsync(1, { timeoutMs: 1 }), -1);
  assertEquals(producer.trySend(5), false);
  assertEquals(producer.sendAll([5], { timeoutMs: 0 }), 0);
  await assertRejects(() => producer.sendAsync(5, { signal: AbortSignal.timeout(1) }));
  assertEquals(consumer.poll(), 4);
  assertEquals(producer.trySend(5), false);
  consumer.release(2);
  assertEquals(producer.remainingCapacity, 2);
  assertEquals(producer.claim(2), 4);
});

Deno.test("disruptor: a poll takes at most maxBatch, and what lies in one piece", () => {
  const disruptor = create();
  const producer = disruptor.producer();
  const consumer = disruptor.consumer("a");
  producer.sendAll([1, 2, 3]);
  assertEquals([consumer.poll(2), consumer.poll(2), consumer.poll(2)], [2, 1, 0]);
  producer.sendAll([4, 5]);
  assertEquals([consumer.poll(), consumer.sequence, consumer.begin, consumer.end], [1, 3, 3, 4]);
  assertEquals([consumer.poll(), consumer.sequence, consumer.begin, consumer.end], [1, 4, 0, 1]);
  assertThrows(() => consumer.poll(0), RangeError, "'maxBatch'");
});

Deno.test("disruptor: values are copied in and out across the end of the ring", () => {
  for (const [capacity, count] of [[256, 100], [16_384, 5000]] as const) {
    const disruptor = create({ a: {} }, capacity);
    const producer = disruptor.producer();
    const consumer = disruptor.consumer("a");
    const values = Int32Array.from({ length: count }, (_, i) => i);
    const target = new Int32Array(count);
    for (let round = 0; round < 10; round++) {
      assertEquals(producer.sendAll(values), count);
      let next = 0;
      for (let read; (read = consumer.read(target)) > 0;) {
        for (let i = 0; i < read; i++) assertEquals(target[i], next++);
      }
      assertEquals(next, count);
    }
  }
});

Deno.test("disruptor: a claim that is aborted leaves nothing", () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 4, producers);
    const producer = disruptor.producer();
    const consumer = disruptor.consumer("a");
    producer.claim(2);
    assert(producer.isOpen);
    assertThrows(() => producer.send(1), Error, "publish or abort");
    producer.abort();
    for (let number = 1; number <= 6; number++) {
      producer.send(number);
      assertEquals(consumer.poll(), 1);
      assertEquals(consumer.events[consumer.begin], number);
    }
  }
});

Deno.test("disruptor: after a drain nothing is taken, and everything was consumed", async () => {
  const disruptor = create({ a: {}, b: { after: "a" } });
  const producer = disruptor.producer();
  producer.sendAll([1, 2]);
  assertEquals(disruptor.drain({ timeoutMs: 0 }), false);
  assertThrows(() => producer.send(3), DrainedError, "Cannot publish as the disruptor was drained");
  const drained = disruptor.drainAsync();
  const seen: number[] = [];
  await Promise.all(["a", "b"].map(async (name) => {
    for await (const batch of disruptor.consumer(name).batches()) seen.push(batch.count);
  }));
  assertEquals(await drained, true);
  assertEquals(seen, [2, 2]);
});

Deno.test("disruptor: after a halt everything fails at once, and says why", () => {
  const disruptor = create();
  const producer = disruptor.producer();
  const consumer = disruptor.consumer("a");
  producer.send(1);
  disruptor.halt();
  assertThrows(() => producer.send(2), HaltedError, "halted: create another one");
  assertEquals([consumer.wait(), consumer.poll(), consumer.isEnded], [false, 0, true]);
  assert(consumer.isHalted && disruptor.isHalted && disruptor.isClosed);
  assertEquals(disruptor.drain(), false);
});

Deno.test("disruptor: a handler that fails halts all, and the others are told which", () => {
  const disruptor = create();
  const producer = disruptor.producer();
  producer.send(1);
  const attempts: number[] = [];
  const failing = (_: unknown, attempt: number) => {
    attempts.push(attempt);
    throw new Error("broken");
  };
  const run = () => disruptor.consumer("a").run(failing, { attempts: 3 });
  assertThrows(run, Error, "broken");
  assertEquals(attempts, [1, 2, 3]);
  const error = assertThrows(() => producer.send(2), HaltedError, 'failure of node "a"');
  assertEquals(error.node, "a");
});

Deno.test("disruptor: a handler that fails may be skipped, and is reported", () => {
  const disruptor = create();
  disruptor.producer().sendAll([1, 2, 3]);
  disruptor.drain({ timeoutMs: 0 });
  const seen: number[] = [];
  const reports: unknown[] = [];
  const ends: boolean[] = [];
  const consumer = disruptor.consumer("a");
  consumer.runEach((slot, endOfBatch, attempt) => {
    if (attempt === 1) ends.push(endOfBatch);
    if (consumer.events[slot] === 2) return "again";
    seen.push(consumer.events[slot]!);
  }, { onFailure: "skip", attempts: 2, report: (error) => reports.push(error) });
  assertEquals([seen, ends], [[1, 3], [false, false, true]]);
  assert(reports.length === 2 && reports.every((report) => report instanceof RewindError));
});

Deno.test("disruptor: a batch that is partly released cannot come again", () => {
  const disruptor = create();
  disruptor.producer().sendAll([1, 2]);
  const again = () =>
    disruptor.consumer("a").run((batch) => {
      batch.release(1);
      return "again";
    }, { attempts: 9 });
  assertThrows(again, RewindError, "some of it is released");
  assert(disruptor.isHalted);
});

Deno.test("disruptor: a handler cannot wait for room that only it can make", () => {
  const disruptor = create({ a: {} }, 2);
  const producer = disruptor.producer();
  producer.sendAll([1, 2]);
  const run = () =>
    disruptor.consumer("a").run(() => {
      assertEquals(producer.trySend(3), false);
      producer.send(3);
    });
  assertThrows(run, Error, 'node "a", whose handler asks for it, would wait for itself');
});

Deno.test("disruptor: the inspection says who holds up whom", () => {
  const disruptor = create({ parse: {}, audit: { after: "parse" } }, 4);
  const producer = disruptor.producer();
  producer.sendAll([1, 2, 3, 4]);
  const parse = disruptor.consumer("parse");
  const inspection = disruptor.inspect();
  assertEquals([inspection.remainingCapacity, inspection.slowest], [0, "audit"]);
  assertEquals(inspection.nodes.map(({ waitsFor }) => waitsFor), [undefined, "parse"]);
  assert(`${inspection}`.includes('producers wait for "audit"'), `${inspection}`);
  parse.poll();
  parse.release();
  assertEquals(disruptor.inspect().nodes[1]!.waitsFor, undefined);
  assertEquals(parse.lag, 0);
});

Deno.test("disruptor: a consumer in the place of a dead one begins where that released", () => {
  const disruptor = create();
  disruptor.producer().sendAll([1, 2, 3]);
  const dead = disruptor.consumer("a");
  dead.poll();
  dead.release(1);
  disruptor.reclaim("a");
  const next = disruptor.consumer("a");
  assertEquals([next.poll(), next.events[next.begin]], [2, 2]);
});

Deno.test("disruptor: handles are checked, and open the same ring", () => {
  const disruptor = create();
  const { handle } = disruptor;
  assertThrows(() => Disruptor.attach({ ...handle, kind: "busbar.x" as "busbar.disruptor" }));
  const graph = create({ a: {}, b: {} }).handle.graph;
  assertThrows(() => Disruptor.attach({ ...handle, graph }), TypeError, "a graph of 1 nodes");
  Disruptor.attach(structuredClone(handle)).producer().send(7);
  const consumer = disruptor.consumer("a");
  assertEquals([consumer.poll(), consumer.events[consumer.begin]], [1, 7]);
});

Deno.test("disruptor: slots of records are filled and read in place, by views", () => {
  const Trade = defineRecord({ id: "u32", price: "f64" });
  const disruptor = Disruptor.create({
    capacity: 4,
    elements: { record: Trade.handle },
    consumers: { a: {} },
  });
  const { handle } = disruptor;
  const producer = Disruptor.attach(structuredClone(handle), { record: Trade }).producer();
  const consumer = disruptor.consumer("a");
  const trade = Trade.view(producer.events);
  const seen = Trade.view(consumer.events);
  for (let id = 1; id <= 6; id++) {
    trade.moveTo(producer.offset(producer.claim())).id = id;
    trade.price = id / 2;
    producer.publish();
    assertEquals(consumer.poll(), 1);
    seen.moveTo(consumer.offset(consumer.begin));
    assertEquals([seen.id, seen.price], [id, id / 2]);
  }
  const Other = defineRecord({ id: "u32", price: "f32" });
  assertThrows(() => Disruptor.attach(handle, { record: Other }), TypeError, "field 'price'");
  const numbers = create().handle;
  assertThrows(() => Disruptor.attach(numbers, { record: Trade }), TypeError, "slots of records");
});

Deno.test("disruptor: slots of bytes are filled and read in place", () => {
  const disruptor = Disruptor.create({
    capacity: 4,
    elements: { bytes: 16 },
    consumers: { a: {} },
  });
  const producer = disruptor.producer();
  const consumer = disruptor.consumer("a");
  const at = producer.slot(producer.claim()) * 16;
  producer.events.set([1, 2, 3], at);
  producer.publish();
  assertEquals(consumer.poll(), 1);
  assertEquals([...consumer.events.subarray(consumer.begin * 16, consumer.begin * 16 + 3)], [
    1,
    2,
    3,
  ]);
});

Deno.test("disruptor: a claim is published in parts, or aborted from there on", () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 8, producers);
    const producer = disruptor.producer();
    const consumer = disruptor.consumer("a");
    const first = producer.claim(5);
    for (let i = 0; i < 5; i++) producer.events[producer.slot(first + i)] = i;
    producer.publish(2);
    assertEquals(consumer.poll(), 2);
    assertThrows(() => producer.publish(4), RangeError, "'count'");
    producer.publish(1);
    assertEquals([consumer.poll(), consumer.events[consumer.begin]], [1, 2]);
    producer.abort();
    producer.send(7);
    assertEquals([consumer.poll(), consumer.events[consumer.begin]], [1, 7]);
    assertEquals(consumer.skipped, producers === 0 ? 0 : 2);
    producer.claim(2);
    producer.publish(2);
    assertEquals([consumer.poll(), producer.isOpen], [2, false]);
  }
});

Deno.test("disruptor: a claim is given up if filling it throws", () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 4, producers);
    const producer = disruptor.producer();
    const consumer = disruptor.consumer("a");
    const filled = (number: number) =>
      producer.fill(2, (sequence) => {
        if (number === 0) throw new Error("nothing to send");
        for (let i = 0; i < 2; i++) producer.events[producer.slot(sequence + i)] = number + i;
      }, { timeoutMs: 0 });
    assertThrows(() => filled(0), Error, "nothing to send");
    assert(filled(7));
    assertEquals([consumer.poll(), consumer.events[consumer.begin]], [2, 7]);
    consumer.release();
    assertEquals([filled(8), filled(9), filled(10)], [true, true, false]);
  }
});

Deno.test("disruptor: a claim that fails says how many slots are missing", () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 8, producers);
    const producer = disruptor.producer();
    producer.sendAll([1, 2, 3, 4, 5]);
    assertEquals([producer.tryClaim(5), producer.missing], [-1, 2]);
    const consumer = disruptor.consumer("a");
    consumer.poll();
    consumer.release(1);
    assertEquals([producer.tryClaim(5), producer.missing], [-1, 1]);
    assertEquals([producer.tryClaim(4), producer.missing], [5, 0]);
  }
});

Deno.test("disruptor: a producer may drop what there is no room for, and counts it", async () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 4, producers);
    const producer = disruptor.producer({ overflow: "drop" });
    assertEquals(producer.sendAll([1, 2, 3, 4, 5, 6]), 4);
    assertEquals([producer.send(7), producer.claim(2), producer.dropped], [false, -1, 5]);
    assertEquals(await producer.sendAsync(8), false);
    assertEquals([await producer.claimAsync(3), await producer.sendAllAsync([9])], [-1, 0]);
    assertEquals(producer.dropped, 10);
    // A try says by its result what it has not sent.
    assertEquals([producer.trySend(10), producer.dropped], [false, 10]);
    assertEquals(disruptor.consumer("a").poll(), 4);
  }
  const wrong = { overflow: "fail" as "drop" };
  assertThrows(() => create().producer(wrong), TypeError, '"wait" or "drop": received "fail"');
});

Deno.test("disruptor: a batch that is bounded makes room as soon as it is done", () => {
  const disruptor = create({ a: {} }, 256);
  const producer = disruptor.producer();
  producer.sendAll(new Array(256).fill(1));
  const consumer = disruptor.consumer("a");
  assertEquals([consumer.poll(64), consumer.lag, producer.remainingCapacity], [64, 256, 0]);
  assertEquals([consumer.poll(64), producer.remainingCapacity], [64, 64]);
});

Deno.test("disruptor: a halt or a drain ends the asynchronous waits of producers", async () => {
  for (const producers of [0, 2]) {
    for (const [end, Class] of [["halt", HaltedError], ["drain", DrainedError]] as const) {
      const disruptor = create({ a: {} }, 1, producers);
      const producer = disruptor.producer();
      producer.send(1);
      const waits = [producer.claimAsync(), producer.claimAsync(1, { timeoutMs: 60_000 })];
      disruptor[end]({ timeoutMs: 0 });
      for (const wait of waits) await assertRejects(() => wait, Class);
      assertThrows(() => producer.claim(1, { timeoutMs: 60_000 }), Class);
    }
  }
});

Deno.test("disruptor: an asynchronous wait ends when it is aborted", async () => {
  const disruptor = create({ a: {} }, 1);
  const producer = disruptor.producer();
  producer.send(1);
  const controller = new AbortController();
  const claim = producer.claimAsync(1, controller);
  const wait = disruptor.consumer("a").waitAsync(controller);
  controller.abort(new Error("enough"));
  await assertRejects(() => claim, Error, "enough");
  // There is something, so this one has ended before.
  assertEquals(await wait, true);
});

Deno.test("disruptor: the same batch comes again as often as the handler wants", () => {
  const disruptor = create();
  disruptor.producer().sendAll([1, 2]);
  disruptor.drain({ timeoutMs: 0 });
  const attempts: number[][] = [];
  disruptor.consumer("a").run((batch, attempt) => {
    attempts.push([batch.count, attempt]);
    if (attempt < 3) return "again";
  }, { attempts: 3 });
  assertEquals(attempts, [[2, 1], [2, 2], [2, 3]]);
});

Deno.test("disruptor: a halt ends a handler that always wants the same again", () => {
  const disruptor = create();
  disruptor.producer().send(1);
  let calls = 0;
  const run = () =>
    disruptor.consumer("a").run(() => {
      if (++calls === 5) disruptor.halt();
      return "again";
    }, { attempts: Number.MAX_SAFE_INTEGER });
  assertThrows(run, RewindError);
  assertEquals(calls, 5);
});

Deno.test("disruptor: a consumer that goes and is removed is waited for no more", () => {
  const disruptor = create({ a: {}, b: { workers: 2 }, c: { after: "b" } });
  disruptor.producer().sendAll([1, 2]);
  const consumer = disruptor.consumer("a");
  assertThrows(() => disruptor.remove("a"), Error, 'node "a" is taken');
  consumer.close();
  disruptor.remove("a");
  const worker = disruptor.consumer("b");
  assertThrows(() => disruptor.remove("b"), Error, 'node "b" as workers are attached');
  worker.close();
  disruptor.remove("b");
  assertEquals(disruptor.drain({ timeoutMs: 0 }), false);
  assertEquals([disruptor.consumer("c").poll(), disruptor.inspect().slowest], [2, "c"]);
});

Deno.test("disruptor: what a worker leaves that is closed goes to the next in its place", () => {
  const disruptor = create({ a: { workers: 2 } });
  disruptor.producer().sendAll([1, 2, 3]);
  const first = disruptor.consumer("a", { worker: 1 });
  assertEquals(first.poll(2), 2);
  first.close();
  const second = disruptor.consumer("a", { worker: 0 });
  assertEquals([second.poll(), second.events[second.begin]], [1, 3]);
  const third = disruptor.consumer("a", { worker: 1 });
  assertEquals([third.poll(), third.events[third.begin]], [2, 1]);
});

Deno.test("disruptor: a claim that a living producer does not publish is seen in the inspection", () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {} }, 8, producers);
    const producer = disruptor.producer(producers === 0 ? {} : { place: 1 });
    producer.send(1);
    producer.claim(3);
    const { claimed, claims, published } = disruptor.inspect();
    assertEquals([claimed, published], [3, 1]);
    assertEquals(claims, producers === 0 ? [] : [{ place: 1, sequence: 1 }]);
    assert(`${disruptor.inspect()}`.includes("3 events are claimed and not published"));
  }
});

Deno.test("disruptor: a thread is notified only if it may sleep", () => {
  let notifications = 0;
  const body = (producers: number) => {
    const disruptor = create({ a: {}, b: { after: "a", workers: 2 } }, 4, producers);
    const producer = disruptor.producer();
    const consumers = [disruptor.consumer("a"), disruptor.consumer("b")];
    notifications = 0;
    for (let i = 0; i < 100; i++) {
      producer.send(i);
      for (const consumer of consumers) {
        assert(consumer.wait());
        assertEquals(consumer.poll(), 1);
        consumer.release();
      }
    }
    assertEquals(notifications, 0);
    // A wait in vain leaves its mark, until a thread notifies.
    consumers[0]!.wait({ timeoutMs: 1 });
    for (const number of [1, 2]) producer.send(number);
    assertEquals(notifications, 1);
  };
  for (const producers of [0, 2]) {
    tampered(body, ({ notify }) => ({
      notify(view: Int32Array, index: number, count: number) {
        notifications++;
        return notify(view, index, count);
      },
    }))(producers);
  }
});

Deno.test("disruptor: a graph with a mistake about observers is refused", () => {
  const refused = (consumers: GraphOptions, message: string) =>
    assertThrows(() => create(consumers), TypeError, message);
  refused({ a: { observer: true } }, "all are observers");
  refused({ a: {}, o: { observer: true, workers: 2 } }, "node \"o\" is an 'observer'");
  refused({ o: { observer: true }, b: { after: "o" } }, 'node "b" comes after "o"');
  const disruptor = create({ a: {}, o: { observer: true } });
  assertThrows(() => disruptor.consumer("o"), TypeError, "use observer()");
  assertThrows(() => disruptor.observer("a"), TypeError, "use consumer()");
  assertThrows(() => disruptor.remove("o"), TypeError, "nothing waits for an observer");
  using observer = disruptor.observer("o");
  assert(`${disruptor.inspect()}`.includes('"o" observes, 0 events to go'));
  assertThrows(() => disruptor.observer("o"), Error, 'node "o" is taken');
  assertEquals(observer.node, "o");
});

Deno.test("disruptor: an observer that stalls holds up nobody, and its losses add up", async () => {
  for (const producers of [0, 2]) {
    const disruptor = create({ a: {}, o: { after: "a", observer: true } }, 8, producers);
    const producer = disruptor.producer();
    const consumer = disruptor.consumer("a");
    const observer = disruptor.observer("o");
    const target = new Int32Array(3);
    let received = 0;
    for (let number = 0; number < 1000; number++) {
      assert(producer.trySend(number));
      consumer.poll();
      consumer.release();
      if (number % 100 > 5) continue;
      const count = observer.read(target);
      for (let i = 1; i < count; i++) assertEquals(target[i], target[0]! + i);
      received += count;
    }
    assert(observer.wait() && await observer.waitAsync());
    for (let count; (count = observer.read(target)) > 0;) received += count;
    assertEquals([received + observer.lost, observer.sequence], [1000, 1000]);
    assert(observer.lost > 900 && received > 40, `${observer.lost}`);
    assertEquals(observer.wait({ timeoutMs: 0 }), false);
    consumer.close();
    disruptor.halt();
    assertEquals([observer.wait(), observer.read(target), observer.isEnded], [false, 0, true]);
    observer.close();
    assertThrows(() => observer.read(target), Error, "the observer is closed");
  }
});

Deno.test("disruptor: a drain does not wait for an observer, which sees all until the end", () => {
  const disruptor = create({ a: {}, o: { observer: true } }, 8, 2);
  const producer = disruptor.producer();
  producer.sendAll([1, 2]);
  producer.claim(2);
  producer.abort();
  producer.send(3);
  const consumer = disruptor.consumer("a");
  while (consumer.poll() > 0);
  disruptor.start({ timeoutMs: 0 });
  disruptor.drain({ timeoutMs: 0 });
  consumer.wait();
  assertEquals(disruptor.drain(), true);
  const observer = disruptor.observer("o");
  const target: number[] = [];
  assertEquals([observer.read({ ...target, length: 8 }), observer.skipped], [3, 2]);
  assertEquals([observer.read({ length: 8 }), observer.isEnded, observer.lost], [0, true, 0]);
});

Deno.test("disruptor: the node of a dead observer is observed by another one", () => {
  const disruptor = create({ a: {}, o: { observer: true } }, 4);
  const producer = disruptor.producer();
  producer.sendAll([1, 2, 3]);
  const dead = disruptor.observer("o");
  assertEquals(dead.read({ length: 2 }), 2);
  disruptor.reclaim("o", { then: "remove" });
  const next = disruptor.observer("o");
  assertEquals([next.sequence, next.read({ length: 4 }), next.lost], [2, 1, 0]);
  assert(!disruptor.inspect().nodes[1]!.isRemoved);
});

Deno.test("disruptor: an observer of bytes copies whole slots", () => {
  const disruptor = Disruptor.create({
    capacity: 4,
    elements: { bytes: 3 },
    consumers: { a: {}, o: { observer: true } },
  });
  const producer = disruptor.producer();
  for (let i = 0; i < 2; i++) {
    producer.events.fill(i + 1, producer.offset(producer.claim()), i * 3 + 3);
    producer.publish();
  }
  const observer = disruptor.observer("o");
  const target = new Uint8Array(8);
  assertEquals([observer.read(target), [...target]], [2, [1, 1, 1, 2, 2, 2, 0, 0]]);
});
