/**
 * The domain beside what one would use instead.
 *
 * - On one thread: publishing and reading 64 bytes beside a seqlock written by hand; a message of
 *   64 KiB, or an image of 6.2 MB, published and read beside the same copies alone; and publishing
 *   while more and more waiters are subscribed, none of which waits.
 * - Between two threads: how long until a thread that sleeps on 1, 10 or 100 slots has a message,
 *   beside bare `Atomics.wait` and `notify`; and messages of 64 B, 64 KiB and 6.2 MB there and
 *   back, beside `postMessage` by clone and by transfer, and `BroadcastChannel`.
 *
 * Where a message is sent, its bytes are copied from an array of the sender, and read or held by
 * the receiver: so a copied message is two copies, one in place a single one.
 *
 * @module
 */

import { Domain, Memory, type SlotOptions } from "../mod.ts";
import {
  compare,
  compareHeap,
  declare,
  type Group,
  type LocalWay,
  onThisThread,
  printAtEnd,
} from "./alternating.ts";
import { ports } from "./crew.ts";
import { compareRoundTrips, type RoundTrips, roundTrips } from "./round_trips.ts";

const IMAGE_BYTES = 1920 * 1080 * 3;
const SMALL_COUNT = 200_000;

/** A domain with one slot, and what copies to and from it. */
function place(options: SlotOptions & { messageBytes: number }) {
  const { messageBytes } = options;
  const dataBytes = Domain.plan(options);
  const byteLength = dataBytes + 4 * messageBytes + 2 ** 20;
  const memory = Memory.create({ byteLength });
  const domain = Domain.create({ slots: 1, dataBytes, memory });
  const slot = domain.slot("s", options);
  const own = memory.privateBytes(messageBytes);
  const other = memory.privateBytes(messageBytes);
  return {
    domain,
    slot,
    writer: slot.writer(),
    reader: slot.reader(),
    own,
    into: memory.copier(own),
    outOf: memory.copier(other),
    spare: memory.allocate(messageBytes, 64),
  };
}

/** A cell of 64 bytes: its number is odd while it is written. */
class Seqlock {
  readonly #number = new Int32Array(new SharedArrayBuffer(4));
  readonly #shared = new BigInt64Array(new SharedArrayBuffer(64));

