// Every product kernel, by format and instruction set, at the shapes of the layers of Llama 3.2 1B and SmolLM2-135M: for few rows
// GB/s of weights, which no cache holds, and their share of the read roof; for a prompt's 512 rows GFLOP/s, or GOP/s of quantized
// weights, and their share of the peak. Attention over 4,096 keys. Roofs are measured in the same run, before and after the kernels
// of each format.
//
//   npm run bench:kernels                          all of it, some minutes
//   npm run bench:kernels -- q8 avx2 attention     formats, instruction sets, attention: all of a kind of which none is named
//
// All threads, or QUIPU_BENCH_THREADS; the best of ROUNDS, in turn; by the clock of the device.
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { Device } from "../dist/device/device.js";
import { FILE_DTYPES, PACKED } from "../dist/device/formats.js";
import { FUSIONS } from "../dist/device/fusions.js";
import { bytesOf } from "../dist/device/tensor.js";
import { PAGE_KEYS } from "../dist/graph/ops.js";
import { compile } from "../dist/graph/program.js";
import { Recorder } from "../dist/graph/recorder.js";
import { describeMachine } from "../dist/machine/machine.js";
import { higherRoofs, measureRoofs } from "../dist/machine/roofs.js";
import { markdown } from "./measure.js";

const [ROUNDS, ROWS, PROMPT_ROWS, KEYS] = [5, [1, 2, 4, 8, 16], 512, 4096];
/** [model, op, out-features, in-features]. Prompts have logits of one row, so that the heads have no 512. */
const PRODUCTS = [
  ["1B", "matmul", 2048, 2048],
  ["1B", "matmulSwiglu", 8192, 2048],
  ["1B", "matmulAdd", 2048, 8192],
  ["1B", "matmul", 128_256, 2048, "head"],
  ["SmolLM2", "matmul", 576, 576],
  ["SmolLM2", "matmulSwiglu", 1536, 576],
  ["SmolLM2", "matmulAdd", 576, 1536],
  ["SmolLM2", "matmul", 49_152, 576, "head"],
];
/** [model, query heads, key/value heads, head size]. */
const ATTENTION = [
  ["1B", 32, 8, 64],
  ["SmolLM2", 9, 3, 64],
];
const CACHES = ["f32", "f16", "i8"];

const machine = describeMachine();
const THREADS = Number(process.env.QUIPU_BENCH_THREADS ?? machine.threads);
/** More than this of a roof is not noise. */
const MOST_SHARE = 1.02;
/** What a program reads, so that no cache has it when the next run begins. */
const COLD = 2 * (machine.lastLevelCache ?? 2 ** 26);
const formats = [...FILE_DTYPES.values(), ...PACKED];

/** Bits of small numbers of both signs, as a chunk that is written over and over. */
function bitsFor(format) {
  const elements = 2 ** 20;
  const float = (i) => (((i * 40_503) % 251) - 125) / 4096;
  if (format === "f32") return Float32Array.from({ length: elements }, (_, i) => float(i));
  if (format === "i8") return Int8Array.from({ length: elements }, (_, i) => ((i * 40_503) % 251) - 125);
  // f16 and bf16: a sign, an exponent below that of 1, seven random bits.
  return Uint16Array.from({ length: elements }, (_, i) => {
    const random = Math.imul(i + 1, 0x9e3779b1) >>> 16;
    return (random & 0x8000) | (format === "f16" ? 0x2400 : 0x3c00) | (random & 0x7f);
  });
}

/** Writes `chunk` all over a tensor: pages that were never written are all one. */
async function fill(device, tensor, chunk) {
  const width = chunk.BYTES_PER_ELEMENT;
  const count = bytesOf(tensor.dtype, tensor.shape) / width;
  for (let first = 0; first < count; first += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, count - first));
    const view = { ...tensor, offset: tensor.offset + first * width, shape: [part.length] };
    await device.run(null, { writes: [[view, part]] });
  }
}

async function weightsOf(device, format, shape, copies) {
  const isPacked = PACKED.includes(format);
  const stored = isPacked ? "bf16" : format;
  const chunk = bitsFor(stored);
  const made = [];
  for (let i = 0; i < copies; i++) {
    const plain = device.allocate(`weights ${i}`, stored, shape);
    await fill(device, plain, chunk);
    if (!isPacked) {
      made.push(plain);
      continue;
    }
    const packed = device.allocate(`weights ${i}`, format, shape);
    const recorder = new Recorder();
    recorder.output(recorder.quantize(plain, packed));
    const program = compile(device, recorder.finish());
    await program.run();
    program.dispose();
    device.free(plain);
    made.push(packed);
  }
  return made;
}

