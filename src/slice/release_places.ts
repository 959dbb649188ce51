/**
 * The debug mode of a slice pool: where slices were released or given away.
 *
 * @module
 */

/** The folder of the pool; undefined in a bundle, where every line of a stack is shown. */
const directory = /^(.*\/src\/slice\/)release_places\.[jt]s$/.exec(import.meta.url ?? "")?.[1];

/** Remembers where each slice of a thread was released or given away. */
export class ReleasePlaces {
  readonly #places = new WeakMap<object, string>();

  /** Notes that the caller releases a slice, or gives it away. */
  add(slice: object): void {
    const lines = (new Error().stack ?? "").split("\n").slice(1).map((line) => line.trim());
    const outside = lines.filter((line) => directory === undefined || !line.includes(directory));
    this.#places.set(slice, outside.join("\n  "));
  }

  /** Where that was. */
  of(slice: object): string {
    return this.#places.get(slice) ?? "at a place that is not known";
  }
}
