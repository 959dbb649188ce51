import * as std from "@std/assert";
import {
  assertEquals,
  assertInstanceOf,
  AssertionError,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";

const passes: Record<string, () => void> = {
  assert: () => std.assert(1),
  assertAlmostEquals: () => std.assertAlmostEquals(0.1 + 0.2, 0.3),
  assertArrayIncludes: () => std.assertArrayIncludes([{ a: 1 }, { b: 2 }], [{ b: 2 }]),
  assertEquals: () => assertEquals({ a: [1, new Map([[1, 2]])] }, { a: [1, new Map([[1, 2]])] }),
  assertExists: () => std.assertExists(0),
  assertFalse: () => std.assertFalse(""),
  assertGreater: () => std.assertGreater(2, 1),
  assertGreaterOrEqual: () => std.assertGreaterOrEqual(2, 2),
  assertInstanceOf: () => assertInstanceOf(new TypeError(), Error),
  assertIsError: () => std.assertIsError(new TypeError("a bad thing"), TypeError, /bad/),
  assertLess: () => std.assertLess(1, 2),
  assertLessOrEqual: () => std.assertLessOrEqual(2, 2),
  assertMatch: () => std.assertMatch("busbar", /bar$/),
  assertNotEquals: () => std.assertNotEquals({ a: 1 }, { a: 2 }),
  assertNotMatch: () => std.assertNotMatch("busbar", /^bar/),
  assertNotStrictEquals: () => std.assertNotStrictEquals({}, {}),
  assertObjectMatch: () => std.assertObjectMatch({ a: { b: 1, c: 2 }, d: 3 }, { a: { b: 1 } }),
  assertStrictEquals: () => assertStrictEquals(NaN, NaN),
  assertStringIncludes: () => std.assertStringIncludes("busbar", "sba"),
};

const fails: Record<string, () => void> = {
  assert: () => std.assert(0),
  assertAlmostEquals: () => std.assertAlmostEquals(0.1, 0.2),
  assertArrayIncludes: () => std.assertArrayIncludes([1, 2], [2, 3]),
  assertEquals: () => assertEquals<unknown>({ a: undefined }, {}),
  assertExists: () => std.assertExists(null),
  assertFalse: () => std.assertFalse("no"),
  assertGreater: () => std.assertGreater(1, 1),
  assertGreaterOrEqual: () => std.assertGreaterOrEqual(1, 2),
  assertInstanceOf: () => assertInstanceOf(new Error(), TypeError),
  assertIsError: () => std.assertIsError("a bad thing"),
  assertLess: () => std.assertLess(1, 1),
  assertLessOrEqual: () => std.assertLessOrEqual(2, 1),
  assertMatch: () => std.assertMatch("busbar", /^bar/),
  assertNotEquals: () => std.assertNotEquals({ a: 1 }, { a: 1 }),
  assertNotMatch: () => std.assertNotMatch("busbar", /bar$/),
  assertNotStrictEquals: () => std.assertNotStrictEquals(1, 1),
  assertObjectMatch: () => std.assertObjectMatch({ a: { b: 1 } }, { a: { b: 1, c: 2 } }),
  assertStrictEquals: () => assertStrictEquals<unknown>({}, {}),
  assertStringIncludes: () => std.assertStringIncludes("busbar", "bab"),
  fail: () => std.fail("here"),
  unreachable: () => std.unreachable("here"),
};

Deno.test("each assertion passes what holds", () => {
  for (const check of Object.values(passes)) check();
});

Deno.test("each assertion throws an AssertionError for what does not hold", () => {
  for (const [name, check] of Object.entries(fails)) {
    assertInstanceOf(
      assertThrows(check, `${name} did not throw`),
      AssertionError,
      name,
    );
  }
});

Deno.test("assertThrows returns an error of the class and message asked for", () => {
  const error = new RangeError("out of range");
  const thrower = () => {
    throw error;
  };
  assertStrictEquals(assertThrows(thrower), error);
  assertStrictEquals(assertThrows(thrower, RangeError, "of range"), error);
  assertThrows(() => assertThrows(thrower, TypeError), AssertionError);
  assertThrows(
    () => assertThrows(thrower, RangeError, "in range"),
    AssertionError,
  );
  assertThrows(() => assertThrows(() => {}), AssertionError);
});

Deno.test("assertRejects resolves to an error of the class and message asked for", async () => {
  const error = new RangeError("out of range");
  const rejecter = () => Promise.reject(error);
  assertStrictEquals(await assertRejects(rejecter), error);
  assertStrictEquals(
    await assertRejects(rejecter, RangeError, "of range"),
    error,
  );
  await assertRejects(() => assertRejects(rejecter, TypeError), AssertionError);
  await assertRejects(
    () => assertRejects(rejecter, RangeError, "in range"),
    AssertionError,
  );
  await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
  );
});

Deno.test("assertRejects fails when the function throws instead", async () => {
  const thrower = () => {
    throw new RangeError("out of range");
  };
  await assertRejects(() => assertRejects(thrower, RangeError), AssertionError);
});

Deno.test("assertEquals compares shared and plain bytes alike by content", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set([1, 2, 3, 4]);
  assertEquals<Uint8Array>(shared, new Uint8Array([1, 2, 3, 4]));
  assertThrows(
    () => assertEquals<Uint8Array>(shared, new Uint8Array(4)),
    AssertionError,
  );
});
