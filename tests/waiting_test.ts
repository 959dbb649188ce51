/**
 * Every call that waits: one that gives up, may not wait, or gets what is no time or signal, leaves
 * the thing as it was, for this thread and for others.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { WaitOptions } from "@busbar/busbar";
import { type Scene, scenes } from "./waiting_scenes.ts";

const TIMES = [-1, -Infinity, NaN, "5", null, 5n, {}, [], true] as unknown as number[];
const SIGNALS = [{}, 5, null, "abort", () => {}] as unknown as AbortSignal[];

const HINT = "Cannot block as this thread may not call Atomics.wait, like the main thread of a " +
  "page: await the method whose name ends in Async instead, such as lockAsync() for lock()";

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

/** Fails unless all that wait get what they wait for. */
async function checkUsable(makeScene: () => Scene, spoil: (scene: Scene) => unknown) {
  for (const name of Object.keys(makeScene().awaiting)) {
    const scene = makeScene();
    await spoil(scene);
    scene.checkUnchanged();
    const awaited = scene.awaiting[name]!({});
    scene.provide();
    await awaited;
  }
}

for (const [name, makeScene] of Object.entries(scenes)) {
  Deno.test(`${name}: a call that may not block says what to call, and leaves no trace`, async () => {
    await checkUsable(makeScene, (scene) =>
      whileForbidden(() => {
        const timed = Object.values(scene.timed).map((call) => () => call(50));
        for (const call of [...Object.values(scene.blocking), ...timed]) {
          for (let i = 0; i < 2; i++) {
            const error = assertThrows(call, TypeError, HINT);
            assert(error.cause instanceof TypeError);
            scene.checkUnchanged();
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
          for (const call of Object.values(scene.awaiting)) {
            await assertRejects(
              () => call({}),
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
      for (const call of Object.values(scene.timed)) {
        call(0);
        call(1);
      }
      for (const call of Object.values(scene.awaiting)) {
        await call({ timeoutMs: 0 });
        await call({ timeoutMs: 1 });
        const controller = new AbortController();
        const aborted = call(controller);
        await Promise.resolve();
        controller.abort(new Error("enough"));
        await assertRejects(() => aborted, Error, "enough");
        await assertRejects(() => call(controller), Error, "enough");
      }
    });
  });

  Deno.test(`${name}: what is no time or signal is refused, whether or not it has to wait`, async () => {
    const refuseAll = async (scene: Scene) => {
      const time = "Cannot wait as 'timeoutMs' must not be negative: received";
      for (const timeoutMs of TIMES) {
        for (const call of Object.values(scene.timed)) {
          assertThrows(() => call(timeoutMs), RangeError, time);
        }
        for (const call of Object.values(scene.awaiting)) {
          await assertRejects(() => call({ timeoutMs }), RangeError, time);
        }
      }
      for (const call of Object.values(scene.awaiting)) {
        for (const signal of SIGNALS) {
          await assertRejects(
            () => call({ signal }),
            TypeError,
            "Cannot wait as 'signal' must be an AbortSignal: received",
          );
        }
        await assertRejects(
          () => call(null as unknown as WaitOptions),
          TypeError,
          "Cannot wait as 'options' must be an object: received null",
        );
        await assertRejects(
          () =>
            call({ signal: AbortSignal.abort("no") }).catch((reason) => {
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
    await Object.values(scene.awaiting)[0]!({});
  });
}
