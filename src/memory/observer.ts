/**
 * Notifications of a checker about the use of shared memory, without an import in either direction.
 *
 * A global slot holds the current {@link Observer}, if there is one. This module or a checker
 * creates the slot, whichever is loaded first. Without an observer each call is one comparison.
 *
 * A *speculative span* is a stretch in which plain reads may race with a writer. The span is closed
 * with the verdict: `kept` means that every value read in it was validated and is used, otherwise
 * all of them were discarded. A race within a span matters only if the span was kept.
 *
 * @module
 */

/** A checker that observes the use of shared memory, such as an interleaving explorer. */
export interface Observer {
  /** The calling thread begins to read memory that another may be overwriting. */
  beginSpeculation(): void;
  /** The span ends; `kept` says whether what was read in it is used. */
  endSpeculation(kept: boolean): void;
  /** Names `byteLength` bytes of `buffer` from `byteOffset` on, for reports. */
  label(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, name: string): void;
}

/** Holds the observer; shared by all code that knows the symbol. */
interface ObserverSlot {
  current: Observer | undefined;
}

const slot = ((globalThis as unknown as Record<symbol, ObserverSlot | undefined>)[
  Symbol.for("busbar.observer")
] ??= { current: undefined });

/**
 * Whether a checker observes. Then there is neither an event loop nor a process to keep alive.
 */
export function isObserved(): boolean {
  return slot.current !== undefined;
}

/** Begins a speculative span: reads from here on may race, and will be validated or discarded. */
export function beginSpeculation(): void {
  if (slot.current !== undefined) slot.current.beginSpeculation();
}

/** Ends the speculative span; `kept` says whether what was read in it is used. */
export function endSpeculation(kept: boolean): void {
  if (slot.current !== undefined) slot.current.endSpeculation(kept);
}

/** Names a range of shared bytes, for an observer's reports. */
export function label(
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
  name: string,
): void {
  if (slot.current !== undefined) slot.current.label(buffer, byteOffset, byteLength, name);
}
