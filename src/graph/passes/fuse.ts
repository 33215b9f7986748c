// fuse: ops that read each other's results become one, which a device may compute without writing what lies between to memory.
import type { Fusion } from "../../device/fusions.js";
import type { OpName } from "../ops.js";
import type { Pass, RecordedOp, Recording, Value } from "../recording.js";
import { type Rule, rewrite } from "./rewrite.js";

const RULES: Readonly<Record<Fusion, Rule>> = {
  /** residual + a · bᵀ: the end of both blocks of a layer. */
  matmulAdd(last, recording) {
    if (last.op !== "add") return undefined;
    const { a, b } = last.operands as { a: Value; b: Value };
    for (const [product, residual] of [
      [b, a],
      [a, b],
    ] as const) {
      const matmul = between(product, "matmul", recording);
      if (matmul !== undefined) return { op: "matmulAdd", operands: { ...matmul.operands, residual } };
    }
    return undefined;
  },

  /** swiglu(a · gateᵀ, a · upᵀ): the first half of a feed-forward block. */
  matmulSwiglu(last, recording) {
    if (last.op !== "swiglu") return undefined;
    const gate = between(last.operands.gate!, "matmul", recording)?.operands;
    const up = between(last.operands.up!, "matmul", recording)?.operands;
    if (gate === undefined || up === undefined || gate.a!.id !== up.a!.id) return undefined;
    if (gate.b!.dtype !== up.b!.dtype) return undefined;
    return { op: "matmulSwiglu", operands: { a: gate.a!, gate: gate.b!, up: up.b! } };
  },
};

/** The pass that makes `fusions`. */
export function fuse(fusions: readonly Fusion[]): Pass {
  return (recording) =>
    fusions.length === 0
      ? recording
      : rewrite(
          recording,
          fusions.map((name) => RULES[name]),
        );
}

/** The `op` that makes `value`, where it is read once: then nobody misses it. */
function between(value: Value, op: OpName, recording: Recording): RecordedOp | undefined {
  const producer = recording.producer(value);
  const alone = recording.users(value).length === 1 && !recording.isOutput(value);
  return alone && producer?.op === op ? producer : undefined;
}
