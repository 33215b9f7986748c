// loadModel() and inspectModel(): what they take, what they refuse, and several models at once.
import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import { FUSIONS } from "#quipu/device/fusions.js";
import { inspectModel } from "#quipu/generate/inspect.js";
import { type LoadOptions, loadModel } from "#quipu/generate/load.js";
import { availableTargets } from "#quipu/machine/machine.js";
import { availableThreads } from "#quipu/machine/process-limits.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { loadTiny, tinyNames } from "../model/reference.js";
import { complete, someIds, withModel } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");
const greedy = { temperature: 0, ignoreEos: true, maxTokens: 8 } as const;
const say = (dir: string, options: LoadOptions = {}) =>
  withModel(dir, options, async (model) => (await complete(model, someIds(9, vocabSize), greedy)).ids);

describe("loadModel", () => {
  test("defaults: the embedded model, every thread, the fastest kernels, an f16 cache, all its positions", async () => {
    await using model = await loadModel();
    expect(model.config).toMatchObject({ vocabSize: 2048, layers: 5, maxPositions: 512 });
    expect(model.stats()).toEqual({
      ...{ parameters: 2361408, weightBytes: 4722816, weightBytesPerToken: 4722816 },
      ...{ formats: [{ format: "bf16", parameters: 2359296, bytes: 4718592 }], bitsPerWeight: 16 },
      ...{ flopsPerPromptToken: 3932160, flopsPerLogits: 786432 },
      ...{ cacheBytes: expect.any(Number), cacheBytesPerPosition: 2 * 5 * 2 * 32 * 2, arenaBytes: expect.any(Number) },
      ...{ device: "cpu", target: availableTargets().at(-1), threads: availableThreads() },
      ...{ contextLength: 512, kvCache: "f16", fusions: FUSIONS },
      ...{ running: 0, waiting: 0, rowsPerStep: 0, idleShare: 0 },
      pages: { used: 0, shared: 0, cached: 0, free: 8 * 8 }, // eight slots
    });
    expect(model.tokenizer?.vocabSize).toBe(2048);
  });

  test("threads above the processors are cut to them", async () => {
    const threads = availableThreads();
    const threadsCut = expect.stringMatching(`^1000 asked for, ${threads} processors?$`);
    await withModel(folder, { threads: 1000 }, async (model) => {
      expect(model.stats()).toMatchObject({ threads, threadsCut });
    });
    await withModel(folder, { threads }, async (model) => expect(model.stats().threadsCut).toBeUndefined());
  });

  test("options are in force", async () => {
    const options: LoadOptions = { threads: 1, contextLength: 100, kvCache: "int8", device: "auto", quantize: "none" };
    await withModel(folder, { ...options, slots: 2 }, async (model) => {
      expect(model.stats()).toMatchObject({ threads: 1, contextLength: 100, kvCache: "int8" });
      const scaled = 8 + 4; // an i8 head and its scale
      expect(model.stats().cacheBytesPerPosition).toBe(2 * 2 * 2 * scaled);
      expect(model.stats().cacheBytes).toBe(2 * 128 * 2 * 2 * 2 * scaled + 2 * 2 * 4); // whole pages, and their table
      expect(model.tokenizer).toBeUndefined();
    });
  });

  test("a token reads a row of the embedding, and all of the head where that is another tensor", async () => {
    await withModel(folder, {}, async (model) => {
      const { weightBytes, weightBytesPerToken } = model.stats();
      const row = 4 * model.config.hiddenSize;
      expect(weightBytesPerToken).toBe(weightBytes - (vocabSize - 1) * row);
    });
    const tied = loadTiny("mqa-tied-bf16").folder;
    await withModel(tied, {}, async (model) => {
      expect(model.stats().weightBytesPerToken).toBe(model.stats().weightBytes);
    });
  });

  test("QUIPU_CPU names the kernels", async () => {
    process.env.QUIPU_CPU = "scalar";
    try {
      await withModel(folder, {}, async (model) => expect(model.stats().target).toBe("scalar"));
      process.env.QUIPU_CPU = "neon";
      await expect(loadModel(folder, { tokenizer: false })).rejects.toMatchObject({ code: "ERR_DEVICE_UNAVAILABLE" });
    } finally {
      delete process.env.QUIPU_CPU;
    }
  });

  test("fusions are in force; QUIPU_FUSE says which where no option does", async () => {
    const fusions = async (fuse?: LoadOptions["fuse"]) =>
      (await withModel(folder, { fuse }, async (model) => model.stats())).fusions;
    expect(await fusions()).toEqual(FUSIONS);
    expect(await fusions(false)).toEqual([]);
    process.env.QUIPU_FUSE = "matmulAdd";
    try {
      expect(await fusions()).toEqual(["matmulAdd"]);
      expect(await fusions(["matmulSwiglu"])).toEqual(["matmulSwiglu"]);
      process.env.QUIPU_FUSE = "some";
      await expect(loadModel(folder, { tokenizer: false })).rejects.toMatchObject({ code: "ERR_USAGE" });
    } finally {
      delete process.env.QUIPU_FUSE;
    }
  });

  test.each<[unknown, string]>([
    [{ threads: 0 }, "ERR_USAGE"],
    [{ contextLength: 1 }, "ERR_USAGE"],
    [{ contextLength: 513 }, "ERR_USAGE"],
    [{ contextLength: 100.5 }, "ERR_USAGE"],
    [{ batchSize: 0 }, "ERR_USAGE"],
    [{ slots: 0 }, "ERR_USAGE"],
    [{ kvCache: "q4" }, "ERR_USAGE"],
    [{ quantize: "q6" }, "ERR_USAGE"],
    [{ device: "cuda" }, "ERR_DEVICE_UNAVAILABLE"],
    [{ tokenizer: true }, "ERR_MODEL_NOT_FOUND"], // it has none
  ])("%j is refused with %s", async (options, code) => {
    await expect(loadModel(folder, { tokenizer: false, ...(options as LoadOptions) })).rejects.toMatchObject({ code });
  });

  test.each(["no/such/folder", "package.json", "src"])("%s is no model", async (path) => {
    await expect(loadModel(path)).rejects.toMatchObject({ code: "ERR_MODEL_NOT_FOUND" });
  });

  test("progress tells bytes of files that are opened", async () => {
    const told: [number, number][] = [];
    const onProgress = (done: number, total: number) => told.push([done, total]);
    await withModel(loadTiny("llama3-rope-sharded-bf16").folder, { onProgress }, async () => {});
    expect(told).toHaveLength(3);
    expect(told[2]![0]).toBe(told[2]![1]);
  });
});

