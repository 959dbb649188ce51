/**
 * A model checker for code that shares memory: runs unmodified code against `Atomics` through every
 * thread schedule that matters, and shows the one that fails.
 *
 * @module
 */

export { ExplorationError, explore, IncompleteError } from "./explore.ts";
export type { ExploreOptions, Report, Results, StrategyName, Threads } from "./options.ts";
export type { AccessReport, Failure, FailureKind } from "./failure.ts";
export type { Step } from "./report/steps.ts";
export { record, type Specification } from "./linearizability.ts";
export {
  type ArbitraryOf,
  type FastCheck,
  type ProgramOptions,
  programs,
  threadsOf,
} from "./programs.ts";
export { label, shareBuffer, spawn, type Task } from "./tasks.ts";
