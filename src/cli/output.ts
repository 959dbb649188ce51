/**
 * Where commands write, and how: expected errors, numbers, sizes, names and tables.
 *
 * @module
 */

/** Where a command writes: results to `log`, errors to `error`. */
export type Output = Pick<Console, "log" | "error">;

/** An expected failure, whose message is all that the user needs. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** A number with thousands separators: `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A number of things: `1 byte`, `2 bytes`. */
export function formatUnit(count: number, unit: string): string {
  return `${formatCount(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** An amount of data in decimal units: `95.3 MB`. */
export function formatAmount(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  if (bytes >= 1e3) return `${(bytes / 1e3).toFixed(1)} kB`;
  return formatUnit(bytes, "byte");
}

/** The exact size of a piece of memory, a power of two: `1 MiB`, `64 bytes`. */
export function formatSize(bytes: number): string {
  for (const [unit, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const) {
    if (bytes >= unit) return `${bytes / unit} ${name}`;
  }
  return formatUnit(bytes, "byte");
}

/** `text` with its control characters escaped, so that it cannot control the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Rows of equal length in columns: the first and the last aligned left, the others right. */
export function formatTable(rows: readonly string[][]): string {
  const last = rows[0]!.length - 1;
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const pad = (text: string, column: number) =>
    column === 0 || column === last ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}
