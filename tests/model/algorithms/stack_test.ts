/**
 * Treiber's stack, a list whose head is swung by compareExchange. Nodes are reused, so the head has
 * a tag beside the node: without it, a node that was removed and pushed again would look as if the
 * stack had not changed in between (the ABA problem).
 *
 * Source: R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM RJ 5118, 1986; the tag
 * is that of IBM System/370 Principles of Operation, appendix A, "free-pool list manipulation".
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

interface Stack {
  push(node: number): void;
  /** Returns the node that was on top, or 0. */
  pop(): number;
}

/** Word 0 is the head, `tag << 8 | node`; word `n` is the node below node `n` (from 1). */
const HEAD = 0;
const nodeOf = (head: number) => head & 0xff;

function openStack(words: Int32Array, tagStep: number): Stack {
  const withNode = (head: number, node: number) => (head & ~0xff) + tagStep | node;
  return {
    push(node) {
      for (;;) {
        const head = Atomics.load(words, HEAD);
        Atomics.store(words, node, nodeOf(head));
        if (Atomics.compareExchange(words, HEAD, head, withNode(head, node)) === head) return;
      }
    },
    pop() {
      for (;;) {
        const head = Atomics.load(words, HEAD);
        const node = nodeOf(head);
        if (node === 0) return 0;
        // The node may have been popped since, and pushed again on top of another one.
        const below = Atomics.load(words, node);
        if (Atomics.compareExchange(words, HEAD, head, withNode(head, below)) === head) return node;
      }
    },
  };
}

const tagged = (words: Int32Array) => openStack(words, 0x100);
const untagged = (words: Int32Array) => openStack(words, 0);

/** The nodes on the stack, from the top. */
function remaining(words: Int32Array): number[] {
  const nodes: number[] = [];
  for (let node = nodeOf(words[HEAD]!); node !== 0; node = words[node]!) {
    if (nodes.push(node) > words.length) throw new Error("the stack is circular");
  }
  return nodes;
}

/** A stack of the nodes 1 (on top) to `count`. */
function stackOf(count: number, open: (words: Int32Array) => Stack): Int32Array {
  const words = sharedWords(count + 1);
  for (let node = count; node >= 1; node--) open(words).push(node);
  return words;
}

/** One thread pops a node; the other pops two, and pushes the first one again. */
function reuse(open: (words: Int32Array) => Stack) {
  return {
    setup: () => stackOf(3, open),
    threads: {
      taker: (words: Int32Array) => [open(words).pop()],
      reuser: (words: Int32Array) => {
        const stack = open(words);
        const first = stack.pop();
        const second = stack.pop();
        if (first !== 0) stack.push(first);
        return [second];
      },
    },
    check: (words: Int32Array, { taker, reuser }: { taker: number[]; reuser: number[] }) => {
      const nodes = [...taker, ...reuser, ...remaining(words)];
      assertEquals(nodes.filter((node) => node !== 0).sort(), [1, 2, 3]);
    },
  };
}

/** Each thread pops a node and pushes it again. */
function shuffle(threads: number) {
  const body = (words: Int32Array) => {
    const stack = tagged(words);
    const node = stack.pop();
    if (node !== 0) stack.push(node);
    return node;
  };
  return {
    setup: () => stackOf(2, tagged),
    threads: Object.fromEntries(Array.from({ length: threads }, (_, i) => [`t${i}`, body])),
    check: (words: Int32Array) => assertEquals(remaining(words).sort(), [1, 2]),
  };
}

Deno.test("Treiber's stack with a tag keeps every node, 2 threads, nodes reused", async () => {
  await assertHolds(reuse(tagged));
});

Deno.test("Treiber's stack without a tag loses nodes that are reused", async () => {
  await assertFails("assertion", reuse(untagged));
});

Deno.test("Treiber's stack keeps every node, 2 threads that pop and push", async () => {
  await assertHolds(shuffle(2));
});

Deno.test("Treiber's stack keeps every node, 3 threads that pop and push", async () => {
  await assertHolds(shuffle(3));
});

Deno.test("Treiber's stack without a tag keeps every node that is not reused", async () => {
  await assertHolds({
    setup: () => stackOf(3, untagged),
    threads: {
      a: (words: Int32Array) => [untagged(words).pop(), untagged(words).pop()],
      b: (words: Int32Array) => [untagged(words).pop()],
    },
    check: (words, { a, b }) => assertEquals([...a, ...b, ...remaining(words)].sort(), [1, 2, 3]),
  });
});
