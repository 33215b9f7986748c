// A checkpoint that is large to compute and small on disk: all weights are holes in a file, zeros to whoever reads them.
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";

/** 34 million bf16 parameters: some seconds on two cores for a prompt that fills the context. */
export const SLOW_CONFIG: JsonObject = {
  ...{ model_type: "llama", vocab_size: 64, hidden_size: 512, intermediate_size: 2048, num_hidden_layers: 8 },
  ...{ num_attention_heads: 8, num_key_value_heads: 8, max_position_embeddings: 4096, tie_word_embeddings: true },
};

/** Writes it into `dir`. All its logits are 0, so greedy decoding says id 0 for ever. */
export function writeSlowCheckpoint(dir: string, config: JsonObject = SLOW_CONFIG): string {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  let offset = 0;
  const header = Object.fromEntries(
    expectedTensors(parseConfig(config)).map(({ name, shape }) => {
      const start = offset;
      offset += 2 * shape.reduce((product, dim) => product * dim, 1);
      return [name, { dtype: "BF16", shape, data_offsets: [start, offset] }];
    }),
  );
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8)); // tensors stay aligned
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = openSync(join(dir, "model.safetensors"), "w");
  writeSync(file, Buffer.concat([length, json]));
  ftruncateSync(file, 8 + json.length + offset);
  closeSync(file);
  return dir;
}
