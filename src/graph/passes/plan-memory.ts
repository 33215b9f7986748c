// planMemory: where each value of a recording lies in the arena. A value lives from the op that makes it to the last that
// reads it; values that never live together share memory, and an op works in place where its row allows it and its operand
// dies there. Greedy by size: the largest values first, each at the lowest place free for its whole life.
import { bytesOf } from "../../device/tensor.js";
import { opRow } from "../ops.js";
import type { Recording, Value } from "../recording.js";
import { type Block, Lives } from "./lives.js";

/** Byte offsets are multiples of this, as kernels and cache lines like it. */
export const ARENA_ALIGNMENT = 64;

export interface MemoryPlan {
  /** Byte offset in the arena of every value that is neither state nor an output, by id. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Bytes of the arena. */
  readonly arenaBytes: number;
}

/** Plans the arena of `recording`. Pure: the recording stays as it is. */
export function planMemory(recording: Recording): MemoryPlan {
  const blockOf = blocksOf(recording);
  const lives = new Lives(recording.ops.length);
  let arenaBytes = 0;
  for (const block of [...new Set(blockOf.values())].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    lives.place(block);
    arenaBytes = Math.max(arenaBytes, block.offset + block.bytes);
  }
  return { offsets: new Map([...blockOf].map(([id, { offset }]) => [id, offset])), arenaBytes };
}

/** The block of every value in the arena, by id; values that take over each other's memory have one. */
function blocksOf(recording: Recording): Map<number, Block> {
  const inArena = (value: Value) => value.tensor === undefined && !recording.isOutput(value);
  const lastUse = new Map<number, number>();
  recording.ops.forEach(({ operands, results }, index) => {
    for (const { id } of [...Object.values(results), ...Object.values(operands)]) lastUse.set(id, index);
  });
  const blockOf = new Map<number, Block>();
  recording.ops.forEach((op, index) => {
    const taken = new Set<Value>(); // by another result
    for (const [name, result] of Object.entries(op.results)) {
      if (!inArena(result)) continue;
      const bytes = bytesOf(result.dtype, result.shape);
      const last = lastUse.get(result.id)!;
      const heir = (opRow(op.op).inPlace?.[name] ?? [])
        .map((operand) => op.operands[operand]!)
        .find(
          (operand) =>
            inArena(operand) &&
            !taken.has(operand) &&
            lastUse.get(operand.id) === index &&
            bytesOf(operand.dtype, operand.shape) === bytes,
        );
      if (heir !== undefined) taken.add(heir);
      const block = (heir && blockOf.get(heir.id)) ?? { bytes: align(bytes), first: index, last, offset: 0 };
      block.last = last;
      blockOf.set(result.id, block);
    }
  });
  return blockOf;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;
}
