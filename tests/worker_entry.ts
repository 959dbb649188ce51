/**
 * The entry of a worker of `workers.ts`: it waits for one task, performs it, and posts the outcome.
 *
 * @module
 */

/** A function to call, and its argument. */
export interface Task {
  module: string;
  name: string;
  argument: unknown;
}

/** The result of the function, or its error. */
export type Outcome = { failed: false; result: unknown } | { failed: true; error: unknown };

async function perform({ module, name, argument }: Task): Promise<Outcome> {
  try {
    const exports = await import(module) as Record<string, unknown>;
    const fn = exports[name];
    if (typeof fn !== "function") throw new TypeError(`${module} exports no function '${name}'`);
    return { failed: false, result: await fn(argument) };
  } catch (error) {
    return { failed: true, error };
  }
}

addEventListener("message", async (event) => {
  postMessage(await perform((event as MessageEvent<Task>).data));
}, { once: true });

declare function postMessage(message: unknown): void;
