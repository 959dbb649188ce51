/**
 * How long a message takes from one worker to another and back: over two broadcast rings, spinning
 * and blocking, and over a port.
 *
 * Messages have 8 bytes. Where the ends block, each waits until the other has fallen asleep, before
 * the message and before the answer: so one trip is two wake-ups. The time for which the answer is
 * held back for that is not part of it. How often both ends really were asleep is counted; a port
 * does not say, so its ends wait for a tenth of a millisecond. The ends need a core each.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { type Burst, quantile, Team } from "./broadcast_team.ts";
import type { Job, Trips } from "./broadcast_worker.ts";

/** The trips of a round. */
const TRIPS = 2_000;
/** Alternating rounds. */
const ROUNDS = 5;

/** One way there and back. */
interface Way {
  name: string;
  roles: [Job["role"], Job["role"]];
  spins: boolean;
}

const WAYS: Way[] = [
  { name: "ring, spinning", roles: ["ping", "pong"], spins: true },
  { name: "ring, blocking", roles: ["ping", "pong"], spins: false },
  { name: "postMessage", roles: ["portPing", "portPong"], spins: true },
  { name: "postMessage, asleep", roles: ["portPing", "portPong"], spins: false },
];

const team = new Team();
const there = Broadcast.create({ capacityBytes: 64 * 1024 });
const back = Broadcast.create({ capacityBytes: 64 * 1024 });

async function travel({ roles, spins }: Way, messages = TRIPS): Promise<Trips> {
  const { port1, port2 } = new MessageChannel();
  const burst: Burst = {
    via: there.handle,
    back: back.handle,
    messageBytes: 8,
    messages,
    batch: 1,
    ahead: Infinity,
    receivers: 1,
    spins,
  };
  const isPort = roles[0] === "portPing";
  const { results } = await team.run(burst, roles, isPort ? [port1, port2] : []);
  return results[0] as Trips;
}

const lines: string[] = [];

for (const [i, way] of WAYS.entries()) {
  Deno.bench(
    `${way.name}, ${TRIPS} round trips`,
    { baseline: i === 0, n: 3, warmup: 1 },
    async () => {
      await travel(way);
    },
  );
}

Deno.bench("all of these, alternating", { group: "quantiles", n: 1, warmup: 0 }, async () => {
  if (lines.length > 0) return;
  const samples = WAYS.map((): Trips[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, way] of WAYS.entries()) samples[i]!.push(await travel(way));
  }
  lines.push(
    `\nmicroseconds a round trip, ${ROUNDS} x ${TRIPS} of them`,
    row("", "p50", "p99", "p99.9", "both asleep"),
  );
  WAYS.forEach(({ name }, i) => {
    const all = samples[i]!.flatMap(({ microseconds }) => microseconds);
    const parked = samples[i]!.reduce((sum, trips) => sum + trips.parked, 0);
    const cells = [0.5, 0.99, 0.999].map((share) => quantile(all, share).toFixed(2));
    const asleep = name === "ring, blocking" ? `${(100 * parked / all.length).toFixed(1)} %` : "";
    lines.push(row(name, ...cells, asleep));
  });
  team.dismiss();
});

function row(name: string, ...cells: string[]): string {
  return `  ${name.padEnd(28)}${cells.map((cell) => cell.padStart(12)).join("")}`;
}

// Deno puts the name of a bench before each line that it prints.
globalThis.addEventListener("unload", () => console.log(lines.join("\n")));
