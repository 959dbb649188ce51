/** The suite of all platforms, in Deno. `run.ts` runs it on the others. */

import { workerTest } from "../permission.ts";
import { scenarios } from "./suite.ts";
import { webRuntime } from "./web_runtime.ts";

const runtime = webRuntime(import.meta.resolve("./web_worker.ts"), {
  deathMs: Infinity,
  mayBlock: true,
});

for (const [name, scenario] of Object.entries(scenarios)) {
  workerTest(`in Deno: ${name}`, () => scenario(runtime));
}
