// What quantizing costs weights that never were of few bits, beside llama.cpp's formats, with the bits a weight of each: random matrices
// (squared error of products with Gaussian activations, relative), and models (mean KL divergence from themselves in nats, perplexity):
// the storyteller, or what QUIPU_BENCH_MODEL names, one file in bf16 or f32, and stories260K (bench/stories260k.js). Of a text are taken
// the first WINDOWS windows of POSITIONS ids, each begun anew: begin-of-text, and then the text where the window before ended.
// llama.cpp's formats are what its library makes of the weights (bench/reference/ggml_round_trip.py), products with them are f32: what it
// makes of activations is left out. Ours are measured so too ("weights alone"), and as they run. It is installed by `node bench/run.js peers`.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { openDevice } from "../dist/device/device.js";
import { bytesOf } from "../dist/device/tensor.js";
import { compile } from "../dist/graph/program.js";
import { Recorder } from "../dist/graph/recorder.js";
import { loadModel } from "../dist/index.js";
import { formatOf } from "../dist/model/quantization.js";
import { compare, textsAndStories } from "./divergence.js";
import { markdown, ROOT } from "./measure.js";
import { readTensors, writeTensors } from "./safetensors.js";
import { BOS, convertStories260k, FILES, stories260kEncoder } from "./stories260k.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "models/storyteller");
const PYTHON = join(process.env.QUIPU_BENCH_PEERS ?? join(tmpdir(), "quipu-peers"), "venv/bin/python");
/** Bits a weight. */
const GGML = { Q8_0: 8.5, Q6_K: 6.5625, Q4_K: 4.5, Q4_1: 5, Q4_0: 4.5 };
/** Weights of a block of those that models are made of here. */
const GGML_BLOCK = 32;
const SHAPE = [512, 2048];
const [PROBES, WINDOWS, POSITIONS] = [64, 8, 512];

function ggml(type, columns, values) {
  const input = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const script = join(ROOT, "bench/reference/ggml_round_trip.py");
  const run = spawnSync(PYTHON, [script, type, String(columns)], { input, maxBuffer: 2 ** 31 });
  if (run.status !== 0) throw new Error(run.stderr.toString());
  return new Float32Array(
    run.stdout.buffer.slice(run.stdout.byteOffset, run.stdout.byteOffset + run.stdout.byteLength),
  );
}

/** Uniform in (0, 1): mulberry32. */
function uniform(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

const normalOf = (next) => () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());

/** Student's t of four degrees of freedom. */
function heavyOf(next) {
  const normal = normalOf(next);
  return () => normal() / Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2 + normal() ** 2) / 4);
}

/** What a matrix is after packing, as the device that packs it reads it. */
async function packedValues(device, format, shape, values) {
  const [rows, columns] = shape;
  const weight = device.allocate("weight", "f32", shape);
  const packed = device.allocate("packed", format, shape);
  const ids = device.allocate("ids", "i32", [rows], rows);
  const recorder = new Recorder();
  const out = recorder.gatherRows(recorder.quantize(weight, packed), recorder.input(ids));
  recorder.output(out);
  const program = compile(device, recorder.finish());
  const result = new Float32Array(rows * columns);
  const writes = [
    [weight, values],
    [ids, Int32Array.from({ length: rows }, (_, i) => i)],
  ];
  await program.run({ writes, reads: [[program.output(out), result]] });
  program.dispose();
  for (const tensor of [weight, packed, ids]) device.free(tensor);
  return result;
}

/** Σ ((W' − W) x)² / Σ (W x)² over random x. */
function errorOf(values, others) {
  const [rows, columns] = SHAPE;
  const normal = normalOf(uniform(99));
  let [error, size] = [0, 0];
  for (let probe = 0; probe < PROBES; probe++) {
    const x = Float64Array.from({ length: columns }, normal);
    for (let n = 0; n < rows; n++) {
      let [off, sum] = [0, 0];
      for (let k = 0; k < columns; k++) {
        const w = values[n * columns + k];
        sum += w * x[k];
        off += (others[n * columns + k] - w) * x[k];
      }
      error += off * off;
      size += sum * sum;
    }
  }
  return error / size;
}

