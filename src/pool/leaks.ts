/**
 * Where buffers and packets were taken that are not released: the debug mode of a pool.
 *
 * @module
 */

/** A reference to a buffer that is not released, and where it was taken. */
export interface Leak {
  /** The number of the buffer. */
  readonly buffer: number;
  /** Whether a packet refers to it, or a number that was acquired. */
  readonly kind: "packet" | "number";
  /** The lines of the stack, innermost first, without those of the pool. */
  readonly place: string;
  /** Whether the packet was garbage-collected, so that nobody can release it any more. */
  readonly isCollected: boolean;
}

/** One reference that is watched. */
interface Watched {
  buffer: number;
  kind: "packet" | "number";
  place: string;
  isCollected: boolean;
}

/** Where the files of the pool are; undefined in a bundle, where every line of a stack is shown. */
const directory = /^(.*\/src\/pool\/)leaks\.[jt]s$/.exec(import.meta.url ?? "")?.[1];
const STACK_DEPTH = 20;

/** Remembers where each reference was taken until it is released. */
export class Leaks {
  readonly #watched = new Set<Watched>();
  /** The numbers that were acquired, by buffer. */
  readonly #numbers = new Map<number, Watched>();
  readonly #packets = new WeakMap<object, Watched>();
  readonly #collected = new FinalizationRegistry<Watched>((watched) => {
    watched.isCollected = true;
  });

  /** A packet was made. */
  addPacket(packet: object, buffer: number): void {
    const watched = this.#watch(buffer, "packet");
    this.#packets.set(packet, watched);
    this.#collected.register(packet, watched, packet);
  }

  /** A packet was released or sent. */
  removePacket(packet: object): void {
    const watched = this.#packets.get(packet);
    if (watched === undefined) return;
    this.#watched.delete(watched);
    this.#collected.unregister(packet);
  }

  /** A buffer was acquired, or received; if that was known already, the first time counts. */
  addNumber(buffer: number): void {
    if (!this.#numbers.has(buffer)) this.#numbers.set(buffer, this.#watch(buffer, "number"));
  }

  /** No number refers to a buffer any more. */
  removeNumber(buffer: number): void {
    const watched = this.#numbers.get(buffer);
    if (watched === undefined) return;
    this.#watched.delete(watched);
    this.#numbers.delete(buffer);
  }

  /** What is not released, longest first. */
  list(): Leak[] {
    return [...this.#watched].map((watched) => ({ ...watched }));
  }

  #watch(buffer: number, kind: Watched["kind"]): Watched {
    const watched = { buffer, kind, place: callerPlace(), isCollected: false };
    this.#watched.add(watched);
    return watched;
  }
}

/** What to say of leaks. */
export function describeLeaks(leaks: readonly Leak[]): string {
  return leaks.map(({ buffer, kind, place, isCollected }) => {
    const what = kind === "packet" ? "a packet of buffer" : "buffer";
    return `${what} ${buffer}${
      isCollected ? ", lost to the garbage collector," : ""
    } taken ${place}`;
  }).join("\n");
}

/** The lines of the stack outside the pool. */
function callerPlace(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_DEPTH;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = limit;
  const lines = stack.split("\n").slice(1).map((line) => line.trim());
  const isCaller = (line: string) => directory === undefined || !line.includes(directory);
  return lines.filter(isCaller).join("\n  ");
}
