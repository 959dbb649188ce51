/**
 * How long a message takes from one worker to another and back: over two broadcast rings, spinning
 * and blocking, and over a port.
 *
 * Messages have 8 bytes. Where the ends block, each waits until the other has fallen asleep, before
 * the message and before the answer: so one trip is two wake-ups. The time for which the answer is
 * held back for that is not part of it. How often both ends were in fact asleep is counted; a port
 * does not tell, so its ends wait for a tenth of a millisecond. The ends need a core each.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { declare, printAtEnd } from "./alternating.ts";
import type { Trip } from "./broadcast_latency_worker.ts";
import { Crew, ports, sharedNumbers, sharedWords } from "./crew.ts";
import { compareRoundTrips, type RoundTrips } from "./round_trips.ts";

/** Round trips of a run. */
const TRIPS = 2_000;
/** Alternating rounds. */
const ROUNDS = 5;

const crew = new Crew("./broadcast_latency_worker.ts");
const there = Broadcast.create({ capacityBytes: 64 * 1024 });
const back = Broadcast.create({ capacityBytes: 64 * 1024 });

/** Two threads that answer each other, over rings or a port. */
class Answers implements RoundTrips {
  readonly name: string;
  readonly count = TRIPS;
  readonly samples = sharedNumbers(TRIPS);
  readonly #asleep = sharedWords(1);
  readonly #isPort: boolean;
  readonly #spins: boolean;

  constructor(name: string, isPort: boolean, spins: boolean) {
    this.name = name;
    this.#isPort = isPort;
    this.#spins = spins;
  }

  prepare(): void {
    this.#asleep[0] = 0;
    const trip: Trip = {
      there: there.handle,
      back: back.handle,
      count: TRIPS,
      spins: this.#spins,
      samples: this.samples,
      asleep: this.#asleep,
    };
    const duties = this.#isPort
      ? ports().map((port, i) => ({
        name: ["portPing", "portPong"][i]!,
        argument: { ...trip, there: port },
        transfer: [port],
      }))
      : ["ping", "pong"].map((name) => ({ name, argument: trip }));
    crew.assign(duties, 1);
  }

  run(): void {
    crew.run();
  }

  /** The share of round trips before which both ends were asleep. */
  get asleep(): number | undefined {
    return this.#isPort || this.#spins ? undefined : this.#asleep[0]! / TRIPS;
  }
}

const ways = [
  new Answers("ring, spinning", false, true),
  new Answers("ring, blocking", false, false),
  new Answers("postMessage", true, true),
  new Answers("postMessage, asleep", true, false),
];

declare([{ name: "there and back", ways }], { warmup: 1, n: 3 });
printAtEnd(() => compareRoundTrips("there and back", ways, ROUNDS));
