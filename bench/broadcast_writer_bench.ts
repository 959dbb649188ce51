/**
 * What readers cost the writer, which never waits for them: none, one that spins, one that lets
 * messages gather for a microsecond after each batch, one that sleeps when it can, and three of
 * those. Then by how much the heaps of a writer and a reader grow over ten million messages.
 *
 * The writer times itself in chunks of some tenths of a millisecond. With more threads than cores it
 * loses its core every now and then, which is not the ring's doing; so the median chunk counts, and
 * the quickest quarter. Readers that are too slow are overrun, and say what they got.
 *
 * Who looks at the position takes its cache line from the writer, which has to fetch it back to
 * publish. So a reader that looks again at once makes each publication dearer, and one that lets
 * messages gather does not, whatever the ring may do.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { type Burst, median, quantile, Team } from "./broadcast_team.ts";
import type { Job, WriterCost } from "./broadcast_worker.ts";

const CAPACITY_BYTES = 8 * 1024 * 1024;
const MESSAGES = 1_024_000;
/** For how many messages the growth of the heap is measured. */
const HEAP_MESSAGES = 10_000_000;
/** Alternating rounds. */
const ROUNDS = 7;

/** One set of readers. */
interface Readers {
  name: string;
  count: number;
  spins: boolean;
  gathers?: boolean;
}

const READERS: Readers[] = [
  { name: "no reader", count: 0, spins: false },
  { name: "one reader that spins", count: 1, spins: true },
  { name: "one reader that gathers", count: 1, spins: true, gathers: true },
  { name: "one reader that blocks", count: 1, spins: false, gathers: true },
  { name: "three readers that block", count: 3, spins: false, gathers: true },
];

/** What readers report. */
interface Read {
  messages: number;
  lost: number;
}

const team = new Team();
// Where positions no longer fit small integers.
const ring = Broadcast.create({ capacityBytes: CAPACITY_BYTES, startPosition: 2 ** 40 });

async function write(readers: Readers, messageBytes: number, batch: number): Promise<unknown[]> {
  const burst: Burst = {
    via: ring.handle,
    messageBytes,
    messages: messageBytes > 256 ? MESSAGES / 4 : MESSAGES,
    batch,
    ahead: Infinity,
    receivers: readers.count,
    spins: readers.spins,
    gathers: readers.gathers ?? false,
  };
  const roles: Job["role"][] = ["writeFreely"];
  for (let i = 0; i < readers.count; i++) roles.push("readFreely");
  return (await team.run(burst, roles)).results;
}

const lines: string[] = [];

/** Alternates between the sets of readers. */
async function compare(messageBytes: number, batch: number): Promise<void> {
  const samples = READERS.map((): unknown[][] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, readers] of READERS.entries()) {
      samples[i]!.push(await write(readers, messageBytes, batch));
    }
  }
  const published = batch === 1 ? "one by one" : `per ${batch}`;
  lines.push(
    "",
    row(`${messageBytes} B, published ${published}`, "median", "quarter", "read"),
  );
  let alone = 0;
  READERS.forEach(({ name }, i) => {
    const costs = samples[i]!.map(([writer]) => writer as WriterCost);
    const reads = samples[i]!.flatMap(([_, ...readers]) => readers as Read[]);
    const chunks = costs.flatMap(({ nanoseconds }) => nanoseconds);
    const quarter = quantile(chunks, 0.25);
    if (i === 0) alone = quarter;
    const got = reads.reduce((sum, { messages }) => sum + messages, 0);
    const lost = reads.reduce((sum, { lost }) => sum + lost, 0);
    lines.push(row(
      name,
      `${median(chunks).toFixed(1)} ns`,
      `${quarter.toFixed(1)} ns (${(100 * quarter / alone - 100).toFixed(0)} %)`,
      reads.length === 0 ? "" : `${(100 * got / (got + lost)).toFixed(0)} %`,
    ));
  });
}

/** The heap's growth over many messages, at both ends. */
async function growth(sender: Job["role"], receiver: Job["role"]): Promise<string> {
  const burst: Burst = {
    via: ring.handle,
    messageBytes: 64,
    messages: HEAP_MESSAGES,
    batch: 64,
    ahead: CAPACITY_BYTES / 2 / 72,
    receivers: 1,
    spins: true,
  };
  // The first burst compiles what both do.
  await team.run({ ...burst, messages: HEAP_MESSAGES / 10 }, [sender, receiver]);
  const { results } = await team.run(burst, [sender, receiver]);
  const cells = results.map((bytes) => `${((bytes as number) / HEAP_MESSAGES).toFixed(2)} B each`);
  return row(`${sender}, ${receiver}`, ...cells);
}

function row(name: string, ...cells: string[]): string {
  return `  ${name.padEnd(28)}${cells.map((cell) => cell.padStart(16)).join("")}`;
}

for (const [i, readers] of READERS.entries()) {
  const name = `${readers.name}, ${MESSAGES} messages of 64 B`;
  Deno.bench(name, { baseline: i === 0, n: 3, warmup: 2 }, async () => {
    await write(readers, 64, 64);
  });
}

Deno.bench("all of these, alternating", { group: "medians", n: 1, warmup: 0 }, async () => {
  if (lines.length > 0) return;
  lines.push(`\nthe writer's cost of a message, ${ROUNDS} alternating rounds`);
  for (const batch of [64, 1]) {
    for (const messageBytes of [8, 64, 256, 1024]) await compare(messageBytes, batch);
  }
  lines.push(
    `\ngrowth of the heap over ${HEAP_MESSAGES.toLocaleString("en")} messages of 64 B, by 64`,
    row("", "writer", "reader"),
    await growth("append", "read"),
    await growth("claim", "bulk"),
    await growth("appendEqual", "receive"),
  );
  team.dismiss();
});

// Deno puts the name of a bench before each line that it prints.
globalThis.addEventListener("unload", () => console.log(lines.join("\n")));
