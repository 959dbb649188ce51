import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Parker } from "../../mod.ts";

Deno.test("a parker that was unparked lets one park go on, however often it was", () => {
  const parker = Parker.create();
  const other = Parker.attach(parker.handle);
  other.unpark();
  other.unpark();
  assertEquals(parker.park(), true);
  assertEquals(parker.park({ timeoutMs: 0 }), false);
});

Deno.test("a park with a timeout gives up after it, and takes a later permit no less", async () => {
  const parker = Parker.create();
  const start = performance.now();
  assertEquals(parker.park({ timeoutMs: 5 }), false);
  assertEquals(await parker.parkAsync({ timeoutMs: 5 }), false);
  assert(performance.now() - start >= 10);
  parker.unpark();
  assertEquals(await parker.parkAsync(), true);
  assertThrows(
    () => parker.park({ timeoutMs: -1 }),
    RangeError,
    "'timeoutMs' must be a number not below 0: received -1",
  );
  await assertRejects(() => parker.parkAsync({ timeoutMs: -1 }), RangeError);
});

Deno.test("a parker wakes a task that awaits", async () => {
  const parker = Parker.create();
  const other = Parker.attach(parker.handle);
  for (let round = 0; round < 3; round++) {
    const parked = parker.parkAsync({ timeoutMs: 10_000 });
    other.unpark();
    assertEquals(await parked, true);
  }
});

Deno.test("a park that is aborted rejects with the reason, and leaves the permit", async () => {
  const parker = Parker.create();
  const controller = new AbortController();
  const parked = parker.parkAsync(controller);
  parker.unpark();
  controller.abort("enough");
  assertEquals(await parked.catch((reason) => reason), "enough");
  assertEquals(parker.park({ timeoutMs: 0 }), true);
});
