/**
 * The command line: shows Busbar at work.
 *
 * ```sh
 * deno run --allow-read jsr:@busbar/busbar/cli demo [FILE]
 * ```
 *
 * Importing this module runs nothing; {@link runCommand} does.
 *
 * @module
 */

import { runDemo } from "./demo/demo.ts";
import { CommandError, type Output, printable } from "./output.ts";

export type { Output };

const HELP = `Usage: deno run --allow-read jsr:@busbar/busbar/cli COMMAND [OPTION]...

  demo    streams a file over one ring to three workers

COMMAND --help tells more.`;

/**
 * Runs the command that the first argument names.
 *
 * @example Usage
 * ```ts
 * import { runCommand } from "@busbar/busbar/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await runCommand(["demo", "--help"]), 0);
 * ```
 *
 * @param args The arguments, the command's name first.
 * @param output Where to write; the console by default.
 * @returns The exit code: 0 on success, otherwise 1, with the reason written as an error.
 */
export async function runCommand(args: string[], output: Output = console): Promise<number> {
  const [name, ...rest] = args;
  try {
    if (name === "demo") return await runDemo(rest, output);
    if (name !== undefined && !["--help", "-h", "help"].includes(name)) {
      throw new CommandError(
        `Cannot run '${printable(name)}' as it is not a command: expected demo`,
      );
    }
    output.log(HELP);
    return name === undefined ? 1 : 0;
  } catch (error) {
    // Any other error is a defect, and is shown with its stack.
    output.error(error instanceof CommandError ? error.message : error);
    return 1;
  }
}

if (import.meta.main) {
  // Exits explicitly, so that no worker can keep the process alive.
  Deno.exit(await runCommand(Deno.args));
}
