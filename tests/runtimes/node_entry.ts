/**
 * The suite in Node, and what only Node has: files, the environment, and how it fails.
 *
 * @module
 */

import { readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { ExplorationError, explore } from "../../model/mod.ts";
import { type Outcome, perform, type Task } from "./bodies.ts";
import { lockModel, runSuite, type Runtime } from "./suite.ts";

/** This very script, whatever it was bundled to. */
const script = process.argv[1]!;

const runtime: Runtime = {
  deathMs: 0,
  mayBlock: true,
  start(task) {
    const worker = new Worker(script, { workerData: task });
    const result = new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", (outcome: Outcome) => {
        if ("error" in outcome) reject(new Error(outcome.error));
        else resolve(outcome.result);
      });
    });
    return { result, terminate: () => worker.terminate() };
  },
};

async function failure(html?: string): Promise<ExplorationError> {
  try {
    await explore({ ...lockModel(false), ...(html === undefined ? {} : { html }) });
  } catch (error) {
    if (error instanceof ExplorationError) return error;
    throw error;
  }
  throw new Error("it passed");
}

/** What is tried beside the suite; each throws if it does not hold. */
const checks: Record<string, () => Promise<void>> = {
  async "the explorer writes its page, and replays what the environment asks for"() {
    const path = `${process.env.TMPDIR ?? "/tmp"}/busbar-failure-${process.pid}.html`;
    const { replay, failure: { kind } } = await failure(path);
    const page = readFileSync(path, "utf8");
    rmSync(path);
    if (!page.includes("<html")) throw new Error("no page was written");
    process.env.BUSBAR_REPLAY = replay;
    const again = await failure();
    delete process.env.BUSBAR_REPLAY;
    if (again.failure.kind !== kind || again.replay !== replay) throw new Error("not replayed");
  },
  async "an exploration leaves nothing that listens for rejections"() {
    await failure();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const count = process.listenerCount("unhandledRejection");
    if (count !== 0) throw new Error(`${count} listeners`);
  },
};

async function main(): Promise<void> {
  await runSuite(runtime, (line) => console.log(line));
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`not ok ${name}: ${String((error as Error).stack).replaceAll("\n", " | ")}`);
    }
  }
  console.log("end");
}

if (isMainThread) main();
else parentPort!.postMessage(perform(workerData as Task));
