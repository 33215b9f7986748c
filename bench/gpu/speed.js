// How fast a GPU is, a row of JSON a line: decoding of 1, 8 and 16 sequences and a prompt, of random weights in published shapes.
//
//   node bench/gpu/speed.js <cuda|simt> <shape> <none|q8|q4>
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { makeCheckpoint } from "../make-checkpoint.js";
import { median } from "../measure.js";
import { openRuntime } from "../runtime.js";
import { SHAPES } from "./shapes.js";

const [device, name, ...formats] = process.argv.slice(2);
const small = name === "tiny";
const [SAMPLES, STEPS, PROMPT] = small ? [1, 2, 40] : [5, 32, 512];
const COUNTS = small ? [1, 2] : [1, 8, 16];
const DEPTH = small ? 4 : 128;

/** Milliseconds of a step that decodes a token in each of `count` slots: the median of runs of steps, queued as the scheduler queues them. */
async function stepMs(runtime, count) {
  const rows = Array.from({ length: count }, (_, slot) => ({ slot }));
  const [wanted, bests] = [[...rows.keys()], rows.map(() => 0)];
  const steps = (number) => Promise.all(Array.from({ length: number }, () => runtime.sample(rows, wanted, bests)));
  await steps(STEPS / 2);
  const samples = [];
  for (let i = 0; i < SAMPLES; i++) {
    const start = performance.now();
    await steps(STEPS);
    samples.push((performance.now() - start) / STEPS);
  }
  return median(samples);
}

async function time(folder, quantize) {
  const {
    device: opened,
    loaded,
    runtime,
  } = await openRuntime(folder, {
    ...{ device, slots: COUNTS.at(-1), depth: DEPTH, contextLength: small ? 64 : 1024, quantize },
  });
  const decode = {};
  for (const count of COUNTS) {
    // A slot's first row names its id and position; those of later steps follow it on the device.
    const first = Array.from({ length: count }, (_, slot) => ({ id: 4 + slot, slot, position: DEPTH }));
    await runtime.sample(
      first,
      [...first.keys()],
      first.map(() => 0),
    );
    decode[count] = (1000 * count) / (await stepMs(runtime, count));
  }
  const prompt = Array.from({ length: PROMPT }, (_, position) => ({ id: 3 + position, slot: 0, position }));
  const times = [];
  for (let i = 0; i < SAMPLES; i++) {
    const start = performance.now();
    await runtime.fill(prompt);
    times.push(performance.now() - start);
  }
  runtime.dispose();
  await opened.dispose();
  const row = {
    ...{ shape: name, weights: quantize, bytesPerToken: loaded.bytesPerToken, decode },
    ...{ prompt: (1000 * PROMPT) / median(times), promptTokens: PROMPT },
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
}

const folder = mkdtempSync(join(tmpdir(), "quipu-gpu-"));
process.on("SIGTERM", () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
});
try {
  makeCheckpoint(folder, SHAPES[name]);
  for (const quantize of formats) await time(folder, quantize);
} finally {
  rmSync(folder, { recursive: true });
}
