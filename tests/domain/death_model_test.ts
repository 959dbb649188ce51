/**
 * Threads that die at each of their operations, under every schedule that matters: others go on, no
 * torn message is seen, and a reclaim gives up everything that the dead had; and broken twins.
 * `models.ts` describes the slots.
 */

import { assert, assertEquals } from "@std/assert";
import { Domain, type HeldMessage } from "@busbar/busbar/domain";
import { explore, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { EMPTY, ENTRY_STATE, FLAGS, LISTED, READABLE } from "../../src/domain/layout.ts";
import { diesAfter, VISIBLE_OPERATIONS } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails } from "../verdicts.ts";
import {
  domain,
  MAX_MEMBERS,
  numbered,
  numberIn,
  open,
  regionOf,
  SLOT,
  type State,
  unlessExhaustive,
  withWrong,
  wordsOf,
  write,
} from "./models.ts";

const OPTIONS = { ...SLOT, history: 2, holds: 1, writers: 2 };

/** The member that dies. */
const DEAD = 0;

/** A thread that dies before its operation number `life`; returns whether it did. */
function dying(life: number, body: (state: State) => void) {
  return (state: State): boolean => diesAfter(life, () => body(state), VISIBLE_OPERATIONS);
}

/**
 * Visits every schedule, with a thread that dies before its first operation, its second, and so on.
 *
 * @param model The model, by how long the thread lives, and what to call with its fate.
 */
async function untilItLives<S extends State, T extends Threads<S>>(
  model: (life: number, tell: (hasDied: boolean) => void) => ExploreOptions<S, T>,
): Promise<void> {
  let executions = 0;
  let lives = 0;
  for (let life = 0, mayDie = true; mayDie; life++) {
    mayDie = false;
    const tell = (hasDied: boolean) => {
      mayDie ||= hasDied;
    };
    const report = await explore({
      clock: "virtual",
      allowIncomplete: true,
      ...model(life, tell),
    });
    assert(report.complete || report.reason?.includes("preemptions"), report.reason);
    executions += report.executions;
    lives++;
  }
  assert(lives > 5 && executions > lives, `${executions} executions of ${lives} lives`);
}

/** Reclaims a member, if it is one: the dead one by default. */
function reclaim(domain: Domain, member = DEAD): void {
  if (domain.isJoined(member)) domain.reclaim(member);
}

/** Fails unless nothing of a slot is in use, and it works as a new one. */
function checkUnharmed(domain: Domain): void {
  const { members, waiters, slots } = domain.inspect();
  assert(!members.includes(DEAD));
  assertEquals(waiters, 0);
  for (const { name, openWriters, held, subscribers, writers, holds } of slots) {
    assertEquals([openWriters, held, subscribers], [[], [], []]);
    const slot = domain.find(name)!;
    const all = Array.from({ length: writers }, () => slot.writer());
    // As many as there are entries, and more: none is lost.
    for (const [i, writer] of all.entries()) {
      for (let times = 0; times < 8; times++) {
        const number = writer.send(numbered(100 * i + times));
        const reader = slot.reader();
        assert(reader.latest());
        assertEquals([reader.sequence, numberIn(reader.message())], [number, 100 * i + times]);
      }
    }
    // They all claim at once, beside everything that is held.
    const locks: HeldMessage[] = [];
    for (let i = 0; i < holds; i++) locks.push(slot.hold()!);
    for (const writer of all) writer.claim();
    for (const lock of locks) lock.release();
  }
}

/** Fails unless every message that is kept is whole, and one of these. */
function checkKept(domain: Domain, sent: ReadonlySet<number>): void {
  const slot = domain.find("s")!;
  const reader = slot.reader();
  for (let back = 0; back < Math.min(slot.history, slot.sequence); back++) {
    assert(reader.back(back), "a message that is kept cannot be read");
    assert(sent.has(numberIn(reader.message())));
  }
}

Deno.test("domain: whenever a writer dies, others go on, and nothing that it had is lost", async () => {
  await untilItLives((life, tell) => ({
    setup: domain({ s: OPTIONS }),
    threads: {
      dying: dying(life, (state) => {
        const writer = open(state, DEAD).writer();
        for (let i = 1; i <= 3; i++) writer.send(numbered(i));
        writer.claim();
      }),
      living: write(1, 2, { first: 10 }),
    },
    check({ handle }, { dying, living }) {
      tell(dying);
      assertEquals(living.length, 2);
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 1);
      reclaim(other);
      checkKept(other, new Set([1, 2, 3, 10, 11]));
      assert(other.find("s")!.sequence >= 2);
      checkUnharmed(other);
    },
    ...unlessExhaustive(1),
  }));
});

