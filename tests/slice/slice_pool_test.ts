/** Slices, buffers and their errors, on one thread. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  ClosedError,
  type DetachedSlice,
  HeapBuffer,
  Memory,
  type Slice,
  SLICE_WORDS,
  type SliceBuffer,
  SlicePool,
  SliceReceiver,
  StaleSliceError,
} from "@busbar/busbar";

/** Every kind of buffer, in every mode. */
const buffers: Record<string, () => SliceBuffer> = {
  "a heap buffer": () => HeapBuffer.create(),
  "a slice pool in back mode": () => SlicePool.create({ capacityBytes: 64 }),
  "a slice pool in front mode": () => {
    const pool = SlicePool.create({ capacityBytes: 64, slots: 3 });
    const slices = [40, 23, 1].map((length) => take(pool, new Array<number>(length).fill(1)));
    for (const slice of slices.slice(0, 2)) slice.release();
    take(pool, [2]).release();
    assertEquals(pool.mode, "front");
    return pool;
  },
  "a slice pool in alloc mode": () => SlicePool.create({ capacityBytes: 0 }),
};

function take(buffer: SliceBuffer, message: readonly number[]): Slice {
  buffer.append(new Uint8Array(message));
  return buffer.take();
}

for (const [what, create] of Object.entries(buffers)) {
  Deno.test(`${what}: only committed bytes are taken`, () => {
    const buffer = create();
    assertThrows(() => buffer.room(), Error, "Cannot show the room as nothing is claimed");
    buffer.claim(4);
    buffer.bytes.set([1, 2, 3, 4], buffer.offset);
    assertEquals([...buffer.room()], [1, 2, 3, 4]);
    assertEquals(buffer.length, 0);
    assertThrows(() => buffer.take(), Error, "Cannot take as 4 bytes are claimed: commit or abort");
    assertThrows(() => buffer.claim(1), Error, "Cannot claim as 4 bytes are claimed");
    assertThrows(() => buffer.append(new Uint8Array(1)), Error, "Cannot append as 4 bytes are");
    assertThrows(() => buffer.commit(5), RangeError, "'length' must be a whole number from 0 to 4");
    buffer.commit(2);
    assertThrows(() => buffer.commit(), Error, "Cannot commit as nothing is claimed");
    assertEquals([buffer.length, ...buffer.peek(9)], [2, 1, 2]);
    buffer.claim(10);
    buffer.room().fill(9);
    buffer.abort();
    assertThrows(() => buffer.abort(), Error, "Cannot abort as nothing is claimed");
    buffer.append(new Uint8Array([5]));
    assertEquals([...buffer.take().bytes], [1, 2, 5]);
    assertEquals([buffer.length, buffer.peek(1).length], [0, 0]);
  });

  Deno.test(`${what}: the start is 0 again after a take, also for a shorter message`, () => {
    const buffer = create();
    buffer.append(new Uint8Array([1, 2, 3, 4, 5, 6]));
    buffer.setStart(4);
    assertEquals([...buffer.view()], [5, 6]);
    assertEquals([...buffer.peek(5)], [1, 2, 3, 4, 5]);
    assertThrows(
      () => buffer.setStart(7),
      RangeError,
      "'index' must be a whole number from 0 to 6",
    );
    assertThrows(
      () => buffer.truncate(3),
      RangeError,
      "'length' must be a whole number from 0 to 2",
    );
    buffer.truncate(1);
    assertEquals([buffer.length, ...buffer.view()], [5, 5]);
    assertEquals([...buffer.take().bytes], [1, 2, 3, 4, 5]);
    buffer.append(new Uint8Array([7]));
    assertEquals([...buffer.view()], [7]);
    buffer.setStart(1);
    assertEquals([buffer.view().length, ...buffer.take().bytes], [0, 7]);
    buffer.setStart(0);
    assertEquals(buffer.view().length, 0);
  });

  Deno.test(`${what}: a slice is released once, and not used after that`, () => {
    const slice = take(create(), [1, 2, 3]);
    assertEquals([slice.length, slice.isGone], [3, false]);
    assertEquals(slice.array[slice.byteOffset + 2], 3);
    slice.release();
    assert(slice.isGone);
    const message = "this slice as it was released or detached before";
    assertThrows(() => slice.release(), ClosedError, `Cannot release ${message}`);
    assertThrows(() => slice.bytes, ClosedError, `Cannot use ${message}`);
    assertThrows(() => slice.length, ClosedError, message);
    assertThrows(() => slice.array, ClosedError, message);
    assertThrows(() => slice.byteOffset, ClosedError, message);
    assertThrows(() => slice.detach(), ClosedError, `Cannot detach ${message}`);
    assertThrows(() => slice.detachInto(new Int32Array(4), 0), ClosedError, message);
    slice[Symbol.dispose]();
  });

  Deno.test(`${what}: wrong arguments are refused`, () => {
    const buffer = create();
    for (const length of [-1, 0.5, NaN, "1" as never, undefined as never]) {
      assertThrows(() => buffer.claim(length), RangeError, "Cannot claim as 'length' must be");
    }
    assertThrows(() => buffer.append([1] as never), TypeError, "'source' must be a Uint8Array");
    buffer.append(new Uint8Array([1]));
    for (const length of [-1, 0.5, NaN]) {
      assertThrows(() => buffer.claim(length), RangeError, "Cannot claim as 'length' must be");
    }
    assertThrows(() => buffer.claim(2 ** 39), RangeError, "does not provide an array");
    assertEquals([...buffer.peek(2)], [1]);
    assertThrows(() => buffer.peek(-1), RangeError, "Cannot peek as 'length' must be");
    assertEquals([...buffer.take().bytes], [1]);
  });
}

