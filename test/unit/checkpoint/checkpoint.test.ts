import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { parseConfig } from "#quipu/model/config.js";
import { checkTensors } from "#quipu/model/tensors.js";
import {
  safetensorsBytes,
  TINY_CONFIG,
  temporaryFolder,
  tinyTensors,
  writeCheckpoint,
} from "../../checkpoint-writer.js";

const root = temporaryFolder();
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
      /there is model.gguf, but quipu reads safetensors/,
    ],
    ["shards without an index", (dir) => rmSync(join(dir, INDEX)), "ERR_MODEL_INVALID", /3 safetensors files and no/],
    [
      "a missing shard",
      (dir) => rmSync(join(dir, "model-00002-of-00003.safetensors")),
      "ERR_MODEL_INVALID",
      /1 of 3 shards are missing: model-00002-of-00003.safetensors/,
    ],
    [
      "an index that names what the shard lacks",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.extra.weight"] = "model-00001-of-00003.safetensors";
        }),
      "ERR_MODEL_INVALID",
      /model.extra.weight is in model-00001-of-00003.safetensors, which has no such tensor/,
    ],
    [
      "an index that lacks what a shard holds",
      (dir) =>
        editIndex(dir, (map) => {
          delete map["model.norm.weight"];
        }),
      "ERR_MODEL_INVALID",
      /holds model.norm.weight, which the index does not list/,
    ],
    [
      "an index that names another shard",
      (dir) =>
        editIndex(dir, (map) => {
          map["model.norm.weight"] = "model-00001-of-00003.safetensors";
        }),
      "ERR_MODEL_INVALID",
      /but it is in model-00003/,
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
      /expected a file/,
    ],
  ])("refuses %s", async (_, damage, code, message) => {
    const dir = folder({ shards: 3 });
    damage(dir);
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("a tensor in two shards", async () => {
    const dir = folder({ shards: 2 });
    const twice = safetensorsBytes({ "model.norm.weight": { dtype: "F32", shape: [16], data: new Uint8Array(64) } });
    writeFileSync(join(dir, "more.safetensors"), twice);
    editIndex(dir, (map) => {
      map["x"] = "more.safetensors";
    });
    await expect(openCheckpoint(dir)).rejects.toMatchObject({
      message: expect.stringMatching(/model.norm.weight is in .* and in more.safetensors/),
    });
  });
});

describe("checkTensors", () => {
  const config = parseConfig(TINY_CONFIG);
  const check = async (change: (tensors: ReturnType<typeof tinyTensors>) => void, configuration = config) => {
    const tensors = tinyTensors();
    change(tensors);
    const dir = folder({ tensors });
    checkTensors(configuration, await openCheckpoint(dir));
  };
  const f32 = (shape: number[], dtype = "F32") => ({
    dtype,
    shape,
    data: new Uint8Array((dtype === "F32" ? 4 : 8) * shape.reduce((a, b) => a * b, 1)),
  });

  test("accepts just what config.json asks for", () => check(() => {}));
  test("a tied checkpoint may carry its head; rotary buffers are ignored", () =>
    check(
      (tensors) => {
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = f32([2]);
      },
      { ...config, tiedEmbeddings: true },
    ));

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
    [
      "a layer too many",
      (t) => {
        t["model.layers.2.mlp.up_proj.weight"] = f32([24, 16]);
      },
      "ERR_MODEL_UNSUPPORTED",
      /no such tensor/,
    ],
  ])("refuses %s", async (_, change, code, message) => {
    await expect(check(change)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
