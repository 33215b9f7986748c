// planModel(): the numbers that a load has, from headers alone; what fits; where the headers may come from.
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sampleLayers } from "#quipu/benchmark/speed.js";
import { type CheckpointSource, folderSource } from "#quipu/checkpoint/source.js";
import { checkFits } from "#quipu/cli/commands/plan.js";
import { inspectModel } from "#quipu/generate/inspect.js";
import { type LoadOptions, loadModel } from "#quipu/generate/load.js";
import type { ModelStats } from "#quipu/generate/model.js";
import { planCheckpoint } from "#quipu/generate/plan.js";
import { type LoadPlan, type ModelPlan, modelFolder, planModel } from "#quipu/index.js";
import { availableTargets } from "#quipu/machine/machine.js";
import { availableThreads } from "#quipu/machine/process-limits.js";
import { readSourceConfig } from "#quipu/model/config.js";
import { QUANTIZATIONS } from "#quipu/model/quantization.js";
import { safetensorsBytes, TINY_CONFIG, temporaryFolder, tinyTensors, writeCheckpoint } from "../checkpoint-writer.js";
import { HubServer, tinyModelFiles, useHub } from "../hub.js";
import { loadTiny, tinyNames } from "../model/reference.js";
import { complete, someIds, withModel, withRuntime } from "../model/run-model.js";

const KV_CACHES = ["f32", "f16", "int8"] as const;
const root = temporaryFolder();

/** What a plan and a model's statistics both say. */
function numbersOf(load: LoadPlan, { parameters }: Pick<ModelPlan, "parameters">) {
  const { weightBytes, weightBytesPerToken, bitsPerWeight, formats, contextLength, kvCache } = load;
  const { cacheBytes, cacheBytesPerPosition, arenaBytes } = load;
  return {
    ...{ parameters, weightBytes, weightBytesPerToken, bitsPerWeight, formats },
    ...{ contextLength, kvCache, cacheBytes, cacheBytesPerPosition, arenaBytes },
  };
}

/** Statistics of a model that has generated, after a prompt of several steps and of one. */
async function statsOf(dir: string, options: LoadOptions): Promise<ModelStats> {
  return withModel(dir, { ...options, cache: false }, async (model) => {
    const room = model.stats().contextLength - 2;
    for (const length of [room, 3]) {
      const ids = someIds(length, model.config.vocabSize);
      await complete(model, ids, { maxTokens: 2, ignoreEos: true, seed: 1 });
    }
    return model.stats();
  });
}

async function expectAsLoaded(dir: string, options: LoadOptions): Promise<void> {
  const { threads, quantize, kvCache, slots, batchSize, contextLength, cacheTokens, fuse } = options;
  const asked = { threads, quantize, kvCache, slots, batchSize, contextLength, cacheTokens, fuse };
  const plan = await planModel(dir, { ...asked, speed: false });
  expect(plan.loads).toHaveLength(1);
  const stats = await statsOf(dir, options);
  expect(stats).toMatchObject(numbersOf(plan.loads[0]!, plan));
  expect(plan).toMatchObject({ target: stats.target, threads: stats.threads });
}

