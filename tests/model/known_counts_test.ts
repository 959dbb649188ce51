/**
 * Programs whose number of Mazurkiewicz traces is known: optimal DPOR visits exactly that many
 * executions, and abandons none.
 *
 * Each number is found in three ways that share no code: a formula, with its source or its
 * derivation; {@linkcode tracesOf}, which walks the interleavings of the bare program without the
 * explorer; and the explorer. For the smallest sizes, plain enumeration (`strategy: "all"`) must
 * also reach the very outcomes that DPOR reaches.
 *
 * Sources:
 * - POPL 2005: Flanagan, Godefroid, "Dynamic Partial-Order Reduction for Model Checking Software".
 * - POPL 2014: Abdulla, Aronis, Jonsson, Sagonas, "Optimal Dynamic Partial Order Reduction", the
 *   benchmarks and their numbers of traces; in full in JACM 64(4), 2017.
 * - TACAS 2018: Aronis, Jonsson, Lång, Sagonas, "Optimal Dynamic Partial Order Reduction with
 *   Observers".
 * - RCMC: Kokologiannakis, Lahav, Sagonas, Vafeiadis, "Effective Stateless Model Checking for C/C++
 *   Concurrency", POPL 2018.
 * - Litmus tests: Alglave, Maranget, Tautschnig, "Herding Cats", TOPLAS 36(2), 2014.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  add,
  type Body,
  compareExchange,
  explored,
  load,
  store,
  tracesOf,
} from "./bare_program.ts";

interface Known {
  readonly name: string;
  readonly program: (n: number) => readonly Body[];
  readonly words: (n: number) => number;
  readonly count: (n: number) => number;
  /** Sizes for which the formula is checked against {@linkcode tracesOf} and the explorer. */
  readonly sizes: readonly number[];
  /** Sizes for which plain enumeration must reach the same outcomes. */
  readonly enumerated: readonly number[];
  /** Sizes for which the formula is checked against the explorer only. */
  readonly large?: readonly number[];
}

const factorial = (n: number): number => n <= 1 ? 1 : n * factorial(n - 1);
const times = (n: number, make: (i: number) => Body): Body[] =>
  Array.from({ length: n }, (_, i) => make(i));
const sum = (from: number, to: number, term: (k: number) => number): number => {
  let total = 0;
  for (let k = from; k <= to; k++) total += term(k);
  return total;
};

