// The check of one op that is being recorded, by its signature. Native code does the same with a whole program
// (native/core/op_table.cc), which it trusts in nothing; here a mistake is told where it is made, with its names.
import type { DType, Shape, Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import type { RowCount } from "./recording.js";
import { type Dim, isAlone, product, rowsLetter, type Signature } from "./signatures.js";

/** What is looked at of an operand: a value of a recording. */
interface Given {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly leading: RowCount | undefined;
  readonly tensor: Pick<Tensor, "indexBound"> | undefined;
}

/** Operands in the order of the signature; results are not there yet. */
type Operands = readonly (Given | undefined)[];

/** What an op's letters stand for, in the order of its signature. */
export interface Letters {
  readonly numbers: readonly number[];
  /** Those that are the rows of a run, and which. */
  readonly leading: readonly (RowCount | undefined)[];
}

/**
 * Letters that only results would tell are in `given`, by name.
 *
 * @throws {QuipuError} ERR_INTERNAL, which names the operand that does not fit.
 */
export function checkOperands(
  signature: Signature,
  operands: Operands,
  given: Readonly<Record<string, number>>,
): Letters {
  checkKinds(signature, operands);
  const numbers = bindLetters(signature, operands, given);
  checkRanges(signature, numbers);
  checkBounds(signature, operands, numbers);
  return { numbers, leading: bindLeading(signature, operands) };
}

function wrong({ op, operands }: Signature, i: number, why: string): QuipuError {
  return new QuipuError("ERR_INTERNAL", `${op}: operand ${operands[i]!.name}: ${why}`);
}

function checkKinds(signature: Signature, operands: Operands): void {
  const { required, when } = signature;
  const optional = when !== undefined && operands[when.operand]?.dtype === when.dtype;
  for (let i = 0; i < operands.length; i++) {
    const { role, dtypes, like, dims } = signature.operands[i]!;
    const value = operands[i];
    if (role === "result") continue;
    if (value === undefined) {
      if (i < required || optional) throw wrong(signature, i, "missing");
      continue;
    }
    if (i >= required && !optional) {
      const { name } = signature.operands[when!.operand]!;
      throw wrong(signature, i, `expected only where ${name} is ${when!.dtype}`);
    }
    const fits = like < 0 ? dtypes.includes(value.dtype) : value.dtype === operands[like]!.dtype;
    if (!fits) {
      const expected = like < 0 ? dtypes.join(" or ") : operands[like]!.dtype;
      throw wrong(signature, i, `expected ${expected}, got ${value.dtype} (${value.name})`);
    }
    if (value.shape.length !== dims.length) throw misfit(signature, i, value.shape, []);
  }
}

function bindLetters(signature: Signature, operands: Operands, given: Readonly<Record<string, number>>): number[] {
  const { letters } = signature;
  const numbers = new Array<number>(letters.length);
  for (let i = 0; i < numbers.length; i++) numbers[i] = given[letters[i]!.name] ?? -1;
  for (const { operand, place, dim } of signature.dims) {
    const shape = operands[operand]?.shape;
    if (shape === undefined) continue;
    const number = shape[place]!;
    if (dim.binds < 0) {
      if (number !== product(dim, numbers)) throw misfit(signature, operand, shape, numbers);
      continue;
    }
    const bound = number / product(dim, numbers, dim.binds);
    if (!Number.isInteger(bound)) throw misfit(signature, operand, shape, numbers);
    numbers[dim.binds] = bound;
  }
  return numbers;
}

/** A letter is the same rows wherever it is; what is no letter of rows is none. */
function bindLeading(signature: Signature, operands: Operands): (RowCount | undefined)[] {
  const leading: (RowCount | undefined)[] = [];
  const tells: number[] = []; // the first operand that has the letter
  for (let i = 0; i < operands.length; i++) {
    const value = operands[i];
    if (value === undefined) continue;
    const letter = rowsLetter(signature, signature.operands[i]!);
    if (letter >= 0 && tells[letter] === undefined) {
      tells[letter] = i;
      leading[letter] = value.leading;
    }
    const expected = letter < 0 ? undefined : leading[letter];
    if (value.leading === expected) continue;
    const [wanted, got] = [expected, value.leading].map((rows) => (rows === undefined ? "fixed" : `a run's ${rows}`));
    const by = letter < 0 ? "" : ` as that of ${signature.operands[tells[letter]!]!.name}`;
    throw wrong(signature, i, `expected its first dim ${wanted}${by}, got ${got} (${value.name})`);
  }
  return leading;
}

function checkRanges({ op, letters }: Signature, numbers: readonly number[]): void {
  for (let i = 0; i < letters.length; i++) {
    const { name, least, most } = letters[i]!;
    const number = numbers[i]!;
    if (number >= least && (most < 0 || number <= numbers[most]!)) continue;
    const range = most < 0 ? `at least ${least}` : `${least} … ${letters[most]!.name} = ${numbers[most]}`;
    throw new QuipuError("ERR_INTERNAL", `${op}: ${name} is ${number}, expected ${range}`);
  }
}

function checkBounds(signature: Signature, operands: Operands, numbers: readonly number[]): void {
  for (let i = 0; i < operands.length; i++) {
    const { index, bound } = signature.operands[i]!;
    const value = operands[i];
    if (!index || value === undefined) continue;
    const declared = value.tensor?.indexBound ?? 0;
    if (declared === 0) {
      throw wrong(signature, i, `expected an index tensor, with a declared bound (${value.name})`);
    }
    if (bound !== undefined && declared > product(bound, numbers)) {
      const limit = describe(bound, numbers);
      throw wrong(signature, i, `its bound ${declared} is beyond what it indexes, ${limit} (${value.name})`);
    }
  }
}

function misfit(signature: Signature, i: number, shape: Shape, numbers: readonly number[]): QuipuError {
  const expected = signature.operands[i]!.dims.map((dim) => describe(dim, numbers)).join(", ");
  return wrong(signature, i, `expected [${expected}], got [${shape.join(", ")}]`);
}

/** "D = 16", as far as its letters are known; "n*2*half, a multiple of 16" where one of them is to be found. */
function describe(dim: Dim, numbers: readonly number[]): string {
  const isKnown = (letter: number) => (numbers[letter] ?? -1) >= 0;
  if (dim.letters.length === 0) return dim.text;
  if (dim.letters.every(isKnown)) return `${dim.text} = ${product(dim, numbers)}`;
  if (isAlone(dim) || !dim.letters.every((letter) => letter === dim.binds || isKnown(letter))) return dim.text;
  return `${dim.text}, a multiple of ${product(dim, numbers, dim.binds)}`;
}
