import { assertEquals, assertStringIncludes } from "@std/assert";
import { explore, shareBuffer } from "@busbar/busbar/model";
import { fails } from "./failing.ts";

/** As code at the top of a module has them. */
const Captured = Int32Array;
class Words extends Int32Array {}

/** A model of a buffer that other code knows, too. */
function mapped(byteLength = 16) {
  const buffer = new ArrayBuffer(byteLength);
  const early = new Int32Array(buffer, 0, byteLength >> 2);
  const setup = () => {
    new Uint8Array(buffer).fill(0);
    return new Int32Array(shareBuffer(buffer, "mapped"), 0, byteLength >> 2);
  };
  return { buffer, early, setup };
}

const load = (w: Int32Array) => Atomics.load(w, 0);

Deno.test("a write through a view that the explorer does not know names the thread and the byte", async () => {
  const { buffer, early, setup } = mapped();
  const writes: (() => void)[] = [
    () => early[2] = 1,
    () => early[2]! += 1,
    () => new Captured(buffer)[2] = 1,
    () => new Words(buffer).fill(1, 2),
  ];
  for (const write of writes) {
    for (const strategy of ["dpor", "all", "pct"] as const) {
      const { message } = await fails("misuse", {
        setup,
        strategy,
        threads: {
          a: load,
          b(w) {
            Atomics.store(w, 0, 1);
            write();
          },
        },
      });
      assertStringIncludes(message, "Thread b wrote shared memory unseen, at state[2]");
    }
  }
});

Deno.test("an unseen write of an asynchronous body, and of a body without a step, is found", async () => {
  const { early, setup } = mapped();
  await fails("misuse", {
    setup,
    threads: {
      async a(w) {
        Atomics.add(w, 0, 1);
        await Promise.resolve();
        early[3] = 1;
      },
    },
  });
  const { message } = await fails("misuse", {
    setup,
    threads: { a: load, b: (w) => (early[1] = 1, w[0]) },
  });
  assertStringIncludes(message, "Thread b wrote");
});

Deno.test("memory that WebAssembly could write is guarded to its last bytes", async () => {
  const { buffer, setup } = mapped(65_539);
  const bytes = new Uint8Array(buffer);
  const { message } = await fails("misuse", {
    setup,
    threads: { a: load, b: (w) => (bytes[65_538] = 1, load(w)) },
  });
  assertStringIncludes(message, "Thread b wrote shared memory unseen, at mapped+65538");
});

Deno.test("writes that are seen pass, undone and repeated, and so do unseen reads of a check", async () => {
  const { early, setup } = mapped();
  const increment = (w: Int32Array) => {
    w[2] = Atomics.add(w, 0, 1);
    new DataView(w.buffer).setUint16(12, 7 + w[2]);
    w[3] = 0;
    Atomics.store(w, 1, 1);
  };
  const report = await explore({
    setup,
    strategy: "all",
    threads: {
      a: increment,
      b(w) {
        while (Atomics.load(w, 1) === 0) Atomics.pause();
        Atomics.exchange(w, 0, 5);
      },
    },
    check(w) {
      assertEquals(early[0], 5);
      w[2] = 9; // undone, as all that a check writes
      early[3] = 9;
    },
  });
  assertEquals(report.complete, true);
});

Deno.test("a WebAssembly.Memory that grows in a thread is refused, and the message says why", async () => {
  const { message } = await fails("misuse", {
    setup() {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
      return { memory, w: new Int32Array(shareBuffer(memory.buffer), 0, 4) };
    },
    threads: {
      a({ memory, w }) {
        Atomics.load(w, 0);
        if (memory.buffer.byteLength < 3 * 65_536) memory.grow(1);
        return new Int32Array(memory.buffer)[0];
      },
    },
  });
  assertStringIncludes(message, "another buffer after it grows");
});
