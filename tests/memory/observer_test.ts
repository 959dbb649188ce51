import { assertEquals } from "@std/assert";
import { Broadcast, type Observer } from "../../mod.ts";

/** Installs an observer for as long as `fn` runs; returns what it was told. */
function observed(fn: () => void): string[] {
  const heard: string[] = [];
  const observer: Observer = {
    beginSpeculation: () => heard.push("begin"),
    endSpeculation: (kept) => heard.push(`end ${kept}`),
    label: (_buffer, byteOffset, byteLength, name) =>
      heard.push(`${name} ${byteOffset} ${byteLength}`),
  };
  const slot = (globalThis as unknown as Record<symbol, { current: Observer | undefined }>)[
    Symbol.for("busbar.observer")
  ]!;
  const before = slot.current;
  slot.current = observer;
  try {
    fn();
  } finally {
    slot.current = before;
  }
  return heard;
}

Deno.test("an observer hears the name of each word of a ring, where it is made or attached", () => {
  const create = () => Broadcast.create({ capacityBytes: 64, segments: 4 });
  const broadcast = create();
  for (const heard of [observed(create), observed(() => Broadcast.attach(broadcast.handle))]) {
    const names = heard.map((line) => String(line).split(" ")[0]);
    for (const name of ["magic", "writer", "position", "epoch[0]", "epoch[3]", "data"]) {
      assertEquals(names.includes(`broadcast.${name}`), true, `${name} in ${names.join()}`);
    }
  }
});

Deno.test("an observer hears that a batch was copied, and whether it was kept", () => {
  const broadcast = Broadcast.create({ capacityBytes: 128, segments: 4 });
  using writer = broadcast.writer();
  const reader = broadcast.reader();
  // Only the hint whether the position has wrapped, of which nothing is kept.
  assertEquals(observed(() => reader.poll()), ["begin", "end false"]);
  writer.send(new Uint8Array(8));
  assertEquals(observed(() => reader.poll()), ["begin", "end true"]);

  // The reader's place is within what is retained, but its segment was entered again.
  while (reader.next());
  for (let i = 0; i < 7; i++) writer.send(new Uint8Array(8));
  writer.claim(8);
  assertEquals(
    observed(() => {
      try {
        reader.poll();
      } catch {
        // The reader was overrun, and looked for where to go on.
      }
    }).slice(0, 2),
    ["begin", "end false"],
  );
});
