/**
 * What a simulated thread must not use: it differs from run to run, takes real time, or acts
 * outside of the model, once for each run. Each is refused by its name, with what to do instead;
 * setup, check and other code can use it.
 *
 * @module
 */

import { calls, suspendLeftTask } from "./current_calls.ts";
import { replace, replaceGetter } from "./replacements.ts";

type Callable = (...args: never[]) => unknown;

/** Why something is refused, and what to do instead. */
interface Refusal {
  readonly why: string;
  readonly instead: string;
}

const random: Refusal = {
  why: "differs from run to run",
  instead: "choose values in setup, or pass them in",
};
const time: Refusal = {
  why: "differs from run to run",
  instead: 'read Date.now() or performance.now() with `clock: "virtual"`, or pass the time in',
};
const timer: Refusal = {
  why: "takes real time",
  instead: "wait with Atomics.wait, or await Atomics.waitAsync, with a timeout",
};
const computing: Refusal = {
  why: "takes real time, and is resolved by no simulated thread",
  instead: "do it before the exploration, and pass the result in",
};
const acting = "acts outside of the model, once for each of many runs";
const thread: Refusal = {
  why: acting,
  instead: "start threads with spawn, or as threads of the model, and share memory with them",
};
const message: Refusal = {
  why: acting,
  instead: "pass messages through shared memory, and wake their receiver by Atomics.notify",
};
const input: Refusal = {
  why: acting,
  instead: "read what the thread needs before the exploration, and pass it in",
};
const output: Refusal = {
  why: acting,
  instead: "return what the thread has to say, and look at it in check",
};
const lock: Refusal = { why: acting, instead: "lock a word of shared memory" };
const storage: Refusal = { why: acting, instead: "keep state in shared memory" };

/** A function, or class, that a running thread must not call. */
function refusing<F extends Callable>(native: F, name: string, { why, instead }: Refusal): F {
  const refuse = (isNew: boolean) => {
    suspendLeftTask();
    if (!calls?.isThreadRunning) return;
    calls.refuse(`${isNew ? "new " : ""}${name}()`, why, instead);
  };
  return new Proxy(native, {
    apply(target, self, args) {
      refuse(false);
      return Reflect.apply(target, self, args);
    },
    construct(target, args, newTarget) {
      refuse(true);
      return Reflect.construct(target, args, newTarget);
    },
  });
}

/** Refuses functions of an object that the platform has. */
function refuseAll(
  target: object | undefined,
  prefix: string,
  keys: readonly string[],
  refusal: Refusal,
): void {
  if (target === undefined) return;
  for (const key of keys) {
    const name = prefix + key;
    const native = Reflect.getOwnPropertyDescriptor(target, key);
    if (native?.get === undefined) {
      replace(target, key, (native: Callable) => refusing(native, name, refusal));
      continue;
    }
    // Loaded on first use, which this must not be.
    let model: unknown;
    replaceGetter(target, key, (get) => {
      const value = get();
      if (typeof value !== "function") return value;
      return model ??= refusing(value as Callable, name, refusal);
    });
  }
}

/** Refuses to get an object. */
function refuseObject(target: object | undefined, key: string, name: string, refusal: Refusal) {
  if (target === undefined) return;
  replaceGetter(target, key, (get) => {
    suspendLeftTask();
    if (calls?.isThreadRunning) calls.refuse(name, refusal.why, refusal.instead);
    return get();
  });
}

interface Platform {
  readonly Deno?: object;
  readonly Temporal?: { readonly Now: object };
  readonly scheduler?: object;
  readonly process?: {
    readonly hrtime?: object;
    getBuiltinModule?(name: string): { readonly promises: object };
  };
}

const { Deno: deno, Temporal: temporal, scheduler, process: node } = globalThis as Platform;
const { crypto, performance } = globalThis;
const prototypeOf = (object: object | undefined) =>
  object === undefined ? undefined : Reflect.getPrototypeOf(object) ?? undefined;

