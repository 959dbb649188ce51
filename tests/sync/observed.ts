/**
 * What an observer hears.
 *
 * @module
 */

import type { Observer } from "../../mod.ts";

/** Installs an observer for as long as `fn` runs; returns the labels that it was told. */
export function observed(fn: () => void): string[] {
  const heard: string[] = [];
  const slot = (globalThis as unknown as Record<symbol, { current: Observer | undefined }>)[
    Symbol.for("busbar.observer")
  ]!;
  const before = slot.current;
  slot.current = {
    beginSpeculation() {},
    endSpeculation() {},
    label: (_buffer, byteOffset, byteLength, name) =>
      heard.push(`${name} ${byteOffset} ${byteLength}`),
  };
  try {
    fn();
  } finally {
    slot.current = before;
  }
  return heard;
}
