/**
 * A model checker for code that shares memory: runs unmodified code against `Atomics` through every
 * thread schedule that matters, and shows the one that fails.
 *
 * @module
 */

export {
  ExplorationError,
  explore,
  type ExploreOptions,
  IncompleteError,
  type Report,
  type Results,
  type StrategyName,
  type Threads,
} from "./explore.ts";
export type { AccessReport, Failure, FailureKind } from "./failure.ts";
export type { Step } from "./table.ts";
