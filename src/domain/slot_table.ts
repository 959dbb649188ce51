/**
 * The table of slots: finding one by its name, and listing a new one.
 *
 * Listed slots form a list: {@link HEAD} names the last, and each the one before. A thread that
 * wants to add a slot prepares a table entry of its own, and then lists it:
 *
 *     find the name in the list from HEAD on; if it is there, that is the slot
 *     take a free entry:            compareExchange of its state, 0 -> owner
 *     write the card and the name   plainly
 *     list it:                      compareExchange of HEAD, as it was found -> this entry
 *     state -> LISTED
 *
 * Everything is decided by the compareExchange of HEAD. It fails if another slot was listed since
 * the thread looked; then the thread looks again, and perhaps finds its name. It succeeds if no
 * slot of that name was there. The data of a slot begins where that of the one listed before it
 * ends, so the same operation allocates its bytes, and nothing can be lost.
 *
 * A thread that dies before leaves an entry that no other thread sees, and that a reclaim frees;
 * one that dies after has listed the slot. There is one entry more for each member, so one is free.
 *
 * @module
 */

import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import { loadText, storeText } from "../record/utf8.ts";
import { DomainFullError } from "./errors.ts";
import {
  COUNT,
  DATA_LINE,
  type DomainLayout,
  ENTRY_STATE,
  FINGERPRINT,
  HEAD,
  HISTORY,
  HOLDS,
  LISTED,
  MAX_NAME_BYTES,
  MESSAGE_BYTES,
  NAME,
  NAME_BYTES,
  NEXT,
  SIZE_LINES,
  SlotLayout,
  type SlotSize,
  TYPED,
  WRITERS,
} from "./layout.ts";
import type { DomainRegion } from "./region.ts";

const NONE = 0;
const FREE = 0;

/** What a slot is. */
export interface SlotCard extends SlotSize {
  /** Its name. */
  readonly name: string;
  /** The fingerprint of the record that its messages are; undefined if they are bytes. */
  readonly fingerprint: string | undefined;
}

/** A listed slot. */
export interface ListedSlot {
  /** Its table entry. */
  readonly entry: number;
  /** What it is. */
  readonly card: SlotCard;
}

/** The table of one domain. */
export class SlotTable {
  readonly #words: Int32Array;
  readonly #layout: DomainLayout;
  readonly #bytes: DataView;
  /** The listed slots that this thread has seen, by their names. */
  readonly #known = new Map<string, ListedSlot>();
  /** The head up to which it has seen them. */
  #knownHead = NONE;

  /** The table of a domain. */
  constructor({ memory, byteOffset, words, layout }: DomainRegion) {
    this.#words = words;
    this.#layout = layout;
    this.#bytes = new DataView(memory.buffer, byteOffset, layout.byteLength);
  }

