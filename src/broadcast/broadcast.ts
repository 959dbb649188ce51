/**
 * A broadcast ring: one writer, any number of readers, and no backpressure. The writer never waits;
 * a reader that is lapped is told so, and never gets a torn message.
 *
 * The writer appends frames with plain stores and publishes any number of them by one exchange of
 * the position. The data is a power of two of bytes, cut into equal segments; each has an *epoch*,
 * which says how often the writer has entered it. Positions count bytes since the ring was made;
 * one lap of the ring is `capacity` of them. The words are drawn in `layout.ts`.
 *
 *     word           its value, and who changes it
 *     writer         0 free, 1 taken: compareExchange by who becomes the writer, stored by it
 *     position       what is published; bit 0: somebody may sleep. Exchanged by the writer;
 *                    readers set the bit by compareExchange before they sleep
 *     position high  the position / 2^31: stored by the writer before the position
 *     epoch[s]       in lap L (from 0) it is L before the writer enters segment s and L + 1 after.
 *                    Added to by the writer; readers add 0
 *     data           written by the writer, in segments that it has entered, past the position
 *
 * **Writing.** Before the first byte that goes into a segment in a lap, the writer adds 1 to its
 * epoch, segment by segment in order, also for a frame that straddles several and for the padding at
 * the end of the ring. It remembers up to where it has entered, so a frame costs one comparison.
 *
 * **Reading.** A reader at position p loads the position, which makes every frame before it visible.
 * It copies the window from p on, up to the position or the end of the ring, into private memory.
 * The writer may be overwriting the window meanwhile: the copy is a speculative span. Then the
 * reader adds 0 to the epoch of the segment that p lies in. If the result is that of p's lap, the
 * copy is kept and parsed; else it is thrown away unseen, and the reader was overrun.
 *
 * **Why this is enough.** All changes of an epoch are atomic read-modify-writes, so they have one
 * order, each reads the one before, and each happens before the next. If the writer's add for the
 * next lap is before the reader's, the reader sees it and discards. Else the reader's is before the
 * writer's, so the copy happens before that add, and with it before all that the writer does
 * later: overwriting this segment, and any younger one of the window, which it enters later still.
 * So no kept read races with a write, and by the language's guarantee for race-free programs it
 * saw the frames as they were published, on every engine and processor. A load of the epoch instead
 * would order nothing before the writer's add, and the copy could be torn unnoticed.
 *
 * **Sleeping.** A reader that has everything exchanges the position for the same with bit 0 set,
 * only if it is unchanged, and waits for it to change. The writer's exchange returns the bit, and
 * with it set the writer notifies. If the writer's exchange comes before the reader's, the reader
 * finds another position and does not sleep; if after, the writer finds the bit. A reader that dies
 * asleep, or gives up, leaves at most one needless notify.
 *
 * **Limits.** A reader that makes no call while the writer goes on for a whole multiple of 2^32 laps
 * does not notice it. A ring carries 2^53 bytes in its life. A writer that dies undisposed leaves
 * the ring taken.
 *
 * Proven by: tests/broadcast/broadcast_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkHandle, checkWord, type Handle } from "../memory/handle.ts";
import { Memory, type MemoryHandle } from "../memory/memory.ts";
import {
  checkShape,
  dataByteOffset,
  initialize,
  KIND,
  labelRegion,
  LAYOUT_VERSION,
  MAGIC,
  MAGIC_WORD,
  readShape,
  REGION_ALIGNMENT,
  regionByteLength,
  type Shape,
  VERSION,
} from "./layout.ts";
import { BroadcastReader, type ReaderOptions } from "./reader.ts";
import { BroadcastWriter } from "./writer.ts";

/** Opens a {@link Broadcast} in another thread. */
export interface BroadcastHandle extends Handle {
  /** The memory that the ring lies in. */
  readonly memory: MemoryHandle;
  /** Where in it the ring begins. */
  readonly byteOffset: number;
}

