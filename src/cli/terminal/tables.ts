// Numbers and tables for people.

export type Cell = string | number;

/** Columns padded to their widest cell; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const numeric = header.map((_, column) => rows.length > 0 && rows.every((row) => isNumeric(row[column])));
  const texts = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) => texts.reduce((most, row) => Math.max(most, row[column]!.length), 0));
  return texts
    .map((row) =>
      row
        .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

export function markdownTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const numeric = header.map((_, column) => rows.length > 0 && rows.every((row) => isNumeric(row[column])));
  const line = (cells: readonly Cell[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(header) + line(numeric.map((right) => (right ? "---:" : "---"))) + rows.map(line).join("");
}

export function csv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  return [header, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function isNumeric(cell: Cell | undefined): boolean {
  return typeof cell === "number" || /^[\d.,]*( ±.*| %!?)?$/.test(cell ?? "");
}

/** "256.6 MiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** "40 s", "12 min", "2.5 h". */
export function formatTime(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** "q8 and bf16, 8.72 bits a weight, 136.4 MiB a token". */
export function formatWeights(formats: readonly { format: string }[], bitsPerWeight: number, perToken: number): string {
  const names = formats.map(({ format }) => format).join(" and ");
  return `${names}, ${bitsPerWeight.toFixed(2)} bits a weight, ${formatBytes(perToken)} a token`;
}

/** "134.52 M". */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)} M`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(1)} K` : String(count);
}
