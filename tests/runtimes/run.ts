/**
 * Runs the suite and the examples off Deno: in Node 20, 22 and 24, and in Bun, as bundles of each
 * kind and as the source is; in Chromium, on a page's main thread and in a worker; and in what a
 * worklet has.
 *
 *     deno task test:runtimes [node] [bun] [browser]
 *
 * Needs `npx`, which fetches the versions of Node, and Bun; and Chromium at /usr/bin/chromium or
 * where CHROMIUM says. Prints a line for each check, and at the end `N passed, N failed`.
 *
 * @module
 */

import { runInNewContext } from "node:vm";
import * as esbuild from "esbuild";
import { chromium } from "playwright-core";
import { Broadcast, FloatRing } from "@busbar/busbar";

const ROOT = new URL("../..", import.meta.url);
const LIMIT_MS = 120_000;
const NODE_VERSIONS = ["20", "22", "24"];
const BUN_VERSION = "1";
/** Those that run TypeScript as it is. */
const STRIPPING = ["22", "24"];

const EXAMPLES: Record<string, string[]> = {
  broadcast: ["received orders", "received trades", "received all"],
  domain: ["received tea: paid", "received cake: paid", "received all"],
  queue: ["red 1", "red 2", "red 3", "blue 1", "blue 2", "blue 3", "received all"],
};

let passed = 0;
let failed = 0;

function report(where: string, line: string): void {
  if (line.startsWith("ok ")) passed++;
  else failed++;
  console.log(line.replace(/^((?:not )?ok) /, `$1 ${where}: `));
}

const path = (name: string) => new URL(name, ROOT).pathname;

/**
 * Runs a command; reports the lines that are checks, and fails unless it says that it has ended.
 */
async function runSuiteOf(where: string, command: string, args: string[]): Promise<void> {
  const { lines, error } = await run(command, args);
  for (const line of lines) if (/^(not )?ok /.test(line)) report(where, line);
  if (lines.at(-1) !== "end") report(where, `not ok it came to no end: ${error}`);
}

/** Runs an example, and compares what it prints; the lines of different workers in any order. */
async function runExample(where: string, name: string, command: string, args: string[]) {
  const { lines, error } = await run(command, args);
  compare(where, name, lines, error);
}

function compare(where: string, name: string, lines: string[], error = ""): void {
  const expected = EXAMPLES[name]!;
  const isSame = lines.toSorted().join() === expected.toSorted().join() &&
    lines.at(-1) === expected.at(-1);
  report(where, isSame ? `ok example ${name}` : `not ok example ${name}: ${lines.join()} ${error}`);
}

async function run(command: string, args: string[]) {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const { stdout, stderr } = await new Deno.Command(command, { args, signal, cwd: path("") })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const lines = text(stdout).split("\n").filter((line) => line !== "");
  return { lines, error: text(stderr).slice(-2000) };
}

/** Bundles entries into a folder; workers are found under the name of what they were bundled to. */
async function bundle(entries: Record<string, string>, outdir: string, options = {}) {
  await esbuild.build({
    entryPoints: entries,
    outdir,
    bundle: true,
    format: "esm",
    target: "es2022",
    alias: { "@busbar/busbar": path("mod.ts") },
    logLevel: "error",
    logOverride: { "empty-import-meta": "silent" },
    plugins: [{
      name: "workers",
      setup(build) {
        build.onLoad({ filter: /examples\/.*\.ts$/ }, async ({ path }) => ({
          contents: (await Deno.readTextFile(path)).replaceAll("./worker.ts", "./worker.js"),
          loader: "ts",
        }));
      },
    }],
    ...options,
  });
}

/** The suite for platforms like Node. */
const entry = path("tests/runtimes/node_entry.ts");

/** Bundles the suite in each format, and the examples, for Node and Bun. */
async function bundleForNode(directory: string): Promise<void> {
  const forNode = { platform: "node", target: "node20" };
  await bundle({ esm: entry }, directory, { ...forNode, outExtension: { ".js": ".mjs" } });
  await bundle({ cjs: entry }, directory, {
    ...forNode,
    format: "cjs",
    outExtension: { ".js": ".cjs" },
  });
  await bundle({ iife: entry }, directory, {
    ...forNode,
    format: "iife",
    outExtension: { ".js": ".cjs" },
  });
  for (const name of Object.keys(EXAMPLES)) {
    const example = (file: string) => path(`examples/node/${name}/${file}.ts`);
    const entries = { main: example("main"), worker: example("worker") };
    await bundle(entries, `${directory}/node/${name}`, forNode);
  }
  await Deno.writeTextFile(`${directory}/package.json`, `{ "type": "module" }`);
}

/** Where npx has put the program of a package; undefined if it finds none. */
async function fetched(where: string, name: string): Promise<string | undefined> {
  const program = name.replace(/@.*/, "");
  const { lines, error } = await run("npx", [
    "--yes",
    "-p",
    name,
    program,
    "-p",
    "process.execPath",
  ]);
  if (lines.length === 0) report(where, `not ok npx finds ${name}: ${error}`);
  return lines[0];
}

/** Runs everything that was bundled, and the source if the platform can. */
async function runLikeNode(where: string, program: string, directory: string, strips: boolean) {
  for (const script of ["esm.mjs", "cjs.cjs", "iife.cjs"]) {
    await runSuiteOf(`${where}, ${script}`, program, [`${directory}/${script}`]);
  }
  if (strips) await runSuiteOf(`${where}, TypeScript`, program, [entry]);
  for (const name of Object.keys(EXAMPLES)) {
    await runExample(where, name, program, [`${directory}/node/${name}/main.js`]);
  }
}