  /** All listed slots, in the order in which they were listed. */
  list(): ListedSlot[] {
    this.#look();
    return [...this.#known.values()];
  }

  /** The slot of this name; undefined if there is none. */
  find(name: string): ListedSlot | undefined {
    this.#look();
    return this.#known.get(name);
  }

  /**
   * Lists a slot, unless there is one of that name.
   *
   * @param owner The member that this thread is.
   * @param nameBytes The bytes of its name.
   * @returns The slot of that name.
   * @throws {DomainFullError} If there are as many slots as there can be, or too few bytes of data.
   */
  add(owner: number, card: SlotCard, nameBytes: number): ListedSlot {
    let entry = -1;
    try {
      for (;;) {
        // Pairs with the compareExchange that listed what we find.
        const head = Atomics.load(this.#words, HEAD);
        const found = this.find(card.name);
        if (found !== undefined) return found;
        // Between the load and the look another slot was listed.
        if (this.#knownHead !== head) continue;
        if (entry === -1) entry = this.#takeEntry(owner);
        this.#write(entry, head, card, nameBytes);
        // Publishes the card, and decides.
        if (Atomics.compareExchange(this.#words, HEAD, head, entry + 1) !== head) continue;
        const listed = entry;
        entry = -1;
        Atomics.store(this.#words, this.#layout.entry(listed) + ENTRY_STATE, LISTED);
        return { entry: listed, card };
      }
    } finally {
      if (entry !== -1) this.#releaseEntry(entry, owner);
    }
  }

  /** Frees the entries that a dead member was preparing. */
  reclaim(dead: number): void {
    for (let entry = 0; entry < this.#layout.entries; entry++) {
      const index = this.#layout.entry(entry) + ENTRY_STATE;
      if (Atomics.load(this.#words, index) !== dead) continue;
      const isListed = this.list().some((slot) => slot.entry === entry);
      Atomics.store(this.#words, index, isListed ? LISTED : FREE);
    }
  }

  /** How many bytes of data are in no slot. */
  get freeBytes(): number {
    const used = this.#nextLine(Atomics.load(this.#words, HEAD));
    return (this.#layout.dataLines - used) * CACHE_LINE_BYTES;
  }

  /** How many slots there are. */
  get count(): number {
    return this.#count(Atomics.load(this.#words, HEAD));
  }

  /** Learns of slots that were listed since the last look. */
  #look(): void {
    const head = Atomics.load(this.#words, HEAD);
    const fresh: ListedSlot[] = [];
    for (let at = head; at !== this.#knownHead; at = this.#words[this.#first(at) + NEXT]!) {
      fresh.push({ entry: at - 1, card: this.#read(at - 1) });
    }
    for (const slot of fresh.reverse()) this.#known.set(slot.card.name, slot);
    this.#knownHead = head;
  }

  /** The first word of the entry that a head names. */
  #first(head: number): number {
    return this.#layout.entry(head - 1);
  }

  /** The line after the data of all slots up to a head. */
  #nextLine(head: number): number {
    if (head === NONE) return 0;
    const first = this.#first(head);
    return this.#words[first + DATA_LINE]! + this.#words[first + SIZE_LINES]!;
  }

  #count(head: number): number {
    return head === NONE ? 0 : this.#words[this.#first(head) + COUNT]!;
  }

  #takeEntry(owner: number): number {
    for (let entry = 0;; entry = (entry + 1) % this.#layout.entries) {
      const index = this.#layout.entry(entry) + ENTRY_STATE;
      if (Atomics.load(this.#words, index) !== FREE) continue;
      // Pairs with the store of the thread that prepared it before.
      if (Atomics.compareExchange(this.#words, index, FREE, owner) === FREE) return entry;
    }
  }

  #releaseEntry(entry: number, owner: number): void {
    const index = this.#layout.entry(entry) + ENTRY_STATE;
    Atomics.compareExchange(this.#words, index, owner, FREE);
  }

  #write(entry: number, head: number, card: SlotCard, nameBytes: number): void {
    const words = this.#words;
    const first = this.#layout.entry(entry);
    const { lines } = new SlotLayout(card);
    this.#checkRoom(head, lines, card);
    words[first + NEXT] = head;
    words[first + COUNT] = this.#count(head) + 1;
    words[first + DATA_LINE] = this.#nextLine(head);
    words[first + SIZE_LINES] = lines;
    words[first + MESSAGE_BYTES] = card.messageBytes;
    words[first + HISTORY] = card.history;
    words[first + HOLDS] = card.holds;
    words[first + WRITERS] = card.writers;
    words[first + TYPED] = card.fingerprint === undefined ? 0 : 1;
    const fingerprint = card.fingerprint ?? "0".repeat(16);
    words[first + FINGERPRINT] = parseInt(fingerprint.slice(0, 8), 16);
    words[first + FINGERPRINT + 1] = parseInt(fingerprint.slice(8), 16);
    words[first + NAME_BYTES] = nameBytes;
    storeText(this.#bytes, (first + NAME) * 4, MAX_NAME_BYTES, card.name);
  }

  #checkRoom(head: number, lines: number, { name }: SlotCard): void {
    const { slots } = this.#layout.size;
    if (this.#count(head) >= slots) {
      throw new DomainFullError(
        `Cannot create slot "${name}" as all ${slots} slots are in use: create the domain with more 'slots'`,
      );
    }
    const free = this.#layout.dataLines - this.#nextLine(head);
    if (lines <= free) return;
    throw new DomainFullError(
      `Cannot create slot "${name}" as it needs ${lines * CACHE_LINE_BYTES} bytes of data: ${
        free * CACHE_LINE_BYTES
      } of ${
        this.#layout.dataLines * CACHE_LINE_BYTES
      } are free; create the domain with more 'dataBytes' (Domain.plan says how many)`,
    );
  }

  #read(entry: number): SlotCard {
    const words = this.#words;
    const first = this.#layout.entry(entry);
    return {
      name: loadText(this.#bytes, (first + NAME) * 4, words[first + NAME_BYTES]!),
      messageBytes: words[first + MESSAGE_BYTES]!,
      history: words[first + HISTORY]!,
      holds: words[first + HOLDS]!,
      writers: words[first + WRITERS]!,
      fingerprint: words[first + TYPED] === 0
        ? undefined
        : hex(words[first + FINGERPRINT]!) + hex(words[first + FINGERPRINT + 1]!),
    };
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
