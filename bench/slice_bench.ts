/**
 * The slice pool in the three scenarios of its seed: a round writes two messages of 4 to 16 KiB,
 * ten bytes at a time, and takes each. They are dropped at once; or sent to another thread, and
 * dropped there later; or that, and both are awaited.
 *
 * Beside it are heap memory, a fresh array for each message, a map-based pool, and, as a maximum,
 * an array that is written at its beginning again and again. What lies in shared memory is sent as
 * words, all else by `postMessage`, with its buffer transferred. Each way has threads of its own,
 * so that its code is compiled for it. The seed's benches in Rust print milliseconds for 1000
 * rounds, so microseconds a round are to be compared with them.
 *
 * @module
 */

import { SlicePool } from "../mod.ts";
import {
  compare,
  compareHeap,
  declare,
  type Group,
  type LocalWay,
  onThisThread,
  printAtEnd,
  type Way,
} from "./alternating.ts";
import { Crew, ports, sharedWords } from "./crew.ts";
import { type Kind, mapArrays, meetingWords, type SliceJob } from "./slice_worker.ts";

/** The bytes of the block, as in the seed's benches. */
const CAPACITY_BYTES = 5 * 2 ** 16;

const NAMES: Record<Kind, string> = {
  pool: "slice pool",
  heap: "heap buffer",
  fresh: "a fresh array of 16 KiB for each",
  map: "map-based pool",
  maximum: "maximum: nothing but the writes",
};

/** What the pool of a way found, for the report. */
const hitRates: (() => string)[] = [];

/** One way in one scenario. */
function way(
  kind: Kind,
  rounds: number,
  keepMs: number | undefined,
  { waits = false, slots = 8 } = {},
): Way {
  let crew: Crew | undefined;
  const name = kind === "pool" ? `${NAMES.pool}, ${slots} slots` : NAMES[kind];
  const counts = sharedWords(2);
  const start = () => {
    const pool = SlicePool.create({ capacityBytes: CAPACITY_BYTES, slots });
    pool.close();
    const [port, other] = ports();
    const job: Omit<SliceJob, "port"> = {
      kind,
      rounds,
      keepMs,
      waits,
      pool: pool.handle,
      words: sharedWords(meetingWords(rounds)),
      arrays: kind === "map" ? mapArrays() : [],
      counts,
    };
    if (kind === "pool") {
      hitRates.push(() => {
        const [hits = 0, misses = 0] = counts;
        const percent = (100 * hits / (hits + misses)).toFixed(0);
        return `  ${name}, kept for ${keepMs ?? 0} ms${
          waits ? ", awaited" : ""
        }: ${percent} % hits`;
      });
    }
    const producer = { name: "produce", argument: { ...job, port }, transfer: [port] };
    if (keepMs === undefined) return new Crew("./slice_worker.ts").assign([producer]);
    return new Crew("./slice_worker.ts").assign([
      producer,
      { name: "drop", argument: { ...job, port: other }, transfer: [other] },
    ]);
  };
  return { name, count: rounds, run: () => (crew ??= start()).run() };
}

/** All ways in one scenario. */
function scenario(
  name: string,
  rounds: number,
  keepMs: number | undefined,
  note: string,
  waits = false,
) {
  const options = { waits };
  return {
    name,
    ways: [
      way("pool", rounds, keepMs, options),
      ...(keepMs === undefined ? [] : [way("pool", rounds, keepMs, { ...options, slots: 32 })]),
      way("heap", rounds, keepMs, options),
      way("fresh", rounds, keepMs, options),
      way("map", rounds, keepMs, options),
      way("maximum", rounds, keepMs, options),
    ],
    note,
  } satisfies Group;
}

const groups: Group[] = [
  scenario(
    "one thread",
    200,
    undefined,
    "in Rust, here, in microseconds: pool 13.3, system memory 8.3, map 25.7, maximum 0.85; published 7.5, 10.3, 32.6, 1.26",
  ),
  scenario(
    "sent, and dropped 0.01 ms later",
    100,
    0.01,
    "in Rust, published, in microseconds: pool 34.7, system memory 142, map 49.8, maximum 18.2",
  ),
  scenario("sent, and dropped 1 ms later", 100, 1, "the benches in Rust keep them for 0.01 ms"),
  scenario(
    "sent, dropped 1 ms later, both awaited",
    20,
    1,
    "in Rust, published, in microseconds, kept for 10 ns: pool 80.9, system memory 192, map 102, maximum 67.0",
    true,
  ),
];

/** Ten-byte writes by themselves, and a message for a thousand of them. */
const WRITES = 100_000;
const WRITES_PER_MESSAGE = 1000;
const WRITE_BYTES = 10;

const writesIntoPool: LocalWay = onThisThread("into the slice pool", WRITES, (writes) => {
  using pool = SlicePool.create({ capacityBytes: CAPACITY_BYTES });
  for (let i = 0; i < writes; i++) {
    pool.claim(WRITE_BYTES);
    const { bytes, offset } = pool;
    for (let j = 0; j < WRITE_BYTES; j++) bytes[offset + j] = i + j;
    pool.commit();
    if (i % WRITES_PER_MESSAGE === 0) pool.take().release();
  }
});

const writesInPlace: LocalWay = onThisThread("at one place", WRITES, (writes) => {
  const bytes = new Uint8Array(new SharedArrayBuffer(CAPACITY_BYTES));
  for (let i = 0; i < writes; i++) {
    for (let j = 0; j < WRITE_BYTES; j++) bytes[j] = i + j;
  }
});

/** Messages that are written whole. */
const MESSAGES = 20_000;
const message = new Uint8Array(10 * 1024).fill(7);

const wholeMessages: Group = {
  name: "messages of 10 KiB, written whole",
  ways: [
    onThisThread("slice pool", MESSAGES, (messages) => {
      using pool = SlicePool.create({ capacityBytes: CAPACITY_BYTES });
      for (let i = 0; i < messages; i++) {
        pool.append(message);
        pool.take().release();
      }
    }),
    onThisThread("a fresh array for each", MESSAGES, (messages) => {
      let last: Uint8Array | undefined;
      for (let i = 0; i < messages; i++) {
        last = new Uint8Array(message.length);
        last.set(message);
      }
      if (last?.at(-1) !== 7) throw new Error("A message is lost");
    }),
  ],
};

const writes: Group = { name: "ten-byte writes", ways: [writesInPlace, writesIntoPool] };

declare([writes, wholeMessages, ...groups], { warmup: 2, n: 3 });
printAtEnd(
  () => compare([writes, wholeMessages]),
  () => compare(groups, { unit: "nanoseconds a round of two messages", rounds: 9 }),
  () => ["\nhits of the pool", ...hitRates.map((line) => line())],
  () => compareHeap([writesInPlace, writesIntoPool]),
);
