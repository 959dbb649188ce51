/** Loops that wait for another thread, that give up, or that only look as if they waited. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { explore, type Threads } from "@busbar/busbar/model";
import fc from "fast-check";
import { fails, words } from "./failing.ts";

/** Explores a model that must pass, completely, and collects what each execution returned. */
async function outcomes<T extends Threads<Int32Array>>(threads: T): Promise<string[]> {
  const seen = new Set<string>();
  const report = await explore({
    setup: words,
    threads,
    clock: "virtual",
    check: (_, results) => void seen.add(JSON.stringify(Object.values(results))),
  });
  assert(report.complete);
  return [...seen].sort();
}

const set = (index: number) => (w: Int32Array): void => void Atomics.store(w, index, 1);

// --- pauses ------------------------------------------------------------------------------------

Deno.test("a thread that pauses once goes on although nothing has changed", async () => {
  const seen = await outcomes({
    a(w) {
      if (Atomics.load(w, 1) === 0) Atomics.pause();
      Atomics.store(w, 0, 1);
    },
    b: (w) => Atomics.load(w, 0),
  });
  assertEquals(seen, ["[null,0]", "[null,1]"]);
});

Deno.test("a lock that is stolen after some pauses lets two threads in", async () => {
  const body = (me: number) => (w: Int32Array) => {
    for (let n = 0; Atomics.compareExchange(w, 0, 0, me) !== 0; n++) {
      if (n === 3) break;
      Atomics.pause();
    }
    const inside = Atomics.add(w, 1, 1);
    Atomics.sub(w, 1, 1);
    Atomics.store(w, 0, 0);
    return inside;
  };
  const { message } = await fails("assertion", {
    setup: words,
    threads: { a: body(1), b: body(2) },
    check: (_, { a, b }) => assert(a === 0 && b === 0, "two inside"),
  });
  assertStringIncludes(message, "two inside");
});

for (const rounds of [1, 2, 3, 5, 8, 150, 900]) {
  Deno.test(`a thread that gives up after ${rounds} pauses may do so before or after a change`, async () => {
    const seen = await outcomes({
      a(w) {
        for (let i = 0; i < rounds; i++) {
          if (Atomics.load(w, 0) === 1) return "seen";
          Atomics.pause();
        }
        Atomics.store(w, 1, 1);
        return "given up";
      },
      b(w) {
        const before = Atomics.load(w, 1);
        Atomics.store(w, 0, 1);
        return before;
      },
    });
    assertEquals(seen, ['["given up",0]', '["given up",1]', '["seen",0]']);
  });
}

Deno.test("a thread that waits for one that gives up is not stuck", async () => {
  const seen = await outcomes({
    a(w) {
      for (let i = 0; i < 150; i++) {
        if (Atomics.load(w, 0) === 1) break;
        Atomics.pause();
      }
      Atomics.store(w, 2, 1);
      Atomics.notify(w, 2);
    },
    b(w) {
      Atomics.wait(w, 2, 0);
      Atomics.store(w, 0, 1);
    },
  });
  assertEquals(seen, ["[null,null]"]);
});

Deno.test("a lock that spins for a while and then sleeps misses no wake-up, and its twin does", async () => {
  const wait = (w: Int32Array) => {
    for (let i = 0; i < 500; i++) if (Atomics.load(w, 0) === 1) return;
    while (Atomics.load(w, 0) === 0) Atomics.wait(w, 0, 0);
  };
  const wake = (w: Int32Array) => {
    Atomics.store(w, 0, 1);
    Atomics.notify(w, 0);
  };
  const { complete } = await explore({ setup: words, threads: { wait, wake } });
  assert(complete);
  const hasty = (w: Int32Array) => {
    Atomics.notify(w, 0);
    Atomics.store(w, 0, 1);
  };
  await fails("deadlock", { setup: words, threads: { wait, hasty } });
});

