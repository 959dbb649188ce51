/**
 * Evidence that a search has seen what it was asked to judge: a search that passes because nothing
 * happened proves nothing.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import { CALL, READ, WRITE } from "../machine/kinds.ts";
import type { Execution } from "../machine/execution.ts";
import type { Thread } from "../machine/thread.ts";
import type { Results, Threads } from "../options.ts";

/** A condition that some execution must meet at its end. */
export type Condition = (state: unknown, results: Results<Threads<unknown>>) => boolean;

/** What the executions of one search have shown so far. */
export class Evidence {
  /** The conditions that no execution has met. */
  readonly #unmet: Map<string, Condition>;
  /** Whether calls must be recorded, and none was so far. */
  #lacksCalls: boolean;

  constructor(conditions: Readonly<Record<string, Condition>>, needsCalls: boolean) {
    this.#unmet = new Map(Object.entries(conditions));
    this.#lacksCalls = needsCalls;
  }

  /** The conditions to look at when an execution has ended. */
  get unmet(): ReadonlyMap<string, Condition> {
    return this.#unmet;
  }

  /** A condition is met. */
  met(name: string): void {
    this.#unmet.delete(name);
  }

  /** Looks at the trace of an execution that has ended. */
  look({ trace }: Execution): void {
    if (this.#lacksCalls && trace.some((entry) => entry.kind === CALL)) this.#lacksCalls = false;
  }

  /** The failure of a search that has ended. */
  failure(executions: number): Failure | undefined {
    const visited = `${executions} ${executions === 1 ? "was" : "were"} visited`;
    if (this.#lacksCalls) {
      return {
        kind: "misuse",
        message: "A specification is given (`linearizable`), but no thread made a call with " +
          `\`record\` in any execution (${visited}): nothing was compared with it`,
      };
    }
    if (this.#unmet.size === 0) return undefined;
    const names = [...this.#unmet.keys()].map((name) => `"${name}"`).join(", ");
    return { kind: "unreached", message: `No execution reached ${names}: ${visited}` };
  }
}

/**
 * The failure of an execution in which a declared thread has ended without an operation or a plain
 * access, if there is one.
 */
export function idleFailure(
  threads: readonly (Thread | undefined)[],
  declared: number,
): Failure | undefined {
  const idle = threads.slice(0, declared).find((thread) =>
    thread?.done &&
    !thread.log.some(({ kind, traits: { isOperation } }) =>
      isOperation || kind === READ || kind === WRITE
    )
  );
  return idle && {
    kind: "misuse",
    message: `Thread ${idle.name} touched no shared memory: did it run? Its body has made no ` +
      "atomic operation and no access to the model's memory that could be seen. Leave it out if " +
      "it has nothing to do, or let it call Atomics.pause()",
  };
}
