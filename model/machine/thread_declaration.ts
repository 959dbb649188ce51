/**
 * A thread as the model or another thread declares it, before it runs.
 *
 * @module
 */

/** The code of a thread: a plain or async function of the state that `setup` returned. */
export type Body = (state: never) => unknown;

/** The identity and the code of a thread. */
export interface ThreadDeclaration {
  /** Its number: the same in every execution. */
  readonly id: number;
  /** The name that it asks for, if any. */
  readonly name: string | undefined;
  readonly body: Body;
  /** The number of the mortal thread whose death it is; else undefined. */
  readonly victim?: number;
}
