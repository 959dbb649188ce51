/**
 * The writer: streams a source over one ring to the workers, from the main thread.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { Broadcast, Pacer } from "../../broadcast/mod.ts";
import { CommandError, printable } from "../output.ts";
import { RecordReader, type Source } from "./records.ts";
import { summarize, type Summary } from "./summary.ts";
import { type TaskName, TASKS } from "./tasks.ts";
import type { Order, Report } from "./worker.ts";

/** Options of {@link stream}. */
export interface StreamOptions {
  /** The capacity of the ring. */
  readonly ringBytes: number;
  /** The length of a record; by default, records are lines of text or 1 KiB of binary data. */
  readonly recordBytes?: number | undefined;
  /** Whether the writer waits for the slowest worker. */
  readonly paced: boolean;
}

/** How many bytes are published at once. */
const PUBLISH_BYTES = 32 * 1024;

/**
 * Streams a source over one ring to three workers, and verifies the data that they received.
 *
 * @throws {CommandError} If the source is empty, or a worker fails.
 */
export async function stream(
  source: Source,
  name: string,
  options: StreamOptions,
  workerUrl: URL = new URL("./worker.ts", import.meta.url),
): Promise<Summary> {
  const input = new RecordReader(source, options.recordBytes);
  if (input.totals.bytes === 0) {
    throw new CommandError(`Cannot stream '${printable(name)}' as it is empty`);
  }
  const tasks = Object.keys(TASKS) as TaskName[];
  const broadcast = Broadcast.create({ capacityBytes: options.ringBytes });
  using writer = broadcast.writer();
  const pacer = Pacer.create({ broadcast, seats: tasks.length, expected: tasks.length });

  using cleanup = new DisposableStack();
  const workers = tasks.map((task) => {
    const order: Order = { task, pacer: pacer.handle };
    return cleanup.use(startWorker(workerUrl, order));
  });
  cleanup.defer(() => writer.close()); // runs first, as a worker must be awake to be terminated
  await Promise.all(workers.map(({ ready }) => ready));

  const start = performance.now();
  let published = writer.position;
  for (const { bytes, frame } of input.take(writer.maxMessageBytes)) {
    if (options.paced) pacer.wait(writer, bytes.length);
    writer.append(bytes, frame);
    if (writer.position - published < PUBLISH_BYTES) continue;
    writer.publish();
    published = writer.position;
  }
  writer.close();
  const reports = await Promise.all(workers.map(({ report }) => report));
  const seconds = Math.ceil((performance.now() - start) * 1000) / 1e6;
  const sha256 = hashSource(source, input.totals.bytes);
  return summarize({ source: name, ...options, ...input.totals, seconds, sha256 }, reports);
}

/** Starts a worker, which posts `"ready"` and then its report, or the error that prevented it. */
function startWorker(url: URL, order: Order) {
  const ready = Promise.withResolvers<void>();
  const report = Promise.withResolvers<Report>();
  const fail = ({ message }: { message: string }) =>
    report.reject(new CommandError(`The ${order.task} worker failed: ${message}`));
  const worker = new Worker(url, { type: "module", name: order.task });
  worker.onmessage = ({ data }: MessageEvent<"ready" | Report | Error>) => {
    if (data === "ready") ready.resolve();
    else if (data instanceof Error) fail(data);
    else report.resolve(data);
  };
  worker.onerror = (event) => {
    event.preventDefault(); // otherwise the error would end this process
    fail(event);
  };
  worker.postMessage(order);
  return {
    ready: Promise.race([ready.promise, report.promise]),
    report: report.promise,
    [Symbol.dispose]: () => worker.terminate(),
  };
}

/** Hashes the first `bytes` bytes of a source, which may have grown since it was streamed. */
function hashSource(source: Source, bytes: number): string {
  const hash = createHash("sha256");
  const block = new Uint8Array(1024 * 1024);
  source.seekSync(0, Deno.SeekMode.Start);
  for (let rest = bytes; rest > 0;) {
    const read = source.readSync(block.subarray(0, Math.min(rest, block.length)));
    if (read === null) break;
    hash.update(block.subarray(0, read));
    rest -= read;
  }
  return hash.digest("hex");
}