const programs: readonly Known[] = [
  {
    // Nothing conflicts, so all interleavings are one trace: the definition of independence.
    name: "n writers of n words have 1 execution",
    program: (n) =>
      times(n, (i) =>
        function* () {
          yield store(i, 1);
          yield store(i, 2);
        }),
    words: (n) => n,
    count: () => 1,
    sizes: [1, 2, 3, 4],
    enumerated: [2, 3],
    large: [8],
  },
  {
    // TACAS 2018, lastwrite(n) without its last read: each order of the writes is a trace.
    name: "n writers of one word have n! executions",
    program: (n) =>
      times(n, (i) =>
        function* () {
          yield store(0, i + 1);
        }),
    words: () => 1,
    count: factorial,
    sizes: [1, 2, 3, 4, 5],
    enumerated: [2, 3, 4, 5],
    large: [6, 7],
  },
  {
    // TACAS 2018, floating-read(n): n writers and one reader of a word; any order of the n + 1.
    name: "n writers and one reader of a word have (n+1)! executions",
    program: (n) => [
      ...times(n, (i) =>
        function* () {
          yield store(0, i + 1);
        }),
      function* () {
        yield load(0);
      },
    ],
    words: () => 1,
    count: (n) => factorial(n + 1),
    sizes: [1, 2, 3, 4],
    enumerated: [1, 2, 3, 4],
    large: [6],
  },
  {
    // POPL 2014, readers(n), whose table has 2^n: each reader comes before the write or after it.
    name: "readers(n), one writer and n readers of a word, has 2^n executions",
    program: (n) => [
      function* () {
        yield store(0, 42);
      },
      ...times(n, () =>
        function* () {
          yield load(0);
        }),
    ],
    words: () => 1,
    count: (n) => 2 ** n,
    sizes: [1, 2, 3, 4, 5],
    enumerated: [1, 2, 3, 4],
    large: [7],
  },
  {
    // POPL 2014, lastzero(n), whose table has 64 for n = 5 and 3328 for n = 10. The formula fits
    // both, and the numbers 2, 5, 12, 28 that the Nidhugg tool's own tests expect for n = 1 to 4.
    name: "lastzero(n) has (n+3) 2^(n-2) executions",
    program: (n) => [
      function* () {
        let i = n;
        while ((yield load(i)) !== 0) i--;
      },
      ...times(n, (i) =>
        function* () {
          const before = yield load(i);
          yield store(i + 1, before + 1);
        }),
    ],
    words: (n) => n + 1,
    count: (n) => (n + 3) * 2 ** (n - 2),
    sizes: [1, 2, 3, 4, 5],
    enumerated: [1, 2, 3],
    large: [7],
  },
  {
    // POPL 2005, indexer: no two of the first 11 threads put a message in the same place.
    name: "indexer with n <= 11 threads has 1 execution",
    program: (n) => times(n, indexer),
    words: () => 128,
    count: () => 1,
    sizes: [1, 2, 3],
    enumerated: [],
    large: [8],
  },
  {
    // The same with threads 0 to n - 1 and 11 to 10 + n: thread 11 + i hashes three of its four
    // messages to the places of thread i. POPL 2014 has 8 executions for indexer(12), where n is 1,
    // and 4096 for indexer(15), where n is 4; the other threads there conflict with none.
    name: "indexer with n pairs of threads in conflict has 8^n executions",
    program: (n) => [...times(n, indexer), ...times(n, (i) => indexer(i + 11))],
    words: () => 128,
    count: (n) => 8 ** n,
    sizes: [1],
    enumerated: [],
    large: [2, 3, 4],
  },
  {
    // POPL 2005, file system; with 13 + n threads n blocks are wanted twice. In POPL 2014
    // filesystem(14), (16), (18), (19) have 2, 8, 32, 64 executions. The critical sections under
    // the locks of inode and block are one operation each here; threads that conflict with none
    // are left out.
    name: "file system with n blocks wanted twice has 2^n executions",
    program: (n) => [
      ...times(n, (i) => fileSystem(i)),
      ...times(n, (i) => fileSystem(i + 13)),
    ],
    words: () => 64,
    count: (n) => 2 ** n,
    sizes: [1, 2],
    enumerated: [1],
    large: [3, 4],
  },
  {
    // RCMC, casrot(n). If exactly the first k exchanges succeed, then thread k + 1 came before the
    // k-th, at one of k values, and each later one at any of k + 1 values.
    name: "casrot(n) has 1 + sum of k (k+1)^(n-k-1) executions",
    program: (n) =>
      times(n, (i) =>
        function* () {
          yield compareExchange(0, i, i + 1);
        }),
    words: () => 1,
    count: (n) => 1 + sum(1, n - 1, (k) => k * (k + 1) ** (n - k - 1)),
    sizes: [1, 2, 3, 4, 5],
    enumerated: [2, 3, 4, 5],
    large: [8],
  },
  {
    // Litmus test SB, as a ring of n threads (n = 2 is store buffering): the write and the read of
    // each word may come in either order, except that not all n reads can come first (a cycle).
    name: "store buffering in a ring of n threads has 2^n - 1 executions",
    program: (n) =>
      times(n, (i) =>
        function* () {
          yield store(i, 1);
          yield load((i + 1) % n);
        }),
    words: (n) => n,
    count: (n) => 2 ** n - 1,
    sizes: [2, 3, 4],
    enumerated: [2, 3, 4],
    large: [6, 8],
  },
  {
    // Litmus test LB, likewise: not all n reads can come after the writes.
    name: "load buffering in a ring of n threads has 2^n - 1 executions",
    program: (n) =>
      times(n, (i) =>
        function* () {
          yield load(i);
          yield store((i + 1) % n, 1);
        }),
    words: (n) => n,
    count: (n) => 2 ** n - 1,
    sizes: [2, 3, 4],
    enumerated: [2, 3, 4],
    large: [8],
  },
  {
    // Litmus tests MP (n = 2) and its longer forms: n words are written in order and read in the
    // opposite order. Read i sees its write or not; once one does, all that follow do.
    name: "message passing through n words has n + 1 executions",
    program: (n) => [
      function* () {
        for (let i = 0; i < n; i++) yield store(i, 1);
      },
      function* () {
        for (let i = n - 1; i >= 0; i--) yield load(i);
      },
    ],
    words: (n) => n,
    count: (n) => n + 1,
    sizes: [1, 2, 3, 4, 5],
    enumerated: [1, 2, 3, 4, 5],
  },
  {
    // Litmus test IRIW: two words are written, and n = r + s readers read both, r of them one word
    // first, s the other. Of the four outcomes of a reader one orders the two writes; if readers of
    // either order did so, that would be a cycle.
    name:
      "IRIW with r and s readers of either order has 4^(r+s) - (4^r - 3^r) (4^s - 3^s) executions",
    program: (n) => [
      function* () {
        yield store(0, 1);
      },
      function* () {
        yield store(1, 1);
      },
      ...times(n, (i) =>
        function* () {
          yield load(i & 1);
          yield load(1 - (i & 1));
        }),
    ],
    words: () => 2,
    count: (n) => {
      const [r, s] = [Math.ceil(n / 2), Math.floor(n / 2)];
      return 4 ** n - (4 ** r - 3 ** r) * (4 ** s - 3 ** s);
    },
    sizes: [1, 2, 3, 4],
    enumerated: [2],
    large: [6],
  },
  {
    // Every two additions to one word conflict: n threads of 2 additions have as many traces as
    // interleavings, the multinomial coefficient.
    name: "n counters of two additions each have (2n)! / 2^n executions",
    program: (n) =>
      times(n, () =>
        function* () {
          yield add(0, 1);
          yield add(0, 1);
        }),
    words: () => 1,
    count: (n) => factorial(2 * n) / 2 ** n,
    sizes: [1, 2, 3],
    enumerated: [1, 2, 3],
    large: [4],
  },
  {
    // The lost update. The writes come in any order; the read of the thread that writes i-th comes
    // after any of the 0 to i - 1 writes before it.
    name: "n unguarded increments have (n!)^2 executions",
    program: (n) =>
      times(n, () =>
        function* () {
          const before = yield load(0);
          yield store(0, before + 1);
        }),
    words: () => 1,
    count: (n) => factorial(n) ** 2,
    sizes: [1, 2, 3, 4],
    enumerated: [2, 3],
    large: [5],
  },
  {
    // Each thread loads, then exchanges. If k of n succeed: which, and in what order (n!/(n-k)!);
    // their loads follow the success before them. Each other thread loads after i successes and
    // fails after j, with 0 <= i < j <= k: k (k+1) / 2 ways. A failure only reads.
    name: "n attempts of compareExchange have the sum of n!/(n-k)! (k(k+1)/2)^(n-k) executions",
    program: (n) =>
      times(n, () =>
        function* () {
          const before = yield load(0);
          yield compareExchange(0, before, before + 1);
        }),
    words: () => 1,
    count: (n) => sum(1, n, (k) => factorial(n) / factorial(n - k) * (k * (k + 1) / 2) ** (n - k)),
    sizes: [1, 2, 3, 4],
    enumerated: [2, 3],
    large: [5, 6],
  },
  {
    // Drawing tickets conflicts, in n! orders; writing to the place of one's own ticket does not.
    name: "n drawn tickets have n! executions, whatever is written to the places they name",
    program: (n) =>
      times(n, (i) =>
        function* () {
          const ticket = yield add(0, 1);
          yield store(ticket + 1, i + 1);
        }),
    words: (n) => n + 1,
    count: factorial,
    sizes: [1, 2, 3, 4],
    enumerated: [2, 3],
    large: [6],
  },
];

