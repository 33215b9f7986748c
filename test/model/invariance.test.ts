// The same bits whatever the threads, the chunks of the prompt, the batch, the instruction set, the ops that are fused and the way weights are
// read: logits, and what is sampled after them (docs/numerics.md).
import { FUSIONS, type Fusion } from "#quipu/device/fusions.js";
import type { Row, Runtime, SampledToken } from "#quipu/model/runtime.js";
import { TARGETS, THREADS } from "../kernels/run-op.js";
import { testWhere } from "../where.js";
import { loadTiny, smollm2Folder } from "./reference.js";
import { begin, type RuntimeOptions, rows, someIds, tokenOf, withRuntime } from "./run-model.js";

const PROMPT = 150; // more than two key pages
const TOKENS = 12;
const SETTINGS = {
  ...{ temperature: 1.3, topK: 40, topP: 0.95, minP: 0.01, seed: 7 },
  ...{ repeatPenalty: 1.2, presencePenalty: 0.1, frequencyPenalty: 0.1, logitBias: new Map([[5, 0.5]]) },
};

const bitsOf = (data: Float32Array) => new Uint32Array(data.buffer, data.byteOffset, data.length);

/** What a model says: bits of the logits at every position of a prompt, and what it samples next. */
interface Said {
  readonly logits: Uint32Array;
  readonly sampled: readonly SampledToken[];
}

/** The prompt in chunks of `chunk` rows with all logits, then again without them, and tokens that are decoded one by one. */
async function say(runtime: Runtime, ids: Int32Array, chunk: number, slot = 0): Promise<Said> {
  const prompt = rows(ids, slot);
  const { vocabSize } = runtime.config;
  const logits = new Float32Array(ids.length * vocabSize);
  const chunks = Array.from({ length: Math.ceil(ids.length / chunk) }, (_, i) =>
    prompt.slice(i * chunk, (i + 1) * chunk),
  );
  await begin(runtime, slot, ids, SETTINGS);
  for (const [i, part] of chunks.entries()) {
    const rowsBefore = i * chunk;
    const own = logits.subarray(rowsBefore * vocabSize, (rowsBefore + part.length) * vocabSize);
    await runtime.logits(part, [...part.keys()], own);
  }
  const last = chunks.pop()!;
  for (const part of chunks) await runtime.fill(part);
  const steps = [runtime.sample(last, [last.length - 1], [3])];
  for (let i = 1; i < TOKENS; i++) steps.push(runtime.sample([{ slot }], [0], [3])); // before it is known what goes in
  const sampled = (await Promise.all(steps)).map(({ sampled: [row] }) => tokenOf(row));
  return { logits: bitsOf(logits), sampled };
}

/** {@link say} for a sequence in slot 2 that shares every step with three others, of other lengths and settings. */
async function sayInBatch(runtime: Runtime, ids: Int32Array): Promise<Said> {
  const { vocabSize } = runtime.config;
  const others = [ids.length - 70, ids.length - 1, ids.length - 30];
  const all = others.map((length, i) => someIds(length, vocabSize, 100 + i));
  all.splice(2, 0, ids);
  const batch = all.flatMap((sequence, slot) => rows(sequence, slot));
  const at = batch.findIndex(({ slot }) => slot === 2);
  for (const [slot, sequence] of all.entries()) {
    await begin(runtime, slot, sequence, { ...SETTINGS, ...(slot === 2 ? {} : { seed: slot, temperature: 0 }) });
  }
  const logits = new Float32Array(batch.length * vocabSize);
  await runtime.logits(batch, [...batch.keys()], logits);
  const sampled: SampledToken[] = [];
  let step: Row[] = batch;
  for (let i = 0; i < TOKENS; i++) {
    const last = all.map((_, slot) => step.findLastIndex((row) => row.slot === slot));
    const tokens = (
      await runtime.sample(
        step,
        last,
        last.map(() => 3),
      )
    ).sampled.map(tokenOf);
    sampled.push(tokens[2]!);
    // What the slots' last steps have sampled, or the same as ids: one way as the other.
    step = tokens.map(({ id }, slot) => (i % 2 === 0 ? { slot } : { id, slot, position: all[slot]!.length + i }));
  }
  return { logits: bitsOf(logits).slice(at * vocabSize, (at + ids.length) * vocabSize), sampled };
}