Deno.test("what a thread writes between two loops is seen while it waits in the second", async () => {
  const seen = await outcomes({
    a(w) {
      if (Atomics.load(w, 0) === 0) Atomics.pause();
      Atomics.store(w, 1, 1);
      while (Atomics.load(w, 2) === 0) Atomics.pause();
    },
    b(w) {
      const early = Atomics.load(w, 1);
      Atomics.store(w, 2, 1);
      return early;
    },
  });
  assertEquals(seen, ["[null,0]", "[null,1]"]);
});

Deno.test("a loop that counts its rounds in shared memory waits like any other", async () => {
  const seen = await outcomes({
    a(w) {
      while (Atomics.load(w, 0) === 0) {
        Atomics.add(w, 1, 1);
        Atomics.pause();
      }
    },
    b: set(0),
  });
  assertEquals(seen, ["[null,null]"]);
  const { message } = await fails("livelock", {
    setup: words,
    maxSteps: 500,
    threads: {
      a(w) {
        while (Atomics.load(w, 0) === 0) {
          Atomics.add(w, 1, 1);
          Atomics.pause();
        }
      },
    },
  });
  assertStringIncludes(message, "state[0]");
});

Deno.test("a loop that polls several words in turn waits for each of them", async () => {
  const seen = await outcomes({
    a(w) {
      for (let i = 0;; i = (i + 1) % 3) {
        if (Atomics.load(w, i) === 1) return i;
        Atomics.pause();
      }
    },
    b: set(1),
    c: set(2),
  });
  assertEquals(seen, ["[1,null,null]", "[2,null,null]"]);
});

Deno.test("threads that take turns, each counting while it waits, go on", async () => {
  const body = (own: number, other: number) => (w: Int32Array) => {
    while (Atomics.load(w, other) < 2) {
      Atomics.add(w, own, 1);
      Atomics.pause();
    }
    Atomics.store(w, own, 10);
  };
  assertEquals(await outcomes({ a: body(0, 1), b: body(1, 0) }), ["[null,null]"]);
});

Deno.test("a pause without a read before it waits for nothing", async () => {
  const { message } = await fails("livelock", {
    setup: words,
    threads: {
      a() {
        for (;;) Atomics.pause();
      },
      b: set(0),
    },
  });
  assertStringIncludes(message, "a ");
});

// --- timeouts ----------------------------------------------------------------------------------

Deno.test("polling with a timeout is no livelock", async () => {
  const seen = await outcomes({
    a(w) {
      while (Atomics.load(w, 0) === 0) Atomics.wait(w, 0, 0, 100);
    },
    b: set(0),
  });
  assertEquals(seen, ["[null,null]"]);
});

Deno.test("polling with an asynchronous timeout is no livelock", async () => {
  const seen = await outcomes({
    async a(w) {
      while (Atomics.load(w, 0) === 0) await Atomics.waitAsync(w, 0, 0, 100).value;
    },
    b: set(0),
  });
  assertEquals(seen, ["[null,null]"]);
});

Deno.test("polling with a timeout for what nobody writes is a livelock that names the word", async () => {
  const poll = (w: Int32Array) => {
    while (Atomics.load(w, 2) === 0) Atomics.wait(w, 2, 0, 50);
  };
  const { message } = await fails("livelock", { setup: words, threads: { poll, b: set(0) } });
  assertStringIncludes(message, "poll polls state[2], which no thread has written");
  const asynchronous = async (w: Int32Array) => {
    while (Atomics.load(w, 2) === 0) await Atomics.waitAsync(w, 2, 0, 50).value;
  };
  const other = await fails("livelock", { setup: words, threads: { asynchronous, b: set(0) } });
  assertStringIncludes(other.message, "polls state[2], which no thread has written");
});

