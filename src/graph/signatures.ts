// Rows of the op table with their patterns parsed, once: what the recorder binds letters by, and what scripts/op-table.js
// writes down for native code, so that both bind them in one order.
//
// Letters get their numbers first from dims that are a letter alone, then, in the order of the stream, from products whose
// other letters are known. All other dims are compared. Which dim gives which letter its number is settled here, by the row
// alone; a row that leaves a letter without one is refused.
import type { DType, Shape, Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { KINDS, type OpName, opRow } from "./ops.js";

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
}

export interface Signature {
  readonly op: OpName;
  /** In the order of the stream: operands, results, optional operands. */
  readonly operands: readonly Operand[];
  /** How many of them are always there. */
  readonly required: number;
  /** When the others are there, too. */
  readonly when: { readonly operand: number; readonly dtype: DType } | undefined;
  readonly letters: readonly Letter[];
}

const signatures = new Map<OpName, Signature>();

export function signatureOf(op: OpName): Signature {
  let signature = signatures.get(op);
  if (signature === undefined) {
    signature = parse(op);
    signatures.set(op, signature);
  }
  return signature;
}

function parse(op: OpName): Signature {
  const row = opRow(op);
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
  const dims = entries.map(([, [pattern]]) => pattern.split(" ").map(parseDim));
  const bounds = entries.map(([, [, kind]]) => (kind.startsWith("index ") ? parseDim(kind.slice(6)) : undefined));
  bindInOrder(op, dims.slice(0, required).flat(), letters);
  const operands = entries.map(([name, [, kind]], i): Operand => {
    const [word, argument] = kind.split(" ") as [keyof typeof KINDS | "like", string?];
    return {
      name,
      role: name in row.results ? "result" : row.updates?.includes(name) ? "updated" : "read",
      dims: dims[i]!,
      dtypes: word === "like" ? (KINDS[opRow(op).operands[argument!]![1] as keyof typeof KINDS] ?? []) : KINDS[word],
      like: word === "like" ? place(argument!) : -1,
      index: word === "index",
      bound: bounds[i],
      inPlace: (row.inPlace?.[name] ?? []).map(place),
    };
  });
  return {
    op,
    operands,
    required,
    when: row.optional && { operand: place(row.optional.when[0]), dtype: row.optional.when[1] },
    letters: letters.map((name) => {
      const most = row.most?.[name];
      return { name, least: row.least?.[name] ?? 0, most: most === undefined ? -1 : letters.indexOf(most) };
    }),
  };
}

/** Settles which dim gives which letter its number. */
function bindInOrder(op: OpName, dims: readonly Dim[], letters: readonly string[]): void {
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

/** What is looked at of an operand: a value of a recording. */
interface Given {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly tensor: Pick<Tensor, "indexBound"> | undefined;
}

/**
 * Checks what an op is given, in the order of its signature, where results are undefined; native code does the same with the whole
 * program. Letters that only results would tell are in `given`, by name. Returns the numbers of all letters.
 *
 * @throws {QuipuError} ERR_INTERNAL, which names the operand that does not fit.
 */
export function checkOperands(
  signature: Signature,
  values: readonly (Given | undefined)[],
  given: Readonly<Record<string, number>>,
): number[] {
  const { op, operands, required, when } = signature;
  const wrong = (i: number, why: string) =>
    new QuipuError("ERR_INTERNAL", `${op}: operand ${operands[i]!.name}: ${why}`);
  const optional = when !== undefined && values[when.operand]?.dtype === when.dtype;
  for (let i = 0; i < operands.length; i++) {
    const { role, dtypes, like } = operands[i]!;
    if (role === "result") continue;
    const value = values[i];
    if (value === undefined) {
      if (i < required || optional) throw wrong(i, "missing");
      continue;
    }
    if (i >= required && !optional)
      throw wrong(i, `expected only where ${operands[when!.operand]!.name} is ${when!.dtype}`);
    const allowed = like < 0 ? dtypes : [values[like]!.dtype];
    if (!allowed.includes(value.dtype)) {
      throw wrong(i, `expected ${allowed.join(" or ")}, got ${value.dtype} (${value.name})`);
    }
  }
  const numbers = bindLetters(signature, values, given);
  for (let i = 0; i < operands.length; i++) {
    const { index, bound } = operands[i]!;
    const value = values[i];
    if (!index || value === undefined) continue;
    const declared = value.tensor?.indexBound ?? 0;
    if (declared === 0) throw wrong(i, `expected an index tensor, with a declared bound (${value.name})`);
    if (bound !== undefined && declared > product(bound, numbers)) {
      throw wrong(i, `its bound ${declared} is beyond what it indexes, ${describe(bound, numbers)} (${value.name})`);
    }
  }
  return numbers;
}

/** The numbers of the letters by the shapes of the operands that there are. */
function bindLetters(
  { op, operands, letters }: Signature,
  values: readonly (Given | undefined)[],
  given: Readonly<Record<string, number>>,
): number[] {
  const numbers = letters.map(({ name }) => given[name] ?? -1);
  const misfit = (i: number, shape: Shape) => {
    const expected = operands[i]!.dims.map((dim) => describe(dim, numbers)).join(", ");
    return new QuipuError(
      "ERR_INTERNAL",
      `${op}: operand ${operands[i]!.name}: expected [${expected}], got [${shape.join(", ")}]`,
    );
  };
  for (const products of [false, true]) {
    for (let i = 0; i < operands.length; i++) {
      const { dims } = operands[i]!;
      const shape = values[i]?.shape;
      if (shape === undefined) continue;
      if (shape.length !== dims.length) throw misfit(i, shape);
      for (let d = 0; d < dims.length; d++) {
        const dim = dims[d]!;
        if (dim.binds < 0 || isAlone(dim) === products) continue;
        const number = products ? shape[d]! / product(dim, numbers, dim.binds) : shape[d]!;
        if (!Number.isInteger(number)) throw misfit(i, shape);
        numbers[dim.binds] = number;
      }
    }
  }
  for (let i = 0; i < operands.length; i++) {
    const shape = values[i]?.shape;
    if (shape?.some((dim, d) => dim !== product(operands[i]!.dims[d]!, numbers))) throw misfit(i, shape);
  }
  for (let i = 0; i < letters.length; i++) {
    const { name, least, most } = letters[i]!;
    const [number, limit] = [numbers[i]!, most < 0 ? undefined : numbers[most]!];
    if (number >= least && (limit === undefined || number <= limit)) continue;
    const range = limit === undefined ? `at least ${least}` : `${least} … ${letters[most]!.name} = ${limit}`;
    throw new QuipuError("ERR_INTERNAL", `${op}: ${name} is ${number}, expected ${range}`);
  }
  return numbers;
}

/** "D = 16", as far as its letters are known; "n*2*half, a multiple of 16" where one of them is to be found. */
function describe(dim: Dim, numbers: readonly number[]): string {
  const isToBeFound = dim.binds >= 0 && !isAlone(dim);
  const unknown = dim.letters.filter((letter) => numbers[letter]! < 0 && !(isToBeFound && letter === dim.binds));
  if (dim.text === `${dim.factor}` || unknown.length > 0) return dim.text;
  if (isToBeFound) return `${dim.text}, a multiple of ${product(dim, numbers, dim.binds)}`;
  return `${dim.text} = ${product(dim, numbers)}`;
}
