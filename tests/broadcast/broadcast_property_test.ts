/**
 * Any sequence of calls gives the results of a plain model, overruns and takeovers included.
 *
 * The model keeps every frame ever committed in a list, positions as plain numbers, and knows these
 * rules: frames do not wrap; a reader is overrun once the segment that it is in is entered again;
 * it continues at the first frame of a segment half the ring behind the published position; and a
 * writer that takes over continues in the segment after those that the old one has entered.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Broadcast,
  type BroadcastReader,
  type BroadcastWriter,
  FrameCursor,
  InsufficientBufferSizeError,
  OverrunError,
  type ReaderOptions,
  ReplacedError,
} from "@busbar/busbar/broadcast";
import { Memory } from "@busbar/busbar/memory";
import { numbered } from "./messages.ts";

interface Frame {
  position: number;
  end: number;
  kind: "message" | "heartbeat" | "padding";
  number: number;
  length: number;
}

/** A range of positions without frames, left by a takeover. */
interface Gap {
  from: number;
  to: number;
}

const sizeOf = (length: number) => 8 + Math.ceil(length / 8) * 8;

class Model {
  readonly capacity: number;
  readonly segment: number;
  readonly frames: Frame[] = [];
  readonly gaps: Gap[] = [];
  /** The end of the last committed frame, or of the padding after it. */
  position: number;
  published: number;
  /** The position up to which segments are entered. */
  frontier: number;
  /** A claim that ends beyond this publishes a batch of more than half the ring first. */
  #limit = 0;
  #count = 0;

  constructor({ capacityBytes, segments, startPosition }: Broadcast) {
    this.capacity = capacityBytes;
    this.segment = capacityBytes / segments;
    this.position = this.published = this.frontier = startPosition;
  }

  /** The number of the next frame. */
  get number(): number {
    return this.#count;
  }

