import { assertEquals, assertThrows } from "@std/assert";
import { Memory, type MemoryHandle } from "../../mod.ts";
import { withoutWebAssembly } from "./platforms.ts";

/** Whether this platform allows native copies. */
const isNative = mayCompile();
const SIZE = 128 * 1024;

function mayCompile(): boolean {
  try {
    return new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)) !== undefined;
  } catch {
    return false;
  }
}

/** Both ways to copy: natively if the platform can, and by views. */
const ways: Record<string, () => Memory> = {
  native: () => Memory.create({ byteLength: SIZE }),
  views: () => withoutWebAssembly(() => Memory.create({ byteLength: SIZE })),
};

/** Fills bytes with numbers that tell where they were. */
function fill(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 251;
  return bytes;
}

for (const [way, create] of Object.entries(ways)) {
  Deno.test(`bytes are copied within a memory, also if they overlap: ${way}`, () => {
    const memory = create();
    const bytes = fill(new Uint8Array(memory.buffer));
    for (
      const [target, source, length] of [
        [1000, 3, 5],
        [4, 0, 100],
        [0, 4, 100],
        [SIZE - 9, 1, 9],
        [0, SIZE / 2, SIZE / 2],
        [7, 7, 0],
      ] as [number, number, number][]
    ) {
      const expected = bytes.slice();
      expected.copyWithin(target, source, source + length);
      memory.copyWithin(target, source, length);
      assertEquals(bytes.slice(), expected);
    }
  });

  Deno.test(`bytes are copied to private bytes and back, also to a part of them: ${way}`, () => {
    const memory = create();
    const shared = fill(new Uint8Array(memory.buffer));
    const own = memory.privateBytes(1000);
    assertEquals(own, new Uint8Array(1000));
    for (const bytes of [own, own.subarray(100, 900), new Uint8Array(800)]) {
      const copier = memory.copier(bytes);
      for (const [target, source, length] of [[0, 5, 300], [17, SIZE - 3, 3], [1, 1, 0]] as const) {
        const expected = bytes.slice();
        expected.set(shared.subarray(source, source + length), target);
        copier.copyOut(target, source, length);
        assertEquals(bytes, expected);

        copier.copyIn(2000, target, length);
        assertEquals(shared.slice(2000, 2000 + length), expected.slice(target, target + length));
      }
    }
  });
}

Deno.test("a large memory copies natively, in the thread that made it and where it is attached", () => {
  const memory = Memory.create({ byteLength: SIZE });
  const { handle } = memory;
  assertEquals(handle.webAssembly !== undefined, isNative);
  for (const one of [memory, Memory.attach(handle), Memory.attach(structuredClone(handle))]) {
    assertEquals(one.handle.webAssembly !== undefined, isNative);
    assertEquals(one.copier(one.privateBytes(8)).isNative, isNative);
    assertEquals(one.copier(new Uint8Array(8)).isNative, false);
  }
  new Uint8Array(memory.buffer)[5] = 1;
  assertEquals(new Uint8Array(Memory.attach(structuredClone(handle)).buffer)[5], 1);
});

Deno.test("a memory copies by views if it is small, was handed in, or WebAssembly is missing", () => {
  const small = Memory.create({ byteLength: 64 });
  assertEquals(small.byteLength, 64);
  const { buffer } = Memory.create({ byteLength: SIZE });
  const handedIn = Memory.attach({ ...small.handle, buffer });
  const large = Memory.create({ byteLength: SIZE });
  const late = withoutWebAssembly(() => Memory.attach(large.handle).copier(large.privateBytes(8)));
  assertEquals(late.isNative, false);
  for (const memory of [small, handedIn, ways["views"]!()]) {
    assertEquals("webAssembly" in memory.handle, false);
    const bytes = memory.privateBytes(8);
    assertEquals(memory.copier(bytes).isNative, false);
    assertEquals(bytes.buffer.byteLength, 8);
  }
});

/** As the constructors of a page whose policy forbids to compile. */
class Refusing {
  constructor() {
    throw new EvalError("Refused to compile");
  }
}

/** Runs `use` where modules cannot be compiled, or not be instantiated. */
function whereRefused(refused: "Module" | "Instance", use: () => void): void {
  const scope = globalThis as { WebAssembly: unknown };
  const proper = WebAssembly;
  const { Memory, Module, Instance } = proper;
  scope.WebAssembly = { Memory, Module, Instance, [refused]: Refusing };
  try {
    use();
  } finally {
    scope.WebAssembly = proper;
  }
}

Deno.test({
  name: "a memory copies by views where no module can be instantiated",
  ignore: !isNative,
  fn: () =>
    whereRefused("Instance", () => {
      const memory = Memory.create({ byteLength: SIZE });
      const bytes = fill(new Uint8Array(memory.buffer));
      memory.copyWithin(100, 0, 50);
      assertEquals(bytes.slice(100, 150), bytes.slice(0, 50));
      const own = memory.privateBytes(8);
      const copier = memory.copier(own);
      assertEquals(copier.isNative, false);
      copier.copyOut(0, 0, 8);
      assertEquals(own, bytes.slice(0, 8));
    }),
});

Deno.test({
  name: "there is no memory of WebAssembly where a page's content policy forbids to compile",
  ignore: !isNative,
  async fn() {
    // Modules are compiled once, so this needs a copy of the source that has compiled none.
    const fresh = "../../src/memory/web_assembly.ts?refused";
    const { createPrivate, createShared } = await import(
      fresh
    ) as typeof import("../../src/memory/web_assembly.ts");
    whereRefused("Module", () => {
      assertEquals(createShared(SIZE), undefined);
      assertEquals(createPrivate(SIZE), undefined);
    });
  },
});

Deno.test("memory attaches to nothing but a shared memory of WebAssembly", () => {
  const { handle } = Memory.create({ byteLength: SIZE });
  for (const webAssembly of [null, {}, handle.buffer]) {
    assertThrows(
      () => Memory.attach({ ...handle, webAssembly } as unknown as MemoryHandle),
      TypeError,
      "Cannot attach as 'webAssembly' must be a shared WebAssembly.Memory: received",
    );
  }
});

// The last one, since a thread gets its memories back only when garbage is collected.
Deno.test("a thread makes only so many native memories, and the others copy by views", () => {
  const all = Array.from({ length: 1100 }, () => Memory.create({ byteLength: SIZE }));
  assertEquals(all.every((memory) => memory.byteLength === SIZE), true);
  assertEquals(all.at(-1)!.handle.webAssembly, undefined);
  const bytes = all[0]!.privateBytes(8);
  const copier = all[0]!.copier(bytes);
  new Uint8Array(all[0]!.buffer)[0] = 9;
  copier.copyOut(1, 0, 1);
  assertEquals(bytes, Uint8Array.of(0, 9, 0, 0, 0, 0, 0, 0));
});