describe("a plan has the numbers of a load", () => {
  test.each(tinyNames())("%s, in every format, with every cache", async (name) => {
    const { folder } = loadTiny(name);
    for (const quantize of QUANTIZATIONS) {
      for (const kvCache of KV_CACHES) await expectAsLoaded(folder, { quantize, kvCache, batchSize: 40, slots: 2 });
    }
  });

  test.each(availableTargets())("kernels %s, any number of threads", async (target) => {
    process.env.QUIPU_CPU = target;
    try {
      for (const quantize of QUANTIZATIONS) {
        for (const threads of [1, availableThreads(), 1000]) {
          await expectAsLoaded(loadTiny("gqa-f32").folder, { quantize, threads, kvCache: "f16" });
        }
      }
    } finally {
      delete process.env.QUIPU_CPU;
    }
  });

  test("whatever sizes are asked for, fused or not", async () => {
    const { folder } = loadTiny("mqa-tied-bf16");
    for (const sizes of [
      { contextLength: 100, slots: 3 },
      { contextLength: 65, cacheTokens: 200, slots: 4, batchSize: 16 },
      { contextLength: 128, slots: 1, batchSize: 1 },
      { fuse: false },
      { fuse: ["normQkv", "matmulAdd"] as const },
    ]) {
      await expectAsLoaded(folder, { quantize: "none", kvCache: "int8", ...sizes });
    }
  });

  test("the embedded model by default, and as inspect tells", async () => {
    const plan = await planModel(undefined, { speed: false });
    const report = await inspectModel();
    expect(plan.loads.map(({ quantize, kvCache }) => `${quantize} ${kvCache}`)).toEqual(
      QUANTIZATIONS.flatMap((quantize) => KV_CACHES.map((kvCache) => `${quantize} ${kvCache}`)),
    );
    const { weightBytes, weightBytesPerToken } = report.memory;
    const { parameters, formats, bitsPerWeight } = report;
    const like = plan.loads.find(({ quantize, kvCache }) => quantize === "none" && kvCache === "f16")!;
    expect({ ...like, parameters: plan.parameters }).toMatchObject({
      ...{ parameters, formats, bitsPerWeight, weightBytes, weightBytesPerToken },
    });
    expect(plan.files).toEqual(report.files);
  });

  test("state is what a device holds for it", async () => {
    const { folder, vocabSize } = loadTiny("gqa-f32");
    const options = { contextLength: 128, slots: 2, batchSize: 32, kvCache: "f16" } as const;
    const { plan } = await planCheckpoint(folder, { ...options, quantize: "none" });
    const [{ stateBytes, cacheBytes }] = plan.loads as [LoadPlan];
    const shape = { ...options, cacheTokens: 256, stepRows: 33 };
    await withRuntime(folder, shape, async (runtime) => {
      const pages = Int32Array.of(0, 1);
      const settings = {
        ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
        ...{ seed: 1, logitBias: new Map() },
      };
      const prompt = someIds(4, vocabSize);
      const rows = Array.from(prompt, (id, position) => ({ slot: 0, id, position }));
      await runtime.fill(rows.slice(0, 2), { writes: runtime.begin(0, pages, { settings, prompt, stopIds: [] }) });
      await runtime.sample(rows.slice(2), [1], [0]);
      expect(runtime.device.memory().state).toBe(cacheBytes + stateBytes);
    });
  });
});

