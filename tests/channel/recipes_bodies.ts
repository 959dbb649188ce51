/**
 * The bodies of the workers in `recipes_worker_test.ts`.
 *
 * @module
 */

import { type Line, serve as serveLine } from "../../examples/call/call.ts";

/** Answers with the double; refuses what is negative, and never answers 0. */
export async function serve(line: Line<number, number>): Promise<void> {
  await serveLine(line, async (value) => {
    if (value < 0) throw new RangeError(`received ${value}`);
    if (value === 0) await new Promise(() => {});
    return 2 * value;
  });
}
