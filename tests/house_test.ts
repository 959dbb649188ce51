import { assert, assertEquals } from "@std/assert";
import { workerTest } from "./permission.ts";

/** The folders that each folder may import from, besides itself. */
const BELOW = new Map([
  ["src/memory", []],
  ["src/record", ["src/memory"]],
  ["src/sync", ["src/memory"]],
  ["src/pool", ["src/memory", "src/sync"]],
  ["src/framing", ["src/memory", "src/pool"]],
  ["src/queue", ["src/memory", "src/pool"]],
  ["src/broadcast", ["src/memory"]],
  ["src/slice", ["src/memory", "src/framing"]],
  ["src/disruptor", ["src/memory", "src/record"]],
  ["src/channel", ["src/memory", "src/record", "src/pool"]],
  ["src/domain", ["src/memory", "src/record"]],
  ["src/cli", ["src/broadcast"]],
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

/** The code of a file, without its doc comments. */
function codeOf(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT)).replaceAll(/\/\*[^]*?\*\//g, "");
}

/** What a file imports or re-exports, types included: paths from the root, or names of packages. */
function importsOf(file: string): string[] {
  const names = [...codeOf(file).matchAll(/(?<!")\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g)];
  return names.map(([, name]) =>
    name!.startsWith(".") ? new URL(name!, new URL(file, ROOT)).href.slice(ROOT.href.length) : name!
  );
}

/**
 * The folder of a file. The door of a folder, and the files at the top of the model, are their own.
 */
function folderOf(path: string): string {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return folder === "model" || path.endsWith("/mod.ts") ? path : folder;
}

/** A circle in a graph, as its nodes in order; undefined if there is none. */
function findCircle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of edges.get(node) ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const circle = visit(node);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** All imports, from file to file. */
function allImports(): Map<string, Set<string>> {
  const files = [...BELOW.keys()].flatMap((folder) => [...filesOf(folder)]);
  return new Map(files.map((file) => [file, new Set(importsOf(file))]));
}

workerTest("imports point downward only, and need nothing but this repository", () => {
  const upward: string[] = [];
  let count = 0;
  for (const [folder, below] of BELOW) {
    for (const file of filesOf(folder)) {
      for (const path of importsOf(file)) {
        count++;
        const isBelow = [folder, ...below].some((other) => path.startsWith(`${other}/`));
        const isPlatform = folder === "src/cli" && path.startsWith("node:");
        if (!isBelow && !isPlatform) upward.push(`${file} imports ${path}`);
      }
    }
  }
  assertEquals(upward, []);
  assert(count > 200);
});

workerTest("every folder that a folder may import from is imported from", () => {
  const unused: string[] = [];
  for (const [folder, below] of BELOW) {
    const imported = [...filesOf(folder)].flatMap(importsOf);
    for (const other of below) {
      if (!imported.some((path) => path.startsWith(`${other}/`))) unused.push(`${folder} ${other}`);
    }
  }
  assertEquals(unused, []);
});

workerTest("no files import one another in a circle, types included", () => {
  assertEquals(findCircle(allImports()), undefined);
});

workerTest("no folders import one another in a circle, types included", () => {
  const folders = new Map<string, Set<string>>();
  for (const [file, imported] of allImports()) {
    const folder = folderOf(file);
    const targets = folders.get(folder) ?? new Set();
    for (const path of imported) if (folderOf(path) !== folder) targets.add(folderOf(path));
    folders.set(folder, targets);
  }
  assertEquals(findCircle(folders), undefined);
});

workerTest("a circle is found where there is one", () => {
  const edges = new Map([["a", new Set(["b"])], ["b", new Set(["c"])], ["c", new Set(["b"])]]);
  assertEquals(findCircle(edges), ["b", "c", "b"]);
});

workerTest("comments stay within 100 columns", () => {
  const long: string[] = [];
  for (const folder of ["src", "model", "tests", "bench", "examples"]) {
    for (const file of filesOf(folder)) {
      const lines = Deno.readTextFileSync(new URL(file, ROOT)).split("\n");
      for (const [i, line] of lines.entries()) {
        if (/^\s*(\/\/|\/\*|\*)/.test(line) && line.length > 100) long.push(`${file}:${i + 1}`);
      }
    }
  }
  assertEquals(long, []);
});