/** The size of a {@link Broadcast}. */
export interface BroadcastSize {
  /** The bytes of data, a power of two from 64 to 2^30. */
  capacityBytes: number;
  /**
   * Into how many segments the ring is cut, a power of two; 8 by default. A reader is overrun once
   * the writer enters the segment that it reads from, so between `capacityBytes` and one segment
   * less are retained; entering one costs the writer some 10 ns.
   */
  segments?: number;
}

/** Options of {@link Broadcast.create}. */
export interface BroadcastOptions extends BroadcastSize {
  /** The position of the first message, a multiple of the segment size; 0 by default. */
  startPosition?: number;
  /** The memory to lay the ring out in; one of its own by default. */
  memory?: Memory;
}

const DEFAULT_SEGMENTS = 8;

/**
 * A broadcast ring: one writer, any number of readers, and no backpressure.
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
  /** The memory that the ring lies in. */
  readonly memory: Memory;
  /** Where in the memory the ring begins. */
  readonly byteOffset: number;
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** Into how many segments the data is cut. */
  readonly segments: number;
  /** The position of the first message. */
  readonly startPosition: number;

  private constructor(memory: Memory, byteOffset: number, shape: Shape) {
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.capacityBytes = shape.capacityBytes;
    this.segments = shape.segments;
    this.startPosition = shape.startPosition;
    labelRegion(memory.buffer, byteOffset, shape);
  }

  /**
   * How many bytes of memory a ring takes, header included.
   *
   * @throws {RangeError} If that is not the size of a ring.
   */
  static byteLength(size: BroadcastSize): number {
    const { capacityBytes, segments = DEFAULT_SEGMENTS } = size;
    const shape = { capacityBytes, segments, startPosition: 0 };
    checkShape(shape);
    return regionByteLength(shape);
  }

  /**
   * Lays a new, empty ring out.
   *
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   */
  static create(options: BroadcastOptions): Broadcast {
    const { capacityBytes, segments = DEFAULT_SEGMENTS, startPosition = 0 } = options;
    const shape = { capacityBytes, segments, startPosition };
    checkShape(shape);
    const byteLength = regionByteLength(shape);
    const memory = options.memory ?? Memory.create({ byteLength });
    const byteOffset = memory.allocate(byteLength, REGION_ALIGNMENT);
    initialize(memory.buffer, byteOffset, shape);
    return new Broadcast(memory, byteOffset, shape);
  }

  /**
   * Opens a ring that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a ring of this version.
   */
  static attach(handle: BroadcastHandle): Broadcast {
    checkHandle(handle, KIND, VERSION);
    const memory = Memory.attach(handle.memory);
    const { byteOffset } = handle;
    checkRegion(memory, byteOffset);
    return new Broadcast(memory, byteOffset, readShape(memory.buffer, byteOffset));
  }

  /** A plain object that survives structured clone and opens this ring in another thread. */
  get handle(): BroadcastHandle {
    return {
      kind: KIND,
      version: VERSION,
      memory: this.memory.handle,
      byteOffset: this.byteOffset,
    };
  }

  /**
   * Becomes the writer. Dispose of it to let another, here or in another thread, take over.
   *
   * @throws {Error} If the ring has a writer.
   */
  writer(): BroadcastWriter {
    return new BroadcastWriter(this);
  }

  /**
   * Makes a reader, which sees nothing of any other.
   *
   * @throws {RangeError} If an option is out of range.
   */
  reader(options?: ReaderOptions): BroadcastReader {
    return new BroadcastReader(this, options);
  }
}

/** Refuses a place in memory where no ring begins. */
function checkRegion(memory: Memory, byteOffset: number): void {
  const last = memory.byteLength - dataByteOffset(1);
  if (
    !Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset > last ||
    byteOffset % REGION_ALIGNMENT !== 0
  ) {
    throw new TypeError(
      `Cannot attach as 'byteOffset' must be a multiple of ${REGION_ALIGNMENT} within ${memory.byteLength} bytes of memory: received ${byteOffset}`,
    );
  }
  const words = new Int32Array(memory.buffer, byteOffset, 2);
  checkWord(KIND, "magic", words[MAGIC]!, MAGIC_WORD);
  checkWord(KIND, "layout version", words[LAYOUT_VERSION]!, VERSION);
}
