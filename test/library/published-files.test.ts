// Checkpoints as others publish them: each loads with the logits that transformers 5.24 computes from the same files in float32
// (test/reference/README.md, "Published files"), and says in one warning what was ignored or chosen; or it is refused by name.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspectModel } from "#quipu/generate/inspect.js";
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { modelFolder } from "#quipu/generate/model-folder.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { ModelWarning } from "#quipu/warnings.js";
import { safetensorsBytes, temporaryFolder, type WrittenTensor } from "../checkpoint-writer.js";
import { LOGIT_TOLERANCE, loadTiny } from "../model/reference.js";
import { rowAt, withModel } from "../model/run-model.js";

type Tensors = Record<string, WrittenTensor>;
interface Changes {
  readonly config?: Readonly<Record<string, unknown>>;
  /** Of config.json, in place of `config`. */
  readonly text?: (json: string) => string;
  readonly tensors?: (tensors: Tensors) => Tensors;
  readonly files?: (dir: string, tensors: Tensors) => void;
}

const root = temporaryFolder();
let count = 0;

/** A copy of a tiny checkpoint (of one file) with something changed. */
function altered(name: string, { config, text, tensors, files }: Changes): string {
  const dir = join(root, String(count++));
  cpSync(loadTiny(name).folder, dir, { recursive: true });
  const json = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
  const changed = JSON.stringify({ ...json, ...config });
  writeFileSync(join(dir, "config.json"), text === undefined ? changed : text(changed));
  const original = readTensors(join(dir, "model.safetensors"));
  const kept = tensors === undefined ? original : tensors(original);
  writeFileSync(join(dir, "model.safetensors"), safetensorsBytes(kept));
  files?.(dir, kept);
  return dir;
}

function readTensors(path: string): Tensors {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          return [name, { dtype, shape, data: bytes.subarray(start + from, start + to) }];
        },
      ),
  );
}

/** Two shards with an index of them, beside whatever is in the folder. */
function writeShards(dir: string, tensors: Tensors, others: Readonly<Record<string, string>> = {}): void {
  const entries = Object.entries(tensors);
  const parts = [entries.slice(0, 9), entries.slice(9)];
  const map: Record<string, string> = {};
  parts.forEach((part, i) => {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    writeFileSync(join(dir, file), safetensorsBytes(Object.fromEntries(part)));
    for (const [name] of part) map[name] = file;
  });
  const index = { metadata: { total_size: 1 }, weight_map: { ...map, ...others } };
  writeFileSync(join(dir, "model.safetensors.index.json"), JSON.stringify(index));
}

const f32 = (...shape: number[]): WrittenTensor => ({
  dtype: "F32",
  shape,
  data: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
});
const bf16Halved = (data: Uint8Array): Uint8Array => {
  const bits = new Uint16Array(Uint8Array.from(data).buffer);
  for (const [i, value] of bits.entries()) if ((value & 0x7f80) !== 0) bits[i] = value - 0x80; // exponent − 1
  return new Uint8Array(bits.buffer);
};

async function worstError(model: Model, name: string): Promise<number> {
  let worst = 0;
  for (const prompt of loadTiny(name).prompts) {
    const logits = await model.logits(Int32Array.from(prompt.ids));
    for (const position of prompt.positions) {
      const error = prompt.relativeError(position, rowAt(logits, position, model.config.vocabSize));
      worst = Math.max(worst, Number.isNaN(error) ? 1 : error);
    }
  }
  return worst;
}

