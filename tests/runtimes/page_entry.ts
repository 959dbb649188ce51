/**
 * The suite on the main thread of a page, and in a worker of it.
 *
 * @module
 */

import { Broadcast } from "../../mod.ts";
import { runSuite } from "./suite.ts";
import { webRuntime } from "./web_runtime.ts";

async function main(): Promise<void> {
  const say = (line: string) => console.log(line);
  if (!crossOriginIsolated) {
    try {
      Broadcast.create({ capacityBytes: 4096 });
      say("not ok without isolation there is no memory: there was");
    } catch (error) {
      const { message } = error as Error;
      const isClear = message.includes("a page needs cross-origin isolation");
      say(`${isClear ? "ok" : "not ok"} without isolation an error says so: ${message}`);
    }
    return say("end");
  }
  await runSuite(
    webRuntime("web_worker.js", { deathMs: 2500, mayBlock: false }),
    (line) => say(line.replace(/^((?:not )?ok) /, "$1 on the main thread: ")),
  );
  const worker = new Worker("page_worker.js", { type: "module" });
  await new Promise<void>((resolve) => {
    worker.onmessage = ({ data }) => data === "end" ? resolve() : say(data);
    worker.onerror = ({ message }) => (say(`not ok in a worker: ${message}`), resolve());
  });
  say("end");
}

main();

// What the type checker knows only of pages.
declare const crossOriginIsolated: boolean;
