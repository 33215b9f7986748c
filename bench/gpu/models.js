// Whole models on a GPU, a row of JSON a line: tiny checkpoints in every format beside float64 (the reference device), and beside the logits that
// transformers has given for them (test/reference); the storyteller's greedy ids beside the CPU's.
//
//   node bench/gpu/models.js <cuda|simt> [small]
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../measure.js";
import { openRuntime } from "../runtime.js";

const [device, size] = process.argv.slice(2);
const small = size === "small";
const TINY = join(ROOT, "test", "reference", "tiny");
const STORYTELLER = join(ROOT, "models", "storyteller");
/** Largest difference at a position, as a share of the greatest logit there: sums of f32, activations of f16 (test/model/cuda.test.ts). */
const BOUNDS = { f32: 1e-5, bf16: 0.006, f16: 0.006, packed: 0.01 };
/** Goldens are of f32 arithmetic, in an order of its own (docs/numerics.md). */
const GOLDEN_BOUNDS = { ...BOUNDS, f32: 1e-4 };
const [ROWS, TOKENS] = small ? [20, 4] : [70, 200];
/** "Once upon a time", and what a story goes on with. */
const PROMPT = [1, 403, 407, 261, 378];

const { loadTiny } = await import("../../build/test/model/reference.js");

function say(row) {
  process.stdout.write(`${JSON.stringify(row)}\n`);
}

/** Logits of all `ids`, [T, V]. */
async function logitsOf(folder, ids, kind, quantize) {
  const { device, config, runtime } = await openRuntime(folder, {
    ...{ device: kind, slots: 1, depth: 1, contextLength: 256, quantize, kvCache: "f32" },
  });
  const rows = Array.from(ids, (id, position) => ({ id, slot: 0, position }));
  const logits = new Float32Array(rows.length * config.vocabSize);
  await runtime.logits(rows, [...rows.keys()], logits);
  runtime.dispose();
  await device.dispose();
  return logits;
}

/** The greatest difference at any position over the greatest logit there; infinite where one is no number. */
function difference(logits, expected, vocabSize) {
  let worst = 0;
  for (let first = 0; first < expected.length; first += vocabSize) {
    let [here, greatest] = [0, 0];
    for (let i = first; i < first + vocabSize; i++) {
      const off = Math.abs(logits[i] - expected[i]);
      here = off <= here ? here : Number.isNaN(off) ? Number.POSITIVE_INFINITY : off;
      greatest = Math.max(greatest, Math.abs(expected[i]));
    }
    worst = Math.max(worst, here / greatest);
  }
  return worst;
}

async function checkTiny(name) {
  const { folder, vocabSize, prompts } = loadTiny(name);
  const stored = name.split("-").at(-1);
  for (const quantize of ["none", "q8", "q4"]) {
    const ids = Int32Array.from({ length: ROWS }, (_, i) => (i * 37 + 11) % vocabSize);
    // Beside the unquantized CPU the packed weights' own error would be seen: the reference device has them, and f64.
    const exact = await logitsOf(folder, ids, "reference", quantize);
    const is = difference(await logitsOf(folder, ids, device, quantize), exact, vocabSize);
    const bound = quantize === "none" ? BOUNDS[stored] : BOUNDS.packed;
    say({ what: name, weights: quantize, beside: "float64", is, bound, ok: is <= bound });
  }
  for (const { name: prompt, ids, positions, relativeError } of small ? prompts.slice(0, 1) : prompts) {
    const logits = await logitsOf(folder, ids, device, "none");
    const rowAt = (position) => logits.subarray(position * vocabSize, (position + 1) * vocabSize);
    const is = Math.max(...positions.map((position) => relativeError(position, rowAt(position))));
    const bound = GOLDEN_BOUNDS[stored];
    say({ what: name, weights: "none", beside: `golden, ${prompt} prompt`, is, bound, ok: is <= bound });
  }
}

async function greedyIds(kind, kvCache) {
  const { device, runtime } = await openRuntime(STORYTELLER, {
    ...{ device: kind, slots: 1, depth: 1, contextLength: 256, kvCache, settings: { temperature: 0 } },
  });
  const prompt = PROMPT.map((id, position) => ({ id, slot: 0, position }));
  const steps = [runtime.sample(prompt, [PROMPT.length - 1], [0])];
  while (steps.length < TOKENS) steps.push(runtime.sample([{ slot: 0 }], [0], [0]));
  const ids = (await Promise.all(steps)).map(({ sampled: [{ id }] }) => id);
  runtime.dispose();
  await device.dispose();
  return ids;
}

async function checkText(kvCache) {
  const [expected, ids] = [await greedyIds("cpu", kvCache), await greedyIds(device, kvCache)];
  const same = ids.findIndex((id, i) => id !== expected[i]);
  const is = same < 0 ? TOKENS : same;
  say({
    what: "storyteller",
    weights: "none",
    beside: `the CPU's greedy ids, ${kvCache} cache`,
    is,
    bound: TOKENS,
    ok: is === TOKENS,
  });
}

const names = readdirSync(TINY).sort();
for (const kvCache of small ? ["f16"] : ["f32", "f16", "int8"]) await checkText(kvCache);
for (const name of small ? ["gqa-f32", "mqa-tied-bf16"] : names) await checkTiny(name);
