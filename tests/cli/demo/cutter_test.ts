import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Cutter, type RecordKind } from "../../../src/cli/demo/cutter.ts";

/** A message as it was sent: its text, with a mark where a record goes on before or behind. */
function cutText(text: string, kind: RecordKind, maxMessageBytes: number): string[] {
  const sent: string[] = [];
  const bytes = new TextEncoder().encode(text);
  const cutter = new Cutter(kind, maxMessageBytes);
  cutter.cut(bytes, bytes.length, true, (block, from, to, options) => {
    const piece = new TextDecoder().decode(block.subarray(from, to));
    const { continuation = false, final = true } = options ?? {};
    sent.push((continuation ? "<" : "") + piece + (final ? "" : ">"));
  });
  return sent;
}

Deno.test("cutter sends each line with its newline", () => {
  assertEquals(cutText("one\n\ntwo\r\nend", "lines", 100), ["one\n", "\n", "two\r\n", "end"]);
  assertEquals(cutText("end\n", "lines", 100), ["end\n"]);
  assertEquals(cutText("\n", "lines", 100), ["\n"]);
  assertEquals(cutText("", "lines", 100), []);
});

Deno.test("cutter sends a line longer than the largest message in pieces", () => {
  assertEquals(cutText("abcdefgh\nxy\n", "lines", 3), ["abc>", "<def>", "<gh\n", "xy\n"]);
  assertEquals(cutText("abcd\n", "lines", 4), ["abcd>", "<\n"]);
  assertEquals(cutText("abcd", "lines", 2), ["ab>", "<cd"]);
  assertEquals(cutText("abc\n", "lines", 4), ["abc\n"]);
});

Deno.test("cutter sends records of a number of bytes, the last as long as it is", () => {
  assertEquals(cutText("abcdefgh", { recordBytes: 3 }, 100), ["abc", "def", "gh"]);
  assertEquals(cutText("abcdef", { recordBytes: 3 }, 100), ["abc", "def"]);
  assertEquals(cutText("abcdefgh", { recordBytes: 5 }, 2), ["ab>", "<cd>", "<e", "fg>", "<h"]);
});

Deno.test("cutter looks at no byte behind the end of the block", () => {
  const cutter = new Cutter("lines", 100);
  const used = cutter.cut(new TextEncoder().encode("ab\ncd\n"), 4, false, () => {});
  assertEquals(used, 3);
});

Deno.test("cutter counts records and messages", () => {
  const cutter = new Cutter("lines", 3);
  const bytes = new TextEncoder().encode("abcdefgh\nxy\nz");
  cutter.cut(bytes, bytes.length, true, () => {});
  assertEquals(cutter.records, 3);
  assertEquals(cutter.messages, 5);
});

Deno.test("cutter gives the same records however the stream falls into blocks", () => {
  const kind = fc.oneof(
    fc.constant("lines" as const),
    fc.record({ recordBytes: fc.integer({ min: 1, max: 40 }) }),
  );
  const stream = fc.array(fc.constantFrom(10, 97, 98, 99), { maxLength: 200 });
  const reads = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
  const largest = fc.integer({ min: 1, max: 20 });
  fc.assert(fc.property(kind, stream, reads, largest, (kind, stream, reads, largest) => {
    const { records, messages } = cutInBlocks(kind, stream, reads, largest);
    assertEquals(records, expectedRecords(kind, stream));
    for (const length of messages) assertEquals(length > 0 && length <= largest, true);
  }));
});

/** Feeds a stream in blocks, as the demo does; the flags put the records together again. */
function cutInBlocks(kind: RecordKind, stream: number[], reads: number[], largest: number) {
  const cutter = new Cutter(kind, largest);
  const records: number[][] = [];
  const messages: number[] = [];
  let open: number[] | undefined;
  const send = (
    block: Uint8Array,
    from: number,
    to: number,
    options?: { continuation?: boolean; final?: boolean },
  ) => {
    assertEquals(options?.continuation ?? false, open !== undefined);
    open = [...(open ?? []), ...block.subarray(from, to)];
    messages.push(to - from);
    if (options?.final === false) return;
    records.push(open);
    open = undefined;
  };
  let rest: number[] = [];
  for (let position = 0, i = 0; position < stream.length; i++) {
    const next = position + reads[i % reads.length]!;
    const block = Uint8Array.from([...rest, ...stream.slice(position, next)]);
    const used = cutter.cut(block, block.length, false, send);
    rest = [...block.subarray(used)];
    assertEquals(rest.length <= largest, true);
    position = next;
  }
  cutter.cut(Uint8Array.from(rest), rest.length, true, send);
  assertEquals(open, undefined);
  assertEquals(cutter.records, records.length);
  assertEquals(cutter.messages, messages.length);
  return { records, messages };
}

function expectedRecords(kind: RecordKind, stream: number[]): number[][] {
  const records: number[][] = [];
  let open: number[] = [];
  for (const byte of stream) {
    open.push(byte);
    if (kind === "lines" ? byte === 10 : open.length === kind.recordBytes) {
      records.push(open);
      open = [];
    }
  }
  if (open.length > 0) records.push(open);
  return records;
}
