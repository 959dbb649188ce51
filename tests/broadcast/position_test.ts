import { assertEquals, assertThrows } from "@std/assert";
import { Broadcast, OverrunError } from "../../mod.ts";
import {
  EPOCH,
  EPOCH_STEP,
  POSITION,
  POSITION_HIGH,
  POSITION_HIGH_UNIT,
  segmentLine,
} from "../../src/broadcast/layout.ts";
import { loadPosition, raiseHigh } from "../../src/broadcast/position.ts";
import { numbered, take } from "./messages.ts";

/** Starts that lie one lap before something wraps. */
const starts = {
  "the sign of the low word": 2 ** 31 - 256,
  "the low word": 2 ** 32 - 256,
  "the low word, again": 5 * 2 ** 32 - 256,
  "the epochs' sign": 2 ** 27 * 256 - 256,
  "the epochs": 2 ** 28 * 256 - 256,
};

for (const [name, startPosition] of Object.entries(starts)) {
  Deno.test(`messages and positions go on where a ring wraps ${name}`, () => {
    const broadcast = Broadcast.create({ capacityBytes: 256, startPosition });
    const early = broadcast.reader();
    const lagging = broadcast.reader();
    let writer = broadcast.writer();
    for (let i = 0; i < 60; i++) {
      assertEquals(broadcast.reader().position, writer.position);
      writer.send(numbered(i, i % 25));
      assertEquals(take(early), [numbered(i, i % 25)]);
      assertEquals(early.position, writer.position);
      if (i % 3 === 2) {
        assertEquals(lagging.lagBytes, writer.position - lagging.position);
        assertEquals(take(lagging), [2, 1, 0].map((k) => numbered(i - k, (i - k) % 25)));
      }
      writer[Symbol.dispose]();
      writer = broadcast.writer();
      assertEquals(writer.position, early.position);
    }
    assertEquals(early.overruns + lagging.overruns, 0);
  });

  Deno.test(`a reader is told of its loss where a ring wraps ${name}`, () => {
    const broadcast = Broadcast.create({ capacityBytes: 256, startPosition });
    const reader = broadcast.reader();
    using writer = broadcast.writer();
    for (let i = 0; i < 60; i++) writer.send(numbered(i, 8));
    const error = assertThrows(() => reader.poll(), OverrunError);
    assertEquals(error.position, startPosition);
    // Half the ring behind what is published.
    assertEquals(error.resumedAt, startPosition + 60 * 16 - 128);
    assertEquals(error.lostMessages, 60 - 8);
    assertEquals(take(reader).length, 8);
    assertEquals(reader.sequence, 60);
  });
}

Deno.test("the position is whole while the writer is between its two words", () => {
  const words = new Int32Array(POSITION + 1);
  const look = (high: number, low: number) => {
    words[POSITION_HIGH] = high;
    words[POSITION] = low;
    return loadPosition(words);
  };
  const unit = 2 ** 31;
  assertEquals(look(0, 8), 8);
  assertEquals(look(0, 8 | 1), 8); // Somebody sleeps.
  assertEquals(look(1, unit - 8), unit - 8);
  assertEquals(look(1, unit), unit);
  assertEquals(look(2, 2 * unit - 8), 2 * unit - 8);
  assertEquals(look(2, 2 * unit), 2 * unit);
  assertEquals(look(2 ** 22 - 1, -8), 2 ** 53 - 8);
});

Deno.test("the position is not set back by a writer that is late", () => {
  const words = new Int32Array(new SharedArrayBuffer(4 * (POSITION + 1)));
  words[POSITION_HIGH] = 5;
  raiseHigh(words, 4 * POSITION_HIGH_UNIT);
  assertEquals(words[POSITION_HIGH], 5);
  raiseHigh(words, 6 * POSITION_HIGH_UNIT);
  assertEquals(words[POSITION_HIGH], 6);
});

Deno.test("a reader that is a multiple of 2^32 bytes behind does not fall asleep", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  // What the words would be after so many bytes, all of them heartbeats.
  const words = new Int32Array(broadcast.memory.buffer);
  words[POSITION_HIGH] = 2;
  for (let i = 0; i < broadcast.segments; i++) words[segmentLine(i) + EPOCH] = EPOCH_STEP << 24;
  assertEquals(reader.poll(), false);
  assertEquals(reader.wait(0), true);
  // One that is reset instead has forgotten that.
  const other = broadcast.reader({ from: 0 });
  assertEquals(other.wait(0), true);
  other.reset();
  assertEquals([other.poll(), other.lagBytes, other.overruns], [false, 0, 0]);
  const error = assertThrows(() => reader.poll(), OverrunError);
  assertEquals([error.position, error.resumedAt], [0, 2 ** 32 - 128]);
});
