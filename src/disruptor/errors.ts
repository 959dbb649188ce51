/**
 * Errors that a caller must be able to tell apart.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";

/** The disruptor takes no more events: it drains, or has drained. */
export class DrainedError extends ClosedError {
  /**
   * Makes the error.
   *
   * @param action The action that failed, as in `Cannot ${action}`.
   */
  constructor(action: string) {
    super(`Cannot ${action} as the disruptor was drained: no more events are taken`);
  }
}

/** The disruptor was halted: nothing more is published or consumed. */
export class HaltedError extends ClosedError {
  /** The node whose failure halted it; undefined if it was halted by a call. */
  readonly node: string | undefined;

  /**
   * Makes the error.
   *
   * @param action The action that failed, as in `Cannot ${action}`.
   */
  constructor(action: string, node: string | undefined) {
    const cause = node === undefined ? "" : ` by a failure of node "${node}"`;
    super(`Cannot ${action} as the disruptor was halted${cause}: create another one`);
    this.node = node;
  }
}
