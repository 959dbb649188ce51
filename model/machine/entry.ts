/**
 * One entry of a thread's log: an operation, or a plain access or other event between operations.
 *
 * Replaying a thread answers each of its calls from its log. All entries are objects of one class
 * with one hidden shape, since replay and scheduling read them at every step; fields that only some
 * kinds have are in `detail`, whose type follows from the kind.
 *
 * @module
 */

import type { AnyTypedArray } from "../native.ts";
import type { Clock } from "./clock.ts";
import {
  type AccessKind,
  type BlockingKind,
  type BUFFER,
  type CALL,
  type DIE,
  type JOIN,
  type Kind,
  KINDS,
  type KindTraits,
  type NOTIFY,
  type OperationKind,
  PAUSE,
  type PlainKind,
  RESUME,
  type RETURN,
  type SPAN_END,
  type SPAWN,
  type VIEW,
  type WAIT,
  type WAIT_ASYNC,
  type WaitKind,
  WAKE,
  type YieldKind,
} from "./kinds.ts";
import type { Cell, ModelBuffer, Sleeper } from "./memory.ts";
import type { ThreadDeclaration } from "./thread_declaration.ts";

/** A range that a thread watches, and its version when the thread read it. */
export interface Watch {
  readonly buffer: ModelBuffer;
  readonly start: number;
  readonly size: number;
  readonly version: number;
}

/** A range of bytes whose name is the same in every execution. */
export interface Range {
  readonly buffer: string;
  readonly start: number;
  readonly size: number;
}

/** A place on a waiter list, and for how long it is kept. */
export interface Sleep {
  /** The place; undefined while the thread does not sleep. */
  sleeper: Sleeper | undefined;
  readonly timeoutMs: number;
}

/** The state of a waiter list before a change, which undoing restores. */
export interface ListUndo {
  sleepersBefore: readonly Sleeper[] | undefined;
  /** The clock that the list's critical section had released. */
  listClockBefore: Clock | undefined;
}

/** Of wait and waitAsync. */
export interface WaitDetail extends Sleep, ListUndo {
  /** The index of the promise that waitAsync returned, among those of its thread; else -1. */
  promise: number;
}

/**
 * Of a yield, a pause or an expiring timeout: when it may take effect. It is set before the yield
 * is scheduled.
 */
export interface YieldDetail {
  /** What the thread would read if nothing changed: a change releases the yield if it is held. */
  watches: readonly Watch[];
  /** The waiter lists in which the thread would find no sleeper to wake. */
  emptyLists: readonly Cell[];
  /** The entries of the thread since its yield before, and that yield if no change came between. */
  round: readonly Entry[];
  previous: YieldDetail | undefined;
  /** How many rounds like this one came before in a row, while no other thread changed anything. */
  rounds: number;
  /** The same, but of rounds whose calls may have other operands: a heartbeat, say. */
  similarRounds: number;
  /** Whether it waits for a change, as the thread would go on waiting without one. */
  isHeld: boolean;
  /** Whether the round that follows is run without interleaving. */
  isHurried: boolean;
  /** Whether it ended only because no other thread could run. */
  isForced: boolean;
}

/** The detail of a yield of which nothing is known yet. */
export function newYieldDetail(): YieldDetail {
  return {
    watches: [],
    emptyLists: [],
    round: [],
    previous: undefined,
    rounds: 0,
    similarRounds: 0,
    isHeld: false,
    isHurried: false,
    isForced: false,
  };
}

/** Of wake and resume. */
export interface WakeDetail extends ListUndo, YieldDetail {
  sleeper: Sleeper | undefined;
  timeoutMs: number;
  /** The index of the transition that notified it, or -1. */
  waker: number;
}

/** Of resume: it resolves one of the outstanding promises, which is chosen when it is applied. */
export interface ResumeDetail extends WakeDetail {
  /** The waitAsync calls from which it chose. */
  outstanding: readonly EntryOf<typeof WAIT_ASYNC>[];
  /** The index of the chosen promise. */
  promise: number;
}

/** The detail of each kind that has one. */
export interface Details {
  [WAIT]: WaitDetail;
  [WAIT_ASYNC]: WaitDetail;
  [WAKE]: WakeDetail;
  [RESUME]: ResumeDetail;
  [NOTIFY]: ListUndo & {
    /** The most sleepers that it wakes. */
    readonly count: number;
  };
  [PAUSE]: YieldDetail & {
    /** Whether the explorer has put it into a loop that does not pause. */
    readonly isImplied: boolean;
    /** Whether that is as the loop has gone on for long, rather than as it polls. */
    readonly isOfLongLoop: boolean;
  };
  [SPAWN]: { readonly child: ThreadDeclaration };
  [JOIN]: { readonly child: number };
  /** The number of the mortal thread. */
  [DIE]: { readonly victim: number };
  [CALL]: { readonly name: string; readonly args: readonly unknown[] };
  [RETURN]: {
    readonly call: EntryOf<typeof CALL>;
    /** What the call returned or threw. */
    readonly result: unknown;
    readonly isThrown: boolean;
  };
  [VIEW]: {
    readonly constructor: unknown;
    /** The arguments after the buffer. */
    readonly args: readonly [unknown, unknown];
    readonly view: object;
  };
  [BUFFER]: { readonly buffer: ModelBuffer };
  [SPAN_END]: {
    /** Whether the thread uses its reads of the span. */
    readonly isKept: boolean;
    /** The log index at which the span began. */
    begin: number;
  };
}

