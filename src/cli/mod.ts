/**
 * The command: shows Busbar at work.
 *
 * ```sh
 * deno run --allow-read jsr:@busbar/busbar/cli demo [FILE]
 * ```
 *
 * Importing this module runs nothing; {@link runCommand} does.
 *
 * @module
 */

import { CommandError, type Terminal } from "./command.ts";
import { DEMO_PURPOSE, demoCommand } from "./demo/demo.ts";
import { printable } from "./format.ts";
import { systemTerminal } from "./system_terminal.ts";

export { CommandError, type Terminal } from "./command.ts";

/** What a command does and how it is run: given its arguments, it ends with an exit code. */
interface Command {
  readonly purpose: string;
  readonly run: (args: string[], terminal: Terminal) => Promise<number>;
}

const COMMANDS = new Map<string, Command>([
  ["demo", { purpose: DEMO_PURPOSE, run: demoCommand }],
]);

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
 * @param terminal Where to write; standard output and standard error by default.
 * @returns The exit code: 0 if all went well, otherwise 1, with the reason written as an error.
 */
export async function runCommand(
  args: string[],
  terminal: Terminal = systemTerminal(),
): Promise<number> {
  const [name, ...rest] = args;
  try {
    if (name === undefined || name === "--help" || name === "-h" || name === "help") {
      terminal.print(helpText());
      return name === undefined ? 1 : 0;
    }
    const command = COMMANDS.get(name);
    if (command === undefined) {
      throw new CommandError(
        `Cannot run '${printable(name)}' as it is not a command: expected ${
          [...COMMANDS.keys()].join(", ")
        }`,
      );
    }
    return await command.run(rest, terminal);
  } catch (error) {
    terminal.printError(describeError(error));
    return 1;
  }
}

/** What was foreseen is told in a sentence; anything else is a defect, and its stack helps. */
function describeError(error: unknown): string {
  if (error instanceof CommandError) return error.message;
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

function helpText(): string {
  const lines = [...COMMANDS].map(([name, { purpose }]) => `  ${name.padEnd(8)}${purpose}`);
  return [
    "Usage: deno run --allow-read jsr:@busbar/busbar/cli COMMAND [OPTION]...",
    "",
    ...lines,
    "",
    "COMMAND --help tells more.",
  ].join("\n");
}

if (import.meta.main) {
  // An exit, so that nothing left running could keep the process alive.
  Deno.exit(await runCommand(Deno.args));
}
