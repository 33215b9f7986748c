// What was counted: as a number or a table, against a limit, and what it costs.
import { QuipuError } from "../errors.js";
import { type Cell, table } from "./terminal/tables.js";

export interface Measured {
  readonly file?: string;
  readonly count: number;
  /** Of UTF-8. */
  readonly bytes: number;
  /** Where they are asked for. */
  readonly ids?: Int32Array;
  /** It is over the limit, and was not read to its end. */
  readonly isCut?: boolean;
}

/** A file that is not counted. */
export interface Failed {
  readonly file: string;
  readonly error: string;
}

/** @param price of a million tokens. */
export function costOf(count: number, price: number): number {
  return (count * price) / 1e6;
}

/**
 * One text is a number; several are a table with a total, and so is what has a price.
 *
 * @param asked how many texts there were to count; some may not be among those measured.
 */
export function countTable(measured: readonly Measured[], asked: number, price: number | undefined): string {
  if (measured.length === 0 || (asked === 1 && measured[0]!.isCut)) return "";
  if (asked === 1 && price === undefined) return `${measured[0]!.count}\n`;
  const named = measured.some(({ file }) => file !== undefined);
  const row = ({ count, bytes, file }: Measured): Cell[] => [
    count,
    bytes,
    count === 0 ? "" : (bytes / count).toFixed(2),
    ...(price === undefined ? [] : [costOf(count, price).toFixed(6)]),
    ...(named ? [file ?? ""] : []),
  ];
  const total = measured.reduce((a, b) => ({ count: a.count + b.count, bytes: a.bytes + b.bytes, file: "total" }));
  const header = [
    "tokens",
    "bytes",
    "bytes/token",
    ...(price === undefined ? [] : ["cost"]),
    ...(named ? ["file"] : []),
  ];
  return table(header, [...measured.map(row), ...(measured.length > 1 ? [row(total)] : [])]);
}

/** @throws {QuipuError} ERR_CONTEXT_OVERFLOW where one of them has more than `limit` tokens; says by how much. */
export function refuseOverflow(measured: readonly Measured[], limit: number | undefined): void {
  if (limit === undefined) return;
  const long = measured.filter(({ count }) => count > limit);
  if (long.length === 0) return;
  const each = long.map(({ file, count, isCut }) => {
    const name = file ?? "the text";
    if (isCut) return `${name} has more, and was not read to its end`;
    return `${name} has ${count} tokens, ${count - limit} too many`;
  });
  const several = measured.length === 1 ? "" : `${long.length} of ${measured.length} texts: `;
  throw new QuipuError("ERR_CONTEXT_OVERFLOW", `over the limit of ${limit} tokens: ${several}${each.join("; ")}`);
}