describe("what fits", () => {
  const { folder } = loadTiny("gqa-f32");

  test("everything in all, and the longest context is the last with which it does", async () => {
    const roomy = await planModel(folder, { speed: false, slots: 1 });
    for (const load of roomy.loads) {
      expect(load).toMatchObject({ fits: true, largestContext: roomy.config.maxPositions });
      const { weightBytes, cacheBytes, stateBytes, arenaBytes, totalBytes, fitting } = load;
      expect(totalBytes).toBe(weightBytes + cacheBytes + stateBytes + arenaBytes);
      expect(fitting).toBeUndefined();
      expect(() => checkFits(roomy, load)).not.toThrow();
    }
  });

  test("a load that does not fit says what would, and that does", async () => {
    const config = { ...TINY_CONFIG, head_dim: 1024, num_key_value_heads: 4, max_position_embeddings: 2 ** 24 };
    const wide = join(root, "wide"); // a cache of 32 KiB a position, half a TiB in all
    writeCheckpoint(wide, { config });
    const asked = { contextLength: 2 ** 24, slots: 1, speed: false, quantize: "none" } as const;
    const plan = await planModel(wide, { ...asked, kvCache: "f32" });
    const [load] = plan.loads as [LoadPlan];
    const most = load.largestContext;
    expect(load).toMatchObject({ fits: false, fitting: { contextLength: most } });
    expect(most).toBeGreaterThan(64);
    const perPage = 64 * load.cacheBytesPerPosition;
    // Whole pages, of memory that moves meanwhile.
    const shorter = await planModel(wide, { ...asked, kvCache: "f32", contextLength: most });
    const rest = plan.freeMemory - shorter.loads[0]!.totalBytes;
    expect(rest).toBeGreaterThanOrEqual(0);
    expect(rest).toBeLessThan(2 * perPage);
    expect(() => checkFits(plan, load)).toThrow(
      expect.objectContaining({
        ...{ code: "ERR_OUT_OF_MEMORY", option: "contextLength", fitting: { contextLength: most } },
        message: expect.stringMatching(
          /wide as it is with a f32 cache of 16777216 positions needs \d+ MiB, \d+ MiB are free\. What fits: contextLength \d+\.$/,
        ),
      }),
    );
  });

  test("a smaller cache and smaller weights are named where they would do", async () => {
    const config = { ...TINY_CONFIG, head_dim: 1024, num_key_value_heads: 4, max_position_embeddings: 2 ** 24 };
    const other = join(root, "wide-too");
    writeCheckpoint(other, { config });
    const free = (await planModel(other, { speed: false })).freeMemory;
    const perPosition = 2 * 2 * 4 * 1024 * 2; // f16
    const contextLength = Math.floor((1.5 * free) / perPosition);
    const [load] = (await planModel(other, { contextLength, slots: 1, speed: false, kvCache: "f16", quantize: "none" }))
      .loads;
    expect(load!.fitting).toEqual({ contextLength: load!.largestContext, kvCache: "int8" });
  });

  test("sizes that the model has not are refused", async () => {
    await expect(planModel(folder, { contextLength: 2 ** 20, speed: false })).rejects.toMatchObject({
      ...{ code: "ERR_USAGE", option: "contextLength" },
    });
    await expect(planModel(folder, { kvCache: "f64" } as never)).rejects.toMatchObject({ option: "kvCache" });
    await expect(planModel(folder, { mmap: false } as never)).rejects.toMatchObject({ code: "ERR_USAGE" });
  });
});

