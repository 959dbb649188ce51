/**
 * Holds under every schedule that matters: no message is overwritten while it is held, and no
 * writer waits for a holder; and broken twins. `models.ts` describes the slots.
 */

import { assert, assertEquals } from "@std/assert";
import { HoldLimitError } from "@busbar/busbar/domain";
import { READABLE } from "../../src/domain/layout.ts";
import { fails, passes, passesAtRandom } from "../verdicts.ts";
import { domain, numberIn, open, SLOT, type State, withWrong, wordsOf, write } from "./models.ts";

const HELD = { ...SLOT, holds: 1 };

/** A thread that holds the last message so many times; returns the numbers of those. */
function hold(member: number, times = 1) {
  return (state: State): number[] => {
    const slot = open(state, member);
    const numbers: number[] = [];
    for (let i = 0; i < times; i++) {
      try {
        using held = slot.hold();
        if (held === undefined) continue;
        assertEquals(numberIn(held.bytes), held.sequence);
        numbers.push(held.sequence);
      } catch (error) {
        if (!(error instanceof HoldLimitError)) throw error;
        numbers.push(-1);
      }
    }
    return numbers;
  };
}

Deno.test("domain: a message is not overwritten while it is held", async () => {
  await passes({
    setup: domain({ s: HELD }),
    threads: { writer: write(0, 4), holder: hold(1) },
    reaches: {
      "the first is held": (_, { holder }) => holder[0] === 1,
      "the last is held": (_, { holder }) => holder[0] === 4,
    },
  });
});

Deno.test("domain: a holder finds its message although others come after it, time and again", async () => {
  await passes({
    setup: domain({ s: HELD }),
    threads: { writer: write(0, 6), holder: hold(1) },
  });
});

Deno.test("domain: a holder that comes again, while the writer comes around", async () => {
  await passes({
    setup: domain({ s: HELD }),
    threads: { writer: write(0, 4), holder: hold(1, 2) },
    check: (_, { holder: [first = 0, second = 4] }) => assert(first <= second),
  });
});

Deno.test("domain: of two holders one may find all holds taken, and two writers find room", async () => {
  await passesAtRandom({
    setup: domain({ s: { ...HELD, writers: 2 } }),
    threads: {
      first: write(0, 2),
      second: (state) => void open(state, 3).writer().close(),
      holder: hold(1, 2),
      other: hold(2, 2),
    },
  }, 1);
  await passes({
    setup: domain({ s: HELD }),
    threads: { writer: write(0, 2), holder: hold(1), other: hold(2) },
    reaches: {
      "all holds are taken": (_, { holder, other }) => [...holder, ...other].includes(-1),
      "both hold": (_, { holder, other }) => holder[0]! > 0 && other[0]! > 0,
    },
  });
});

// --- broken twins -----------------------------------------------------------------------------

const WORDS = wordsOf(HELD);
const isBits = (index: number) => index === WORDS.holdBits;
const isState = (index: number) => WORDS.states.includes(index);

Deno.test("broken twin: a writer that does not look for holds overwrites what is held", async () => {
  await fails(["data race", "assertion"], {
    setup: domain({ s: HELD }),
    threads: {
      writer: withWrong(write(0, 4), "load", isBits, () => 0),
      holder: hold(1),
    },
  });
});

Deno.test("broken twin: a writer that looks for holds only before it claims overwrites", async () => {
  await fails(["data race", "assertion"], {
    setup: domain({ s: HELD }),
    threads: {
      // It looks twice for each message; the second look finds nothing.
      writer: (state: State) => {
        let looks = 0;
        return withWrong(
          write(0, 4),
          "load",
          (index) => isBits(index) && looks++ % 2 === 1,
          () => 0,
        )(state);
      },
      holder: hold(1),
    },
  });
});

Deno.test("broken twin: a holder that does not look after it has set its bit reads what is overwritten", async () => {
  await fails(["data race", "assertion"], {
    setup: domain({ s: HELD }),
    threads: {
      writer: write(0, 4),
      // Every state that it finds says that the message can be read.
      holder: withWrong(
        hold(1),
        "load",
        isState,
        (proper, view, index) => proper.load(view, index) | READABLE,
      ),
    },
  });
});

Deno.test("broken twin: a release by a plain store races with the writer", async () => {
  await fails("data race", {
    setup: domain({ s: HELD }),
    threads: {
      writer: write(0, 4),
      holder: withWrong(hold(1), "and", isBits, (_proper, view, index, mask) => {
        const found = view[index]!;
        view[index] = found & mask!;
        return found;
      }),
    },
  });
});
