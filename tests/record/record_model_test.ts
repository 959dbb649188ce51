/**
 * Records under every schedule that matters. A record orders nothing itself: through a ring or a
 * flag it is whole, and without either it is a race.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast } from "@busbar/busbar/broadcast";
import { Mutex, type MutexHandle } from "@busbar/busbar/sync";
import { array, bytes, defineRecord, utf8 } from "@busbar/busbar/record";
import { ring, type State, validatingByLoad } from "../broadcast/models.ts";
import { fails, passes } from "../verdicts.ts";

const Pair = defineRecord({ first: "u32", second: "u32" });
const Quote = defineRecord({
  id: "u16",
  price: "f64",
  at: "i64",
  symbol: utf8(2),
  digest: bytes(2),
  sums: array("i8", 2),
  best: Pair,
  isOpen: "bool",
});

const quote = {
  id: 1,
  price: 0.5,
  at: -1n,
  symbol: "AB",
  digest: new Uint8Array([3, 4]),
  sums: [-5, 6],
  best: { first: 7, second: 8 },
  isOpen: true,
};

interface Flagged {
  readonly record: SharedArrayBuffer;
  readonly flag: Int32Array;
}

function flagged(): Flagged {
  return {
    record: new SharedArrayBuffer(Quote.byteLength),
    flag: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/** Writes a record at once, then sets the flag. */
function writeThenFlag({ record, flag }: Flagged): void {
  Quote.write(record, 0, quote);
  Atomics.store(flag, 0, 1);
}

Deno.test("record: what was written before an atomic store is read whole after it was seen", async () => {
  await passes({
    setup: flagged,
    threads: {
      writer: writeThenFlag,
      reader({ record, flag }: Flagged) {
        if (Atomics.load(flag, 0) === 1) assertEquals(Quote.read(record), quote);
      },
    },
  });
});

/** Readers of one field each, through a view, that do not look at the flag. */
const READERS = {
  id: ({ record }: Flagged) => Quote.view(record).id,
  price: ({ record }: Flagged) => Quote.view(record).price,
  at: ({ record }: Flagged) => Quote.view(record).at,
  symbol: ({ record }: Flagged) => Quote.view(record).symbol,
  digest: ({ record }: Flagged) => Quote.view(record).digest.get(1),
  "digest, copied": ({ record }: Flagged) => Quote.view(record).digest.toArray(),
  sums: ({ record }: Flagged) => Quote.view(record).sums.get(1),
  best: ({ record }: Flagged) => Quote.view(record).best.second,
  isOpen: ({ record }: Flagged) => Quote.view(record).isOpen,
};

for (const [name, reader] of Object.entries(READERS)) {
  Deno.test(`broken twin: a reader of ${name} that does not look at the flag is a race`, async () => {
    await fails("data race", { setup: flagged, threads: { writer: writeThenFlag, reader } });
  });
}

Deno.test("broken twin: the flag is set before the last field, which is a race", async () => {
  await fails("data race", {
    setup: flagged,
    threads: {
      writer({ record, flag }: Flagged) {
        const view = Quote.view(record);
        view.id = 1;
        Atomics.store(flag, 0, 1);
        view.best.second = 2;
      },
      reader: ({ record, flag }: Flagged) =>
        Atomics.load(flag, 0) === 1 ? Quote.view(record).best.second : 0,
    },
  });
});

interface Locked {
  readonly record: SharedArrayBuffer;
  readonly mutex: MutexHandle;
}

Deno.test("record: threads that change a record under a mutex lose no change", async () => {
  const increment = ({ record, mutex }: Locked) => {
    const pair = Pair.view(record);
    using _guard = Mutex.attach(mutex).lock();
    pair.second = ++pair.first;
  };
  await passes({
    setup: () => ({
      record: new SharedArrayBuffer(Pair.byteLength),
      mutex: Mutex.create().handle,
    }),
    threads: { a: increment, b: increment },
    check: ({ record }) => assertEquals(Pair.read(record), { first: 2, second: 2 }),
  });
});

/** Fills records in the ring, and publishes each. */
function writePairs({ handle }: State): void {
  const writer = Broadcast.attach(handle).writer();
  const pair = Pair.view(writer.bytes);
  for (let i = 1; i <= 6; i++) {
    pair.moveTo(writer.claim(Pair.byteLength));
    pair.first = i;
    pair.second = i;
    writer.commit();
    writer.publish();
  }
}

/** Polls twice; returns the numbers of the records, which must be whole. */
function readPairs({ handle }: State): number[] {
  const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
  const pair = Pair.view(reader.bytes);
  const numbers: number[] = [];
  for (let i = 0; i < 2; i++) {
    reader.poll();
    while (reader.next()) {
      const { first, second } = pair.moveTo(reader.offset);
      assertEquals(first, second, "a torn record was accepted");
      assertEquals(first, reader.sequence, "a record in the wrong place");
      numbers.push(first);
    }
  }
  return numbers;
}

Deno.test("record: through a ring that laps its reader, each record is whole", async () => {
  const seen = new Set<string>();
  await passes({
    setup: ring(),
    threads: { writer: writePairs, reader: readPairs },
    check: (_, { reader }) => void seen.add(reader.join()),
  });
  assert(["", "1", "1,2,3,4"].every((numbers) => seen.has(numbers)));
});

Deno.test("broken twin: a torn record that the reader's validation lets through is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: { writer: writePairs, reader: validatingByLoad(readPairs) },
  });
});
