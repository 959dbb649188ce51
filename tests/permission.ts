/**
 * Says whether this run may start workers, and declares the tests that need them.
 *
 * A module worker reads its own file and what that imports. Plain `deno test` grants nothing, so
 * such a test is then ignored, under a name that tells how to run it.
 *
 * @module
 */

/** Whether files of this repository may be read, as under `deno test -P` and `deno bench -P`. */
export const mayRead: boolean = Deno.permissions.querySync({
  name: "read",
  path: new URL("..", import.meta.url),
}).state === "granted";

/** Declares a test that starts workers: ignored, naming `-P`, where it may not. */
export function workerTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name: mayRead ? name : `${name} (needs -P)`, ignore: !mayRead, fn });
}
