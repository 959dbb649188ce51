import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { explore } from "@busbar/busbar/model";
import {
  installReplacements,
  replaceGetter,
  uninstallReplacements,
} from "../../model/interception/replacements.ts";
import { fails, words } from "./failing.ts";

/** Globals that the compiler does not know, or that only some platforms have. */
// deno-lint-ignore no-explicit-any
const platform = globalThis as any;

const ACTS = "acts outside of the model, once for each of many runs";
const DIFFERS = "differs from run to run";
const WAITS = "takes real time";

/** What a body must not use: its name in the failure, why, what to do instead, and the use. */
const refused: [name: string, why: string, instead: string, use: () => unknown][] = [
  ["Math.random()", DIFFERS, "pass them in", () => Math.random()],
  ["crypto.randomUUID()", DIFFERS, "pass them in", () => crypto.randomUUID()],
  [
    "crypto.getRandomValues()",
    DIFFERS,
    "pass them in",
    () => crypto.getRandomValues(new Uint8Array(1)),
  ],
  ["Date.now()", DIFFERS, "virtual", () => Date.now()],
  ["new Date()", DIFFERS, "virtual", () => new Date()],
  ["Date()", DIFFERS, "virtual", () => Date()],
  ["performance.now()", DIFFERS, "virtual", () => performance.now()],
  ["performance.timeOrigin", DIFFERS, "virtual", () => performance.timeOrigin],
  ["performance.mark()", DIFFERS, "virtual", () => performance.mark("a")],
  ["performance.measure()", DIFFERS, "virtual", () => performance.measure("a")],
  ["process.hrtime()", DIFFERS, "virtual", () => platform.process.hrtime()],
  ["process.hrtime.bigint()", DIFFERS, "virtual", () => platform.process.hrtime.bigint()],
  ["process.uptime()", DIFFERS, "virtual", () => platform.process.uptime()],
  ["Temporal.Now.instant()", DIFFERS, "virtual", () => platform.Temporal.Now.instant()],
  ["Temporal.Now.plainDateISO()", DIFFERS, "virtual", () => platform.Temporal.Now.plainDateISO()],
  ["setTimeout()", WAITS, "Atomics.waitAsync", () => setTimeout(() => {}, 0)],
  ["setInterval()", WAITS, "Atomics.waitAsync", () => setInterval(() => {}, 0)],
  ["AbortSignal.timeout()", WAITS, "Atomics.waitAsync", () => AbortSignal.timeout(0)],
  [
    "crypto.subtle.digest()",
    WAITS,
    "before the exploration",
    () => crypto.subtle.digest("SHA-256", new Uint8Array(1)),
  ],
  [
    "WebAssembly.compile()",
    WAITS,
    "before the exploration",
    () => WebAssembly.compile(new Uint8Array(1)),
  ],
  ["new Worker()", ACTS, "spawn", () => new Worker("data:text/javascript,")],
  ["new BroadcastChannel()", ACTS, "shared memory", () => new BroadcastChannel("a")],
  ["new MessageChannel()", ACTS, "shared memory", () => new MessageChannel()],
  ["fetch()", ACTS, "before the exploration", () => fetch("data:,a")],
  ["new WebSocket()", ACTS, "before the exploration", () => new WebSocket("ws://127.0.0.1:1")],
  [
    "new EventSource()",
    ACTS,
    "before the exploration",
    () => new EventSource("http://127.0.0.1:1"),
  ],
  ["alert()", ACTS, "check", () => alert("a")],
  ["prompt()", ACTS, "before the exploration", () => prompt("a")],
  ["navigator.locks", ACTS, "lock a word", () => platform.navigator.locks.request("a", () => {})],
  ["localStorage", ACTS, "shared memory", () => localStorage.getItem("a")],
  ["caches", ACTS, "shared memory", () => caches.open("a")],
  ["Deno.readFile()", ACTS, "before the exploration", () => Deno.readFile("deno.json")],
  ["Deno.readTextFileSync()", ACTS, "before", () => Deno.readTextFileSync("deno.json")],
  ["Deno.open()", ACTS, "before the exploration", () => Deno.open("deno.json")],
  ["new Deno.Command()", ACTS, "before the exploration", () => new Deno.Command("a")],
];

