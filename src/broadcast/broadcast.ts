/**
 * A broadcast ring: one writer, any number of readers, and no backpressure. The writer never waits;
 * a reader that is lapped learns how much it lost, and never gets a torn message.
 *
 * The writer appends frames with plain stores, and publishes any number of them by one
 * compareExchange of the position. The data is a power of two of bytes, cut into equal segments;
 * each has an *epoch*, which says how often the writer has entered it. Positions count bytes since
 * the ring was made; one lap of the ring is `capacity` of them. The words are drawn in `layout.ts`.
 *
 *     word           its value, and which thread changes it
 *     writer         whether there is a writer, and how many there were. compareExchange by a
 *                    thread that becomes the writer, and by the writer that closes
 *     position       how far frames are published, whether a reader may sleep, and which writer
 *                    took over last. compareExchange by the writer, by readers, which set a bit
 *                    before they sleep, and by a writer that takes over; `and` by a writer that
 *                    closes, and by readers that find the end
 *     position high  the position / 2^31: raised by the writer before the position
 *     epoch[s]       in lap L (from 0) it is 16 L before the writer enters segment s, and
 *                    16 (L + 1) after. compareExchange by the writer, and by one that takes over;
 *                    readers add 0
 *     cut[s]         where the frames of segment s end, if a writer was replaced there:
 *                    compareExchange by the one that takes over, before the epoch says so
 *     mark[s]        where in segment s the first frame begins, and the number of messages before:
 *                    written by the writer in segments that it has entered, before it publishes
 *                    anything past the segment's start
 *     data           written by the writer, in segments that it has entered, past the position
 *
 * **Writing.** Before the first byte that goes into a segment in a lap, the writer adds 16 to its
 * epoch, segment by segment in order, also for a frame that straddles several and for the padding
 * at the end of the ring. It knows up to where it has entered, so a frame costs one comparison.
 *
 * **Reading.** A reader at position p loads the position, which makes every frame before it
 * visible. It copies the window from p on, up to the position or the end of the ring, into private
 * memory. The writer may be overwriting the window meanwhile: the copy is a speculative span. Then
 * the reader adds 0 to the epoch of the segment that p lies in. If the result is that of p's lap,
 * the copy is kept and parsed; otherwise it is discarded unseen, and the reader was overrun. It
 * finds a segment that is still retained, reads its mark in the same way, and continues from there.
 *
 * **Why this is enough.** All changes of an epoch are atomic read-modify-writes, so they have one
 * order, each reads the one before, and each happens before the next. If the writer's change for
 * the next lap is before the reader's, the reader sees it and discards. Otherwise the reader's is
 * before the writer's, so the copy happens before that change, and with it before all that the
 * writer does later: overwriting this segment and its mark, and any younger segment of the window,
 * which it enters later still. So no kept read races with a write, and by the language's guarantee
 * for race-free programs it saw the frames as they were published, on every engine and processor. A
 * load of the epoch instead would order nothing before the writer's change, and the copy could be
 * torn unnoticed. README.md beside this file has the argument in full, step by step, with the
 * tests.
 *
 * **Numbers.** Messages are counted where they end. The writer counts them in private, and leaves
 * the number in each mark; a reader counts those that it passes. So the loss of an overrun is the
 * difference of two numbers, exact, and costs nothing per message.
 *
 * **Sleeping and the end of the stream** are described in `published_position.ts`, how one writer
 * follows another in `succession.ts`.
 *
 * **Limits.** A reader that makes no call while the writer goes on for a whole multiple of 2^28
 * laps does not notice it; nor does a writer that is taking over, and makes no call while three
 * others do so. A ring carries 2^53 bytes in its life.
 *
 * Proven by: tests/broadcast/lapping_model_test.ts, reading_model_test.ts, sleeping_model_test.ts,
 * ending_model_test.ts and succession_model_test.ts, which state the bounds of each model.
 *
 * @module
 */

import { checkBytes, checkOptions } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { BroadcastLayout, defaultSegments, KIND } from "./layout.ts";
import { BroadcastReader, type ReaderOptions } from "./reader.ts";
import { type BroadcastRegion, Ring } from "./ring.ts";
import { BroadcastWriter, type WriterOptions } from "./writer.ts";
import { isTaken, loadWriter } from "./writer_word.ts";

/** Opens a {@link Broadcast} in another thread. */
export type BroadcastHandle = RegionHandle<"busbar.broadcast">;

/** The size of a {@link Broadcast}. */
export interface BroadcastSize {
  /** The bytes of data, a power of two from 64 to 2^30. */
  capacityBytes: number;
  /**
   * The number of segments that the ring is cut into, a power of two of at least 4; by default 8,
   * or as many as make segments of 64 KiB. A reader is overrun once the writer enters the segment
   * that it reads from, so the ring retains between `capacityBytes` and one segment less; a reader
   * that was overrun continues at most half the ring behind. Entering a segment costs the writer
   * some 10 ns; to begin at a position takes a walk through one.
   */
  segments?: number;
  /** Bytes for every reader, up to 1 MiB, which never change; none by default. */
  metadata?: Uint8Array;
}

