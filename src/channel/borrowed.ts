/**
 * A message that is read where it lies.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";

/** A message that is read where it lies, until it is released: by `using`, or `release`. */
export class Borrowed implements Disposable {
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #end: () => void;
  #isReleased = false;

  /** @ignore */
  constructor(bytes: Uint8Array<SharedArrayBuffer>, end: () => void) {
    this.#bytes = bytes;
    this.#end = end;
  }

  /**
   * The bytes of the message. They must not be used after it was released.
   *
   * @throws {ClosedError} If it was.
   */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    if (this.#isReleased) throw new ClosedError("Cannot read the message as it was released");
    return this.#bytes;
  }

  /** Lets senders have the room of the message again. Twice is fine. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#end();
  }

  /** As {@link Borrowed.release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}
