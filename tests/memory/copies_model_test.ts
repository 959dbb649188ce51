/**
 * Copies under the explorer, which must see each access of them, however large the memory is; and a
 * broken twin whose copy may be torn.
 */

import { assert, assertEquals } from "@std/assert";
import { shareBuffer } from "@busbar/busbar/model";
import { Memory } from "../../mod.ts";
import { beginSpeculation, endSpeculation } from "../../src/memory/observer.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";

/** Large enough for a memory of WebAssembly. */
const BYTES = 64 * 1024;
/** How often the data was overwritten: changed only by read-modify-writes. */
const EPOCH = 0;
/** The first of two words of data. */
const DATA = 16;
/** Where in the shared memory the data is copied to, by a reader that does. */
const COPY = 32;

interface State {
  memory: Memory;
  words: Int32Array;
}

function setup(): State {
  const memory = Memory.create({ byteLength: BYTES });
  return { memory, words: new Int32Array(memory.buffer) };
}

/** Overwrites the data once. */
function write({ words }: State): void {
  Atomics.add(words, EPOCH, 1);
  words[DATA] = 1;
  words[DATA + 1] = 1;
}

/** Copies the data, and says what it got unless the data may have been overwritten meanwhile. */
const read = (copy: (memory: Memory) => Int32Array) => ({ memory, words }: State): string => {
  beginSpeculation();
  const copied = copy(memory);
  const isKept = Atomics.add(words, EPOCH, 0) === 0;
  endSpeculation(isKept);
  return isKept ? copied.join() : "overwritten";
};

const copies: Record<string, (memory: Memory) => Int32Array> = {
  "to private bytes": (memory) => {
    const bytes = memory.privateBytes(8);
    memory.copier(bytes).copyOut(0, 4 * DATA, 8);
    return new Int32Array(bytes.buffer, bytes.byteOffset, 2);
  },
  "within the memory": (memory) => {
    memory.copyWithin(4 * COPY, 4 * DATA, 8);
    return new Int32Array(memory.buffer, 4 * COPY, 2).slice();
  },
};

for (const [where, copy] of Object.entries(copies)) {
  Deno.test(`a validated copy ${where} is never torn`, async () => {
    const outcomes = new Set<string>();
    await passes({
      setup,
      threads: { write, read: read(copy) },
      check: (_, { read }) => void outcomes.add(read),
    });
    assertEquals([...outcomes].sort(), ["0,0", "overwritten"]);
  });

  Deno.test(`broken twin: a copy ${where} that is validated by a load races`, async () => {
    const validatingByLoad = tampered(
      read(copy),
      (proper) => ({ add: (words: Int32Array, index: number) => proper.load(words, index) }),
    );
    const { message } = await fails("data race", {
      setup,
      threads: { write, read: validatingByLoad },
    });
    assert(message.includes("read"), message);
  });

  Deno.test(`broken twin: a copy ${where} that is not validated races`, async () => {
    await fails("data race", {
      setup,
      threads: { write, read: ({ memory }) => copy(memory).join() },
    });
  });
}

/** Copies by what was made before an exploration, natively if the platform can. */
const early: Record<string, (memory: Memory) => () => void> = {
  "out": (memory) => {
    const copier = memory.copier(memory.privateBytes(8));
    return () => copier.copyOut(0, 4 * DATA, 8);
  },
  "in": (memory) => {
    const copier = memory.copier(memory.privateBytes(8).fill(1));
    return () => copier.copyIn(4 * COPY, 0, 8);
  },
  "within": (memory) => () => memory.copyWithin(4 * COPY, 4 * DATA, 8),
};

for (const [where, make] of Object.entries(early)) {
  Deno.test(`a copy ${where} by what was made before an exploration never passes unseen`, async () => {
    const memory = Memory.create({ byteLength: BYTES });
    const copy = make(memory);
    copy();
    new Uint8Array(memory.buffer).fill(0);
    await fails(["misuse", "exception"], {
      setup: () => ({ memory, words: new Int32Array(shareBuffer(memory.buffer)) }),
      threads: {
        write,
        copy({ words }: State) {
          Atomics.load(words, EPOCH); // a thread that does nothing that is seen is refused anyway
          copy();
        },
      },
    });
  });
}

Deno.test("memory that was made before an exploration is refused there, and not copied unseen", async () => {
  const memory = Memory.create({ byteLength: BYTES });
  const body = () => copies["to private bytes"]!(Memory.attach(memory.handle));
  await fails("misuse", { setup, threads: { write, body } });
});
