/** Cells on one thread: ends that were away for long, and messages done with out of order. */

import { assertEquals } from "@std/assert";
import { ChannelLayout } from "../../src/channel/layout.ts";
import { SharedCells } from "../../src/channel/shared_cells.ts";
import { SingleCells } from "../../src/channel/single_cells.ts";

function layoutAt(start: number, members: number, capacity = 4): ChannelLayout {
  const size = { capacity, inlineBytes: 16, senders: members, receivers: members, options: 0 };
  return ChannelLayout.of({ ...size, start });
}

function wordsOf(layout: ChannelLayout): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(layout.byteLength));
  layout.initialize(words);
  return words;
}

Deno.test("shared cells: an end that was away for any number of messages goes on", () => {
  const away = [
    1,
    5,
    2 ** 20 + 1,
    2 ** 30,
    2 ** 31 - 12_345,
    2 ** 31,
    2 ** 31 + 7,
    2 ** 32 - 2 ** 16,
  ];
  for (const capacity of [1, 4, 512]) {
    // Cells tell 2^24 laps apart.
    const sameTurn = (position: number) => (position >>> 0) % Math.min(2 ** 32, 2 ** 24 * capacity);
    for (const messages of away) {
      const words = wordsOf(layoutAt(0, 2, capacity));
      const cells = new SharedCells(words, layoutAt(0, 2, capacity));
      // As if others had sent and received so many meanwhile.
      layoutAt(messages, 2, capacity).initialize(words);
      assertEquals(cells.take(0, 1), 0, `after ${messages}`);
      assertEquals([cells.hasRoom(0), cells.hasMessage()], [true, false]);
      assertEquals(cells.claim(0, capacity), capacity);
      assertEquals(sameTurn(cells.position), sameTurn(messages));
      cells.publish(cells.position, capacity, 0);
      assertEquals(cells.claim(0, 1), 0);
      assertEquals([cells.hasRoom(0), cells.hasMessage()], [false, true]);
      assertEquals(cells.take(1, capacity), capacity);
      assertEquals(sameTurn(cells.position), sameTurn(messages));
      cells.free(cells.position, capacity, 1);
      assertEquals(cells.depth, 0);
    }
  }
});

Deno.test("shared cells: an end whose turn is long past finds the next message", () => {
  for (const messages of [3, 2 ** 31 + 3]) {
    const words = wordsOf(layoutAt(0, 2));
    const late = new SharedCells(words, layoutAt(0, 2));
    layoutAt(messages, 2).initialize(words);
    const other = new SharedCells(words, layoutAt(0, 2));
    other.claim(0, 2);
    other.publish(other.position, 2, 0);
    assertEquals(late.take(0, 1), 1);
    assertEquals(late.position, messages | 0);
    assertEquals(late.claim(1, 4), 2);
    assertEquals(late.position, messages + 2 | 0);
  }
});

Deno.test("single cells: messages that are done with early make room with those before", () => {
  const layout = layoutAt(2 ** 31 - 2, 1);
  const words = wordsOf(layout);
  const sender = new SingleCells(words, layout);
  const receiver = new SingleCells(words, layout);
  for (let lap = 0; lap < 3; lap++) {
    assertEquals(sender.claim(0, 9), 4);
    sender.publish(sender.position, 4, 0);
    assertEquals(receiver.take(0, 4), 4);
    const first = receiver.position;
    receiver.free(first + 2, 1);
    receiver.free(first + 1, 1);
    assertEquals([sender.hasRoom(0), sender.depth], [false, 4]);
    receiver.free(first, 1);
    assertEquals([sender.hasRoom(2), sender.depth], [true, 1]);
    receiver.free(first + 3, 1);
    assertEquals(sender.depth, 0);
  }
});
