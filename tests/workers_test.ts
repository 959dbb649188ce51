import { assertEquals, assertRejects } from "@std/assert";
import { workerTest } from "./permission.ts";
import { runOnWorker } from "./workers.ts";

const bodies = import.meta.resolve("./worker_bodies.ts");

workerTest("a worker returns what its function returns", async () => {
  assertEquals(await runOnWorker<number>(bodies, "double", 21), 42);
  assertEquals(await runOnWorker<number>(bodies, "doubleLater", 21), 42);
});

workerTest("a worker's error arrives with its class and message", async () => {
  await assertRejects(() => runOnWorker(bodies, "refuse", "this"), RangeError, "refused this");
  await assertRejects(() => runOnWorker(bodies, "absent", 0), TypeError, "no function 'absent'");
});
