// Rows of the op table with their patterns parsed, once: what the recorder checks by (check-operands.ts), and what
// scripts/op-table.js writes down for native code, so that both bind letters in one order.
//
// Letters get their numbers first from dims that are a letter alone, then, in the order of the stream, from products whose
// other letters are known. All other dims are compared. Which dim gives which letter its number is settled here, by the row
// alone; a row that leaves a letter without one is refused.
import type { DType } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { KINDS, type OpRow } from "./op-row.js";
import { type OpName, opRow } from "./ops.js";

export interface Dim {
  /** As the row writes it: "n*2*half". */
  readonly text: string;
  /** The product of its numbers. */
  readonly factor: number;
  /** Its letters, as places in {@link Signature.letters}. */
  readonly letters: readonly number[];
  /** The letter that has its number from this dim; −1: none. */
  binds: number;
}

export interface Operand {
  readonly name: string;
  readonly role: "read" | "updated" | "result";
  readonly dims: readonly Dim[];
  readonly dtypes: readonly DType[];
  /** The operand whose dtype it must have; −1: none. */
  readonly like: number;
  /** Whether its contents are addresses, which lie below `bound`, if that is given, by the promise of their buffer. */
  readonly index: boolean;
  readonly bound: Dim | undefined;
  /** Of a result: the operands that it may take the place of. */
  readonly inPlace: readonly number[];
}

export interface Letter {
  readonly name: string;
  readonly least: number;
  /** The letter that it may not exceed; −1: none. */
  readonly most: number;
  /**
   * Whether it may be a number of rows that differs from run to run: it is everywhere a first dim, by itself. Then no address of an
   * element depends on it, and what an op may touch with fewer rows it may touch with all.
   */
  readonly rows: boolean;
}

export interface Signature {
  readonly op: string;
  /** In the order of the stream: operands, results, optional operands. */
  readonly operands: readonly Operand[];
  /** How many of them are always there. */
  readonly required: number;
  /** When the others are there, too. */
  readonly when: { readonly operand: number; readonly dtype: DType } | undefined;
  readonly letters: readonly Letter[];
  /** Every dim of every operand, those that bind a letter first, in the order in which they do. */
  readonly dims: readonly { readonly operand: number; readonly place: number; readonly dim: Dim }[];
}

const signatures = new Map<OpName, Signature>();

export function signatureOf(op: OpName): Signature {
  let signature = signatures.get(op);
  if (signature === undefined) {
    signature = parseRow(op, opRow(op));
    signatures.set(op, signature);
  }
  return signature;
}

/** @throws {QuipuError} ERR_INTERNAL where letters cannot be told from shapes, or a name is none of the row's. */
export function parseRow(op: string, row: OpRow): Signature {
  const letters: string[] = [];
  const parseDim = (text: string): Dim => {
    const factors = text.split("*");
    const numbers = factors.map(Number);
    const placeOf = (letter: string) => (letters.includes(letter) ? letters.indexOf(letter) : letters.push(letter) - 1);
    return {
      text,
      factor: numbers.reduce((product, number) => (Number.isNaN(number) ? product : product * number), 1),
      letters: factors.filter((_, i) => Number.isNaN(numbers[i])).map(placeOf),
      binds: -1,
    };
  };
  const entries = [
    ...Object.entries(row.operands),
    ...Object.entries(row.results),
    ...Object.entries(row.optional?.operands ?? {}),
  ];
  const names = entries.map(([name]) => name);
  const place = (name: string) => {
    if (!names.includes(name)) throw new QuipuError("ERR_INTERNAL", `${op}: there is no operand ${name}`);
    return names.indexOf(name);
  };
  const required = entries.length - Object.keys(row.optional?.operands ?? {}).length;
  const patterns = entries.map(([, [pattern]]) => pattern.split(" ").map(parseDim));
  const bounds = entries.map(([, [, kind]]) => (kind.startsWith("index ") ? parseDim(kind.slice(6)) : undefined));
  bindInOrder(op, patterns.slice(0, required).flat(), letters);
  const operands = entries.map(([name, [, kind]], i): Operand => {
    const [word, argument] = kind.split(" ") as [keyof typeof KINDS | "like", string?];
    const inPlace = row.inPlace?.[name] ?? [];
    for (const other of inPlace) {
      const [[dims, dtype], [pattern]] = [entries[place(other)]![1], entries[i]![1]];
      if (dims !== pattern || dtype !== kind) {
        throw new QuipuError("ERR_INTERNAL", `${op}: ${name} is not of the shape and dtype of ${other}`);
      }
    }
    return {
      name,
      role: name in row.results ? "result" : row.updates?.includes(name) ? "updated" : "read",
      dims: patterns[i]!,
      dtypes: word === "like" ? (KINDS[row.operands[argument!]?.[1] as keyof typeof KINDS] ?? []) : KINDS[word],
      like: word === "like" ? place(argument!) : -1,
      index: word === "index",
      bound: bounds[i],
      inPlace: inPlace.map(place),
    };
  });
  const dims = patterns.flatMap((dims, operand) => dims.map((dim, place) => ({ operand, place, dim })));
  const isRows = (letter: number) =>
    dims.every(({ place, dim }) => !dim.letters.includes(letter) || (place === 0 && isAlone(dim)));
  const turn = ({ dim }: { dim: Dim }) => (dim.binds < 0 ? 2 : isAlone(dim) ? 0 : 1);
  return {
    op,
    operands,
    required,
    when: row.optional && { operand: place(row.optional.when[0]), dtype: row.optional.when[1] },
    letters: letters.map((name) => {
      const [least, most] = [row.least?.[name] ?? 0, row.most?.[name]];
      const rows = least === 0 && most === undefined && isRows(letters.indexOf(name));
      return { name, least, most: most === undefined ? -1 : letters.indexOf(most), rows };
    }),
    dims: dims.sort((a, b) => turn(a) - turn(b)),
  };
}

/** Settles which dim gives which letter its number. */
function bindInOrder(op: string, dims: readonly Dim[], letters: readonly string[]): void {
  const known = new Set<number>();
  for (const dim of [...dims.filter(isAlone), ...dims.filter((dim) => !isAlone(dim))]) {
    const free = dim.letters.filter((letter) => !known.has(letter));
    if (free.length > 1) {
      throw new QuipuError("ERR_INTERNAL", `${op}: ${dim.text} cannot tell its letters apart`);
    }
    if (free.length === 1) {
      dim.binds = free[0]!;
      known.add(dim.binds);
    }
  }
  const unknown = letters.filter((_, i) => !known.has(i));
  if (unknown.length > 0) throw new QuipuError("ERR_INTERNAL", `${op}: no dim says what ${unknown.join()} is`);
}

/** The letter that may be a number of rows and is what `dims` begin with; −1: none. */
export function rowsLetter({ letters }: Signature, { dims: [first] }: Operand): number {
  const letter = first !== undefined && isAlone(first) ? first.letters[0]! : -1;
  return letters[letter]?.rows ? letter : -1;
}

/** Whether it is a letter and nothing else. */
export function isAlone(dim: Dim): boolean {
  return dim.factor === 1 && dim.letters.length === 1;
}

/** The number that `dim` stands for; `without` leaves a letter out. */
export function product(dim: Dim, numbers: readonly number[], without = -1): number {
  let result = dim.factor;
  for (const letter of dim.letters) if (letter !== without) result *= numbers[letter]!;
  return result;
}
