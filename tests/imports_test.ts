import { assert, assertEquals } from "@std/assert";
import { workerTest } from "./permission.ts";

/** What each folder may import from, besides itself. */
const BELOW = new Map([
  ["src/memory", []],
  ["src/sync", ["src/memory"]],
  ["src/pool", ["src/memory", "src/sync"]],
  ["src/packet", ["src/memory", "src/sync", "src/pool"]],
  ["src/broadcast", ["src/memory", "src/sync"]],
  ["src/cli", ["src/memory", "src/broadcast", "src/packet", "src/pool", "src/sync"]],
  ["model", []],
]);

const ROOT = new URL("..", import.meta.url);

/** The files below a folder. */
function* filesOf(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(`${folder}/`, ROOT))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* filesOf(path);
    else if (path.endsWith(".ts")) yield path;
  }
}

/** What a file imports or re-exports, but for doc comments. */
function importsOf(file: string): string[] {
  const code = Deno.readTextFileSync(new URL(file, ROOT)).replaceAll(/\/\*[^]*?\*\//g, "");
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name!);
}

workerTest("imports point downward only, and need nothing but this repository", () => {
  const upward: string[] = [];
  let count = 0;
  for (const [folder, below] of BELOW) {
    for (const file of filesOf(folder)) {
      for (const name of importsOf(file)) {
        count++;
        const path = new URL(name, new URL(file, ROOT)).href.slice(ROOT.href.length);
        const isBelow = [folder, ...below].some((other) => path.startsWith(`${other}/`));
        const isPlatform = folder === "src/cli" && name.startsWith("node:");
        if (!isBelow && !isPlatform) upward.push(`${file} imports ${name}`);
      }
    }
  }
  assertEquals(upward, []);
  assert(count > 200);
});
