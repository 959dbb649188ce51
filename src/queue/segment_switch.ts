/**
 * The switch from one segment of a shared writer to the next: the word `current`, as one thread of
 * the writer sees it. One thread switches at a time; the others sleep until it has.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { SleepWord } from "../memory/sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { CURRENT, CURRENT_SHIFT, SWITCHING, WAITING } from "./layout.ts";
import type { ThreadQueue } from "./thread_queue.ts";

/** One thread's part in switching the segments of a writer. */
export class SegmentSwitch {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #sleepers: SleepWord;
  /** The number of the segment that this thread switches from, while it does. */
  #from: number | undefined;

  /** Opens the word of the writer whose words begin at `base`. */
  constructor({ memory, words }: ThreadQueue, base: number) {
    this.#words = words;
    this.#index = base + CURRENT;
    this.#sleepers = new SleepWord(memory, words, this.#index);
  }

  /** Whether this thread is to open the next segment. */
  get isOurs(): boolean {
    return this.#from !== undefined;
  }

  /** Whether this thread is to open the segment that follows `sequence`. */
  isFrom(sequence: number): boolean {
    return this.#from === sequence;
  }

  /** The number of the latest segment. */
  get latest(): number {
    // Pairs with the exchange of the thread that switched: the segment is open.
    return Atomics.load(this.#words, this.#index) >>> CURRENT_SHIFT;
  }

  /**
   * Begins to switch from the segment `sequence`, unless another thread does or has.
   *
   * @returns Undefined if this thread switches; otherwise the value of {@link CURRENT} to sleep at.
   */
  begin(sequence: number): number | undefined {
    let current = sequence << CURRENT_SHIFT;
    for (;;) {
      const wanted = (current & SWITCHING) === 0 ? current | SWITCHING : current | WAITING;
      const seen = Atomics.compareExchange(this.#words, this.#index, current, wanted);
      // If the switch is over, the value is gone, so the wait ends at once, and the next attempt
      // finds the new segment.
      if (seen >>> CURRENT_SHIFT !== sequence) return sequence << CURRENT_SHIFT;
      if (seen === current) {
        if ((current & SWITCHING) !== 0) return wanted;
        this.#from = sequence;
        return undefined;
      }
      current = seen;
    }
  }

  /**
   * Ends the switch that this thread began, with `sequence` as the latest segment; wakes waiters.
   */
  end(sequence: number): void {
    assertState(this.#from !== undefined, "this thread to be the one that switches segments");
    this.#from = undefined;
    // Publishes the segment. Finds the mark of all that wait; a mark that comes later finds this.
    const before = Atomics.exchange(this.#words, this.#index, sequence << CURRENT_SHIFT);
    if ((before & WAITING) !== 0) this.#sleepers.notify();
  }

  /** Wakes the tasks of this thread that wait for another to switch. */
  wakeOwnTasks(): void {
    if (this.#sleepers.isAwaited) this.#sleepers.notify();
  }

  /** Sleeps until an attempt succeeds; as {@link SleepWord.sleepUntil}. */
  sleepUntil(attempt: () => number | undefined, options: WaitOptions | undefined): boolean {
    return this.#sleepers.sleepUntil(attempt, options);
  }

  /** As {@link SegmentSwitch.sleepUntil}, without blocking. */
  sleepUntilAsync(attempt: () => number | undefined, options: AsyncWaitOptions): Promise<boolean> {
    return this.#sleepers.sleepUntilAsync(attempt, options);
  }
}
