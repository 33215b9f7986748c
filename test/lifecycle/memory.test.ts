// Resident memory, in processes of their own: what a generation takes above idle node, and that it comes back.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LoadOptions } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { smollm2Folder } from "../model/reference.js";
import { SLOW_CONFIG, writeSlowCheckpoint } from "../slow-checkpoint.js";
import { describeWhere } from "../where.js";

const root = process.cwd();
const MIB = 2 ** 20;
const temporary = temporaryFolder();
/** What node's heap, our code and the addon may take beside weights, cache and arena. */
const ALLOWANCE = 32 * MIB;

/** Runs a program that prints JSON. It finds the peak and the present resident memory in bytes, and a generation to measure. */
function measure<T>(program: string, flags: readonly string[] = []): T {
  const prelude = `
    const { readFileSync } = await import("node:fs");
    const status = (name) => 1024 * Number(new RegExp(name + ":\\\\s+(\\\\d+)").exec(readFileSync("/proc/self/status", "utf8"))[1]);
    const peak = () => status("VmHWM");
    const resident = () => { for (let i = 0; i < 3; i++) globalThis.gc?.(); return status("VmRSS"); };
    const load = async (dir, options) => (await import(${JSON.stringify(join(root, "dist/index.js"))})).loadModel(dir, { tokenizer: false, threads: 2, ...options });
    const use = async (model, length, options) => {
      const ids = Int32Array.from({ length }, (_, i) => (i * 7919 + 13) % model.config.vocabSize);
      for await (const event of model.generate(ids, { ignoreEos: true, ...options }));
    };
    const print = (value) => console.log(JSON.stringify(value));
  `;
  const args = [...flags, "--expose-gc", "--input-type=module", "-e", prelude + program];
  const env = { ...process.env, QUIPU_CACHE: join(temporary, "cache") };
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 250_000, env });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** V8 lets its young generation grow with the rate of garbage: that is not ours to give back. */
const SMALL_YOUNG = ["--max-semi-space-size=1"];

// The sanitizers' runtime keeps memory of its own, and only Linux tells these figures.
const measurable = process.env.QUIPU_SANITIZED === undefined && existsSync("/proc/self/status");
const reason = "resident memory says nothing under the sanitizers, or without /proc";