Deno.test("domain: whenever a writer dies, what it had appended is published", async () => {
  await untilItLives((life, tell) => ({
    setup: domain({ s: OPTIONS }),
    threads: {
      dying: dying(life, write(DEAD, 1)),
      reading(state: State) {
        const reader = open(state, 1).reader();
        return reader.latest() ? numberIn(reader.message()) : 0;
      },
    },
    check({ handle }, { dying, reading }) {
      tell(dying);
      const other = Domain.attach(handle, { member: 2 });
      const before = other.find("s")!.sequence;
      reclaim(other);
      const { sequence } = other.find("s")!;
      assert(sequence >= before && sequence >= reading && (dying || sequence === 1));
      checkKept(other, new Set([1]));
      checkUnharmed(other);
    },
  }));
});

Deno.test("domain: whenever a holder dies, its message stays until it is reclaimed", async () => {
  await untilItLives((life, tell) => ({
    setup: () => {
      const state = domain({ s: { ...OPTIONS, history: 1 } })();
      const first = Domain.attach(state.handle, { member: 3 });
      first.find("s")!.writer().send(numbered(1));
      first.close();
      return state;
    },
    threads: {
      dying: dying(life, (state) => {
        const held = open(state, DEAD).hold();
        assert(held === undefined || numberIn(held.bytes) > 0);
        held?.release();
        open(state, DEAD + 3).hold();
      }),
      living: write(1, 3, { first: 10 }),
    },
    check({ handle }, { dying, living }) {
      tell(dying);
      assertEquals(living, [2, 3, 4]);
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 1);
      reclaim(other);
      reclaim(other, 3);
      checkKept(other, new Set([12]));
      checkUnharmed(other);
    },
  }));
});

Deno.test("domain: whenever a waiter dies, it leaves nothing that a reclaim does not remove", async () => {
  await untilItLives((life, tell) => ({
    setup: domain({ s: OPTIONS }),
    threads: {
      dying: dying(life, ({ handle }) => {
        const domain = Domain.attach(handle, { member: DEAD });
        const waiter = domain.waiter();
        const subscription = waiter.subscribe(domain.find("s")!, { history: 2 });
        while (subscription.unread === 0) waiter.wait();
        domain.close();
      }),
      living: write(1, 2),
    },
    check({ handle }, { dying, living }) {
      tell(dying);
      assertEquals(living, [1, 2]);
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 1);
      reclaim(other);
      checkUnharmed(other);
    },
  }));
});

Deno.test("domain: whenever a thread that creates a slot dies, the other gets it", async () => {
  const dataBytes = 2 * Domain.plan(OPTIONS);
  await untilItLives((life, tell) => ({
    setup: () => ({
      handle: Domain.create({ slots: 2, members: MAX_MEMBERS, waiters: 1, dataBytes }).handle,
    }),
    threads: {
      dying: dying(life, ({ handle }) => {
        const domain = Domain.attach(handle, { member: DEAD });
        domain.slot("s", OPTIONS);
        domain.slot("t", OPTIONS);
      }),
      living({ handle }: State) {
        Domain.attach(handle, { member: 1 }).slot("s", OPTIONS);
      },
    },
    check({ handle }, { dying }) {
      tell(dying);
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 1);
      reclaim(other);
      other.slot("t", OPTIONS);
      assertEquals(other.names(), ["s", "t"]);
      checkUnharmed(other);
      const { layout, words } = regionOf(handle);
      const states = Array.from(
        { length: layout.entries },
        (_, entry) => words[layout.entry(entry) + ENTRY_STATE],
      );
      assertEquals(states.filter((state) => state !== 0), [LISTED, LISTED]);
    },
  }));
});

/** Waits for the death of a thread. */
function untilDead(words: Int32Array): void {
  Atomics.wait(words, 0, 0);
}

interface Mortal extends State {
  /** 1 once the thread that may die is no more. */
  readonly isOver: Int32Array;
}

/** A domain with a thread that may die. */
function mortal(): Mortal {
  return { ...domain({ s: OPTIONS })(), isOver: new Int32Array(new SharedArrayBuffer(4)) };
}

/** Runs the life of a thread, and tells that it is over. */
function live<Result>(state: Mortal, body: (state: State) => Result): Result {
  const result = body(state);
  Atomics.store(state.isOver, 0, 1);
  Atomics.notify(state.isOver, 0);
  return result;
}

