/**
 * Errors of a pool that a caller must be able to tell apart.
 *
 * @module
 */

/** A buffer or a packet cannot be adopted, as its ticket is not in flight. */
export class StaleTicketError extends Error {
  /** The name of this class. */
  override readonly name = "StaleTicketError";
  /** The number of the buffer. */
  readonly buffer: number;

  /**
   * Made by the pool.
   *
   * @ignore
   */
  constructor(buffer: number) {
    super(
      `Cannot adopt buffer ${buffer} as this ticket is not in flight: it was adopted before, never detached, reclaimed, or is of another pool`,
    );
    this.buffer = buffer;
  }
}

/** A shared buffer cannot be detached, as all tickets of this thread are in flight. */
export class TicketsExhaustedError extends Error {
  /** The name of this class. */
  override readonly name = "TicketsExhaustedError";
  /** How many tickets each thread has. */
  readonly tickets: number;

  /**
   * Made by the pool.
   *
   * @ignore
   */
  constructor(tickets: number) {
    super(
      `Cannot detach as all ${tickets} tickets of this thread for shared buffers are in flight: have some adopted, or create the pool with more 'tickets'`,
    );
    this.tickets = tickets;
  }
}
