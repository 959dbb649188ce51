/**
 * One writer after the other, in whatever way the one before ended.
 *
 * Two writers that are both alive are explored in `succession_model_test.ts`. Here more of them
 * meet than could be explored, each stopped at each of its operations in turn.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Broadcast,
  type BroadcastReader,
  type BroadcastWriter,
  ReplacedError,
} from "@busbar/busbar/broadcast";
import { ClosedError } from "@busbar/busbar/memory";
import { diesAfter, isInterruptedAfter } from "../dying.ts";
import { numbered, take } from "./messages.ts";

/** The first bytes of all messages that a reader gets. */
function firstBytes(reader: BroadcastReader): number[] {
  return take(reader).map((message) => message[0]!);
}

function send(writer: BroadcastWriter, count: number, first: number): void {
  for (let i = 0; i < count; i++) writer.send(new Uint8Array(8 + 13 * i % 40).fill(first + i));
}

const OLD = [1, 2, 3, 4, 5];
const NEW = [101, 102, 103];

Deno.test("a writer that dies at any of its operations can be followed without a loss", () => {
  let deaths = 0;
  for (let operations = 0;; operations++) {
    const broadcast = Broadcast.create({ capacityBytes: 512 });
    const early = broadcast.reader();
    const late = broadcast.reader();
    const hasDied = diesAfter(operations, () => {
      const writer = broadcast.writer();
      send(writer, OLD.length, OLD[0]!);
      writer.append(new Uint8Array(100).fill(99)); // It is not published.
    });
    const published = firstBytes(early);
    assertEquals(published, OLD.slice(0, published.length));
    if (operations > 2) assertThrows(() => broadcast.writer(), Error, "has one");

    send(broadcast.writer({ takeOver: true }), NEW.length, NEW[0]!);
    assertEquals(firstBytes(early), NEW);
    assertEquals(firstBytes(late), [...published, ...NEW]);
    assertEquals(firstBytes(broadcast.reader({ from: "oldest" })), [...published, ...NEW]);
    for (const reader of [early, late, broadcast.reader()]) {
      assertEquals([reader.sequence, reader.lostMessages], [published.length + NEW.length, 0]);
    }
    if (!hasDied) break;
    deaths++;
  }
  assert(deaths > 15, `${deaths}`);
});

Deno.test("a writer that dies during a takeover can be followed without a loss", () => {
  for (const unpublished of [0, 1, 3]) {
    let deaths = 0;
    for (let operations = 0;; operations++) {
      const broadcast = Broadcast.create({ capacityBytes: 1024 });
      const early = broadcast.reader();
      const late = broadcast.reader();
      const old = broadcast.writer();
      send(old, OLD.length, OLD[0]!);
      for (let i = 0; i < unpublished; i++) old.append(numbered(9, 60));
      assertEquals(firstBytes(early), OLD);
      const hasDied = diesAfter(operations, () => {
        broadcast.writer({ takeOver: true });
      });
      assertEquals(firstBytes(early), []);

      send(broadcast.writer({ takeOver: true }), NEW.length, NEW[0]!);
      assertEquals(firstBytes(early), NEW);
      assertEquals(firstBytes(late), [...OLD, ...NEW]);
      assertEquals(firstBytes(broadcast.reader({ from: "oldest" })), [...OLD, ...NEW]);
      for (const reader of [early, late, broadcast.reader()]) {
        assertEquals([reader.sequence, reader.lostMessages], [OLD.length + NEW.length, 0]);
      }
      if (!hasDied) break;
      deaths++;
    }
    assert(deaths > 30, `${deaths}`);
  }
});

Deno.test("a ring is read and written on after many writers were replaced", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  for (let i = 0; i < 100; i++) {
    const writer = broadcast.writer({ takeOver: true });
    writer.append(numbered(i, i % 50));
    writer.publish();
    if (i % 7 === 0) writer.append(numbered(255, 9));
    if (i % 3 === 0) writer.claim(40);
    assertEquals(take(reader), [numbered(i, i % 50)]);
  }
  assertEquals([reader.sequence, reader.overruns], [100, 0]);
});

