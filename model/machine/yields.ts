/**
 * Points at which a thread waits for others without being told of a change: *yields*.
 *
 * A yield is a pause, or a timeout that expires. A thread that yields in a loop would have endless
 * executions. So before a yield it is looked ahead, with all that the thread has read unchanged:
 *
 * - If the thread then stops waiting by itself, as it counts its rounds, say, the yield is *free*:
 *   it takes effect at any time. From the {@linkcode MAX_FREE_ROUNDS}th round in a row on, the
 *   rounds up to the last one are run without interleaving: they are *hurried*.
 * - If it waits on, as it did in the round before, the yield is *held* until a range that the
 *   thread reads has changed, or a thread sleeps on a list that it notifies, or no other thread can
 *   run: then it is *forced*. A loop that changes memory in each round is held from the
 *   {@linkcode MAX_FREE_ROUNDS}th round in a row on.
 *
 * A wait with a timeout is no loop: the first timeout in a row is free.
 *
 * @module
 */

import {
  type Entry,
  isForced,
  isYield,
  type Operation,
  touchesMemory,
  type Watch,
  type Yield,
  type YieldDetail,
} from "./entry.ts";
import type { Execution } from "./execution.ts";
import { PAUSE, READ, RESUME, WAKE } from "./kinds.ts";
import { historyOf, KnownLoops, loopsOf } from "./known_loops.ts";
import { isSameCall, isSamePlace, LookAhead, type LookBounds } from "./lookahead.ts";
import type { Outlook } from "./outlook.ts";
import { replay } from "./runner.ts";
import type { Thread } from "./thread.ts";

/** So many free rounds in a row are interleaved with other threads. */
const MAX_FREE_ROUNDS = 4;
/** So many accesses at most in a round, on average, are looked at. */
const ACCESSES_PER_ROUND = 20;
/** The most outlooks that are kept for one moment of a thread. */
const MAX_OUTLOOKS = 16;
/** Before a yield is forced, so many accesses are looked at. */
const FAR_ACCESSES = 100_000;
/** A round is compared with so many before it: a loop may go through several words in turn. */
const MAX_COMPARED_ROUNDS = 32;
/** Rounds with more entries are not compared: then the yield is the first in a row. */
const MAX_ROUND_ENTRIES = 512;

/** Whether the present yield of a thread may take effect although nothing forces it. */
export function isReleased({ isHeld, watches, emptyLists }: YieldDetail): boolean {
  return !isHeld || watches.some(hasChanged) ||
    emptyLists.some(({ list }) => list.sleepers.length > 0);
}

/** Whether a range that a thread watches was written. */
function hasChanged({ buffer, start, size, version }: Watch): boolean {
  return buffer.version(start, size) !== version;
}

/** Whether an operation that took effect was a yield: nothing told the thread to go on. */
export function hasYielded(entry: Entry): entry is Yield {
  return entry.kind === PAUSE ||
    ((entry.kind === WAKE || entry.kind === RESUME) && entry.result === "timed-out");
}

/** Whether the announced yield of a thread can take effect by time, now or later. */
function canExpire(thread: Thread, entry: Yield): boolean {
  if (entry.kind === PAUSE) return true;
  if (entry.kind === WAKE) return !entry.detail.sleeper!.notified && isTimed(entry.detail);
  return thread.outstanding.some(({ detail }) => isTimed(detail));
}

function isTimed({ timeoutMs }: { readonly timeoutMs: number }): boolean {
  return timeoutMs !== Infinity;
}

/** Finds out on what the announced yield of a thread depends. */
export function prepareYield(execution: Execution, thread: Thread): void | Promise<void> {
  const entry = thread.announced;
  if (entry === undefined || !isYield(entry) || execution.failure !== undefined) return;
  if (!canExpire(thread, entry)) return;
  const { detail } = entry;
  beginRound(execution, thread, detail);
  if (entry.kind !== PAUSE && detail.similarRounds === 0) return;
  const loops = loopsOf(thread.body);
  const known = thread.moment?.outlooks.find(isStillTrue) ?? loops.outlookAt(execution, thread);
  if (known !== undefined) return applyOutlook(execution, thread, entry, known);
  const { spinLimit } = execution.options;
  const bounds = { rounds: spinLimit, accesses: spinLimit * ACCESSES_PER_ROUND };
  const looked = lookAhead(execution, thread, bounds, loops);
  const take = (outlook: Outlook) => {
    const outlooks = thread.moment?.outlooks;
    if (outlook.isRepeatable && outlooks !== undefined && outlooks.length < MAX_OUTLOOKS) {
      outlooks.push(outlook);
    }
    applyOutlook(execution, thread, entry, outlook);
  };
  return looked instanceof Promise ? looked.then(take) : take(looked);
}

/**
 * Looks much farther ahead before a held yield is forced, as the loop may end after many rounds.
 *
 * @returns Whether the yield is free now.
 */
export function lookFarther(execution: Execution, thread: Thread): boolean {
  const entry = thread.announced;
  if (entry === undefined || !isYield(entry) || !canExpire(thread, entry)) return false;
  const before = thread.log.findLast(hasYielded);
  if (before !== undefined && isForced(before)) return false;
  // What threads with tasks do is not known at once.
  if (execution.hasTasks) return false;
  // Plain reads are no steps, so that a loop which ends may make any number of them.
  const isPlain = thread.log.at(-1)?.kind === READ;
  const rounds = isPlain ? FAR_ACCESSES : execution.options.maxSteps;
  const bounds = { rounds, accesses: FAR_ACCESSES };
  const looked = lookAhead(execution, thread, bounds, new KnownLoops());
  if (looked instanceof Promise || !looked.leaves) return false;
  applyOutlook(execution, thread, entry, looked);
  return true;
}