/** The program of one op over each of `weights`, two of them where it takes two. All results are outputs: passes drop what nobody reads. */
function productProgram(device, op, rows, activations, residual, weights) {
  const recorder = new Recorder();
  const a = recorder.input({ ...activations, shape: [rows, activations.shape[1]] });
  const last = recorder.input({ ...residual, shape: [rows, residual.shape[1]] });
  for (let i = 0; i < weights.length; i += op === "matmulSwiglu" ? 2 : 1) {
    const product = recorder.matmul(a, weights[i]);
    if (op === "matmul") recorder.output(product);
    else if (op === "matmulAdd") recorder.output(recorder.add(last, product));
    else recorder.output(recorder.swiglu(product, recorder.matmul(a, weights[i + 1])));
  }
  return compile(device, recorder.finish());
}

/** The least seconds that each program takes, in turn. */
async function bestOf(programs, rounds = ROUNDS) {
  const best = programs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, program] of programs.entries()) {
      const { started, ended } = await program.run();
      best[i] = Math.min(best[i], (ended - started) / 1000);
    }
  }
  for (const program of programs) program.dispose();
  return best;
}

async function product(device, format, [, op, features, depth, head]) {
  const shape = [features, depth];
  const pair = op === "matmulSwiglu" ? 2 : 1;
  const copies = Math.ceil(COLD / (pair * bytesOf(format, shape)));
  const weights = await weightsOf(device, format, shape, pair * copies);
  const activations = device.allocate("a", "f32", [PROMPT_ROWS, depth]);
  const residual = device.allocate("residual", "f32", [PROMPT_ROWS, features]);
  for (const tensor of [activations, residual]) await fill(device, tensor, bitsFor("f32"));
  const programOf = (rows, of) => productProgram(device, op, rows, activations, residual, of);
  const few = await bestOf(ROWS.map((rows) => programOf(rows, weights)));
  const bytes = weights.length * bytesOf(format, shape);
  const rates = few.map((seconds) => bytes / seconds);
  let prompt;
  if (head === undefined) {
    const [seconds] = await bestOf([programOf(PROMPT_ROWS, weights.slice(0, pair))], 3);
    prompt = (2 * PROMPT_ROWS * features * depth * pair) / seconds;
  }
  for (const tensor of [...weights, activations, residual]) device.free(tensor);
  return { rates, prompt };
}

/** One step of attention over caches of KEYS positions, `copies` of them: the last `rows` of a slot. */
async function attentionSeconds(device, type, [, heads, groups, size], rows, copies) {
  const pages = KEYS / PAGE_KEYS;
  const index = async (name, contents, shape, bound) => {
    const tensor = device.allocate(name, "i32", shape, bound);
    await device.run(null, { writes: [[tensor, Int32Array.from(contents)]] });
    return tensor;
  };
  const range = (count, first = 0) => Array.from({ length: count }, (_, i) => first + i);
  const places = {
    slots: await index("slots", range(rows).fill(0), [rows], 1),
    positions: await index("positions", range(rows, KEYS - rows), [rows], KEYS),
    pageTable: await index("pages", range(pages), [1, pages], pages),
  };
  const caches = [];
  for (let i = 0; i < copies; i++) {
    const cache = {
      keys: device.allocate("keys", type, [pages, groups, size, PAGE_KEYS]),
      values: device.allocate("values", type, [pages, groups, PAGE_KEYS, size]),
    };
    for (const tensor of Object.values(cache)) await fill(device, tensor, bitsFor(type));
    if (type === "i8") {
      for (const name of ["keyScales", "valueScales"]) {
        cache[name] = device.allocate(name, "f32", [pages, groups, PAGE_KEYS]);
        await fill(device, cache[name], bitsFor("f32"));
      }
    }
    caches.push(cache);
  }
  const q = device.allocate("q", "f32", [rows, heads * size]);
  await fill(device, q, bitsFor("f32"));
  const recorder = new Recorder();
  const inputs = (tensors) => Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, recorder.input(t)]));
  const [query, where] = [recorder.input(q), inputs(places)];
  for (const cache of caches) recorder.output(recorder.attention(query, inputs(cache), where, size ** -0.5));
  const [seconds] = await bestOf([compile(device, recorder.finish())]);
  const tensors = [q, ...Object.values(places), ...caches.flatMap((cache) => Object.values(cache))];
  for (const tensor of tensors) device.free(tensor);
  return seconds;
}

