/**
 * Picks the most frequent of what was counted.
 *
 * @module
 */

import type { FrequencyResult } from "./task.ts";

const TOP = 5;

/**
 * The most frequent of what was counted; of equals those that come first.
 *
 * @param counts How often each was found.
 * @param nameOf What it is called.
 */
export function mostFrequent(
  counts: Float64Array,
  nameOf: (index: number) => string,
): Omit<FrequencyResult, "kind"> {
  // The indices of the top, most frequent first.
  const top: number[] = [];
  let total = 0;
  let different = 0;
  counts.forEach((count, index) => {
    if (count === 0) return;
    total += count;
    different++;
    const last = top[TOP - 1];
    if (last !== undefined && count <= counts[last]!) return;
    const place = top.findIndex((other) => counts[other]! < count);
    top.splice(place === -1 ? top.length : place, 0, index);
    if (top.length > TOP) top.pop();
  });
  return {
    top: top.map((index) => ({ value: nameOf(index), count: counts[index]! })),
    total,
    different,
  };
}
