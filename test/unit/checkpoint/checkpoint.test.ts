import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { parseConfig } from "#quipu/model/config.js";
import { findTensors } from "#quipu/model/tensors.js";
import type { ModelWarning, Warn } from "#quipu/warnings.js";
import {
  safetensorsBytes,
  TINY_CONFIG,
  temporaryFolder,
  tinyTensors,
  writeCheckpoint,
} from "../../checkpoint-writer.js";

const root = temporaryFolder();
/** A listener, and what it was told. */
function listener(): { warn: Warn; warnings: ModelWarning[] } {
  const warnings: ModelWarning[] = [];
  return { warn: (code, message) => warnings.push({ code, message }), warnings };
}
let count = 0;
function folder(options?: Parameters<typeof writeCheckpoint>[1]): string {
  const dir = join(root, String(count++));
  writeCheckpoint(dir, options);
  return dir;
}
const INDEX = "model.safetensors.index.json";
function editIndex(dir: string, edit: (map: Record<string, unknown>) => unknown) {
  const index = JSON.parse(readFileSync(join(dir, INDEX), "utf8"));
  const changed = edit(index.weight_map);
  writeFileSync(join(dir, INDEX), typeof changed === "string" ? changed : JSON.stringify(index));
}

describe("openCheckpoint", () => {
  test("single file and shards hold the same tensors", async () => {
    const single = await openCheckpoint(folder());
    const sharded = await openCheckpoint(folder({ shards: 3 }));
    expect(single.files).toHaveLength(1);
    expect(sharded.files).toHaveLength(3);
    const shapes = ({ tensors }: typeof single) =>
      [...tensors].map(([name, { shape, dtype }]) => [name, dtype, shape]).sort();
    expect(shapes(sharded)).toEqual(shapes(single));
    for (const tensor of sharded.tensors.values()) expect(sharded.files[tensor.file]!.path).toContain(tensor.fileName);
  });

  test("one safetensors file of another name is taken, and symbolic links are followed", async () => {
    const dir = folder();
    renameSync(join(dir, "model.safetensors"), join(root, "blob"));
    symlinkSync(join(root, "blob"), join(dir, "weights.safetensors"));
    expect((await openCheckpoint(dir)).tensors.size).toBe(21);
  });

  test.each<[string, (dir: string) => void, string, RegExp]>([
    ["a folder that is not there", (dir) => rmSync(dir, { recursive: true }), "ERR_MODEL_NOT_FOUND", /no such folder/],
    [
      "a folder without safetensors",
      (dir) => {
        rmSync(join(dir, INDEX));
        for (const i of [1, 2, 3]) rmSync(join(dir, `model-0000${i}-of-00003.safetensors`));
        writeFileSync(join(dir, "model.gguf"), "");
      },
      "ERR_MODEL_NOT_FOUND",
      /there is model.gguf: a GGUF file. quipu reads safetensors: give the folder of the checkpoint that it was made from/,
    ],
    ["shards without an index", (dir) => rmSync(join(dir, INDEX)), "ERR_MODEL_INVALID", /3 safetensors files and no/],
    [
      "a missing shard",
      (dir) => rmSync(join(dir, "model-00002-of-00003.safetensors")),
      "ERR_MODEL_INVALID",
      /1 of 3 shards are missing: model-00002-of-00003.safetensors/,
    ],
    [
      "a missing shard beside a part of it",
      (dir) => {
        const shard = join(dir, "model-00002-of-00003.safetensors");
        renameSync(shard, `${shard}.incomplete`);
      },
      "ERR_MODEL_INVALID",
      /there is model-00002-of-00003.safetensors.incomplete: the download is incomplete/,
    ],
    [
      "an index that is a dangling link",
      (dir) => {
        rmSync(join(dir, INDEX));
        symlinkSync("nowhere", join(dir, INDEX));
      },
      "ERR_MODEL_INVALID",
      /model.safetensors.index.json: is a link to nowhere, which does not exist/,
    ],
    [
      "a shard that is a dangling link into the hub's cache, its blob on the way",
      (dir) => {
        rmSync(join(dir, "model-00002-of-00003.safetensors"));
        writeFileSync(join(dir, "blob.incomplete"), "");
        symlinkSync("blob", join(dir, "model-00002-of-00003.safetensors"));
      },
      "ERR_MODEL_INVALID",
      /model-00002-of-00003.safetensors: is a link to blob, which does not exist: its download is incomplete/,
    ],
    [
      "path traversal",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.norm.weight"] = "../0/model.safetensors";
        }),
      "ERR_MODEL_INVALID",
      /same folder, got "..\/0\/model.safetensors"/,
    ],
    [
      "an absolute path",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.norm.weight"] = "/etc/passwd.safetensors";
        }),
      "ERR_MODEL_INVALID",
      /same folder/,
    ],
    [
      "a file name with NUL",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.norm.weight"] = "a\0.safetensors";
        }),
      "ERR_MODEL_INVALID",
      /same folder/,
    ],
    [
      "a file name that is no text",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.norm.weight"] = 5;
        }),
      "ERR_MODEL_INVALID",
      /same folder, got 5/,
    ],
    [
      "an index without a map",
      (dir) => editIndex(dir, () => '{"metadata":{}}'),
      "ERR_MODEL_INVALID",
      /expected weight_map/,
    ],
    ["an index that is no JSON", (dir) => editIndex(dir, () => "{"), "ERR_MODEL_INVALID", /not valid JSON/],
    [
      "a deep index",
      (dir) => editIndex(dir, () => `{"weight_map":${'{"a":'.repeat(1000)}1${"}".repeat(1000)}}`),
      "ERR_MODEL_INVALID",
      /deeper/,
    ],
    [
      "a truncated last shard",
      (dir) => truncateSync(join(dir, "model-00003-of-00003.safetensors"), 3000),
      "ERR_MODEL_INVALID",
      /model-00003-of-00003.safetensors.*(download complete)/,
    ],
    [
      "a shard that is a folder",
      (dir) => {
        const shard = join(dir, "model-00003-of-00003.safetensors");
        rmSync(shard);
        mkdirSync(shard);
      },
      "ERR_MODEL_INVALID",
      /is a folder: expected a file/,
    ],
  ])("refuses %s", async (_, damage, code, message) => {
    const dir = folder({ shards: 3 });
    damage(dir);
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("a tensor in two shards is that of the later, with a warning", async () => {
    const dir = folder({ shards: 2 });
    const twice = safetensorsBytes({ "model.norm.weight": { dtype: "F32", shape: [16], data: new Uint8Array(64) } });
    writeFileSync(join(dir, "more.safetensors"), twice);
    editIndex(dir, (map) => {
      map.x = "more.safetensors";
    });
    const { warn, warnings } = listener();
    const checkpoint = await openCheckpoint(dir, warn);
    expect(checkpoint.tensors.get("model.norm.weight")!.fileName).toBe("more.safetensors");
    expect(warnings.map(({ code }) => code)).toEqual(["WARN_TENSOR_TWICE", "WARN_INDEX_MISMATCH"]);
    expect(warnings[0]!.message).toMatch(
      /model.norm.weight in model-00002-of-00002.safetensors and in more.safetensors/,
    );
  });

  test("where index and shards differ, the shards count, with one warning", async () => {
    const dir = folder({ shards: 3 });
    editIndex(dir, (map) => {
      map["mtp.fc.weight"] = "model-00001-of-00003.safetensors";
      map["model.norm.weight"] = "model-00001-of-00003.safetensors";
      delete map["model.embed_tokens.weight"];
      for (let i = 0; i < 4; i++) map[`model.layers.${i}.rotary_emb.inv_freq`] = "model-00002-of-00003.safetensors";
    });
    const { warn, warnings } = listener();
    const checkpoint = await openCheckpoint(dir, warn);
    expect(checkpoint.tensors.get("model.norm.weight")!.fileName).toBe("model-00003-of-00003.safetensors");
    expect([...checkpoint.tensors.keys()]).toContain("model.embed_tokens.weight");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({
      code: "WARN_INDEX_MISMATCH",
      message: expect.stringMatching(
        /the shards count: .*model.norm.weight is in model-00003-of-00003.safetensors and not in .* and 4 more$/,
      ),
    });
  });

  test("model.safetensors is taken before shards, as in transformers; a link that dangles is not", async () => {
    const dir = folder({ shards: 2 });
    writeFileSync(join(dir, "model.safetensors"), safetensorsBytes(tinyTensors()));
    const single = listener();
    expect((await openCheckpoint(dir, single.warn)).files.map(({ path }) => path)).toEqual([
      join(dir, "model.safetensors"),
    ]);
    expect(single.warnings).toEqual([
      {
        code: "WARN_WEIGHTS_CHOSEN",
        message: `${dir}: the weights are those of model.safetensors; not read: model-00001-of-00002.safetensors, model-00002-of-00002.safetensors, ${INDEX}`,
      },
    ]);
    rmSync(join(dir, "model.safetensors"));
    symlinkSync("nowhere", join(dir, "model.safetensors"));
    const dangling = listener();
    expect((await openCheckpoint(dir, dangling.warn)).files).toHaveLength(2);
    expect(dangling.warnings).toHaveLength(1);
    expect(dangling.warnings[0]!.message).toMatch(
      /those of model.safetensors.index.json: model.safetensors is a link to nowhere/,
    );
  });

  test("a whole checkpoint is read without a word; an adapter beside it is named", async () => {
    const { warn, warnings } = listener();
    const dir = folder({ shards: 3 });
    await openCheckpoint(dir, warn);
    await openCheckpoint(folder(), warn);
    expect(warnings).toEqual([]);
    writeFileSync(join(dir, "adapter_config.json"), "{}");
    await openCheckpoint(dir, warn);
    expect(warnings).toMatchObject([{ code: "WARN_ADAPTER_IGNORED" }]);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      "adapter_model.safetensors",
      { "adapter_config.json": '{"base_model_name_or_path":"org/base"}' },
      /LoRA adapter of org\/base alone/,
    ],
    ["adapter_model.bin", {}, /LoRA adapter alone/],
    ["training_args.bin", { "optimizer.pt": "" }, /no model.safetensors, no model.safetensors.index.json\.$/],
    ["pytorch_model.bin", {}, /there is pytorch_model.bin: weights as PyTorch pickles them/],
    ["consolidated.00.pth", { "params.json": "{}" }, /original form of Meta or Mistral/],
    ["tf_model.h5", {}, /TensorFlow/],
    ["flax_model.msgpack", {}, /Flax/],
    ["model.onnx", {}, /ONNX/],
    ["weights.npz", {}, /MLX/],
    ["model.safetensors.part", {}, /the download is incomplete/],
    ["README.md", {}, /no model.safetensors, no model.safetensors.index.json\.$/],
  ])("a folder with %s in place of safetensors is told what it is", async (name, others, message) => {
    const dir = folder();
    rmSync(join(dir, "model.safetensors"));
    for (const [file, text] of Object.entries({ [name]: "x", ...others })) writeFileSync(join(dir, file), text);
    await expect(openCheckpoint(dir)).rejects.toMatchObject({
      code: "ERR_MODEL_NOT_FOUND",
      message: expect.stringMatching(message),
    });
  });
});