/** Options of {@link Broadcast.create}. */
export interface BroadcastOptions extends BroadcastSize {
  /**
   * The position of the first message, a multiple of the segment size and at least a lap before
   * 2^53; 0 by default.
   */
  startPosition?: number;
  /** The memory to create the ring in; a new one by default. */
  memory?: Memory;
}

const NO_METADATA = new Uint8Array(0);

/**
 * A broadcast ring (SPMC ring buffer): one writer, any number of readers, and no backpressure.
 *
 * - **No backpressure.** The writer never waits. A reader that is too slow is overrun: it is told
 *   how many messages it lost, and continues with something that is still retained.
 * - **No torn messages.** A reader shows only published messages, byte for byte, however it is
 *   lapped.
 * - **Order.** All readers see the same messages in the same order; each reads at its own pace.
 * - **One writer at a time.** Another one begins when the first is closed, or takes over from one
 *   that died; published messages stay readable.
 * - **End of stream.** Readers learn that the last writer was closed, also those that are asleep.
 *
 * @example Usage
 * ```ts
 * import { Broadcast } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 1024 * 1024 });
 * // worker.postMessage(broadcast.handle), and there: Broadcast.attach(handle).reader()
 * const reader = Broadcast.attach(broadcast.handle).reader();
 *
 * using writer = broadcast.writer();
 * writer.send(new TextEncoder().encode("hello"));
 *
 * while (reader.poll()) {
 *   while (reader.next()) assertEquals(new TextDecoder().decode(reader.message()), "hello");
 * }
 * ```
 */
export class Broadcast {
  readonly #region: BroadcastRegion;
  readonly #ring: Ring;
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The number of segments that the data is cut into. */
  readonly segments: number;
  /** The position of the first message. */
  readonly startPosition: number;
  /** The bytes that the ring's creator gave, as a copy. */
  readonly metadata: Uint8Array<ArrayBuffer>;

  /** @ignore Use {@link Broadcast.create} or {@link Broadcast.attach}. */
  private constructor(region: BroadcastRegion) {
    const { layout } = region;
    this.#region = region;
    this.#ring = new Ring(region);
    this.capacityBytes = layout.capacityBytes;
    this.segments = layout.segments;
    this.startPosition = layout.startPosition;
    this.metadata = new Uint8Array(metadataOf(region));
  }

  /**
   * How many bytes of memory a ring takes, header included.
   *
   * @throws {RangeError} If no ring has this size.
   */
  static byteLength(size: BroadcastSize): number {
    return layoutOf(size).byteLength;
  }

  /**
   * Creates an empty ring.
   *
   * @throws {TypeError} If `metadata` is not made of bytes.
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   */
  static create(options: BroadcastOptions): Broadcast {
    checkOptions("create broadcast", options);
    const { memory, metadata = NO_METADATA } = options;
    checkBytes("create broadcast", "metadata", metadata);
    const region = Region.create(KIND, layoutOf(options), memory);
    region.layout.initialize(region.words);
    metadataOf(region).set(metadata);
    return new Broadcast(region);
  }

  /**
   * Opens a ring that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a ring of this version.
   */
  static attach(handle: BroadcastHandle): Broadcast {
    return new Broadcast(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this ring in another thread. */
  get handle(): BroadcastHandle {
    return this.#region.handle;
  }

  /** Whether the ring has a writer; one that died counts until another takes over. */
  get hasWriter(): boolean {
    return isTaken(loadWriter(this.#region.words));
  }

  /** The memory that the ring lies in. */
  get memory(): Memory {
    return this.#region.memory;
  }

  /** The position up to which messages are published now. */
  get publishedPosition(): number {
    return this.#ring.published.load();
  }

  /** Where in the memory the ring begins. */
  get byteOffset(): number {
    return this.#region.byteOffset;
  }

  /**
   * Becomes the writer. Close it to let another one begin, here or in another thread.
   *
   * @throws {Error} If the ring has a writer, and `takeOver` is not set.
   * @throws {ReplacedError} If yet another writer takes over meanwhile.
   * @throws {RangeError} If it is to take over a ring that has carried 2^53 bytes.
   */
  writer(options?: WriterOptions): BroadcastWriter {
    return new BroadcastWriter(this.#ring, options);
  }

  /**
   * Makes a reader, which is independent of all others.
   *
   * @throws {TypeError} If `filter` is not a function.
   * @throws {RangeError} If no retained frame begins where the reader is to begin, or another
   * option is out of range.
   */
  reader(options?: ReaderOptions): BroadcastReader {
    return new BroadcastReader(this.#ring, options);
  }
}

/** The layout of a ring with these options. */
function layoutOf(options: BroadcastOptions): BroadcastLayout {
  const { capacityBytes, startPosition = 0, metadata = NO_METADATA } = options;
  const { segments = defaultSegments(capacityBytes) } = options;
  return BroadcastLayout.of({
    capacityBytes,
    segments,
    startPosition,
    metadataBytes: metadata.length,
  });
}

/** The metadata in a region. */
function metadataOf(
  { memory, byteOffset, layout }: BroadcastRegion,
): Uint8Array<SharedArrayBuffer> {
  const offset = byteOffset + layout.metadataByteOffset;
  return new Uint8Array(memory.buffer, offset, layout.metadataBytes);
}