async function matrices() {
  const device = openDevice({});
  const rows = [];
  for (const [name, draw] of [
    ["Gaussian", normalOf(uniform(1))],
    ["heavy-tailed", heavyOf(uniform(2))],
  ]) {
    const values = Float32Array.from({ length: SHAPE[0] * SHAPE[1] }, () => 0.02 * draw());
    const reference = errorOf(values, ggml("Q4_K", SHAPE[1], values));
    const add = (format, bits, others) => {
      const error = errorOf(values, others);
      rows.push([`${name}, ${format}`, bits.toFixed(2), error.toExponential(3), (error / reference).toFixed(4)]);
    };
    for (const format of ["q8", "q6", "q4"])
      add(
        format,
        (8 * bytesOf(format, SHAPE)) / (SHAPE[0] * SHAPE[1]),
        await packedValues(device, format, SHAPE, values),
      );
    for (const [type, bits] of Object.entries(GGML)) add(`llama.cpp's ${type}`, bits, ggml(type, SHAPE[1], values));
  }
  await device.dispose();
  return rows;
}

const inBlocks = (count) => Math.ceil(count / GGML_BLOCK) * GGML_BLOCK;

/** A matrix as a format makes it, of rows of whole blocks; what is added is zeros. */
function padded(type, [rows, columns], values) {
  const width = inBlocks(columns);
  const wide = new Float32Array(rows * width);
  for (let n = 0; n < rows; n++) wide.set(values.subarray(n * columns, (n + 1) * columns), n * width);
  const [made, out] = [ggml(type, width, wide), new Float32Array(values.length)];
  for (let n = 0; n < rows; n++) out.set(made.subarray(n * width, n * width + columns), n * columns);
  return out;
}

const isOdd = ({ shape }) => shape.length === 2 && shape[1] % GGML_BLOCK !== 0;

/**
 * A checkpoint's tensors with matrices as llama.cpp's format makes them, and the bits a weight. Where rows are no whole blocks it keeps f16;
 * or `widens`: a feed-forward layer of more features, all of them zeros, is the same function, and has whole blocks.
 */
function roundTripped(tensors, type, widens) {
  let [bits, weights] = [0, 0];
  const made = {};
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const count = values.length;
    weights += count;
    if (shape.length < 2) {
      made[name] = { shape, values };
      bits += 32 * count;
    } else if (isOdd({ shape }) && !widens) {
      made[name] = { shape, values: ggml("F16", shape[1], values) };
      bits += 16 * count;
    } else {
      made[name] = { shape, values: padded(type, shape, values) };
      bits += GGML[type] * (widens ? inBlocks(shape[0]) * inBlocks(shape[1]) : count);
    }
  }
  return [made, bits / weights];
}

/** A checkpoint's tensors with matrices as `quantize` makes them; a table that is the head too is as the head is. */
async function packedTensors(tensors, quantize, layers) {
  const device = openDevice({});
  const made = {};
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const part = name.split(".").at(-2);
    const layer = Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0);
    const role = part === "embed_tokens" && !("lm_head.weight" in tensors) ? "lm_head" : part;
    const format = formatOf(
      quantize,
      role.replace(/_(.)/g, (_, letter) => letter.toUpperCase()),
      layer,
      layers,
    );
    const isMatrix = shape.length === 2;
    made[name] = { shape, values: isMatrix ? await packedValues(device, format, shape, values) : values };
  }
  await device.dispose();
  return made;
}

