/** The recipes of `src/channel/recipes.md`: the page shows the programs, and they run. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Channel, type FloatRing, type FloatRingHandle } from "@busbar/busbar/channel";
import { openLine } from "../../examples/call/call.ts";
import { msgpackrCodec } from "../../examples/codecs/msgpackr.ts";
import { structuredCloneCodec } from "../../examples/codecs/structured_clone.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";

const ROOT = new URL("../..", import.meta.url);
const BODIES = import.meta.resolve("./recipes_bodies.ts");
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

/** How many lines of a program are not blank. */
const linesOf = (...paths: string[]) =>
  paths.flatMap((path) => read(path).split("\n")).filter((line) => line.trim() !== "").length;

const PROGRAMS = [
  "jobs/main.ts",
  "jobs/worker.ts",
  "sync_call/main.ts",
  "sync_call/worker.ts",
  "audio/main.js",
  "audio/player.js",
  "codecs/msgpackr.ts",
  "codecs/structured_clone.ts",
];

workerTest("recipes: the page shows the programs as they are", () => {
  const page = read("src/channel/recipes.md");
  for (const program of PROGRAMS) {
    assert(page.includes(read(`examples/${program}`)), `it shows another ${program}`);
  }
});

workerTest("recipes: the job queue has at most 30 lines, the float ring at most 15", () => {
  assert(linesOf("examples/jobs/main.ts", "examples/jobs/worker.ts") <= 30);
  assert(linesOf("examples/audio/main.js", "examples/audio/player.js") <= 15);
});

workerTest("recipes: jobs go from an HTTP handler to workers", async () => {
  assertEquals(await runOnWorker(BODIES, "postJobs", 5), [202, 202, 202, 202, 202]);
});

workerTest(
  "recipes: calls are answered, by any of two servers, each with its own reply",
  async () => {
    const { line, call, close } = openLine<number, number>(4);
    const servers = [1, 2].map(() => runOnWorker<void>(BODIES, "serve", line));
    const signal = AbortSignal.timeout(30_000);
    const values = Array.from({ length: 100 }, (_, i) => i + 1);
    const replies = await Promise.all(values.map((value) => call(value, signal)));
    assertEquals(replies, values.map((value) => 2 * value));
    await assertRejects(() => call(-1, signal), Error, "RangeError: received -1");
    close();
    await Promise.all(servers);
    await assertRejects(() => call(1, signal));
  },
);

workerTest("recipes: a call ends by its signal if its server is late, or has died", async () => {
  const { line, requests, call, close } = openLine<number, number>(4);
  const server = startWorker(BODIES, "serve", line);
  const reason = new Error("too late");
  const late = new AbortController();
  const calling = call(0, late.signal);
  while (requests.inspect().receivers === 0 || requests.inspect().depth > 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  late.abort(reason);
  assertEquals(await assertRejects(() => calling), reason);
  server.terminate();
  await new Promise((resolve) => setTimeout(resolve, 20));
  requests.reclaimReceiver(0);
  const next = runOnWorker<void>(BODIES, "serve", line);
  assertEquals(await call(21, AbortSignal.timeout(30_000)), 42);
  close();
  await next;
});

workerTest("recipes: a worker blocks until the main thread has answered", async () => {
  // Its module ends with the channel, once the worker has had both answers.
  const main = new Worker(import.meta.resolve("./import_and_tell.ts"), { type: "module" });
  main.postMessage(new URL("examples/sync_call/main.ts", ROOT).href);
  assertEquals(
    await new Promise((resolve) => main.onmessage = ({ data }) => resolve(data)),
    "imported",
  );
  main.terminate();
});

workerTest(
  "recipes: an AudioWorklet plays what was pushed, and silence if that is late",
  async () => {
    let Player!: new (options: { processorOptions: FloatRingHandle }) => {
      process(inputs: unknown[], outputs: Float32Array[][]): boolean;
    };
    let options!: { processorOptions: FloatRingHandle };
    const names: string[] = [];
    class AudioWorkletNode {
      constructor(_context: unknown, name: string, given: typeof options) {
        names.push(name);
        options = given;
      }
      connect(): void {}
    }
    class AudioContext {
      audioWorklet = { addModule: (url: URL) => import(url.href) };
    }
    const stubs = {
      AudioContext,
      AudioWorkletNode,
      AudioWorkletProcessor: class {},
      registerProcessor: (name: string, processor: typeof Player) => {
        names.push(name);
        Player = processor;
      },
    };
    Object.assign(globalThis, stubs);
    try {
      const { ring } = await import("../../examples/audio/main.js") as { ring: FloatRing };
      assertEquals(names, ["player", "player"]);
      const player = new Player(structuredClone(options));
      const output = [[new Float32Array(128)]];
      assertEquals(player.process([], output), true);
      assertEquals(output[0]![0], new Float32Array(128));
      ring.push(new Float32Array(128).fill(0.5));
      assertEquals(player.process([], output), true);
      assertEquals(output[0]![0], new Float32Array(128).fill(0.5));
    } finally {
      for (const name of Object.keys(stubs)) Reflect.deleteProperty(globalThis, name);
    }
  },
);

workerTest("recipes: the codecs bring back what JSON has not", () => {
  const value = { when: new Date(1e12), bytes: Uint8Array.of(1, 2), text: "ß" };
  const packed = Channel.create({ capacity: 2, codec: msgpackrCodec<typeof value>() });
  packed.sender().send(value);
  const received = packed.receiver().receive()!;
  assertEquals([received.when, received.text], [value.when, "ß"]);
  assertEquals([...received.bytes], [1, 2]);

  const map = new Map([["a", 1n]]);
  const cloned = Channel.create({ capacity: 2, codec: structuredCloneCodec<typeof map>() });
  cloned.sender().sendAll([map, map]);
  assertEquals(cloned.receiver().receiveSome(2), [map, map]);
});
