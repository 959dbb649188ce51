/**
 * Errors of a domain that a caller must be able to tell apart.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";

/** A slot was closed, by this thread or another: nothing more is published in it. */
export class SlotClosedError extends ClosedError {
  /**
   * Made by the domain.
   *
   * @ignore
   */
  constructor(action: string, name: string) {
    super(`Cannot ${action} as slot "${name}" was closed: nothing more is published in it`);
  }
}

/**
 * There is no room for what was asked: all slots, members, waiters, writers or bytes are in use.
 */
export class DomainFullError extends Error {
  /** The name of this class. */
  override readonly name = "DomainFullError";
}

/** What a slot is, and what was asked for, differ. */
export class SlotMismatchError extends TypeError {
  /** The name of this class. */
  override readonly name = "SlotMismatchError";
}

/** As many messages of a slot are held as can be. */
export class HoldLimitError extends Error {
  /** The name of this class. */
  override readonly name = "HoldLimitError";
}
