// What several rows in one step cost: the product by itself over weights that no cache holds, whole steps of SmolLM2 that decode so
// many sequences, and steps of the storyteller that have another number of rows than the one before. One thread, its processor time (what neighbours take is not counted), best of all rounds, each
// instruction set of this machine. QUIPU_BENCH_MODEL names another folder, QUIPU_BENCH_DIST another build's dist.
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { markdown, ROOT } from "./measure.js";
import { decodeStep, library, openRuntime } from "./runtime.js";

const ROUNDS = 12;
const WEIGHT_BYTES = 64 * 2 ** 20; // of a program
const ROWS = [1, 2, 3, 4, 6, 8, 12, 16];
const SHAPES = [
  [1536, 576],
  [576, 1536],
  [49_152, 576],
  [8192, 2048],
];
/** Numbers of rows of steps that follow each other, and how many there are of each. */
const CHANGES = [
  [1, 2],
  [7, 8],
  [1, 16],
];
const STEPS = 100;
const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");

/** The least processor time of each work, one after another in turn, in seconds. */
async function bestOf(works) {
  const best = works.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, work] of works.entries()) {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      best[i] = Math.min(best[i], (user + system) / 1e6);
    }
  }
  return best;
}

async function product(target, [features, depth]) {
  const { Device } = await library("device/device.js");
  const { Recorder } = await library("graph/recorder.js");
  const { compile } = await library("graph/program.js");
  const device = new Device("cpu", target, 1);
  const copies = Math.ceil(WEIGHT_BYTES / (2 * features * depth));
  const weights = device.allocate("weights", "bf16", [copies * features, depth]);
  await device.run(null, {
    writes: [
      [weights, Uint16Array.from({ length: copies * features * depth }, (_, i) => 0x3c00 | ((i * 40_503) % 127))],
    ],
  });
  // Written, as pages that are only read are all one page, which AMD's L1 cannot hold at several addresses.
  const most = device.allocate("a", "f32", [Math.max(...ROWS), depth]);
  await device.run(null, { writes: [[most, new Float32Array(Math.max(...ROWS) * depth).fill(0.5)]] });
  const programs = await Promise.all(
    ROWS.map((rows) => {
      const recorder = new Recorder();
      const a = { ...most, shape: [rows, depth] };
      for (let copy = 0; copy < copies; copy++) {
        const b = { ...weights, offset: copy * features * depth * 2, shape: [features, depth] };
        const out = recorder.matmul(a, b);
        if (copy === copies - 1) recorder.output(out);
      }
      return compile(device, recorder.finish());
    }),
  );
  const best = await bestOf(programs.map((program) => () => program.run()));
  await device.dispose();
  const cells = best.map((seconds, i) => {
    const bytes = 2 * copies * features * depth;
    return `${(bytes / seconds / 1e9).toFixed(1)}, ${((bytes * ROWS[i]) / seconds / 1e9).toFixed(0)}`;
  });
  return [`${features} × ${depth}, ${target}`, ...cells];
}

/** A model with a prompt in each of as many slots as there are rows (a page each), and a step that decodes some of them. */
async function stepsOf(folder, target) {
  const slots = Math.max(...ROWS);
  const depth = 32;
  const { device, runtime } = await openRuntime(folder, { target, threads: 1, slots, depth, contextLength: 64 });
  const step = (count) => decodeStep(runtime, count, depth);
  return { device, step };
}

async function steps(target) {
  const { device, step } = await stepsOf(MODEL, target);
  const best = await bestOf(ROWS.map(step));
  await device.dispose();
  const cells = best.map(
    (seconds, i) => `${(1e3 * seconds).toFixed(1)}, ${((ROWS[i] * best[0]) / seconds).toFixed(2)} ×`,
  );
  return [target, ...cells];
}

/** Steps of two numbers of rows, one after the other and by turns: what it costs that the number changes. */
async function changes(target) {
  const { device, step } = await stepsOf(join(ROOT, "models/storyteller"), target);
  const rows = [];
  for (const [few, many] of CHANGES) {
    const pair = [step(few), step(many)];
    const [apart, byTurns] = await bestOf([
      async () => {
        for (const work of pair) for (let i = 0; i < STEPS; i++) await work();
      },
      async () => {
        for (let i = 0; i < STEPS; i++) for (const work of pair) await work();
      },
    ]);
    const micros = [apart, byTurns, byTurns - apart].map((seconds) => ((1e6 * seconds) / (2 * STEPS)).toFixed(1));
    rows.push([`${few} and ${many}, ${target}`, ...micros]);
  }
  await device.dispose();
  return rows;
}

export async function measure() {
  const { availableTargets } = await library("machine/machine.js");
  const targets = availableTargets().filter((name) => name !== "scalar");
  const header = ROWS.map((rows) => `${rows}`);
  const products = [];
  for (const target of targets) for (const shape of SHAPES) products.push(await product(target, shape));
  let text = `GB/s of bf16 weights, GFLOP/s, by rows:\n\n${markdown(["product", ...header], products)}`;
  if (existsSync(join(MODEL, "config.json"))) {
    const decoded = [];
    for (const target of targets) decoded.push(await steps(target));
    text += `\nMilliseconds of a step that decodes so many sequences, tokens/s as a multiple of one's:\n\n`;
    text += markdown(["SmolLM2", ...header], decoded);
  }
  const changed = [];
  for (const target of targets) changed.push(...(await changes(target)));
  text +=
    "\nMicroseconds of a step of the storyteller, where all of one number of rows come first and where they take turns:\n\n";
  return text + markdown(["rows", "one after the other", "by turns", "a change"], changed);
}