describe("headers", () => {
  /** A source that is elsewhere, of a folder's files, and the bytes that were asked of each. */
  async function remote(dir: string): Promise<{ source: CheckpointSource; asked: Map<string, number> }> {
    const { files, readRange } = await folderSource(dir);
    const asked = new Map<string, number>();
    return {
      asked,
      source: {
        ...{ where: "org/model", files, isLocal: false },
        readRange: async (name, first, last, signal) => {
          asked.set(name, Math.max(asked.get(name) ?? 0, last));
          return readRange(name, first, last, signal);
        },
      },
    };
  }

  test.each(tinyNames())("%s: a source elsewhere tells the same, and no weights are asked of it", async (name) => {
    const { folder } = loadTiny(name);
    const { source, asked } = await remote(folder);
    const [there, here] = [await planModel(source, { speed: false }), await planModel(folder, { speed: false })];
    expect(there.where).toBe("org/model");
    expect(there.loads.map(numbers)).toEqual(here.loads.map(numbers));
    for (const [file, last] of asked) {
      if (!file.endsWith(".safetensors")) continue;
      const bytes = readFileSync(join(folder, file));
      expect(last).toBeLessThanOrEqual(Math.max(512, 8 + Number(bytes.readBigUInt64LE())));
    }
    expect([...asked.keys()]).toContain("config.json");
  });
  const numbers = (load: LoadPlan) => numbersOf(load, { parameters: 0 });

  test("an index and its shards, in a folder and elsewhere", async () => {
    const dir = join(root, "shards");
    writeCheckpoint(dir, { shards: 3 });
    const { source } = await remote(dir);
    for (const from of [dir, source]) {
      const plan = await planModel(from, { speed: false, quantize: "none", kvCache: "f16" });
      expect(plan.files).toHaveLength(3);
      expect(plan.warnings).toEqual([]);
    }
    await expectAsLoaded(dir, { quantize: "none", kvCache: "f16" });
    rmSync(join(dir, "model-00002-of-00003.safetensors"));
    const rest = await remote(dir);
    for (const from of [dir, rest.source]) {
      await expect(planModel(from, { speed: false })).rejects.toMatchObject({
        code: "ERR_MODEL_INVALID",
        message: expect.stringContaining("1 of 3 shards are missing: model-00002-of-00003.safetensors"),
      });
    }
  });

  test("a stored head beside a config that ties it is compared in a folder, and counted elsewhere", async () => {
    const config = { ...TINY_CONFIG, tie_word_embeddings: true };
    const tensors = tinyTensors(config);
    const dir = join(root, "stored-head");
    writeCheckpoint(dir, { config, tensors: { ...tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]! } });
    const { source, asked } = await remote(dir);
    const here = await planModel(dir, { speed: false });
    const there = await planModel(source, { speed: false });
    expect([here.head, here.warnings]).toEqual(["tied", []]);
    expect(there.head).toBe("stored");
    expect(there.warnings).toEqual([
      {
        code: "WARN_STORED_HEAD",
        message: expect.stringMatching(
          /^lm_head.weight in model.safetensors was not compared with the embedding, .* its own$/,
        ),
      },
    ]);
    expect(there.loads[0]!.weightBytes - here.loads[0]!.weightBytes).toBe(4 * 32 * 16);
    const header = 8 + Number(readFileSync(join(dir, "model.safetensors")).readBigUInt64LE());
    expect(asked.get("model.safetensors")).toBeLessThanOrEqual(Math.max(512, header));
  });

  test("what is not there or lies is an error, as it is of a load", async () => {
    const dir = join(root, "hostile");
    const weights = join(dir, "model.safetensors");
    const good = () => {
      rmSync(dir, { recursive: true, force: true });
      writeCheckpoint(dir);
    };
    const spoil: Readonly<Record<string, () => void>> = {
      "no config": () => rmSync(join(dir, "config.json")),
      "no weights": () => rmSync(weights),
      "a folder in their place": () => {
        rmSync(weights);
        mkdirSync(weights);
      },
      "a download that ended early": () => truncateSync(weights, 2000),
      "a header that is longer than the file": () => {
        const bytes = readFileSync(weights);
        bytes.writeBigUInt64LE(2n ** 40n);
        writeFileSync(weights, bytes);
      },
      "a header that is no JSON": () => writeFileSync(weights, safetensorsBytes({}, '{"a":')),
      "a shape whose bytes overflow": () =>
        writeFileSync(
          weights,
          safetensorsBytes({}, { a: { dtype: "F32", shape: [2 ** 52, 2 ** 52], data_offsets: [0, 0] } }),
        ),
      "a config of other shapes": () =>
        writeFileSync(join(dir, "config.json"), JSON.stringify({ ...TINY_CONFIG, hidden_size: 32 })),
      "a config that is no JSON": () => writeFileSync(join(dir, "config.json"), "<html>"),
    };
    for (const [what, how] of Object.entries(spoil)) {
      good();
      how();
      const load = await loadModel(dir, { tokenizer: false }).catch((error) => error);
      const plan = await planModel(dir, { speed: false }).catch((error) => error);
      expect([what, plan.code, plan.message]).toEqual([what, load.code, load.message]);
      expect(plan.code).toMatch(/^ERR_MODEL_/);
      const { source } = await remote(dir);
      const elsewhere = await planModel(source, { speed: false }).catch((error) => error);
      expect([what, elsewhere.code]).toEqual([what, load.code]);
    }
  });

  test("a source that gives fewer bytes than there are is one whose file ended early", async () => {
    writeCheckpoint(join(root, "short"));
    const { source } = await remote(join(root, "short"));
    const short: CheckpointSource = {
      ...source,
      readRange: async (name, first, last) =>
        (await source.readRange(name, first, last)).subarray(0, name === "config.json" ? last : 100),
    };
    await expect(planModel(short, { speed: false })).rejects.toMatchObject({
      ...{ code: "ERR_MODEL_INVALID", message: "model.safetensors: ended early while its header was read" },
    });
    const long: CheckpointSource = {
      ...source,
      readRange: async (name, first, last) =>
        Buffer.concat([await source.readRange(name, first, last), Buffer.alloc(99, 65)]),
    };
    expect((await planModel(long, { speed: false })).parameters).toBeGreaterThan(0);
    const empty: CheckpointSource = {
      ...{ where: "there", isLocal: false, files: [{ name: "config.json", bytes: 0 }] },
      readRange: async () => {
        throw new RangeError("no range has nothing in it");
      },
    };
    await expect(planModel(empty, { speed: false })).rejects.toMatchObject({
      ...{ code: "ERR_MODEL_INVALID", message: expect.stringMatching(/^there\/config.json is empty/) },
    });
    const gone = { ...source, files: source.files.filter(({ name }) => name !== "config.json") };
    await expect(readSourceConfig(gone)).rejects.toMatchObject({ code: "ERR_MODEL_NOT_FOUND" });
  });

  test("a signal ends it, and goes to the source", async () => {
    const { source } = await remote(loadTiny("gqa-f32").folder);
    await expect(planModel(source, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ERR_ABORTED" });
    const { signal } = new AbortController();
    const signals: unknown[] = [];
    const told: CheckpointSource = {
      ...source,
      readRange: (name, first, last, given) => {
        signals.push(given);
        return source.readRange(name, first, last);
      },
    };
    await planModel(told, { signal, speed: false });
    expect(signals.length).toBeGreaterThan(2);
    expect(new Set(signals)).toEqual(new Set([signal]));
  });
});

describe("a repository that is not downloaded", () => {
  const REPO = "org/tiny";
  let server: HubServer;
  beforeEach(async () => {
    server = await HubServer.start();
    useHub(server, root);
  });
  afterEach(() => server.close());

  test("is planned from headers that the hub is asked for, and stays where it is", async () => {
    const files = tinyModelFiles();
    server.commit(REPO, files);
    const plan = await planModel(REPO, { speed: false, quantize: "none", kvCache: "f16" });
    const dir = join(root, "fetched");
    mkdirSync(dir);
    for (const { path, bytes } of files) writeFileSync(join(dir, path), bytes);
    const here = await planModel(dir, { speed: false, quantize: "none", kvCache: "f16" });
    expect({ ...plan, freeMemory: 0 }).toEqual({ ...here, where: REPO, freeMemory: 0 });
    const weights = files.find(({ path }) => path === "model.safetensors")!.bytes;
    const header = 8 + Number(weights.readBigUInt64LE());
    const ranges = server.asked.filter(({ file }) => file === "model.safetensors").map(({ headers }) => headers.range!);
    expect(ranges.length).toBeGreaterThan(0);
    for (const range of ranges) {
      expect(Number(/^bytes=\d+-(\d+)$/.exec(range)![1])).toBeLessThan(Math.max(512, header));
    }
    const asked = server.asked.flatMap(({ file }) => file ?? []);
    expect(new Set(asked)).toEqual(new Set(["config.json", "model.safetensors"]));
    expect(() => modelFolder(REPO)).toThrow("no model of that name");
  });

  /** A tiny model with another configuration, and weights of it. */
  const filesOf = (changes: object, weights = safetensorsBytes(tinyTensors())) =>
    tinyModelFiles().map(({ path, bytes }) => {
      if (path === "config.json") return { path, bytes: Buffer.from(JSON.stringify({ ...TINY_CONFIG, ...changes })) };
      return { path, bytes: path === "model.safetensors" ? weights : bytes };
    });

  test("is planned as it was at the revision that is named; which commit a commit is, nobody is asked", async () => {
    const older = server.commit(REPO, filesOf({ max_position_embeddings: 64 }));
    server.commit(REPO, tinyModelFiles());
    const positions = async (name: string) => (await planModel(name, { speed: false })).config.maxPositions;
    expect(await positions(REPO)).toBe(TINY_CONFIG.max_position_embeddings);
    server.forget();
    expect(await positions(`${REPO}@${older}`)).toBe(64);
    expect(server.count("revision")).toBe(0);
    await expect(positions(`${REPO}@v2`)).rejects.toMatchObject({ code: "ERR_PULL" });
  });

  test("has no data of its weights read, not even to compare a stored head", async () => {
    const tensors = tinyTensors({ ...TINY_CONFIG, tie_word_embeddings: true });
    const head = { "lm_head.weight": tensors["model.embed_tokens.weight"]! };
    server.commit(REPO, filesOf({ tie_word_embeddings: true }, safetensorsBytes({ ...tensors, ...head })));
    const { head: found, warnings } = await planModel(REPO, { speed: false });
    expect([found, warnings.map(({ code }) => code)]).toEqual(["stored", ["WARN_STORED_HEAD"]]);
  });

  test("is asked for until a signal ends it", async () => {
    server.commit(REPO, tinyModelFiles());
    const controller = new AbortController();
    server.options.fault = ({ kind }) => {
      if (kind !== "tree") return undefined;
      controller.abort();
      return { status: 503 }; // which would be asked for again
    };
    const planned = planModel(REPO, { speed: false, signal: controller.signal });
    await expect(planned).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(server.count("tree")).toBe(1);
  });

  test("is refused as a pull refuses it", async () => {
    server.commit("org/gated", tinyModelFiles(), { gated: true });
    const planned = (name: string) => planModel(name, { speed: false }).catch((error) => error);
    expect(await planned("org/gated")).toMatchObject({ code: "ERR_PULL", message: expect.stringMatching(/is gated/) });
    expect(await planned("org/other")).toMatchObject({
      code: "ERR_PULL",
      message: expect.stringMatching(/no such repository/),
    });
    server.forget();
    expect(await planned("other")).toMatchObject({ code: "ERR_MODEL_NOT_FOUND" });
    process.env.HF_HUB_OFFLINE = "1";
    expect(await planned("org/gated")).toMatchObject({
      code: "ERR_PULL",
      message: expect.stringMatching(/HF_HUB_OFFLINE/),
    });
    expect(server.asked).toEqual([]);
  });
});

describe("the speed to expect", () => {
  test("of every format, from layers that are run, below what the memory gives", async () => {
    const told: number[][] = [];
    const plan = await planModel(undefined, { slots: 1, onProgress: (...counts) => told.push(counts) });
    expect(told).toEqual([0, 1, 2, 3].map((done) => [done, 3]));
    expect(plan.roofs!.readBandwidth).toBeGreaterThan(0);
    for (const { kvCache, speed } of plan.loads) {
      if (kvCache !== "f16") expect(speed).toBeUndefined();
      else {
        expect(speed).toMatchObject({ promptTokens: 512, depth: 64, measuredLayers: 5 });
        expect(speed!.prompt).toBeGreaterThan(speed!.decode);
        expect(speed!.decode).toBeGreaterThan(0);
      }
    }
  });

  test("is of the cache that was asked for", async () => {
    const plan = await planModel(undefined, { slots: 1, quantize: "q8", kvCache: "int8" });
    expect(plan.loads.map(({ kvCache, speed }) => [kvCache, speed?.measuredLayers])).toEqual([["int8", 5]]);
  });

  test("is not measured of what does not fit", async () => {
    const config = { ...TINY_CONFIG, head_dim: 1024, num_key_value_heads: 4, max_position_embeddings: 2 ** 24 };
    const folder = join(root, "unfit");
    writeCheckpoint(folder, { config });
    const plan = await planModel(folder, { contextLength: 2 ** 24, slots: 1, quantize: "none", kvCache: "f32" });
    expect(plan).not.toHaveProperty("roofs");
    expect(plan.loads.map(({ fits, speed }) => [fits, speed])).toEqual([[false, undefined]]);
  });

  test("a sample has as much of layers as the head has, and more than caches hold; never more than there is room for", () => {
    const sizes = { layers: 16, layerBytes: 100, headBytes: 450, tableBytes: 0, lastLevelCache: 0, most: 1e9 };
    expect(sampleLayers(sizes)).toBe(5);
    expect(sampleLayers({ ...sizes, headBytes: 50 })).toBe(2);
    expect(sampleLayers({ ...sizes, lastLevelCache: 600 })).toBe(8); // 2 · 600 bytes less the head's
    expect(sampleLayers({ ...sizes, lastLevelCache: 6000 })).toBe(16);
    expect(sampleLayers({ ...sizes, most: 760 })).toBe(3);
    expect(sampleLayers({ ...sizes, most: 760, tableBytes: 250 })).toBe(0);
    expect(sampleLayers({ ...sizes, layers: 1 })).toBe(1);
  });
});
