/**
 * Which operations of this library does no model need? Runs the models of some tests, and of each
 * that passes its mutants, until each mutant has been noticed by one.
 *
 *     deno task mutants [TESTS...]
 *
 * Without arguments, all tests whose names end with `_model_test.ts`; that takes long, those in
 * `tests/sync` alone more than ten minutes. Prints each mutant that no model notices, by its line,
 * and the share of those that one does.
 *
 * @module
 */

import { MUTANT_LINE } from "./verdicts.ts";

const paths = Deno.args.length > 0 ? Deno.args : ["tests"];
const noticed = new Set<string>();
const survived = new Set<string>();
const command = new Deno.Command(Deno.execPath(), {
  args: ["test", "-P", ...paths.flatMap(modelsIn), "--", "--mutants"],
  stdout: "piped",
  stderr: "inherit",
});
const process = command.spawn();
let rest = "";
for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    const [, verdict, mutant] = MUTANT_LINE.exec(line) ?? [];
    if (mutant !== undefined) (verdict === "noticed" ? noticed : survived).add(mutant);
    else if (/FAILED|^error/.test(line)) console.log(line);
  }
}
const { success } = await process.status;
const survivors = [...survived].filter((mutant) => !noticed.has(mutant)).sort();
for (const survivor of survivors) console.log(`survived: ${survivor}`);
const total = noticed.size + survivors.length;
const percent = (100 * noticed.size / Math.max(1, total)).toFixed(1);
console.log(`\n${noticed.size} of ${total} mutants noticed (${percent} %)`);
Deno.exit(success && total > 0 ? 0 : 1);

/** The tests of models in a folder; a file is itself. */
function modelsIn(path: string): string[] {
  if (Deno.statSync(path).isFile) return [path];
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
    isDirectory || name.endsWith("_model_test.ts") ? modelsIn(`${path}/${name}`) : []
  );
}
