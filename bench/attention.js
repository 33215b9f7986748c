// Attention by itself over a prompt of 4,096 tokens, in steps of 512 rows as the library takes them, and one row behind so many: GFLOP/s
// of 4 · d a query head and visible key, beside the best peak of f32 multiply-adds of the run. One thread, its processor time (what
// neighbours take is not counted), best of all rounds, each instruction set of this machine. QUIPU_BENCH_HEADS are key/value heads other
// than two, each with four query heads. QUIPU_BENCH_DIST names other builds' dists, with : between, which take turns.
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { markdown, ROOT } from "./measure.js";

const [TOKENS, STEP, GROUP, ROUNDS, REPEATED] = [4096, 512, 4, 4, 64];
const HEADS = Number(process.env.QUIPU_BENCH_HEADS ?? 2);
const DISTS = (process.env.QUIPU_BENCH_DIST ?? join(ROOT, "dist")).split(":");

const processorSeconds = async (work) => {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};

/** Works of one build: a prompt's attention, and that of its last row alone, over a cache that appendKv has written. */
async function worksOf(dist, target, size, dtype) {
  const library = (path) => import(pathToFileURL(join(dist, path)).href);
  const { Device } = await library("device/device.js");
  const { Recorder } = await library("graph/recorder.js");
  const { compile } = await library("graph/program.js");
  const device = new Device("cpu", target, 1);
  const blocks = TOKENS / 64;
  const of = (name, type, shape, bound) => device.allocate(name, type, shape, bound);
  const scales = () => (dtype === "i8" ? of("scales", "f32", [blocks, HEADS, 64]) : undefined);
  const cache = {
    ...{ keys: of("keys", dtype, [blocks, HEADS, size, 64]), values: of("values", dtype, [blocks, HEADS, 64, size]) },
    ...{ keyScales: scales(), valueScales: scales() },
  };
  const rows = {
    ...{ slots: of("slots", "i32", [TOKENS], 1), positions: of("positions", "i32", [TOKENS], TOKENS) },
    pageTable: of("pageTable", "i32", [1, blocks], blocks),
  };
  const [kv, q] = [of("kv", "f32", [TOKENS, HEADS * size]), of("q", "f32", [STEP, GROUP * HEADS * size])];
  let state = 1;
  const random = (length) =>
    Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      return state / 2 ** 31;
    });
  const counted = (length) => Int32Array.from({ length }, (_, i) => i);
  await device.run(null, {
    writes: [
      [kv, random(TOKENS * HEADS * size)],
      [q, random(STEP * GROUP * HEADS * size)],
      [rows.slots, new Int32Array(TOKENS)],
      [rows.positions, counted(TOKENS)],
      [rows.pageTable, counted(blocks)],
    ],
  });
  const inputs = (recorder, tensors) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor && recorder.input(tensor)]));
  const recorder = new Recorder();
  const values = recorder.input(kv);
  recorder.appendKv(values, values, inputs(recorder, cache), inputs(recorder, rows));
  await compile(device, recorder.finish()).run();
  const attend = (first, count) => {
    const recorder = new Recorder();
    const some = (tensor) => ({ ...tensor, offset: 4 * first, shape: [count] });
    const places = { ...rows, slots: some(rows.slots), positions: some(rows.positions) };
    const queries = recorder.input({ ...q, shape: [count, GROUP * HEADS * size] });
    recorder.output(
      recorder.attention(queries, inputs(recorder, cache), inputs(recorder, places), Math.fround(size ** -0.5)),
    );
    return compile(device, recorder.finish());
  };
  const steps = Array.from({ length: TOKENS / STEP }, (_, i) => attend(i * STEP, STEP));
  const row = attend(TOKENS - 1, 1);
  return {
    prompt: async () => {
      for (const step of steps) await step.run();
    },
    decode: async () => {
      for (let i = 0; i < REPEATED; i++) await row.run();
    },
    dispose: () => device.dispose(),
  };
}

/** Of each build, its name and the least seconds of its works. */
async function measured(target, size, dtype) {
  const builds = await Promise.all(DISTS.map((dist) => worksOf(dist, target, size, dtype)));
  const best = builds.map(() => [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [k, build] of builds.entries()) {
      for (const [i, work] of [build.prompt, build.decode].entries())
        best[k][i] = Math.min(best[k][i], await processorSeconds(work));
    }
  }
  for (const build of builds) await build.dispose();
  const flops = (4 * size * HEADS * GROUP * TOKENS * (TOKENS + 1)) / 2;
  return best.map(([prompt, decode], k) => ({
    name: `${target}, ${size}, ${dtype}${builds.length > 1 ? `, ${DISTS[k]}` : ""}`,
    ...{ target, rate: flops / prompt, micros: (1e6 * decode) / REPEATED },
  }));
}

export async function measure() {
  const { availableTargets } = await import(pathToFileURL(join(DISTS[0], "machine/machine.js")).href);
  const { measureRoofs } = await import(pathToFileURL(join(DISTS[0], "index.js")).href);
  const all = [];
  const peaks = {};
  for (const target of availableTargets().filter((name) => name !== "scalar")) {
    for (const size of [64, 128]) {
      for (const dtype of ["f32", "f16", "i8"]) {
        all.push(...(await measured(target, size, dtype)));
        peaks[target] = Math.max(peaks[target] ?? 0, (await measureRoofs(target, 1)).peak);
      }
    }
  }
  const rows = all.map(({ name, target, rate, micros }) => {
    const share = `${((100 * rate) / peaks[target]).toFixed(0)} %`;
    return [name, (rate / 1e9).toFixed(0), share, micros.toFixed(0)];
  });
  const header = ["instruction set, head size, cache", "GFLOP/s", "of the peak", `a row behind ${TOKENS}, µs`];
  return markdown(header, rows);
}
