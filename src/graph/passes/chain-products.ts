// chainProducts: matmul by f32 weights becomes matmulPlain by their transpose, so that a sum is one chain of fma for each block of k, as the
// products of gradients are, in place of sixteen (docs/numerics.md). The transpose is made once and serves all rows: for where there are many.
import type { Pass, RecordedOp } from "../recording.js";
import { type Replacement, rewrite } from "./rewrite.js";

export const chainProducts: Pass = (recording) => rewrite(recording, [chained]);

function chained({ op, operands }: RecordedOp): Replacement | undefined {
  const { a, b } = operands;
  if (op !== "matmul" || b!.dtype !== "f32") return undefined;
  return { op: "matmulPlain", operands: { a: a!, b: { op: "transpose", operands: { x: b! } } } };
}
