/**
 * The source lines of the code under test that led to a call.
 *
 * @module
 */

/** Enough frames for deep code under test below a few frames of the explorer. */
const MAX_FRAMES = 50;

/** The explorer's folder; undefined in a bundle, where it has no files of its own. */
const directory = /^(.*\/)interception\/stack_lines\.[jt]s$/.exec(import.meta.url ?? "")?.[1];

/** In a bundle: the names of the explorer's functions above and below the code under test. */
const OWN_FUNCTIONS =
  /^(?:async )?(?:new )?(?:#|(?:captureLines|captureStack|stackLines|atomics|callBody|runBody)\d*\b|_?(?:Calls|Machine|Search)\.|(?:Object|Atomics)\.(?:load|store|add|sub|and|or|xor|exchange|compareExchange|wait|waitAsync|notify|pause|get|set|construct)\b)/;

/** The caller's stack; its text is made when it is asked for. */
export function captureStack(maxFrames = MAX_FRAMES): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = maxFrames;
  const stack = new Error();
  Error.stackTraceLimit = limit;
  return stack;
}

/** The stack lines in the code under test, innermost first. */
export function stackLines({ stack = "" }: Error = captureStack()): string[] {
  const lines = stack.split("\n").slice(1).map((line) => line.trim().replace(/^at /, ""));
  // Below them is the runner that called the body; between them, traps and methods of views.
  const end = lines.findIndex((line) => line.includes("runBody") && isOwn(line));
  return lines.slice(0, end < 0 ? undefined : end).filter((line) => !isOwn(line));
}

/** Whether a stack line is the explorer's. */
function isOwn(line: string): boolean {
  if (line.startsWith("Reflect.")) return true;
  return directory === undefined ? OWN_FUNCTIONS.test(line) : line.includes(directory);
}
