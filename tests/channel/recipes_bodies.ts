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

/** Posts jobs to the handler of `examples/jobs`, and waits until the workers have done them. */
export async function postJobs(count: number): Promise<number[]> {
  const { default: { fetch } } = await import("../../examples/jobs/main.ts");
  const url = "http://localhost/";
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) {
    statuses.push((await fetch(new Request(url, { method: "POST", body: `job ${i}` }))).status);
  }
  const idle = "open: 0 of 64 messages, 0 of 1 senders and 2 of 2 receivers wait, 0 dropped";
  while (!(await (await fetch(new Request(url))).text()).startsWith(idle)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return statuses;
}
