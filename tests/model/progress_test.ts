/** The progress of a long search, on a terminal and in a log. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Progress } from "../../model/search/progress.ts";

/** Shows the progress each 100 ms of a clock of its own; returns what was written, and when. */
function shown(isTerminal: boolean, seconds: number, fraction?: number) {
  const writes: { readonly ms: number; readonly text: string }[] = [];
  let ms = 0;
  const write = (text: string) => void writes.push({ ms, text });
  const progress = new Progress({ isTerminal, write }, () => 5_000_000 + ms);
  for (; ms < 1000 * seconds; ms += 100) progress.show(20 * ms, 12, fraction);
  progress.end();
  return writes;
}

Deno.test("in a log, a long search writes a line after 10 s, and each time after twice as long", () => {
  const writes = shown(false, 200, 0.25);
  assertEquals(writes.map(({ ms }) => ms / 1000), [10, 20, 40, 80, 160]);
  assertEquals(
    writes[0]!.text,
    "exploring: 200,000 executions, 20,000/s, depth 12, about 25.0 %, 30 s left, after 10 s\n",
  );
  assertMatch(writes.at(-1)!.text, /^exploring: .*, 8 min left, after 3 min\n$/);
});

Deno.test("in a log, a search of less than 10 s writes nothing", () => {
  assertEquals(shown(false, 9.9), []);
});

Deno.test("on a terminal, a line is updated twice a second, and removed in the end", () => {
  const writes = shown(true, 3);
  assertEquals(writes.map(({ ms }) => ms), [1000, 1500, 2000, 2500, 3000]);
  assertStringIncludes(writes[0]!.text, "\r\x1b[Kexploring: 20,000 executions, 20,000/s, depth 12");
  assertEquals(writes.at(-1)!.text, "\r\x1b[K");
  assertEquals(shown(true, 1), []);
});

Deno.test("no share is told that cannot be estimated", () => {
  for (const fraction of [undefined, 0, NaN]) {
    assertEquals(shown(false, 11, fraction)[0]!.text.includes("%"), false);
  }
});
