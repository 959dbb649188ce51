/**
 * The sequence lock: a writer makes the sequence odd while it writes; a reader uses its copy if the
 * sequence was even and has not moved.
 *
 * The data words are atomic. With plain ones, as in the original, the reader's copy races with the
 * writer even if it is discarded, and ECMAScript's memory model does not define its value.
 *
 * Source: H.-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", MSPC
 * 2012.
 *
 * @module
 */

import { assertEquals, assertLessOrEqual } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the sequence, then two words of data that always get the same value. */
const SEQUENCE = 0;
const FIRST = 1;
const SECOND = 2;

type Pair = [number, number];

function write(words: Int32Array, value: number): void {
  Atomics.add(words, SEQUENCE, 1);
  Atomics.store(words, FIRST, value);
  Atomics.store(words, SECOND, value);
  Atomics.add(words, SEQUENCE, 1);
}

function read(words: Int32Array): Pair {
  for (;;) {
    const before = Atomics.load(words, SEQUENCE);
    if ((before & 1) === 0) {
      const copy: Pair = [Atomics.load(words, FIRST), Atomics.load(words, SECOND)];
      if (Atomics.load(words, SEQUENCE) === before) return copy;
    }
    Atomics.pause();
  }
}

function plainWrite(words: Int32Array, value: number): void {
  Atomics.add(words, SEQUENCE, 1);
  words[FIRST] = value;
  words[SECOND] = value;
  Atomics.add(words, SEQUENCE, 1);
}

function plainRead(words: Int32Array): Pair {
  for (;;) {
    const before = Atomics.load(words, SEQUENCE);
    if ((before & 1) === 0) {
      const copy: Pair = [words[FIRST]!, words[SECOND]!];
      if (Atomics.load(words, SEQUENCE) === before) return copy;
    }
    Atomics.pause();
  }
}

/** Does not check the sequence again. */
function readWithoutRecheck(words: Int32Array): Pair {
  while ((Atomics.load(words, SEQUENCE) & 1) === 1) Atomics.pause();
  return [Atomics.load(words, FIRST), Atomics.load(words, SECOND)];
}

/** Compares the sequence, but accepts an odd one: the writer may have been writing throughout. */
function readWhileOdd(words: Int32Array): Pair {
  for (;;) {
    const before = Atomics.load(words, SEQUENCE);
    const copy: Pair = [Atomics.load(words, FIRST), Atomics.load(words, SECOND)];
    if (Atomics.load(words, SEQUENCE) === before) return copy;
    Atomics.pause();
  }
}

/** Moves the sequence only after writing: a reader does not notice a write in progress. */
function writeThenMove(words: Int32Array, value: number): void {
  Atomics.store(words, FIRST, value);
  Atomics.store(words, SECOND, value);
  Atomics.add(words, SEQUENCE, 2);
}

/** A writer writes 1, 2, ... and a reader must never see two different words. */
function model(writer: typeof write, reader: typeof read, writes: number) {
  return {
    setup: () => sharedWords(3),
    threads: {
      writer: (words: Int32Array) => {
        for (let value = 1; value <= writes; value++) writer(words, value);
      },
      reader: (words: Int32Array) => reader(words),
    },
    check: (_: Int32Array, { reader: [first, second] }: { reader: Pair }) => {
      assertEquals(first, second);
    },
  };
}

Deno.test("a seqlock's reader sees whole pairs, 1 reader, 3 writes", async () => {
  await assertHolds(model(write, read, 3));
});

Deno.test("a seqlock's reader never goes back, 2 reads, 2 writes", async () => {
  await assertHolds({
    setup: () => sharedWords(3),
    threads: {
      writer: (words: Int32Array) => {
        write(words, 1);
        write(words, 2);
      },
      reader: (words: Int32Array) => [read(words), read(words)].flat(),
    },
    check: (_, { reader: [first, second, third, fourth] }) => {
      assertEquals([first, third], [second, fourth]);
      assertLessOrEqual(first!, third!);
    },
  });
});

Deno.test("a seqlock's readers see whole pairs, 2 readers, 1 write", async () => {
  await assertHolds({
    setup: () => sharedWords(3),
    threads: {
      writer: (words: Int32Array) => write(words, 1),
      a: read,
      b: read,
    },
    check: (_, { a, b }) => assertEquals([a[0], b[0]], [a[1], b[1]]),
  });
});

Deno.test("a seqlock over plain data races", async () => {
  await assertFails("data race", model(plainWrite, plainRead, 1));
});

Deno.test("a seqlock tears if the sequence is not checked again", async () => {
  await assertFails("assertion", model(write, readWithoutRecheck, 1));
});

Deno.test("a seqlock tears if an odd sequence is accepted", async () => {
  await assertFails("assertion", model(write, readWhileOdd, 1));
});

Deno.test("a seqlock tears if the sequence moves only after the write", async () => {
  await assertFails("assertion", model(writeThenMove, read, 1));
});
