/**
 * The queue of Michael and Scott: a list with a dummy node at its head, whose tail may lag behind
 * by one node; each thread that finds a lagging tail moves it. Nodes are reused, so every link has
 * a tag.
 *
 * Source: M. M. Michael, M. L. Scott, "Simple, Fast, and Practical Non-Blocking and Blocking
 * Concurrent Queue Algorithms", PODC 1996, figure 1.
 *
 * @module
 */

import { record, type Specification } from "@busbar/busbar/model";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the links to head and tail; then for node `n` (from 1) its next link and its value. */
const HEAD = 0;
const TAIL = 1;
const nextOf = (node: number) => 2 * node;
const valueOf = (node: number) => 2 * node + 1;

/** A link is `tag << 8 | node`; each change of a link raises its tag. */
const nodeOf = (link: number) => link & 0xff;
const relink = (link: number, node: number) => (link & ~0xff) + 0x100 | node;

/** Swings a link to a node, unless the link has changed since it was read; returns whether. */
function swing(words: Int32Array, link: number, seen: number, node: number): boolean {
  return Atomics.compareExchange(words, link, seen, relink(seen, node)) === seen;
}

/** The queue is empty. */
const NONE = 0;

interface Queue {
  enqueue(words: Int32Array, node: number, value: number): void;
  /** Returns the value, and the node that is now free. */
  dequeue(words: Int32Array): { value: number; node: number };
}

const michaelScott: Queue = {
  enqueue(words, node, value) {
    Atomics.store(words, valueOf(node), value);
    Atomics.store(words, nextOf(node), relink(Atomics.load(words, nextOf(node)), 0));
    for (;;) {
      const tail = Atomics.load(words, TAIL);
      const next = Atomics.load(words, nextOf(nodeOf(tail)));
      // If the tail has moved, the node may be reused, and `next` is not that of the tail.
      if (tail !== Atomics.load(words, TAIL)) continue;
      if (nodeOf(next) !== 0) {
        swing(words, TAIL, tail, nodeOf(next));
      } else if (swing(words, nextOf(nodeOf(tail)), next, node)) {
        swing(words, TAIL, tail, node);
        return;
      }
    }
  },
  dequeue(words) {
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const tail = Atomics.load(words, TAIL);
      const next = Atomics.load(words, nextOf(nodeOf(head)));
      if (head !== Atomics.load(words, HEAD)) continue;
      if (nodeOf(head) === nodeOf(tail)) {
        if (nodeOf(next) === 0) return { value: NONE, node: 0 };
        swing(words, TAIL, tail, nodeOf(next));
      } else {
        // Before the head is swung: afterwards another thread may free this node.
        const value = Atomics.load(words, valueOf(nodeOf(next)));
        if (swing(words, HEAD, head, nodeOf(next))) return { value, node: nodeOf(head) };
      }
    }
  },
};

/** Links the new node, but never swings the tail. */
const tailForgotten: Queue = {
  ...michaelScott,
  enqueue(words, node, value) {
    Atomics.store(words, valueOf(node), value);
    Atomics.store(words, nextOf(node), relink(Atomics.load(words, nextOf(node)), 0));
    for (;;) {
      const tail = Atomics.load(words, TAIL);
      const next = Atomics.load(words, nextOf(nodeOf(tail)));
      if (nodeOf(next) === 0 && swing(words, nextOf(nodeOf(tail)), next, node)) return;
      Atomics.pause();
    }
  },
};

/** Does not check that head and next were read in the same state. */
const inconsistentRead: Queue = {
  ...michaelScott,
  dequeue(words) {
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const tail = Atomics.load(words, TAIL);
      const next = Atomics.load(words, nextOf(nodeOf(head)));
      if (nodeOf(head) === nodeOf(tail)) {
        if (nodeOf(next) === 0) return { value: NONE, node: 0 };
        swing(words, TAIL, tail, nodeOf(next));
      } else {
        const value = Atomics.load(words, valueOf(nodeOf(next)));
        if (swing(words, HEAD, head, nodeOf(next))) return { value, node: nodeOf(head) };
      }
    }
  },
};

/** Reads the value when the node may already be reused. */
const valueReadLate: Queue = {
  ...michaelScott,
  dequeue(words) {
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const tail = Atomics.load(words, TAIL);
      const next = Atomics.load(words, nextOf(nodeOf(head)));
      if (head !== Atomics.load(words, HEAD)) continue;
      if (nodeOf(head) === nodeOf(tail)) {
        if (nodeOf(next) === 0) return { value: NONE, node: 0 };
        swing(words, TAIL, tail, nodeOf(next));
      } else if (swing(words, HEAD, head, nodeOf(next))) {
        return { value: Atomics.load(words, valueOf(nodeOf(next))), node: nodeOf(head) };
      }
    }
  },
};

