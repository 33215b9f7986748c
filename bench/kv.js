// Types of the KV cache: how far f16 and int8 move SmolLM2's distributions of the next token from those of f32 (mean KL divergence in
// nats, perplexity, over the first tokens of three texts), bytes a position, and milliseconds of processor time (what neighbours take
// is not counted) of a decode step far into a context on one thread, in turn. QUIPU_BENCH_MODEL names another folder than SmolLM2's, QUIPU_BENCH_DIST another build's dist.
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { compare, textsOf } from "./divergence.js";
import { markdown, median, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const DIST = process.env.QUIPU_BENCH_DIST ?? join(ROOT, "dist");
const TYPES = ["f32", "f16", "int8"];
const [SCORED, DEPTHS, DECODED, ROUNDS] = [2048, [512, 4096], 24, 7];

const { loadModel } = await import(pathToFileURL(join(DIST, "index.js")).href);

async function divergences() {
  const rows = [];
  const models = await Promise.all(
    TYPES.map((kvCache) => loadModel(MODEL, { kvCache, contextLength: SCORED, onWarning: () => {} })),
  );
  const bytes = models.map((model) => model.stats().cacheBytesPerPosition);
  for (const [name, text] of Object.entries(textsOf())) {
    const ids = models[0].tokenizer.encode(text.slice(0, 40_000)).slice(0, SCORED);
    const plain = await models[0].logits(ids);
    for (const [k, model] of models.entries()) {
      if (k === 0) continue;
      const [divergence, perplexity, other] = compare(
        ids,
        Float64Array.from(plain),
        Float64Array.from(await model.logits(ids)),
      );
      const cells = [divergence.toExponential(1), perplexity.toFixed(3), other.toFixed(3)];
      rows.push([`${name}, ${TYPES[k]}`, ...cells, `${bytes[k]}`]);
    }
  }
  for (const model of models) await model.dispose();
  return rows;
}

/** Milliseconds of a decode step behind `depth` tokens, which the cache has from the first call on. */
async function step(model, depth) {
  const ids = Int32Array.from({ length: depth }, (_, i) => 300 + ((i * 37) % 700));
  const used = [];
  for await (const { type } of model.generate(ids, { temperature: 0, ignoreEos: true, maxTokens: DECODED }))
    if (type === "token") used.push(process.cpuUsage());
  const micros = ({ user, system }) => user + system;
  return (micros(used.at(-1)) - micros(used[0])) / 1e3 / (used.length - 1);
}

async function speeds() {
  const options = { threads: 1, tokenizer: false, contextLength: Math.max(...DEPTHS) + DECODED };
  const models = await Promise.all(TYPES.map((kvCache) => loadModel(MODEL, { ...options, kvCache })));
  const rows = [];
  for (const depth of DEPTHS) {
    const rounds = models.map(() => []);
    for (let i = 0; i < ROUNDS; i++)
      for (const [k, model] of models.entries()) rounds[k].push(await step(model, depth));
    rows.push([`${depth}`, ...rounds.map((times) => median(times).toFixed(2))]);
  }
  for (const model of models) await model.dispose();
  return rows;
}

export async function measure() {
  if (!existsSync(join(MODEL, "config.json"))) return `left out: ${MODEL} is not there (scripts/make-smollm2.sh)\n`;
  const tables = [
    markdown(["text, cache", "KL, nats", "perplexity, f32", "of this type", "bytes a position"], await divergences()),
    markdown(["decode step behind so many, ms", ...TYPES], await speeds()),
  ];
  return tables.join("\n");
}