/** Where two answers differ first; nothing where they are the same to the bit. */
function difference(a: Said, b: Said): string | undefined {
  const at = a.logits.findIndex((bits, i) => bits !== b.logits[i]);
  if (at >= 0 || a.logits.length !== b.logits.length) return `logit ${at}`;
  const token = a.sampled.findIndex((sampled, i) => JSON.stringify(sampled) !== JSON.stringify(b.sampled[i]));
  return token >= 0 ? `token ${token}` : undefined;
}

interface Variation extends RuntimeOptions {
  readonly chunk?: number;
  readonly batch?: boolean;
}

const VARIATIONS: Record<string, Variation> = {
  ...Object.fromEntries(THREADS.map((threads) => [`${threads} threads`, { threads }])),
  ...Object.fromEntries([1, 7, 64].map((chunk) => [`chunks of ${chunk}`, { chunk }])),
  ...Object.fromEntries(TARGETS.map((target) => [`${target} kernels`, { target }])),
  ...Object.fromEntries(
    TARGETS.map((target) => [`${target} kernels, chunks of 7, 3 threads`, { target, chunk: 7, threads: 3 }]),
  ),
  "a batch of four": { batch: true },
  "nothing fused": { fusions: [] },
  "nothing fused, chunks of 7": { fusions: [], chunk: 7 },
  "nothing fused, a batch of four": { fusions: [], batch: true },
  ...Object.fromEntries(FUSIONS.map((fusion) => [`only ${fusion}`, { fusions: [fusion] }])),
  "weights that are read, not mapped": { mmap: false },
};

/** Compares every variation of a checkpoint with the prompt in one chunk on two threads. */
async function expectSame(dir: string, common: RuntimeOptions, variations: Record<string, Variation>) {
  const run = ({ chunk = PROMPT, batch = false, ...options }: Variation) =>
    withRuntime(dir, { ...common, slots: batch ? 4 : 1, contextLength: 256, ...options }, (runtime) => {
      const ids = someIds(PROMPT, runtime.config.vocabSize);
      return batch ? sayInBatch(runtime, ids) : say(runtime, ids, chunk);
    });
  const plain = await run({});
  expect(new Set(plain.sampled.map(({ id }) => id)).size).toBeGreaterThan(TOKENS / 3); // it has something to say
  const differences: Record<string, string | undefined> = {};
  for (const [name, variation] of Object.entries(variations)) {
    differences[name] = difference(plain, await run(variation));
  }
  expect(differences).toEqual(Object.fromEntries(Object.keys(variations).map((name) => [name, undefined])));
}

describe.each(["gqa-f32", "llama3-rope-sharded-bf16", "mha-f16"])("tiny checkpoint %s", (name) => {
  test.each(["f32", "f16", "int8"] as const)("with a cache of %s", (kvCache) =>
    expectSame(loadTiny(name).folder, { kvCache }, VARIATIONS),
  );

  test.each(["q8", "q4"] as const)("with weights of %s", (quantize) =>
    expectSame(loadTiny(name).folder, { quantize }, VARIATIONS),
  );
});

const anySmollm2 = smollm2Folder();
testWhere(anySmollm2 !== undefined, "SmolLM2, fused or not: build/models/smollm2 is not there")(
  "SmolLM2, fused or not",
  async () => {
    const run = (fusions: readonly Fusion[]) =>
      withRuntime(anySmollm2!, { kvCache: "f16", contextLength: 128, fusions }, async (runtime) => {
        const ids = someIds(70, runtime.config.vocabSize);
        return say(runtime, ids, 65); // panels, then tiles, then one row
      });
    const plain = await run([]);
    for (const fusions of [FUSIONS, ...FUSIONS.map((fusion) => [fusion])]) {
      expect([fusions, difference(plain, await run(fusions))]).toEqual([fusions, undefined]);
    }
  },
);

const smollm2 = process.env.QUIPU_EXHAUSTIVE ? anySmollm2 : undefined;
testWhere(smollm2 !== undefined, "invariance with SmolLM2: it takes a minute, and $QUIPU_EXHAUSTIVE asks for it")(
  "SmolLM2",
  () => {
    const some = ["1 threads", "3 threads", "chunks of 7", "a batch of four", "nothing fused"]; // the scalar kernels would take minutes
    return expectSame(smollm2!, { kvCache: "f16" }, Object.fromEntries(some.map((name) => [name, VARIATIONS[name]!])));
  },
  300_000,
);
