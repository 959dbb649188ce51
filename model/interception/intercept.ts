/**
 * Replaces the globals that shared-memory code uses by ones that report to a machine, and restores
 * them.
 *
 * The replacements are in place only while a machine runs, from its setup to its last check.
 *
 * @module
 */

import { Bytes } from "../native.ts";
import type { Calls } from "./calls.ts";
import { cloning, refusingShared } from "./copies.ts";
import { calls, current, setCalls, suspendLeftTask, whileThreadRuns } from "./current_calls.ts";
import "./platform_classes.ts";
import "./refusals.ts";
import "./task_functions.ts";
import { buffers, views } from "./registry.ts";
import {
  installReplacements,
  replace,
  replaceGetter,
  uninstallReplacements,
} from "./replacements.ts";
import { untracked } from "./views.ts";

/** Hints of shared-memory code to a checker; both find the slot by name, without an import. */
interface Observer {
  beginSpeculation(): void;
  endSpeculation(kept: boolean): void;
  label(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, name: string): void;
}

const observerSlot = ((globalThis as unknown as Record<symbol, unknown>)[
  Symbol.for("busbar.observer")
] ??= { current: undefined }) as { current: Observer | undefined };

const ModelDate = new Proxy(Date, {
  apply(target, self, args) {
    suspendLeftTask();
    if (!calls?.isThreadRunning) return Reflect.apply(target, self, args);
    return new target(calls.clock("Date()")).toString();
  },
  construct(target, args, newTarget) {
    suspendLeftTask();
    if (args.length === 0 && calls?.isThreadRunning) {
      args = [calls.clock("new Date()")];
    }
    return Reflect.construct(target, args, newTarget);
  },
});

const untrackFirst = (native: (...args: never[]) => unknown) =>
  function (this: unknown, first: unknown, ...rest: never[]) {
    return native.call(this, untracked(current.calls, first) as never, ...rest);
  };

replace(globalThis, "Date", () => ModelDate);
replace(globalThis, "structuredClone", (native: never) => cloning(current, native));
for (const key of ["Blob", "File"]) replace(globalThis, key, refusingShared);
replace(globalThis.TextDecoder?.prototype, "decode", untrackFirst);
replace(
  globalThis.TextEncoder?.prototype,
  "encodeInto",
  (native: typeof TextEncoder.prototype.encodeInto) =>
    function (this: TextEncoder, text: string, into: Uint8Array) {
      if (!views.has(into)) return native.call(this, text, into);
      const copy = new Bytes(into.length);
      const result = native.call(this, text, copy);
      into.set(copy.subarray(0, result.written));
      return result;
    },
);
replace(
  Date,
  "now",
  (native: never) => whileThreadRuns(native, () => calls!.clock("Date.now()")),
);
replace(
  globalThis.performance,
  "now",
  (native: never) => whileThreadRuns(native, () => calls!.clock("performance.now()")),
);

if (globalThis.performance !== undefined) {
  // The virtual clock starts at 0, whichever function reads it.
  replaceGetter(
    globalThis.performance,
    "timeOrigin",
    (get) => {
      suspendLeftTask();
      return calls?.isThreadRunning ? 0 * calls.clock("performance.timeOrigin") : get();
    },
  );
}

const observer: Observer = {
  beginSpeculation: () => calls!.beginSpeculation(),
  endSpeculation: (kept) => calls!.endSpeculation(kept),
  label(buffer, byteOffset, byteLength, name) {
    buffers.get(buffer)?.label(byteOffset, byteLength, name);
  },
};

/**
 * Lets the globals report to the calls of a machine.
 *
 * @throws {Error} If they report to those of another one.
 */
export function install(next: Calls): void {
  if (calls !== undefined) {
    throw new Error("Cannot explore: another exploration is running; await it first");
  }
  setCalls(next);
  installReplacements();
  observerSlot.current = observer;
}

/** Restores the platform's own globals. */
export function uninstall(): void {
  uninstallReplacements();
  observerSlot.current = undefined;
  setCalls(undefined);
}

/**
 * The calls of setup.
 *
 * @param action The action that needs it, for the error.
 * @throws {Error} If no machine is installed, or a simulated thread is running.
 */
export function setupCalls(action: string): Calls {
  if (calls === undefined) throw new Error(`Cannot ${action}: no model is being explored`);
  if (calls.isThreadRunning) throw new Error(`Cannot ${action} in a thread: do it in setup`);
  return calls;
}

/**
 * The calls of the running thread.
 *
 * @param action The action that needs it, for the error.
 * @throws {Error} If no simulated thread is running.
 */
export function runningCalls(action: string): Calls {
  calls?.suspendLeftTask();
  if (!calls?.isThreadRunning) throw new Error(`Cannot ${action}: no simulated thread is running`);
  return calls;
}