describe("the same logits as the checkpoint that it was made from", () => {
  const withoutPrefix = (tensors: Tensors) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name.replace(/^model\./, ""), tensor]));
  const HEAD = "lm_head.weight";
  const EMBEDDING = "model.embed_tokens.weight";

  test.each<[string, string, Changes, readonly RegExp[]]>([
    [
      "extra tensors",
      "gqa-f32",
      {
        tensors: (t) => ({
          ...t,
          ...{ "score.weight": f32(2, 48), "model.layers.0.self_attn.k_scale": f32(1), "mtp.fc.weight": f32(4, 4) },
          ...{ "model.layers.1.self_attn.rotary_emb.cos_cached": f32(4, 4), "model.position_ids": f32(1, 4) },
        }),
      },
      [/^WARN_EXTRA_TENSORS .*: 5 tensors that the model has no use for: score.weight, .* and 2 more$/],
    ],
    [
      "an index that lists tensors that no shard holds, of a tied model",
      "mqa-tied-bf16",
      {
        files: (dir, tensors) => {
          rmSync(join(dir, "model.safetensors"));
          const first = "model-00001-of-00002.safetensors";
          writeShards(dir, tensors, { [HEAD]: first, "model.layers.0.self_attn.rotary_emb.inv_freq": first });
        },
      },
      [
        /^WARN_INDEX_MISMATCH .*lm_head.weight is not in model-00001-of-00002.safetensors, model.layers.0.self_attn.rot/,
      ],
    ],
    [
      "a single file beside shards of other weights",
      "gqa-f32",
      { files: (dir, tensors) => writeShards(dir, { ...tensors, [HEAD]: f32(256, 48) }) },
      [/^WARN_WEIGHTS_CHOSEN .*the weights are those of model.safetensors; not read: model-00001-of-00002/],
    ],
    ["names without the prefix model.", "gqa-f32", { tensors: withoutPrefix }, []],
    ["names without the prefix and without a head, tied", "mqa-tied-bf16", { tensors: withoutPrefix }, []],
    [
      "a stored head equal to the embedding",
      "mqa-tied-bf16",
      { tensors: (t) => ({ ...t, [HEAD]: t[EMBEDDING]! }) },
      [],
    ],
    [
      "a head in place of the embedding, tied",
      "mqa-tied-bf16",
      { tensors: ({ [EMBEDDING]: embedding, ...t }) => ({ ...t, [HEAD]: embedding! }) },
      [],
    ],
    [
      "NaN and Infinity as Python writes them",
      "gqa-f32",
      { text: (json) => json.replace("{", '{"attention_dropout_was": NaN, "limits": [Infinity, -Infinity],') },
      [],
    ],
    ["hidden_act swish, head_dim null", "gqa-f32", { config: { hidden_act: "swish", head_dim: null } }, []],
    [
      "MistralForCausalLM without a window",
      "gqa-f32",
      { config: { model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: null } },
      [],
    ],
    [
      "architectures of a task",
      "gqa-f32",
      { config: { architectures: ["LlamaForSequenceClassification"] } },
      [/^WARN_CONFIG_IGNORED config.json: architectures: LlamaForSequenceClassification/],
    ],
    [
      "an adapter beside the weights",
      "gqa-f32",
      { files: (dir) => writeFileSync(join(dir, "adapter_config.json"), "{}") },
      [/^WARN_ADAPTER_IGNORED/],
    ],
    [
      "a repository in the hub's cache",
      "gqa-f32",
      {
        files: (dir) => {
          const snapshot = join(dir, "snapshots", "0123abc");
          mkdirSync(snapshot, { recursive: true });
          for (const name of ["config.json", "model.safetensors"]) {
            cpSync(join(dir, name), join(snapshot, name));
            rmSync(join(dir, name));
          }
          mkdirSync(join(dir, "refs"));
          writeFileSync(join(dir, "refs", "main"), "0123abc");
        },
      },
      [/^WARN_SNAPSHOT_CHOSEN .*its snapshot 0123abc is used \(refs\/main\)$/],
    ],
  ])("%s", async (_, name, changes, expected) => {
    const dir = altered(name, changes);
    const told: ModelWarning[] = [];
    const onWarning = (warning: ModelWarning) => told.push(warning);
    await withModel(dir, { kvCache: "f32", onWarning }, async (model) => {
      expect(await worstError(model, name)).toBeLessThanOrEqual(LOGIT_TOLERANCE);
      expect(model.warnings.map(({ code, message }) => `${code} ${message}`)).toEqual(
        expected.map((pattern) => expect.stringMatching(pattern)),
      );
      expect(told).toEqual(model.warnings);
    });
    expect((await inspectModel(dir)).warnings).toEqual(told);
  });
});

test("tokenizer_config.json with a name twice: the last counts, and one warning says so, however many readers it has", async () => {
  const dir = join(root, "name-twice");
  cpSync(modelFolder(), dir, { recursive: true });
  const file = join(dir, "tokenizer_config.json");
  writeFileSync(file, readFileSync(file, "utf8").replace("{", '{ "bos_token": "none", '));
  const model = await loadModel(dir);
  const { warnings, tokenizer } = model;
  await model.dispose();
  expect(tokenizer.bosId).toBe((await loadTokenizer(modelFolder())).bosId);
  expect(warnings.map(({ code }) => code)).toEqual(["WARN_JSON_NAME_TWICE"]);
  expect((await inspectModel(dir)).warnings).toEqual(warnings);
});

test("inspect says why a tokenizer or a chat template cannot be used", async () => {
  const dir = join(root, "unusable");
  cpSync(modelFolder(), dir, { recursive: true });
  const codes = async () => (await inspectModel(dir)).warnings.map(({ code, message }) => `${code} ${message}`);
  expect(await codes()).toEqual([]);
  writeFileSync(join(dir, "chat_template.jinja"), "a\n{% if %}");
  expect(await codes()).toEqual([
    expect.stringMatching(
      /^WARN_CHAT_TEMPLATE_UNUSABLE a chat template cannot be used: .*cannot be parsed: .* \(line 2 of chat_template\.jinja\)$/,
    ),
  ]);
  writeFileSync(join(dir, "chat_template.jinja"), Uint8Array.of(0xff, 0xfe, 0xfd));
  writeFileSync(join(dir, "tokenizer.json"), "{}");
  const { tokenizer, warnings } = await inspectModel(dir);
  expect(tokenizer).toBe("tokenizer.json");
  expect(warnings.map(({ code }) => code).sort()).toEqual(["WARN_CHAT_TEMPLATE_UNUSABLE", "WARN_TOKENIZER_UNUSABLE"]);
  for (const { message } of warnings)
    expect(message).toMatch(/ cannot be used: .*(tokenizer\.json|chat_template\.jinja)/);
});

