/**
 * A model checker for code that shares memory: it runs unmodified code that uses `Atomics` under
 * every thread schedule that matters (stateless model checking with dynamic partial-order
 * reduction), detects data races, deadlocks and lost wake-ups, and shows a failing schedule.
 *
 * @module
 */

export { ExplorationError, explore, IncompleteError } from "./explore.ts";
export type {
  ExploreOptions,
  LimitName,
  Report,
  Results,
  StrategyName,
  Threads,
} from "./options.ts";
export type { AccessReport, Failure, FailureKind } from "./failure.ts";
export type { PlainAccess, Step } from "./report/steps.ts";
export { type Mutant, type MutantOptions, type MutantReport, mutants } from "./mutants.ts";
export { record } from "./record.ts";
export { type ErrorClass, type Specification, Throws, throws } from "./specification.ts";
export {
  type ArbitraryOf,
  type FastCheck,
  type ProgramOptions,
  programs,
  threadsOf,
} from "./programs.ts";
export { awaitDeath, label, shareBuffer, spawn, type Task } from "./tasks.ts";
