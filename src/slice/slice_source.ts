/**
 * What the slices of one thread share.
 *
 * @module
 */

import type { Region } from "../memory/region.ts";
import { IDENTITY, type SliceLayout } from "./layout.ts";
import { LivingSlots } from "./living_slots.ts";
import { ReleasePlaces } from "./release_places.ts";
import type { SliceSource } from "./slice.ts";

/** The region of a slice pool. */
export type SliceRegion = Region<"busbar.slice_pool", SliceLayout>;

/** A pool, as the thread of this number sees it. */
export function sourceOf(region: SliceRegion, thread: number, debug: boolean): SliceSource {
  const { words, memory, byteOffset, layout } = region;
  const { slots, capacityBytes, blockByteOffset } = layout;
  return {
    words,
    living: new LivingSlots(words),
    block: new Uint8Array(memory.buffer, byteOffset + blockByteOffset, capacityBytes),
    slots,
    pool: words[IDENTITY]!,
    thread,
    wasSent: new Uint8Array(slots),
    places: debug ? new ReleasePlaces() : undefined,
    held: 0,
  };
}
