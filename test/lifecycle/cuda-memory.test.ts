// The memory of a GPU: that a plan has the numbers of a load, which cache a load takes, and what is said where it does not fit. On the
// emulator in the place of the CUDA device.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { LoadOptions, LoadPlan, ModelStats } from "#quipu/index.js";
import { loadModel, planModel } from "#quipu/index.js";
import { TINY_CONFIG, temporaryFolder, writeCheckpoint } from "../checkpoint-writer.js";
import { quipu } from "../e2e/run-cli.js";
import { emulatedGpu } from "../emulated-gpu.js";
import { OTHER_DEVICES } from "../kernels/run-op.js";
import { loadTiny } from "../model/reference.js";
import { complete, pagesOf, rows, someIds, withRuntime } from "../model/run-model.js";
import { describeWhere } from "../where.js";

const MIB = 2 ** 20;
const root = temporaryFolder();
/** A cache of 16 KiB a position in f16, and weights of a few MiB. */
const wide = join(root, "wide");
writeCheckpoint(wide, {
  config: {
    ...TINY_CONFIG,
    head_dim: 128,
    num_key_value_heads: 4,
    num_hidden_layers: 8,
    max_position_embeddings: 2 ** 16,
  },
});

/** Weights of 8 MiB in f32. */
const heavy = join(root, "heavy");
writeCheckpoint(heavy, { config: { ...TINY_CONFIG, hidden_size: 256, intermediate_size: 1024, head_dim: 64 } });

const describeEmulated = describeWhere(
  OTHER_DEVICES.includes("simt"),
  "memory of a GPU: QUIPU_TEST_DEVICES does not name simt",
);