Deno.test("heap buffer: memory is constant however many messages there are", () => {
  const buffer = HeapBuffer.create();
  const message = new Uint8Array(4);
  buffer.append(message);
  const { bytes } = buffer;
  for (let round = 0; round < 1_000_000; round++) {
    buffer.take().release();
    buffer.append(message);
  }
  assert(buffer.bytes === bytes, "the array was replaced");
  assertEquals(buffer.bytes.length, 64);
});

Deno.test("heap buffer: the array of a slice is less than twice as long as its message", () => {
  const buffer = HeapBuffer.create();
  for (const length of [1, 31, 32, 33, 64, 65, 1000, 40_000, 70_000, 100, 300_000, 5, 33_000]) {
    for (let part = 0; part < length; part += 10) {
      buffer.append(new Uint8Array(Math.min(10, length - part)).fill(length));
    }
    const slice = buffer.take();
    const { byteLength } = slice.array.buffer;
    assert(byteLength === length || byteLength < 2 * length, `${byteLength} for ${length}`);
    assertEquals(slice.bytes.join(), new Uint8Array(length).fill(length).join());
    assert(buffer.bytes.length <= 65_536, `${buffer.bytes.length} are kept`);
  }
});

Deno.test("slice pool: memory is constant in alloc mode", () => {
  using pool = SlicePool.create({ capacityBytes: 0 });
  pool.append(new Uint8Array([1]));
  const { bytes } = pool;
  for (let round = 0; round < 10_000; round++) take(pool, [1, 2, 3, 4]);
  pool.append(new Uint8Array([1]));
  assert(pool.bytes === bytes, "the array was replaced");
});

Deno.test("slice pool: a slice whose slot was reused is gone for the thread that released it", () => {
  using pool = SlicePool.create({ capacityBytes: 8, slots: 1 });
  const first = take(pool, [1]);
  first.release();
  const second = take(pool, [2]);
  assertEquals(second.slot, first.slot);
  assertThrows(() => first.release(), ClosedError, "released or detached before");
  assertEquals([...second.bytes], [2]);
  assertEquals(pool.isDroppable, false);
});

Deno.test("slice pool: a detached slice is adopted once, and not after its slot was reused", () => {
  using pool = SlicePool.create({ capacityBytes: 8, slots: 1 });
  using receiver = SliceReceiver.attach(pool.handle);
  const detached = take(pool, [1]).detach();
  receiver.adopt(structuredClone(detached)).release();
  const stale = () => receiver.adopt(detached);
  assertThrows(stale, StaleSliceError, "the slice of slot 0 as it is not in flight");
  using second = take(pool, [2]);
  assertThrows(stale, StaleSliceError);
  const sent = second.detach();
  assertThrows(stale, StaleSliceError);
  assertThrows(() => pool.adopt(detached), StaleSliceError);
  using adopted = receiver.adopt(sent);
  assertEquals([...adopted.bytes], [2]);
  assertThrows(stale, StaleSliceError);
  assertEquals(pool.usage().living, 1);
});

Deno.test("slice pool: a slice travels on, and back to the owner", () => {
  using pool = SlicePool.create({ capacityBytes: 8 });
  using second = SliceReceiver.attach(pool.handle);
  using third = SliceReceiver.attach(pool.handle);
  assertEquals([second.thread, third.thread], [1, 2]);
  let slice = take(pool, [1, 2]);
  for (const next of [second, third, pool, second, pool]) slice = next.adopt(slice.detach());
  assertEquals([...slice.bytes], [1, 2]);
  slice.release();
  assertEquals([second.held, third.held, pool.isDroppable], [0, 0, true]);
});

