/**
 * Any sequence of calls gives what a plain model gives, overruns included.
 *
 * The model keeps every frame ever committed in a list, positions as plain numbers, and knows two
 * rules: frames do not wrap, and a reader is overrun once the segment that it is in was entered
 * anew.
 */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Broadcast, type BroadcastReader, type BroadcastWriter, OverrunError } from "../../mod.ts";
import { numbered } from "./messages.ts";

interface Frame {
  position: number;
  end: number;
  number: number;
  length: number;
}

class Model {
  readonly capacity: number;
  readonly segment: number;
  readonly frames: Frame[] = [];
  /** The end of the last committed frame, or of the padding after it. */
  position: number;
  published: number;
  /** Up to where segments are entered. */
  frontier: number;

  constructor({ capacityBytes, segments, startPosition }: Broadcast) {
    this.capacity = capacityBytes;
    this.segment = capacityBytes / segments;
    this.position = this.published = this.frontier = startPosition;
  }

  claim(length: number): void {
    const size = 8 + Math.ceil(length / 8) * 8;
    const lapEnd = (Math.floor(this.position / this.capacity) + 1) * this.capacity;
    const wraps = this.position + size > lapEnd;
    const room = wraps || this.position + size > this.frontier;
    if (room && this.position - this.published > this.capacity / 2) this.publish();
    if (wraps) this.position = lapEnd;
    this.frontier = Math.max(
      this.frontier,
      Math.ceil((this.position + size) / this.segment) * this.segment,
    );
  }

  commit(number: number, length: number): void {
    const end = this.position + 8 + Math.ceil(length / 8) * 8;
    this.frames.push({ position: this.position, end, number, length });
    this.position = end;
  }

  publish(): void {
    this.published = this.position;
  }

  /** Whether what a reader at this position would read was, or is being, overwritten. */
  isOverrun(position: number): boolean {
    const segmentStart = Math.floor(position / this.segment) * this.segment;
    return position < this.published && this.frontier > segmentStart + this.capacity;
  }
}

/** Compares one reader with the model: takes at most `limit` messages. */
function take(reader: BroadcastReader, model: Model, limit: number): void {
  const position = reader.position;
  if (model.isOverrun(position)) {
    const error = assertThrows(() => reader.poll(), OverrunError);
    assertEquals([error.position, error.resumedAt], [position, model.published]);
    assertEquals(reader.position, model.published);
    return;
  }
  const expected = model.frames.filter((frame) =>
    frame.position >= position && frame.end <= model.published
  ).slice(0, limit);
  for (const { number, length, end } of expected) {
    if (!reader.next()) {
      assertEquals(reader.poll(), true);
      assertEquals(reader.next(), true);
    }
    assertEquals(reader.userValue, number);
    assertEquals(reader.message(), numbered(number, length));
    assertEquals(reader.position, end);
  }
  if (expected.length < limit) assertEquals(reader.poll(), false);
  assertEquals(reader.lagBytes, model.published - reader.position);
}

type Step = (state: {
  writer: BroadcastWriter;
  model: Model;
  readers: BroadcastReader[];
  count: number;
}) => void;

const anyLength = fc.nat(100);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: anyLength.map((any): Step => (state) => {
      const { writer, model } = state;
      const length = any % (writer.largestMessage + 1);
      writer.append(numbered(state.count, length), { userValue: state.count });
      model.claim(length);
      model.commit(state.count++, length);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(anyLength, anyLength).map(([any, less]): Step => (state) => {
      const { writer, model } = state;
      const claimed = any % (writer.largestMessage + 1);
      const length = less % (claimed + 1);
      const offset = writer.claim(claimed, { userValue: state.count });
      writer.bytes.set(numbered(state.count, length), offset);
      writer.commit(length);
      model.claim(claimed);
      model.commit(state.count++, length);
    }),
  },
  {
    weight: 1,
    arbitrary: anyLength.map((any): Step => ({ writer, model }) => {
      const length = any % (writer.largestMessage + 1);
      writer.bytes.fill(255, writer.claim(length), length);
      writer.abort();
      model.claim(length);
    }),
  },
  {
    weight: 4,
    arbitrary: fc.constant<Step>(({ writer, model }) => {
      writer.publish();
      model.publish();
    }),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 20 })).map(
      ([which, limit]): Step => ({ readers, model }) => take(readers[which]!, model, limit),
    ),
  },
);

Deno.test("any sequence of calls on a small ring gives what a plain model gives", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(64, 128, 256),
      fc.constantFrom(1, 2, 8),
      fc.constantFrom(0, 2 ** 31 - 256, 2 ** 32 - 256, 2 ** 32 * 64 - 256, 2 ** 32 * 256 - 256),
      fc.constantFrom(8, 24, 64),
      fc.array(anyStep, { maxLength: 200, size: "max" }),
      (capacityBytes, segments, startPosition, batchBytes, steps) => {
        const broadcast = Broadcast.create({ capacityBytes, segments, startPosition });
        const state = {
          writer: broadcast.writer(),
          model: new Model(broadcast),
          readers: [broadcast.reader(), broadcast.reader(), broadcast.reader({ batchBytes })],
          count: 0,
        };
        for (const step of steps) {
          step(state);
          assertEquals(state.writer.position, state.model.position);
        }
        for (const reader of state.readers) take(reader, state.model, Infinity);
      },
    ),
    { numRuns: 500 },
  );
});