/** Mean KL divergence of a model from a plain one, and both perplexities, over windows of ids. */
async function distance(plain, other, windows) {
  const found = [];
  for (const ids of windows) {
    const [logits, others] = [await plain.logits(ids), await other.logits(ids)];
    found.push(compare(ids, Float64Array.from(logits), Float64Array.from(others)));
  }
  const mean = (value) => found.reduce((sum, one) => sum + value(one), 0) / found.length;
  return [mean(([kl]) => kl), ...[1, 2].map((which) => Math.exp(mean((one) => Math.log(one[which]))))];
}

/** A model's quantized forms, and what llama.cpp's formats make of it: name, bits a weight, model. */
async function quantized(folder, options, temporary) {
  const tensors = readTensors(join(folder, "model.safetensors"));
  const load = (made) => {
    const copy = mkdtempSync(join(temporary, "made-"));
    cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith(".safetensors") });
    writeTensors(join(copy, "model.safetensors"), made);
    return loadModel(copy, options);
  };
  const { num_hidden_layers: layers } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const forms = [];
  for (const quantize of ["q8", "q4"]) {
    const model = await loadModel(folder, { ...options, quantize, cache: false });
    const { weightBytes, parameters } = model.stats();
    const bits = (8 * weightBytes) / parameters;
    forms.push([quantize, bits, model]);
    forms.push([`${quantize}, weights alone`, bits, await load(await packedTensors(tensors, quantize, layers))]);
  }
  for (const type of ["Q8_0", "Q4_1", "Q4_0"])
    for (const widens of Object.values(tensors).some(isOdd) ? [false, true] : [false]) {
      const [made, bits] = roundTripped(tensors, type, widens);
      forms.push([`llama.cpp's ${type}${widens ? ", widened" : ""}`, bits, await load(made)]);
    }
  return forms;
}

function windowsOf(ids, begin) {
  const rest = POSITIONS - 1;
  const count = Math.min(WINDOWS, Math.floor(ids.length / rest));
  return Array.from({ length: count }, (_, i) => Int32Array.of(begin, ...ids.subarray(i * rest, (i + 1) * rest)));
}

/** @param encoding the begin id and a function of a text to ids, of a model without a tokenizer. */
async function ofModel(name, folder, temporary, encoding) {
  const options = { contextLength: POSITIONS, ...(encoding && { tokenizer: false }) };
  const plain = await loadModel(folder, options);
  const { begin, encode } = encoding ?? {
    begin: plain.tokenizer.bosId,
    encode: (text) => plain.tokenizer.encode(text),
  };
  const forms = await quantized(folder, options, temporary);
  const rows = [];
  for (const [text, whole] of Object.entries(textsAndStories())) {
    const windows = windowsOf(encode(whole.slice(0, 20_000)), begin);
    for (const [format, bits, model] of forms) {
      const [divergence, before, after] = await distance(plain, model, windows);
      const cells = [bits.toFixed(2), divergence.toFixed(4), before.toFixed(2), after.toFixed(2)];
      rows.push([`${name}, ${text}, ${format}`, `${windows.length * POSITIONS}`, ...cells]);
    }
  }
  for (const [, , model] of forms) await model.dispose();
  await plain.dispose();
  return rows;
}

async function models() {
  const temporary = mkdtempSync(join(tmpdir(), "quipu-quality-"));
  try {
    const rows = await ofModel(basename(MODEL), MODEL, temporary);
    if (!existsSync(FILES)) return rows;
    const folder = join(temporary, "stories260K");
    convertStories260k(folder);
    const encoding = { begin: BOS, encode: stories260kEncoder() };
    return [...rows, ...(await ofModel("stories260K", folder, temporary, encoding))];
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

export async function measure() {
  if (!existsSync(PYTHON)) return "left out: llama.cpp is not installed (node bench/run.js peers installs it)\n";
  return [
    markdown(["weights, format", "bits", "squared error", "/ Q4_K's"], await matrices()),
    markdown(["model, text, format", "ids", "bits", "KL, nats", "perplexity as it is", "quantized"], await models()),
  ].join("\n");
}