Deno.test("slice pool: a slice travels as words", () => {
  using pool = SlicePool.create({ capacityBytes: 8 });
  using receiver = SliceReceiver.attach(pool.handle);
  const words = new Int32Array(1 + SLICE_WORDS);
  take(pool, [9]);
  take(pool, [1, 2]).detachInto(words, 1);
  using slice = receiver.adoptFrom(words, 1);
  assertEquals([...slice.bytes], [1, 2]);
  assertThrows(() => receiver.adoptFrom(words, 1), StaleSliceError);
  assertThrows(() => receiver.adoptFrom(words, 2), RangeError, "4 words do not fit at 'index'");
  assertThrows(() => receiver.adoptFrom([1] as never, 0), TypeError, "must be an Int32Array");
  assertThrows(
    () => receiver.adoptFrom(new Int32Array([99, 0, 1, 0]), 0),
    TypeError,
    "are not those of a slice of this pool",
  );
  using large = take(pool, new Array<number>(9).fill(1));
  assertThrows(() => large.detachInto(words, 0), Error, "as it lies in heap memory");
  assertEquals(large.length, 9);
});

Deno.test("slice pool: a slice of heap memory and an empty one are detached, too", () => {
  using pool = SlicePool.create({ capacityBytes: 0 });
  using receiver = SliceReceiver.attach(pool.handle);
  const transfer: ArrayBuffer[] = [];
  const detached = take(pool, [1, 2, 3]).detach(transfer);
  assertEquals(transfer.map(({ byteLength }) => byteLength), [3]);
  const sent: DetachedSlice = structuredClone(detached, { transfer });
  {
    using slice = receiver.adopt(sent);
    assertEquals([...slice.bytes], [1, 2, 3]);
  }
  assertThrows(() => receiver.adopt(sent), StaleSliceError, "a slice of heap memory");
  assertThrows(() => receiver.adopt(detached), TypeError, "must be a Uint8Array of 3 bytes");
  const empty = pool.take().detach(transfer);
  assertEquals(transfer.length, 1);
  assertEquals(receiver.adopt(structuredClone(empty)).length, 0);
});

Deno.test("slice pool: a detached slice is checked when it is adopted", () => {
  using pool = SlicePool.create({ capacityBytes: 8 });
  using other = SlicePool.create({ capacityBytes: 8 });
  using receiver = SliceReceiver.attach(pool.handle);
  const slice = take(pool, [1]);
  assertThrows(() => receiver.adopt(slice as never), TypeError, "received the slice itself");
  assertThrows(() => receiver.adopt({} as never), TypeError, "kind 'busbar.slice' was expected");
  const detached = slice.detach();
  assertThrows(() => other.adopt(detached), TypeError, "as it is of another pool");
  for (const wrong of [{ slot: 8 }, { slot: 0.5 }, { offset: -1 }, { length: 9 }, { ticket: -1 }]) {
    assertThrows(
      () => receiver.adopt({ ...detached, ...wrong }),
      TypeError,
      "are not those of a slice of this pool",
    );
  }
  receiver.adopt(detached).release();
});

Deno.test("slice pool: in debug mode a second release says where the first was", () => {
  using pool = SlicePool.create({ capacityBytes: 8, debug: true });
  using receiver = SliceReceiver.attach(pool.handle, { debug: true });
  const releaseHere = (slice: Slice) => slice.release();
  const slice = take(pool, [1]);
  releaseHere(slice);
  assertThrows(() => slice.release(), ClosedError, "releaseHere");
  const detachHere = (slice: Slice) => slice.detach();
  const sent = take(pool, [1]);
  const adopted = receiver.adopt(detachHere(sent));
  assertThrows(() => sent.bytes, ClosedError, "detachHere");
  releaseHere(adopted);
  const error = assertThrows(() => adopted.release(), ClosedError, "releaseHere");
  assert(!error.message.includes("src/slice"), error.message);
});

Deno.test("slice pool: the slices of a dead thread are reclaimed", () => {
  using pool = SlicePool.create({ capacityBytes: 64 });
  const dead = SliceReceiver.attach(pool.handle, { thread: 5 });
  const alive = SliceReceiver.attach(pool.handle);
  dead.adopt(take(pool, [1]).detach());
  dead.adopt(take(pool, [2]).detach()).release();
  alive.adopt(dead.adopt(take(pool, [3]).detach()).detach());
  const inFlight = take(pool, [4]).detach();
  const own = take(pool, [5]);
  assertEquals(pool.reclaim(5), 1);
  assertEquals(pool.usage().living, 3);
  assertThrows(() => pool.reclaim(5), Error, "Cannot reclaim thread 5 as it is not attached");
  assertThrows(() => pool.reclaim(0), RangeError, "'thread' must be a whole number from 1 to 30");
  const next = SliceReceiver.attach(pool.handle, { thread: 5 });
  assertEquals([pool.reclaim(5), pool.reclaimDetached(), pool.reclaimDetached()], [0, 1, 0]);
  assertEquals([pool.isAttached(5), pool.isAttached(alive.thread)], [false, true]);
  assertThrows(() => pool.isAttached(31), RangeError, "'thread' must be a whole number");
  assertThrows(() => alive.adopt(inFlight), StaleSliceError);
  assertEquals([...own.bytes, next.held], [5, 0]);
  assertEquals(pool.reclaim(alive.thread), 1);
  own.release();
  assertEquals(pool.isDroppable, true);
});

