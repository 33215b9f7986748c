// Makes a checkpoint of random weights, for measuring: of the shape of Llama 3.2 1B where nothing else is asked for, without a
// tokenizer (load it with `tokenizer: false`). Speed depends on shapes alone, and published weights of that shape need a licence.
//
//   node bench/make-checkpoint.js [folder] [--layers 16] [--hidden 2048] [--heads 32] [--kv-heads 8] [--ffn 8192] [--vocab 128256] [--untied] [--seed 1]
//
// Weights are bf16, normal with σ = 0.02; norms are 1. The same options give the same bytes. What is in memory at any time is
// some megabytes. Without a folder it makes one among the system's temporary files; it prints where.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** As published: config.json of meta-llama/Llama-3.2-1B. */
const LLAMA_1B = { layers: 16, hidden: 2048, heads: 32, kvHeads: 8, ffn: 8192, vocab: 128_256, tied: true };
const [SIGMA, ONE] = [0.02, 0x3f80];
const CHUNK = 2 ** 20; // words of two weights

function configOf({ layers, hidden, heads, kvHeads, ffn, vocab, tied }) {
  return {
    architectures: ["LlamaForCausalLM"],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: Math.min(128_000, vocab - 2),
    eos_token_id: Math.min(128_001, vocab - 1),
    head_dim: hidden / heads,
    hidden_act: "silu",
    hidden_size: hidden,
    initializer_range: SIGMA,
    intermediate_size: ffn,
    max_position_embeddings: 131_072,
    mlp_bias: false,
    model_type: "llama",
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: kvHeads,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      ...{ factor: 32, high_freq_factor: 4, low_freq_factor: 1 },
      ...{ original_max_position_embeddings: 8192, rope_type: "llama3" },
    },
    rope_theta: 500_000,
    tie_word_embeddings: tied,
    torch_dtype: "bfloat16",
    vocab_size: vocab,
  };
}

/** Names and shapes, in the order in which they are written. */
function tensorsOf({ layers, hidden, heads, kvHeads, ffn, vocab, tied }) {
  const kv = (kvHeads * hidden) / heads;
  const layer = (i) =>
    Object.entries({
      input_layernorm: [hidden],
      "self_attn.q_proj": [hidden, hidden],
      "self_attn.k_proj": [kv, hidden],
      "self_attn.v_proj": [kv, hidden],
      "self_attn.o_proj": [hidden, hidden],
      post_attention_layernorm: [hidden],
      "mlp.gate_proj": [ffn, hidden],
      "mlp.up_proj": [ffn, hidden],
      "mlp.down_proj": [hidden, ffn],
    }).map(([name, shape]) => [`model.layers.${i}.${name}.weight`, shape]);
  return [
    ["model.embed_tokens.weight", [vocab, hidden]],
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    ["model.norm.weight", [hidden]],
    ...(tied ? [] : [["lm_head.weight", [vocab, hidden]]]),
  ];
}

/** The nearest bf16 of a finite number, its bits. */
function bf16(x) {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** 65,536 normal values by Box and Muller, of pairs spread evenly over the square, so that each sixteen random bits are one. */
function normalTable() {
  const table = new Uint16Array(2 ** 16);
  for (let i = 0; i < 2 ** 15; i++) {
    const radius = SIGMA * Math.sqrt(-2 * Math.log((i + 0.5) / 2 ** 15));
    const angle = 2 * Math.PI * ((i * 0.6180339887498949) % 1); // the golden ratio's multiples
    table[2 * i] = bf16(radius * Math.cos(angle));
    table[2 * i + 1] = bf16(radius * Math.sin(angle));
  }
  return table;
}

/** Two weights from each hashed counter (the finalizer of MurmurHash3). */
function fillNormal(words, count, first, seed, table) {
  for (let i = 0; i < count; i++) {
    let h = Math.imul(first + i, 0x9e3779b1) ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    words[i] = table[h & 0xffff] | (table[h >>> 16] << 16);
  }
}

function write(file, bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** Writes config.json and model.safetensors into `folder`, which is made where it is missing. */
export function makeCheckpoint(folder, { seed = 1, ...given } = {}) {
  const shape = { ...LLAMA_1B, ...given };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(configOf(shape), undefined, 2)}\n`);
  const tensors = tensorsOf(shape);
  const header = {};
  let end = 0;
  for (const [name, dims] of tensors) {
    const begin = end;
    end += 2 * dims.reduce((product, dim) => product * dim, 1);
    header[name] = { dtype: "BF16", shape: dims, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const table = normalTable();
  const words = new Uint32Array(CHUNK);
  const file = openSync(join(folder, "model.safetensors"), "w");
  try {
    write(file, Buffer.concat([length, padded]));
    for (const [number, [name, dims]] of tensors.entries()) {
      const weights = dims.reduce((product, dim) => product * dim, 1);
      const ofTensor = Math.imul(seed, 0x2545f491) ^ Math.imul(number + 1, 0x27d4eb2f);
      for (let first = 0; 2 * first < weights; first += CHUNK) {
        const count = Math.min(CHUNK, Math.ceil(weights / 2) - first);
        if (name.endsWith("norm.weight")) words.fill(ONE | (ONE << 16), 0, count);
        else fillNormal(words, count, first, ofTensor, table);
        write(file, new Uint8Array(words.buffer, 0, Math.min(4 * count, 2 * (weights - 2 * first))));
      }
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Calls use(folder, name) with the checkpoint of QUIPU_BENCH_MODEL; where it names none, with one of Llama 3.2 1B's shape that is made for it
 * and removed afterwards. Returns what it returns.
 */
export async function withCheckpoint(use) {
  const given = process.env.QUIPU_BENCH_MODEL;
  if (given !== undefined) return use(given, basename(given));
  const folder = mkdtempSync(join(tmpdir(), "quipu-bench-"));
  try {
    makeCheckpoint(folder);
    return await use(folder, "random weights of Llama 3.2 1B's shape");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function main() {
  const option = { type: "string" };
  const { values, positionals } = parseArgs({
    options: {
      ...{
        layers: option,
        hidden: option,
        heads: option,
        "kv-heads": option,
        ffn: option,
        vocab: option,
        seed: option,
      },
      untied: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const { untied, "kv-heads": kvHeads, ...numbers } = values;
  const given = Object.entries({ ...numbers, kvHeads }).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (/^[1-9]\d*$/.test(value)) continue;
    console.error(`make-checkpoint: ${name}: expected a whole number from 1, got ${value}`);
    process.exit(2);
  }
  const shape = Object.fromEntries(given.map(([name, value]) => [name, Number(value)]));
  const folder = positionals[0] === undefined ? mkdtempSync(join(tmpdir(), "quipu-random-")) : resolve(positionals[0]);
  makeCheckpoint(folder, { ...shape, tied: !untied });
  console.log(folder);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
