/**
 * Fragments, filters and bulk reads while the writer laps, under every schedule that matters; and
 * broken twins of them. `models.ts` describes the rings.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast, FrameCursor, Reassembler } from "@busbar/busbar/broadcast";
import { fails, passes } from "../verdicts.ts";
import {
  FRAME,
  markingLate,
  numbered,
  read,
  ring,
  type State,
  take,
  validatingByLoad,
  write,
} from "./models.ts";

Deno.test("broadcast: a message in fragments is whole or left out, across a lap", async () => {
  const message = Uint8Array.from({ length: 20 }, (_, i) => i);
  await passes({
    setup: ring(),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let userValue = 1; userValue <= 2; userValue++) {
          writer.appendFragments(message, { userValue });
          writer.publish();
        }
      },
      reader({ handle }: State): string {
        const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
        const messages = Reassembler.create(reader);
        let count = 0;
        for (let i = 0; i < 2; i++) {
          messages.poll();
          while (messages.next()) {
            assertEquals(messages.message(), message);
            assertEquals(messages.userValue, ++count + messages.lostMessages);
          }
        }
        return `${count}+${messages.lostMessages}`;
      },
    },
  });
});

Deno.test("broadcast: a filter sees values that may be torn, and passes only true messages", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader: read(2, { filter: (userValue) => userValue % 2 === 1 }),
    },
    check: (_, { reader }) => assert(reader.every((number) => number < 0 || number % 2 === 1)),
  });
});

/** Reads this many messages, waiting for each, and is not overrun. */
const pollForAll = (count: number) => ({ handle }: State): void => {
  const reader = Broadcast.attach(handle).reader({ from: Broadcast.attach(handle).startPosition });
  for (let number = 1; number <= count;) {
    if (!reader.poll()) reader.wait();
    else while (reader.next()) assertEquals(reader.message(), numbered(number++));
  }
};

/** Reads in bulk, twice, through a window of two segments and a half. */
function readBulk({ handle }: State): void {
  const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
  const window = new Uint8Array(40);
  for (let i = 0; i < 2; i++) {
    const length = reader.readBulk(window);
    const frames = new FrameCursor(window.subarray(0, length));
    let number = reader.sequence - length / FRAME;
    while (frames.next()) assertEquals(frames.message(), numbered(++number));
    assertEquals(number, reader.sequence);
  }
}

Deno.test("broadcast: bulk reads are of whole and true frames, across a lap", async () => {
  await passes({ setup: ring(), threads: { writer: write(6), reader: readBulk } });
});

// Frames of 24 bytes in segments of 32: some marks point behind frames that end beyond the window.
Deno.test("broadcast: bulk reads end before a frame that continues in the next segment", async () => {
  const payload = (number: number) => new Uint8Array(16).fill(number);
  await passes({
    setup: () => ({ handle: Broadcast.create({ capacityBytes: 128, segments: 4 }).handle }),
    threads: {
      writer({ handle }: State) {
        const writer = Broadcast.attach(handle).writer();
        for (let number = 1; number <= 7; number++) writer.send(payload(number));
      },
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
        const window = new Uint8Array(40);
        for (let i = 0; i < 3; i++) {
          const length = reader.readBulk(window);
          assert(length <= window.length);
          const frames = new FrameCursor(window.subarray(0, length));
          const numbers: number[] = [];
          while (frames.next()) {
            assertEquals(frames.message(), payload(frames.message()[0]!));
            numbers.push(frames.message()[0]!);
          }
          assertEquals(numbers, numbers.map((_, k) => reader.sequence - numbers.length + 1 + k));
        }
      },
    },
  });
});

Deno.test("broadcast: frames that are longer than a batch, across a lap", async () => {
  await passes({
    setup: ring(),
    threads: { writer: write(5), reader: read(2, { batchBytes: 8 }) },
  });
});

// The high word of the position is raised before the position is published, so a reader that has
// read everything may find it one ahead.
Deno.test("broadcast: a reader is not overrun because the position is about to enter its next unit", async () => {
  await passes({
    setup: ring(2 ** 31 - FRAME),
    threads: { writer: write(3), reader: pollForAll(3) },
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a bulk read that is validated by a load is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: write(6),
      reader: validatingByLoad(readBulk),
    },
  });
});

Deno.test("broken twin: a mark that a bulk read uses, and that is written too late, is a race", async () => {
  const error = await fails("data race", {
    setup: ring(),
    threads: {
      writer: markingLate(write(3), 2),
      reader: readBulk,
    },
  });
  assert(error.message.includes("broadcast.first[2]"), error.message);
});

Deno.test("broken twin: a filtered read that is validated by a load is a race", async () => {
  await fails("data race", {
    setup: ring(),
    threads: {
      writer: write(6),
      reader: validatingByLoad(read(1, { filter: () => true })),
    },
  });
});

Deno.test("broadcast: a reader that spins on the hint of more gets every message", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(3),
      reader: ({ handle }: State): number[] => {
        const broadcast = Broadcast.attach(handle);
        const reader = broadcast.reader({ from: broadcast.startPosition });
        const seen: number[] = [];
        while (seen.length < 3) {
          while (!reader.hasMoreHint) Atomics.pause();
          take(reader, seen);
        }
        return seen;
      },
    },
    check: (_, { reader }) => assertEquals(reader, [1, 2, 3]),
  });
});