Deno.test("slice pool: a slot that a dead thread had is not reclaimed once it is the owner's", () => {
  using pool = SlicePool.create({ capacityBytes: 8, slots: 1 });
  const receiver = SliceReceiver.attach(pool.handle);
  receiver.adopt(take(pool, [1]).detach()).release();
  const own = take(pool, [2]);
  assertEquals(pool.reclaim(receiver.thread), 0);
  assertEquals([...own.bytes, pool.usage().living], [2, 1]);
});

Deno.test("slice pool: nor is it once it is that of the next owner", () => {
  const first = SlicePool.create({ capacityBytes: 8, slots: 1 });
  const receiver = SliceReceiver.attach(first.handle);
  receiver.adopt(take(first, [1]).detach()).release();
  first.close();
  using next = SlicePool.attach(first.handle);
  const own = take(next, [2]);
  assertEquals(next.reclaim(receiver.thread), 0);
  assertEquals([...own.bytes, next.usage().living], [2, 1]);
});

Deno.test("slice pool: there is one owner, and up to 30 receivers", () => {
  const pool = SlicePool.create({ capacityBytes: 8 });
  const { handle } = pool;
  assertThrows(() => SlicePool.attach(handle), Error, "the slice pool has an owner");
  const receivers = Array.from({ length: 30 }, () => SliceReceiver.attach(handle));
  assertEquals(receivers.map(({ thread }) => thread), receivers.map((_, i) => i + 1));
  assertThrows(() => SliceReceiver.attach(handle), Error, "all 30 numbers of receivers are in use");
  assertThrows(() => SliceReceiver.attach(handle, { thread: 7 }), Error, "thread 7 is attached");
  assertThrows(() => SliceReceiver.attach(handle, { thread: 31 }), RangeError, "from 1 to 30");
  const held = receivers[6]!.adopt(take(pool, [1]).detach());
  assertThrows(() => receivers[6]!.close(), Error, "thread 7 has 1 slices of the pool: release");
  pool.close();
  pool.close();
  assertThrows(() => pool.claim(1), ClosedError, "Cannot claim as the slice pool was closed");
  assertThrows(() => pool.append(new Uint8Array(1)), ClosedError, "Cannot append as");
  assertThrows(() => pool.take(), ClosedError, "Cannot take as");
  assertThrows(() => SlicePool.attach(handle), Error, "1 slices of the slice pool live: release");
  assertEquals([...held.bytes], [1]);
  held.release();
  for (const receiver of receivers) receiver.close();
  assertThrows(() => receivers[0]!.adopt({} as never), ClosedError, "receiver was closed");
  using next = SlicePool.attach(handle);
  assertEquals([next.capacityBytes, next.slots], [8, 8]);
  assertEquals([...take(next, [3]).bytes], [3]);
});

Deno.test("slice pool: options are checked", () => {
  const create = (options: object) => () => SlicePool.create(options as never);
  assertThrows(create({}), RangeError, "'capacityBytes' must be a whole number from 0 to");
  assertThrows(create({ capacityBytes: 2 ** 32 + 1 }), RangeError, "'capacityBytes' must be");
  for (const slots of [0, 33, 1.5]) {
    assertThrows(create({ capacityBytes: 8, slots }), RangeError, "'slots' must be a whole number");
  }
  assertThrows(
    () => SlicePool.create(undefined as never),
    TypeError,
    "'options' must be an object",
  );
  assertThrows(create({ capacityBytes: 8, memory: {} }), TypeError, "'memory' must be a Memory");
  assertThrows(() => SlicePool.attach({} as never), TypeError, "'busbar.slice_pool' was expected");
  using pool = SlicePool.create({ capacityBytes: 8 });
  assertThrows(() => SliceReceiver.attach(pool as never), TypeError, "so pass its 'handle'");
});

Deno.test("slice pool: several pools lie in one memory", () => {
  const memory = Memory.create({ byteLength: 4096 });
  using first = SlicePool.create({ capacityBytes: 100, slots: 2, memory });
  using second = SlicePool.create({ capacityBytes: 100, slots: 2, memory });
  const slices = [take(first, new Array(100).fill(1)), take(second, new Array(100).fill(2))];
  assertEquals(slices.map(({ bytes }) => [...new Set(bytes)]), [[1], [2]]);
  assertEquals([first.mode, second.mode], ["back", "back"]);
  assertNotEquals(first.handle.byteOffset, second.handle.byteOffset);
});
