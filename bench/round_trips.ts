/**
 * Round trips between two threads: how they are compared, and those in which one thread wakes the
 * other, which answers.
 *
 * @module
 */

import { row, type Way } from "./alternating.ts";
import { Crew, type Duty, sharedNumbers, sharedWords } from "./crew.ts";
import type { Kind, Trip } from "./round_trips_worker.ts";
import { quantile } from "./statistics.ts";

/** A way for two threads to reach each other, each run of which fills in its samples. */
export interface RoundTrips extends Way {
  /** The microseconds of each round trip of a run. */
  readonly samples: Float64Array;
  /** Which share of those that waited in the last run were asleep; undefined if it is not known. */
  readonly asleep: number | undefined;
}

/** Alternates between ways; returns lines to print. */
export function compareRoundTrips(
  name: string,
  ways: readonly RoundTrips[],
  rounds: number,
): string[] {
  const samples = ways.map((): number[] => []);
  const asleep = ways.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    ways.forEach((way, i) => {
      way.prepare?.();
      way.run();
      samples[i]!.push(...way.samples);
      asleep[i]! += way.asleep ?? NaN;
    });
  }
  return [
    `\nmicroseconds, ${rounds} x ${ways[0]!.count} round trips`,
    row(name, ["median", "p99", "p99.9", "asleep"]),
    ...ways.map((way, i) => {
      const cells = [0.5, 0.99, 0.999].map((share) => quantile(samples[i]!, share).toFixed(2));
      const share = 100 * asleep[i]! / rounds;
      return row(way.name, [...cells, Number.isNaN(share) ? "" : `${share.toFixed(0)} %`]);
    }),
  ];
}

/** Round trips of a run. */
const TRIPS = 500;

/**
 * Two threads that wake each other. The first one waits a little before each round trip, so that
 * the second one has fallen asleep. The first one itself may still be awake when the answer comes;
 * the share of sleepers counts both.
 */
export class WakeUps implements RoundTrips {
  readonly name: string;
  readonly count = TRIPS;
  readonly samples = sharedNumbers(TRIPS);
  readonly #woken = sharedWords(1);
  readonly #kind: Kind;
  readonly #connect: () => readonly [unknown, unknown];
  #crew: Crew | undefined;

  /** @param connect Makes what leads from the first thread to the second, and what leads back. */
  constructor(name: string, kind: Kind, connect: () => readonly [unknown, unknown]) {
    this.name = name;
    this.#kind = kind;
    this.#connect = connect;
  }

  run(): void {
    this.#crew ??= this.#start();
    this.#woken[0] = 0;
    this.#crew.run();
  }

  get asleep(): number | undefined {
    const isKnown = this.#kind !== "port" && this.#kind !== "transfer";
    return isKnown ? this.#woken[0]! / 2 / TRIPS : undefined;
  }

  #start(): Crew {
    const [there, back] = this.#connect();
    const duty = (name: string, there: unknown, back: unknown): Duty => {
      const isPort = back instanceof MessagePort;
      const argument: Trip = {
        kind: this.#kind,
        there: isPort ? undefined : there,
        back,
        count: TRIPS,
        samples: this.samples,
        woken: this.#woken,
      };
      return { name, argument, transfer: isPort ? [back] : [] };
    };
    const duties = [duty("ping", there, back), duty("pong", back, there)];
    return new Crew("./round_trips_worker.ts").assign(duties);
  }
}
