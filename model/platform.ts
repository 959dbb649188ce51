/**
 * Functions of the platform that differ between Deno, Node, Bun, pages, workers and worklets.
 *
 * Nothing is called when the module is imported, so the explorer can be imported everywhere.
 *
 * @module
 */

/** The used part of `Deno`. */
interface DenoLike {
  readonly permissions: {
    querySync(descriptor: { name: "env"; variable: string }): { state: string };
  };
  readonly env: { get(name: string): string | undefined };
  exit(code: number): never;
  readonly stderr: { isTerminal(): boolean; writeSync(bytes: Uint8Array): number };
  writeTextFileSync(path: string | URL, text: string): void;
}

/** The used part of `process` in Node and Bun. */
interface ProcessLike {
  readonly env: Record<string, string | undefined>;
  exit?(code: number): never;
  readonly stderr?: { readonly isTTY?: boolean; write(text: string): unknown };
  on(event: "unhandledRejection", listener: (reason: unknown) => void): void;
  off(event: "unhandledRejection", listener: (reason: unknown) => void): void;
  listenerCount(event: "unhandledRejection"): number;
  nextTick?(task: () => void): void;
  getBuiltinModule?(name: "node:fs"): {
    writeFileSync(path: string | URL, text: string): void;
  };
}

interface Platform {
  readonly Deno?: DenoLike;
  readonly process?: ProcessLike;
}

const { Deno: deno, process: node } = globalThis as Platform;

/** A variable of the environment; undefined if it is not set, or must not be read. */
export function environment(name: string): string | undefined {
  if (deno !== undefined) {
    return mayRead(name) ? deno.env.get(name) : undefined;
  }
  return node?.env?.[name];
}

/** The variables that were asked for, and whether they may be read; asking takes microseconds. */
const readable = new Map<string, boolean>();

function mayRead(variable: string): boolean {
  let isGranted = readable.get(variable);
  if (isGranted === undefined) {
    isGranted = deno!.permissions.querySync({ name: "env", variable }).state === "granted";
    readable.set(variable, isGranted);
  }
  return isGranted;
}

/**
 * Writes a file.
 *
 * @throws {Error} If the platform has no files, or the file cannot be written.
 */
export function writeTextFile(path: string | URL, text: string): void {
  if (deno !== undefined) return deno.writeTextFileSync(path, text);
  // Not an import, which bundlers would resolve for pages, too.
  const files = node?.getBuiltinModule?.("node:fs");
  if (files === undefined) throw new Error("this platform has no files; use toHtml() of the error");
  files.writeFileSync(path, text);
}

/** Where progress is shown. */
export interface TextOutput {
  /** Whether a line can be written over. */
  readonly isTerminal: boolean;
  write(text: string): void;
}

let output: TextOutput | undefined;

/** Standard error; undefined in pages, which have none. */
export function standardError(): TextOutput | undefined {
  return output ??= openStandardError();
}

function openStandardError(): TextOutput | undefined {
  if (deno !== undefined) {
    const { stderr } = deno;
    const encoder = new TextEncoder();
    return {
      isTerminal: stderr.isTerminal(),
      write: (text) => void stderr.writeSync(encoder.encode(text)),
    };
  }
  const stderr = node?.stderr;
  if (stderr === undefined) return undefined;
  return { isTerminal: stderr.isTTY === true, write: (text) => void stderr.write(text) };
}

/** Ends the process with a message, as nothing else can end the code that is running. */
export function abort(message: string): never {
  console.error(message);
  deno?.exit(1);
  node?.exit?.(1);
  // A page cannot end itself. The error stops what does not catch it.
  throw new Error(message);
}

/**
 * Resolves once every queued microtask, and those that they queue, have run.
 *
 * Where there is `process.nextTick`, which runs its tasks as soon as the microtasks are done, no
 * timer or event of other code comes in between, if the caller was called from such a task. Pages
 * have none, so a message to itself is waited for there, and other code may run meanwhile.
 */
export function microtasks(): Promise<void> {
  return nextTick === undefined ? message() : new Promise((resolve) => nextTick(resolve));
}

const nextTick = node?.nextTick?.bind(node);

// The explorer replaces these while it runs the code under test.
const Channel = globalThis.MessageChannel;
const post: MessagePort["postMessage"] | undefined = globalThis.MessagePort?.prototype.postMessage;

/** Resolves by a message to itself. */
function message(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new Channel();
    port1.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    if (post === undefined) port2.postMessage(0);
    else Reflect.apply(post, port2, [0]);
  });
}

const { setImmediate: immediate } = globalThis as { setImmediate?(task: () => void): unknown };

/** Resolves once the platform has reported the promises that are rejected and not handled. */
function rejectionsReported(): Promise<void> {
  if (immediate === undefined) return message();
  // Both Node and Deno report them before such a task.
  return new Promise((resolve) => immediate(resolve));
}

const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

/** Resolves as a promise does, or to `late` if that takes longer than so many milliseconds. */
export async function withinMs<T, L>(promise: PromiseLike<T>, ms: number, late: L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout>;
  const expired = new Promise<L>((resolve) => timer = startTimer(() => resolve(late), ms));
  try {
    return await Promise.race([promise, expired]);
  } finally {
    stopTimer(timer!);
  }
}

/** The reason of the rejections to ignore. */
let ignoredReason: unknown;
/** Whether the other ones are collected, and those that were. */
let areCollected = false;
let collected: unknown[] = [];

/** Whether a rejection is not to be reported by the platform. */
function isTaken(reason: unknown): boolean {
  if (reason === ignoredReason) return true;
  if (areCollected) collected.push(reason);
  return areCollected;
}

function onRejectionEvent(event: PromiseRejectionEvent): void {
  if (isTaken(event.reason)) event.preventDefault();
}

function onRejection(reason: unknown): void {
  // With this listener the platform does not fail by itself, so other reasons are rethrown.
  if (isTaken(reason) || node!.listenerCount("unhandledRejection") > 1) return;
  queueMicrotask(() => {
    throw reason;
  });
}

/**
 * Ignores unhandled rejections with this reason from now on, since they may come late, and collects
 * the other ones until {@linkcode stopCollecting}.
 */
export function collectRejections(ignored: unknown): void {
  ignoredReason = ignored;
  areCollected = true;
  if (deno !== undefined || node?.on === undefined) {
    globalThis.addEventListener?.("unhandledrejection", onRejectionEvent);
  } else {
    node.off("unhandledRejection", onRejection);
    node.on("unhandledRejection", onRejection);
  }
}

/** The reasons of the unhandled rejections since the last call. */
export async function collectedRejections(): Promise<readonly unknown[]> {
  await rejectionsReported();
  const reasons = collected;
  collected = [];
  return reasons;
}

/** Leaves rejections to the platform again, but for those to ignore that come late. */
export function stopCollecting(): void {
  areCollected = false;
  // Elsewhere a listener stays, which heeds the ignored reason only.
  if (deno !== undefined || node?.on === undefined) return;
  void rejectionsReported().then(rejectionsReported).then(() => {
    if (!areCollected) node.off("unhandledRejection", onRejection);
  });
}
