// How large the cache of a GPU is: of what weights and steps leave.
import { fillShape, type Measure, type ShapeOptions } from "#quipu/generate/shape.js";
import { parseConfig } from "#quipu/model/config.js";
import { bytesPerPosition, wholePages } from "#quipu/model/kv-cache.js";

const MIB = 2 ** 20;
const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 1024, hidden_size: 512, intermediate_size: 1024, num_hidden_layers: 4 },
  ...{ num_attention_heads: 8, num_key_value_heads: 4, max_position_embeddings: 32_768, tie_word_embeddings: true },
});
const perPosition = bytesPerPosition(config, "f16");
const WEIGHTS = 100 * MIB;
/** Steps take 5 MiB, and a KiB for each position of the context. */
const besideOf = (context: number) => WEIGHTS + 5 * MIB + 1024 * context;
const measure: Measure = ({ contextLength, cacheTokens, slots }) => {
  const cacheBytes = wholePages(cacheTokens) * perPosition + 4 * slots * Math.ceil(contextLength / 64);
  return { cacheBytes, totalBytes: cacheBytes + besideOf(contextLength) };
};
const shapeWith = (free: number, options: ShapeOptions) => fillShape(config, options, free, measure);
const leftOf = (free: number, context: number) => 0.9 * (free - besideOf(context));

test("one slot: the longest context whose cache is nine tenths of what is left", () => {
  const free = 200 * MIB;
  const { contextLength, cacheTokens } = shapeWith(free, { slots: 1 });
  expect(cacheTokens).toBe(contextLength);
  const cacheOf = (context: number) => measure(shapeOfOne(context)).cacheBytes;
  const shapeOfOne = (context: number) => ({
    ...shapeWith(free, { slots: 1, contextLength: 64 }),
    contextLength: context,
    cacheTokens: context,
  });
  expect(cacheOf(contextLength)).toBeLessThanOrEqual(leftOf(free, contextLength));
  expect(cacheOf(contextLength + 64)).toBeGreaterThan(leftOf(free, contextLength + 64));
});

test("several slots share it: as many whole pages as are left, and no more than a context for each", () => {
  const free = 200 * MIB;
  const shared = shapeWith(free, { slots: 8, contextLength: 4096 });
  expect(shared.cacheTokens % 64).toBe(0);
  expect(shared.cacheTokens).toBeGreaterThan(4096);
  expect(measure(shared).cacheBytes).toBeLessThanOrEqual(leftOf(free, 4096));
  expect(measure({ ...shared, cacheTokens: shared.cacheTokens + 64 }).cacheBytes).toBeGreaterThan(leftOf(free, 4096));
  expect(shapeWith(free, { slots: 2, contextLength: 100 })).toMatchObject({ contextLength: 100, cacheTokens: 256 });
});

test("what is asked for is taken, whether it fits or not", () => {
  expect(shapeWith(MIB, { contextLength: 4096, slots: 2 })).toMatchObject({ contextLength: 4096, cacheTokens: 4096 });
  expect(shapeWith(200 * MIB, { cacheTokens: 1000, slots: 2 })).toMatchObject({
    contextLength: 1000,
    cacheTokens: 1000,
  });
  expect(shapeWith(MIB, { cacheTokens: 1000, contextLength: 500 })).toMatchObject({
    contextLength: 500,
    cacheTokens: 1000,
  });
});

test("where nothing fits, a page: the load says then that it does not", () => {
  expect(shapeWith(MIB, { slots: 4 })).toMatchObject({ contextLength: 64, cacheTokens: 64 });
});

test("all that the model supports, where there is room", () => {
  expect(shapeWith(2 ** 40, { slots: 3 })).toMatchObject({ contextLength: 32_768, cacheTokens: 3 * 32_768 });
});
