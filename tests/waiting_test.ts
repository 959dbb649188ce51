/**
 * Every call that waits, by one grammar. A wait that gives up, may not wait, or gets a wrong time
 * or signal, leaves the thing as it was, for this thread and for others.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { AsyncWaitOptions, WaitOptions } from "@busbar/busbar";
import { type Call, type Scene, scenes } from "./waiting_scenes.ts";

const TIMES = [-1, -Infinity, NaN, "5", null, 5n, {}, [], true] as unknown as number[];
const SIGNALS = [{}, 5, null, "abort", () => {}] as unknown as AbortSignal[];
const { signal } = new AbortController();
const OPTIONS = [null, 5, "5", true, () => {}, signal] as unknown as WaitOptions[];

const HINT = "Cannot block as this thread may not call Atomics.wait, like the main thread of a " +
  "page: await the method whose name ends in Async instead, such as lockAsync() for lock()";
const WRONG_TIME = "Cannot wait as 'timeoutMs' must be a number not below 0: received";
const WRONG_SIGNAL = "Cannot wait as 'signal' must be an AbortSignal: received";
const WRONG_OPTIONS = "Cannot wait as 'options' must be an object";

/** Calls `body` on a thread that may not block, as the main thread of a page. */
function whileForbidden(body: () => void): void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  try {
    body();
  } finally {
    Atomics.wait = wait;
  }
}

/** Fails unless all that wait get what they wait for, after `spoil`. */
async function checkUsable(makeScene: () => Scene, spoil: (scene: Scene) => unknown) {
  for (const name of Object.keys(makeScene().calls)) {
    const scene = makeScene();
    await spoil(scene);
    scene.checkUnchanged();
    const awaited = scene.calls[name]!.awaits({});
    scene.provide();
    await awaited;
  }
}

function callsOf(scene: Scene): Call[] {
  return Object.values(scene.calls);
}

for (const [name, makeScene] of Object.entries(scenes)) {
  Deno.test(`${name}: a try that fails and a wait whose time is over return the same`, async () => {
    const scene = makeScene();
    for (const { block, attempt, awaits, empty } of callsOf(scene)) {
      assertEquals(block({ timeoutMs: 0 }), empty);
      assertEquals(block({ timeoutMs: 1 }), empty);
      assertEquals(await awaits({ timeoutMs: 0 }), empty);
      assertEquals(await awaits({ timeoutMs: 1 }), empty);
      if (attempt !== undefined) assertEquals(attempt(), empty);
    }
    scene.checkUnchanged();
  });

  Deno.test(`${name}: a call that may not block says what to call, and leaves no trace`, async () => {
    await checkUsable(makeScene, (scene) =>
      whileForbidden(() => {
        for (const { block } of callsOf(scene)) {
          for (const call of [() => block(), () => block({ timeoutMs: 50 })]) {
            for (let i = 0; i < 2; i++) {
              const error = assertThrows(call, TypeError, HINT);
              assert(error.cause instanceof TypeError);
              scene.checkUnchanged();
            }
          }
        }
      }));
  });

  Deno.test(`${name}: a call that may not await leaves no trace`, async () => {
    await checkUsable(makeScene, async (scene) => {
      const { waitAsync } = Atomics;
      for (const lacking of [undefined, () => assert(false, "out of memory")]) {
        Object.assign(Atomics, { waitAsync: lacking });
        try {
          for (const { awaits } of callsOf(scene)) {
            await assertRejects(
              () => awaits(),
              Error,
              lacking === undefined
                ? "Cannot wait as the platform has no Atomics.waitAsync"
                : "memory",
            );
            scene.checkUnchanged();
          }
        } finally {
          Object.assign(Atomics, { waitAsync });
        }
      }
    });
  });

  Deno.test(`${name}: a call whose time is over, or is aborted, leaves no trace`, async () => {
    await checkUsable(makeScene, async (scene) => {
      for (const { block, awaits } of callsOf(scene)) {
        block({ timeoutMs: 0 });
        block({ timeoutMs: 1 });
        await awaits({ timeoutMs: 0 });
        await awaits({ timeoutMs: 1 });
        const controller = new AbortController();
        const aborted = awaits(controller);
        await Promise.resolve();
        controller.abort(new Error("enough"));
        await assertRejects(() => aborted, Error, "enough");
        await assertRejects(() => awaits(controller), Error, "enough");
      }
    });
  });

  Deno.test(`${name}: a wrong time or signal is refused, whether or not it has to wait`, async () => {
    const refuseAll = async (scene: Scene) => {
      for (const { block, awaits } of callsOf(scene)) {
        for (const timeoutMs of TIMES) {
          assertThrows(() => block({ timeoutMs }), RangeError, WRONG_TIME);
          await assertRejects(() => awaits({ timeoutMs }), RangeError, WRONG_TIME);
        }
        for (const options of OPTIONS) {
          const wrong = typeof options === "number"
            ? "such as { timeoutMs: 5 }: received 5"
            : WRONG_OPTIONS;
          assertThrows(() => block(options), TypeError, wrong);
          await assertRejects(() => awaits(options), TypeError, wrong);
        }
        for (const signal of SIGNALS) {
          await assertRejects(() => awaits({ signal }), TypeError, WRONG_SIGNAL);
        }
        const { signal } = new AbortController();
        const options: AsyncWaitOptions = { timeoutMs: 0, signal };
        assertThrows(
          () => block(options),
          TypeError,
          "Cannot block with a 'signal' as a blocked thread cannot receive it",
        );
        await assertRejects(
          () =>
            awaits({ signal: AbortSignal.abort("no") }).catch((reason) => {
              assertEquals(reason, "no");
              throw new Error("refused");
            }),
          Error,
          "refused",
        );
      }
    };
    await checkUsable(makeScene, refuseAll);
    const scene = makeScene();
    scene.provide();
    await refuseAll(scene);
    await callsOf(scene)[0]!.awaits({});
  });
}