refuseAll(Math, "Math.", ["random"], random);
refuseAll(crypto, "crypto.", ["getRandomValues", "randomUUID"], random);
const subtle = prototypeOf(crypto?.subtle);
refuseAll(
  subtle,
  "crypto.subtle.",
  Object.keys(Object.getOwnPropertyDescriptors(subtle ?? {})).filter((k) => k !== "constructor"),
  computing,
);
refuseAll(
  globalThis.WebAssembly,
  "WebAssembly.",
  ["compile", "compileStreaming", "instantiate", "instantiateStreaming"],
  computing,
);
refuseAll(
  temporal?.Now,
  "Temporal.Now.",
  ["instant", "plainDateISO", "plainDateTimeISO", "plainTimeISO", "zonedDateTimeISO"],
  time,
);
refuseAll(performance, "performance.", ["mark", "measure"], time);
refuseAll(node?.hrtime, "process.hrtime.", ["bigint"], time);
refuseAll(node, "process.", ["hrtime", "uptime", "cpuUsage"], time);
refuseAll(
  globalThis,
  "",
  ["setTimeout", "setInterval", "requestAnimationFrame", "requestIdleCallback"],
  timer,
);
refuseAll(globalThis.AbortSignal, "AbortSignal.", ["timeout"], timer);
refuseAll(prototypeOf(scheduler), "scheduler.", ["postTask", "yield", "wait"], timer);
refuseAll(globalThis, "", ["Worker", "SharedWorker"], thread);
refuseAll(globalThis, "", ["BroadcastChannel", "MessageChannel", "postMessage"], message);
refuseAll(globalThis.MessagePort?.prototype, "MessagePort.", ["postMessage"], message);
refuseAll(
  globalThis,
  "",
  ["fetch", "WebSocket", "WebSocketStream", "WebTransport", "EventSource", "XMLHttpRequest"],
  input,
);
refuseAll(globalThis, "", ["prompt", "confirm", "importScripts"], input);
refuseAll(globalThis, "", ["alert"], output);
refuseObject(globalThis.navigator, "locks", "navigator.locks", lock);
for (const key of ["localStorage", "sessionStorage", "indexedDB", "caches"]) {
  refuseObject(globalThis, key, key, storage);
}

const FILES = [
  ...["readFile", "writeFile", "appendFile", "open", "stat", "lstat", "readdir", "mkdir", "rm"],
  ...["rename", "copyFile", "unlink", "access"],
];
if (deno === undefined) {
  // In Deno it is large, and not loaded yet.
  const files = node?.getBuiltinModule?.("node:fs");
  refuseAll(files, "fs.", [...FILES, ...FILES.map((name) => `${name}Sync`), "existsSync"], input);
  refuseAll(files, "fs.", ["createReadStream", "createWriteStream"], input);
  refuseAll(files?.promises, "fs.promises.", FILES, input);
}

/** The functions of `Deno` that do nothing but say how the process was started, or as what. */
const HARMLESS = new Set<PropertyKey>([
  ...["inspect", "cwd", "execPath", "hostname", "osRelease", "uid", "gid", "isatty", "consoleSize"],
  ...["test", "bench", "Permissions", "PermissionStatus", "FsFile"],
]);

/** By their names; a thread that is run again gets the same function. */
const refusedOfDeno = new Map<PropertyKey, unknown>();

// One proxy instead of replacing eighty functions.
replace(globalThis, "Deno", (native: object) =>
  new Proxy(native, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function" || calls === undefined || HARMLESS.has(key)) return value;
      suspendLeftTask();
      if (!calls.isThreadRunning) return value;
      let model = refusedOfDeno.get(key);
      if (model === undefined) {
        refusedOfDeno.set(key, model = refusing(value as Callable, `Deno.${String(key)}`, input));
      }
      return model;
    },
  }));
