// Training: tokens a second of a micro-batch and its step, forward, backward and AdamW, for models of 0.26 to 15 million parameters in
// sequences of 256, and what share that is of the fused multiply-adds that the processor can do (measureRoofs), beside transformers'
// LlamaForCausalLM on PyTorch (SDPA, fused AdamW), eager and by torch.compile, in turn in one run.
//
//   node bench/run.js train                        QUIPU_BENCH_THREADS: default 2
//
// PyTorch by a Python that QUIPU_BENCH_PYTHON names, with torch and transformers installed; without it quipu is measured alone.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { openDevice } from "../dist/device/device.js";
import { describeMachine, measureRoofs } from "../dist/index.js";
import { createTrainingRuntime } from "../dist/train/training-runtime.js";
import { markdown } from "./measure.js";
import { MODELS, SEQUENCE, TOKENS, trainingOf } from "./training-step.js";

const [ROUNDS, STEPS] = [3, 5];
const THREADS = Number(process.env.QUIPU_BENCH_THREADS ?? 2);

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Operations of a step: six a weight and token, of which the embedding's rows have none; of attention 4 d forward and 10 d backward a query head and key. */
function operations([vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads]) {
  const attention = hiddenSize * hiddenSize * (2 + (2 * kvHeads) / heads);
  const weights = layers * (attention + 3 * hiddenSize * intermediateSize) + vocabSize * hiddenSize;
  return TOKENS * (6 * weights + (layers * 14 * hiddenSize * (SEQUENCE + 1)) / 2);
}

/** Seconds of a step, and bytes. */
async function quipu(model) {
  const training = await trainingOf({ openDevice, createTrainingRuntime }, model, THREADS);
  const times = [];
  for (let step = 1; step <= STEPS + 2; step++) {
    const started = performance.now();
    await training.step();
    if (step > 2) times.push((performance.now() - started) / 1000);
  }
  const bytes = training.bytes();
  await training.dispose();
  return { seconds: median(times), bytes };
}

/** Undefined where it does not work, which is said: torch.compile wants a compiler, and not every version compiles every model. */
function pytorch(python, model, compiled) {
  const script = join(dirname(fileURLToPath(import.meta.url)), "train_pytorch.py");
  const settings = { model, tokens: TOKENS, sequence: SEQUENCE, steps: STEPS, threads: THREADS, compiled };
  const { status, stdout, stderr } = spawnSync(python, [script, JSON.stringify(settings)], { encoding: "utf8" });
  if (status === 0) return JSON.parse(stdout);
  if (!compiled) throw new Error(`${python} ${script}: exit status ${status}\n${stderr}`);
  console.error(`torch.compile: ${stderr.trim().split("\n").at(-1)}`);
  return undefined;
}

export async function measure() {
  const python = process.env.QUIPU_BENCH_PYTHON;
  const { target } = describeMachine();
  const rows = [];
  for (const [name, model] of Object.entries(MODELS)) {
    const [ours, eager, compiled, peaks] = [[], [], [], []];
    for (let round = 0; round < ROUNDS; round++) {
      peaks.push((await measureRoofs(target, THREADS)).peak);
      ours.push(await quipu(model));
      if (python === undefined) continue;
      eager.push(pytorch(python, model, false));
      if (compiled.length === round) compiled.push(...[pytorch(python, model, true)].filter((of) => of !== undefined));
    }
    const seconds = (list) => median(list.map((of) => of.seconds));
    const rate = (list) => (list.length === 0 ? "" : (TOKENS / seconds(list)).toFixed(0));
    const mebibytes = (list) => (median(list.map(({ bytes }) => bytes)) / 2 ** 20).toFixed(0);
    const better = compiled.length > 0 && seconds(compiled) < seconds(eager) ? compiled : eager;
    const beside =
      python === undefined
        ? ["not measured", "", "", ""]
        : [rate(eager), rate(compiled), mebibytes(eager), (seconds(better) / seconds(ours)).toFixed(2)];
    const speed = operations(model) / seconds(ours);
    const share = `${((100 * speed) / Math.max(...peaks)).toFixed(0)} %`;
    rows.push([name, rate(ours), (speed / 1e9).toFixed(0), share, mebibytes(ours), ...beside]);
  }
  const theirs = ["PyTorch, eager: tokens/s", "compiled", "MiB beyond its start, eager", "ratio to the better"];
  return markdown(["parameters", "tokens/s", "GFLOP/s", "of the FMA peak", "MiB", ...theirs], rows);
}
