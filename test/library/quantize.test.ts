// Weights that are quantized at load: what they take, what they say, and what cannot be quantized.
import { join } from "node:path";
import { loadModel } from "#quipu/index.js";
import { copyAltered } from "../altered-checkpoint.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { loadTiny } from "../model/reference.js";
import { complete, someIds, withModel } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");
const tied = loadTiny("mqa-tied-bf16").folder;
const QUANTIZED = ["q8", "q4"] as const;
const Q8 = { quantize: "q8" } as const;
const temporary = temporaryFolder();

const groups = (rows: number, columns: number) => [Math.ceil(rows / 16), columns] as const;
/** Bytes of a matrix: sixteen rows at a time. */
const BYTES: Readonly<Record<"q8" | "q6" | "q4", (rows: number, columns: number) => number>> = {
  q8: (...shape) => groups(...shape)[0] * Math.ceil(shape[1] / 32) * 16 * 34,
  q6: (...shape) => groups(...shape)[0] * Math.ceil(shape[1] / 32) * 16 * 26,
  q4: (...shape) => groups(...shape)[0] * (Math.ceil(shape[1] / 64) * 16 * 35 + Math.ceil(shape[1] / 256) * 64),
};

test.each([
  ["q8", BYTES.q8, BYTES.q8],
  ["q4", BYTES.q4, BYTES.q6],
] as const)("matrices take the bytes of %s, norms stay", async (quantize, most, sensitive) => {
  await withModel(folder, { quantize }, async (model) => {
    const { hiddenSize: D, intermediateSize: F, heads, kvHeads, headSize, layers } = model.config;
    const [q, kv] = [heads * headSize, kvHeads * headSize];
    expect(layers).toBe(2); // whose down is not among those that q4 keeps in q6
    const layer = most(q, D) + most(kv, D) + sensitive(kv, D) + most(D, q) + 2 * most(F, D) + most(D, F) + 2 * 4 * D;
    const inUse = layers * layer + 4 * D + sensitive(vocabSize, D);
    const table = most(vocabSize, D);
    expect(model.stats()).toMatchObject({
      weightBytes: inUse + table,
      weightBytesPerToken: inUse + Math.ceil(table / vocabSize),
      formats: quantize === "q8" ? [{ format: "q8" }] : [{ format: "q4" }, { format: "q6" }],
    });
  });
});

test.each(QUANTIZED)("%s: a tied embedding is there once, for products and for rows", async (quantize) => {
  await withModel(tied, { quantize }, async (model) => {
    const { weightBytes, weightBytesPerToken } = model.stats();
    expect(weightBytesPerToken).toBe(weightBytes);
    await withModel(tied, {}, async (plain) => {
      expect(weightBytes).toBeLessThan(0.75 * plain.stats().weightBytes); // tiny rows end in blocks that are not full
    });
  });
});

test.each([folder, tied].flatMap((dir) => QUANTIZED.map((quantize) => [dir, quantize] as const)))(
  "%s of %s says nearly the same, and the same to each reader",
  async (dir, quantize) => {
    const prompt = someIds(40, vocabSize);
    const logits = (options: object) => withModel(dir, options, (model) => model.logits(prompt));
    const [plain, packed, read] = [
      await logits({}),
      await logits({ quantize }),
      await logits({ quantize, mmap: false }),
    ];
    expect(read).toEqual(packed);
    expect(packed).not.toEqual(plain);
    await withModel(dir, { quantize }, async (model) => {
      const [alone, ...others] = await Promise.all(
        [1, 1, 2].map((seed) => complete(model, prompt, { maxTokens: 20, seed, promptCache: false })),
      );
      expect(others[0]!.ids).toEqual(alone!.ids);
    });
  },
);

test.each([
  ["model.layers.0.mlp.up_proj.weight", Number.NaN],
  ["model.layers.1.self_attn.q_proj.weight", Number.NEGATIVE_INFINITY],
  ["lm_head.weight", 1e9],
])("%s with a %d is refused by name", async (tensor, value) => {
  const dir = join(temporary, tensor);
  copyAltered(folder, dir, tensor, (elements) => {
    elements[7] = value;
  });
  await expect(loadModel(dir, { ...Q8, tokenizer: false })).rejects.toMatchObject({
    ...{ code: "ERR_MODEL_INVALID", option: "quantize" },
    message: expect.stringMatching(new RegExp(`^${tensor} cannot be quantized: `)),
  });
});

test("progress is told of files and then of tensors, up to all", async () => {
  const told: [number, number][] = [];
  await withModel(folder, { ...Q8, onProgress: (done, total) => told.push([done, total]) }, async () => {});
  const [, all] = told[0]!;
  expect(new Set(told.map(([, total]) => total))).toEqual(new Set([all]));
  expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).toSorted((a, b) => a - b));
  expect(told[0]![0]).toBe(all / 2);
  expect(told.at(-1)![0]).toBe(all);
  expect(told.length).toBeGreaterThan(2 * 7); // the products of two layers
});

test("a signal ends the load while weights are quantized", async () => {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await expect(
    loadModel(folder, { ...Q8, tokenizer: false, onProgress, signal: controller.signal }),
  ).rejects.toMatchObject({ code: "ERR_ABORTED" });
});