const none: readonly Sleeper[] = [];

type DetailOf<K extends Kind> = K extends keyof Details ? Details[K] : undefined;

/** An entry of one kind. */
export class EntryOf<K extends Kind> {
  readonly kind: K;
  /** The properties of the kind. */
  readonly traits: KindTraits;
  /** The number of its thread. */
  readonly thread: number;
  readonly detail: DetailOf<K>;
  /** The range that it accesses, waits at or notifies; undefined for kinds that have none. */
  readonly buffer: ModelBuffer | undefined;
  readonly start: number;
  readonly size: number;

  /** The view through which the thread accesses it; a replay compares this. */
  view: unknown = undefined;
  /** The real array behind that view. */
  real: AnyTypedArray | undefined = undefined;
  /** The element, as the thread passed it. */
  index = 0;
  /** Operands, as the thread passed them. */
  a: unknown = undefined;
  b: unknown = undefined;
  /** The operand, and the value that compareExchange or wait expects, in the element's type. */
  operand: number | bigint = 0;
  expected: number | bigint = 0;
  /** The result of the call. */
  result: unknown = undefined;
  /** Whether it wrote: a failed compareExchange is a read. */
  wrote = false;
  /** Whether it left another value: a write of the same value does not end a spin. */
  changed = false;
  /** The value before, or the bytes before a plain write. */
  before: unknown = undefined;
  /** Of an operation: whether it took effect inside a speculative span. */
  isInSpan = false;
  /**
   * Of an operation, if timeouts are ordered: by what its thread can go on afterwards, if by
   * nothing else, and the earliest deadline of its asynchronous waits.
   */
  sleepers: readonly Sleeper[] = none;
  outstandingMs = Infinity;
  /** The version of the words that it accessed, afterwards. */
  version = 0;
  /** The thread's slot, its own time, and its whole clock, when this took effect. */
  slot = 0;
  time = 0;
  clock: Clock | undefined = undefined;
  cell: Cell | undefined = undefined;
  /** Its range, for footprints; created on first use. */
  range: Range | undefined = undefined;
  /**
   * For undoing: the thread's clock, whether it was done, the streak of forced yields, and who ran
   * hurriedly.
   */
  clockBefore: Clock | undefined = undefined;
  doneBefore = false;
  forcedBefore = 0;
  hurriedBefore: unknown = undefined;
  /** For undoing: the cell's release, and the thread's time in the cell. */
  releaseBefore: Clock | undefined = undefined;
  timeBefore = 0;
  /** For undoing: the releases of the overlapping cells. */
  releasesBefore: readonly (Clock | undefined)[] | undefined = undefined;
  /** For undoing: the race detector's times for the bytes. */
  timesBefore: readonly number[] | undefined = undefined;
  /** For undoing: which of the bytes were initialised. */
  initialisedBefore: Uint8Array | undefined = undefined;

  constructor(
    kind: K,
    thread: number,
    detail: DetailOf<K>,
    buffer: ModelBuffer | undefined,
    start: number,
    size: number,
  ) {
    this.kind = kind;
    this.traits = KINDS[kind];
    this.thread = thread;
    this.detail = detail;
    this.buffer = buffer;
    this.start = start;
    this.size = size;
  }
}

type Union<K extends Kind> = { [L in K]: EntryOf<L> }[K];

/** An entry of any kind; comparing `kind` tells the type of `detail`. */
export type Entry = Union<Kind>;
/** An entry that the scheduler orders. */
export type Operation = Union<OperationKind>;
/** A load, a store or a read-modify-write. */
export type Access = Union<AccessKind>;
/** A wait or a waitAsync. */
export type Wait = Union<WaitKind>;
/** An operation that may have to wait for another thread. */
export type BlockingOperation = Union<BlockingKind>;
/** An entry between two operations. */
export type PlainEntry = Union<PlainKind>;

/** Whether the scheduler orders an entry. */
export function isOperation(entry: Entry): entry is Operation {
  return entry.traits.isOperation;
}

/** Whether an entry is a load, a store or a read-modify-write. */
export function isAccess(entry: Entry): entry is Access {
  return entry.traits.isAccess;
}

/** Whether an entry may have to wait for another thread before it takes effect. */
export function mayBlock(entry: Operation): entry is BlockingOperation {
  return entry.traits.mayBlock;
}

/** Whether an entry reads or writes its range of memory. */
export function touchesMemory({ traits: { reads, mayWrite } }: Entry): boolean {
  return reads || mayWrite;
}

/** A pause, or an operation that a timeout may end. */
export type Yield = Union<YieldKind>;

/** Whether an operation is a yield that took effect only because no other thread could run. */
export function isForced(entry: Entry): boolean {
  return isYield(entry) && entry.detail.isForced;
}

/** Whether an operation is a pause, or one that a timeout may end. */
export function isYield(entry: Entry): entry is Yield {
  const { kind } = entry;
  return kind === PAUSE || kind === WAKE || kind === RESUME;
}
