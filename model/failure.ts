/**
 * How an execution can fail.
 *
 * @module
 */

/** The classes of failures. */
export type FailureKind =
  | "assertion"
  | "exception"
  | "data race"
  | "mixed-size race"
  | "deadlock"
  | "livelock"
  | "spin without pause"
  | "uninitialised read"
  | "not linearizable"
  | "nondeterminism"
  | "unreached"
  | "misuse";

/** One of the two accesses of a race, or what a thread did at first, and does in a replay. */
export interface AccessReport {
  /** Name of the thread. */
  readonly thread: string;
  /** The access, for instance `plain write of 4 bytes at ring.data+8`. */
  readonly access: string;
  /** The step that contains it, from 1; 0 if it is before its thread's first step. */
  readonly step: number;
  /** The source lines that led to it, innermost first. */
  readonly lines: readonly string[];
}

/** A failure of an execution. */
export interface Failure {
  /** The class of failure. */
  readonly kind: FailureKind;
  /** One or more sentences. */
  readonly message: string;
  /** The accesses, if the failure is a race, and both runs of a thread, if it is nondeterminism. */
  readonly accesses?: readonly AccessReport[];
  /** The error that the code of the test threw. */
  readonly cause?: unknown;
}