Deno.test("a timeout may expire before a change, and some attempts may all fail", async () => {
  const seen = await outcomes({
    a(w) {
      let attempts = 0;
      while (attempts < 6 && Atomics.wait(w, 0, 0, 10) === "timed-out") attempts++;
      return attempts;
    },
    b(w) {
      Atomics.store(w, 0, 1);
      Atomics.notify(w, 0);
    },
  });
  assertEquals(seen[0], "[0,null]");
  assertEquals(seen.at(-1), "[6,null]");
});

Deno.test("a loop until a deadline of the virtual clock ends", async () => {
  const seen = await outcomes({
    a(w) {
      const end = Date.now() + 100;
      while (Atomics.load(w, 0) === 0) {
        const left = end - Date.now();
        if (left <= 0) return "late";
        Atomics.wait(w, 0, 0, Math.min(left, 30));
      }
      return "in time";
    },
    b: set(0),
  });
  assertEquals(seen, ['["in time",null]', '["late",null]']);
});

Deno.test("a thread that drains and looks again every 50 ms stops", async () => {
  const seen = await outcomes({
    worker(w) {
      let done = 0;
      for (;;) {
        while (Atomics.load(w, 0) > done) done++;
        if (Atomics.load(w, 1) === 1 && Atomics.load(w, 0) === done) return done;
        Atomics.wait(w, 0, done, 50);
      }
    },
    producer(w) {
      Atomics.add(w, 0, 1);
      Atomics.add(w, 0, 1);
      Atomics.store(w, 1, 1);
    },
  });
  assertEquals(seen, ["[2,null]"]);
});

// --- loops without a pause ---------------------------------------------------------------------

const spins: Record<string, (w: Int32Array) => void> = {
  load(w) {
    while (Atomics.load(w, 0) === 0);
  },
  exchange(w) {
    while (Atomics.exchange(w, 1, 1) >= 0 && Atomics.load(w, 0) === 0);
  },
  compareExchange(w) {
    while (Atomics.compareExchange(w, 0, 1, 2) !== 1);
  },
  "two words"(w) {
    while (Atomics.load(w, 0) === 0 && Atomics.load(w, 1) === 0);
  },
};
for (const [name, spin] of Object.entries(spins)) {
  Deno.test(`a loop of ${name} without a pause lets the others run`, async () => {
    assertEquals(await outcomes({ spin, b: set(0) }), ["[null,null]"]);
    const { message } = await fails("livelock", { setup: words, threads: { spin, b: set(3) } });
    assertStringIncludes(message, "spin polls state[");
  });
}

Deno.test("a lock that is taken by exchange in a loop without a pause works", async () => {
  const body = (w: Int32Array) => {
    while (Atomics.exchange(w, 0, 1) === 1);
    w[1]!++;
    Atomics.store(w, 0, 0);
  };
  const report = await explore({
    setup: words,
    threads: { a: body, b: body },
    check: (w) => assertEquals(w[1], 2),
  });
  assert(report.complete);
});

const tell = (w: Int32Array): void => {
  Atomics.store(w, 0, 1);
  Atomics.notify(w, 0);
};
const isTold = (w: Int32Array) => Atomics.load(w, 0) === 1;

const heartbeats: Readonly<Record<string, (w: Int32Array) => unknown>> = {
  "with a timed wait": (w) => {
    for (let beat = 1; !isTold(w); beat++) {
      Atomics.store(w, 1, beat);
      Atomics.wait(w, 0, 0, 50);
    }
  },
  "with a pause": (w) => {
    for (let beat = 1; !isTold(w); beat++) {
      Atomics.exchange(w, 1, beat);
      Atomics.pause();
    }
  },
  "with an asynchronous wait": async (w) => {
    for (let beat = 1; !isTold(w); beat++) {
      Atomics.store(w, 1, beat);
      await Atomics.waitAsync(w, 0, 0, 50).value;
    }
  },
  "of the time": (w) => {
    while (!isTold(w)) {
      Atomics.store(w, 1, Date.now());
      Atomics.wait(w, 0, 0, 1000);
    }
  },
};
for (const [name, body] of Object.entries(heartbeats)) {
  Deno.test(`a heartbeat ${name} stops when it is told to`, async () => {
    const a = async (w: Int32Array) => {
      await body(w);
      return isTold(w);
    };
    assertEquals(await outcomes({ a, b: tell }), ["[true,null]"]);
    const late = (w: Int32Array) => {
      Atomics.wait(w, 3, 0, 2500);
      tell(w);
    };
    assertEquals(await outcomes({ a, b: late }), ["[true,null]"]);
  });
}