  claim(length: number): void {
    const size = sizeOf(length);
    const lapEnd = (Math.floor(this.position / this.capacity) + 1) * this.capacity;
    // At the end of a lap there is nothing left to pad.
    const start = this.position % this.capacity === 0 ? this.position : lapEnd;
    const wraps = this.position + size > start && start === lapEnd;
    const end = (wraps ? lapEnd : this.position) + size;
    if (end > this.#limit && end - this.published > this.capacity / 2) this.publish();
    this.frontier = Math.max(this.frontier, this.#segmentEnd(end));
    if (wraps) this.#push({ end: lapEnd, kind: "padding", length: 0 });
    this.#limit = this.#segmentEnd(this.position + 8);
  }

  commit(length: number, kind: "message" | "heartbeat" = "message"): void {
    this.#push({ end: this.position + sizeOf(length), kind, length });
  }

  publish(): void {
    this.published = this.position;
  }

  /** Another writer continues. */
  succeed(): void {
    this.publish();
    this.#limit = this.#segmentEnd(this.position);
  }

  takeOver(): void {
    while (this.frames.length > 0 && this.frames.at(-1)!.end > this.published) this.frames.pop();
    this.gaps.push({ from: this.published, to: this.frontier });
    this.position = this.published = this.#limit = this.frontier;
    this.claim(0);
    this.commit(0, "heartbeat");
    this.frames.at(-1)!.number = 0; // The new writer's own.
    this.publish();
  }

  /** Whether the messages at this position were, or are being, overwritten. */
  isOverrun(position: number): boolean {
    const segmentStart = Math.floor(position / this.segment) * this.segment;
    return position < this.published && this.frontier > segmentStart + this.capacity;
  }

  /** The position at which a reader that was overrun continues. */
  resumption(): number {
    const { segment, capacity, published } = this;
    const newest = Math.floor((published - 8) / segment) * segment;
    let start = Math.min(Math.ceil((published - capacity / 2) / segment) * segment, newest);
    for (; this.frontier > start + capacity || this.#isEmpty(start); start += segment);
    const places = [
      ...this.frames.map(({ position }) => position),
      ...this.gaps.map((s) => s.from),
    ];
    return Math.min(published, ...places.filter((place) => place >= start));
  }

  /** The messages and heartbeats from one position to another. */
  between(from: number, to: number): Frame[] {
    return this.frames.filter(({ position, end, kind }) =>
      position >= from && end <= to && kind !== "padding"
    );
  }

  /** Whether the segment at `start` has no frames, as the writer was replaced before it. */
  #isEmpty(start: number): boolean {
    return this.gaps.some(({ from, to }) => start >= from && start < to);
  }

  #push(frame: Omit<Frame, "position" | "number">): void {
    this.frames.push({ ...frame, position: this.position, number: this.#count++ });
    this.position = frame.end;
    this.#limit = Math.max(this.#limit, this.#segmentEnd(this.position));
  }

  /** The end of the segment that `position` ends, or lies in. */
  #segmentEnd(position: number): number {
    return Math.ceil(position / this.segment) * this.segment;
  }
}

/** Which frames a reader shows. */
type Wishes = Pick<ReaderOptions, "heartbeats" | "filter">;

function isWanted({ kind, number }: Frame, { heartbeats, filter }: Wishes): boolean {
  return kind === "heartbeat" ? heartbeats === true : filter === undefined || filter(number);
}

/** Compares one reader with the model: takes at most `limit` frames. */
function take(reader: BroadcastReader, wishes: Wishes, model: Model, limit: number): void {
  for (; limit > 0; limit--) {
    const { position, sequence } = reader;
    const next = model.between(position, model.published).find((frame) => isWanted(frame, wishes));
    if (!reader.next()) {
      const rest = reader.position;
      if (model.isOverrun(rest)) return overrun(reader, model);
      assertEquals(reader.poll(), next !== undefined);
      if (next === undefined) return;
      assert(reader.next());
    }
    assertEquals(reader.userValue, next!.number);
    assertEquals(reader.isHeartbeat, next!.kind === "heartbeat");
    assertEquals(reader.message(), numbered(next!.number, next!.length));
    assertEquals(reader.position, next!.end);
    const passed = model.between(position, next!.end).filter(({ kind }) => kind === "message");
    assertEquals(reader.sequence, sequence + passed.length);
    assertEquals(reader.lagBytes, model.published - reader.position);
  }
}

/** Compares a bulk read with the model. */
function takeBulk(reader: BroadcastReader, model: Model, target: Uint8Array): void {
  const { position, sequence } = reader;
  if (model.isOverrun(position)) return overrun(reader, model, () => reader.readBulk(target));
  const expected = model.between(position, model.published);
  let length: number;
  try {
    length = reader.readBulk(target);
  } catch (error) {
    if (!(error instanceof InsufficientBufferSizeError)) throw error;
    assertEquals(error.required, sizeOf(expected[0]!.length));
    assert(error.required > target.length);
    return;
  }
  assert(length <= target.length);
  // There may be padding alone.
  if (expected.length > 0) assert(length > 0);
  const frames = new FrameCursor(target.subarray(0, length), { heartbeats: true });
  let messages = 0;
  for (const { number, length, kind } of expected) {
    if (!frames.next()) break;
    assertEquals(frames.userValue, number);
    assertEquals(frames.message(), numbered(number, length));
    if (kind === "message") messages++;
  }
  assertEquals(frames.next(), false);
  assertEquals(reader.sequence, sequence + messages);
}

function overrun(
  reader: BroadcastReader,
  model: Model,
  attempt: () => unknown = () => reader.poll(),
): void {
  const { position, sequence } = reader;
  const before = reader.takeLosses();
  const error = assertThrows(attempt, OverrunError);
  const resumedAt = model.resumption();
  const lost = model.between(position, resumedAt).filter(({ kind }) => kind === "message").length;
  assertEquals(error.position, position);
  assertEquals(error.resumedAt, resumedAt);
  assertEquals(error.lostMessages, lost);
  assertEquals(before.overruns, 0);
  assertEquals(reader.takeLosses(), { overruns: 1, messages: lost, bytes: resumedAt - position });
  const passed = model.between(resumedAt, reader.position).filter(({ kind }) => kind === "message");
  assertEquals(reader.sequence, sequence + lost + passed.length);
}

interface State {
  broadcast: Broadcast;
  writer: BroadcastWriter;
  model: Model;
  /** Makes a target of bulk reads. */
  targetOf: (byteLength: number) => Uint8Array;
  readers: { reader: BroadcastReader; wishes: Wishes }[];
}

type Step = (state: State) => void;

const anyLength = fc.nat(100);

function append(state: State, any: number, heartbeat: boolean): void {
  const { writer, model } = state;
  const length = any % (writer.maxMessageBytes + 1);
  model.claim(length);
  const userValue = model.number;
  writer.append(numbered(userValue, length), { userValue, heartbeat });
  model.commit(length, heartbeat ? "heartbeat" : "message");
}

/** An old writer carries on as if nothing had happened, until it notices. */
function haunt(old: BroadcastWriter): void {
  const message = new Uint8Array(old.maxMessageBytes).fill(255);
  assertThrows(
    () => {
      for (let i = 0; i < 9; i++) old.append(message);
      old.publish();
    },
    ReplacedError,
    "as another writer has taken over",
  );
  assertThrows(() => old.append(message), ReplacedError, "as another writer has taken over");
  old.close();
}

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: anyLength.map((any): Step => (state) => append(state, any, false)) },
  { weight: 1, arbitrary: anyLength.map((any): Step => (state) => append(state, any, true)) },
  {
    weight: 2,
    arbitrary: fc.tuple(anyLength, anyLength).map(([any, less]): Step => ({ writer, model }) => {
      const claimed = any % (writer.maxMessageBytes + 1);
      const length = less % (claimed + 1);
      model.claim(claimed);
      const userValue = model.number;
      const offset = writer.claim(claimed, { userValue });
      writer.bytes.set(numbered(userValue, length), offset);
      writer.commit(length);
      model.commit(length);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.integer({ min: 1, max: 24 }), fc.nat(12)).map(
      ([any, count]): Step => ({ writer, model }) => {
        const length = 1 + any % writer.maxMessageBytes;
        const first = model.number;
        if (count === 0) return;
        // Frames of one call share a user value, so each gets a call of its own.
        for (let i = 0; i < count; i++) {
          model.claim(length);
          const userValue = model.number;
          writer.appendEqual(numbered(userValue, length), length, { userValue });
          model.commit(length);
        }
        assert(model.number >= first + count);
      },
    ),
  },
  {
    weight: 1,
    arbitrary: anyLength.map((any): Step => ({ writer, model }) => {
      const length = any % (writer.maxMessageBytes + 1);
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
    weight: 1,
    arbitrary: fc.boolean().map((isHaunted): Step => (state) => {
      const old = state.writer;
      state.writer = state.broadcast.writer({ takeOver: true });
      state.model.takeOver();
      if (isHaunted) haunt(old);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>((state) => {
      state.writer.close();
      state.model.publish();
      for (const { reader } of state.readers) {
        assertEquals(reader.isEnded, reader.position === state.model.published);
        if (reader.isEnded) assertEquals(reader.wait(), false);
      }
      state.writer = state.broadcast.writer();
      state.model.succeed();
      for (const { reader } of state.readers) assertEquals(reader.isEnded, false);
    }),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 20 })).map(
      ([which, limit]): Step => ({ readers, model }) => {
        const { reader, wishes } = readers[which]!;
        take(reader, wishes, model, limit);
      },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 12 })).map(
      ([which, words]): Step => ({ readers, model, targetOf }) => {
        takeBulk(readers[which]!.reader, model, targetOf(8 * words));
      },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(3).map((which): Step => ({ readers, model }) => {
      const { reader } = readers[which]!;
      assertEquals(reader.wait({ timeoutMs: 0 }), reader.position < model.published);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(3), fc.boolean()).map(
      ([which, isLate]): Step => ({ readers, model }) => {
        // Sometimes after a wait, which must leave no trace.
        const { reader } = readers[which]!;
        if (isLate) reader.wait({ timeoutMs: 0 });
        reader.reset();
        assertEquals([reader.position, reader.lagBytes], [model.published, 0]);
      },
    ),
  },
);

/** Multiplies the number of sequences, as in `deno test tests/broadcast -- --longer=100`. */
const LONGER = Number(
  Deno.args.find((argument) => argument.startsWith("--longer="))?.slice(9) ?? 1,
);

/** Memories for rings, in which copies are made by views, or natively where that is possible. */
const memories: Record<string, { create: (byteLength: number) => Memory; runs: number }> = {
  views: { create: (byteLength) => Memory.create({ byteLength }), runs: 500 },
  native: { create: () => Memory.create({ byteLength: 64 * 1024 }), runs: 150 },
};

for (const [way, { create, runs }] of Object.entries(memories)) {
  Deno.test(`any sequence of calls on a small ring gives the results of a plain model: ${way}`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64, 128, 256),
        fc.constantFrom(4, 8),
        fc.constantFrom(0, 2 ** 31 - 256, 2 ** 32 - 256, 2 ** 28 * 64 - 256, 2 ** 28 * 256 - 256),
        fc.constantFrom(8, 24, 64),
        fc.array(anyStep, { maxLength: 200, size: "max" }),
        (capacityBytes, segments, startPosition, batchBytes, steps) => {
          const size = { capacityBytes, segments };
          const memory = create(Broadcast.byteLength(size));
          const broadcast = Broadcast.create({ ...size, startPosition, memory });
          const bytes = memory.privateBytes(96);
          const everything = { heartbeats: true };
          const some = { filter: (userValue: number) => userValue % 3 !== 0 };
          const state: State = {
            broadcast,
            writer: broadcast.writer(),
            model: new Model(broadcast),
            targetOf: (byteLength) => bytes.subarray(0, byteLength),
            readers: [
              { reader: broadcast.reader(everything), wishes: everything },
              { reader: broadcast.reader({ ...everything, batchBytes }), wishes: everything },
              { reader: broadcast.reader(some), wishes: some },
              { reader: broadcast.reader({ ...some, batchBytes }), wishes: some },
            ],
          };
          for (const step of steps) {
            step(state);
            assertEquals(state.writer.position, state.model.position);
          }
          for (const { reader, wishes } of state.readers) {
            take(reader, wishes, state.model, Infinity);
          }
        },
      ),
      { numRuns: runs * LONGER },
    );
  });
}
