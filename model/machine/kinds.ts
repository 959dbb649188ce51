/**
 * The kinds of log entries, and their properties.
 *
 * The scheduler orders *operations*: a transition begins with one. All other entries are *plain*:
 * they take effect while their thread runs on to its next operation.
 *
 * To add a kind, give it a constant, a place in one of the types below, and a row in
 * {@linkcode KINDS}; the compiler then asks for its effects, its text and its dependences.
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
/** A mortal thread dies, wherever it is; of a thread of its own, which does nothing else. */
export const DIE = 26;

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

/** Operations by which a thread may go on although nothing told it to. */
export type YieldKind = typeof WAKE | typeof RESUME | typeof PAUSE;

/** Operations that are functions of `Atomics` and take a view and an index. */
export type AtomicsKind = AccessKind | WaitKind | typeof NOTIFY;

/** Operations: the scheduler orders them. */
export type OperationKind =
  | AtomicsKind
  | BlockingKind
  | typeof SPAWN
  | typeof CALL
  | typeof RETURN
  | typeof DIE;

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

/** The properties that the types above state: the compiler checks that the table agrees. */
interface TypedTraits<K extends Kind> extends KindTraits {
  readonly isOperation: K extends OperationKind ? true : false;
  readonly isAccess: K extends AccessKind ? true : false;
  readonly sleeps: K extends WaitKind ? true : false;
  readonly mayBlock: K extends BlockingKind ? true : false;
}

// All literals have their fields in one order, and so one hidden class.

const access = (name: string, reads: boolean, mayWrite: boolean) => ({
  name,
  isOperation: true,
  isAccess: true,
  reads,
  mayWrite,
  sleeps: false,
  mayBlock: false,
} as const);

const wait = (name: string) => ({
  name,
  isOperation: true,
  isAccess: false,
  reads: true,
  mayWrite: false,
  sleeps: true,
  mayBlock: false,
} as const);

const blocking = (name: string) => ({
  name,
  isOperation: true,
  isAccess: false,
  reads: false,
  mayWrite: false,
  sleeps: false,
  mayBlock: true,
} as const);

const other = (name: string) => ({
  name,
  isOperation: true,
  isAccess: false,
  reads: false,
  mayWrite: false,
  sleeps: false,
  mayBlock: false,
} as const);

const plain = (name: string, reads = false, mayWrite = false) => ({
  name,
  isOperation: false,
  isAccess: false,
  reads,
  mayWrite,
  sleeps: false,
  mayBlock: false,
} as const);

/** The table of all kinds. */
export const KINDS: { readonly [K in Kind]: TypedTraits<K> } = {
  [LOAD]: access("load", true, false),
  [STORE]: access("store", false, true),
  [ADD]: access("add", true, true),
  [SUB]: access("sub", true, true),
  [AND]: access("and", true, true),
  [OR]: access("or", true, true),
  [XOR]: access("xor", true, true),
  [EXCHANGE]: access("exchange", true, true),
  [COMPARE_EXCHANGE]: access("compareExchange", true, true),
  [WAIT]: wait("wait"),
  [WAIT_ASYNC]: wait("waitAsync"),
  [WAKE]: blocking("wake"),
  [RESUME]: blocking("resume"),
  [PAUSE]: blocking("pause"),
  [JOIN]: blocking("join"),
  [NOTIFY]: other("notify"),
  [SPAWN]: other("spawn"),
  [CALL]: other("call"),
  [RETURN]: other("return"),
  [DIE]: other("die"),
  [READ]: plain("read", true, false),
  [WRITE]: plain("write", false, true),
  [VIEW]: plain("new view"),
  [BUFFER]: plain("new buffer"),
  [CLOCK]: plain("clock"),
  [SPAN_BEGIN]: plain("begin speculation"),
  [SPAN_END]: plain("end speculation"),
};
