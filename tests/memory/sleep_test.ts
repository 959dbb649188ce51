import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Memory, type Observer } from "../../mod.ts";
import { keepAlive } from "../../src/memory/keep_alive.ts";
import { SleepWord } from "../../src/memory/sleep.ts";

/** A word, and an attempt that succeeds once it is not 0. */
function setup() {
  const memory = Memory.create({ byteLength: 64 });
  const words = new Int32Array(memory.buffer);
  const looks = { count: 0 };
  const attempt = () => {
    looks.count++;
    return Atomics.load(words, 1) === 0 ? Atomics.load(words, 0) : undefined;
  };
  return { words, word: new SleepWord(memory, words, 0), attempt, looks };
}

/** Counts timers that are not cleared while `fn` runs. */
async function timersWithin(fn: (timers: () => number) => void | Promise<void>): Promise<void> {
  const { setInterval, clearInterval } = globalThis;
  let timers = 0;
  globalThis.setInterval = ((...args: Parameters<typeof setInterval>) => {
    timers++;
    return setInterval(...args);
  }) as typeof setInterval;
  globalThis.clearInterval = (id) => {
    timers--;
    clearInterval(id);
  };
  try {
    await fn(() => timers);
  } finally {
    Object.assign(globalThis, { setInterval, clearInterval });
  }
}

Deno.test("sleeping ends at once if the first attempt succeeds", async () => {
  const { words, word, attempt, looks } = setup();
  words[1] = 1;
  assertEquals(word.sleepUntil(attempt, { timeoutMs: 0 }), true);
  await timersWithin(async (timers) => {
    const sleep = word.sleepUntilAsync(attempt, {});
    assertEquals(timers(), 0);
    assertEquals(await sleep, true);
  });
  assertEquals(looks.count, 2);
});

Deno.test("sleeping ends when its time is over, after a last attempt", async () => {
  const { word, attempt, looks } = setup();
  // Long enough that a busy machine does not use it up before the first look.
  for (const timeoutMs of [0, 100]) {
    assertEquals(word.sleepUntil(attempt, { timeoutMs }), false);
    assertEquals(await word.sleepUntilAsync(attempt, { timeoutMs }), false);
  }
  assertEquals(looks.count >= 6, true);
});

Deno.test("sleeping refuses an invalid time", async () => {
  const { word, attempt } = setup();
  for (const timeoutMs of [-1, NaN]) {
    const message =
      `Cannot wait as 'timeoutMs' must be a number not below 0: received ${timeoutMs}`;
    assertThrows(() => word.sleepUntil(attempt, { timeoutMs }), RangeError, message);
    await assertRejects(() => word.sleepUntilAsync(attempt, { timeoutMs }), RangeError, message);
  }
});

Deno.test("a sleeper goes on sleeping until an attempt succeeds", async () => {
  const { words, word, attempt, looks } = setup();
  const sleep = word.sleepUntilAsync(attempt, { signal: new AbortController().signal });
  while (looks.count < 3) {
    word.notify();
    await new Promise((resolve) => setTimeout(resolve));
  }
  Atomics.store(words, 1, 1);
  assertEquals(word.notify(), 1);
  assertEquals(await sleep, true);
});

Deno.test("an aborted sleep rejects with the reason, and leaves nothing behind", async () => {
  const { word, attempt } = setup();
  await assertRejects(
    () => word.sleepUntilAsync(attempt, { signal: AbortSignal.abort(new Error("before")) }),
    Error,
    "before",
  );
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    removeEventListener.apply(signal, args as never);
  };
  const bystander = word.sleepUntilAsync(attempt, { timeoutMs: 20 });
  const sleep = word.sleepUntilAsync(attempt, { signal });
  assertEquals([listeners, word.isAwaited], [1, true]);
  controller.abort(new Error("meanwhile"));
  await assertRejects(() => sleep, Error, "meanwhile");
  assertEquals(await bystander, false);
  assertEquals([listeners, word.isAwaited], [0, false]);
  assertEquals(word.notify(), 0);
});

Deno.test("a thread that blocks first wakes its own asynchronous sleepers, which look again", async () => {
  const { words, word, attempt } = setup();
  const sleep = word.sleepUntilAsync(attempt, {});
  assertEquals(word.sleepUntil(attempt, { timeoutMs: 1 }), false);
  assertEquals(word.notify(), 0);
  Atomics.store(words, 1, 1);
  assertEquals(await sleep, true);
});

Deno.test("the process is kept alive as long as a task awaits", async () => {
  await timersWithin(async (timers) => {
    const { words, word, attempt } = setup();
    const sleeps = [word.sleepUntilAsync(attempt, {}), word.sleepUntilAsync(attempt, {})];
    assertEquals(timers(), 1);
    Atomics.store(words, 1, 1);
    assertEquals(word.notify(1), 1);
    await sleeps[0];
    assertEquals(timers(), 1);
    word.notify();
    await sleeps[1];
    assertEquals(timers(), 0);
  });
});

Deno.test("under an observer nothing is kept alive", async () => {
  const slot = (globalThis as unknown as Record<symbol, { current: Observer | undefined }>)[
    Symbol.for("busbar.observer")
  ]!;
  assert(slot.current === undefined);
  await timersWithin((timers) => {
    slot.current = { beginSpeculation() {}, endSpeculation() {}, label() {} };
    try {
      keepAlive()();
      assertEquals(timers(), 0);
    } finally {
      slot.current = undefined;
    }
  });
});
