import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { FrequencyResult } from "../../../src/cli/demo/task.ts";
import { WordFrequency } from "../../../src/cli/demo/word_frequency.ts";

function countWords(...messages: string[]): FrequencyResult {
  const task = new WordFrequency();
  for (const message of messages) {
    const bytes = new TextEncoder().encode(message);
    task.take(bytes, 0, bytes.length);
  }
  return task.result();
}

function topOf(result: FrequencyResult): Record<string, number> {
  return Object.fromEntries(result.top.map(({ value, count }) => [value, count]));
}

Deno.test("word frequency counts words, capitals as small letters, most frequent first", () => {
  const result = countWords("The cat, the dog; THE end.\n", "a dog2 dog");
  assertEquals(result.top, [
    { value: "the", count: 3 },
    { value: "dog", count: 2 },
    { value: "cat", count: 1 },
    { value: "end", count: 1 },
    { value: "a", count: 1 },
  ]);
  assertEquals(result.total, 9);
  assertEquals(result.different, 6);
});

Deno.test("word frequency knows letters beyond ASCII", () => {
  assertEquals(topOf(countWords("Öl und Öl, 漢字 漢字 漢字")), { "漢字": 3, "Öl": 2, und: 1 });
});

Deno.test("word frequency puts words together that fall into two messages", () => {
  assertEquals(topOf(countWords("half", "way ", "there", " halfway")), { halfway: 2, there: 1 });
});

Deno.test("word frequency drops the beginning of a word whose end was lost", () => {
  const task = new WordFrequency();
  const bytes = new TextEncoder().encode("whole hal");
  task.take(bytes, 0, bytes.length);
  task.skip();
  task.take(bytes, 0, 5);
  assertEquals(topOf(task.result()), { whole: 2 });
});

Deno.test("word frequency tells long words apart by their first 64 bytes", () => {
  const long = "x".repeat(64);
  assertEquals(topOf(countWords(`${long} ${long}y ${long}z ${long.slice(1)}`)), {
    [long]: 3,
    [long.slice(1)]: 1,
  });
});

Deno.test("word frequency agrees with a map of strings", () => {
  const words = fc.array(fc.stringMatching(/^[a-c]{1,3}$/), { maxLength: 300 });
  fc.assert(fc.property(words, (words) => {
    const expected = new Map<string, number>();
    for (const word of words) expected.set(word, (expected.get(word) ?? 0) + 1);
    const result = countWords(words.join(" "));
    const counts = [...expected.values()].sort((a, b) => b - a).slice(0, 5);
    assertEquals(result.top.map(({ count }) => count), counts);
    for (const { value, count } of result.top) assertEquals(expected.get(value), count);
    assertEquals(result.total, words.length);
    assertEquals(result.different, expected.size);
  }));
});

Deno.test("word frequency counts many different words, in memory that is bounded", () => {
  const task = new WordFrequency();
  const different = 2 ** 20 + 1000;
  const encoder = new TextEncoder();
  for (let from = 0; from < different; from += 1000) {
    const numbers = Array.from({ length: 1000 }, (_, i) => from + i);
    const bytes = encoder.encode(numbers.join(" ") + " often ");
    task.take(bytes, 0, bytes.length);
  }
  const result = task.result();
  const blocks = Math.ceil(different / 1000);
  assertEquals(result.top[0], { value: "often", count: blocks });
  assertEquals(result.total, blocks * 1001);
  assertEquals(result.different, 2 ** 20);
});
