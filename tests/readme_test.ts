/**
 * The programs of the README are those in `examples`, which `tests/node` and `tests/browser` run.
 */

import { assert } from "@std/assert";
import { workerTest } from "./permission.ts";

const ROOT = new URL("..", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

for (const program of ["broadcast", "queue", "domain"]) {
  for (const file of ["main.ts", "worker.ts"]) {
    workerTest(`the README shows examples/${program}/${file} as it is`, () => {
      const code = read(`examples/${program}/${file}`);
      assert(read("README.md").includes(`\`\`\`ts ignore\n// ${file}\n${code}\`\`\`\n`));
    });
  }
}
