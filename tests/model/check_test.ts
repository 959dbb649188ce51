import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, IncompleteError } from "@busbar/busbar/model";
import { words } from "./failing.ts";

const load = (w: Int32Array) => Atomics.load(w, 0);
const never = () => new Promise<void>(() => {});

Deno.test("a check that never settles ends with the time limit, and is named", async () => {
  for (const check of [never, async () => await never(), () => Promise.race<void>([])]) {
    const model = { setup: words, threads: { a: load }, check, timeLimitMs: 60 };
    const error = await assertRejects(() => explore(model), IncompleteError);
    assertStringIncludes(error.message, "stopped after 60 ms, in a check whose promise was not");
    const { complete, reason } = await explore({ ...model, allowIncomplete: true });
    assertEquals(complete, false);
    assertStringIncludes(reason!, "in a check");
  }
});

Deno.test("a check that takes its time settles, and may still fail", async () => {
  const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const model = { setup: words, threads: { a: load }, timeLimitMs: 60_000 };
  const { executions } = await explore({ ...model, check: () => later(5) });
  assertEquals(executions, 1);
  await assertRejects(
    () => explore({ ...model, check: () => later(5).then(() => Promise.reject(new Error("no"))) }),
    Error,
    "assertion: no",
  );
});

Deno.test("an exploration can follow one whose check never settled", async () => {
  const model = { setup: words, threads: { a: load } };
  await assertRejects(() => explore({ ...model, check: never, timeLimitMs: 10 }), IncompleteError);
  assertEquals((await explore(model)).complete, true);
});
