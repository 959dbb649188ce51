/**
 * Domains of named slots with history, and waiting on sets of them.
 *
 * @module
 */

export {
  Domain,
  type DomainAttachOptions,
  type DomainHandle,
  type DomainOptions,
  type SlotOptions,
} from "./domain.ts";
export { DomainFullError, HoldLimitError, SlotClosedError, SlotMismatchError } from "./errors.ts";
export { HeldMessage } from "./held_message.ts";
export type {
  DomainInspection,
  SeatHolder,
  SlotInspection,
  Subscriber,
  WriterHolder,
} from "./inspection.ts";
export { SlotReader } from "./reader.ts";
export { type HoldOptions, Slot, type SlotMessagesOptions } from "./slot.ts";
export { type MessageCounts, SlotMessages } from "./slot_messages.ts";
export type { MessageOf, SlotRecord, ViewOf } from "./slot_types.ts";
export type { SlotCard } from "./slot_table.ts";
export type { SlotSize } from "./layout.ts";
export { type Presence, type SubscribeOptions, Subscription } from "./subscription.ts";
export { Waiter } from "./waiter.ts";
export type { AnySubscription } from "./watch_list.ts";
export { SlotWriter } from "./writer.ts";
