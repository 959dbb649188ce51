/**
 * Assertions of the explorer about itself.
 *
 * @module
 */

/** Throws: the explorer is in a state that its own code rules out. */
export function impossible(state: string): never {
  throw new Error(`The explorer has a bug: ${state}`);
}

/** Throws if a kind reaches the end of a `switch` that handles every kind; the compiler agrees. */
export function unhandled(entry: never): never {
  return impossible(`no case for kind ${(entry as { kind: number }).kind}`);
}
