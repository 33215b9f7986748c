// A checkpoint whose packed weights are worth keeping, and programs that load it in processes of their own.
import { join } from "node:path";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";
import { TINY_CONFIG, type WrittenTensor, writeCheckpoint } from "./checkpoint-writer.js";

/** 18 MB of q8 in seven tensors a layer and the head. */
export const WORTH_KEEPING_CONFIG: JsonObject = {
  ...TINY_CONFIG,
  ...{ vocab_size: 2048, hidden_size: 512, intermediate_size: 2112, num_hidden_layers: 4, num_attention_heads: 8 },
};

/** Its tensors, f32: small numbers that differ from row to row. */
export function worthKeepingTensors(): Record<string, WrittenTensor> {
  let seed = 1;
  const random = Float32Array.from({ length: 2 ** 21 }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  });
  return Object.fromEntries(
    expectedTensors(parseConfig(WORTH_KEEPING_CONFIG)).map(({ name, shape }, i) => {
      const data = random.slice(101 * i, 101 * i + shape.reduce((a, b) => a * b, 1));
      return [name, { dtype: "F32", shape, data: new Uint8Array(data.buffer) }];
    }),
  );
}

/** Writes it into `dir`, in two shards. */
export function writeWorthKeeping(dir: string): string {
  writeCheckpoint(dir, { config: WORTH_KEEPING_CONFIG, tensors: worthKeepingTensors(), shards: 2 });
  return dir;
}

export const OPTIONS = { quantize: "q8", tokenizer: false, contextLength: 128, slots: 1, threads: 2 } as const;

const module = (path: string) => JSON.stringify(join(process.cwd(), "dist", path));

/** A program with `load(dir, options)`, which logs where weights are written and warnings by their codes, and `sum(model)` of logits. */
export const PRELUDE = `
const { createHash } = await import("node:crypto");
const { loadModel } = await import(${module("index.js")});
const load = (dir, options) => loadModel(dir, {
  ...${JSON.stringify(OPTIONS)},
  onCacheWrite: (path, bytes) => console.log("written"),
  onWarning: ({ code, message }) => console.log(code, message),
  ...options,
});
const sum = async (model) => createHash("sha256").update(await model.logits([1, 2, 3])).digest("hex");
`;
