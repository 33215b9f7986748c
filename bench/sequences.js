// Sequences that decode together: milliseconds of a step of 1 to 16 rows behind DEPTH tokens each, by formats, in turn, every second round
// backwards; tokens a second as a multiple of one row's, of the same rounds, with its 95 % interval; and what share that is of the most there
// could be (goal with q4: 60 %): n times one row's, or as many as the peak of the format's arithmetic allows, where that is less.
//
// Weights are those of QUIPU_BENCH_MODEL, or random ones of Llama 3.2 1B's shape (bench/make-checkpoint.js), found in the cache folder.
// QUIPU_CPU names another instruction set than the fastest, QUIPU_BENCH_ROUNDS another number of rounds than 40.
import { loadavg } from "node:os";
import process from "node:process";
import { describeMachine } from "../dist/machine/machine.js";
import { higherRoofs, measureRoofs } from "../dist/machine/roofs.js";
import { QUANTIZATIONS } from "../dist/model/quantization.js";
import { withCheckpoint } from "./make-checkpoint.js";
import { interval, markdown, median } from "./measure.js";
import { decodeStep, openRuntime } from "./runtime.js";

const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 40);
const [ROWS, DEPTH, CONTEXT, STEPS] = [[1, 2, 4, 8, 16], 32, 64, 2];
/** What share of the most there could be weights are meant to reach. */
const GOALS = { q4: 0.6 };

/** Milliseconds of one of STEPS steps, one right after the other. */
async function time(step) {
  const runs = await Promise.all(Array.from({ length: STEPS }, step));
  return (runs.at(-1).ended - runs[0].started) / STEPS;
}

async function measureFormat(folder, quantize, { target, threads }) {
  const slots = Math.max(...ROWS);
  const options = { target, threads, slots, depth: DEPTH, contextLength: CONTEXT, quantize, cache: true };
  const { device, loaded, runtime } = await openRuntime(folder, options);
  try {
    const steps = Object.fromEntries(ROWS.map((count) => [count, decodeStep(runtime, count, DEPTH)]));
    const rounds = [];
    let roofs = await measureRoofs(target, threads);
    for (let i = 0; i <= ROUNDS; i++) {
      const round = {};
      for (const count of i % 2 === 0 ? ROWS : ROWS.toReversed()) round[count] = await time(steps[count]);
      if (i > 0) rounds.push(round); // the first maps the weights in
    }
    roofs = higherRoofs(roofs, await measureRoofs(target, threads));
    const peak = quantize === "none" ? roofs.peak : roofs.integerPeak;
    const one = median(rounds.map((round) => round[1]));
    // Two operations a weight and row: the most rows in the time of one step of one.
    const most = (peak * (one / 1000)) / (2 * loaded.parameters);
    const cells = ROWS.slice(1).map((count) => {
      const [ratio, low, high] = interval(rounds.map((round) => (count * round[1]) / round[count]));
      const bound = Math.min(count, most);
      const missed = high / bound < GOALS[quantize] ? ", missed" : ""; // reached where the interval does
      return `${ratio.toFixed(2)} × (${low.toFixed(2)} – ${high.toFixed(2)}), ${((100 * ratio) / bound).toFixed(0)} %${missed}`;
    });
    return [`${quantize === "none" ? "as they are" : quantize}, ${target}`, one.toFixed(1), ...cells];
  } finally {
    await device.dispose();
  }
}

export async function measure() {
  const machine = describeMachine();
  return withCheckpoint(async (folder, name) => {
    const before = loadavg()[0];
    const rows = [];
    for (const quantize of QUANTIZATIONS) rows.push(await measureFormat(folder, quantize, machine));
    const note = `${name}, ${machine.threads} threads, ${ROUNDS} rounds; load ${before.toFixed(2)} before, ${loadavg()[0].toFixed(2)} after\n\n`;
    return note + markdown(["weights", "one, ms", ...ROWS.slice(1).map(String)], rows);
  });
}
