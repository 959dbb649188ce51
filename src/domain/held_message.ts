/**
 * A message that is read where it lies.
 *
 * @module
 */

import type { Attachment, SlotParts } from "./attachment.ts";
import type { SlotRecord, ViewOf } from "./slot_types.ts";

/**
 * A message that is held: it can be read where it lies, without a copy, and its bytes do not change
 * until it is released. Writers pass over it meanwhile.
 *
 * Do not use the bytes afterwards, and do not write into them.
 *
 * @example Usage
 * ```ts
 * import { Domain } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using domain = Domain.create({ slots: 1, dataBytes: 64 * 1024 });
 * const camera = domain.slot("camera", { messageBytes: 1024, holds: 2 });
 * using writer = camera.writer();
 * writer.send(new Uint8Array([1, 2, 3]));
 *
 * using held = camera.hold()!;
 * writer.send(new Uint8Array([4, 5, 6]));
 * assertEquals([...held.bytes], [1, 2, 3]);
 * ```
 */
export class HeldMessage<R extends SlotRecord | undefined = undefined> implements Disposable {
  /** The message: a view of the shared memory. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Its number. */
  readonly sequence: number;
  /** A view of the record, if the slot is typed. */
  readonly view: ViewOf<R>;
  readonly #domain: Attachment;
  readonly #slot: SlotParts;
  readonly #seat: number;
  #isReleased = false;

  /** @ignore Use {@link Slot.hold}. */
  constructor(
    domain: Attachment,
    slot: SlotParts,
    seat: number,
    sequence: number,
    bytes: Uint8Array<SharedArrayBuffer>,
    view: ViewOf<R>,
  ) {
    this.#domain = domain;
    this.#slot = slot;
    this.#seat = seat;
    this.sequence = sequence;
    this.bytes = bytes;
    this.view = view;
    domain.open.add(this);
  }

  /** The bytes of the message. */
  get length(): number {
    return this.bytes.length;
  }

  /** Whether it was released. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /**
   * Lets writers use the entry again. Doing that twice is fine.
   *
   * @throws {ReclaimedError} If this thread was taken for dead, and its holds were given up.
   */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#domain.open.delete(this);
    const isOurs = this.#slot.holds.release(this.#seat, this.#domain.owner);
    if (!isOurs) throw this.#domain.reclaimedError("release a held message");
  }

  /** As {@link HeldMessage.release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}
