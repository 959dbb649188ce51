/**
 * The graph of consumers: which node handles an event after which others.
 *
 * It is stated before anything runs, as an object with a name for each node, and checked at once:
 *
 *     {
 *       parse: {},
 *       enrich: { after: "parse" },
 *       store: { after: "parse", workers: 3 },
 *       audit: { after: ["enrich", "store"] },
 *     }
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";

/** One node of a graph. */
export interface NodeOptions {
  /** The node or nodes that handle each event before this one; the producers if left out. */
  readonly after?: string | readonly string[];
  /**
   * How many workers can compete for its events: each event goes to one of them. If left out, the
   * node has one consumer, which gets every event.
   */
  readonly workers?: number;
  /** Whether it is removed until a consumer attaches to it, so that nothing waits for it before. */
  readonly absent?: boolean;
  /**
   * Whether nothing ever waits for it, neither producers nor a drain: it loses the events that are
   * overwritten before it reads them, and is told how many. See {@link EventObserver}.
   */
  readonly observer?: boolean;
}

/** The nodes of a graph, by name. */
export type GraphOptions<Name extends string = string> = Readonly<Record<Name, NodeOptions>>;

/** A node, checked. */
export interface Node {
  /** Its name. */
  readonly name: string;
  /** The numbers of the nodes that come before; none if the producers do. */
  readonly after: readonly number[];
  /** How many workers can compete; 0 if it has one consumer. */
  readonly workers: number;
  /** Whether it is removed until a consumer attaches to it. */
  readonly absent: boolean;
  /** Whether nothing waits for it. */
  readonly observer: boolean;
}

/** A graph, checked. It survives structured clone. */
export interface Graph {
  /** The nodes, in the order in which they were stated. */
  readonly nodes: readonly Node[];
}

const ACTION = "create disruptor";
/** The maximum number of workers that compete for the events of one node. */
export const MAX_WORKERS = 8;
/** The maximum number of nodes. */
const MAX_NODES = 1000;

/**
 * Checks a graph.
 *
 * @throws {TypeError} If it has no nodes, a node that is unknown or stated twice, or a cycle.
 * @throws {RangeError} If a number of workers is not from 1 to 8.
 */
export function checkGraph(options: GraphOptions): Graph {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${cannot()} 'consumers' must be an object with a name for each node: received ${
        describe(options)
      }`,
    );
  }
  const names = Object.keys(options);
  if (names.length === 0 || names.length > MAX_NODES) {
    throw new TypeError(
      `${cannot()} 'consumers' must have from 1 to ${MAX_NODES} nodes: received ${names.length}`,
    );
  }
  const nodes = names.map((name) => checkNode(name, options[name]!, names));
  checkAcyclic(nodes);
  checkObservers(nodes);
  return { nodes };
}

function checkNode(name: string, options: NodeOptions, names: readonly string[]): Node {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${cannot()} node "${name}" must be an object such as { after: "parse" }: received ${
        describe(options)
      }`,
    );
  }
  const { after = [], workers, absent = false, observer = false } = options;
  if (workers !== undefined) {
    checkInteger(ACTION, `workers' of node '${name}`, workers, 1, MAX_WORKERS);
  }
  if (observer && (absent || workers !== undefined)) {
    throw new TypeError(
      `${cannot()} node "${name}" is an 'observer', which can neither be 'absent' nor have 'workers'`,
    );
  }
  const before = typeof after === "string" ? [after] : after;
  if (!Array.isArray(before)) {
    throw new TypeError(
      `${cannot()} 'after' of node "${name}" must be a name or an array of names: received ${
        describe(after)
      }`,
    );
  }
  const numbers = (before as readonly string[]).map((other, i) => {
    const number = names.indexOf(other);
    if (number === -1) {
      throw new TypeError(
        `${cannot()} node "${name}" comes after ${
          describe(other)
        }, which is not a node: the nodes are ${names.join(", ")}`,
      );
    }
    if (before.indexOf(other) !== i) {
      throw new TypeError(`${cannot()} node "${name}" comes after "${other}" twice: state it once`);
    }
    return number;
  });
  return { name, after: numbers, workers: workers ?? 0, absent, observer };
}

/** Throws if a node would wait for an observer, or there is nothing else. */
function checkObservers(nodes: readonly Node[]): void {
  for (const { name, after } of nodes) {
    const before = after.find((other) => nodes[other]!.observer);
    if (before === undefined) continue;
    throw new TypeError(
      `${cannot()} node "${name}" comes after "${
        nodes[before]!.name
      }", which is an observer: nothing waits for those`,
    );
  }
  if (nodes.every(({ observer }) => observer)) {
    throw new TypeError(
      `${cannot()} producers wait for none of the nodes, as all are observers: use a Broadcast`,
    );
  }
}

/** Throws if a node comes after itself, naming the whole cycle. */
function checkAcyclic(nodes: readonly Node[]): void {
  const done = new Set<number>();
  const path: number[] = [];
  const visit = (number: number): void => {
    const begin = path.indexOf(number);
    if (begin !== -1) {
      const cycle = [...path.slice(begin), number].map((i) => `"${nodes[i]!.name}"`);
      throw new TypeError(`${cannot()} each node of a cycle would wait: ${cycle.join(" after ")}`);
    }
    if (done.has(number)) return;
    path.push(number);
    nodes[number]!.after.forEach(visit);
    path.pop();
    done.add(number);
  };
  nodes.forEach((_, number) => visit(number));
}

/**
 * The number of a node.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
 * @throws {TypeError} If there is no such node.
 */
export function nodeNumber(graph: Graph, name: string, action: string): number {
  const number = graph.nodes.findIndex((node) => node.name === name);
  if (number !== -1) return number;
  const names = graph.nodes.map((node) => node.name).join(", ");
  throw new TypeError(
    `Cannot ${action} as ${describe(name)} is not a node: the nodes are ${names}`,
  );
}

/** The nodes that no other comes after, but for observers: producers wait for these. */
export function sinksOf({ nodes }: Graph): number[] {
  const before = new Set(nodes.flatMap(({ after, observer }) => observer ? [] : after));
  return nodes.map((_, number) => number)
    .filter((number) => !before.has(number) && !nodes[number]!.observer);
}

function cannot(): string {
  return `Cannot ${ACTION} as`;
}
