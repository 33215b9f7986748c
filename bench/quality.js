// What quantizing costs weights that never were of few bits, beside llama.cpp's formats, with the bits a weight of each: random matrices
// (squared error of products with Gaussian activations, relative), and a model (mean KL divergence from itself in nats, perplexity).
// llama.cpp's formats are what its library makes of the weights (bench/reference/ggml_round_trip.py), products with them are f32: what it
// makes of activations is left out, ours is not. It is installed by `node bench/run.js peers`. QUIPU_BENCH_MODEL names another model than
// the storyteller, in bf16 and with rows of multiples of 32.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openDevice } from "../dist/device/device.js";
import { bytesOf } from "../dist/device/tensor.js";
import { compile } from "../dist/graph/program.js";
import { Recorder } from "../dist/graph/recorder.js";
import { loadModel } from "../dist/index.js";
import { compare, textsOf } from "./divergence.js";
import { markdown, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "models/storyteller");
const PYTHON = join(process.env.QUIPU_BENCH_PEERS ?? join(tmpdir(), "quipu-peers"), "venv/bin/python");
/** Bits a weight. */
const GGML = { Q8_0: 8.5, Q6_K: 6.5625, Q4_K: 4.5, Q4_1: 5, Q4_0: 4.5 };
const SHAPE = [512, 2048];
const [PROBES, SCORED] = [64, 512];

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
async function packedValues(device, format, values) {
  const [rows, columns] = SHAPE;
  const weight = device.allocate("weight", "f32", SHAPE);
  const packed = device.allocate("packed", format, SHAPE);
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
      add(format, (8 * bytesOf(format, SHAPE)) / (SHAPE[0] * SHAPE[1]), await packedValues(device, format, values));
    for (const [type, bits] of Object.entries(GGML)) add(`llama.cpp's ${type}`, bits, ggml(type, SHAPE[1], values));
  }
  await device.dispose();
  return rows;
}

/** A copy of a checkpoint of one file in bf16 whose matrices are what a format makes of them, in f32. */
function roundTripped(folder, type) {
  cpSync(MODEL, folder, { recursive: true, filter: (path) => !path.endsWith(".safetensors") });
  const bytes = readFileSync(join(MODEL, "model.safetensors"));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__, ...tensors } = JSON.parse(bytes.subarray(8, start).toString());
  const [header, parts] = [{}, []];
  let offset = 0;
  for (const [name, { shape, data_offsets: range }] of Object.entries(tensors)) {
    const stored = bytes.subarray(start + range[0], start + range[1]);
    const wide = Uint32Array.from({ length: stored.length / 2 }, (_, i) => stored.readUInt16LE(2 * i) << 16);
    const values = new Float32Array(wide.buffer);
    const made = shape.length === 2 ? ggml(type, shape[1], values) : values;
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + made.byteLength] };
    parts.push(Buffer.from(made.buffer, made.byteOffset, made.byteLength));
    offset += made.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc(-json.length & 7, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(join(folder, "model.safetensors"), Buffer.concat([length, padded, ...parts]));
}

async function models() {
  const plain = await loadModel(MODEL);
  const temporary = mkdtempSync(join(tmpdir(), "quipu-quality-"));
  const rows = [];
  try {
    const others = [];
    for (const quantize of ["q8", "q4"]) {
      const model = await loadModel(MODEL, { quantize, cache: false });
      const { weightBytes, parameters } = model.stats();
      others.push([quantize, (8 * weightBytes) / parameters, model]);
    }
    for (const type of ["Q8_0", "Q4_1", "Q4_0"]) {
      const folder = join(temporary, type);
      roundTripped(folder, type);
      others.push([`llama.cpp's ${type}`, GGML[type], await loadModel(folder)]);
    }
    for (const [name, text] of Object.entries(textsOf())) {
      const ids = plain.tokenizer.encode(text.slice(0, 20_000)).slice(0, SCORED);
      const logits = await plain.logits(ids);
      for (const [format, bits, model] of others) {
        const made = Float64Array.from(await model.logits(ids));
        const [divergence, before, after] = compare(ids, Float64Array.from(logits), made);
        rows.push([
          `${name}, ${format}`,
          bits.toFixed(2),
          ...[divergence.toFixed(4), before.toFixed(2), after.toFixed(2)],
        ]);
      }
    }
    for (const [, , model] of others) await model.dispose();
  } finally {
    rmSync(temporary, { recursive: true });
  }
  await plain.dispose();
  return rows;
}

export async function measure() {
  if (!existsSync(PYTHON)) return "left out: llama.cpp is not installed (node bench/run.js peers installs it)\n";
  return [
    markdown(["weights, format", "bits", "squared error", "/ Q4_K's"], await matrices()),
    markdown(["text, format", "bits", "KL, nats", "perplexity as it is", "quantized"], await models()),
  ].join("\n");
}
