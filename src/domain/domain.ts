/**
 * A domain: named slots with history, and waiting on sets of them.
 *
 * `README.md` in this folder has the protocol: which thread writes which word, and why each step is
 * right. Start there.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { Attachment } from "./attachment.ts";
import { SlotMismatchError } from "./errors.ts";
import { type DomainInspection, inspect } from "./inspection.ts";
import { DomainLayout, KIND, SlotLayout } from "./layout.ts";
import { memberOf } from "./members.ts";
import { checkName } from "./names.ts";
import { reclaim } from "./reclaim.ts";
import { type Iterate, Slot } from "./slot.ts";
import { SlotMessages } from "./slot_messages.ts";
import type { ListedSlot, SlotCard } from "./slot_table.ts";
import { Waiter } from "./waiter.ts";
import type { SlotRecord } from "./slot_types.ts";

/** Opens a {@link Domain} in another thread. */
export type DomainHandle = RegionHandle<"busbar.domain">;

/** Options of {@link Domain.create}. */
export interface DomainOptions {
  /** The bytes of the data of all slots. {@link Domain.plan} says how many each one takes. */
  readonly dataBytes: number;
  /** The most slots; 64 by default. */
  readonly slots?: number;
  /** The most threads that write, hold, or wait at once; 64 by default. */
  readonly members?: number;
  /**
   * The most waiters at once; 32 by default. Up to 1024, each further 32 cost publications more.
   */
  readonly waiters?: number;
  /** The member that this thread is, once it needs to be one; any that is free by default. */
  readonly member?: number | undefined;
  /** The memory to lay it out in; one of its own by default. */
  readonly memory?: Memory | undefined;
}

/** Options of {@link Domain.attach}. */
export interface DomainAttachOptions {
  /**
   * The member that this thread is, once it needs to be one; any that is free by default. Assign it
   * to threads that may die, so that it is known what to reclaim.
   */
  readonly member?: number | undefined;
}

/** Options of {@link Domain.slot}. */
export interface SlotOptions<R extends SlotRecord | undefined = undefined> {
  /** The bytes of the largest message; not to be stated for a record, which has its own. */
  readonly messageBytes?: number;
  /** The record that the messages are. */
  readonly record?: R;
  /** How many messages are kept; 1 by default. */
  readonly history?: number;
  /** How many messages can be held at once, by all threads together; 2 by default, at most 31. */
  readonly holds?: number;
  /** How many writers there can be at once; 1 by default, at most 14. */
  readonly writers?: number;
}

/**
 * A domain: topics for publish and subscribe between threads in shared memory, made on demand by
 * their names, each with the last messages, and waiting on any set of them.
 *
 * - **On demand.** Threads that ask for a slot of one name get the same slot, also if both create
 *   it at once.
 * - **Nobody waits for another.** Writers wait neither for readers nor for each other.
 * - **Bounded.** All memory is laid out at once. A slot keeps the last messages; readers that are
 *   too slow learn how many they have missed.
 * - **Survives deaths.** What a thread that has died had is given up by
 *   {@link Domain.reclaim}; nothing waits for it until then but what it held.
 *
 * @example Publishing, reading, and waiting
 * ```ts
 * import { Domain } from "@busbar/busbar";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using domain = Domain.create({ dataBytes: 64 * 1024 });
 * // worker.postMessage(domain.handle), and there: Domain.attach(handle)
 *
 * const status = domain.slot("status", { messageBytes: 64, history: 8 });
 * using writer = status.writer();
 * writer.send(new TextEncoder().encode("ready"));
 *
 * const reader = status.reader();
 * assert(reader.latest());
 * assertEquals(new TextDecoder().decode(reader.message()), "ready");
 *
 * for await (const message of status.messages({ history: 1 })) {
 *   assertEquals(message.length, 5);
 *   break;
 * }
 * ```
 *
 * @example Typed slots
 * ```ts
 * import { defineRecord, Domain } from "@busbar/busbar";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const Pose = defineRecord({ x: "f64", y: "f64" });
 * using domain = Domain.create({ dataBytes: 64 * 1024 });
 * const pose = domain.slot("pose", { record: Pose });
 * using writer = pose.writer();
 * writer.send({ x: 1, y: 2 });
 *
 * const reader = pose.reader();
 * assert(reader.latest());
 * assertEquals(reader.view.y, 2);
 * ```
 */
export class Domain implements Disposable {
  readonly #domain: Attachment;

  /** @ignore */
  private constructor(domain: Attachment) {
    this.#domain = domain;
  }

  /**
   * Lays out a new domain, without slots.
   *
   * @throws {TypeError} If an option is of another type.
   * @throws {RangeError} If a number is out of its range, or the memory has not enough free bytes.
   */
  static create(options: DomainOptions): Domain {
    checkOptions("create domain", options);
    const { slots = 64, members = 64, waiters = 32, dataBytes, member, memory } = options;
    const layout = DomainLayout.of({ slots, members, waiters, dataBytes });
    const region = Region.create(KIND, layout, memory);
    layout.initialize(region.words);
    return new Domain(new Attachment(region, member));
  }

  /**
   * Opens a domain that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a domain of this version.
   */
  static attach(handle: DomainHandle, options: DomainAttachOptions = {}): Domain {
    checkOptions("attach", options);
    return new Domain(new Attachment(Region.attach(KIND, handle), options.member));
  }

  /**
   * The bytes of data that a slot takes: for the history, the holds and the writers, each as large
   * as the largest message.
   *
   * @throws As {@link Domain.slot}.
   */
  static plan(options: SlotOptions<SlotRecord | undefined>): number {
    return SlotLayout.of("plan a slot", cardOf("", options)).byteLength;
  }

