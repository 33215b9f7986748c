// stories260K, a model of 260,032 weights that were trained in f32: from llama2.c's files (stories260K.bin and tok512.bin of
// ../shared/data/checkpoints) a folder as published ones are, without a tokenizer (load it with `tokenizer: false`), and llama2.c's ids of a text.
//
//   node bench/stories260k.js folder
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ROOT } from "./measure.js";
import { writeTensors } from "./safetensors.js";

/** Where llama2.c's files are. */
export const FILES = join(process.env.QUIPU_SHARED ?? join(ROOT, "../shared"), "data/checkpoints");
export const BOS = 1;
/** Ids below it stand for nothing, for begin and end, and for the 256 bytes, from 3 on. */
const [FIRST_BYTE, FIRST_PIECE] = [3, 259];

/**
 * llama2.c turns neighbours, transformers halves: rows 2j and 2j + 1 of a head become j and j + size / 2.
 *
 * @param values [rows, columns]
 */
function halves(values, columns, size) {
  const rows = values.length / columns;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const [head, i] = [row - (row % size), row % size];
    const to = head + (i >> 1) + (i % 2 === 1 ? size / 2 : 0);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

/** Writes config.json and model.safetensors into `folder`, which is made where it is missing: f32, with llama2.c's numbers. */
export function convertStories260k(folder) {
  const bytes = readFileSync(join(FILES, "stories260K.bin"));
  const [hidden, ffn, layers, heads, kvHeads, vocab, positions] = Array.from({ length: 7 }, (_, i) =>
    bytes.readInt32LE(4 * i),
  );
  const [size, kv] = [hidden / heads, (kvHeads * hidden) / heads];
  let offset = 28;
  const next = (...shape) => {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length }, (_, i) => bytes.readFloatLE(offset + 4 * i));
    offset += values.byteLength;
    return { shape, values };
  };
  const tensors = { "model.embed_tokens.weight": next(vocab, hidden) };
  // In the file each kind comes for all layers, one after the other.
  for (const [name, ...shape] of [
    ["input_layernorm", hidden],
    ["self_attn.q_proj", hidden, hidden],
    ["self_attn.k_proj", kv, hidden],
    ["self_attn.v_proj", kv, hidden],
    ["self_attn.o_proj", hidden, hidden],
    ["post_attention_layernorm", hidden],
    ["mlp.gate_proj", ffn, hidden],
    ["mlp.down_proj", hidden, ffn],
    ["mlp.up_proj", ffn, hidden],
  ])
    for (let layer = 0; layer < layers; layer++) {
      const { values } = next(...shape);
      const isTurned = name === "self_attn.q_proj" || name === "self_attn.k_proj";
      tensors[`model.layers.${layer}.${name}.weight`] = {
        shape,
        values: isTurned ? halves(values, hidden, size) : values,
      };
    }
  tensors["model.norm.weight"] = next(hidden);
  // Behind it are cosines and sines of all positions, which follow from the shape; a head of its own there is none.
  mkdirSync(folder, { recursive: true });
  writeTensors(join(folder, "model.safetensors"), tensors);
  const config = {
    architectures: ["LlamaForCausalLM"],
    bos_token_id: BOS,
    eos_token_id: 2,
    hidden_act: "silu",
    hidden_size: hidden,
    intermediate_size: ffn,
    max_position_embeddings: positions,
    model_type: "llama",
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: kvHeads,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    vocab_size: vocab,
  };
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(config, undefined, 2)}\n`);
}

/** The pieces of tok512.bin by id; a piece of a smaller id is merged before one of a greater. */
function pieces() {
  const bytes = readFileSync(join(FILES, "tok512.bin"));
  const found = [];
  for (let offset = 4; offset < bytes.length; ) {
    const [from, length] = [offset + 8, bytes.readInt32LE(offset + 4)];
    found.push(bytes.subarray(from, from + length).toString());
    offset = from + length;
  }
  return found;
}

/** A function that says a text's ids as llama2.c does, without begin: a space before it, characters, then the best merges. */
export function stories260kEncoder() {
  const idOf = new Map();
  for (const [id, piece] of pieces().entries()) if (id >= FIRST_PIECE) idOf.set(piece, id);
  const ofWord = (word) => {
    const parts = [...word];
    for (;;) {
      const ids = parts.slice(1).map((part, i) => idOf.get(parts[i] + part) ?? Number.POSITIVE_INFINITY);
      const best = Math.min(...ids);
      if (best === Number.POSITIVE_INFINITY) break;
      const at = ids.indexOf(best);
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    return parts.flatMap((part) => idOf.get(part) ?? Array.from(Buffer.from(part), (byte) => FIRST_BYTE + byte));
  };
  // No piece has a space behind its first character, so no merge crosses one.
  return (text) => Int32Array.from(` ${text}`.match(/ [^ ]*/g).flatMap(ofWord));
}

/** The text of ids, without the space before it. */
export function stories260kText(ids) {
  const found = pieces();
  const bytesOf = (id) => (id < FIRST_PIECE ? Buffer.of(id - FIRST_BYTE) : Buffer.from(found[id]));
  return Buffer.concat(Array.from(ids, bytesOf)).toString().slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.length !== 3) {
    console.error("stories260k: expected a folder to write to");
    process.exit(2);
  }
  convertStories260k(resolve(process.argv[2]));
}
