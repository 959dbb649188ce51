/**
 * The suite on the main thread of a page, in a worker of it, and what a worklet can do.
 *
 * @module
 */

import { Broadcast } from "../../mod.ts";
import { runSuite } from "./suite.ts";
import { webRuntime } from "./web_runtime.ts";

/** Reads a ring in an AudioWorklet, which is sent its handle; says what it heard. */
async function listenInWorklet(): Promise<string> {
  const ring = Broadcast.create({ capacityBytes: 4096 });
  const context = new AudioContext();
  await context.audioWorklet.addModule("worklet.js");
  const node = new AudioWorkletNode(context, "busbar-reader", { processorOptions: ring.handle });
  const heard = new Promise<string>((resolve) => {
    node.port.onmessage = ({ data }) => resolve(data);
  });
  node.connect(context.destination);
  const writer = ring.writer();
  const sending = setInterval(() => writer.send(new Uint8Array([1, 2, 3])), 5);
  context.resume();
  const result = await heard;
  clearInterval(sending);
  await context.close();
  return result;
}

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
  const late = new Promise<string>((resolve) => setTimeout(resolve, 10_000, "nothing in 10 s"));
  const heard = await Promise.race([
    listenInWorklet().catch((error) => String(error.stack)),
    late,
  ]);
  say(`${heard === "1,2,3" ? "ok" : "not ok"} an AudioWorklet polls a ring: ${heard}`);
  say("end");
}

main();

// What the type checker knows only of pages.
declare const crossOriginIsolated: boolean;
declare class AudioContext {
  readonly audioWorklet: { addModule(url: string): Promise<void> };
  readonly destination: unknown;
  resume(): Promise<void>;
  close(): Promise<void>;
}
declare class AudioWorkletNode {
  readonly port: MessagePort;
  constructor(context: AudioContext, name: string, options: { processorOptions: unknown });
  connect(destination: unknown): void;
}