/** Sets what a thread has done since its yield before, and how often it did so in a row. */
function beginRound({ trace }: Execution, { id, log }: Thread, detail: YieldDetail): void {
  let begin = log.length;
  const end = Math.max(0, log.length - MAX_ROUND_ENTRIES);
  while (begin > end && !hasYielded(log[begin - 1]!)) begin--;
  const previous = begin > 0 ? log[begin - 1]! : undefined;
  const round = log.slice(begin);
  detail.round = round;
  detail.previous = undefined;
  detail.rounds = 0;
  detail.similarRounds = 0;
  if (previous !== undefined && hasYielded(previous)) {
    const ranges = [...round.filter(touchesMemory), ...previous.detail.watches];
    let i = trace.length - 1;
    while (trace[i] !== previous && !(trace[i]!.thread !== id && changes(trace[i]!, ranges))) i--;
    if (trace[i] === previous) {
      detail.previous = previous.detail;
      if (isRepeated(detail, isSameCall)) detail.rounds = previous.detail.rounds + 1;
      if (detail.rounds > 0 || isRepeated(detail, isSamePlace)) {
        detail.similarRounds = previous.detail.similarRounds + 1;
      }
    }
  }
  detail.watches = [];
  detail.emptyLists = [];
  detail.isHeld = false;
  detail.isHurried = false;
}

/** Whether the thread made the calls of its last round in one of the rounds before it. */
function isRepeated(
  { round, previous }: YieldDetail,
  isAlike: (x: Entry, y: Entry) => boolean,
): boolean {
  let before = previous;
  for (let i = 0; i < MAX_COMPARED_ROUNDS && before !== undefined; i++) {
    const calls = before.round;
    if (calls.length === round.length && calls.every((call, k) => isAlike(call, round[k]!))) {
      return true;
    }
    before = before.previous;
  }
  return false;
}

/** Whether an operation has changed one of the ranges. */
function changes(
  { changed, buffer, start, size }: Operation,
  ranges: readonly Pick<Entry, "buffer" | "start" | "size">[],
): boolean {
  return changed &&
    ranges.some((range) =>
      range.buffer === buffer && range.start < start + size && start < range.start + range.size
    );
}

/** Holds or frees a yield by what the thread does next. */
function applyOutlook(execution: Execution, thread: Thread, entry: Yield, outlook: Outlook): void {
  const { detail } = entry;
  const { leaves, rounds, isQuiet, repeats, reads, emptyLists } = outlook;
  const isOver = detail.similarRounds >= MAX_FREE_ROUNDS ||
    (entry.kind === PAUSE && entry.detail.isOfLongLoop);
  detail.isHeld = !leaves && (isOver || (isQuiet && repeats));
  detail.isHurried = leaves && rounds > 0 && detail.rounds >= MAX_FREE_ROUNDS;
  detail.watches = reads.map(({ buffer, start, size }) => ({
    buffer,
    start,
    size,
    version: buffer.version(start, size),
  }));
  detail.emptyLists = emptyLists;
  if (detail.isHeld && execution.options.refusesPolling) refusePolling(execution, thread, entry);
}

/** Fails if a thread waits in a loop without a pause. */
function refusePolling(execution: Execution, thread: Thread, entry: Yield): void {
  if (entry.kind !== PAUSE || !entry.detail.isImplied || entry.detail.isOfLongLoop) return;
  const names = entry.detail.watches.map(({ buffer, start, size }) => buffer.nameOf(start, size));
  execution.fail({
    kind: "spin without pause",
    message: `Thread ${thread.name} polls ${names.join(" and ")}: a loop that waits for another ` +
      "thread must call Atomics.pause() or wait",
  });
}

/** Whether an outlook is true again: the thread would read the same. */
function isStillTrue({ reads, emptyLists }: Outlook): boolean {
  return emptyLists.every(({ list }) => list.sleepers.length === 0) &&
    reads.every(({ buffer, start, bytes }) =>
      bytes.every((byte, i) => buffer.bytes[start + i] === byte)
    );
}

/** Runs a thread on, alone. */
function lookAhead(
  execution: Execution,
  thread: Thread,
  bounds: LookBounds,
  loops: KnownLoops,
): Outlook | Promise<Outlook> {
  const { announced } = thread;
  const polls = announced?.kind === PAUSE && announced.detail.isImplied;
  const history = historyOf(thread);
  let likeness: string | undefined;
  const look = new LookAhead(execution, thread, bounds, polls, (round, reads) => {
    const calls = round.map(({ kind, start }) => `${kind}:${start}`);
    likeness = `${calls.join()} ${reads.map((r) => `${r.buffer.id}:${r.start}=${r.bytes}`).join()}`;
    return loops.isEndless(likeness, history);
  });
  thread.ahead = look;
  const finish = () => {
    thread.ahead = undefined;
    const outlook = look.finish();
    if (likeness !== undefined && !outlook.leaves) loops.add(likeness, history, outlook);
    return outlook;
  };
  const run = replay(execution, thread);
  return run ? run.then(finish) : finish();
}
