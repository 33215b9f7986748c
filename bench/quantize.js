// Weights as they are beside those that are quantized at load: milliseconds of a decode step and of a prompt, in turn, GB/s of
// weights, bits a weight, and how far the distributions of the next token are apart (mean KL divergence in nats, over the
// first tokens of three texts). QUIPU_BENCH_MODEL names another folder than SmolLM2's; the texts are ../shared/data/validation and a file
// of this tree.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { loadModel } from "../dist/index.js";
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

function textsOf() {
  const folder = join(ROOT, "../shared/data/validation");
  const code = { "a file of this tree": readFileSync(join(ROOT, "src/generate/scheduler.ts"), "utf8") };
  if (!existsSync(folder)) return code;
  const documents = (file) =>
    gunzipSync(readFileSync(join(folder, file)))
      .toString()
      .split("\n")
      .filter(Boolean)
      .slice(0, 200)
      .map((line) => JSON.parse(line).text)
      .join("\n");
  return {
    "validation/gutenberg": documents("gutenberg_children_00.jsonl.gz"),
    "validation/flores": documents("flores.jsonl.gz"),
    ...code,
  };
}

/** Log-probabilities of a row of logits, in place. */
function normalize(logits) {
  let most = Number.NEGATIVE_INFINITY;
  for (const x of logits) if (x > most) most = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  const log = most + Math.log(sum);
  for (let i = 0; i < logits.length; i++) logits[i] -= log;
}

/** KL(plain ‖ quantized) and both perplexities, over one text. */
function compare(ids, plain, quantized) {
  const width = plain.length / ids.length;
  let divergence = 0;
  const losses = [0, 0];
  for (let t = 0; t < ids.length; t++) {
    const [p, q] = [plain, quantized].map((all) => all.subarray(t * width, (t + 1) * width));
    normalize(p);
    normalize(q);
    for (let i = 0; i < width; i++) divergence += Math.exp(p[i]) * (p[i] - q[i]);
    if (t + 1 < ids.length) for (const [k, x] of [p, q].entries()) losses[k] -= x[ids[t + 1]];
  }
  return [divergence / ids.length, ...losses.map((loss) => Math.exp(loss / (ids.length - 1)))];
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
