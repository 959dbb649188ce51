import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Broadcast,
  type BroadcastReader,
  OverrunError,
  Reassembler,
} from "@busbar/busbar/broadcast";
import { Memory } from "@busbar/busbar/memory";
import {
  EPOCH,
  EPOCH_STEP,
  POSITION,
  POSITION_HIGH,
  POSITION_HIGH_UNIT,
  segmentLine,
} from "../../src/broadcast/layout.ts";
import { PublishedPosition } from "../../src/broadcast/published_position.ts";
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

  Deno.test(`a reader learns of its loss where a ring wraps ${name}`, () => {
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

/** A position in memory of its own. */
function makePosition() {
  const memory = Memory.create({ byteLength: 4 * (POSITION + 1) });
  const words = new Int32Array(memory.buffer);
  return { words, position: new PublishedPosition(memory, words) };
}

Deno.test("the position is whole while the writer is between its two words", () => {
  const { words, position } = makePosition();
  const look = (high: number, low: number) => {
    words[POSITION_HIGH] = high;
    words[POSITION] = low;
    return position.load();
  };
  const unit = 2 ** 31;
  assertEquals(look(0, 8), 8);
  assertEquals(look(0, 8 | 1), 8); // A reader sleeps.
  assertEquals(look(1, unit - 8), unit - 8);
  assertEquals(look(1, unit), unit);
  assertEquals(look(2, 2 * unit - 8), 2 * unit - 8);
  assertEquals(look(2, 2 * unit), 2 * unit);
  assertEquals(look(2 ** 22 - 1, -8), 2 ** 53 - 8);
});

Deno.test("the position is not set back by a writer that is late", () => {
  const { words, position } = makePosition();
  words[POSITION_HIGH] = 5;
  position.raiseHigh(4 * POSITION_HIGH_UNIT);
  assertEquals(words[POSITION_HIGH], 5);
  position.raiseHigh(6 * POSITION_HIGH_UNIT);
  assertEquals(words[POSITION_HIGH], 6);
});

Deno.test("a reader that is a multiple of 2^32 bytes behind does not fall asleep", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  const waiting = broadcast.reader();
  // As the words would be after 2^32 bytes of heartbeats.
  const words = new Int32Array(broadcast.memory.buffer);
  words[POSITION_HIGH] = 2;
  for (let i = 0; i < broadcast.segments; i++) words[segmentLine(i) + EPOCH] = EPOCH_STEP << 24;
  assertEquals(waiting.wait({ timeoutMs: 0 }), true);
  assertThrows(() => waiting.poll(), OverrunError);
  // A reader that is reset instead is not overrun.
  const other = broadcast.reader({ from: 0 });
  assertEquals(other.wait({ timeoutMs: 0 }), true);
  other.reset();
  assertEquals([other.poll(), other.lagBytes, other.overruns], [false, 0, 0]);
  const error = assertThrows(() => reader.poll(), OverrunError);
  assertEquals([error.position, error.resumedAt], [0, 2 ** 32 - 128]);
});

Deno.test("every way to read notices a position that is exactly 2^32 bytes ahead", async () => {
  const ways: Record<string, (reader: BroadcastReader) => unknown> = {
    poll: (reader) => reader.poll(),
    readBulk: (reader) => reader.readBulk(new Uint8Array(2 ** 19)),
    skip: (reader) => reader.skip(1),
    iterate: (reader) => reader.messages().next(),
    reassemble: (reader) => Reassembler.create(reader).poll(),
  };
  const broadcast = Broadcast.create({ capacityBytes: 1 << 20 });
  const writer = broadcast.writer();
  const readers = Object.keys(ways).map(() => broadcast.reader());
  const counting = broadcast.reader({ onOverrun: "continue" });
  const messages = 16_384;
  for (let i = 0; i < messages; i++) {
    writer.claim(2 ** 18 - 8);
    writer.commit();
  }
  writer.publish();
  assertEquals([writer.position, readers[0]!.lagBytes], [2 ** 32, 2 ** 32]);
  for (const [i, [name, look]] of Object.entries(ways).entries()) {
    const error = await assertRejects(async () => await look(readers[i]!), OverrunError);
    assertEquals(error.lostMessages, messages - 2, name);
    assertEquals(readers[i]!.poll(), true);
  }
  assertEquals([counting.poll(), counting.lostMessages], [true, messages - 2]);
});

Deno.test("a ring takes messages up to its end; another writer then fails, and does not keep the ring", () => {
  const capacityBytes = 64;
  const end = Number.MAX_SAFE_INTEGER - capacityBytes;
  const broadcast = Broadcast.create({ capacityBytes, startPosition: end - end % 16 - 64 });
  const reader = broadcast.reader();
  const writer = broadcast.writer();
  const full = "Cannot claim as the ring has carried 2^53 bytes: create another";
  let count = 0;
  const fill = () => {
    for (;; count++) {
      writer.send(new Uint8Array([count]));
      assertEquals(take(reader), [new Uint8Array([count])]);
    }
  };
  assertThrows(fill, RangeError, full);
  assert(count > 0);
  assertThrows(() => broadcast.writer({ takeOver: true }), RangeError, full);
  assertEquals(broadcast.hasWriter, false);
  writer[Symbol.dispose]();
  const next = broadcast.writer();
  assertThrows(() => next.send(new Uint8Array(8)), RangeError, full);
  assertEquals(broadcast.hasWriter, true);
  next[Symbol.dispose]();
  assertEquals(broadcast.hasWriter, false);
});
