/**
 * Random programs of writers, alone or sharing one, under random schedules, while a flusher
 * receives: every message arrives once, whole, in its writer's order, and all buffers come back.
 *
 * More of them: `deno test tests/queue/flush_queue_random_model_test.ts -- 500`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { WriteFlusher } from "@busbar/busbar";
import fc from "fast-check";
import { passesAtRandom } from "../verdicts.ts";
import {
  BUFFER_BYTES,
  createQueue,
  fill,
  open,
  openWriter,
  type State as Shared,
} from "./models.ts";

const RUNS = Number(Deno.args[0] ?? 12);

interface State extends Shared {
  /** How many writers are done. */
  readonly done: Int32Array;
}

/** What a thread does next; lengths over 8 get buffers of their own. */
type Step =
  | { do: "send" | "open"; length: number }
  | { do: "commit oldest" | "abort youngest" | "flush" };

interface Program {
  readonly isShared: boolean;
  readonly steps: readonly Step[];
}

/** A message that was committed: so many bytes of this value. */
interface Message {
  readonly value: number;
  readonly length: number;
}

interface Reservation extends Message {
  readonly offset: number;
}

/** Performs a program; returns the messages that must arrive. */
const perform = ({ isShared, steps }: Program, id: number) => (state: State): Message[] => {
  const writer = openWriter(state, isShared);
  const reserved: Reservation[] = [];
  const messages: Reservation[] = [];
  const reserve = (length: number): void => {
    // Waits only with nothing open, so that the buffers it waits for can come.
    const offset = reserved.length === 0 ? writer.claim(length) : writer.tryClaim(length);
    if (offset < 0) return;
    const message = { value: 16 * id + messages.length, length, offset };
    messages.push(message);
    reserved.push(message);
  };
  const commit = (message: Reservation | undefined): void => {
    if (message === undefined) return;
    const { offset, length, value } = message;
    fill(writer, offset, value, length);
    writer.commit(offset);
  };
  const aborted = new Set<Reservation>();
  for (const step of steps) {
    if (step.do === "flush") writer.publish();
    if (step.do === "open" || step.do === "send") reserve(step.length);
    if (step.do === "send") commit(reserved.pop());
    if (step.do === "commit oldest") commit(reserved.shift());
    if (step.do === "abort youngest" && reserved.length > 0) {
      const message = reserved.pop()!;
      aborted.add(message);
      writer.abort(message.offset);
    }
  }
  while (reserved.length > 0) commit(reserved.pop());
  writer[Symbol.dispose]();
  Atomics.add(state.done, 0, 1);
  return messages.filter((message) => !aborted.has(message));
};

function takeAll(flusher: WriteFlusher, into: number[]): void {
  while (flusher.poll()) while (flusher.next()) into.push(...flusher.view());
}

/** Receives while writers write, one flusher after the other. */
const receive = (writers: number) => (state: State): number[] => {
  const seen: number[] = [];
  for (let isOver = false; !isOver;) {
    isOver = Atomics.load(state.done, 0) === writers;
    using flusher = open(state).queue.flusher();
    takeAll(flusher, seen);
    if (!isOver) Atomics.pause();
  }
  return seen;
};

const length = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 9, max: BUFFER_BYTES }));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("send" as const, "open" as const), length }),
  fc.record({
    do: fc.constantFrom("commit oldest" as const, "abort youngest" as const, "flush" as const),
  }),
);
const program = fc.record({
  isShared: fc.boolean(),
  steps: fc.array(step, { minLength: 1, maxLength: 5 }),
});

Deno.test("random programs of writers under random schedules lose, tear or reorder no message", async () => {
  const programs = fc.array(program, { minLength: 2, maxLength: 3 });
  const sizes = fc.record({
    spare: fc.integer({ min: 1, max: 2 }),
    messages: fc.integer({ min: 2, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(programs, sizes, fc.integer(), async (programs, { spare, messages }, seed) => {
      const buffers = programs.length + 1 + spare;
      const threads: Record<string, (state: State) => Message[] | number[]> = {
        ...Object.fromEntries(programs.map((program, i) => ["abc"[i]!, perform(program, i)])),
        flusher: receive(programs.length),
      };
      await passesAtRandom({
        setup(): State {
          const state = createQueue({
            buffers,
            writers: programs.length + 1,
            messagesPerBuffer: messages,
            tracksFlights: true,
          });
          return { ...state, done: new Int32Array(new SharedArrayBuffer(4)) };
        },
        threads,
        check(state, results) {
          const seen = results.flusher as number[];
          for (const [i] of programs.entries()) {
            const sent = results["abc"[i]!] as Message[];
            const arrived = seen.filter((value) => value >> 4 === i);
            assertEquals(arrived, sent.flatMap(({ value, length }) => Array(length).fill(value)));
          }
          assertEquals(open(state).pool.freeCount, buffers);
        },
        maxSteps: 20_000,
      }, seed);
    }),
    { numRuns: RUNS },
  );
});
