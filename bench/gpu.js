// A GPU: whether what it computes is right, and how fast. One command for a machine that has one, offline: `npm install`, `npm run build:cuda`,
// `node scripts/build-reference.js`, then `node bench/run.js gpu`. Prints Markdown; docs/cuda.md has what it printed.
//
//   QUIPU_BENCH_DEVICE=cuda:1     another GPU; cpu tries the script itself
//   QUIPU_BENCH_SHAPES=1b,8b      shapes to time, of random weights that are made for it; default 1b (2.5 GB); 8b is 16 GB, which take minutes to make
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCheckpoint } from "./make-checkpoint.js";
import { median, output, ROOT } from "./measure.js";
import { library, openRuntime } from "./runtime.js";

const DEVICE = process.env.QUIPU_BENCH_DEVICE ?? "cuda";
const SHAPES = {
  "1b": {},
  "8b": { layers: 32, hidden: 4096, heads: 32, kvHeads: 8, ffn: 14_336, vocab: 128_256, tied: false },
};
const TINY = join(ROOT, "test", "reference", "tiny");
/** Largest difference of logits, as a share of the greatest: sums of f32, activations of f16 (docs/numerics.md). */
const BOUNDS = { f32: 1e-5, bf16: 0.005, f16: 0.005, packed: 0.005 };
const SAMPLES = 5;

async function logitsOf(folder, device, quantize) {
  const { loadModel } = await library("index.js");
  const model = await loadModel(folder, { device, quantize, tokenizer: false, kvCache: "f32", cache: false });
  const ids = Int32Array.from({ length: 70 }, (_, i) => (i * 37 + 11) % 90);
  const logits = await model.logits(ids);
  await model.dispose();
  return logits;
}

/** The greatest difference over the greatest logit; NaN where one is none. */
function difference(logits, expected) {
  let [worst, greatest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(logits[i] - expected[i]));
    greatest = Math.max(greatest, Math.abs(expected[i]));
  }
  return worst / greatest;
}

