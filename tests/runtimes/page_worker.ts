/**
 * The suite in a worker of a page.
 *
 * @module
 */

import { runSuite } from "./suite.ts";
import { webRuntime } from "./web_runtime.ts";

declare const self: Worker;

await runSuite(
  webRuntime("web_worker.js", { deathMs: 2500, mayBlock: true }),
  (line) => self.postMessage(line.replace(/^((?:not )?ok) /, "$1 in a worker of a page: ")),
);
self.postMessage("end");
