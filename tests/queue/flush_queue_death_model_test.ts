/**
 * Writers and flushers that die, at each instruction, and are reclaimed while others go on.
 *
 * The victim dies before its first operation, its second, and so on: one exploration for each,
 * until it survives. Its parent waits for its end, reclaims it, and goes on in its place.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ExplorationError, explore, spawn, type Task } from "@busbar/busbar/model";
import { FLUSHED, FLUSHER } from "../../src/queue/layout.ts";
import { type Life, mortal } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { createQueue, messagesOf, open, openWriter, put, type State } from "./models.ts";

/** The bytes of a message. */
const LENGTH = 8;

/** The threads. */
const PARENT = 1;
const VICTIM = 2;
const OTHER = 3;

const setup = (): State => createQueue({ tracksFlights: true });

function write(isShared: boolean, values: readonly number[], thread: number) {
  return (state: State, notes: number[] = []): void => {
    const writer = openWriter(state, isShared, thread);
    for (const value of values) {
      put(writer, value, LENGTH);
      writer.publish();
      notes.push(value);
    }
  };
}

/** Receives until it has `last`, or for once without waiting. */
function receive(thread: number, last?: number) {
  return (state: State, notes: number[] = []): number[] => {
    using flusher = open(state, thread).queue.flusher();
    do {
      if (last !== undefined) flusher.wait();
      while (flusher.poll() && flusher.next()) {
        for (const value of messagesOf(flusher, LENGTH)) notes.push(value);
      }
    } while (last !== undefined && !notes.includes(last));
    return notes;
  };
}

/** Explores the deaths of a victim before each of its operations. */
async function survives(
  threads: (life: number) => Record<string, (state: State) => unknown>,
  check: (results: Record<string, unknown>) => boolean,
): Promise<void> {
  for (let life = 0, isAnyDead = true; isAnyDead; life++) {
    isAnyDead = false;
    const report = await explore({
      setup,
      threads: threads(life),
      check(_, results) {
        isAnyDead = check(results) || isAnyDead;
      },
    });
    assert(report.complete);
    assert(life > 0 || isAnyDead);
  }
}

for (const isShared of [false, true]) {
  const kind = isShared ? "shared" : "local";

  Deno.test(`a ${kind} writer that dies anywhere loses nothing that it published, and its place is free`, async () => {
    const parent = (life: number) => (state: State) => {
      const victim: Task<Life> = spawn(() =>
        mortal(life, write(isShared, [1, 2, 3], VICTIM))(state)
      );
      const { hasDied, notes } = victim.join();
      const { queue } = open(state, PARENT);
      if (isShared) queue.reclaimWriter(state.shared);
      else if (hasDied) queue.reclaim(VICTIM);
      const seen = receive(PARENT)(state);
      // All that it flushed, and perhaps what it was about to flush.
      assertEquals(seen, [1, 2, 3].slice(0, seen.length));
      assert(seen.length >= notes.length, `${seen} of ${notes}`);
      if (!hasDied && !isShared) return hasDied;
      // Others find all places but the living writer's free, and are heard.
      const values = isShared ? [4, 5] : [4];
      const writers = values.map(() => queue.writer());
      values.forEach((value, i) => writers[i]!.append(new Uint8Array(LENGTH).fill(value)));
      writers[0]!.publish();
      assertEquals(receive(PARENT)(state).toSorted(), values);
      return hasDied;
    };
    await survives((life) => ({ parent: parent(life) }), ({ parent }) => parent as boolean);
  });
}

Deno.test("a writer that dies anywhere blocks neither the flusher nor another writer", async () => {
  const parent = (life: number) => (state: State) => {
    const victim = spawn(() => mortal(life, write(false, [1], VICTIM))(state));
    const { hasDied } = victim.join();
    if (hasDied) open(state, PARENT).queue.reclaim(VICTIM);
    write(true, [9], PARENT)(state);
    return hasDied;
  };
  await survives(
    (life) => ({ parent: parent(life), flusher: receive(OTHER, 9) }),
    ({ parent, flusher }) => {
      const seen = flusher as number[];
      assertEquals(seen.filter((value) => value !== 9), seen.length > 1 ? [1] : []);
      return parent as boolean;
    },
  );
});

