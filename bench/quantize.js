// Weights as they are beside those that are quantized at load: milliseconds of a decode step and of a prompt, in turn, GB/s of
// weights, bits a weight, and how far the distributions of the next token are apart (mean KL divergence in nats, over the
// first tokens of three texts). QUIPU_BENCH_MODEL names another folder than SmolLM2's; the texts are ../shared/data/validation and a file
// of this tree.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "../dist/index.js";
import { compare, textsOf } from "./divergence.js";
import { markdown, median, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const FORMATS = ["none", "q8", "q4"];
const [ROUNDS, DECODED, PROMPT, SCORED] = [8, 24, 512, 2048];

const idsFor = (length) => Int32Array.from({ length }, (_, i) => 300 + ((i * 37) % 700));

/** Milliseconds of a decode step behind 16 tokens, and of a prompt. */
async function speed(model) {
  const common = { temperature: 0, ignoreEos: true, promptCache: false };
  const times = [];
  for await (const { type } of model.generate(idsFor(16), { ...common, maxTokens: DECODED }))
    if (type === "token") times.push(performance.now());
  let prompt = 0;
  for await (const event of model.generate(idsFor(PROMPT), { ...common, maxTokens: 1 }))
    if (event.type === "end") prompt = event.timings.promptMs;
  return [(times.at(-1) - times[0]) / (times.length - 1), prompt];
}

async function speeds(threads) {
  const options = { threads, contextLength: 1024, tokenizer: false };
  const models = await Promise.all(FORMATS.map((quantize) => loadModel(MODEL, { ...options, quantize })));
  const rounds = models.map(() => []);
  for (let i = 0; i < ROUNDS; i++) for (const [k, model] of models.entries()) rounds[k].push(await speed(model));
  const rows = models.map((model, k) => {
    const [step, prompt] = [0, 1].map((which) => median(rounds[k].map((round) => round[which])));
    const { weightBytes, weightBytesPerToken, parameters, target } = model.stats();
    const cells = [step.toFixed(2), (weightBytesPerToken / step / 1e6).toFixed(1), prompt.toFixed(0)];
    return [`${FORMATS[k]}, ${target}, ${threads}`, ((8 * weightBytes) / parameters).toFixed(2), ...cells];
  });
  for (const model of models) await model.dispose();
  return rows;
}

async function divergences() {
  const models = await Promise.all(FORMATS.map((quantize) => loadModel(MODEL, { quantize, contextLength: SCORED })));
  const rows = [];
  for (const [name, text] of Object.entries(textsOf())) {
    const ids = models[0].tokenizer.encode(text.slice(0, 20_000)).slice(0, SCORED);
    const logits = [];
    for (const model of models) logits.push(await model.logits(ids));
    for (const [k, other] of logits.slice(1).entries()) {
      const [divergence, plain, quantized] = compare(ids, Float64Array.from(logits[0]), Float64Array.from(other));
      rows.push([`${name}, ${FORMATS[k + 1]}`, ...[divergence.toFixed(4), plain.toFixed(2), quantized.toFixed(2)]]);
    }
  }
  for (const model of models) await model.dispose();
  return rows;
}

export async function measure() {
  if (!existsSync(join(MODEL, "config.json"))) return `left out: ${MODEL} is not there (scripts/make-smollm2.sh)\n`;
  const tables = [
    markdown(
      ["weights, target, threads", "bits a weight", "decode, ms", "GB/s", "prompt of 512, ms"],
      [...(await speeds(1)), ...(await speeds(2))],
    ),
    markdown(["text", "KL, nats", "perplexity as it is", "quantized"], await divergences()),
  ];
  return tables.join("\n");
}
