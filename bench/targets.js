// Instruction sets beside each other: milliseconds of a decode step behind 128 tokens and of a prompt of 512, by formats of weights, in turn.
// Ratios are of one round each, to AVX2: their median, with its 95 % interval, and that of CPU seconds, which other programs change less.
// Words of QUIPU_BENCH_TARGETS choose instruction sets; QUIPU_BENCH_MODEL names another folder than SmolLM2's, QUIPU_BENCH_THREADS fewer threads,
// QUIPU_BENCH_ROUNDS another number of rounds.
import { loadavg } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { describeMachine, loadModel } from "../dist/index.js";
import { interval, markdown, median, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 20);
const [BASE, FORMATS, DEPTH, DECODED, PROMPT] = ["avx2", ["none", "q8", "q4"], 128, 16, 512];

const idsFor = (length) => Int32Array.from({ length }, (_, i) => 300 + ((i * 37) % 700));

/** The model with the kernels of an instruction set. */
async function modelFor(target, options) {
  const before = process.env.QUIPU_CPU;
  process.env.QUIPU_CPU = target;
  try {
    return await loadModel(MODEL, options);
  } finally {
    if (before === undefined) delete process.env.QUIPU_CPU;
    else process.env.QUIPU_CPU = before;
  }
}

/** Milliseconds of a clock, and of all processors together. */
function now() {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now(), cpu: (user + system) / 1000 };
}

const between = (start, end, steps) => ({ wall: (end.wall - start.wall) / steps, cpu: (end.cpu - start.cpu) / steps });

/** Of a decode step, and of a prompt. */
async function speed(model) {
  const common = { temperature: 0, ignoreEos: true, promptCache: false };
  const times = [];
  for await (const { type } of model.generate(idsFor(DEPTH), { ...common, maxTokens: DECODED }))
    if (type === "token") times.push(now());
  const start = now();
  for await (const _ of model.generate(idsFor(PROMPT), { ...common, maxTokens: 1 })) {
    // Its events are what takes time.
  }
  return [between(times[0], times.at(-1), times.length - 1), between(start, now(), 1)];
}

async function rowsOf(quantize, targets, threads) {
  const options = { threads, contextLength: 1024, tokenizer: false, quantize, slots: 1 };
  const models = [];
  for (const target of targets) models.push(await modelFor(target, options)); // one by one: QUIPU_CPU is the process's
  const rounds = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const order = [...models.keys()];
    if (i % 2 === 1) order.reverse();
    const round = [];
    for (const k of order) round[k] = await speed(models[k]);
    if (i > 0) rounds.push(round); // the first maps the weights in
  }
  const stats = models.map((model) => model.stats());
  for (const model of models) await model.dispose();
  return stats.map(({ target }, k) => {
    const cells = [0, 1].flatMap((which) => {
      const ms = median(rounds.map((round) => round[k][which].wall)).toFixed(1);
      if (k === 0) return [ms, "", ""];
      const ratios = (clock) => rounds.map((round) => round[k][which][clock] / round[0][which][clock]);
      const [ratio, low, high] = interval(ratios("wall"));
      return [ms, `${ratio.toFixed(3)} (${low.toFixed(3)} – ${high.toFixed(3)})`, median(ratios("cpu")).toFixed(3)];
    });
    return [`${quantize === "none" ? "as they are" : quantize}, ${target}`, ...cells];
  });
}

export async function measure() {
  const machine = describeMachine();
  const threads = Number(process.env.QUIPU_BENCH_THREADS ?? machine.threads);
  const wanted = process.env.QUIPU_BENCH_TARGETS?.split(/[ ,]+/) ?? machine.targets;
  const targets = machine.targets.filter((name) => name === BASE || (name !== "scalar" && wanted.includes(name)));
  if (targets[0] !== BASE) return "this CPU has no AVX2\n";
  const before = loadavg()[0];
  const rows = [];
  for (const quantize of FORMATS) rows.push(...(await rowsOf(quantize, targets, threads)));
  const note = `${basename(MODEL)}, ${threads} threads, ${ROUNDS} rounds; load ${before.toFixed(2)} before, ${loadavg()[0].toFixed(2)} after\n\n`;
  const ratios = [`÷ ${BASE}`, "CPU seconds"];
  const header = ["weights, instruction set", "decode, ms", ...ratios, `prompt of ${PROMPT}, ms`, ...ratios];
  return note + markdown(header, rows);
}
