/**
 * The interface of buffers that messages are written into piece by piece, and taken out of whole.
 *
 * @module
 */

import type { Slice } from "./slice.ts";

/**
 * A buffer that a message is written into piece by piece, and taken out of whole, as a
 * {@link Slice}. {@link SlicePool} and {@link HeapBuffer} implement it.
 *
 * Bytes that are claimed become part of the message when they are committed: room that was handed
 * out, but not filled, is never taken for received data. Bytes behind the committed ones are
 * undefined.
 *
 * The methods are those of the interface `Buffer` of the Rust crate buffer_sv2, under these names:
 *
 * | here                                  | there                            |
 * | ------------------------------------- | -------------------------------- |
 * | `claim(length)`, `room()`, `commit()` | `get_writable(len)`              |
 * | `append(bytes)`                       | `write_all`, `extend_from_slice` |
 * | `take()`                              | `get_data_owned()`               |
 * | `peek(length)`                        | `get_data_by_ref(len)`           |
 * | `view()`                              | `as_ref()`, `as_mut()`           |
 * | `length`                              | `len()`                          |
 * | `setStart(index)`                     | `danger_set_start(index)`        |
 * | `truncate(length)`                    | `truncate(len)`                  |
 * | `isDroppable`                         | `is_droppable()`                 |
 *
 * @example Usage
 * ```ts
 * import { HeapBuffer, type SliceBuffer } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer: SliceBuffer = HeapBuffer.create();
 * buffer.claim(10); // room for 10 bytes
 * buffer.room().set([1, 2]); // or without a view:
 * buffer.bytes[buffer.offset + 2] = 3;
 * buffer.commit(3); // of which 3 were received
 * buffer.append(new Uint8Array([4]));
 *
 * using slice = buffer.take();
 * assertEquals([...slice.bytes], [1, 2, 3, 4]);
 * assertEquals(buffer.length, 0);
 * ```
 */
export interface SliceBuffer {
  /**
   * The array that holds the message at present: claimed bytes are written here, from
   * {@link SliceBuffer.offset} on. It can be another one after each claim, and holds more than the
   * message.
   */
  readonly bytes: Uint8Array;
  /** Where in {@link SliceBuffer.bytes} the committed bytes end, and the claimed ones begin. */
  readonly offset: number;
  /** How many bytes of the present message are committed. */
  readonly length: number;
  /** Whether no slice of this buffer's own memory lives. */
  readonly isDroppable: boolean;
  /**
   * Claims room behind the committed bytes, which may move for that, to another array. So look at
   * {@link SliceBuffer.bytes} and {@link SliceBuffer.offset} afterwards, not before.
   *
   * @param length How many bytes.
   * @throws {RangeError} If `length` is not a whole number, or there is no memory for so many.
   * @throws {Error} If bytes are claimed already.
   * @throws {ClosedError} If the buffer was closed.
   */
  claim(length: number): void;
  /**
   * A view of the claimed bytes, to be filled; valid until they are committed or aborted.
   *
   * @throws {Error} If nothing is claimed.
   */
  room(): Uint8Array;
  /**
   * Makes claimed bytes part of the message.
   *
   * @param length How many of them; all by default. The others are dropped.
   * @throws {RangeError} If that is not a whole number up to the claimed length.
   * @throws {Error} If nothing is claimed.
   */
  commit(length?: number): void;
  /**
   * Drops the claimed bytes.
   *
   * @throws {Error} If nothing is claimed.
   */
  abort(): void;
  /**
   * Claims room, copies bytes into it, and commits them.
   *
   * @throws {TypeError} If `source` is not a Uint8Array.
   * @throws As {@link SliceBuffer.claim}.
   */
  append(source: Uint8Array): void;
  /**
   * Takes the message out: the caller owns its bytes. The next message begins, and the start is 0
   * again. An empty message yields an empty slice, which occupies nothing.
   *
   * @throws {Error} If bytes are claimed.
   * @throws {ClosedError} If the buffer was closed.
   */
  take(): Slice;
  /**
   * A view of the first bytes of the message, regardless of {@link SliceBuffer.setStart}; valid
   * until the next claim or take.
   *
   * @param length How many bytes; fewer if the message is shorter.
   * @throws {RangeError} If `length` is not a whole number.
   */
  peek(length: number): Uint8Array;
  /**
   * A view of the message from {@link SliceBuffer.setStart} on, or from its beginning; valid until
   * the next claim or take.
   */
  view(): Uint8Array;
  /**
   * **Dangerous.** Hides the first bytes of the message from {@link SliceBuffer.view} and
   * {@link SliceBuffer.truncate}, until it is taken. They remain in the message: what is taken
   * begins with them.
   *
   * @param index How many bytes.
   * @throws {RangeError} If that is not a whole number up to the length of the message.
   */
  setStart(index: number): void;
  /**
   * Drops the last bytes of the message.
   *
   * @param length How many bytes {@link SliceBuffer.view} has afterwards.
   * @throws {RangeError} If that is not a whole number up to what it has.
   * @throws {Error} If bytes are claimed.
   */
  truncate(length: number): void;
}
