/**
 * Streams a source over one ring to the workers, from the main thread.
 *
 * @module
 */

import { Broadcast } from "../../broadcast/broadcast.ts";
import type { BroadcastWriter } from "../../broadcast/writer.ts";
import { BlockReader } from "./block_reader.ts";
import { Cutter, type Send } from "./cutter.ts";
import { DEFAULT_RECORD_BYTES, type StreamOptions } from "./options.ts";
import { Pacer } from "./pace.ts";
import { hashSource, refusal, type Source } from "./source.ts";
import { type Streamed, summarize, type Summary } from "./summary.ts";
import type { TaskName } from "./tasks.ts";
import { Team } from "./team.ts";

/** What a caller may want besides. */
export interface StreamHooks {
  /** Is called every now and then with the bytes that were read and the seconds that passed. */
  readonly onProgress?: ((bytes: number, seconds: number) => void) | undefined;
  /** The module that the workers run, in place of their own. */
  readonly workerUrl?: URL;
}

/** How much is read at once. */
const BLOCK_BYTES = 512 * 1024;
/** No message is longer, so that what is left of a block leaves room for more behind it. */
const MAX_MESSAGE_BYTES = BLOCK_BYTES / 2;
/** How much is published at once, unless the block ends before. */
const PUBLISH_BYTES = 32 * 1024;

/**
 * Streams a source over one ring to three workers, and verifies what they received.
 *
 * @throws {CommandError} If the source cannot be streamed, or a worker fails.
 */
export async function stream(
  source: Source,
  options: StreamOptions,
  hooks: StreamHooks = {},
): Promise<Summary> {
  using input = source.open();
  const blocks = new BlockReader(input, BLOCK_BYTES);
  // Before anything is started: there may be nothing to stream.
  if (!blocks.next(0)) throw refusal(source.name, "it is empty");
  const isText = !blocks.block.subarray(0, blocks.end).includes(0);
  const tasks: TaskName[] = ["count", "hash", isText ? "words" : "bytes"];

  const broadcast = Broadcast.create({ capacityBytes: options.ringBytes });
  const pacer = new Pacer(broadcast, tasks.length);
  using team = new Team(tasks, broadcast, pacer.control, hooks.workerUrl);
  using writer = broadcast.writer();
  // However this ends, a worker must be awake to be terminated.
  using _wake = { [Symbol.dispose]: () => pacer.finish(writer, "abandoned") };
  await team.ready();

  const cutter = new Cutter(
    recordKind(options.recordBytes, isText),
    Math.min(writer.maxMessageBytes, MAX_MESSAGE_BYTES),
  );
  const send = sender(writer, options.isPaced ? pacer : undefined);
  const start = performance.now();
  const secondsPassed = () => Math.ceil((performance.now() - start) * 1000) / 1e6;
  let used: number;
  do {
    used = cutter.cut(blocks.block, blocks.end, blocks.isLast, send);
    writer.publish();
    hooks.onProgress?.(blocks.total, secondsPassed());
  } while (!pacer.findsLeaver(writer) && blocks.next(used));
  pacer.finish(writer, "ended");
  // Rejects if it was for a worker's failure that we stopped.
  const reports = await team.reports();
  const streamed: Streamed = {
    source: source.name,
    isText,
    bytes: blocks.total,
    records: cutter.records,
    messages: cutter.messages,
    seconds: secondsPassed(),
    ringBytes: options.ringBytes,
    isPaced: options.isPaced,
  };
  return summarize(streamed, tasks, reports, hashSource(source, streamed.bytes));
}

/** How a source is cut. */
function recordKind(recordBytes: number | undefined, isText: boolean) {
  if (recordBytes !== undefined) return { recordBytes };
  return isText ? "lines" : { recordBytes: DEFAULT_RECORD_BYTES };
}

/** Sends messages over the ring, many at a time. */
function sender(writer: BroadcastWriter, pacer: Pacer | undefined): Send {
  let published = writer.position;
  return (block, from, to, options) => {
    pacer?.makeRoom(writer, to - from);
    writer.append(block.subarray(from, to), options);
    if (writer.position - published < PUBLISH_BYTES) return;
    writer.publish();
    published = writer.position;
  };
}
