/**
 * What a tired programmer might have written instead of an operation.
 *
 * @module
 */

import {
  ADD,
  AND,
  type AtomicsKind,
  COMPARE_EXCHANGE,
  EXCHANGE,
  LOAD,
  NOTIFY,
  OR,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  XOR,
} from "../machine/kinds.ts";

/** A function of `Atomics`, by its kind. */
export type Perform = (
  kind: AtomicsKind,
  view: unknown,
  index: unknown,
  a?: unknown,
  b?: unknown,
) => unknown;

/** A call of a function of `Atomics`. */
export interface Call {
  readonly kind: AtomicsKind;
  readonly view: unknown;
  readonly index: unknown;
  readonly a: unknown;
  readonly b: unknown;
}

/** One way to get a call wrong. */
export interface Change {
  /** What is done instead, in a few words. */
  readonly name: string;
  /** Whether it makes a difference to a call: notifying one of one does not. */
  readonly applies?: (call: Call) => boolean;
  /** Makes the wrong call, by right ones. */
  perform(call: Call, perform: Perform): unknown;
}

const elements = (view: unknown) => view as Record<number, unknown>;
const at = (index: unknown) => Number(index ?? 0);

const plainLoad: Change = {
  name: "a plain read",
  perform: ({ view, index }) => elements(view)[at(index)],
};
const plainStore: Change = {
  name: "a plain write",
  perform: ({ view, index, a }) => elements(view)[at(index)] = a,
};
const noStore: Change = { name: "nothing", perform: ({ a }) => a };
const onlyLoad: Change = {
  name: "a load: nothing is written",
  perform: ({ view, index }, perform) => perform(LOAD, view, index),
};
const noNotify: Change = { name: "nothing", perform: () => 0 };
const notifyOne: Change = {
  name: "notify of one",
  applies: ({ a }) => a === undefined || Number(a) > 1,
  perform: ({ view, index }, perform) => perform(NOTIFY, view, index, 1),
};
/** As if the value to sleep at were read only then. */
const sleepAtAnything: Change = {
  name: "a wait at whatever the value is",
  perform: ({ kind, view, index, b }, perform) =>
    perform(kind, view, index, perform(LOAD, view, index), b),
};
const alwaysExchange: Change = {
  name: "an exchange: the value before does not matter",
  perform: ({ view, index, b }, perform) => perform(EXCHANGE, view, index, b),
};

/** A load and a store instead of one operation. */
function inTwoSteps(compute: (before: never, call: Call) => unknown): Change {
  return {
    name: "a load and a store: not atomic",
    perform(call, perform) {
      const { view, index } = call;
      const before = perform(LOAD, view, index);
      const after = compute(before as never, call);
      if (after !== undefined) perform(STORE, view, index, after);
      return before;
    },
  };
}

const modifies = (compute: (before: number, operand: number) => number): readonly Change[] => [
  onlyLoad,
  inTwoSteps((before, { a }) => compute(before, a as number)),
];

/** The ways to get each function wrong. */
export const changes: Readonly<Record<AtomicsKind, readonly Change[]>> = {
  [LOAD]: [plainLoad],
  [STORE]: [noStore, plainStore],
  [ADD]: modifies((before, operand) => before + operand),
  [SUB]: modifies((before, operand) => before - operand),
  [AND]: modifies((before, operand) => before & operand),
  [OR]: modifies((before, operand) => before | operand),
  [XOR]: modifies((before, operand) => before ^ operand),
  [EXCHANGE]: modifies((_, operand) => operand),
  [COMPARE_EXCHANGE]: [
    onlyLoad,
    alwaysExchange,
    inTwoSteps((before, { a, b }) => before === a ? b : undefined),
  ],
  [WAIT]: [sleepAtAnything],
  [WAIT_ASYNC]: [sleepAtAnything],
  [NOTIFY]: [noNotify, notifyOne],
};