describe("findTensors", () => {
  type Tensors = ReturnType<typeof tinyTensors>;
  const config = parseConfig(TINY_CONFIG);
  const tied = { ...config, tiedEmbeddings: true };
  const find = async (change: (tensors: Tensors) => unknown, configuration = config) => {
    const tensors = tinyTensors();
    const dir = folder({ tensors: (change(tensors) as Tensors | undefined) ?? tensors });
    const { warn, warnings } = listener();
    return { ...(await findTensors(configuration, await openCheckpoint(dir), warn)), warnings, dir };
  };
  const f32 = (shape: number[], dtype = "F32") => ({
    dtype,
    shape,
    data: new Uint8Array((dtype === "F32" ? 4 : 8) * shape.reduce((a, b) => a * b, 1)),
  });
  const renamed = (tensors: Tensors, rename: (name: string) => string) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [rename(name), tensor]));
  const EMBEDDING = "model.embed_tokens.weight";
  const HEAD = "lm_head.weight";

  test("accepts just what config.json asks for, without a word", async () => {
    const { tensors, head, warnings } = await find(() => {});
    expect({ size: tensors.size, head, warnings }).toEqual({ size: 21, head: "stored", warnings: [] });
  });

  test("what no module computes with is left out, as in transformers, with one warning", async () => {
    const { tensors, warnings, dir } = await find((t) => {
      t["score.weight"] = f32([2, 16]);
      t["model.layers.0.self_attn.k_scale"] = f32([1]);
      t["model.layers.1.self_attn.attn.v_scale"] = f32([1]);
      t["model.layers.0.self_attn.rotary_emb.cos_cached"] = f32([4, 4]);
      t["model.position_ids"] = f32([1, 4], "I64");
      t["mtp.fc.weight"] = f32([4, 4]);
    });
    expect(tensors.size).toBe(21);
    const listed = "score.weight, model.layers.0.self_attn.k_scale, model.layers.1.self_attn.attn.v_scale and 3 more";
    expect(warnings).toEqual([
      { code: "WARN_EXTRA_TENSORS", message: `${dir}: 6 tensors that the model has no use for: ${listed}` },
    ]);
  });

  test("rotary buffers of old exports are left out without a word, as in transformers", async () => {
    const { warnings } = await find((t) => {
      t["model.layers.0.self_attn.rotary_emb.inv_freq"] = f32([2]);
      t["model.rotary_emb.inv_freq"] = f32([2]);
    });
    expect(warnings).toEqual([]);
  });

  test("names from a file cannot write on the terminal", async () => {
    const name = "a\u001b[2J\nb";
    const { warnings } = await find((t) => {
      t[name] = f32([1]);
    });
    expect(warnings[0]!.message).toMatch(/a\\u001b\[2J\\nb$/);
    await expect(
      find((t) => {
        t[`model.layers.0.${name}`] = f32([1]);
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining("model.layers.0.a\\u001b[2J\\nb in") });
  });

  test("layers beyond num_hidden_layers are left out, and the warning says so", async () => {
    const { warnings } = await find((t) => {
      t["model.layers.2.mlp.up_proj.weight"] = f32([24, 16]);
    });
    expect(warnings).toMatchObject([
      { code: "WARN_EXTRA_TENSORS", message: expect.stringMatching(/: a tensor .*config.json has 2 layers/) },
    ]);
  });

  test.each<[string, (name: string) => string]>([
    ["without the prefix model.", (name) => name.replace(/^model\./, "")],
    ["with the prefix twice", (name) => `model.${name}`],
  ])("names %s are the same tensors, without a word", async (_, rename) => {
    const { tensors, warnings } = await find((t) => renamed(t, rename));
    expect([...tensors.keys()].sort()).toEqual(Object.keys(tinyTensors()).sort());
    expect(warnings).toEqual([]);
  });

  test("without the prefix, what belongs to a layer is still known as such", async () => {
    await expect(
      find((t) => ({
        ...renamed(t, (name) => name.replace(/^model\./, "")),
        "layers.0.self_attn.q_proj.bias": f32([16]),
      })),
    ).rejects.toMatchObject({
      code: "ERR_MODEL_UNSUPPORTED",
      message: expect.stringMatching(/biases are not supported/),
    });
  });

  test("a tied checkpoint may carry its head: equal it is shared, else used, with a warning", async () => {
    const shared = await find((t) => {
      t[HEAD] = t[EMBEDDING]!;
    }, tied);
    expect(shared).toMatchObject({ head: "tied", warnings: [] });
    expect(shared.tensors.has(HEAD)).toBe(false);
    const other = await find(() => {}, tied);
    expect(other.head).toBe("stored");
    expect(other.tensors.get(HEAD)!.name).toBe(HEAD);
    expect(other.warnings).toMatchObject([
      {
        code: "WARN_STORED_HEAD",
        message: expect.stringMatching(/^lm_head.weight in model.safetensors .* the stored head is used$/),
      },
    ]);
  });

  test("comparing heads ends with the signal", async () => {
    const tensors = tinyTensors();
    const checkpoint = await openCheckpoint(folder({ tensors: { ...tensors, [HEAD]: tensors[EMBEDDING]! } }));
    await expect(findTensors(tied, checkpoint, () => {}, AbortSignal.abort())).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
  });

  test("a head that differs in its last byte only is another", async () => {
    const { head } = await find((t) => {
      const data = Uint8Array.from(t[EMBEDDING]!.data);
      data[data.length - 1]! ^= 1;
      t[HEAD] = { ...t[EMBEDDING]!, data };
    }, tied);
    expect(head).toBe("stored");
  });

  test("a tied checkpoint may hold the head in place of the embedding, or neither prefix nor head", async () => {
    const only = await find((t) => {
      delete t[EMBEDDING];
    }, tied);
    expect(only).toMatchObject({ head: "tied", warnings: [] });
    expect(only.tensors.get(EMBEDDING)!.name).toBe(HEAD);
    const inner = await find((t) => {
      delete t[HEAD];
      return renamed(t, (name) => name.replace(/^model\./, ""));
    }, tied);
    expect(inner).toMatchObject({ head: "tied", warnings: [] });
  });

  test.each<[string, (tensors: ReturnType<typeof tinyTensors>) => void, string, RegExp]>([
    [
      "a missing tensor",
      (t) => {
        delete t["model.layers.1.mlp.up_proj.weight"];
      },
      "ERR_MODEL_INVALID",
      /1 of 21 tensors are missing: model.layers.1.mlp.up_proj.weight/,
    ],
    [
      "a tensor that is transposed",
      (t) => {
        t[EMBEDDING] = f32([16, 32]);
      },
      "ERR_MODEL_INVALID",
      /embed_tokens.weight in model.safetensors: expected f32 \[32, 16\], got \[16, 32\]/,
    ],
    [
      "an embedding under two names",
      (t) => {
        t["embed_tokens.weight"] = t[EMBEDDING]!;
      },
      "ERR_MODEL_INVALID",
      /embed_tokens.weight are one tensor of the model/,
    ],
    [
      "the names of Meta's original form",
      (t) => {
        for (const name of Object.keys(t)) delete t[name];
        t["tok_embeddings.weight"] = f32([32, 16]);
      },
      "ERR_MODEL_INVALID",
      /21 of 21 tensors are missing.* original form/,
    ],
    [
      "an adapter that is not merged",
      (t) => {
        t["model.layers.0.self_attn.q_proj.lora_A.weight"] = f32([2, 16]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /LoRA adapter that is not merged/,
    ],
    [
      "quantized weights",
      (t) => {
        t["model.layers.0.self_attn.q_proj.qweight"] = f32([2, 16]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /quantized weights are not supported/,
    ],
    ...[
      "self_attn.q_norm.weight",
      "self_attn.sinks",
      "pre_feedforward_layernorm.weight",
      "block_sparse_moe.gate.weight",
    ].map((name): [string, (t: Tensors) => void, string, RegExp] => [
      name,
      (t) => {
        t[`model.layers.1.${name}`] = f32([16]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /no such tensor in a module that it computes with; the result would be another without it/,
    ]),
    [
      "a bias of the head",
      (t) => {
        t["lm_head.bias"] = f32([32]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /biases are not supported/,
    ],
    [
      "a missing head",
      (t) => {
        delete t["lm_head.weight"];
      },
      "ERR_MODEL_INVALID",
      /tie_word_embeddings/,
    ],
    [
      "a wrong shape",
      (t) => {
        t["model.layers.0.self_attn.k_proj.weight"] = f32([16, 16]);
      },
      "ERR_MODEL_INVALID",
      /^model.layers.0.self_attn.k_proj.weight in model.safetensors: expected f32 \[8, 16\], got \[16, 16\]. Is config.json from another checkpoint\?$/,
    ],
    [
      "a dtype that is not computed with",
      (t) => {
        t["model.norm.weight"] = f32([16], "I64");
      },
      "ERR_MODEL_UNSUPPORTED",
      /expected F32, F16 or BF16, got I64/,
    ],
    [
      "biases",
      (t) => {
        t["model.layers.0.self_attn.q_proj.bias"] = f32([16]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /biases are not supported/,
    ],
  ])("refuses %s", async (_, change, code, message) => {
    await expect(find(change)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