  /** A plain object that survives structured clone and opens this domain in another thread. */
  get handle(): DomainHandle {
    return this.#domain.region.handle;
  }

  /**
   * The member that this thread is, for {@link Domain.reclaim}. It joins if it is none yet.
   *
   * @throws {DomainFullError} If that is taken, or all are.
   */
  get member(): number {
    return memberOf(this.#domain.owner);
  }

  /**
   * Opens the slot of this name, and creates it if there is none.
   *
   * @param name 1 to 64 bytes in UTF-8, without whitespace, control characters and slashes.
   * @throws {TypeError} If the name has such a character, or an option is of another type.
   * @throws {RangeError} If the name has another length, or a number is out of its range.
   * @throws {SlotMismatchError} If there is one with other options: it says what is there, and what
   * was asked for.
   * @throws {DomainFullError} If there are as many slots as there can be, or too few bytes of data.
   */
  slot<R extends SlotRecord | undefined = undefined>(
    name: string,
    options: SlotOptions<R>,
  ): Slot<R> {
    const action = "open slot";
    const nameBytes = checkName(action, name);
    checkOptions(action, options);
    const card = cardOf(name, options);
    SlotLayout.of(action, card);
    const domain = this.#domain;
    domain.checkOpen(action);
    const listed = domain.table.find(name) ?? domain.table.add(domain.owner, card, nameBytes);
    checkSame(listed.card, card);
    return this.#open(listed, options.record as R);
  }

  /**
   * Opens the slot of this name, if there is one, whatever its options are.
   *
   * @param record The record that the messages are; they are bytes by default.
   * @returns The slot; undefined if there is none.
   * @throws {SlotMismatchError} If its messages are another record.
   */
  find<R extends SlotRecord | undefined = undefined>(
    name: string,
    record?: R,
  ): Slot<R> | undefined {
    const listed = this.#domain.table.find(name);
    if (listed === undefined) return undefined;
    const fingerprint = record?.fingerprint ?? listed.card.fingerprint;
    checkSame(listed.card, { ...listed.card, fingerprint });
    return this.#open(listed, record as R);
  }

  /** The names of all slots, in the order in which they were created. */
  names(): string[] {
    return this.#domain.table.list().map(({ card }) => card.name);
  }

  /**
   * Makes a waiter, which waits for changes in any set of slots.
   *
   * @throws {DomainFullError} If all are in use.
   */
  waiter(): Waiter {
    this.#domain.checkOpen("create a waiter");
    return new Waiter(this.#domain);
  }

  /** What is in this domain, and which members have what. Disturbs nobody. */
  inspect(): DomainInspection {
    return inspect(this.#domain);
  }

  /** Whether there is such a member, or was, and its reclaim is unfinished. */
  isJoined(member: number): boolean {
    return this.#domain.members.isJoined(member);
  }

  /**
   * Gives up what a thread that has died had: its claims, holds and waiters. What it had appended
   * is published. Never call this for a thread that is alive.
   *
   * @param member The member that it was.
   * @throws {Error} If it has not joined, or another member is reclaiming it.
   * @throws {RangeError} If there is no such member.
   */
  reclaim(member: number): void {
    this.#domain.checkOpen("reclaim");
    reclaim(this.#domain, member);
  }

  /**
   * Closes the writers, waiters and holds of this thread, and leaves. Closing again does nothing.
   *
   * @throws {ReclaimedError} If this thread was taken for dead.
   */
  close(): void {
    this.#domain.close();
  }

  /** As {@link Domain.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #open<R extends SlotRecord | undefined>(listed: ListedSlot, record: R): Slot<R> {
    return new Slot(this.#domain, this.#domain.parts(listed), record, this.#iterate);
  }

  /** Iterates over the messages of a slot, on a waiter that is closed at the end. */
  readonly #iterate: Iterate = (slot, options) => {
    checkOptions("iterate over messages", options);
    const { history = 0, borrow = false, ...rest } = options;
    const waiter = this.waiter();
    try {
      const subscription = waiter.subscribe(slot, { history });
      const source = {
        poll: () => subscription.unread > 0,
        next: () => subscription.next(),
        value: () => borrow ? subscription.message() : subscription.message().slice(),
        async waitAsync(waiting: { signal?: AbortSignal | undefined }) {
          await waiter.waitAsync(waiting);
          return !subscription.isEnded;
        },
        end: () => waiter.close(),
      };
      return new SlotMessages(source, rest, subscription);
    } catch (error) {
      waiter.close();
      throw error;
    }
  };
}

/** What a slot with these options is. */
function cardOf(name: string, options: SlotOptions<SlotRecord | undefined>): SlotCard {
  const { record, history = 1, holds = 2, writers = 1 } = options;
  const messageBytes = options.messageBytes ?? record?.byteLength;
  if (record !== undefined && messageBytes !== record.byteLength) {
    throw new TypeError(
      `Cannot open slot as 'messageBytes' must be left out for a record: received ${messageBytes}`,
    );
  }
  const fingerprint = record?.fingerprint;
  return { name, messageBytes: messageBytes as number, history, holds, writers, fingerprint };
}

const COMPARED = ["messageBytes", "history", "holds", "writers", "fingerprint"] as const;

/** Throws unless a slot is what was asked for. */
function checkSame(found: SlotCard, asked: SlotCard): void {
  for (const key of COMPARED) {
    if (found[key] === asked[key]) continue;
    const what = key === "fingerprint" ? "record" : key;
    throw new SlotMismatchError(
      `Cannot open slot "${found.name}" as it has ${what} ${
        found[key] ?? "none"
      }: received ${what} ${asked[key] ?? "none"}`,
    );
  }
}
