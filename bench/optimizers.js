// What a step costs by AdamW and by Muon: processor seconds of the storyteller's steps, in turn, and their ratio with its 95 % interval.
//
//   node bench/optimizers.js            QUIPU_BENCH_THREADS: default 1; QUIPU_BENCH_BATCH: tokens of a step, default 8192
import process from "node:process";
import { openDevice } from "../dist/device/device.js";
import { createTrainingRuntime } from "../dist/train/training-runtime.js";
import { interval, markdown, median } from "./measure.js";

const THREADS = Number(process.env.QUIPU_BENCH_THREADS ?? 1);
const BATCH = Number(process.env.QUIPU_BENCH_BATCH ?? 8192);
const [MICRO_BATCH, DOCUMENT, PAIRS] = [4096, 222, 40];
const CONFIG = {
  ...{ modelType: "llama", vocabSize: 2048, hiddenSize: 192, intermediateSize: 512, layers: 5, heads: 6, kvHeads: 2 },
  ...{ headSize: 32, normEps: 1e-5, maxPositions: 512, tiedEmbeddings: true, rope: { theta: 10000 }, eosIds: [] },
};

function batchOf() {
  const each = (of) => Int32Array.from({ length: MICRO_BATCH }, (_, i) => of(i));
  return {
    ids: each((i) => (i * 7919) % CONFIG.vocabSize),
    targets: each((i) => ((i + 1) * 7919) % CONFIG.vocabSize),
    weights: new Float32Array(MICRO_BATCH).fill(1),
    slots: each((i) => Math.floor(i / DOCUMENT)),
    positions: each((i) => i % DOCUMENT),
  };
}

const device = openDevice({ threads: THREADS });
const batch = batchOf();
const shape = { batchTokens: MICRO_BATCH, maxDocuments: Math.ceil(MICRO_BATCH / DOCUMENT), contextLength: DOCUMENT };
const runtimes = [];
for (const optimizer of ["adamw", "muon"]) {
  const runtime = await createTrainingRuntime(device, CONFIG, { ...shape, optimizer });
  await runtime.initialise(1);
  runtimes.push(runtime);
}
const seconds = [[], []];
for (let step = 1; step <= PAIRS + 2; step++) {
  for (const [i, runtime] of runtimes.entries()) {
    const before = process.cpuUsage();
    for (let tokens = 0; tokens < BATCH; tokens += MICRO_BATCH) runtime.accumulate(batch);
    await runtime.step({ step, rate: 1e-3, muonRate: 0.02, weightDecay: 0.1 });
    const { user, system } = process.cpuUsage(before);
    if (step > 2) seconds[i].push((user + system) / 1e6);
  }
}
await device.dispose();
const [ratio, low, high] = interval(seconds[0].map((adamW, i) => seconds[1][i] / adamW)).map((x) => x.toFixed(3));
const row = [BATCH, ...seconds.map((list) => median(list).toFixed(3)), ratio, `${low} – ${high}`];
process.stdout.write(markdown(["tokens a step", "AdamW, s", "Muon, s", "Muon / AdamW", "95 % interval"], [row]));