/** A flusher dies, and its parent takes over and receives the rest, up to `last`. */
function takeOver(life: number, last: number) {
  return (state: State) => {
    const victim = spawn(() =>
      mortal(life, (state: State, notes) => {
        receive(VICTIM, last)(state, notes);
      })(state)
    );
    const { hasDied, notes } = victim.join();
    if (hasDied) open(state, PARENT).queue.reclaim(VICTIM);
    const seen = notes.includes(last) ? [] : receive(PARENT, last)(state);
    return { hasDied, notes, seen };
  };
}

/** Messages that take several buffers. */
const MANY = [1, 2, 3, 4, 5];

/** As {@link takeOver}, when all is written. */
function writeAndTakeOver(life: number) {
  return (state: State) => {
    write(false, MANY, OTHER)(state);
    return takeOver(life, 5)(state);
  };
}

/** All in order; what the dead one was at comes again. */
function checkTakeOver(result: unknown, values: readonly number[]): boolean {
  const { hasDied, notes, seen } = result as ReturnType<ReturnType<typeof takeOver>>;
  const again = notes.length + seen.length - values.length;
  assert(again >= 0 && again <= 2, `${notes} and ${seen}`);
  assertEquals([...notes, ...seen.slice(again)], values);
  return hasDied;
}

Deno.test("a flusher that dies anywhere is followed by one that misses nothing", async () => {
  const values = [1, 2, 3, 4, 5];
  const parent = (life: number) => (state: State) => {
    write(false, values, OTHER)(state);
    return takeOver(life, 5)(state);
  };
  await survives(
    (life) => ({ parent: parent(life) }),
    ({ parent }) => checkTakeOver(parent, values),
  );
});

Deno.test("a flusher that dies while messages arrive is followed by one that misses nothing", async () => {
  await survives(
    (life) => ({ parent: takeOver(life, 2), writer: write(false, [1, 2], OTHER) }),
    ({ parent }) => checkTakeOver(parent, [1, 2]),
  );
});

// --- broken twins ---------------------------------------------------------------------------

async function fails(
  kinds: readonly string[],
  threads: (life: number) => Record<string, (state: State) => unknown>,
): Promise<void> {
  for (let life = 0; life < 60; life++) {
    const failed = await explore({ setup, threads: threads(life) }).then(
      () => undefined,
      (error) => error,
    );
    if (failed === undefined) continue;
    assert(failed instanceof ExplorationError, String(failed));
    return assert(kinds.includes(failed.failure.kind), failed.message);
  }
  assert(false, "no death was noticed");
}

type View = Int32Array;

Deno.test("broken twin: a reclaim that does not tell the flusher leaves messages behind", async () => {
  await fails(["deadlock"], (life) => ({
    writer: write(false, [1, 2], OTHER),
    parent: tampered(takeOver(life, 2), (proper) => ({
      or: (view: View, index: number, bits: number) =>
        index === FLUSHED && bits > 3 ? 0 : proper.or(view, index, bits),
    })),
  }));
});

Deno.test("broken twin: a flusher that does not know that it follows a dead one wants its buffer", async () => {
  await fails(["exception"], (life) => ({
    parent: tampered(writeAndTakeOver(life), (proper) => ({
      compareExchange: (view: View, index: number, expected: number, value: number) =>
        proper.compareExchange(view, index, expected, index === FLUSHER && value < 0 ? 0 : value),
    })),
  }));
});

Deno.test("broken twin: a publication in two steps is lost with the thread that dies between them", async () => {
  // Says that the writer has published, as later threads believe, and tells the flusher
  // afterwards.
  const words = () => new Int32Array(new SharedArrayBuffer(8));
  const flush = (words: Int32Array) => {
    if (Atomics.exchange(words, 0, 1) === 0) Atomics.store(words, 1, 1);
  };
  const run = (life: number) =>
    explore({
      setup: words,
      threads: {
        parent(words: Int32Array) {
          spawn(() => mortal(life, flush)(words)).join();
          flush(words);
          return Atomics.load(words, 1);
        },
      },
      check: (_, { parent }) => assertEquals(parent, 1),
    });
  await run(0);
  await assertRejects(() => run(1), ExplorationError);
});
