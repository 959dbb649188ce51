import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Message, RecordReader } from "../../../src/cli/demo/records.ts";
import { memorySource } from "./memory_source.ts";

/** The messages of a text, with a mark where a record goes on before or behind. */
function cutText(text: string, maxBytes: number, recordBytes?: number): string[] {
  const input = new RecordReader(memorySource(new TextEncoder().encode(text)), recordBytes);
  return Array.from(input.take(maxBytes), ({ bytes, frame }) => {
    const { continuation = false, final = true } = frame ?? {};
    return (continuation ? "<" : "") + new TextDecoder().decode(bytes) + (final ? "" : ">");
  });
}

Deno.test("record reader takes each line with its newline", () => {
  assertEquals(cutText("one\n\ntwo\r\nend", 100), ["one\n", "\n", "two\r\n", "end"]);
  assertEquals(cutText("end\n", 100), ["end\n"]);
  assertEquals(cutText("\n", 100), ["\n"]);
  assertEquals(cutText("", 100), []);
});

Deno.test("record reader takes a line longer than the largest message in pieces", () => {
  assertEquals(cutText("abcdefgh\nxy\n", 3), ["abc>", "<def>", "<gh\n", "xy\n"]);
  assertEquals(cutText("abcd\n", 4), ["abcd>", "<\n"]);
  assertEquals(cutText("abcd", 2), ["ab>", "<cd"]);
  assertEquals(cutText("abc\n", 4), ["abc\n"]);
});

Deno.test("record reader takes records of a number of bytes, the last as long as it is", () => {
  assertEquals(cutText("abcdefgh", 100, 3), ["abc", "def", "gh"]);
  assertEquals(cutText("abcdef", 100, 3), ["abc", "def"]);
  assertEquals(cutText("abcdefgh", 2, 5), ["ab>", "<cd>", "<e", "fg>", "<h"]);
});

Deno.test("record reader tells text from binary data, and counts both", () => {
  const text = new RecordReader(memorySource(new TextEncoder().encode("abcdefgh\nxy\nz")));
  for (const _ of text.take(3));
  assertEquals(text.totals, { kind: "text", bytes: 13, records: 3, messages: 5 });
  const binary = new RecordReader(memorySource(new Uint8Array(2500)));
  for (const _ of binary.take(1000));
  assertEquals(binary.totals, { kind: "binary data", bytes: 2500, records: 3, messages: 5 });
});

Deno.test("record reader gives the same records however the source is read", () => {
  const recordLength = fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined });
  const content = fc.array(fc.constantFrom(10, 97, 98, 99), { maxLength: 200 });
  const reads = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
  const largest = fc.integer({ min: 1, max: 20 });
  fc.assert(fc.property(recordLength, content, reads, largest, checkRecords));
});

Deno.test("record reader gives the same records across blocks", () => {
  const content = Array.from({ length: 2_000_000 }, (_, i) => i % 300_007 === 0 ? 10 : 97);
  for (const recordBytes of [undefined, 1024, 700_001]) {
    for (const maxBytes of [1000, Infinity]) {
      checkRecords(recordBytes, content, [200_000, 300_000], maxBytes);
    }
  }
});

/** Cuts `content`, which arrives as `reads` says; the flags join the messages to records again. */
function checkRecords(
  recordBytes: number | undefined,
  content: number[],
  reads: number[],
  maxBytes: number,
) {
  let count = 0;
  const source = memorySource(Uint8Array.from(content), () => reads[count++ % reads.length]!);
  const input = new RecordReader(source, recordBytes);
  const records: number[] = [];
  const joined: number[] = [];
  let length: number | undefined;
  let messages = 0;
  for (const { bytes, frame } of input.take(maxBytes)) {
    assertEquals(bytes.length > 0 && bytes.length <= maxBytes, true);
    assertEquals(isContinuation(frame), length !== undefined);
    messages++;
    for (const byte of bytes) joined.push(byte);
    length = (length ?? 0) + bytes.length;
    if (frame?.final === false) continue;
    records.push(length);
    length = undefined;
  }
  assertEquals(length, undefined);
  assertEquals(joined, content);
  assertEquals(records, expectedLengths(recordBytes, content));
  const totals = { kind: "text", bytes: content.length, records: records.length, messages };
  assertEquals(input.totals, totals);
}

function isContinuation(frame: Message["frame"]): boolean {
  return frame?.continuation ?? false;
}

function expectedLengths(recordBytes: number | undefined, content: number[]): number[] {
  const lengths: number[] = [];
  let length = 0;
  for (const byte of content) {
    length++;
    if (recordBytes === undefined ? byte !== 10 : length < recordBytes) continue;
    lengths.push(length);
    length = 0;
  }
  if (length > 0) lengths.push(length);
  return lengths;
}