/** The sequential specification of a queue that contains some values at first. */
function fifo(...initial: number[]): Specification<readonly number[]> {
  return {
    initial,
    apply: (values, name, [value]) =>
      name === "enqueue"
        ? [[...values, value as number], null]
        : [values.slice(1), values[0] ?? NONE],
  };
}

/** A queue of the values 1 to `count` in the nodes from 2; node 1 is the dummy. */
function queueOf(count: number): Int32Array {
  const words = sharedWords(16);
  words[HEAD] = words[TAIL] = 1;
  for (let value = 1; value <= count; value++) michaelScott.enqueue(words, value + 1, value);
  return words;
}

/** The operations of one thread, which reuses the nodes that it frees. */
function user({ enqueue, dequeue }: Queue, words: Int32Array, ...free: number[]) {
  return {
    enqueue(value: number) {
      record("enqueue", [value], () => {
        enqueue(words, free.pop()!, value);
        return null;
      });
    },
    dequeue() {
      return record("dequeue", [], () => {
        const { value, node } = dequeue(words);
        if (node !== 0) free.push(node);
        return value;
      });
    },
  };
}

/** `a` dequeues; `b` enqueues two values, and between them dequeues one, whose node it reuses. */
function reuse(queue: Queue) {
  return {
    setup: () => queueOf(2),
    linearizable: fifo(1, 2),
    threads: {
      a: (words: Int32Array) => {
        user(queue, words).dequeue();
      },
      b: (words: Int32Array) => {
        const mine = user(queue, words, 4);
        mine.enqueue(3);
        mine.dequeue();
        mine.enqueue(4);
      },
    },
  };
}

Deno.test("a Michael-Scott queue is linearizable, 2 threads enqueue, 1 dequeues", async () => {
  await assertHolds({
    setup: () => queueOf(0),
    linearizable: fifo(),
    threads: {
      a: (words: Int32Array) => {
        const mine = user(michaelScott, words, 2);
        mine.enqueue(1);
        mine.dequeue();
      },
      b: (words: Int32Array) => user(michaelScott, words, 3).enqueue(2),
    },
  });
});

Deno.test("a Michael-Scott queue is linearizable, 1 producer of 2, 1 consumer of 2", async () => {
  await assertHolds({
    setup: () => queueOf(0),
    linearizable: fifo(),
    threads: {
      producer: (words: Int32Array) => {
        const mine = user(michaelScott, words, 2, 3);
        mine.enqueue(1);
        mine.enqueue(2);
      },
      consumer: (words: Int32Array) => {
        const mine = user(michaelScott, words);
        mine.dequeue();
        mine.dequeue();
      },
    },
  });
});

Deno.test("a Michael-Scott queue is linearizable, 2 producers, 1 consumer of 2", async () => {
  await assertHolds({
    setup: () => queueOf(0),
    linearizable: fifo(),
    threads: {
      a: (words: Int32Array) => user(michaelScott, words, 2).enqueue(1),
      b: (words: Int32Array) => user(michaelScott, words, 3).enqueue(2),
      consumer: (words: Int32Array) => {
        const mine = user(michaelScott, words);
        mine.dequeue();
        mine.dequeue();
      },
    },
  });
});

Deno.test("a Michael-Scott queue is linearizable, 2 threads, nodes reused", async () => {
  await assertHolds(reuse(michaelScott));
});

Deno.test("a Michael-Scott queue livelocks if no thread swings the tail", async () => {
  await assertFails("livelock", {
    setup: () => queueOf(0),
    threads: {
      a: (words: Int32Array) => tailForgotten.enqueue(words, 2, 1),
      b: (words: Int32Array) => tailForgotten.enqueue(words, 3, 2),
    },
  });
});

Deno.test("a Michael-Scott queue seems empty if head and next are not read in the same state", async () => {
  await assertFails("not linearizable", reuse(inconsistentRead));
});

Deno.test("a Michael-Scott queue returns a wrong value if it is read after the head is swung", async () => {
  await assertFails("not linearizable", {
    ...reuse(valueReadLate),
    threads: {
      a: (words: Int32Array) => {
        user(valueReadLate, words).dequeue();
      },
      b: (words: Int32Array) => {
        const mine = user(valueReadLate, words);
        mine.dequeue();
        mine.enqueue(3);
      },
      c: (words: Int32Array) => {
        user(valueReadLate, words).dequeue();
      },
    },
  });
});