Deno.test("what a thread must not use is refused by its name, with what to do instead", async () => {
  for (const [name, why, instead, use] of refused) {
    for (
      const body of [
        () => void use(),
        async () => {
          await null;
          await use();
        },
        () => void Promise.resolve().then(use),
      ]
    ) {
      const { message } = await fails("misuse", { setup: words, threads: { a: body } });
      assertStringIncludes(message, `Thread a uses ${name}, which ${why}`);
      assertStringIncludes(message.split("\n")[0]!.slice(message.indexOf(": ")), instead);
    }
  }
});

Deno.test("setup, check, and code after the exploration can use all that threads cannot", async () => {
  const uses = [
    () => assert(Math.random() < 1),
    () => assert(Date.now() > 1e12),
    () => assertMatch(Date(), /^\w+ \w+ \d/),
    () => assert(performance.timeOrigin > 1e12),
    () => assertEquals(crypto.randomUUID().length, 36),
    () => clearTimeout(setTimeout(() => {}, 0)),
    () => {
      const { port1, port2 } = new MessageChannel();
      assert(port1 instanceof MessagePort);
      port1.close();
      port2.close();
    },
    () => new BroadcastChannel("a").close(),
    () => assert(Deno.readTextFileSync(new URL("./failing.ts", import.meta.url)).length > 0),
    () => assert(new AbortController().signal instanceof AbortSignal),
  ];
  const useAll = () => uses.forEach((use) => use());
  await explore({
    setup() {
      useAll();
      return words();
    },
    threads: { a: (w) => Atomics.add(w, 0, 1) },
    check: useAll,
  });
  useAll();
});

Deno.test("the platform's properties are as before, after an exploration", async () => {
  const look = () =>
    [
      [globalThis, "Deno"],
      [globalThis, "Worker"],
      [globalThis, "WebSocket"],
      [globalThis, "queueMicrotask"],
      [globalThis, "setImmediate"],
      [platform.process, "nextTick"],
      [platform.process, "hrtime"],
      [performance, "timeOrigin"],
      [performance, "mark"],
      [navigator, "locks"],
      [AbortSignal, "timeout"],
    ].map(([target, key]) => Object.getOwnPropertyDescriptor(target, key as string));
  const before = look();
  await explore({ setup: words, threads: { a: (w) => Atomics.add(w, 0, 1) } });
  assertEquals(look(), before);
});

Deno.test("what says nothing about time or the outside is not refused", async () => {
  await explore({
    setup: words,
    threads: {
      a(w) {
        assertEquals([typeof Deno.cwd, typeof Worker, typeof fetch], Array(3).fill("function"));
        assertEquals(Deno.inspect([1]), "[ 1 ]");
        assertEquals(new Date(0).toISOString(), "1970-01-01T00:00:00.000Z");
        new AbortController().abort();
        assertEquals(typeof Deno.version.deno, "string");
        return Atomics.add(w, 0, 1);
      },
    },
  });
});

Deno.test("with the virtual clock, every reading starts at 0", async () => {
  await explore({
    setup: words,
    clock: "virtual",
    threads: {
      a(w) {
        const read = () => [
          Date.now(),
          new Date().getTime(),
          new Date(Date()).getTime(),
          performance.now(),
          performance.timeOrigin,
        ];
        const first = read();
        Atomics.wait(w, 0, 0, 5000);
        return [...first, ...read()].join();
      },
    },
    check: (_, { a }) => assertEquals(a, "0,0,0,0,0,5000,5000,5000,5000,0"),
  });
});

Deno.test("a getter that puts the value that it loads in its own place stays replaced", () => {
  const target = {
    get lazy(): string {
      Object.defineProperty(target, "lazy", { value: "native" });
      return "native";
    },
  };
  const native = Object.getOwnPropertyDescriptor(target, "lazy");
  replaceGetter(target, "lazy", (get) => `model of ${get()}`);
  installReplacements();
  const seen = [target.lazy, target.lazy];
  uninstallReplacements();
  assertEquals(seen, ["model of native", "model of native"]);
  assertEquals(Object.getOwnPropertyDescriptor(target, "lazy"), native);
});