Deno.test("a loop that works until it is told to stop stops, and its steps are seen before", async () => {
  const work = (w: Int32Array) => {
    while (!isTold(w)) Atomics.add(w, 1, 1);
    return "stopped";
  };
  const seen = await outcomes({
    a: work,
    b(w) {
      const done = Atomics.load(w, 1);
      tell(w);
      return done < 4 ? done : "more";
    },
  });
  assertEquals(
    seen,
    [0, 1, 2, 3, "more"].map((done) => JSON.stringify(["stopped", done])).sort(),
  );
  const { message } = await fails("livelock", {
    setup: words,
    threads: { a: work, b: set(2) },
    maxSteps: 500,
  });
  assertStringIncludes(message, "a repeats load of state[0], add of state[1]");
});

Deno.test("a long loop that ends by itself is seen in each of its rounds", async () => {
  const seen = await outcomes({
    a(w) {
      for (let i = 1; i <= 100; i++) Atomics.store(w, 0, i);
    },
    b: (w) => Atomics.load(w, 0),
  });
  assertEquals(seen.length, 101);
});

Deno.test("where polling is refused, a loop without a pause fails, and one that gives up does not", async () => {
  const load = spins.load!;
  const { message } = await fails("spin without pause", {
    setup: words,
    polling: "refuse",
    threads: { a: load, b: set(0) },
  });
  assertStringIncludes(message, "Thread a polls state[0]");
  assertStringIncludes(message, "must call Atomics.pause()");
  const { complete } = await explore({
    setup: words,
    polling: "refuse",
    threads: {
      a(w) {
        for (let i = 0; i < 50 && Atomics.load(w, 0) === 0; i++);
      },
      b: set(0),
    },
  });
  assert(complete);
});

Deno.test("a loop that notifies until a thread sleeps waits for the sleeper", async () => {
  for (const pause of [() => Atomics.pause(), () => {}]) {
    const seen = await outcomes({
      a(w) {
        while (Atomics.notify(w, 0) === 0) pause();
      },
      b: (w) => Atomics.wait(w, 0, 0),
    });
    assertEquals(seen, ['[null,"ok"]']);
  }
});

Deno.test("loops that end by themselves are not called waiting", async () => {
  const seen = await outcomes({
    checksum(w) {
      let sum = 0;
      for (let i = 0; i < 300; i++) sum += Atomics.load(w, i & 3);
      return sum >= 0;
    },
    plain(w) {
      let sum = 0;
      for (let i = 0; i < 5000; i++) sum += w[2]!;
      return sum;
    },
    b: set(0),
  });
  assertEquals(seen, ["[true,0,null]"]);
});

Deno.test("a plain loop that reads what another thread writes is a race, and does not hang", async () => {
  for (
    const read of [
      (w: Int32Array) => w[0],
      (w: Int32Array) => w.slice()[0],
      (w: Int32Array) => w.at(0),
      (w: Int32Array) => new DataView(w.buffer).getInt32(0, true),
    ]
  ) {
    await fails("data race", {
      setup: words,
      threads: {
        a(w) {
          while (read(w) === 0);
        },
        b: set(0),
      },
    });
  }
});

Deno.test("a loop that looks at a plain limit in each of many rounds ends", async () => {
  const seen = await outcomes({
    a(w) {
      w[0] = 30_000;
      let rounds = 0;
      for (let i = 0; i < w[0]; i++) rounds++;
      return rounds;
    },
    b: set(1),
  });
  assertEquals(seen, ["[30000,null]"]);
});

