/**
 * Round trips between two threads, each of which wakes the other or has it spin.
 *
 * Where the first thread is to find the second asleep, it rests before each round trip. The first
 * thread itself may still be awake when the answer comes; so the share of all waits that ended with
 * the wake-up of a sleeper is printed.
 *
 * @module
 */

import { type Group, row, type Way } from "./alternating.ts";
import { Crew, type Duty, sharedNumbers, sharedWords } from "./crew.ts";
import type { Kind, Trip } from "./round_trips_worker.ts";
import { quantile } from "./statistics.ts";

/** A way for two threads to reach each other. */
export interface RoundTrips extends Way {
  /** The microseconds of each round trip of the last run. */
  readonly samples: Float64Array;
  /** How many sleepers were woken. */
  readonly woken: Int32Array;
}

/** Round trips that are compared. */
export interface RoundTripGroup extends Group {
  readonly ways: readonly RoundTrips[];
}

/**
 * Makes a way.
 *
 * @param connect Creates the paths from the first thread to the second, and back.
 * @param count The round trips of a run.
 * @param countsWoken Whether to count the sleepers that are woken, which slows all atomic
 * operations down: not where ways with few of them are compared to ways with many.
 */
export function roundTrips(
  name: string,
  kind: Kind,
  connect: () => readonly [unknown, unknown],
  count = 500,
  countsWoken = true,
): RoundTrips {
  const samples = sharedNumbers(count);
  const woken = sharedWords(1);
  const held = sharedNumbers(1);
  const duty = (name: string, there: unknown, back: unknown): Duty => {
    const port = back instanceof MessagePort
      ? back
      : (back as { port?: MessagePort } | undefined)?.port;
    const trip: Trip = {
      kind,
      there: port === undefined ? there : undefined,
      back,
      count,
      samples,
      woken,
      countsWoken,
      held,
    };
    return { name, argument: trip, transfer: port === undefined ? [] : [port] };
  };
  const start = () => {
    const [there, back] = connect();
    const duties = [duty("ping", there, back), duty("pong", back, there)];
    return new Crew("./round_trips_worker.ts").assign(duties);
  };
  let crew: Crew | undefined;
  return { name, count, samples, woken, run: () => (crew ??= start()).run() };
}

/**
 * Alternates between the ways of a group; returns lines to print.
 *
 * @param warmups How many rounds to run before: code of many functions is optimized late.
 */
export function compareRoundTrips(
  { name, ways }: RoundTripGroup,
  rounds = 7,
  warmups = 0,
): string[] {
  const samples = ways.map((): number[] => []);
  for (let round = 0; round < warmups; round++) for (const way of ways) way.run();
  for (const { woken } of ways) woken[0] = 0;
  for (let round = 0; round < rounds; round++) {
    ways.forEach((way, i) => {
      way.run();
      samples[i]!.push(...way.samples);
    });
  }
  return [
    `\nmicroseconds, ${rounds} x ${ways[0]!.count} round trips`,
    row(name, ["median", "p99", "p99.9", "asleep"]),
    ...ways.map(({ name, woken }, i) => {
      const cells = [0.5, 0.99, 0.999].map((share) => quantile(samples[i]!, share).toFixed(2));
      const asleep = 50 * woken[0]! / samples[i]!.length;
      // Apart from those of round trips, the wake-up of the bench is counted, once a round.
      return row(name, [...cells, asleep < 1 ? "" : `${asleep.toFixed(0)} %`]);
    }),
  ];
}