const temporary = temporaryFolder();
test("a folder that is read-only, with spaces and letters of all kinds in its path", async () => {
  const dir = join(temporary, "mit Leerzeichen", "モデル-ñ-🦙 (1)");
  cpSync(folder, dir, { recursive: true });
  chmodSync(dir, 0o555);
  try {
    const expected = await say(folder);
    expect(await say(dir)).toEqual(expected);
    expect(await say(dir, { mmap: false })).toEqual(expected);
  } finally {
    chmodSync(dir, 0o755);
  }
});

test("several models at once, each with threads of its own", async () => {
  const dirs = tinyNames().map((name) => loadTiny(name).folder);
  const models = await Promise.all(dirs.map((dir) => loadModel(dir, { tokenizer: false, threads: 2 })));
  const prompt = someIds(9, 200);
  const atOnce = await Promise.all(models.map((model) => complete(model, prompt, greedy)));
  const one = await complete(models[0]!, prompt, greedy);
  await models[0]!.dispose(); // the others go on
  const others = [];
  for (const model of models.slice(1)) others.push(await complete(model, prompt, greedy));
  expect(atOnce.map(({ ids }) => ids)).toEqual([one, ...others].map(({ ids }) => ids));
  await Promise.all(models.map((model) => model.dispose()));
});

test("inspectModel tells what the headers say", async () => {
  const report = await inspectModel(loadTiny("llama3-rope-sharded-bf16").folder, { contextLength: 64, kvCache: "f32" });
  expect(report).toMatchObject({
    config: { hiddenSize: 96, layers: 2, heads: 6, kvHeads: 2 },
    generationConfig: { eosIds: [2] },
    tokenizer: "none",
    dtypes: [{ dtype: "BF16", tensors: 21, bytes: 2 * report.parameters }],
    ...{ formats: [{ format: "bf16" }], bitsPerWeight: 16 },
    memory: { weightBytes: 2 * report.parameters, contextLength: 64, kvCache: "f32" },
  });
  await using model = await loadModel(report.dir, { contextLength: 64, tokenizer: false });
  const { formats, bitsPerWeight, weightBytesPerToken, weightBytes } = model.stats();
  expect({ formats, bitsPerWeight }).toEqual({ formats: report.formats, bitsPerWeight: report.bitsPerWeight });
  expect(report.memory).toMatchObject({ weightBytes, weightBytesPerToken });
  expect(report.files.map(({ name }) => name)).toEqual([1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`));
  expect(report.tensors).toContainEqual({
    ...{ name: "model.layers.1.self_attn.k_proj.weight", dtype: "BF16", shape: [32, 96], file: expect.any(String) },
  });
  expect(report.memory.cacheBytes).toBe(64 * report.memory.cacheBytesPerPosition);
  await expect(inspectModel("src")).rejects.toMatchObject({ code: "ERR_MODEL_NOT_FOUND" });
});
