/**
 * The three doors, which are alike for all that synchronises: create, handle, attach.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Barrier,
  EventCount,
  type Handle,
  Latch,
  Memory,
  Mutex,
  Parker,
  RwLock,
  Semaphore,
  ValueSet,
  WaiterQueue,
} from "../../mod.ts";
import { LAYOUT_VERSION } from "../../src/memory/handle.ts";
import { observed } from "./observed.ts";

interface Thing {
  readonly handle: Handle & { memory: { buffer: SharedArrayBuffer }; byteOffset: number };
}

interface Class {
  /** The kind that its handles name. */
  readonly kind: string;
  create(options: { memory?: Memory }): Thing;
  attach(handle: never): Thing;
  /** How many bytes it takes. */
  readonly bytes: number;
  /** The words that it names. */
  readonly words: string[];
}

const classes: Class[] = [
  {
    kind: "busbar.parker",
    create: (options) => Parker.create(options),
    attach: Parker.attach,
    bytes: 64,
    words: ["parker.permit 8"],
  },
  {
    kind: "busbar.event_count",
    create: (options) => EventCount.create(options),
    attach: EventCount.attach,
    bytes: 64,
    words: ["event_count.count 8"],
  },
  {
    kind: "busbar.semaphore",
    create: (options) => Semaphore.create({ ...options, permits: 3 }),
    attach: Semaphore.attach,
    bytes: 64,
    words: ["semaphore.permits 8", "semaphore.waiters 12", "semaphore.largeWaiters 16"],
  },
  {
    kind: "busbar.latch",
    create: (options) => Latch.create({ ...options, count: 3 }),
    attach: Latch.attach,
    bytes: 64,
    words: ["latch.count 8"],
  },
  {
    kind: "busbar.barrier",
    create: (options) => Barrier.create({ ...options, parties: 3 }),
    attach: Barrier.attach,
    bytes: 64,
    words: ["barrier.state 8"],
  },
  {
    kind: "busbar.mutex",
    create: (options) => Mutex.create(options),
    attach: Mutex.attach,
    bytes: 64,
    words: ["mutex.state 8"],
  },
  {
    kind: "busbar.rw_lock",
    create: (options) => RwLock.create(options),
    attach: RwLock.attach,
    bytes: 64,
    words: ["rw_lock.state 8", "rw_lock.readersTurn 12", "rw_lock.waitingWriters 16"],
  },
  {
    kind: "busbar.waiter_queue",
    create: (options) => WaiterQueue.create({ ...options, threads: 33 }),
    attach: WaiterQueue.attach,
    bytes: 128 + 33 * 64,
    words: [
      "waiter_queue.threads 8",
      "waiter_queue.tickets 12",
      "waiter_queue.marks[0] 64",
      "waiter_queue.marks[1] 68",
      "waiter_queue.owner[0] 128",
      "waiter_queue.mail[0] 132",
      "waiter_queue.owner[1] 192",
      "waiter_queue.mail[1] 196",
    ],
  },
  {
    kind: "busbar.value_set",
    create: (options) => ValueSet.create({ ...options, capacity: 520 }),
    attach: ValueSet.attach,
    bytes: 64 + 128,
    words: ["value_set.capacity 8", "value_set.values[0] 64", "value_set.values[16] 128"],
  },
];

for (const { kind, create, attach, bytes, words } of classes) {
  Deno.test(`${kind} lies in a memory of its own, or in one with others`, () => {
    const { handle } = create({});
    assertEquals([handle.kind, handle.version, handle.byteOffset], [kind, LAYOUT_VERSION, 0]);
    assertEquals(handle.memory.buffer.byteLength, bytes);

    const memory = Memory.create({ byteLength: 64 + 2 * bytes });
    memory.allocate(1);
    const offsets = [create({ memory }), create({ memory })].map(({ handle }) => handle.byteOffset);
    assertEquals(offsets, [64, 64 + bytes]);
    assertThrows(
      () => create({ memory }),
      RangeError,
      `Cannot allocate ${bytes} bytes as 0 of ${64 + 2 * bytes} are free`,
    );
  });

  Deno.test(`${kind} is opened by its handle, which survives structured clone`, () => {
    const { handle } = create({});
    const clone = structuredClone(handle);
    assertEquals(attach(clone as never).handle, clone);
  });

  Deno.test(`${kind} is opened by no other handle, and at no other place`, () => {
    const { handle } = create({ memory: Memory.create({ byteLength: 64 + bytes }) });
    const refused = (received: unknown, message: string) =>
      assertThrows(() => attach(received as never), TypeError, message);
    refused(
      undefined,
      `Cannot attach as a handle of kind '${kind}' was expected: received undefined`,
    );
    const other = kind === "busbar.mutex" ? Parker.create().handle : Mutex.create().handle;
    refused(other, `a handle of kind '${kind}' was expected: received kind "${other.kind}"`);
    refused(
      { ...handle, version: LAYOUT_VERSION + 1 },
      `Cannot attach as version ${LAYOUT_VERSION} of '${kind}' was expected: received version ${
        LAYOUT_VERSION + 1
      }`,
    );
    refused({ ...handle, memory: undefined }, "a handle of kind 'busbar.memory' was expected");
    refused({ ...handle, byteOffset: 8 }, "'byteOffset' must be a multiple of 64 within");
    refused({ ...handle, byteOffset: 64 + bytes }, "'byteOffset' must be a multiple of 64 within");
    refused({ ...handle, byteOffset: 64 }, `memory of '${kind}' with magic 0x`);
    refused(
      { ...handle, memory: other.memory },
      bytes > 64 ? "within" : "magic",
    );

    new Int32Array(handle.memory.buffer)[1] = 7;
    refused(
      handle,
      `memory of '${kind}' with layout version 0x${LAYOUT_VERSION} was expected: found 0x7`,
    );
  });

  Deno.test(`${kind} names its words for reports`, () => {
    const heard = observed(() => create({})).map((label) => label.replace(/ 4$/, ""));
    for (const word of words) assert(heard.includes(word), `${word} is not of ${heard}`);
  });
}
