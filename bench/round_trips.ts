/**
 * Round trips between two threads that sleep: one wakes the other, which answers.
 *
 * The first waits a little before each, so that the other has fallen asleep. The first one itself
 * has not always, when the answer comes; so it is said how many of both were asleep.
 *
 * @module
 */

import { type Group, quantile, row, type Way } from "./alternating.ts";
import { Crew, type Duty } from "./crew.ts";
import type { Kind } from "./round_trips_worker.ts";

/** Round trips of a run. */
const TRIPS = 500;
/** Alternating runs. */
const ROUNDS = 7;

const module = import.meta.resolve("./round_trips_worker.ts");
const words = (count: number) => new Int32Array(new SharedArrayBuffer(4 * count));

/** Two threads that wake each other. */
export class RoundTrips implements Way {
  readonly #samples = new Float64Array(new SharedArrayBuffer(8 * TRIPS));
  readonly #woken = words(1);
  #crew: Crew | undefined;
  readonly count = TRIPS;
  readonly microseconds: number[] = [];

  readonly name: string;
  readonly kind: Kind;
  readonly make: () => [unknown, unknown];

  constructor(name: string, kind: Kind, make: () => [unknown, unknown]) {
    this.name = name;
    this.kind = kind;
    this.make = make;
  }

  run(): void {
    this.#crew ??= this.#start();
    this.#crew.run();
    this.microseconds.push(...this.#samples);
  }

  /** How many of those that waited were asleep, of all; of a port it is not known. */
  get share(): number {
    return this.#woken[0]! / 2 / this.microseconds.length;
  }

  /** Whether messages go through ports. */
  get isByPort(): boolean {
    return this.kind === "port" || this.kind === "transfer";
  }

  /** Forgets what was measured. */
  clear(): void {
    this.microseconds.length = 0;
    this.#woken[0] = 0;
  }

  #start(): Crew {
    const [there, back] = this.make();
    const isPort = this.isByPort;
    const trip = {
      kind: this.kind,
      count: TRIPS,
      samples: this.#samples,
      woken: this.#woken,
      idle: words(1),
    };
    const duty = (name: string, there: unknown, back: unknown): Duty => ({
      name,
      argument: { ...trip, there: isPort ? undefined : there, back },
      transfer: isPort ? [back as MessagePort] : [],
    });
    return new Crew(module, [duty("ping", there, back), duty("pong", back, there)]);
  }
}

/** Round trips that are compared. */
export class RoundTripGroup implements Group {
  readonly name: string;
  readonly ways: readonly RoundTrips[];

  constructor(name: string, ways: readonly RoundTrips[]) {
    this.name = name;
    this.ways = ways;
  }

  /** Alternates between them; returns lines to print. */
  compare(): string[] {
    for (const trips of this.ways) trips.clear();
    for (let round = 0; round < ROUNDS; round++) {
      for (const trips of this.ways) trips.run();
    }
    return [
      `\nmicroseconds, ${ROUNDS} x ${TRIPS} round trips`,
      row(this.name, ["median", "p99", "asleep"]),
      ...this.ways.map(({ name, isByPort, microseconds, share }) => {
        const cells = [0.5, 0.99].map((part) => quantile(microseconds, part).toFixed(1));
        return row(name, [...cells, isByPort ? "" : `${(100 * share).toFixed(0)} %`]);
      }),
    ];
  }
}