async function attention(device, type, model) {
  const [name, heads, groups, size] = model;
  const bytes = 2 * KEYS * groups * (bytesOf(type, [size]) + (type === "i8" ? 4 : 0));
  const copies = Math.ceil(COLD / bytes);
  const flops = (keys) => 4 * heads * size * keys; // of a row that sees so many
  const decode = (await attentionSeconds(device, type, model, 1, copies)) / copies;
  const prompt = await attentionSeconds(device, type, model, PROMPT_ROWS, 1);
  const seen = PROMPT_ROWS * (KEYS - PROMPT_ROWS) + (PROMPT_ROWS * (PROMPT_ROWS + 1)) / 2;
  return [
    `${name}, ${heads}/${groups} heads of ${size}, ${type}`,
    `${(bytes / decode / 1e9).toFixed(1)}, ${(flops(KEYS) / decode / 1e9).toFixed(1)}`,
    (flops(seen) / prompt / 1e9).toFixed(1),
  ];
}

const shareOf = (rate, roof) => `${((100 * rate) / roof).toFixed(0)} %${rate > MOST_SHARE * roof ? "!" : ""}`;
const cellOf = (rate, roof) => `${(rate / 1e9).toFixed(1)}, ${shareOf(rate, roof)}`;

async function productsOf(device, format) {
  let roofs = await measureRoofs(device.target, device.threads);
  const again = async () => higherRoofs(roofs, await measureRoofs(device.target, device.threads));
  const measured = [];
  for (const each of PRODUCTS) measured.push([each, await product(device, format, each)]);
  roofs = await again();
  const peakOf = ({ peak, integerPeak }) => (PACKED.includes(format) ? integerPeak : peak);
  const isAbove = ([, { rates, prompt = 0 }]) =>
    Math.max(...rates) > MOST_SHARE * roofs.readBandwidth || prompt > MOST_SHARE * peakOf(roofs);
  if (measured.some(isAbove)) roofs = await again(); // what is above them even then is marked
  const peak = peakOf(roofs);
  const unit = PACKED.includes(format) ? "GOP/s" : "GFLOP/s";
  const rows = measured.map(([[model, op, features, depth], { rates, prompt }]) => [
    `${model} ${op} ${features} × ${depth}`,
    ...rates.map((rate) => cellOf(rate, roofs.readBandwidth)),
    prompt === undefined ? "" : cellOf(prompt, peak),
  ]);
  const bits = (8 * bytesOf(format, [1024, 1024])) / 2 ** 20;
  const title = `${format} (${bits} bits), ${device.target}: roofs ${(roofs.readBandwidth / 1e9).toFixed(1)} GB/s, ${(peak / 1e9).toFixed(1)} ${unit}`;
  const header = [`GB/s, share, by rows; ${PROMPT_ROWS}: ${unit}, share`, ...ROWS, PROMPT_ROWS].map(String);
  return `${title}\n\n${markdown(header, rows)}\n`;
}

/** The words that name one of `all`, or all of them where none does. */
const chosen = (all, words) => (all.some((name) => words.includes(name)) ? all.filter((n) => words.includes(n)) : all);

async function main(words) {
  const targets = process.env.QUIPU_CPU ? [machine.target] : machine.targets.filter((name) => name !== "scalar");
  const known = [...formats, ...targets, "attention"];
  const unknown = words.filter((word) => !known.includes(word));
  if (unknown.length > 0) {
    console.error(`bench:kernels: expected some of ${known.join(", ")}; got ${unknown.join(", ")}`);
    process.exit(2);
  }
  const load = loadavg()[0].toFixed(2);
  console.log(`${cpus()[0].model.trim()}, ${THREADS} threads, Node ${process.version}, load ${load} before\n`);
  const namesFormat = formats.some((format) => words.includes(format));
  for (const target of chosen(targets, words)) {
    const device = new Device("cpu", target, THREADS, { fusions: FUSIONS });
    if (namesFormat || !words.includes("attention"))
      for (const format of chosen(formats, words)) console.log(await productsOf(device, format));
    if (words.includes("attention") || !namesFormat) {
      const rows = [];
      for (const model of ATTENTION) for (const type of CACHES) rows.push(await attention(device, type, model));
      const header = [`attention over ${KEYS} keys, ${target}`, "1 row: GB/s, GFLOP/s", `${PROMPT_ROWS} rows: GFLOP/s`];
      console.log(markdown(header, rows));
    }
    await device.dispose();
  }
}

await main(process.argv.slice(2));