describe("the logits that transformers computes", () => {
  // Of ids 0 and 1 after these, from gqa-f32 or the checkpoint that is named, changed in this way.
  const IDS = Int32Array.of(1, 5, 9, 2, 100, 7, 33, 200, 4, 4, 17);
  const yarn = { type: "yarn", factor: 8, original_max_position_embeddings: 64 };

  test.each<[string, Changes, readonly [number, number]]>([
    ["rope_theta at the top", { config: { rope_theta: 5e5 } }, [3.5473077, 2.743931]],
    [
      "rope_theta in rope_scaling",
      { config: { rope_theta: undefined, rope_scaling: { rope_type: "default", rope_theta: 5e5 } } },
      [3.5473077, 2.743931],
    ],
    [
      "rope_theta in rope_scaling and nothing else there",
      { config: { rope_theta: undefined, rope_scaling: { rope_theta: 5e5 } } },
      [3.5473077, 2.743931],
    ],
    [
      "rope_theta in rope_parameters, rope_scaling empty",
      { config: { rope_theta: undefined, rope_scaling: {}, rope_parameters: { rope_theta: 5e5 } } },
      [3.5473077, 2.743931],
    ],
    [
      "rope_theta twice in one object",
      { text: (json) => json.replace(/\}$/, ', "rope_theta": 500000.0}') },
      [3.5473077, 2.743931],
    ],
    ["linear", { config: { rope_scaling: { type: "linear", factor: 2 } } }, [3.2221842, 0.5776799]],
    ["linear below 1", { config: { rope_scaling: { type: "linear", factor: 0.5 } } }, [1.3953955, -0.6274955]],
    ["yarn", { config: { rope_scaling: yarn } }, [3.0729487, 2.1838081]],
    ["yarn, a field unknown", { config: { rope_scaling: { ...yarn, finetuned: true } } }, [3.0729487, 2.1838081]],
    ["yarn, factor null", { config: { rope_scaling: { ...yarn, factor: null } } }, [3.0729487, 2.1838081]],
    ["yarn, betas 0", { config: { rope_scaling: { ...yarn, beta_fast: 0, beta_slow: null } } }, [3.0729487, 2.1838081]],
    ["yarn, truncate false", { config: { rope_scaling: { ...yarn, truncate: false } } }, [2.7791679, 2.9226353]],
    ["yarn, truncate null", { config: { rope_scaling: { ...yarn, truncate: null } } }, [2.7791679, 2.9226353]],
    [
      "yarn, mscale",
      { config: { rope_scaling: { ...yarn, mscale: Number("0.707"), mscale_all_dim: 1 } } },
      [3.6486573, 2.2481458],
    ],
    ["yarn, attention_factor", { config: { rope_scaling: { ...yarn, attention_factor: 2 } } }, [3.2101367, -0.4919034]],
  ])("%s", async (_, changes, expected) => {
    await withModel(altered("gqa-f32", changes), { kvCache: "f32" }, async (model) => {
      const logits = rowAt(await model.logits(IDS), IDS.length - 1, model.config.vocabSize);
      const largest = logits.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expected.forEach((logit, id) => {
        expect(Math.abs(logits[id]! - logit)).toBeLessThanOrEqual(LOGIT_TOLERANCE * largest);
      });
    });
  });

  test("a stored head that config.json ties to the embedding is used, and inspect says so", async () => {
    const dir = altered("mqa-tied-bf16", {
      tensors: (t) => {
        const embedding = t["model.embed_tokens.weight"]!;
        return { ...t, "lm_head.weight": { ...embedding, data: bf16Halved(embedding.data) } };
      },
    });
    await withModel(dir, { kvCache: "f32" }, async (model) => {
      const logits = rowAt(await model.logits(IDS), IDS.length - 1, model.config.vocabSize);
      expect(logits[0]).toBeCloseTo(-2.0735841, 3);
      expect(logits[1]).toBeCloseTo(-2.5395367, 3);
      expect(model.warnings).toMatchObject([{ code: "WARN_STORED_HEAD" }]);
      expect(model.stats().parameters).toBe((await inspectModel(dir)).parameters);
    });
    expect(await inspectModel(dir)).toMatchObject({ head: "stored", warnings: [{ code: "WARN_STORED_HEAD" }] });
  });
});

test("without a head that is not tied nothing is invented", async () => {
  const dir = altered("gqa-f32", { tensors: ({ "lm_head.weight": _, ...others }) => others });
  await expect(loadModel(dir, { tokenizer: false })).rejects.toMatchObject({
    code: "ERR_MODEL_INVALID",
    message: expect.stringMatching(/lm_head.weight.*tie_word_embeddings.*without a head there are no logits/),
  });
});

test("a listener that throws ends the loading", async () => {
  const dir = altered("gqa-f32", { tensors: (t) => ({ ...t, "score.weight": f32(2, 48) }) });
  const failure = new Error("of the listener");
  const onWarning = () => {
    throw failure;
  };
  await expect(loadModel(dir, { tokenizer: false, onWarning })).rejects.toBe(failure);
});
