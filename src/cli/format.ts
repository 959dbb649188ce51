/**
 * How commands write numbers, sizes, names and tables.
 *
 * @module
 */

/** A number with its thousands apart: `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** An amount of data in decimal units: `95.3 MB`. */
export function formatAmount(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  if (bytes >= 1e3) return `${(bytes / 1e3).toFixed(1)} kB`;
  return formatUnit(bytes, "byte");
}

/** A size of memory in binary units, exactly: `1 MiB`, `1.5 KiB`, `100 bytes`. */
export function formatSize(bytes: number): string {
  for (const [unit, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const) {
    if (bytes >= unit && (bytes * 8) % unit === 0) return `${bytes / unit} ${name}`;
  }
  return formatUnit(bytes, "byte");
}

/** A number of things: `1 byte`, `2 bytes`. */
export function formatUnit(count: number, unit: string): string {
  return `${formatCount(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** A part of a whole: `12.5 %`. */
export function formatShare(part: number, whole: number): string {
  return `${(100 * part / Math.max(whole, 1)).toFixed(1)} %`;
}

/** `text` without what could move a terminal's cursor. */
export function printable(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/**
 * Rows in columns, two spaces apart.
 *
 * @param rows Equally long.
 * @param align For each column: `left` or `right`.
 */
export function formatTable(rows: string[][], align: readonly ("left" | "right")[]): string {
  const widths = align.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const cell = (text: string, column: number) =>
    align[column] === "right" ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}
