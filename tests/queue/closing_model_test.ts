/**
 * Writers that close, and a flusher that counts their closings, under every schedule that matters;
 * and broken twins.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { CLOSING, FLUSHED, FREE, HOLDER_MASK, USE } from "../../src/queue/layout.ts";
import { mortal } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { createQueue, layoutOf, open, openWriter, put, type State } from "./models.ts";

const LAYOUT = layoutOf();

const setup = (): State => createQueue({ keepsShared: true });

/** Writes a message and closes. */
function writeAlone(state: State): void {
  const writer = openWriter(state, false, 1);
  put(writer, 1);
  writer.close();
}

/** Receives messages until so many writers have closed. */
function receiveUntil(closings: number) {
  return (state: State): number[] => {
    const flusher = open(state, 0).queue.flusher();
    const seen: number[] = [];
    while (flusher.closings < closings) {
      flusher.drain((run) => {
        for (let at = 0; at < run.length; at += 4) seen.push(run.bytes[run.offset + at]!);
      });
    }
    return seen;
  };
}

function wordsOf({ queue }: State): Int32Array {
  return new Int32Array(queue.memory.buffer, queue.byteOffset);
}

/** The word that names the holder of a writer. */
function useOf(writer: number): number {
  return LAYOUT.writer(writer) + USE;
}

Deno.test("closing: a flusher that counts a closing has every message, and wakes for it", async () => {
  await passes({
    setup,
    threads: { writer: writeAlone, flusher: receiveUntil(1) },
    check: (_, { flusher }) => assertEquals(flusher, [1]),
  });
});

Deno.test("twin: a writer that closes without waking the flusher leaves it asleep", async () => {
  const writer = tampered(writeAlone, (proper) => {
    let announced = 0;
    return {
      or: (words: Int32Array, index: number, value: number) =>
        // The first `or` of the bit publishes the message, the second follows the closing.
        index === FLUSHED && announced++ > 0 ? 0 : proper.or(words, index, value),
      notify: (words: Int32Array, index: number, count: number) =>
        index === FLUSHED && announced > 1 ? 0 : proper.notify(words, index, count),
    };
  });
  await fails("deadlock", { setup, threads: { writer, flusher: receiveUntil(1) } });
});

Deno.test("twin: a writer that counts its closing before it publishes loses its message", async () => {
  const early = (state: State): void => {
    const { queue } = open(state, 1);
    const writer = queue.writer();
    put(writer, 1);
    Atomics.add(wordsOf(state), useOf(1), CLOSING);
    writer.publish();
  };
  await fails("assertion", {
    setup,
    threads: { writer: early, flusher: receiveUntil(1) },
    check: (_, { flusher }) => assertEquals(flusher, [1]),
  });
});

Deno.test("twin: a flusher that looks at closings last counts a writer before its messages", async () => {
  // The look at `flushed` that confirms the count finds what was there before the closings were
  // read.
  const flusher = tampered(receiveUntil(1), (proper) => {
    let before: number | undefined;
    return {
      load: (words: Int32Array, index: number) => {
        if (index === useOf(0)) before = proper.load(words, FLUSHED);
        if (index !== FLUSHED || before === undefined) return proper.load(words, index);
        const found = before;
        before = undefined;
        return found;
      },
    };
  });
  await fails("assertion", {
    setup,
    threads: { writer: writeAlone, flusher },
    check: (_, { flusher }) => assertEquals(flusher, [1]),
  });
});

/** A state that says whether the writer was opened. */
interface OpenedState extends State {
  readonly opened: Int32Array;
}

const setupOpened = (): OpenedState => ({
  ...createQueue(),
  opened: new Int32Array(new SharedArrayBuffer(4)),
});

/** Writes a message and closes, and tells before that it has a writer. */
function openAndWrite(state: OpenedState): void {
  const writer = openWriter(state, false, 1);
  Atomics.store(state.opened, 0, 1);
  put(writer, 1);
  writer.close();
}

/** Receives messages until a writer was opened, and no writer is open. */
function receiveToEnd(state: OpenedState): number[] {
  const flusher = open(state, 0).queue.flusher();
  const seen: number[] = [];
  while (Atomics.load(state.opened, 0) === 0 || !flusher.isEnded) {
    flusher.drain((run) => {
      for (let at = 0; at < run.length; at += 4) seen.push(run.bytes[run.offset + at]!);
    });
  }
  return seen;
}

Deno.test("closing: a flusher at the end of the queue has every message, and wakes for it", async () => {
  await passes({
    setup: setupOpened,
    threads: { writer: openAndWrite, flusher: receiveToEnd },
    check: (_, { flusher }) => assertEquals(flusher, [1]),
  });
});

Deno.test("twin: a flusher that looks at writers last is at the end before its messages", async () => {
  const flusher = tampered(receiveToEnd, (proper) => {
    let before: number | undefined;
    return {
      load: (words: Int32Array, index: number) => {
        if (index === useOf(0)) before = proper.load(words, FLUSHED);
        if (index !== FLUSHED || before === undefined) return proper.load(words, index);
        const found = before;
        before = undefined;
        return found;
      },
    };
  });
  await fails("assertion", {
    setup: setupOpened,
    threads: { writer: openAndWrite, flusher },
    check: (_, { flusher }) => assertEquals(flusher, [1]),
  });
});

/**
 * A thread of a shared writer that is attached from the beginning: it writes a message and closes.
 */
function share(value: number, thread: number) {
  return (state: State): void => {
    const writer = openWriter(state, true, thread);
    Atomics.sub(wordsOf(state), useOf(0), 1); // the setup has counted this thread already
    put(writer, value);
    writer.close();
  };
}

Deno.test("closing: a shared writer counts once its last thread has closed it", async () => {
  await passes({
    setup: () => {
      const state = setup();
      Atomics.add(wordsOf(state), useOf(0), 1); // beside the thread that made it
      return state;
    },
    threads: { first: share(1, 1), second: share(2, 2), flusher: receiveUntil(1) },
    // Too many schedules for all: these interrupt threads that could continue at most twice.
    strategy: "all",
    preemptions: 2,
    check: (_, { flusher }) => assertEquals(flusher.toSorted(), [1, 2]),
  });
});

Deno.test("closing: a writer that dies at any operation is counted at most once, and its place freed", () => {
  const counts = new Set<number>();
  for (let life = 0, hasDied = true; hasDied; life++) {
    const state = setup();
    hasDied = mortal(life, writeAlone)(state).hasDied;
    const { queue } = open(state, 0);
    queue.reclaim(1);
    const flusher = queue.flusher();
    while (flusher.poll()) while (flusher.next());
    assertEquals(wordsOf(state)[useOf(1)]! & HOLDER_MASK, FREE, `${life}`);
    assertEquals(flusher.closings, life === 0 ? 0 : Math.min(1, flusher.closings), `${life}`);
    counts.add(flusher.closings);
  }
  // It died before it had a writer, or later.
  assertEquals(counts, new Set([0, 1]));
});