Deno.test("a writer that was replaced is told when it publishes, or comes to another segment", () => {
  const replaced = "as another writer has taken over";
  const calls: ((writer: BroadcastWriter) => void)[] = [
    (writer) => writer.send(numbered(1, 8)),
    (writer) => writer.heartbeat(),
    (writer) => writer.claim(56),
    (writer) => {
      writer.append(numbered(1, 8));
      writer.publish();
    },
    (writer) => {
      for (let i = 0; i < 5; i++) writer.append(numbered(1, 8));
    },
    (writer) => {
      writer.append(numbered(1, 8));
      writer[Symbol.dispose]();
    },
  ];
  for (const call of calls) {
    const broadcast = Broadcast.create({ capacityBytes: 256 });
    const reader = broadcast.reader();
    const old = broadcast.writer();
    old.send(numbered(1, 8));
    const writer = broadcast.writer({ takeOver: true });
    assertThrows(() => call(old), ReplacedError, replaced);
    old[Symbol.dispose]();
    assertThrows(() => old.append(numbered(1, 8)), ClosedError, "the writer is closed");
    // The new one is unaffected, and still has the ring.
    writer.send(numbered(2, 8));
    assertEquals(take(reader), [numbered(1, 8), numbered(2, 8)]);
    assertThrows(() => broadcast.writer(), Error, "has one");
    writer[Symbol.dispose]();
    broadcast.writer()[Symbol.dispose]();
  }
});

Deno.test("a reader does not begin where nothing is, between two writers", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const old = broadcast.writer();
  old.send(numbered(1, 8));
  old.claim(56);
  broadcast.writer({ takeOver: true }).send(numbered(2, 8));
  // The old one had entered segments up to 96.
  assertEquals(take(broadcast.reader({ from: 16 })), [numbered(2, 8)]);
  for (const from of [24, 32, 64, 88]) {
    assertThrows(() => broadcast.reader({ from }), RangeError, "no frame begins there");
  }
  assertEquals(take(broadcast.reader({ from: 96 })), [numbered(2, 8)]);
  assertEquals(broadcast.reader({ from: 104 }).sequence, 1);
});

Deno.test("a reader begins where an old writer ended, even at the start of a segment", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const old = broadcast.writer();
  for (let i = 0; i < 4; i++) old.send(numbered(i, 8));
  old.claim(8);
  const writer = broadcast.writer({ takeOver: true });
  for (let i = 4; i < 6; i++) writer.send(numbered(i, 8));
  const reader = broadcast.reader({ from: 64 });
  assertEquals([reader.position, reader.sequence], [64, 4]);
  assertEquals(take(reader), [numbered(4, 8), numbered(5, 8)]);
});

Deno.test("taking over a ring without a writer is the same as becoming its writer", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader({ heartbeats: true });
  {
    using writer = broadcast.writer({ takeOver: true });
    writer.send(numbered(1, 8));
  }
  using writer = broadcast.writer();
  writer.send(numbered(2, 8));
  assertEquals(take(reader), [new Uint8Array(), numbered(1, 8), numbered(2, 8)]);
  assertEquals(writer.position, 40);
});

/** Takes over; returns whether it became the writer. */
function triesToTakeOver(broadcast: Broadcast): boolean {
  try {
    broadcast.writer({ takeOver: true });
    return true;
  } catch (error) {
    assert(error instanceof ReplacedError, `${error}`);
    return false;
  }
}

for (const isAwaited of [false, true]) {
  const readers = isAwaited ? ", and a reader that may sleep" : "";
  Deno.test(`a takeover is interrupted at any of its operations, by the old writer and another takeover${readers}`, () => {
    for (let operations = 0;; operations++) {
      const broadcast = Broadcast.create({ capacityBytes: 128, segments: 8 });
      const reader = broadcast.reader();
      const old = broadcast.writer();
      old.send(numbered(1, 8));
      assertEquals(take(reader).length, 1);
      // Leaves its mark in the position.
      if (isAwaited) reader.wait({ timeoutMs: 0 });
      let another: BroadcastWriter | undefined;
      let stayed = false;
      const isInterrupted = isInterruptedAfter(operations, () => {
        stayed = triesToTakeOver(broadcast);
      }, () => {
        try {
          old.append(numbered(9, 8)); // It is never published.
        } catch (error) {
          assert(error instanceof ReplacedError, `${error}`);
        }
        another = broadcast.writer({ takeOver: true });
      });
      if (!isInterrupted) break;
      if (!stayed) {
        another!.send(numbered(2, 8));
        assertEquals(take(reader), [numbered(2, 8)], `${operations}`);
      }
    }
  });
}

