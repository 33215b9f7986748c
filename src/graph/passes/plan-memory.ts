// planMemory: where each value of a recording lies in the arena. A value lives from the op that makes it to the last that
// reads it; values that never live together share memory, and an op works in place where its row allows it and its operand
// dies there. Greedy by size: the largest values first, each at the lowest place free for its whole life (the arena of a
// Llama step comes within a few percent of the peak of live bytes; test/unit/graph/plan-memory.test.ts).
import { bytesOf } from "../../device/tensor.js";
import { opRow } from "../ops.js";
import type { Recording, Value } from "../recorder.js";

/** Byte offsets are multiples of this, as kernels and cache lines like it. */
export const ARENA_ALIGNMENT = 64;

export interface MemoryPlan {
  /** Byte offset in the arena of every value that is neither state nor an output, by id. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Bytes of the arena. */
  readonly arenaBytes: number;
}

/** One range of memory: a value, and those that take over its memory one after another. */
interface Block {
  readonly ids: number[];
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/** Plans the arena of `recording`. Pure: the recording stays as it is. */
export function planMemory(recording: Recording): MemoryPlan {
  const outputs = new Set(recording.outputs.map((value) => value.id));
  const inArena = (value: Value) => value.tensor === undefined && !outputs.has(value.id);
  const lastUse = new Map<number, number>();
  recording.ops.forEach((op, index) => {
    for (const value of [...op.results, ...op.operands]) lastUse.set(value.id, index);
  });

  const blocks: Block[] = [];
  const blockOf = new Map<number, Block>();
  recording.ops.forEach((op, index) => {
    const row = opRow(op.op);
    const names = Object.keys(row.operands);
    const resultNames = Object.keys(row.results);
    const taken = new Set<Value>(); // by another result
    op.results.forEach((result, r) => {
      if (!inArena(result)) return;
      const bytes = bytesOf(result.dtype, result.shape);
      const heir = (row.inPlace?.[resultNames[r]!] ?? [])
        .map((name) => op.operands[names.indexOf(name)]!)
        .find(
          (operand) =>
            inArena(operand) &&
            !taken.has(operand) &&
            lastUse.get(operand.id) === index &&
            bytesOf(operand.dtype, operand.shape) === bytes,
        );
      const inherited = heir && blockOf.get(heir.id);
      if (inherited !== undefined) {
        taken.add(heir!);
        inherited.ids.push(result.id);
        inherited.last = lastUse.get(result.id)!;
        blockOf.set(result.id, inherited);
        return;
      }
      const block = { ids: [result.id], bytes: align(bytes), first: index, last: lastUse.get(result.id)! };
      blocks.push(block);
      blockOf.set(result.id, block);
    });
  });

  const placed: { block: Block; offset: number }[] = [];
  const offsets = new Map<number, number>();
  let arenaBytes = 0;
  for (const block of blocks.sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    let offset = 0;
    const neighbours = placed.filter((other) => other.block.first <= block.last && block.first <= other.block.last);
    for (const other of neighbours.sort((a, b) => a.offset - b.offset)) {
      if (offset + block.bytes <= other.offset) break;
      offset = Math.max(offset, other.offset + other.block.bytes);
    }
    placed.push({ block, offset });
    for (const id of block.ids) offsets.set(id, offset);
    arenaBytes = Math.max(arenaBytes, offset + block.bytes);
  }
  return { offsets, arenaBytes };
}

function align(bytes: number): number {
  return Math.ceil(bytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;
}
