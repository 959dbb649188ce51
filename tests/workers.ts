/**
 * Runs functions on real workers.
 *
 * @module
 */

import type { Outcome, Task } from "./worker_entry.ts";

/**
 * Starts a worker that calls an exported function of a module, and that runs until the test
 * terminates it. The result or error of the function is posted, as an {@link Outcome}.
 */
export function startWorker(
  module: string,
  name: string,
  argument: unknown,
  transfer: Transferable[] = [],
): Worker {
  const worker = new Worker(import.meta.resolve("./worker_entry.ts"), { type: "module", name });
  worker.postMessage({ module, name, argument } satisfies Task, transfer);
  return worker;
}

/**
 * Calls an exported function of a module on a worker of its own, which is terminated afterwards.
 *
 * @param module Where the module is, as from `import.meta.resolve`. It is loaded on the worker, so
 * it must not declare tests.
 * @param name The function.
 * @param argument Its only argument, which must survive structured clone, as must its result.
 * @returns The result of the function, once it is resolved.
 * @throws The error of the function: of the same class if that is built in, otherwise an `Error`.
 */
export async function runOnWorker<Result>(
  module: string,
  name: string,
  argument: unknown,
): Promise<Result> {
  const worker = startWorker(module, name, argument);
  try {
    const outcome = await new Promise<Outcome>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<Outcome>) => resolve(event.data);
      worker.onmessageerror = () => reject(new Error(`The result of ${name} cannot be cloned`));
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
    if (outcome.failed) throw outcome.error;
    return outcome.result as Result;
  } finally {
    worker.terminate();
  }
}
