/** The encoders of framings, and their limits. */

import { assertEquals, assertThrows } from "@std/assert";
import { delimited, lengthPrefixed } from "@busbar/busbar";

const bytes = (text: string) => new TextEncoder().encode(text);

for (
  const [options, expected] of [
    [{}, [0, 0, 0, 2, 104, 105]],
    [{ prefixBytes: 4, endianness: "little" }, [2, 0, 0, 0, 104, 105]],
    [{ prefixBytes: 2, endianness: "big" }, [0, 2, 104, 105]],
    [{ prefixBytes: 2, endianness: "little" }, [2, 0, 104, 105]],
    [{ prefixBytes: 1 }, [2, 104, 105]],
    [{ prefixBytes: 4, includesPrefix: true }, [0, 0, 0, 6, 104, 105]],
    [{ prefixBytes: 1, includesPrefix: true }, [3, 104, 105]],
  ] as const
) {
  Deno.test(`length-prefixed framing with ${JSON.stringify(options)} writes the length first`, () => {
    assertEquals([...lengthPrefixed(options).encode(bytes("hi"))], [...expected]);
  });
}

Deno.test("the longest message of length-prefixed framing is the greatest length that it can encode", () => {
  const framing = lengthPrefixed({ prefixBytes: 1 });
  assertEquals(framing.maxLength, 255);
  assertEquals(framing.encode(new Uint8Array(255))[0], 255);
  assertEquals(lengthPrefixed({ prefixBytes: 1, includesPrefix: true }).maxLength, 254);
  assertEquals(lengthPrefixed().maxLength, 2 ** 32 - 1);
  assertThrows(
    () => framing.encode(new Uint8Array(256)),
    RangeError,
    "Cannot frame a message as 'length' must be a whole number from 0 to 255: received 256",
  );
});

Deno.test("framings write into a target at an offset", () => {
  const target = new Uint8Array(6);
  assertEquals(lengthPrefixed({ prefixBytes: 1 }).encodeInto(bytes("hi"), target, 1), 4);
  assertEquals([...target], [0, 2, 104, 105, 0, 0]);
  assertEquals(delimited({ maxLength: 9 }).encodeInto(bytes("hi"), target, 3), 6);
  assertEquals([...target], [0, 2, 104, 104, 105, 10]);
  assertThrows(
    () => delimited({ maxLength: 9 }).encodeInto(bytes("hi"), target, 4),
    RangeError,
    "Cannot frame a message as its frame of 3 bytes does not fit at 4: received a target of 6 bytes",
  );
  assertThrows(
    () => delimited({ maxLength: 9 }).encodeInto(bytes("hi"), target, -1),
    RangeError,
    "Cannot frame a message as 'offset' must be a whole number not below 0: received -1",
  );
});

Deno.test("delimited framing throws if a message would end early", () => {
  const crlf = delimited({ delimiter: bytes("\r\n"), maxLength: 10 });
  assertEquals([...crlf.encode(bytes("a\rb\n"))], [97, 13, 98, 10, 13, 10]);
  assertThrows(
    () => crlf.encode(bytes("a\r\nb")),
    RangeError,
    "Cannot frame a message as it must not contain the delimiter: found one at 1",
  );
  // The message contains no delimiter, but forms one with the beginning of the one that follows.
  const aa = delimited({ delimiter: bytes("aa"), maxLength: 10 });
  assertThrows(() => aa.encode(bytes("ba")), RangeError, "found one at 1");
});

Deno.test("options of framings that are out of range throw", () => {
  assertThrows(
    () => lengthPrefixed({ prefixBytes: 3 as 4 }),
    RangeError,
    "Cannot create length-prefixed framing as 'prefixBytes' must be 1, 2 or 4: received 3",
  );
  assertThrows(
    () => lengthPrefixed({ endianness: "middle" as "big" }),
    RangeError,
    `'endianness' must be "big" or "little": received "middle"`,
  );
  assertThrows(
    () => lengthPrefixed({ prefixBytes: 2, maxLength: 65536 }),
    RangeError,
    "'maxLength' must be a whole number from 0 to 65535: received 65536",
  );
  assertThrows(
    () => delimited({ delimiter: new Uint8Array(), maxLength: 1 }),
    RangeError,
    "'delimiter.length' must be a whole number not below 1: received 0",
  );
  assertThrows(
    () => delimited({ maxLength: 1.5 }),
    RangeError,
    "'maxLength' must be a whole number not below 0: received 1.5",
  );
});