/** Rows of a table: the tiny checkpoints' logits beside the CPU's, and packed weights as the CPU counts them. */
async function checkModels() {
  const rows = [];
  for (const name of readdirSync(TINY).filter((each) => existsSync(join(TINY, each, "config.json")))) {
    const stored = name.split("-").at(-1);
    for (const quantize of ["none", "q8", "q4"]) {
      const folder = join(TINY, name);
      // Beside the unquantized CPU the packed weights' own error would be seen: the reference device has them, and f64.
      const expected = await referenceLogits(folder, quantize);
      const is = difference(await logitsOf(folder, DEVICE, quantize), expected);
      const bound = quantize === "none" ? BOUNDS[stored] : BOUNDS.packed;
      rows.push(`| ${name} | ${quantize} | ${is.toExponential(1)} | ${is <= bound ? "yes" : `**no**, ${bound}`} |`);
    }
  }
  return ["| checkpoint | weights | difference | within its bound |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

async function referenceLogits(folder, quantize) {
  const { device, config, runtime } = await openRuntime(folder, {
    ...{ device: "reference", slots: 1, depth: 1, contextLength: 128, quantize, kvCache: "f32" },
  });
  const rows = Array.from({ length: 70 }, (_, position) => ({ id: (position * 37 + 11) % 90, slot: 0, position }));
  const logits = new Float32Array(rows.length * config.vocabSize);
  await runtime.logits(rows, [...rows.keys()], logits);
  runtime.dispose();
  await device.dispose();
  return logits;
}

async function checkText() {
  const { loadModel } = await library("index.js");
  const lines = [];
  for (const kvCache of ["f32", "f16", "int8"]) {
    const texts = [];
    for (const device of ["cpu", DEVICE]) {
      const model = await loadModel(undefined, { device, kvCache });
      let text = "";
      const options = { maxTokens: 200, temperature: 0 };
      for await (const event of model.generate("Once upon a time", options)) {
        if (event.type === "token") text += event.text;
      }
      texts.push(text);
      await model.dispose();
    }
    lines.push(`${kvCache} cache: ${texts[0] === texts[1] ? "the CPU's text" : "**another text than the CPU's**"}`);
  }
  return `The storyteller's 200 greedy tokens, ${lines.join("; ")}.`;
}

/** Milliseconds of a step that decodes a token in each of `count` slots: the median of SAMPLES runs of 32, queued as the scheduler queues them. */
async function stepMs(runtime, count) {
  const rows = Array.from({ length: count }, (_, slot) => ({ slot }));
  const [wanted, bests] = [[...rows.keys()], rows.map(() => 0)];
  const steps = (number) => Promise.all(Array.from({ length: number }, () => runtime.sample(rows, wanted, bests)));
  await steps(8);
  const samples = [];
  for (let i = 0; i < SAMPLES; i++) {
    const start = performance.now();
    await steps(32);
    samples.push((performance.now() - start) / 32);
  }
  return median(samples);
}

async function timeShape(folder, name, quantize) {
  const { device, loaded, runtime } = await openRuntime(folder, {
    ...{ device: DEVICE, slots: 16, depth: 128, contextLength: 1024, quantize, cache: true },
  });
  const cells = [];
  for (const count of [1, 8, 16]) {
    // A slot's first row names its id and position; those of later steps follow it on the device.
    const first = Array.from({ length: count }, (_, slot) => ({ id: 400 + slot, slot, position: 128 }));
    await runtime.sample(
      first,
      [...first.keys()],
      first.map(() => 0),
    );
    const ms = await stepMs(runtime, count);
    cells.push(`${((1000 * count) / ms).toFixed(0)}`);
    if (count === 1)
      cells.unshift(`${(loaded.bytesPerToken / 1e9).toFixed(2)}`, `${(loaded.bytesPerToken / ms / 1e6).toFixed(0)}`);
  }
  const prompt = Array.from({ length: 512 }, (_, position) => ({ id: 300 + position, slot: 0, position }));
  const times = [];
  for (let i = 0; i < SAMPLES; i++) {
    const start = performance.now();
    await runtime.fill(prompt);
    times.push(performance.now() - start);
  }
  runtime.dispose();
  await device.dispose();
  return `| ${name} | ${quantize} | ${cells.join(" | ")} | ${((1000 * 512) / median(times)).toFixed(0)} |`;
}

async function timeShapes() {
  const rows = [];
  for (const name of (process.env.QUIPU_BENCH_SHAPES ?? "1b").split(",")) {
    const folder = mkdtempSync(join(tmpdir(), "quipu-gpu-"));
    try {
      makeCheckpoint(folder, SHAPES[name]);
      for (const quantize of ["none", "q8", "q4"]) rows.push(await timeShape(folder, name, quantize));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  return [
    "| shape | weights | GB a token | GB/s | tokens/s, 1 sequence | 8 | 16 | prompt of 512, tokens/s |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** memcheck and racecheck over the first tiny checkpoints, where the toolkit's checker is there. */
function sanitize() {
  const program = `
    const { loadModel } = await import(${JSON.stringify(join(ROOT, "dist", "index.js"))});
    for (const quantize of ["none", "q8", "q4"]) {
      const model = await loadModel(${JSON.stringify(join(TINY, "mqa-tied-bf16"))}, { device: "${DEVICE}", quantize, tokenizer: false });
      await model.logits(Int32Array.from({ length: 40 }, (_, i) => i));
      await model.dispose();
    }`;
  return ["memcheck", "racecheck", "synccheck", "initcheck"]
    .map((tool) => {
      const args = ["--tool", tool, process.execPath, "--input-type=module", "-e", program];
      const { stdout, error } = spawnSync("compute-sanitizer", args, { encoding: "utf8", cwd: ROOT });
      if (error !== undefined) return `${tool}: not run (compute-sanitizer is not here)`;
      return `${tool}: ${/=+ ((?:ERROR|RACECHECK) SUMMARY: .*)/.exec(stdout)?.[1] ?? "no summary"}`;
    })
    .map((line) => `- ${line}`)
    .join("\n");
}

/** Prints each part as it is there: who stops it keeps what was measured. */
export async function measure() {
  const { describeGpus } = await library("index.js");
  const { gpus, driver, problem } = describeGpus();
  const which =
    problem ?? `${gpus.map(({ name, capability }) => `${name} (${capability})`).join(", ")}, driver for CUDA ${driver}`;
  const version = output(process.execPath, [join(ROOT, "bin", "quipu.js"), "--version"]).trim();
  console.log(`${DEVICE}: ${which}; quipu ${version}\n`);
  for (const part of [checkModels, checkText, timeShapes, sanitize]) console.log(`${await part()}\n`);
  return "";
}
