// fuse: ops that read each other's results become one, which a device may compute without writing what lies between to memory.
import { FUSIONS, type Fusion } from "../../device/fusions.js";
import type { OpName } from "../ops.js";
import type { Pass, RecordedOp, Recording, Value } from "../recording.js";
import { type Rule, rewrite } from "./rewrite.js";

const RULES: Readonly<Record<Fusion, Rule>> = {
  /** From the norm before a layer's first block to its cache: appendKv(rope(h · kᵀ), h · vᵀ), and rope(h · qᵀ), which attention reads. */
  normQkv(last, recording) {
    if (last.op !== "appendKv") return undefined;
    const { k, v, ...places } = last.operands as Readonly<Record<string, Value>>;
    const keyRope = between(k!, "rope", recording);
    const key = keyRope && between(keyRope.operands.x!, "matmul", recording);
    const value = between(v!, "matmul", recording);
    if (key === undefined || value === undefined) return undefined;
    const { a: h } = key.operands as { a: Value };
    const { angles } = keyRope!.operands as { angles: Value };
    const query = recording.users(h).find((op) => op !== key && op !== value);
    const queryRope = query && recording.users(query.results.out!)[0];
    if (query?.op !== "matmul" || queryRope?.op !== "rope" || queryRope.operands.angles!.id !== angles.id)
      return undefined;
    if (between(query.results.out!, "matmul", recording) === undefined) return undefined;
    if (query.operands.a!.id !== h.id || value.operands.a!.id !== h.id) return undefined;
    const norm = between(h, "rmsNorm", recording, 3);
    if (norm === undefined || places.keys!.shape[2] !== 2 * angles.shape[1]!) return undefined;
    const [queries, keys] = [query, key].map(({ operands }) => operands.b!.shape[0]!) as [number, number];
    if (keys === 0 || queries === 0 || queries % keys !== 0) return undefined;
    const weights = { query: query.operands.b!, key: key.operands.b!, value: value.operands.b! };
    return {
      op: "normQkv",
      operands: { x: norm.operands.x!, norm: norm.operands.weight!, ...weights, angles, ...places },
      attributes: norm.attributes,
      yields: { out: queryRope.results.out! },
    };
  },

  /** The norm before a feed-forward block, and its first half. */
  normMatmulSwiglu(last, recording) {
    const swiglu = RULES.matmulSwiglu(last, recording)?.operands;
    if (swiglu === undefined) return undefined;
    const { a, gate, up } = swiglu as Readonly<Record<string, Value>>;
    const norm = between(a!, "rmsNorm", recording, 2);
    if (norm === undefined) return undefined;
    const { x, weight } = norm.operands as { x: Value; weight: Value };
    return { op: "normMatmulSwiglu", operands: { x, norm: weight, gate: gate!, up: up! }, attributes: norm.attributes };
  },

  /** The rows whose logits are wanted, and the norm before the head. */
  gatherNorm(last, recording) {
    if (last.op !== "rmsNorm") return undefined;
    const gather = between(last.operands.x!, "gatherRows", recording);
    if (gather === undefined) return undefined;
    return {
      op: "gatherNorm",
      operands: { ...gather.operands, weight: last.operands.weight! },
      attributes: last.attributes,
    };
  },

  /** The head and what is drawn from its logits. */
  matmulSample(last, recording) {
    if (last.op !== "sample") return undefined;
    const { logits, ...requests } = last.operands as Readonly<Record<string, Value>>;
    const head = between(logits!, "matmul", recording);
    if (head === undefined) return undefined;
    const best = last.results.bestIds!.shape[1]!;
    return { op: "matmulSample", operands: { ...head.operands, ...requests }, given: { best } };
  },

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
          FUSIONS.filter((name) => fusions.includes(name)).map((name) => RULES[name]),
        );
}

/** The `op` that makes `value`, where as many ops read it as the pattern has, by default one: then nobody misses it. */
function between(value: Value, op: OpName, recording: Recording, readers = 1): RecordedOp | undefined {
  const producer = recording.producer(value);
  const alone = recording.users(value).length === readers && !recording.isOutput(value);
  return alone && producer?.op === op ? producer : undefined;
}
