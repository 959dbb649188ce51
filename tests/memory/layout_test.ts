import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { checkWord } from "../../src/memory/handle.ts";
import { checkInteger, checkPowerOfTwo, describe } from "../../src/memory/check.ts";
import { alignUp, isPowerOfTwo } from "../../src/memory/layout.ts";
import { Memory } from "../../src/memory/memory.ts";

Deno.test("alignUp finds the smallest multiple that is not less", () => {
  fc.assert(fc.property(fc.nat(), fc.nat(20), (value, power) => {
    const alignment = 2 ** power;
    const aligned = alignUp(value, alignment);
    return aligned % alignment === 0 && aligned >= value && aligned - value < alignment;
  }));
});

Deno.test("isPowerOfTwo accepts all of them in 32 bits, and nothing else", () => {
  for (let power = 0; power < 32; power++) assertEquals(isPowerOfTwo(2 ** power), true);
  for (const value of [0, 3, -1, -8, 0.5, 1.5, NaN, Infinity, 2 ** 32, 2 ** 32 + 1]) {
    assertEquals(isPowerOfTwo(value), false, String(value));
  }
});

Deno.test("the checks name the option, what was expected and what was received", () => {
  checkInteger("do it", "count", 3, 1, 3);
  assertThrows(
    () => checkInteger("do it", "count", 4, 1, 3),
    RangeError,
    "Cannot do it as 'count' must be a whole number from 1 to 3: received 4",
  );
  assertThrows(
    () => checkInteger("do it", "count", "2" as unknown as number, 1, 3),
    RangeError,
    `received "2"`,
  );
  checkPowerOfTwo("do it", "size", 8, 8, 64);
  assertThrows(
    () => checkPowerOfTwo("do it", "size", 128, 8, 64),
    RangeError,
    "Cannot do it as 'size' must be a power of two from 8 to 64: received 128",
  );
  checkWord("busbar.thing", "magic", 7, 7);
  assertThrows(
    () => checkWord("busbar.thing", "magic", -1, 0xab),
    TypeError,
    "memory of 'busbar.thing' with magic 0xab was expected: found 0xffffffff",
  );
});

Deno.test("describe says what was received, whatever it is", () => {
  assertEquals(describe("a"), `"a"`);
  assertEquals(describe(1n), "1n");
  assertEquals(describe(null), "null");
  assertEquals(describe({}), "[object Object]");
  assertEquals(describe(Object.create(null)), "[object Object]");
  assertEquals(describe([]), "[object Array]");
  assertEquals(describe(Memory.create({ byteLength: 64 })), "[object Memory]");
  assertEquals(describe(() => 1), "a function");
  assertEquals(describe(Symbol("s")), "Symbol(s)");
});