async function runNode(directory: string): Promise<void> {
  await bundleForNode(directory);
  await runWorklet(directory);
  for (const version of NODE_VERSIONS) {
    const node = await fetched(`Node ${version}`, `node@${version}`);
    const strips = STRIPPING.includes(version);
    if (node !== undefined) await runLikeNode(`Node ${version}`, node, directory, strips);
  }
  for (const name of Object.keys(EXAMPLES)) {
    for (const program of [name, `node/${name}`]) {
      const args = ["run", "--allow-read", `examples/${program}/main.ts`];
      await runExample(`Deno, examples/${program}`, name, Deno.execPath(), args);
    }
  }
}

/**
 * Runs the worklet where there is nothing but the language: no timers, no clock, no `URL`, no
 * `crypto`. A real AudioWorklet has little more, and needs a sound device to be started.
 */
async function runWorklet(directory: string): Promise<void> {
  const entry = path("tests/runtimes/worklet.ts");
  await bundle({ worklet: entry }, directory, { format: "iife" });
  const code = await Deno.readTextFile(`${directory}/worklet.js`);
  const ring = Broadcast.create({ capacityBytes: 4096 });
  ring.writer().send(new Uint8Array([1, 2, 3]));
  const samples = FloatRing.create({ capacity: 1024 });
  samples.push(new Float32Array(128).fill(0.5));
  const processorOptions = { ring: ring.handle, samples: samples.handle };
  const heard: string[] = [];
  try {
    runInNewContext(code, {
      AudioWorkletProcessor: class {
        port = { postMessage: (message: string) => heard.push(message) };
      },
      registerProcessor(
        _: string,
        Processor: new (options: unknown) => { process(): boolean },
      ) {
        new Processor({ processorOptions }).process();
      },
    });
  } catch (error) {
    heard.push(String((error as Error).stack));
  }
  const isHeard = heard.join() === "1,2,3, 0.5";
  report("a worklet", isHeard ? "ok imports all, and polls rings" : `not ok ${heard.join()}`);
}

async function runBun(directory: string): Promise<void> {
  await bundleForNode(directory);
  const bun = await fetched("Bun", `bun@${BUN_VERSION}`);
  if (bun !== undefined) await runLikeNode(`Bun ${BUN_VERSION}`, bun, directory, true);
}

const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
/** The headers that pages are served with, by what that makes of them. */
const PAGES: Record<string, Record<string, string>> = {
  "isolated": ISOLATED,
  "isolated, without WebAssembly": {
    ...ISOLATED,
    "content-security-policy": "default-src 'self'; script-src 'self'",
  },
  "not isolated": {},
};

/** Serves a folder with these headers. */
function serve(directory: string, headersOf: Record<string, string>) {
  const onListen = () => {};
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, async (request) => {
    const { pathname } = new URL(request.url);
    const headers = new Headers(headersOf);
    const script = /^\/(.*)\.html$/.exec(pathname)?.[1];
    headers.set("content-type", script === undefined ? "text/javascript" : "text/html");
    if (script !== undefined) {
      return new Response(`<!doctype html><script type="module" src="/${script}.js"></script>`, {
        headers,
      });
    }
    try {
      return new Response(await Deno.readFile(directory + pathname), { headers });
    } catch {
      return new Response(null, { status: 404 });
    }
  });
}

async function runBrowser(directory: string): Promise<void> {
  const executablePath = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";
  const entry = (name: string) => path(`tests/runtimes/${name}.ts`);
  await bundle({
    page: entry("page_entry"),
    page_worker: entry("page_worker"),
    web_worker: entry("web_worker"),
  }, directory);
  for (const name of Object.keys(EXAMPLES)) {
    const example = (file: string) => path(`examples/${name}/${file}.ts`);
    await bundle({ main: example("main"), worker: example("worker") }, `${directory}/${name}`);
  }
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--no-first-run",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
  try {
    for (const [what, headers] of Object.entries(PAGES)) {
      const where = `Chromium, ${what}`;
      await using server = serve(directory, headers);
      const origin = `http://127.0.0.1:${server.addr.port}`;
      const open = async (page: string, last: string): Promise<string[]> => {
        const lines: string[] = [];
        const tab = await browser.newPage();
        const ended = new Promise<void>((resolve) => {
          tab.on("console", (message) => {
            for (const line of message.text().split("\n")) lines.push(line);
            if (lines.at(-1) === last) resolve();
          });
          tab.on("pageerror", (error) => {
            lines.push(`not ok an error in the page: ${error.stack}`);
            resolve();
          });
          setTimeout(resolve, LIMIT_MS);
        });
        await tab.goto(`${origin}/${page}.html`);
        await ended;
        await tab.close();
        return lines;
      };
      const lines = await open("page", "end");
      for (const line of lines) if (/^(not )?ok /.test(line)) report(where, line);
      if (!lines.includes("end")) report(where, `not ok it came to no end: ${lines.at(-1)}`);
      if (headers !== ISOLATED) continue;
      for (const [name, expected] of Object.entries(EXAMPLES)) {
        compare(where, name, await open(`${name}/main`, expected.at(-1)!));
      }
    }
  } finally {
    await browser.close();
  }
}

const wanted = Deno.args.length === 0 ? ["node", "bun", "browser"] : Deno.args;
const directory = await Deno.makeTempDir({ prefix: "busbar" });
try {
  if (wanted.includes("node")) await runNode(directory);
  if (wanted.includes("bun")) await runBun(directory);
  if (wanted.includes("browser")) await runBrowser(directory);
} finally {
  await esbuild.stop();
  await Deno.remove(directory, { recursive: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 && passed > 0 ? 0 : 1);
