/**
 * What the explorer needs of the platform, and where that differs: Deno, Node, Bun, pages, workers and
 * worklets. Nothing is looked up before it is called, so importing the explorer works everywhere.
 *
 * @module
 */

/** What may be there of Deno. */
interface DenoLike {
  readonly permissions: { querySync(what: { name: "env"; variable: string }): { state: string } };
  readonly env: { get(name: string): string | undefined };
  readonly stderr: { isTerminal(): boolean; writeSync(bytes: Uint8Array): number };
  writeTextFileSync(path: string | URL, text: string): void;
}

/** What may be there of Node, or of what is like it. */
interface ProcessLike {
  readonly env: Record<string, string | undefined>;
  readonly stderr?: { readonly isTTY?: boolean; write(text: string): unknown };
  on(event: "unhandledRejection", listener: (reason: unknown) => void): void;
  off(event: "unhandledRejection", listener: (reason: unknown) => void): void;
  listenerCount(event: "unhandledRejection"): number;
  getBuiltinModule?(name: "node:fs"): {
    writeFileSync(path: string | URL, text: string): void;
  };
}

interface Platform {
  readonly Deno?: DenoLike;
  readonly process?: ProcessLike;
}

const { Deno: deno, process: node } = globalThis as Platform;

/** A variable of the environment; undefined where there is none, or it may not be read. */
export function environment(name: string): string | undefined {
  if (deno !== undefined) {
    const { state } = deno.permissions.querySync({ name: "env", variable: name });
    return state === "granted" ? deno.env.get(name) : undefined;
  }
  return node?.env?.[name];
}

/**
 * Writes a file.
 *
 * @throws {Error} If that is not possible here.
 */
export function writeTextFile(path: string | URL, text: string): void {
  if (deno !== undefined) return deno.writeTextFileSync(path, text);
  // Not by an import, which bundlers would follow into a page.
  const files = node?.getBuiltinModule?.("node:fs");
  if (files === undefined) throw new Error("there are no files here; toHtml() of the error has it");
  files.writeFileSync(path, text);
}

/** Writes to the terminal behind standard error; undefined if that is none. */
export function terminal(): ((text: string) => void) | undefined {
  if (deno !== undefined) {
    const { stderr } = deno;
    if (!stderr.isTerminal()) return undefined;
    const encoder = new TextEncoder();
    return (text) => void stderr.writeSync(encoder.encode(text));
  }
  const stderr = node?.stderr;
  return stderr?.isTTY === true ? (text) => void stderr.write(text) : undefined;
}

/** The reason of rejections that are nobody's business. */
let ignoredReason: unknown;
let isIgnoring = false;

function onRejectionEvent(event: PromiseRejectionEvent): void {
  if (event.reason === ignoredReason) event.preventDefault();
}

function onRejection(reason: unknown): void {
  if (reason === ignoredReason) return;
  // That somebody listens keeps the platform from failing by itself.
  if (node!.listenerCount("unhandledRejection") > 1) return;
  queueMicrotask(() => {
    throw reason;
  });
}

/** Lets promises be rejected with `reason` though nobody handles that, until it is told to stop. */
export function ignoreRejections(reason: unknown): void {
  ignoredReason = reason;
  isIgnoring = true;
  if (deno !== undefined || node?.on === undefined) {
    globalThis.addEventListener?.("unhandledrejection", onRejectionEvent);
  } else {
    node.off("unhandledRejection", onRejection);
    node.on("unhandledRejection", onRejection);
  }
}

/** Ends what {@linkcode ignoreRejections} began. */
export function stopIgnoringRejections(): void {
  isIgnoring = false;
  if (deno !== undefined || node?.on === undefined) {
    globalThis.removeEventListener?.("unhandledrejection", onRejectionEvent);
  } else {
    // Node tells of a rejection only once all microtasks have run.
    setImmediate(() => {
      if (!isIgnoring) node.off("unhandledRejection", onRejection);
    });
  }
}

declare function setImmediate(task: () => void): unknown;
