// Resident memory, in processes of their own: what a generation takes above idle node, and that it comes back.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { smollm2Folder } from "../model/reference.js";
import { SLOW_CONFIG, writeSlowCheckpoint } from "../slow-checkpoint.js";
import { describeWhere } from "../where.js";

const root = process.cwd();
const MIB = 2 ** 20;
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
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 100_000 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

// The sanitizers' runtime keeps memory of its own, and only Linux tells these figures.
const measurable = process.env.QUIPU_SANITIZED === undefined && existsSync("/proc/self/status");
const reason = "resident memory says nothing under the sanitizers, or without /proc";

describeWhere(measurable, reason)("resident memory", () => {
  const temporary = temporaryFolder();
  const slow = writeSlowCheckpoint(join(temporary, "slow"));
  const smollm2 = smollm2Folder();
  const cases: [string, string | undefined, number, number][] = [
    ["a tiny checkpoint", "test/reference/tiny/gqa-f32", 300, 100],
    ["the embedded model", "models/storyteller", 400, 60],
    ["a slow one", slow, 600, 10],
    ["SmolLM2", smollm2, 300, 30],
  ];

  test.each(cases.filter(([, dir]) => dir !== undefined))(
    "of %s above idle node is weights, touched cache, arena and a little",
    (_, dir, prompt, tokens) => {
      const idle = measure<number>("print(peak());");
      const { peak, stats } = measure<{ peak: number; stats: Record<string, number> }>(`
        const model = await load(${JSON.stringify(dir)});
        await use(model, ${prompt}, { maxTokens: ${tokens}, seed: 1 });
        print({ peak: peak(), stats: model.stats() });
        await model.dispose();`);
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
    // V8 lets its young generation grow with the rate of garbage: that is not ours to give back.
    const [before, after] = measure<number[]>(program, ["--max-semi-space-size=1"]);
    expect((after! - before!) / MIB).toBeLessThan(8);
  });

  test.each([true, false])("comes back with dispose(), mmap %p", (mmap) => {
    const { before, loaded, after } = measure<{ before: number; loaded: number; after: number }>(`
      const once = async () => {
        const model = await load(${JSON.stringify(slow)}, { mmap: ${mmap} });
        await use(model, 70, { maxTokens: 2 });
        const loaded = resident();
        await model.dispose();
        return loaded;
      };
      await once();
      const before = resident();
      for (let i = 0; i < 4; i++) await once();
      print({ before, loaded: await once(), after: resident() });`);
    expect((loaded - before) / MIB).toBeGreaterThan(64); // its weights
    expect((after - before) / MIB).toBeLessThan(8);
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
