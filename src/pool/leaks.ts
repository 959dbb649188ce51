/**
 * The debug mode of a pool: where the references that are not released were taken.
 *
 * @module
 */

/** A reference to a buffer that is not released, and where it was taken. */
export interface Leak {
  /** The number of the buffer. */
  readonly buffer: number;
  /** Whether the reference is a packet, or a number that was acquired or adopted. */
  readonly kind: "packet" | "number";
  /** The lines of the stack, innermost first, without those of the pool. */
  readonly place: string;
  /** Whether the packet was garbage-collected, so that it can no longer be released. */
  readonly isCollected: boolean;
}

/** One reference that is watched. */
interface Watched {
  buffer: number;
  kind: "packet" | "number";
  place: string;
  isCollected: boolean;
}

/** The folder of the pool; undefined in a bundle, where every line of a stack is shown. */
const directory = /^(.*\/src\/pool\/)leaks\.[jt]s$/.exec(import.meta.url ?? "")?.[1];
const STACK_DEPTH = 20;

/** Remembers where each reference was taken until it is released. */
export class Leaks {
  readonly #watched = new Set<Watched>();
  /** The references by number, by buffer. */
  readonly #numbers = new Map<number, Watched>();
  readonly #packets = new WeakMap<object, Watched>();
  readonly #collected = new FinalizationRegistry<Watched>((watched) => {
    watched.isCollected = true;
  });

  /** Records that a packet was made. */
  addPacket(packet: object, buffer: number): void {
    const watched = this.#watch(buffer, "packet");
    this.#packets.set(packet, watched);
    this.#collected.register(packet, watched, packet);
  }

  /** Records that a packet was released, detached or split. */
  removePacket(packet: object): void {
    const watched = this.#packets.get(packet);
    if (watched === undefined) return;
    this.#watched.delete(watched);
    this.#collected.unregister(packet);
  }

  /** Records that a buffer was acquired or adopted; the first time counts. */
  addNumber(buffer: number): void {
    if (!this.#numbers.has(buffer)) this.#numbers.set(buffer, this.#watch(buffer, "number"));
  }

  /** Records that the last reference by number to a buffer was dropped. */
  removeNumber(buffer: number): void {
    const watched = this.#numbers.get(buffer);
    if (watched === undefined) return;
    this.#watched.delete(watched);
    this.#numbers.delete(buffer);
  }

  /** The references that are not released, oldest first. */
  list(): Leak[] {
    return [...this.#watched].map((watched) => ({ ...watched }));
  }

  #watch(buffer: number, kind: Watched["kind"]): Watched {
    const watched = { buffer, kind, place: callerPlace(), isCollected: false };
    this.#watched.add(watched);
    return watched;
  }
}

/** Describes leaks in an error message, one a line. */
export function describeLeaks(leaks: readonly Leak[]): string {
  return leaks.map(({ buffer, kind, place, isCollected }) => {
    const what = kind === "packet" ? "a packet of buffer" : "buffer";
    return `${what} ${buffer}${
      isCollected ? ", lost to the garbage collector," : ""
    } taken ${place}`;
  }).join("\n");
}

/** The lines of the present stack outside the pool. */
function callerPlace(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_DEPTH;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = limit;
  const lines = stack.split("\n").slice(1).map((line) => line.trim());
  const isCaller = (line: string) => directory === undefined || !line.includes(directory);
  return lines.filter(isCaller).join("\n  ");
}