/** A thread that waits for one message. */
function waitForOne({ handle }: State): number {
  const domain = Domain.attach(handle, { member: 2 });
  const waiter = domain.waiter();
  const subscription = waiter.subscribe(domain.find("s")!, { history: 2 });
  while (!subscription.next()) waiter.wait();
  return numberIn(subscription.message());
}

Deno.test("domain: a waiter that a dead writer would have woken is woken by the reclaim", async () => {
  interface Bodies extends Threads<Mortal> {
    readonly dying: (state: Mortal) => boolean;
  }
  await untilItLives<Mortal, Bodies>((life, tell) => ({
    setup: mortal,
    threads: {
      dying: (state: Mortal) => live(state, dying(life, write(DEAD, 1))),
      reclaiming({ handle, isOver }: Mortal) {
        untilDead(isOver);
        const domain = Domain.attach(handle, { member: 1 });
        reclaim(domain);
        if (domain.find("s")!.sequence === 0) domain.find("s")!.writer().send(numbered(2));
      },
      waiter: waitForOne,
    },
    check: (_, { dying }) => tell(dying),
  }));
});

Deno.test("domain: a thread that reclaims may die, too, and another begins again", async () => {
  await untilItLives((life, tell) => ({
    setup: () => {
      const state = domain({ s: OPTIONS })();
      const dead = Domain.attach(state.handle, { member: DEAD });
      const slot = dead.find("s")!;
      const writer = slot.writer();
      writer.send(numbered(1));
      slot.hold();
      writer.claim();
      dead.waiter().subscribe(slot);
      return state;
    },
    threads: {
      reclaiming: dying(life, ({ handle }) => {
        Domain.attach(handle, { member: 3 }).reclaim(DEAD);
      }),
      living: write(1, 2, { first: 10 }),
    },
    check({ handle }, { reclaiming, living }) {
      tell(reclaiming);
      assertEquals(living, [2, 3]);
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 3);
      reclaim(other, 1);
      reclaim(other);
      checkUnharmed(other);
    },
  }));
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a reclaim that leaves claims loses entries", async () => {
  const { states } = wordsOf(OPTIONS);
  await fails(["assertion", "livelock", "spin without pause"], {
    setup: domain({ s: OPTIONS }),
    threads: {
      dying: (state: State) => void open(state, DEAD).writer().claim(),
      living: write(1, 1),
    },
    maxSteps: 3000,
    check({ handle }) {
      const other = Domain.attach(handle, { member: 2 });
      reclaim(other, 1);
      const isGivenBack = (index: number, [, value]: number[]) =>
        states.includes(index) && (value! & FLAGS) === EMPTY;
      withWrong(reclaim, "compareExchange", isGivenBack, (_proper, _view, _index, found) => found)(
        other,
      );
      const { words } = regionOf(handle);
      for (const state of states) {
        const flags = words[state]! & FLAGS;
        assert(flags === EMPTY || flags === READABLE, "an entry is lost");
      }
    },
  });
});

Deno.test("broken twin: a claim that is given back as it was shows what is half overwritten", async () => {
  const { states } = wordsOf({ ...SLOT, history: 1 });
  await fails(["data race", "assertion"], {
    setup: domain({ s: SLOT }),
    threads: {
      // It gives back as if the message that was there were still whole.
      writer: withWrong(
        (state: State) => {
          const writer = open(state, 0).writer();
          for (let i = 1; i <= 2; i++) writer.send(numbered(i));
          for (let i = 3; i <= 4; i++) {
            const offset = writer.claim();
            writer.bytes.fill(i, offset, offset + 8);
            writer.abort();
          }
        },
        "exchange",
        (index) => states.includes(index),
        (proper, view, index, value) => proper.exchange(view, index, value! | 15),
      ),
      reader: ({ handle }: State) => {
        const reader = Domain.attach(handle).find("s")!.reader();
        return reader.latest() ? numberIn(reader.message()) : 0;
      },
    },
  });
});

Deno.test("broken twin: a reclaim that wakes nobody leaves a waiter of a dead writer asleep", async () => {
  const notifyNobody = <Argument, Result>(body: (argument: Argument) => Result) =>
    tampered(body, () => ({ notify: () => 0 }));
  await fails("deadlock", {
    setup: mortal,
    threads: {
      dying: (state: Mortal) => live(state, notifyNobody(write(DEAD, 1))),
      reclaiming({ handle, isOver }: Mortal) {
        untilDead(isOver);
        notifyNobody(() => reclaim(Domain.attach(handle, { member: 1 })))(undefined);
      },
      waiter: waitForOne,
    },
  });
});