for (const others of [1, 2, 3, 4, 5]) {
  Deno.test(`a takeover is delayed at any of its operations while ${others} others take over`, () => {
    for (let operations = 0;; operations++) {
      const broadcast = Broadcast.create({ capacityBytes: 1024, segments: 16 });
      const reader = broadcast.reader();
      const old = broadcast.writer();
      old.send(numbered(1, 8));
      old.claim(8);
      let last: BroadcastWriter | undefined;
      let stayed = false;
      const isInterrupted = isInterruptedAfter(operations, () => {
        stayed = triesToTakeOver(broadcast);
      }, () => {
        for (let i = 0; i < others; i++) last = broadcast.writer({ takeOver: true });
        for (let i = 2; i < 4; i++) last!.send(numbered(i, 8));
      });
      if (!isInterrupted) break;
      if (!stayed) {
        assertEquals(take(reader), [1, 2, 3].map((i) => numbered(i, 8)), `${operations}`);
        for (let i = 0; i < 20; i++) last!.send(numbered(i, 8));
        assertEquals(take(reader).length, 20);
      }
    }
  });
}

Deno.test("a late takeover notices a cut that was changed and looks the same", () => {
  for (let operations = 0;; operations++) {
    const broadcast = Broadcast.create({ capacityBytes: 128, segments: 8 });
    broadcast.writer();
    broadcast.writer({ takeOver: true }).claim(8); // Enters the second segment for nothing.
    let old!: BroadcastWriter;
    for (let i = 0; i < 5; i++) old = broadcast.writer({ takeOver: true });
    for (let i = 0; old.position < 272; i++) old.send(numbered(i, 8));
    const reader = broadcast.reader();
    let another!: BroadcastWriter;
    let stayed = false;
    const isInterrupted = isInterruptedAfter(operations, () => {
      stayed = triesToTakeOver(broadcast);
    }, () => {
      try {
        old.append(numbered(9, 8)); // Enters the second segment, if it may.
      } catch (error) {
        assert(error instanceof ReplacedError, `${error}`);
      }
      another = broadcast.writer({ takeOver: true });
    });
    if (!isInterrupted) break;
    if (!stayed) {
      another.send(numbered(2, 8));
      assertEquals(take(reader), [numbered(2, 8)], `${operations}`);
    }
  }
});

Deno.test("a reader that joins during two takeovers begins with the right sequence", () => {
  // How many messages end before each frame.
  const truth: Record<number, number> = { 80: 5, 96: 5, 104: 5, 120: 6, 128: 7, 144: 8 };
  for (let operations = 0;; operations++) {
    const broadcast = Broadcast.create({ capacityBytes: 64, segments: 4 });
    const old = broadcast.writer();
    for (let i = 1; i <= 4; i++) old.send(numbered(i, 8));
    old.send(new Uint8Array(0));
    old.claim(8); // Enters a segment in which it leaves no mark.
    const writer = broadcast.writer({ takeOver: true });
    writer.send(numbered(6, 8));
    writer.send(new Uint8Array(0));
    writer.send(numbered(8, 8));
    let reader!: BroadcastReader;
    const isInterrupted = isInterruptedAfter(operations, () => {
      reader = broadcast.reader({ from: "oldest" });
    }, () => {
      broadcast.writer({ takeOver: true });
      broadcast.writer({ takeOver: true });
    });
    if (!isInterrupted) break;
    assertEquals(reader.sequence, truth[reader.position], `${operations}: ${reader.position}`);
  }
});

Deno.test("a writer that closes late does not release the ring of another", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024, segments: 32 });
  broadcast.writer();
  const late = broadcast.writer({ takeOver: true });
  isInterruptedAfter(0, () => late[Symbol.dispose](), () => {
    // Up to the same tag again.
    for (let i = 0; i < 6; i++) broadcast.writer({ takeOver: true });
  });
  assertThrows(() => broadcast.writer(), Error, "has one");
});
