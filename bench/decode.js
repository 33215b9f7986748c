// What share of the read bandwidth decoding reaches, and what a step takes beside its products. In turn, as the bandwidth of a machine that
// others use moves within seconds: a pass of each pattern of the read roof (the best counts), a quarter of a second of decode steps
// behind 128 tokens, and as many runs of the products of a step alone. Shares are of one round each: their median, with its 95 % interval, of the
// rounds in which other processes left the processors alone. The roof of a round is the best of ten passes, so "of the fastest step" compares like with
// like where the bandwidth moves within a quarter of a second.
//
// Weights are those of QUIPU_BENCH_MODEL, or random ones of Llama 3.2 1B's shape (bench/make-checkpoint.js), as they are (bf16) and packed, found in the cache folder
// as a user's are from the second start on. Times are the device's, from the beginning of the first step of a chunk to the end of the last.
// QUIPU_CPU names another instruction set than the fastest, QUIPU_BENCH_ROUNDS another number of rounds than 40.
import { loadavg } from "node:os";
import process from "node:process";
import { compile } from "../dist/graph/program.js";
import { Recorder } from "../dist/graph/recorder.js";
import { describeMachine } from "../dist/machine/machine.js";
import { measureReadBandwidth } from "../dist/machine/roofs.js";
import { bytesPerPosition } from "../dist/model/kv-cache.js";
import { QUANTIZATIONS } from "../dist/model/quantization.js";
import { withCheckpoint } from "./make-checkpoint.js";
import { interval, markdown, median, othersFromNow } from "./measure.js";
import { openRuntime } from "./runtime.js";

const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 40);
const [DEPTH, CONTEXT, CHUNK_MS] = [128, 1024, 250];
/** A round in which others had more of the processors than this does not count; so many times the rounds are tried at most. */
const [MOST_OTHERS, MOST_TRIED] = [0.05, 4];
/** The share that a step is meant to reach. */
const GOALS = { "avx512-vnni": 0.88, avx2: 0.85 };

/** A function that decodes so many tokens behind DEPTH others, one step after another without a pause: milliseconds of all, and of the fastest. */
function decoder(runtime) {
  return async (steps) => {
    const rowOf = (i) => (i === 0 ? { slot: 0, id: 400, position: DEPTH } : { slot: 0 });
    const queued = Array.from({ length: steps }, (_, i) => runtime.sample([rowOf(i)], [0], [0]));
    return timesOf(await Promise.all(queued));
  };
}

/** The same of the products of a step: as the model fuses them, but q, k and v, which are three products here. */
async function products(device, config, { layers, lmHead }) {
  const h = device.allocate("h", "f32", [1, config.hiddenSize]);
  const contents = Float32Array.from({ length: config.hiddenSize }, (_, i) => (((i * 40_503) % 251) - 125) / 128);
  await device.run(null, { writes: [[h, contents]] });
  const r = new Recorder();
  const x = r.input(h);
  for (const { qProj, kProj, vProj, oProj, gateProj, upProj, downProj } of layers) {
    for (const weight of [kProj, vProj]) r.output(r.matmul(x, weight));
    const attended = r.add(x, r.matmul(r.matmul(x, qProj), oProj));
    const fed = r.swiglu(r.matmul(attended, gateProj), r.matmul(attended, upProj));
    r.output(r.add(attended, r.matmul(fed, downProj)));
  }
  r.output(r.matmul(x, lmHead));
  const program = compile(device, r.finish());
  return async (steps) => timesOf(await Promise.all(Array.from({ length: steps }, () => program.run())));
}

function timesOf(runs) {
  return {
    total: runs.at(-1).ended - runs[0].started,
    fastest: Math.min(...runs.map(({ started, ended }) => ended - started)),
  };
}

async function measureFormat(folder, quantize, { target, threads }) {
  const options = { target, threads, slots: 1, depth: DEPTH, contextLength: CONTEXT, quantize, cache: true };
  const { device, config, loaded, runtime } = await openRuntime(folder, options);
  try {
    const decode = decoder(runtime);
    const multiply = await products(device, config, loaded.weights);
    await decode(4); // maps the weights in
    await multiply(4);
    const { total } = await decode(4);
    const steps = Math.min(CONTEXT - DEPTH, Math.max(4, Math.round((4 * CHUNK_MS) / total)));
    const bytes = loaded.bytesPerToken + bytesPerPosition(config, "f16") * (DEPTH + steps / 2);
    const works = [
      async (round) => Object.assign(round, { roof: await measureReadBandwidth(target, threads, 1) }),
      async (round) => Object.assign(round, { step: await decode(steps) }),
      async (round) => Object.assign(round, { product: await multiply(steps) }),
    ];
    const rounds = [];
    let tried = 0;
    for (; rounds.length < ROUNDS && tried < MOST_TRIED * ROUNDS; tried++) {
      const round = {};
      const others = othersFromNow();
      for (const work of tried % 2 === 0 ? works : works.toReversed()) await work(round);
      if (others() <= MOST_OTHERS) rounds.push(round);
    }
    const name = `${quantize === "none" ? "bf16" : quantize}, ${rounds.length} of ${tried}`;
    return rounds.length === 0 ? [name] : [name, ...cellsOf(target, rounds, steps, bytes)];
  } finally {
    await device.dispose();
  }
}

const percent = (share) => (100 * share).toFixed(1);
const shareCell = ([middle, low, high]) => `${percent(middle)} % (${percent(low)} – ${percent(high)})`;

/** Whether a median is on the right side of a bound, by its interval. */
function verdict([, low, high], bound) {
  if (low >= bound) return "yes";
  return high >= bound ? "within the interval" : "no";
}

function cellsOf(target, rounds, steps, bytes) {
  const rateOf = ({ step }) => (1000 * bytes * steps) / step.total;
  const share = interval(rounds.map((round) => rateOf(round) / round.roof));
  const fastest = interval(rounds.map(({ roof, step }) => (1000 * bytes) / step.fastest / roof));
  const beside = interval(rounds.map(({ step, product }) => 1 - product.total / step.total));
  const goal = GOALS[target];
  return [
    (bytes / 1e6).toFixed(0),
    (1000 / median(rounds.map(({ step }) => step.total / steps))).toFixed(1),
    (median(rounds.map(rateOf)) / 1e9).toFixed(1),
    (median(rounds.map(({ roof }) => roof)) / 1e9).toFixed(1),
    shareCell(share),
    shareCell(fastest),
    goal === undefined ? "" : `${verdict(share, goal)} (${percent(goal)} %)`,
    shareCell(beside),
  ];
}

export async function measure() {
  const machine = describeMachine();
  return withCheckpoint(async (folder, name) => {
    const before = loadavg()[0];
    const rows = [];
    for (const quantize of QUANTIZATIONS) rows.push(await measureFormat(folder, quantize, machine));
    const note = `${name}, ${machine.target}, ${machine.threads} threads, ${ROUNDS} rounds; load ${before.toFixed(2)} before, ${loadavg()[0].toFixed(2)} after\n\n`;
    const header = [
      ...["weights, rounds", "MB a token", `tg@d${DEPTH}, t/s`, "GB/s", "read roof, GB/s", "share (95 % interval)"],
      ...["of the fastest step", "reaches the goal", "beside products (goal: below 5 %)"],
    ];
    return note + markdown(header, rows);
  });
}
