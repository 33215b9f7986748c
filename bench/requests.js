// Requests at once: tokens/s of 1, 2, 4 and 8 that are generated together, in turn, and how long the device has nothing to do
// between two steps, of one and of 8. QUIPU_BENCH_MODEL names another folder.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "../dist/index.js";
import { markdown, median, ROOT } from "./measure.js";

const ROUNDS = 5;
const AT_ONCE = [1, 2, 4, 8];
/** The model's figure of idle time is that of some seconds, so it is read after as many. */
const IDLE_MS = 4000;
const SMOLLM2 = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");

/** Tokens a second from the first token of any request to the last of all. */
async function rate(model, requests, maxTokens) {
  const times = [];
  const one = async (seed) => {
    const ids = Int32Array.from({ length: 16 }, (_, i) => 300 + ((i * 37 + seed * 11) % 700));
    const options = { maxTokens, seed, temperature: 1, ignoreEos: true, promptCache: false };
    for await (const { type } of model.generate(ids, options)) if (type === "token") times.push(performance.now());
  };
  await Promise.all(Array.from({ length: requests }, (_, seed) => one(seed)));
  return (1000 * (times.length - requests)) / (Math.max(...times) - Math.min(...times));
}

async function idle(model, requests, maxTokens) {
  for (const end = performance.now() + IDLE_MS; performance.now() < end; ) await rate(model, requests, maxTokens);
  return `${(100 * model.stats().idleShare).toFixed(1)} %`;
}

async function row(name, dir, maxTokens) {
  const model = await loadModel(dir, { contextLength: 512 });
  try {
    for (const requests of AT_ONCE) await rate(model, requests, maxTokens);
    const rates = AT_ONCE.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, requests] of AT_ONCE.entries()) rates[i].push(await rate(model, requests, maxTokens));
    }
    const cells = rates.map(
      (values) => `${median(values).toFixed(0)}, ${(median(values) / median(rates[0])).toFixed(2)} ×`,
    );
    return [name, ...cells, await idle(model, 1, maxTokens), await idle(model, 8, maxTokens)];
  } finally {
    await model.dispose();
  }
}

export async function measure() {
  const rows = [await row("storyteller", undefined, 200)];
  if (existsSync(join(SMOLLM2, "config.json"))) rows.push(await row("SmolLM2", SMOLLM2, 32));
  return markdown(["tokens/s, of one", ...AT_ONCE.map((requests) => `${requests}`), "device idle, 1", "8"], rows);
}
