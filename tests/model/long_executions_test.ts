import { assertEquals } from "@std/assert";
import { ModelBuffer } from "../../model/machine/memory.ts";
import { appendEvent, Dependence, type Event } from "../../model/search/dependence.ts";
import { Enumeration } from "../../model/search/enumeration.ts";
import { Search } from "../../model/search/search.ts";

const observer = (globalThis as unknown as Record<symbol, unknown>)[
  Symbol.for("busbar.observer")
] as { current: { beginSpeculation(): void; endSpeculation(kept: boolean): void } };

/** The events of the only thread of a model of 1000 words. */
async function eventsOf(body: (words: Int32Array) => void): Promise<Event[]> {
  const search = new Search({
    setup: () => new Int32Array(new SharedArrayBuffer(4000)),
    threads: { a: body as never },
  });
  const events: Event[] = [];
  search.onExecution = ({ trace, threads }) => {
    const dependence = new Dependence(false);
    for (const entry of trace) appendEvent(events, entry, threads[0]!.log, dependence);
  };
  await search.run(() => new Enumeration());
  return events;
}

Deno.test("plain writes that a loop makes after an operation are a range for each array", async () => {
  const [load, store] = await eventsOf((w) => {
    Atomics.load(w, 0);
    for (let i = 0; i < 100; i++) {
      w[1 + i] = i;
      w[300 - i] = i;
    }
    Atomics.store(w, 0, 1);
    for (let i = 0; i < 100; i++) w[500] = i;
  });
  assertEquals(load!.footprint.writes, [
    { buffer: "buffer0", start: 4, size: 400 },
    { buffer: "buffer0", start: 804, size: 400 },
  ]);
  assertEquals(store!.footprint.writes, [{ buffer: "buffer0", start: 2000, size: 4 }]);
});

Deno.test("speculative reads are merged, also those after an operation inside a span", async () => {
  const [first, second, third] = await eventsOf((w) => {
    Atomics.load(w, 0);
    observer.current.beginSpeculation();
    for (let i = 1; i <= 10; i++) w[i];
    Atomics.load(w, 0);
    for (let i = 11; i <= 30; i++) w[i];
    observer.current.endSpeculation(true);
    w[31];
    Atomics.load(w, 0);
    w[32];
  });
  assertEquals(first!.footprint.guesses, [{ buffer: "buffer0", start: 4, size: 40 }]);
  assertEquals(second!.footprint.guesses, [{ buffer: "buffer0", start: 44, size: 80 }]);
  assertEquals(third!.footprint.guesses, []);
});

Deno.test("the cells near a range are those of its blocks, whatever the number of others", () => {
  const buffer = new ModelBuffer("buffer", new SharedArrayBuffer(4096));
  for (let i = 0; i < 1024; i++) buffer.cell(4 * i, 4);
  const wide = buffer.cell(8, 8);
  const near = (start: number, size: number) =>
    buffer.cellsNear(start, size).map((cell) => [cell.start, cell.size]);
  assertEquals(near(12, 1), [[8, 4], [12, 4], [8, 8]]);
  assertEquals(near(4, 8), [[0, 4], [4, 4], [8, 4], [12, 4], [8, 8]]);
  assertEquals(near(0, 4096).length, 1025);
  assertEquals(near(16, 0), []);
  assertEquals(wide.overlaps.map((cell) => cell.start), [8, 12]);
});
