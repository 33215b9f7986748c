// What would fit: found by planning, for budgets that no test machine needs to have.
import { QuipuError } from "#quipu/errors.js";
import { type Budget, whatFits, withFitting } from "#quipu/generate/fitting.js";
import { type MemoryOptions, planLoad } from "#quipu/generate/load-memory.js";
import { largestContext } from "#quipu/generate/shape.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";

const GIB = 2 ** 30;
/** The shape of Llama 3.2 1B, in bf16: no file is needed. */
const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 128_256, hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16 },
  ...{ num_attention_heads: 32, num_key_value_heads: 8, max_position_embeddings: 131_072, tie_word_embeddings: true },
});
const tensors = new Map(
  expectedTensors(config).map(({ name, shape }) => {
    const bytes = 2 * shape.reduce((a, b) => a * b, 1);
    return [name, { name, shape, dtype: "BF16", bytes, offset: 0, file: 0, fileName: "model.safetensors" }];
  }),
);
const found = { tensors, head: "tied" } as const;
const fileBytes = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
const headers = { config, found, fileBytes };
const one = { slots: 1, threads: 1 } as const;

const NO_LIMIT: Budget = { memory: 1024 * GIB, addressSpace: Number.POSITIVE_INFINITY };
const bytesOf = (options: MemoryOptions) => planLoad(config, found, { ...one, ...options }, NO_LIMIT.memory).totalBytes;

test("a shape of a published model takes what it is known to take", () => {
  const load = planLoad(config, found, one, NO_LIMIT.memory);
  expect(load.weights).toMatchObject({ parameters: 1_235_814_400, bytes: 2_471_628_800, bytesPerToken: 2_471_628_800 });
  expect(load.cacheBytes).toBe(131_072 * 32_768 + 4 * 2048); // pages, and their table
});

describe("the largest context", () => {
  test("is the last whole page with which all fits, or all there is", () => {
    const bytesAt = (context: number) => 1000 + 10 * Math.ceil(context / 64) * 64;
    for (const pages of [1, 2, 3, 7, 100, 1563]) {
      const budget = bytesAt(64 * pages);
      expect(largestContext(bytesAt, 100_000, budget)).toBe(Math.min(64 * pages, 100_000));
      expect(largestContext(bytesAt, 100_000, budget - 1)).toBe(64 * (pages - 1));
    }
    expect(largestContext(bytesAt, 70, bytesAt(128))).toBe(70);
    expect(largestContext(() => 5, 70, 4)).toBe(0);
  });

  test("is found in a few steps, also where memory comes in steps", () => {
    let asked = 0;
    const bytesAt = (context: number) => {
      asked += 1;
      return 1e6 * Math.ceil(context / 5000) + 32_768 * context;
    };
    const budget = 1e9;
    const most = largestContext(bytesAt, 131_072, budget);
    expect(asked).toBeLessThan(20);
    expect(bytesAt(most)).toBeLessThanOrEqual(budget);
    expect(bytesAt(most + 64)).toBeGreaterThan(budget);
  });
});

describe("what would fit", () => {
  const fitting = (options: Parameters<typeof whatFits>[1], budget: Partial<Budget>) =>
    whatFits(headers, { ...one, ...options }, { ...NO_LIMIT, ...budget });

  test("where memory has no room for a cache: fewer positions, and smaller ones", () => {
    const options = { contextLength: 131_072, kvCache: "f32" } as const;
    const memory = 6 * GIB;
    const said = fitting(options, { memory });
    expect(said).toEqual({ contextLength: expect.any(Number), kvCache: "f16" });
    const cacheOf = (contextLength: number) =>
      bytesOf({ ...options, contextLength, cacheTokens: contextLength }) - fileBytes; // mapped weights need no memory
    const most = said.contextLength as number;
    expect(cacheOf(most)).toBeLessThanOrEqual(0.9 * memory);
    expect(cacheOf(most + 64)).toBeGreaterThan(0.9 * memory);
  });

  test("where address space has none for packed weights beside the files: the files alone", () => {
    const said = fitting({ contextLength: 2048, quantize: "q8" }, { addressSpace: 3.75 * GIB });
    expect(said).toEqual({ quantize: "q4" });
    expect(fitting({ contextLength: 2048, quantize: "q8" }, { addressSpace: 3.2 * GIB })).toEqual({ quantize: "none" });
  });

  test("where files are to be read whole: mapped ones need not fit", () => {
    expect(fitting({ contextLength: 2048, mmap: false }, { memory: GIB })).toEqual({ mmap: true });
  });

  test("where a cache of all requests is too large: a smaller one, and fewer requests", () => {
    const said = fitting({ contextLength: 8192, cacheTokens: 131_072, slots: 8 }, { memory: 4 * GIB });
    expect(said).toMatchObject({ cacheTokens: expect.any(Number), kvCache: "int8" });
    expect(said).not.toHaveProperty("contextLength");
  });

  test("where all of it should have fitted: what takes less", () => {
    const said = fitting({ contextLength: 4096 }, {});
    expect(said).toMatchObject({ contextLength: expect.any(Number), kvCache: "int8" });
    expect(said.contextLength).toBeLessThan(4096);
  });

  test("nothing, where not even the weights have room", () => {
    expect(fitting({}, { addressSpace: GIB })).toEqual({});
  });
});

describe("an error of memory", () => {
  const refused = new QuipuError("ERR_OUT_OF_MEMORY", "the system refused 7 bytes of memory");

  test("says what would fit, once", () => {
    const told = withFitting(refused, () => ({ contextLength: 640, kvCache: "int8" }));
    expect(told).toMatchObject({
      code: "ERR_OUT_OF_MEMORY",
      message: "the system refused 7 bytes of memory. What fits: contextLength 640, or kvCache int8.",
      fitting: { contextLength: 640, kvCache: "int8" },
      option: "contextLength",
      cause: refused,
    });
    expect(withFitting(told, () => ({ slots: 1 }))).toBe(told);
  });

  test("says where nothing would, and names no option then", () => {
    const told = withFitting(refused, () => ({})) as QuipuError;
    expect(told.message).toBe("the system refused 7 bytes of memory. No option by itself makes it fit.");
    expect(told.option).toBeUndefined();
    expect(told.fitting).toBeUndefined();
  });

  test("others are left alone", () => {
    const other = new QuipuError("ERR_ABORTED", "x");
    expect(withFitting(other, () => ({ slots: 1 }))).toBe(other);
    const foreign = new RangeError("x");
    expect(withFitting(foreign, () => ({ slots: 1 }))).toBe(foreign);
  });
});