  write(source: BigInt64Array): void {
    Atomics.add(this.#number, 0, 1);
    for (let i = 0; i < 8; i++) this.#shared[i] = source[i]!;
    Atomics.add(this.#number, 0, 1);
  }

  read(target: BigInt64Array): void {
    let number: number;
    do {
      number = Atomics.load(this.#number, 0);
      for (let i = 0; i < 8; i++) target[i] = this.#shared[i]!;
    } while ((number & 1) === 1 || Atomics.add(this.#number, 0, 0) !== number);
  }
}

const small = place({ messageBytes: 64 });
const seqlock = new Seqlock();
const longs = new BigInt64Array(8);
const payload = new Uint8Array(64);

const publishing: Group = {
  name: "64 B: write",
  ways: [
    onThisThread("a seqlock by hand", SMALL_COUNT, (count) => {
      for (let i = 0; i < count; i++) seqlock.write(longs);
    }),
    onThisThread("a slot, copied in", SMALL_COUNT, (count) => {
      for (let i = 0; i < count; i++) small.writer.send(payload);
    }),
    onThisThread("a slot, in place", SMALL_COUNT, (count) => {
      const { writer } = small;
      for (let i = 0; i < count; i++) {
        writer.bytes[writer.claim(64)] = i;
        writer.publish();
      }
    }),
  ],
};

const reading: Group = {
  name: "64 B: read the latest",
  ways: [
    onThisThread("a seqlock by hand", SMALL_COUNT, (count) => {
      for (let i = 0; i < count; i++) seqlock.read(longs);
    }),
    onThisThread("a slot", SMALL_COUNT, (count) => {
      for (let i = 0; i < count; i++) small.reader.latest();
    }),
  ],
};

function copying(name: string, messageBytes: number, count: number): Group[] {
  const { slot, writer, reader, own, into, outOf, spare } = place({ messageBytes, holds: 2 });
  const plainIn = () => into.copyIn(spare, 0, messageBytes);
  const way = (name: string, once: () => void): LocalWay =>
    onThisThread(name, count, (count) => {
      for (let i = 0; i < count; i++) once();
    });
  return [
    {
      name: `${name}: copied`,
      ways: [
        way("two plain copies", () => {
          plainIn();
          outOf.copyOut(0, spare, messageBytes);
        }),
        way("published and read", () => {
          writer.send(own);
          reader.latest();
        }),
      ],
    },
    {
      name: `${name}: in place`,
      ways: [
        way("one plain copy", plainIn),
        way("published and held", () => {
          into.copyIn(writer.claim(messageBytes), 0, messageBytes);
          writer.publish();
          slot.hold()!.release();
        }),
      ],
    },
  ];
}

function withSubscribers(subscribers: number): LocalWay {
  const { domain, slot, writer } = place({ messageBytes: 64 });
  for (let i = 0; i < subscribers; i++) domain.waiter().subscribe(slot);
  return onThisThread(`${subscribers} subscribers`, SMALL_COUNT, (count) => {
    for (let i = 0; i < count; i++) writer.send(payload);
  });
}

const subscribing: Group = {
  name: "64 B: publish",
  ways: [0, 1, 2, 5, 10, 20, 30].map(withSubscribers),
};

/** Two slots, each of which one thread waits for among as many as there are in its set. */
function domainPaths(slots: number, bytes: number) {
  return () => {
    const others = Array.from({ length: slots - 1 }, (_, i) => `other-${i}`);
    const options = { messageBytes: bytes, history: 1, holds: 1 };
    const dataBytes = 2 * Domain.plan(options) + slots * Domain.plan({ messageBytes: 64 });
    const domain = Domain.create({ slots: slots + 1, dataBytes });
    for (const name of ["there", "back"]) domain.slot(name, options);
    for (const name of others) domain.slot(name, { messageBytes: 64 });
    const { handle } = domain;
    domain.close();
    const path = (name: string) => ({ handle, name, others, bytes });
    return [path("there"), path("back")] as const;
  };
}

const words = () => [0, 1].map(() => new Int32Array(new SharedArrayBuffer(4)));

const bare = words as () => [unknown, unknown];
const sets = [1, 10, 100];

/** Both ends are asleep before a message comes. */
const waking = {
  name: "64 B, there and back, asleep",
  ways: [
    roundTrips("Atomics.wait and notify", "atomicsAsleep", bare, 2_000, false),
    ...sets.map((slots) => (
      roundTrips(`a set of ${slots} slots`, "domainAsleep", domainPaths(slots, 64), 2_000, false)
    )),
  ],
};

/** The end that gets the answer has no time to fall asleep, if that comes at once. */
const answering = {
  name: "64 B, there and back, at once",
  ways: [
    roundTrips("Atomics.wait and notify", "atomics", bare, 2_000, false),
    ...sets.map((slots) => (
      roundTrips(`a set of ${slots} slots`, "domain", domainPaths(slots, 64), 2_000, false)
    )),
  ],
};

function passing(name: string, bytes: number, count: number) {
  const portPaths = () => ports().map((port) => ({ port, bytes })) as unknown as [unknown, unknown];
  const channelPaths = () => ["there", "back"].map((name) => ({ name: `${name} ${bytes}`, bytes }));
  const ways: RoundTrips[] = [
    roundTrips("slot, copied", "domain", domainPaths(1, bytes), count, false),
    roundTrips("slot, in place", "domainInPlace", domainPaths(1, bytes), count, false),
    roundTrips("postMessage, cloned", "cloned", portPaths, count, false),
    roundTrips("postMessage, transferred", "transferred", portPaths, count, false),
    roundTrips(
      "BroadcastChannel",
      "channel",
      channelPaths as () => [unknown, unknown],
      count,
      false,
    ),
  ];
  return { name: `${name}, there and back`, ways };
}

const local = [
  publishing,
  reading,
  ...copying("64 KiB", 65_536, 2_000),
  ...copying("6.2 MB", IMAGE_BYTES, 20),
  subscribing,
];
const between = [
  passing("64 B", 64, 500),
  passing("64 KiB", 65_536, 300),
  passing("6.2 MB", IMAGE_BYTES, 15),
];

declare(local, { warmup: 1, n: 2 });
printAtEnd(
  () => compare(local, { rounds: 15 }),
  () => compareHeap([...publishing.ways, ...reading.ways] as LocalWay[]),
  () => compareRoundTrips(waking, 5, 15),
  () => compareRoundTrips(answering, 5, 5),
  ...between.map((group) => () => compareRoundTrips(group, 5)),
);
