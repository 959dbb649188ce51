/**
 * Runs the tests of the standard's own suite, test262, on the platform and inside a simulated
 * thread, and compares: what passes natively must pass when it is explored.
 *
 * Their text is not part of this project, so the script takes the path of a checkout:
 *
 * ```sh
 * git clone --depth 1 https://github.com/tc39/test262 /tmp/test262
 * deno run -A tests/model/conformance/test262.ts /tmp/test262 [--shared] [--list] [FILTER]
 * ```
 *
 * Each test runs in two realms of its own. In the second, harness and test are the body of the only
 * thread, after one operation, so that at least one replay precedes them. With `--shared`, the
 * typed arrays that the harness makes are on shared memory. `--list` prints every difference, not
 * just those that `exceptions.ts` does not know. The exit code is 1 if there is one that it does
 * not know, or an exception is not needed.
 *
 * @module
 */

import * as esbuild from "esbuild";
import { exceptions } from "./exceptions.ts";
import type { Outcome, Test } from "./worker.ts";

const FOLDERS = [
  "Atomics",
  "SharedArrayBuffer",
  "DataView",
  "TypedArray/prototype",
  "TypedArrayConstructors",
];
/** How long a test may take before its worker is ended. */
const LIMIT_MS = 20_000;
const WORKERS = Math.max(1, Math.min(4, navigator.hardwareConcurrency));

/** Put after the harness with `--shared`: the harness makes all arguments shared buffers. */
const SHARED_FACTORY = `
if (typeof typedArrayCtorArgFactories !== "undefined") {
  ctorArgFactoryMatchesSome = function() { return true; };
  typedArrayCtorArgFactories = [function makeShared(TA, source) {
    if (isPrimitive(source)) {
      var n = Number(source);
      if (!(n >= 0 && n < 9007199254740992)) return source;
      return new SharedArrayBuffer(n * TA.BYTES_PER_ELEMENT);
    }
    var values = Array.from(source);
    var view = new TA(new SharedArrayBuffer(values.length * TA.BYTES_PER_ELEMENT));
    for (var i = 0; i < values.length; i++) view[i] = values[i];
    return view.buffer;
  }];
}
`;

/** The source of a test with its harness; or why it is left out. */
async function readTest(root: string, file: string, isShared: boolean): Promise<Test | string> {
  const source = await Deno.readTextFile(file);
  const front = /\/\*---([\s\S]*?)---\*\//.exec(source)?.[1] ?? "";
  const list = (key: string) => {
    const found = new RegExp(`^${key}:\\s*(?:\\[([^\\]]*)\\]|((?:\\n\\s+- .*)+))`, "m").exec(front);
    return (found?.[1] ?? found?.[2] ?? "").split(/[,\n]/)
      .map((item) => item.replace(/^\s*-?\s*/, "").trim()).filter((item) => item !== "");
  };
  const flags = list("flags");
  const includes = list("includes");
  if (/\$262\.agent|\.agent\b/.test(source) || includes.includes("atomicsHelper.js")) {
    return "agents";
  }
  if (flags.includes("async")) return "asynchronous";
  if (flags.includes("module")) return "modules";
  if (flags.includes("CanBlockIsFalse")) return "agents";
  if (/^negative:/m.test(front)) return "negative";
  const harness = await Promise.all(
    ["assert.js", "sta.js", ...includes].map((name) =>
      Deno.readTextFile(`${root}/harness/${name}`)
    ),
  );
  const strict = flags.includes("onlyStrict") ? '"use strict";\n' : "";
  const factory = isShared ? SHARED_FACTORY : "";
  return {
    name: file.slice(`${root}/test/built-ins/`.length),
    source: `${strict}${harness.join("\n")}\n${factory}\n${source}`,
  };
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (isDirectory) yield* filesIn(`${folder}/${name}`);
    else if (name.endsWith(".js") && !name.endsWith("_FIXTURE.js")) yield `${folder}/${name}`;
  }
}

async function bundleModel(): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [new URL("../../../model/mod.ts", import.meta.url).pathname],
    bundle: true,
    format: "iife",
    globalName: "model",
    target: "es2022",
    write: false,
    logLevel: "error",
    logOverride: { "empty-import-meta": "silent" },
  });
  await esbuild.stop();
  return outputFiles[0]!.text;
}

/** Runs tests one after the other in workers that are replaced if one hangs. */
async function runAll(tests: readonly Test[], model: string): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  let next = 0;
  const serve = async () => {
    let worker: Worker | undefined;
    while (next < tests.length) {
      const test = tests[next++]!;
      if (worker === undefined) {
        worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
        worker.postMessage(model);
      }
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const timer = setTimeout(() => resolve({ kind: "hangs", message: "" }), LIMIT_MS);
      worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve({ kind: "dies", message: event.message });
      };
      worker.postMessage(test);
      const outcome = await promise;
      clearTimeout(timer);
      outcomes.set(test.name, outcome);
      if (outcome.kind === "hangs" || outcome.kind === "dies") {
        worker.terminate();
        worker = undefined;
      }
    }
    worker?.terminate();
  };
  await Promise.all(Array.from({ length: WORKERS }, serve));
  return outcomes;
}

async function main(args: readonly string[]): Promise<number> {
  const isShared = args.includes("--shared");
  const [root, filter = ""] = args.filter((arg) => !arg.startsWith("--"));
  if (root === undefined) {
    console.error("Expected the path of a checkout of test262");
    return 2;
  }
  const tests: Test[] = [];
  const leftOut = new Map<string, number>();
  let files = 0;
  for (const folder of FOLDERS) {
    for await (const file of filesIn(`${root}/test/built-ins/${folder}`)) {
      if (!file.includes(filter)) continue;
      files++;
      const test = await readTest(root, file, isShared);
      if (typeof test === "string") leftOut.set(test, (leftOut.get(test) ?? 0) + 1);
      else tests.push(test);
    }
  }
  const outcomes = [...await runAll(tests, await bundleModel())];
  const failsNatively = outcomes.filter(([, { kind }]) => kind === "fails natively");
  const passes = outcomes.filter(([, { kind }]) => kind === "passes");
  const differences = outcomes.filter(([, { kind }]) =>
    kind !== "passes" && kind !== "fails natively"
  );
  const known = exceptions.filter(({ mode }) =>
    mode === "both" || (mode === "shared") === isShared
  );
  const reasonOf = (name: string) => known.find(({ tests }) => tests.test(name))?.reason;
  const unknown = differences.filter(([name]) => reasonOf(name) === undefined);
  const shown = args.includes("--list") ? differences : unknown;
  for (const [name, { kind, message }] of shown.sort(([a], [b]) => a < b ? -1 : 1)) {
    console.log(`${name}\n    ${kind}: ${message}`);
  }
  console.log(
    `${files} files: ${
      [...leftOut].map(([why, count]) => `${count} ${why}`).join(", ")
    } left out; ` +
      `${failsNatively.length} fail natively; of the ${passes.length + differences.length} that ` +
      `pass natively, ${passes.length} pass inside a simulated thread, ` +
      `${differences.length - unknown.length} are known exceptions, ${unknown.length} are not.`,
  );
  const unneeded = known.filter(({ tests }) => !differences.some(([name]) => tests.test(name)));
  if (filter === "") {
    for (const { tests } of unneeded) console.log(`No test needs the exception ${tests}`);
  }
  return unknown.length > 0 || (filter === "" && unneeded.length > 0) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
