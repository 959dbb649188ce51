import { assert } from "@std/assert";
import { mayRead, workerTest } from "./permission.ts";

workerTest("workerTest runs only where this repository may be read", () => {
  assert(mayRead);
  assert(Deno.statSync(new URL("../deno.json", import.meta.url)).isFile);
});