/** POPL 2005: each message is put into the hash table at the first free place from its hash on. */
function indexer(tid: number): Body {
  return function* () {
    for (let m = 1; m <= 4; m++) {
      const message = m * 11 + tid;
      let place = (message * 7) % 128;
      while ((yield compareExchange(place, 0, message)) !== 0) place = (place + 1) % 128;
    }
  };
}

/** POPL 2005: an inode that has no block yet takes the first free one of 26 from its own on. */
function fileSystem(tid: number): Body {
  const inode = tid % 32;
  return function* () {
    if ((yield load(26 + inode)) !== 0) return;
    let block = (inode * 2) % 26;
    while ((yield compareExchange(block, 0, 1)) !== 0) block = (block + 1) % 26;
    yield store(26 + inode, block + 1);
  };
}

/** The report that DPOR must give for a program with so many traces. */
function visited(executions: number) {
  return { executions, pruned: 0, complete: true };
}

for (const { name, program, words, count, sizes, enumerated, large = [] } of programs) {
  Deno.test(name, async (t) => {
    for (const n of sizes) {
      await t.step(`n = ${n}: formula, brute force and explorer agree`, async () => {
        const known = tracesOf(program(n), words(n));
        assertEquals(known.count, count(n), "brute force");
        const { executions, pruned, complete, outcomes } = await explored(
          program(n),
          words(n),
          "dpor",
        );
        assertEquals({ executions, pruned, complete }, visited(count(n)));
        assertEquals(outcomes, known.outcomes);
        if (!enumerated.includes(n)) return;
        const all = await explored(program(n), words(n), "all");
        assertEquals(all.outcomes, outcomes);
      });
    }
    for (const n of large) {
      await t.step(`n = ${n}: formula and explorer agree`, async () => {
        const { executions, pruned, complete } = await explored(program(n), words(n), "dpor");
        assertEquals({ executions, pruned, complete }, visited(count(n)));
      });
    }
  });
}