describeEmulated("the memory of a GPU", () => {
  const addon = emulatedGpu(join(root, "modules"));

  /** What `program` prints, as JSON, in a process whose GPU has so many bytes; `loadModel` and others are there. */
  function onGpu<T>(memory: number, program: string): T {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `import { loadModel, planModel, describeGpus } from "${process.cwd()}/dist/index.js"; ${program}`,
      ],
      {
        ...{ encoding: "utf8", timeout: 250_000 },
        env: { ...process.env, QUIPU_ADDON: addon, QUIPU_SIMT_MEMORY: `${memory}`, QUIPU_SIMT_CHECKS: "none" },
      },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout) as T;
  }

  /** A load that generates, or its error; and whether all of its memory is free again. */
  function load(memory: number, options: LoadOptions, folder = wide) {
    return onGpu<{ stats?: ModelStats; code?: string; message?: string; fitting?: object; isFreeAgain: boolean }>(
      memory,
      `const free = () => describeGpus().gpus[0].freeMemory;
       const before = free();
       const said = {};
       try {
         const model = await loadModel(${JSON.stringify(folder)}, { device: "cuda", tokenizer: false, ...${JSON.stringify(options)} });
         for await (const _ of model.generate(Int32Array.of(1, 2, 3), { maxTokens: 2, ignoreEos: true }));
         said.stats = model.stats();
         await model.dispose();
       } catch ({ code, message, fitting }) { Object.assign(said, { code, message, fitting }); }
       console.log(JSON.stringify({ ...said, isFreeAgain: free() === before }));`,
    );
  }

  describe("a plan has the numbers of a load", () => {
    beforeAll(() => {
      process.env.QUIPU_ADDON = addon;
    });
    afterAll(() => {
      delete process.env.QUIPU_ADDON;
    });

    test.each(["none", "q8", "q4"] as const)("weights of %s", async (quantize) => {
      for (const name of ["gqa-f32", "mqa-tied-bf16"]) {
        const { folder, vocabSize } = loadTiny(name);
        for (const kvCache of ["f16", "int8"] as const) {
          const options = { device: "cuda", quantize, kvCache, slots: 2, batchSize: 8, contextLength: 72 } as const;
          const plan = await planModel(folder, { ...options, speed: false });
          await using model = await loadModel(folder, { ...options, tokenizer: false, cache: false });
          await complete(model, someIds(10, vocabSize), { maxTokens: 2, ignoreEos: true });
          const { weightBytes, cacheBytes, arenaBytes, contextLength, device } = model.stats();
          expect([plan.loads.length, device]).toEqual([1, "cuda"]);
          expect(plan.loads[0]).toMatchObject({
            quantize,
            kvCache,
            weightBytes,
            cacheBytes,
            arenaBytes,
            contextLength,
          });
          expect(plan).toMatchObject({ parameters: model.stats().parameters, gpu: { totalMemory: 2 ** 30 } });
        }
      }
    });

    test("not fused, too; what the plain kernels work in is another workspace", async () => {
      const { folder, vocabSize } = loadTiny("gqa-f32");
      const arenas = new Set<number>();
      for (const fuse of [true, false]) {
        const options = { device: "cuda", quantize: "none", kvCache: "f32", fuse, slots: 1, batchSize: 2 } as const;
        const { loads } = await planModel(folder, { ...options, speed: false });
        await using model = await loadModel(folder, { ...options, tokenizer: false });
        // A step that fills comes again when one that samples has had the arena grow, and that again then.
        const [first, second] = [1, 2].map(() =>
          complete(model, someIds(5, vocabSize), { maxTokens: 2, ignoreEos: true, temperature: 0 }),
        );
        expect((await second!).ids).toEqual((await first!).ids);
        expect(loads[0]!.arenaBytes).toBe(model.stats().arenaBytes);
        arenas.add(loads[0]!.arenaBytes);
      }
      expect(arenas.size).toBe(2);
    });

    test("attention over a longer context has a larger workspace", async () => {
      const arenaAt = async (contextLength: number) => {
        const options = { device: "cuda", quantize: "none", kvCache: "int8", slots: 1, batchSize: 16 } as const;
        return (await planModel(wide, { ...options, contextLength, speed: false })).loads[0]!.arenaBytes;
      };
      expect(await arenaAt(16_384)).toBeGreaterThan(await arenaAt(1024));
    });

    test("state is what a device holds for it", async () => {
      const { folder, vocabSize } = loadTiny("gqa-f32");
      const options = { contextLength: 128, slots: 2, batchSize: 32, kvCache: "f16" } as const;
      const { loads } = await planModel(folder, { ...options, device: "cuda", quantize: "none", speed: false });
      const { stateBytes, cacheBytes } = loads[0]!;
      const shape = { ...options, device: "simt", cacheTokens: 256, stepRows: 33 } as const;
      await withRuntime(folder, shape, async (runtime) => {
        const settings = {
          ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
          ...{ seed: 1, logitBias: new Map() },
        };
        const prompt = someIds(4, vocabSize);
        const writes = runtime.begin(0, pagesOf(runtime, 0), { settings, prompt, stopIds: [] });
        await runtime.fill(rows(prompt.subarray(0, 2)), { writes });
        await runtime.sample(rows(prompt.subarray(2), 0, 2), [1], [0]);
        expect(runtime.device.memory().state).toBe(cacheBytes + stateBytes);
      });
    });
  });

  describe("a cache that nobody asked for", () => {
    const MEMORY = 48 * MIB;
    const planned = (options: object) =>
      onGpu<{ freeMemory: number; loads: [LoadPlan] }>(
        MEMORY,
        `console.log(JSON.stringify(await planModel(${JSON.stringify(wide)}, { device: "cuda", quantize: "none", kvCache: "f16", speed: false, ...${JSON.stringify(options)} })));`,
      );

    test("takes nine tenths of what weights and steps leave, by pages", () => {
      const { freeMemory, loads } = planned({ slots: 1 });
      const { weightBytes, stateBytes, arenaBytes, cacheBytes, cacheBytesPerPosition, ...load } = loads[0];
      const share = 0.9 * (freeMemory - weightBytes - stateBytes - arenaBytes);
      expect(cacheBytes).toBeLessThanOrEqual(share);
      expect(cacheBytes).toBeGreaterThan(share - 2 * 64 * cacheBytesPerPosition); // a longer context has larger steps, too
      expect(load).toMatchObject({ fits: true, contextLength: expect.any(Number) });
      expect(load.largestContext).toBeGreaterThan(load.contextLength);
      const { stats } = load1();
      // What a driver rounds up, the emulator's to 4 KiB for every tensor, is not planned.
      expect(stats!.contextLength).toBeLessThanOrEqual(load.contextLength);
      expect(stats!.contextLength).toBeGreaterThan(0.97 * load.contextLength);
    });
    const load1 = () => load(MEMORY, { slots: 1, kvCache: "f16" });

    test("is shared by slots whose contexts are shorter, and never larger than all of them", () => {
      const { stats } = load(MEMORY, { slots: 8, contextLength: 1024 });
      const pages = Object.values(stats!.pages).slice(0, 1).concat(stats!.pages.free, stats!.pages.cached);
      const all = 64 * pages.reduce((sum, count) => sum + count, 0);
      expect(all).toBeGreaterThan(1024);
      expect(all).toBeLessThan(8 * 1024);
      const { stats: few } = load(MEMORY, { slots: 2, contextLength: 512 });
      expect(few!.cacheBytes).toBeLessThan(2.01 * 512 * few!.cacheBytesPerPosition);
      expect(few!.cacheBytes).toBeGreaterThan(2 * 512 * few!.cacheBytesPerPosition);
    });

    test("is as large as cacheTokens says, and so is its context", () => {
      const { stats } = load(MEMORY, { slots: 2, cacheTokens: 1024 });
      expect(stats).toMatchObject({ contextLength: 1024 });
      expect(Math.floor(stats!.cacheBytes / stats!.cacheBytesPerPosition)).toBe(1024);
    });
  });

  describe("what does not fit", () => {
    test("is refused by its plan, which says what would fit; nothing stays, and that does fit", () => {
      const memory = 64 * MIB;
      const asked = { slots: 1, batchSize: 16, contextLength: 4096, kvCache: "f16" } as const;
      const refused = load(memory, asked);
      expect(refused).toMatchObject({
        code: "ERR_OUT_OF_MEMORY",
        message: expect.stringMatching(
          /^the GPU has 64 MiB free; weights need \d+ MiB, a f16 cache of 4096 positions 65 MiB, steps \d+ MiB\. What fits: contextLength \d+, or kvCache int8\.$/,
        ),
        isFreeAgain: true,
      });
      const fitting = refused.fitting as LoadOptions;
      expect(fitting.contextLength).toBeGreaterThan(64);
      for (const [option, value] of Object.entries(fitting)) {
        const { stats, isFreeAgain } = load(memory, { ...asked, [option]: value });
        expect([stats?.[option as keyof ModelStats], isFreeAgain]).toEqual([value, true]);
      }
    });

    test("weights alone that are too large: smaller ones are named, of whose bytes all count", () => {
      const memory = 7 * MIB;
      const refused = load(memory, { slots: 1, batchSize: 1 }, heavy);
      expect(refused).toMatchObject({ code: "ERR_OUT_OF_MEMORY", isFreeAgain: true });
      expect(refused.fitting).toMatchObject({ quantize: "q8" });
      const { stats } = load(memory, { slots: 1, batchSize: 1, quantize: "q8", cache: false }, heavy);
      expect(stats).toMatchObject({ device: "cuda" });
    });
  });

  describe("quipu plan --device cuda", () => {
    const plan = (args: string[], env: Record<string, string> = {}) =>
      quipu(["plan", wide, "--device", "cuda", ...args], { env: { QUIPU_ADDON: addon, ...env } });

    test("a table for the GPU, without speeds, and why", async () => {
      const { status, stdout, stderr } = await plan(["-q", "none"], { QUIPU_SIMT_MEMORY: `${64 * MIB}` });
      expect({ status, stderr }).toEqual({
        status: 0,
        stderr:
          "quipu: no speed is expected: nothing is measured of a GPU by a plan; a benchmark of the loaded model tells its speed (--no-speed leaves it out)\n",
      });
      expect(stdout).toMatch(/^gpu {8}\S.*, sm_90; 64\.0 MiB free$/m);
      expect(stdout).toMatch(/^none +32\.00 .* yes +\d+$/m);
      expect(stdout).not.toContain("t/s");
    });

    test("exit status 5 for what does not fit it, and what would", async () => {
      const args = ["-q", "none", "--kv-cache", "f16", "-c", "8192", "--no-speed"];
      const { status, stderr } = await plan(args, { QUIPU_SIMT_MEMORY: `${64 * MIB}` });
      expect(status).toBe(5);
      expect(stderr).toMatch(/ needs \d+ MiB, 64 MiB are free\. What fits: --ctx-size \d+\.\n$/);
    });

    test("exit status 6 where there is no such GPU, whatever the reason", async () => {
      expect(await plan(["--no-speed"], { QUIPU_SIMT_DEVICES: "0" })).toMatchObject({
        status: 6,
        stdout: "",
        stderr: expect.stringMatching(
          /^quipu: device cuda is not available: the NVIDIA driver shows no GPU: .*\. Use the device cpu \(--device\)\.\n$/,
        ),
      });
      expect(await plan(["--no-speed", "--device", "cuda:1"])).toMatchObject({
        status: 6,
        stderr: expect.stringMatching(
          /cuda:1 is not available: the driver shows 1, counted from 0\. Use the device cpu \(--device\)\.\n$/,
        ),
      });
    });
  });
});
