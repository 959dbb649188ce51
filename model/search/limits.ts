/**
 * The bounds of a search, and what to try when one of them has ended it.
 *
 * @module
 */

import type { LimitName } from "../options.ts";

/** A bound that left schedules out. */
export interface ReachedLimit {
  readonly stoppedBy: LimitName;
  /** In words. */
  readonly reason: string;
}

const SMALLER = "a smaller model: fewer threads, fewer rounds in each, one scenario at a time";
const FEW_SWITCHES = "`preemptions: 2`, which visits all schedules with few switches: most bugs " +
  "need no more";
const RANDOM = '`strategy: "pct"`, which tries random schedules of the whole model';

/**
 * What to try after a search that a limit ended, one line each.
 *
 * @param isDefault Whether the model leaves the choice of schedules to the explorer.
 */
export function advice(stoppedBy: LimitName | undefined, isDefault: boolean): string {
  const attempts = stoppedBy === "preemptions"
    ? ["more `preemptions`, or none of that option: then only schedules that matter are visited"]
    : isDefault
    ? [SMALLER, FEW_SWITCHES, RANDOM, `a higher \`${stoppedBy}\``]
    : [SMALLER, `a higher \`${stoppedBy}\``];
  attempts.push("`allowIncomplete: true`, if what was visited is enough");
  return `No schedule failed. Try:\n${attempts.map((attempt) => `- ${attempt}`).join("\n")}`;
}
