/**
 * What can be wrong with an execution.
 *
 * @module
 */

/** How an execution failed. */
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
  | "misuse";

/** One of the accesses that a failure is about. */
export interface AccessReport {
  /** Name of the thread. */
  readonly thread: string;
  /** What it did, for instance `plain write of 4 bytes at ring.data+8`. */
  readonly access: string;
  /** The step of the schedule that it is part of, from 1; 0 if its thread had made none yet. */
  readonly step: number;
  /** The source lines that led there, innermost first. */
  readonly lines: readonly string[];
}

/** Why an execution failed. */
export interface Failure {
  /** The class of failure. */
  readonly kind: FailureKind;
  /** One or more sentences. */
  readonly message: string;
  /** The accesses concerned, where there are any. */
  readonly accesses?: readonly AccessReport[];
  /** What the code under test threw. */
  readonly cause?: unknown;
}
