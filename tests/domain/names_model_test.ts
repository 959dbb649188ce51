/**
 * Slots that threads create at once, under every schedule that matters; and broken twins.
 * `models.ts` describes the domains.
 */

import { assert, assertEquals } from "@std/assert";
import { Domain, DomainFullError } from "@busbar/busbar/domain";
import { HEAD } from "../../src/domain/layout.ts";
import { fails, passes } from "../verdicts.ts";
import { MAX_MEMBERS, numbered, SLOT, type State, unlessExhaustive, withWrong } from "./models.ts";

/** An empty domain with room for so many slots. */
function empty(slots: number): () => State {
  return () => {
    const dataBytes = slots * Domain.plan(SLOT);
    return { handle: Domain.create({ slots, members: MAX_MEMBERS, waiters: 1, dataBytes }).handle };
  };
}

/** A thread that creates slots, and sends the number of the thread in each. */
function create(member: number, ...names: string[]) {
  return ({ handle }: State): string[] => {
    const domain = Domain.attach(handle, { member });
    for (const name of names) {
      const slot = domain.slot(name, { ...SLOT, writers: 2 });
      slot.writer().send(numbered(member));
    }
    return domain.names();
  };
}

/** As {@link create}, without a message; returns whether there was room. */
function tryToCreate(member: number, name: string, options: object = SLOT) {
  return ({ handle }: State): boolean => {
    try {
      Domain.attach(handle, { member }).slot(name, { ...SLOT, ...options });
      return true;
    } catch (error) {
      if (!(error instanceof DomainFullError)) throw error;
      return false;
    }
  };
}

Deno.test("domain: two threads that create a slot of one name get the same slot", async () => {
  await passes({
    setup: () => {
      const dataBytes = Domain.plan({ ...SLOT, writers: 2 });
      const size = { slots: 1, members: MAX_MEMBERS, waiters: 1, dataBytes };
      return { handle: Domain.create(size).handle };
    },
    threads: { first: create(0, "s"), second: create(1, "s") },
    check({ handle }, { first, second }) {
      assertEquals([first, second], [["s"], ["s"]]);
      const domain = Domain.attach(handle);
      assertEquals(domain.names(), ["s"]);
      assertEquals(domain.find("s")!.sequence, 2);
    },
    ...unlessExhaustive(3),
  });
});

Deno.test("domain: the same, without messages", async () => {
  await passes({
    setup: empty(1),
    threads: { first: tryToCreate(0, "s"), second: tryToCreate(1, "s") },
    check({ handle }, { first, second }) {
      assertEquals([first, second], [true, true]);
      assertEquals(Domain.attach(handle).names(), ["s"]);
    },
  });
});

Deno.test("domain: threads that create different slots get different bytes", async () => {
  await passes({
    setup: empty(2),
    threads: {
      first: tryToCreate(0, "a"),
      second: tryToCreate(1, "b"),
      finding({ handle }: State) {
        const names = Domain.attach(handle).names();
        for (const name of names) assert(name === "a" || name === "b", name);
        return names;
      },
    },
    check({ handle }, { first, second, finding }) {
      assertEquals([first, second], [true, true]);
      const domain = Domain.attach(handle);
      assertEquals(domain.names().toSorted(), ["a", "b"]);
      assertEquals(domain.names().slice(0, finding.length), finding);
      assertEquals(domain.inspect().freeBytes, 0);
    },
    reaches: {
      "one is found": (_, { finding }) => finding.length === 1,
      "both are found": (_, { finding }) => finding.length === 2,
    },
  });
});

Deno.test("domain: of two threads that need the last place one gets it, and the other an error", async () => {
  await passes({
    setup: empty(1),
    threads: { first: tryToCreate(0, "a"), second: tryToCreate(1, "b") },
    check({ handle }, { first, second }) {
      assertEquals(Number(first) + Number(second), 1);
      assertEquals(Domain.attach(handle).names(), [first ? "a" : "b"]);
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

Deno.test("broken twin: a slot that is listed by a load and a store is lost, or there twice", async () => {
  const body = (member: number, name: string) =>
    withWrong(
      tryToCreate(member, name),
      "compareExchange",
      (index) => index === HEAD,
      (proper, view, index, expected, replacement) => {
        const found = proper.load(view, index);
        if (found === expected) proper.store(view, index, replacement!);
        return found;
      },
    );
  await fails("assertion", {
    setup: empty(2),
    threads: { first: body(0, "a"), second: body(1, "b") },
    check({ handle }) {
      assertEquals(Domain.attach(handle).names().toSorted(), ["a", "b"]);
    },
  });
});

Deno.test("broken twin: a slot that is listed before it is written is found half made", async () => {
  await fails(["data race", "exception", "assertion"], {
    setup: empty(2),
    threads: {
      creating: withWrong(
        tryToCreate(0, "a"),
        "compareExchange",
        (index) => index === HEAD,
        (_proper, view, index, expected, replacement) => {
          view[index] = replacement!;
          return expected;
        },
      ),
      finding: ({ handle }: State) => Domain.attach(handle).names(),
    },
  });
});