Deno.test("a plain loop that waits for nothing is a livelock", async () => {
  const { message } = await fails("livelock", {
    setup: words,
    threads: {
      a(w) {
        while (w[0] === 0);
      },
    },
  });
  assertStringIncludes(message, "a polls state[0], which no thread has written");
});

Deno.test("an execution without an end names threads and operations", async () => {
  const { message } = await fails("livelock", {
    setup: words,
    maxSteps: 200,
    threads: {
      a(w) {
        for (;;) Atomics.add(w, 1, 1);
      },
      b: set(0),
    },
  });
  assertMatch(message, /not ended after 200 steps \(maxSteps\): a repeats add of state\[1\]/);
});

// --- against programs that do not pause --------------------------------------------------------

/** Loops of three rounds; `pause` is called at the end of each. */
const briefly: Record<string, (w: Int32Array, word: number, pause: (i: number) => void) => void> = {
  look(w, word, pause) {
    for (let i = 0; i < 3 && Atomics.load(w, word) === 0; i++) pause(i);
  },
  lock(w, word, pause) {
    for (let i = 0; i < 3 && Atomics.compareExchange(w, word, 0, 1) !== 0; i++) pause(i);
    Atomics.store(w, word, 0);
  },
  "look and count"(w, word, pause) {
    for (let i = 0; i < 3 && Atomics.load(w, word) === 0; i++) {
      Atomics.add(w, 1 - word, 1);
      pause(i);
    }
  },
  "set and clear"(w, word, pause) {
    for (let i = 0; i < 3; i++) {
      Atomics.store(w, word, 1);
      if (Atomics.load(w, 1 - word) === 0) break;
      Atomics.store(w, word, 0);
      pause(i);
    }
  },
  set: (w, word) => void Atomics.store(w, word, 1),
  clear: (w, word) => void Atomics.store(w, word, 0),
  add: (w, word) => void Atomics.add(w, word, 1),
};

Deno.test("loops that pause a few times have the outcomes of the same loops without a pause", async () => {
  const call = fc.tuple(fc.constantFrom(...Object.keys(briefly)), fc.constantFrom(0, 1));
  const thread = fc.array(call, { minLength: 1, maxLength: 2 });
  const finals = async (
    program: [string, number][][],
    pause: (w: Int32Array, i: number) => void,
  ) => {
    const seen = new Set<string>();
    await explore({
      setup: words,
      threads: Object.fromEntries(
        program.map((calls, id) => [`t${id}`, (w: Int32Array) =>
          calls.map(([kind, word]) => {
            let rounds = 0;
            briefly[kind]!(w, word, (i) => {
              rounds++;
              pause(w, i);
            });
            return rounds;
          })]
        ),
      ),
      check: (w, results) => void seen.add(JSON.stringify([...w.subarray(0, 2), results])),
    });
    return [...seen].sort();
  };
  const property = fc.asyncProperty(fc.tuple(thread, thread), async (program) => {
    const paused = await finals(program, () => Atomics.pause());
    // Another word each time, so that the loop is not taken for one that polls.
    const unpaused = await finals(program, (w, i) => void Atomics.load(w, 2 + (i & 1)));
    assertEquals(paused, unpaused);
  });
  await fc.assert(property, { numRuns: Number(Deno.args[0] ?? 60) });
});

Deno.test("a loop that gives up is told from one that waits on and reads the same", async () => {
  const seen = await outcomes({
    a(w) {
      const isPatient = Atomics.load(w, 1) === 0;
      for (let i = 0; isPatient || i < 50; i++) {
        if (Atomics.load(w, 0) === 1) return "seen";
        Atomics.pause();
      }
      return "given up";
    },
    b(w) {
      Atomics.store(w, 1, 1);
      Atomics.store(w, 0, 1);
    },
  });
  assertEquals(seen, ['["given up",null]', '["seen",null]']);
});
