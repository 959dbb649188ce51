/**
 * How long a message takes from one worker to another and back: over two broadcast rings, spinning
 * and blocking, and over a port.
 *
 * Messages have 8 bytes. Where the ends block, each waits until the other has fallen asleep, before
 * the message and before the answer: so one trip is two wake-ups. The time for which the answer is
 * held back for that is not part of it. The share of ends that were in fact asleep is printed; a
 * port does not tell, so its ends wait for a tenth of a millisecond. The ends need a core each.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { declare, printAtEnd } from "./alternating.ts";
import { ports } from "./crew.ts";
import { compareRoundTrips, roundTrips } from "./round_trips.ts";

/** Round trips of a run. */
const TRIPS = 2_000;
/** Alternating rounds. */
const ROUNDS = 5;

const ring = () => Broadcast.create({ capacityBytes: 64 * 1024 }).handle;
const rings = () => [ring(), ring()] as const;

const group = {
  name: "there and back",
  ways: [
    roundTrips("ring, spinning", "ringSpinning", rings, TRIPS),
    roundTrips("ring, blocking", "ring", rings, TRIPS),
    roundTrips("postMessage", "portSpinning", ports, TRIPS),
    roundTrips("postMessage, asleep", "portBytes", ports, TRIPS),
  ],
};

declare([group], { warmup: 1, n: 3 });
printAtEnd(() => compareRoundTrips(group, ROUNDS));
