/**
 * Workers as Deno and pages have them.
 *
 * @module
 */

import type { Outcome } from "./bodies.ts";
import type { Runtime } from "./suite.ts";

/**
 * Starts workers from a script.
 *
 * @param script Where `web_worker.ts` is, or what it was bundled to.
 */
export function webRuntime(
  script: string | URL,
  traits: Pick<Runtime, "deathMs" | "mayBlock">,
): Runtime {
  return {
    ...traits,
    start(task) {
      const worker = new Worker(script, { type: "module" });
      const result = new Promise((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<Outcome>) => {
          worker.terminate();
          if ("error" in data) reject(new Error(data.error));
          else resolve(data.result);
        };
        worker.onerror = (event) => reject(new Error(event.message));
      });
      worker.postMessage(task);
      return { result, terminate: () => Promise.resolve(worker.terminate()) };
    },
  };
}