describeWhere(measurable, reason)("resident memory", () => {
  const slow = writeSlowCheckpoint(join(temporary, "slow"));
  const smollm2 = smollm2Folder();
  const cases: [string, string | undefined, number, number, LoadOptions][] = [
    ["a tiny checkpoint", "test/reference/tiny/gqa-f32", 300, 100, {}],
    ["the embedded model", "models/storyteller", 400, 60, {}],
    ["a slow one", slow, 600, 10, {}],
    ["SmolLM2", smollm2, 300, 30, {}],
    ["a slow one of q8, whose file is read and let go", slow, 600, 10, { quantize: "q8", cache: false }],
    ["a slow one of q8, packed into a file", slow, 600, 10, { quantize: "q8" }],
    ["a slow one of q8, found packed", slow, 600, 10, { quantize: "q8" }],
    ["SmolLM2 of q8", smollm2, 300, 30, { quantize: "q8", cache: false }],
    ["SmolLM2 of q8, packed into a file", smollm2, 300, 30, { quantize: "q8" }],
    ["SmolLM2 of q8, found packed", smollm2, 300, 30, { quantize: "q8" }],
  ];

  test.each(cases.filter(([, dir]) => dir !== undefined))(
    "of %s above idle node is weights, touched cache, arena and a little",
    (_, dir, prompt, tokens, options) => {
      const idle = measure<number>("print(peak());", SMALL_YOUNG);
      const program = `
        const model = await load(${JSON.stringify(dir)}, ${JSON.stringify(options)});
        await use(model, ${prompt}, { maxTokens: ${tokens}, seed: 1 });
        print({ peak: peak(), stats: model.stats() });
        await model.dispose();`;
      const { peak, stats } = measure<{ peak: number; stats: Record<string, number> }>(program, SMALL_YOUNG);
      const positions = Math.ceil((prompt + tokens) / 64) * 64;
      const named = stats.weightBytes! + positions * stats.cacheBytesPerPosition! + stats.arenaBytes!;
      expect((peak - idle - named) / MIB).toBeLessThan(ALLOWANCE / MIB);
      expect(peak - idle).toBeGreaterThan(stats.weightBytes! / 2); // it has really read them
    },
  );

  test("does not grow over 200 generations of all kinds", () => {
    const program = `
      const model = await load("test/reference/tiny/gqa-f32", { slots: 3 });
      const some = async (count) => {
        for (let i = 0; i < count; i += 4) {
          const bias = { logitBias: new Map([[i, 1]]), repeatPenalty: 1.1 };
          await Promise.all([
            use(model, 1 + (i * 7) % 90, { maxTokens: 10 }),
            use(model, 1 + i % 50, { maxTokens: 5, logprobs: i % 20, ...bias }),
            use(model, 100, { signal: AbortSignal.timeout(1) }),
            model.logits(new Int32Array(1 + i % 80)),
          ]);
        }
      };
      await some(200);
      const before = resident();
      await some(200);
      print([before, resident()]);
      await model.dispose();`;
    const [before, after] = measure<number[]>(program, SMALL_YOUNG);
    expect((after! - before!) / MIB).toBeLessThan(8);
  });

  test.each([true, false])("comes back with dispose(), without a collection: mmap %p", (mmap) => {
    // Nothing is collected: what comes back has been given back.
    const { before, loaded, after } = measure<{ before: number; loaded: number; after: number }>(`
      const once = async () => {
        const model = await load(${JSON.stringify(slow)}, { mmap: ${mmap} });
        await use(model, 70, { maxTokens: 2 });
        const loaded = status("VmRSS");
        await model.dispose();
        return loaded;
      };
      await once();
      const before = status("VmRSS");
      for (let i = 0; i < 4; i++) await once();
      print({ before, loaded: await once(), after: status("VmRSS") });`);
    expect((loaded - before) / MIB).toBeGreaterThan(64); // its weights
    expect((after - before) / MIB).toBeLessThan(24); // of garbage
  });

  test("of a load that fails comes back, without a collection", () => {
    const { before, during, after } = measure<Record<string, number>>(`
      let during = 0;
      const once = async () => {
        const controller = new AbortController();
        const onProgress = (done, total) => {
          during = Math.max(during, status("VmRSS"));
          if (done === total) controller.abort(); // all is read; what comes next fails
        };
        const { signal } = controller;
        await load(${JSON.stringify(slow)}, { mmap: false, onProgress, signal }).then(() => { throw new Error("loaded"); }, (error) => error.code);
      };
      await once();
      during = 0;
      const before = status("VmRSS");
      for (let i = 0; i < 4; i++) await once();
      print({ before, during, after: status("VmRSS") });`);
    expect((during! - before!) / MIB).toBeGreaterThan(48);
    expect((after! - before!) / MIB).toBeLessThan(24);
  });

  test("of tensors and programs comes back when they are disposed of, without a collection or another run", () => {
    const { before, during, after } = measure<Record<string, number>>(`
      const { openDevice } = await import(${JSON.stringify(join(root, "dist/device/device.js"))});
      const { Recorder } = await import(${JSON.stringify(join(root, "dist/graph/recorder.js"))});
      const { compile } = await import(${JSON.stringify(join(root, "dist/graph/program.js"))});
      const device = openDevice({ threads: 2 });
      const idle = async () => { for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 10)); };
      const shape = [32, 2 ** 20];
      const before = status("VmRSS");
      const [a, b] = ["a", "b"].map((name) => device.allocate(name, "f32", shape));
      const r = new Recorder();
      const sum = r.add(a, b);
      r.output(r.add(r.add(sum, sum), a)); // two values in the arena, or one in place
      const program = compile(device, r.finish());
      await program.run();
      const during = status("VmRSS");
      program.dispose();
      for (const tensor of [a, b]) device.free(tensor);
      await idle();
      print({ before, during, after: status("VmRSS") });`);
    expect((during! - before!) / MIB).toBeGreaterThan(250); // two that are written, 128 MiB each; inputs are one page of zeros
    expect((after! - before!) / MIB).toBeLessThan(24);
  });

  test("of a device comes back with it, whoever holds what it has made", () => {
    const { before, during, after } = measure<Record<string, number>>(`
      const { openDevice } = await import(${JSON.stringify(join(root, "dist/device/device.js"))});
      const { writeFileSync, truncateSync } = await import("node:fs");
      const path = ${JSON.stringify(join(temporary, "held"))};
      const bytes = 64 * 2 ** 20;
      writeFileSync(path, "");
      truncateSync(path, bytes);
      const before = status("RssAnon");
      const device = openDevice({ threads: 1 });
      const state = device.allocate("state", "f32", [bytes / 4]);
      await device.run(null, { writes: [[state, new Float32Array(bytes / 4)]] });
      const file = await device.open(path, bytes, { mmap: false });
      const view = device.place("view", { file, offset: 0, dtype: "f32", shape: [bytes / 4] }, ["vector"]);
      file.dispose();
      globalThis.gc(); // the array that was written
      const during = status("RssAnon");
      await device.dispose();
      print({ before, during, after: status("RssAnon"), held: [state, view].length });`);
    expect((during! - before!) / MIB).toBeGreaterThan(120);
    expect((after! - before!) / MIB).toBeLessThan(24);
  });

  test.each([true, false])("of forgotten weights that were copied or read goes unasked, mmap %p", (mmap) => {
    const { before, after } = measure<Record<string, number>>(`
      const { openDevice } = await import(${JSON.stringify(join(root, "dist/device/device.js"))});
      const { writeFileSync, truncateSync } = await import("node:fs");
      const path = ${JSON.stringify(join(temporary, "forgotten"))};
      const bytes = 32 * 2 ** 20;
      writeFileSync(path, "");
      truncateSync(path, bytes + 4);
      const device = openDevice({ threads: 1 });
      const once = async () => {
        const file = await device.open(path, bytes + 4, { mmap: ${mmap} });
        // Mapped, a copy; read, the file's own memory.
        device.place("t", { file, offset: ${mmap ? 1 : 0}, dtype: "f32", shape: [bytes / 4] }, ["vector"]);
        file.dispose();
        await new Promise(setImmediate); // where finalizers run
      };
      await once();
      const before = status("RssAnon");
      for (let i = 0; i < 30; i++) await once();
      print({ before, after: status("RssAnon") });`);
    expect((after! - before!) / MIB).toBeLessThan(320); // of 960
  });

  test("of state that nobody has touched brings no collection", () => {
    const collections = measure<number>(`
      const { PerformanceObserver, constants } = await import("node:perf_hooks");
      const { openDevice } = await import(${JSON.stringify(join(root, "dist/device/device.js"))});
      let collections = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) collections += entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
      }).observe({ entryTypes: ["gc"] });
      const device = openDevice({ threads: 1 });
      const heap = Array.from({ length: 300_000 }, (_, i) => ({ i })); // worth marking
      await new Promise((resolve) => setTimeout(resolve, 50));
      collections = 0;
      const cache = Array.from({ length: 64 }, (_, i) => device.allocate("cache." + i, "f16", [2 ** 26]));
      await new Promise((resolve) => setTimeout(resolve, 200));
      print(collections + 0 * (heap.length + cache.length));`);
    expect(collections).toBe(0);
  });

  test("of tokenizers that nobody has any more goes without being asked for", () => {
    const { before, after } = measure<Record<string, number>>(`
      const { loadTokenizer } = await import(${JSON.stringify(join(root, "dist/index.js"))});
      const once = async () => (await loadTokenizer("models/storyteller")).encode("Once upon a time");
      await once();
      const before = status("VmData");
      for (let i = 0; i < 400; i++) await once();
      print({ before, after: status("VmData") });`);
    expect((after! - before!) / MIB).toBeLessThan(200); // 5 MiB each
  });

  test("of scoring is the result and little more", () => {
    const vocabSize = 32768;
    const wide = { ...SLOW_CONFIG, vocab_size: vocabSize, hidden_size: 64, num_hidden_layers: 1 };
    const dir = writeSlowCheckpoint(join(temporary, "wide"), wide);
    const { before, after, arena } = measure<Record<string, number>>(`
      const model = await load(${JSON.stringify(dir)});
      for (const length of [64, 8, 16]) await model.logits(new Int32Array(length));
      resident();
      const before = peak();
      await model.logits(new Int32Array(512));
      print({ before, after: peak(), arena: model.stats().arenaBytes });
      await model.dispose();`);
    const result = 512 * vocabSize * 4;
    expect(after! - before!).toBeGreaterThan(result / 2);
    expect((after! - before! - result - arena!) / MIB).toBeLessThan(ALLOWANCE / MIB);
  });
});
