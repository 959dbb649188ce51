/**
 * Fragments, filters and bulk reads while the writer laps, under every schedule that matters; and
 * broken twins of them. `models.ts` says what the rings are like.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast, FrameCursor, Reassembler } from "@busbar/busbar";
import { FRAME, numbered, passes, read, ring, type State, write } from "./models.ts";

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
        const messages = new Reassembler(reader);
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

Deno.test("broadcast: a filter is asked of what may be torn, and lets only true messages pass", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader: read(2, { filter: (userValue) => userValue % 2 === 1 }),
    },
    check: (_, { reader }) => assert(reader.every((number) => number < 0 || number % 2 === 1)),
  });
});

Deno.test("broadcast: bulk reads are of whole and true frames, across a lap", async () => {
  await passes({
    setup: ring(),
    threads: {
      writer: write(6),
      reader({ handle }: State) {
        const reader = Broadcast.attach(handle).reader({ from: 0, onOverrun: "continue" });
        const window = new Uint8Array(40);
        for (let i = 0; i < 2; i++) {
          const length = reader.readBulk(window);
          const frames = new FrameCursor(window.subarray(0, length));
          let number = reader.sequence - length / FRAME;
          while (frames.next()) assertEquals(frames.message(), numbered(++number));
          assertEquals(number, reader.sequence);
        }
      },
    },
  });
});
