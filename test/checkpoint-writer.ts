// Writes checkpoints for tests: safetensors files with any header, and small Llama folders.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";

export interface WrittenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A safetensors file: the header as given, or made from `tensors`, then their data. */
export function safetensorsBytes(tensors: Readonly<Record<string, WrittenTensor>>, header?: unknown): Buffer {
  let offset = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
    const range = [offset, offset + data.byteLength];
    offset += data.byteLength;
    return [name, { dtype, shape, data_offsets: range }];
  });
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header ?? Object.fromEntries(entries)));
  const padded = Buffer.concat([json, Buffer.alloc(-json.length & 7, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...Object.values(tensors).map(({ data }) => data)]);
}

export const TINY_CONFIG: JsonObject = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  eos_token_id: 3,
};

/** The tensors that `config` asks for, f32, all elements small and different. */
export function tinyTensors(config: JsonObject = TINY_CONFIG): Record<string, WrittenTensor> {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  };
  return Object.fromEntries(
    expectedTensors(parseConfig(config)).map(({ name, shape }) => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, random);
      return [name, { dtype: "F32", shape, data: new Uint8Array(values.buffer) }];
    }),
  );
}

export interface WrittenCheckpoint {
  readonly config?: JsonObject;
  readonly tensors?: Readonly<Record<string, WrittenTensor>>;
  readonly shards?: number;
}

/** Writes a checkpoint into `dir`, as one file or as shards with an index. */
export function writeCheckpoint(
  dir: string,
  { config = TINY_CONFIG, tensors = tinyTensors(config), shards = 1 }: WrittenCheckpoint = {},
): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  if (shards === 1) {
    writeFileSync(join(dir, "model.safetensors"), safetensorsBytes(tensors));
    return;
  }
  const entries = Object.entries(tensors);
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const part = entries.filter((_, i) => Math.floor((i * shards) / entries.length) === shard);
    const name = `model-${String(shard + 1).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}.safetensors`;
    writeFileSync(join(dir, name), safetensorsBytes(Object.fromEntries(part)));
    for (const [tensor] of part) weightMap[tensor] = name;
  }
  writeFileSync(
    join(dir, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap }),
  );
}

/** A folder that goes when the tests of the file are done. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "quipu-test-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
