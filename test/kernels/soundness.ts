// Whether a program of one op is sound, by the words of its row in the op table: the rule that native/core/op_table.cc is held
// to, in whole numbers without end, and without a thought for speed or order.
import { FORMATS, type FormatRow } from "#quipu/device/formats.js";
import { KINDS, type OperandKind, type OpRow } from "#quipu/graph/op-row.js";
import { type OpName, opRow } from "#quipu/graph/ops.js";
import type { RowCounts } from "#quipu/graph/recording.js";
import type { Operand } from "./hand-made.js";

type Numbers = Map<string, bigint>;

export function isSound(
  op: OpName,
  operands: readonly Operand[],
  attributes: number,
  arenaBytes: number,
  capacity: RowCounts = { rows: 0, wanted: 0 },
): boolean {
  const row = opRow(op);
  const always = [...Object.entries(row.operands), ...Object.entries(row.results)];
  const present = (name: string) => operands[always.findIndex(([other]) => other === name)]!;
  if (operands.length < always.length) return false;
  const scaled = row.optional !== undefined && present(row.optional.when[0]).dtype === row.optional.when[1];
  const entries = scaled ? [...always, ...Object.entries(row.optional.operands)] : always;
  if (operands.length !== entries.length || attributes !== Object.keys(row.attributes ?? {}).length) return false;

  if (!operands.every((operand) => liesInItsPlace(operand, arenaBytes))) return false;
  if (!operands.every((operand) => hasItsRows(operand, capacity))) return false;
  if (!entries.every(([, [, kind]], i) => isOfKind(operands[i]!, kind, present))) return false;
  const patterns = entries.map(([, [pattern]]) => pattern.split(" "));
  if (!patterns.every(({ length }, i) => operands[i]!.shape.length === length)) return false;
  const dims = patterns.flatMap((pattern, i) =>
    pattern.map((text, d) => [text, BigInt(operands[i]!.shape[d]!)] as const),
  );
  const numbers = solve(dims);
  if (numbers === undefined) return false;
  for (const [letter, number] of numbers) {
    const most = row.most?.[letter];
    if (number < BigInt(row.least?.[letter] ?? 0) || (most !== undefined && number > numbers.get(most)!)) return false;
  }
  if (!rowsAgree(row, patterns, operands)) return false;
  return entries.every(([name, [, kind]], i) => {
    const operand = operands[i]!;
    const [word, bound] = kind.split(" ");
    if (word === "index" && !isIndex(operand, bound, numbers)) return false;
    const result = name in row.results;
    if (!result && !row.updates?.includes(name)) return true;
    const { place } = operand;
    if (place !== "arena" && (!place.writable || (place.bound > 0 && word !== "index"))) return false;
    return operands.every((other, o) => {
      if (o === i || !overlap(operand, other)) return true;
      const same = operand.offset === other.offset && bytesOf(operand) === bytesOf(other);
      return same && (row.inPlace?.[name] ?? []).includes(entries[o]![0]);
    });
  });
}

/** What is marked as rows has as many as the program is made for. */
function hasItsRows({ leading, shape }: Operand, { rows, wanted }: RowCounts): boolean {
  return leading === 0 || (leading <= 2 && shape[0] === (leading === 1 ? rows : wanted));
}

/**
 * Only a letter that is nothing but a first dim, wherever it is, and that may be 0, can be the rows of a run; it is the same ones
 * everywhere.
 */
function rowsAgree(
  { least, most }: OpRow,
  patterns: readonly (readonly string[])[],
  operands: readonly Operand[],
): boolean {
  const inner = new Set(patterns.flatMap((pattern) => pattern.flatMap((text, d) => (d > 0 ? text.split("*") : []))));
  const products = new Set(patterns.flat().flatMap((text) => (text.includes("*") ? text.split("*") : [])));
  return patterns.every(([first], i) => {
    const mark = operands[i]!.leading;
    const isRows = /^[a-z]/i.test(first!) && !first!.includes("*") && !inner.has(first!) && !products.has(first!);
    if (!isRows || first! in (least ?? {}) || first! in (most ?? {})) return mark === 0;
    return patterns.every(([other], o) => other !== first || operands[o]!.leading === mark);
  });
}

/** Numbers for all letters such that every dim is the product that it says; undefined: there are none. */
function solve(dims: readonly (readonly [text: string, number: bigint])[]): Numbers | undefined {
  const numbers: Numbers = new Map();
  for (let known = -1; known < numbers.size; ) {
    known = numbers.size;
    for (const [text, dim] of dims) {
      const factors = text.split("*");
      const free = factors.filter((factor) => numberOf(factor, numbers) === undefined);
      if (free.length !== 1) continue;
      const rest = factors.reduce((all, factor) => all * (numberOf(factor, numbers) ?? 1n), 1n);
      if (rest === 0n || dim % rest !== 0n) return undefined;
      numbers.set(free[0]!, dim / rest);
    }
  }
  return dims.every(([text, dim]) => numberOfProduct(text, numbers) === dim) ? numbers : undefined;
}

const numberOf = (factor: string, numbers: Numbers) => (/^\d+$/.test(factor) ? BigInt(factor) : numbers.get(factor));

const numberOfProduct = (text: string, numbers: Numbers) =>
  text.split("*").reduce((all, factor) => all * (numberOf(factor, numbers) ?? 0n), 1n);

function isOfKind({ dtype }: Operand, kind: OperandKind, present: (name: string) => Operand): boolean {
  const [word, other] = kind.split(" ") as ["like" | keyof typeof KINDS, string?];
  if (word === "like") return dtype === present(other!).dtype;
  return (KINDS[word] as readonly string[]).includes(dtype);
}

function isIndex({ place }: Operand, bound: string | undefined, numbers: Numbers): boolean {
  if (place === "arena" || place.bound === 0) return false;
  return bound === undefined || BigInt(place.bound) <= numberOfProduct(bound, numbers);
}

function bytesOf({ dtype, shape }: Operand): bigint {
  const { block, shared }: FormatRow = FORMATS[dtype];
  const parts = (count: bigint, of: number) => (count + BigInt(of) - 1n) / BigInt(of);
  const matrixRows = shape.slice(0, -1).reduce((product, dim) => product * BigInt(dim), 1n);
  const columns = BigInt(shape.at(-1) ?? 1);
  const ofRow = ({ columns: of, bytes }: { columns: number; bytes: number }) => parts(columns, of) * BigInt(bytes);
  return parts(matrixRows, block.rows) * (ofRow(block) + (shared === undefined ? 0n : ofRow(shared)));
}

function liesInItsPlace(operand: Operand, arenaBytes: number): boolean {
  const { shape, place, offset, dtype } = operand;
  const room = BigInt(place === "arena" ? arenaBytes : place.bytes);
  return shape.length <= 4 && BigInt(offset) + bytesOf(operand) <= room && offset % FORMATS[dtype].alignment === 0;
}

function overlap(a: Operand, b: Operand): boolean {
  const places = [a.place, b.place].map((place) => (place === "arena" ? place : place.buffer));
  if (places[0] !== places[1] || bytesOf(a) === 0n || bytesOf(b) === 0n) return false;
  return BigInt(a.offset) < BigInt(b.offset) + bytesOf(b) && BigInt(b.offset) < BigInt(a.offset) + bytesOf(a);
}
