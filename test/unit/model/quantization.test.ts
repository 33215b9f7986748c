import { bytesOf, elementsOf, type Shape } from "#quipu/device/tensor.js";
import { formatOf, type Quantization, type WeightRole } from "#quipu/model/quantization.js";

interface ModelShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly queries: number;
  readonly keys: number;
  readonly vocabulary: number;
  readonly tied?: boolean;
}

/** Bits a weight, of all weights. */
function bitsOf(model: ModelShape, quantization: Quantization): number {
  const { hidden: D, intermediate: F, queries: Q, keys: K, vocabulary: V } = model;
  let [bytes, weights] = [0, 0];
  const add = (role: WeightRole, shape: Shape, layer?: number) => {
    bytes += bytesOf(formatOf(quantization, role, layer, model.layers) ?? "bf16", shape);
    weights += elementsOf(shape);
  };
  const layer: Partial<Record<WeightRole, Shape>> = {
    ...{ inputNorm: [D], qProj: [Q, D], kProj: [K, D], vProj: [K, D], oProj: [D, Q] },
    ...{ postAttentionNorm: [D], gateProj: [F, D], upProj: [F, D], downProj: [D, F] },
  };
  for (let i = 0; i < model.layers; i++)
    for (const [role, shape] of Object.entries(layer)) add(role as WeightRole, shape, i);
  add("norm", [D]);
  add("lmHead", [V, D]);
  if (!model.tied) add("embedTokens", [V, D]);
  return (8 * bytes) / weights;
}

const LLAMA_32_1B = {
  hidden: 2048,
  intermediate: 8192,
  layers: 16,
  queries: 2048,
  keys: 512,
  vocabulary: 128256,
  tied: true,
};
const LLAMA_31_8B = { hidden: 4096, intermediate: 14336, layers: 32, queries: 4096, keys: 1024, vocabulary: 128256 };
const SMOLLM2 = { hidden: 576, intermediate: 1536, layers: 30, queries: 576, keys: 192, vocabulary: 49152, tied: true };

test("q4 keeps at most 5.2 bits a weight of the 1B shape and 4.9 of the 8B shape; rows that end in a short superblock cost little", () => {
  expect(bitsOf(LLAMA_32_1B, "q4")).toBeLessThanOrEqual(5.2);
  expect(bitsOf(LLAMA_31_8B, "q4")).toBeLessThanOrEqual(4.9);
  expect(bitsOf(SMOLLM2, "q4")).toBeLessThanOrEqual(5.2 + 0.1);
});

test("q8 keeps 8.5, and none what the file has", () => {
  for (const shape of [LLAMA_32_1B, LLAMA_31_8B, SMOLLM2]) {
    expect(bitsOf(shape, "q8")).toBeCloseTo(8.5, 2);
    expect(bitsOf(shape, "none")).toBe(16);
  }
});

test("vectors stay as they are, and gate and up have one format, so that they are fused", () => {
  for (const role of ["inputNorm", "postAttentionNorm", "norm"] as const) expect(formatOf("q4", role)).toBeUndefined();
  for (let layer = 0; layer < 16; layer++) {
    expect(formatOf("q4", "gateProj", layer, 16)).toBe(formatOf("q4", "upProj", layer, 16));
  }
});
