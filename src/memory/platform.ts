/**
 * Differences between platforms, and replacements where one lacks a function: Node 20 has no
 * `Promise.withResolvers`, an AudioWorklet neither a clock of high resolution nor timers.
 *
 * Nothing here is looked up before it is called, so importing any module works everywhere.
 *
 * @module
 */

/** A promise, and the functions that settle it. */
export interface Deferred<Value> {
  /** The promise. */
  readonly promise: Promise<Value>;
  /** Fulfils it. */
  readonly resolve: (value: Value) => void;
  /** Rejects it. */
  readonly reject: (reason: unknown) => void;
}

/** Makes a promise that is settled from outside. */
export function deferred<Value = void>(): Deferred<Value> {
  let resolve!: (value: Value) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<Value>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

/** The time in milliseconds, by the best clock of the platform. */
export function now(): number {
  return globalThis.performance === undefined ? Date.now() : performance.now();
}

/** Whether this is a process of its own, such as Deno or Node, and not a part of a browser. */
export function isProcess(): boolean {
  return (globalThis as { process?: unknown }).process !== undefined;
}

/** Functions that may be missing from `globalThis`, or from its type. */
interface Globals {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly setTimeout?: (task: () => void, delayMs: number) => unknown;
}

/**
 * Lets the event loop run other tasks: timers, messages, input. Resolves at once on a thread that
 * cannot schedule one.
 */
export function nextTask(): Promise<void> {
  const { setImmediate, setTimeout } = globalThis as Globals;
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else if (globalThis.MessageChannel !== undefined) postToSelf(resolve);
    else if (setTimeout !== undefined) setTimeout(resolve, 0);
    else resolve();
  });
}

/** Runs a task by a message, which browsers do not delay, unlike timers. */
function postToSelf(task: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    task();
  };
  port2.postMessage(undefined);
}

/** A 32-bit number that is unlikely to be chosen again, anywhere. */
export function randomIdentity(): number {
  const { crypto } = globalThis;
  if (crypto === undefined) return Math.floor(Math.random() * 2 ** 32) | 0;
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}
