/**
 * Runs tests of test262, each in two fresh realms: natively, and explored.
 *
 * The first message is the source of the explorer, each other one is a test.
 *
 * @module
 */

import vm from "node:vm";

/** A test with the harness that it includes. */
export interface Test {
  readonly name: string;
  readonly source: string;
}

/** What became of a test. */
export interface Outcome {
  readonly kind: "passes" | "fails natively" | "fails" | "hangs" | "dies";
  readonly message: string;
}

interface Realm {
  readonly run: (source: string) => unknown;
}

/** Of the host: what the harness asks of it. */
const HOST = `
globalThis.$262 = {
  global: globalThis,
  createRealm: () => createRealm(),
  detachArrayBuffer: (buffer) => void buffer.transfer(),
  evalScript: (source) => (0, eval)(source),
  gc() {},
};
`;

function newRealm(): Realm {
  const createRealm = () => {
    const other = newRealm();
    return other.run("$262");
  };
  const context = vm.createContext({ MessageChannel, createRealm });
  const run = (source: string) => vm.runInContext(source, context);
  run(HOST);
  return { run };
}

const describe = `(error) => {
  try {
    return error?.name + ": " + error?.message;
  } catch {
    return "an error that cannot be described";
  }
}`;

// A test that redefines properties cannot be repeated, which the explorer finds once it has passed.
const EXPLORE = `(source, report) => model.explore({
  setup: () => new Int32Array(new SharedArrayBuffer(8)),
  threads: {
    a(words) {
      Atomics.load(words, 0);
      (0, eval)(source);
    },
  },
  clock: "virtual",
}).then(
  () => report("passes", ""),
  (error) => {
    const message = String(error?.message).split("\\n")[0];
    const hasPassed = /^nondeterminism: .* was its end at first/.test(message);
    report(hasPassed ? "passes" : "fails", message);
  },
)`;

function failsNatively(source: string): Outcome | undefined {
  const { run } = newRealm();
  try {
    run(source);
    return undefined;
  } catch (error) {
    return { kind: "fails natively", message: (run(describe) as (e: unknown) => string)(error) };
  }
}

function explore(source: string, model: string): Promise<Outcome> {
  const { run } = newRealm();
  run(model);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const report = (kind: Outcome["kind"], message: string) => resolve({ kind, message });
  (run(EXPLORE) as (source: string, report_: typeof report) => void)(source, report);
  return promise;
}

let model: string | undefined;

const scope = self as unknown as {
  onmessage: (event: MessageEvent<string | Test>) => void;
  postMessage(message: Outcome): void;
};

scope.onmessage = async ({ data }) => {
  if (typeof data === "string") {
    model = data;
    return;
  }
  const { source } = data;
  scope.postMessage(failsNatively(source) ?? await explore(source, model!));
};
