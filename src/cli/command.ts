/**
 * What every command is given and may throw.
 *
 * @module
 */

/** Where a command writes. */
export interface Terminal {
  /** Whether results may be styled. */
  readonly isStyled: boolean;
  /** Writes a result and ends the line. */
  print(text: string): void;
  /** Writes what went wrong and ends the line. */
  printError(text: string): void;
  /**
   * Shows how far a command is, on a line that the next call replaces; an empty text removes it.
   * Undefined where nobody watches.
   */
  readonly showProgress?: ((text: string) => void) | undefined;
}

/** A failure that was foreseen: its message says all that the user needs to know. */
export class CommandError extends Error {
  /** Makes the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
  }
}
