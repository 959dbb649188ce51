/**
 * The kinds of log entries, and their properties.
 *
 * The scheduler orders *operations*: a transition begins with one. All other entries are *plain*:
 * they take effect while their thread runs on to its next operation.
 *
 * To add a kind, give it a constant, a place in one of the types below, and a row in
 * {@linkcode KINDS}; the compiler then asks for its detail, its effects and its text.
 *
 * @module
 */

export const LOAD = 0;
export const STORE = 1;
export const ADD = 2;
export const SUB = 3;
export const AND = 4;
export const OR = 5;
export const XOR = 6;
export const EXCHANGE = 7;
export const COMPARE_EXCHANGE = 8;
/** `Atomics.wait` compares the value, and either falls asleep or returns. */
export const WAIT = 9;
/** A sleeping `Atomics.wait` returns: it was notified, or its timeout expired. */
export const WAKE = 10;
export const NOTIFY = 11;
export const WAIT_ASYNC = 12;
/** The promise of an `Atomics.waitAsync` is resolved. */
export const RESUME = 13;
export const PAUSE = 14;
export const SPAWN = 15;
export const JOIN = 16;
/** A recorded call begins. */
export const CALL = 17;
/** A recorded call returns. */
export const RETURN = 18;
/** A plain read. */
export const READ = 19;
/** A plain write. */
export const WRITE = 20;
/** The thread creates a view. */
export const VIEW = 21;
/** The thread creates a buffer. */
export const BUFFER = 22;
/** The thread reads the clock. */
export const CLOCK = 23;
/** A span of speculative reads begins. */
export const SPAN_BEGIN = 24;
/** A span of speculative reads ends. */
export const SPAN_END = 25;

/** Loads, stores and read-modify-writes. */
export type AccessKind =
  | typeof LOAD
  | typeof STORE
  | typeof ADD
  | typeof SUB
  | typeof AND
  | typeof OR
  | typeof XOR
  | typeof EXCHANGE
  | typeof COMPARE_EXCHANGE;

/** Operations that compare a value and fall asleep if it is the expected one. */
export type WaitKind = typeof WAIT | typeof WAIT_ASYNC;

/** Operations that may have to wait for another thread before they take effect. */
export type BlockingKind = typeof WAKE | typeof RESUME | typeof PAUSE | typeof JOIN;

/** Operations that are functions of `Atomics` and take a view and an index. */
export type AtomicsKind = AccessKind | WaitKind | typeof NOTIFY;

/** Operations: the scheduler orders them. */
export type OperationKind =
  | AtomicsKind
  | BlockingKind
  | typeof SPAWN
  | typeof CALL
  | typeof RETURN;

/** Entries between two operations of a thread. */
export type PlainKind =
  | typeof READ
  | typeof WRITE
  | typeof VIEW
  | typeof BUFFER
  | typeof CLOCK
  | typeof SPAN_BEGIN
  | typeof SPAN_END;

export type Kind = OperationKind | PlainKind;

/** The properties of a kind. */
export interface KindTraits {
  /** The name in reports. */
  readonly name: string;
  /** Whether the scheduler orders it; see {@linkcode OperationKind}. */
  readonly isOperation: boolean;
  /** Whether it is a load, a store or a read-modify-write; see {@linkcode AccessKind}. */
  readonly isAccess: boolean;
  /** Whether it reads its range of memory. */
  readonly reads: boolean;
  /** Whether it may write its range of memory; a failed compareExchange does not. */
  readonly mayWrite: boolean;
  /** Whether it may put its thread to sleep; see {@linkcode WaitKind}. */
  readonly sleeps: boolean;
  /** Whether it may have to wait for another thread before it takes effect. */
  readonly mayBlock: boolean;
}

/** All rows get their fields in one order, so that reading a trait is a monomorphic load. */
function traits(
  name: string,
  isOperation: boolean,
  {
    isAccess = false,
    reads = false,
    mayWrite = false,
    sleeps = false,
    mayBlock = false,
  }: Partial<KindTraits> = {},
): KindTraits {
  return { name, isOperation, isAccess, reads, mayWrite, sleeps, mayBlock };
}

const operation = (name: string, rest?: Partial<KindTraits>) => traits(name, true, rest);
const readModifyWrite = (name: string) =>
  operation(name, { isAccess: true, reads: true, mayWrite: true });
const plain = (name: string, rest?: Partial<KindTraits>) => traits(name, false, rest);

/** The table of all kinds. */
export const KINDS: { readonly [K in Kind]: KindTraits } = {
  [LOAD]: operation("load", { isAccess: true, reads: true }),
  [STORE]: operation("store", { isAccess: true, mayWrite: true }),
  [ADD]: readModifyWrite("add"),
  [SUB]: readModifyWrite("sub"),
  [AND]: readModifyWrite("and"),
  [OR]: readModifyWrite("or"),
  [XOR]: readModifyWrite("xor"),
  [EXCHANGE]: readModifyWrite("exchange"),
  [COMPARE_EXCHANGE]: readModifyWrite("compareExchange"),
  [WAIT]: operation("wait", { reads: true, sleeps: true }),
  [WAKE]: operation("wake", { mayBlock: true }),
  [NOTIFY]: operation("notify"),
  [WAIT_ASYNC]: operation("waitAsync", { reads: true, sleeps: true }),
  [RESUME]: operation("resume", { mayBlock: true }),
  [PAUSE]: operation("pause", { mayBlock: true }),
  [SPAWN]: operation("spawn"),
  [JOIN]: operation("join", { mayBlock: true }),
  [CALL]: operation("call"),
  [RETURN]: operation("return"),
  [READ]: plain("read", { reads: true }),
  [WRITE]: plain("write", { mayWrite: true }),
  [VIEW]: plain("new view"),
  [BUFFER]: plain("new buffer"),
  [CLOCK]: plain("clock"),
  [SPAN_BEGIN]: plain("begin speculation"),
  [SPAN_END]: plain("end speculation"),
};
