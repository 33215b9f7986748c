// One row of `sample` over a vocabulary of Llama 3's size, on logits of several kinds, one thread, each instruction set of this
// machine. QUIPU_BENCH_MODEL names the folder whose logits are the real ones; QUIPU_BENCH_DIST another build's dist to measure.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { markdown, ROOT } from "./measure.js";

const VOCABULARY = 128_256;
const ROUNDS = 40;
const OPS = 8; // in one program, so that a run's hand-over counts little
const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const DIST = process.env.QUIPU_BENCH_DIST ?? join(ROOT, "dist");

const library = (path) => import(pathToFileURL(join(DIST, path)).href);

const PLAIN = { temperature: 0.8, topK: 0, topP: 1, minP: 0 };
const SETTINGS = {
  default: PLAIN,
  "top-p 0.95": { ...PLAIN, topP: 0.95 },
  "top-k 40": { ...PLAIN, topK: 40 },
  "top-k 40, top-p 0.95, min-p 0.05": { ...PLAIN, topK: 40, topP: 0.95, minP: 0.05 },
  "temperature 0": { ...PLAIN, temperature: 0 },
};

/** Normal numbers of a fixed seed. */
function normals() {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** The model's logits after a text; a smaller vocabulary is filled up with its logits at other positions. */
async function realLogits() {
  const { loadModel } = await library("index.js");
  const model = await loadModel(MODEL);
  try {
    const text = "The three most important things to know about the ocean are";
    const { vocabSize } = model.config;
    const ids = model.tokenizer.encode(text);
    const all = await model.logits(ids);
    const real = new Float32Array(VOCABULARY);
    for (let at = 0, position = ids.length - 1; at < VOCABULARY; at += vocabSize, position--) {
      const begin = position * vocabSize;
      real.set(all.subarray(begin, begin + Math.min(vocabSize, VOCABULARY - at)), at);
    }
    return real;
  } finally {
    await model.dispose();
  }
}

async function kindsOfLogits() {
  const of = (logit) => Float32Array.from({ length: VOCABULARY }, (_, id) => logit(id));
  const normal = normals();
  return {
    ...(existsSync(join(MODEL, "config.json")) ? { real: await realLogits() } : {}),
    flat: of(() => 1.5),
    "one-hot": of((id) => (id === 77_777 ? 30 : 0)),
    "nearly flat": of(() => 0.01 * normal()),
    ascending: of((id) => (8 * id) / VOCABULARY),
    // All but a few share their leading bits at every level of the search, and all are as likely.
    nested: of((id) => [1, 2 ** -80, -(2 ** -80), -1][id] ?? 2 ** -126 * (1 + normal() * 2 ** -6)),
  };
}

export async function measure() {
  const { Device } = await library("device/device.js");
  const { availableTargets } = await library("machine/machine.js");
  const { Recorder } = await library("graph/recorder.js");
  const { compile } = await library("graph/program.js");
  const { SlotState } = await library("model/slot-state.js");
  const kinds = await kindsOfLogits();
  const rows = [];
  for (const target of availableTargets().filter((name) => name !== "scalar")) {
    const device = new Device("cpu", target, 1);
    const state = new SlotState(device, 1, 2, VOCABULARY);
    const index = (name, bound) => device.allocate(name, "i32", [1], bound);
    const inputs = {
      ...state,
      outputRows: index("outputRows", 1),
      slots: index("slots", 1),
      positions: index("positions", 2),
    };
    const logits = device.allocate("logits", "f32", [1, VOCABULARY]);
    const recorder = new Recorder();
    for (let i = 0; i < OPS; i++) recorder.output(recorder.sample(logits, inputs, 1).ids);
    const program = await compile(device, recorder.finish());
    for (const [name, values] of Object.entries(kinds)) {
      const cells = [];
      for (const setting of Object.values(SETTINGS)) {
        const full = {
          ...{ repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 1, logitBias: new Map() },
          ...setting,
        };
        await device.run(null, { writes: [[logits, values], ...state.begin(0, full, Int32Array.of(0), [])] });
        const times = [];
        for (let round = 0; round < ROUNDS; round++) {
          const started = performance.now();
          await program.run();
          times.push((performance.now() - started) / OPS);
        }
        cells.push(Math.min(...times).toFixed(3));
      }
      rows.push([`${name}, ${target}`, ...cells]);
    }
    await device.dispose();
  }
  return `Milliseconds a row of ${VOCABULARY} logits:\n\n${markdown(["logits, instruction set", ...Object.keys(SETTINGS)], rows)}`;
}
