// Speed beside other programs: decode and a prompt, with 0, 1 and 2 neighbours that keep a processor each busy, on two
// processors and on one (taskset), with one and two threads. Every cell is a process of its own; the cells of a round come in
// turn, and a figure is all tokens over all seconds of the rounds: what the system's scheduler does differs from process to
// process. A ratio below 0.8 means that a smaller count of threads would have been the better choice.
//
// The two processors are the first two of this process. "narrowed" takes the second away after the model was loaded: then two
// threads share one processor.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel } from "../dist/index.js";
import { markdown, output, ROOT } from "./measure.js";

const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 5);
const SECONDS = 1; // of decoding, and of prompts, in a cell
const SMOLLM2 = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const SELF = fileURLToPath(import.meta.url);

const PLACES = [
  { name: "2 processors", processors: "0,1", neighbours: 0 },
  { name: "2 processors, 1 neighbour", processors: "0,1", neighbours: 1 },
  { name: "2 processors, 2 neighbours", processors: "0,1", neighbours: 2 },
  { name: "1 processor", processors: "0", neighbours: 0 },
  { name: "1 processor, narrowed", processors: "0,1", narrowed: "0", neighbours: 0 },
];

export async function measure() {
  if (cpus().length < 2 || spawnSync("taskset", ["--version"]).status !== 0) {
    return "needs two processors and taskset (util-linux)\n";
  }
  const models = [["storyteller", "models/storyteller"], ...(existsSync(SMOLLM2) ? [["SmolLM2", SMOLLM2]] : [])];
  const cells = PLACES.flatMap((place) =>
    models.flatMap(([model, dir]) => [1, 2].map((threads) => ({ place, model, dir, threads, sums: {} }))),
  );
  for (let round = 0; round < ROUNDS; round++) {
    for (const place of PLACES) {
      const neighbours = Array.from({ length: place.neighbours }, () => busyLoop(place.processors));
      try {
        for (const cell of cells.filter((cell) => cell.place === place)) add(cell.sums, await cellOf(cell));
      } finally {
        for (const neighbour of neighbours) neighbour.kill();
      }
    }
  }
  const rate = ({ sums }, test) => sums[test].tokens / sums[test].seconds;
  const rows = [];
  for (const cell of cells.filter(({ threads }) => threads === 2)) {
    const one = cells.find((other) => other.place === cell.place && other.model === cell.model && other.threads === 1);
    for (const test of ["decode", "prompt"]) {
      const rates = [rate(one, test), rate(cell, test)];
      rows.push([
        `${cell.model}, ${test}`,
        cell.place.name,
        ...rates.map((value) => value.toFixed(0)),
        (rates[1] / rates[0]).toFixed(2),
      ]);
    }
  }
  rows.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  return markdown(["tokens/s", "where", "-t 1", "-t 2", "-t 2 ÷ -t 1"], rows);
}

function busyLoop(processors) {
  return spawn("taskset", ["-c", processors, process.execPath, "-e", "for (;;);"], { stdio: "ignore" });
}

async function cellOf({ place, dir, threads }) {
  const args = ["-c", place.processors, process.execPath, SELF, dir, String(threads), place.narrowed ?? ""];
  return JSON.parse(output("taskset", args));
}

function add(sums, result) {
  for (const [test, { tokens, seconds }] of Object.entries(result)) {
    sums[test] ??= { tokens: 0, seconds: 0 };
    sums[test].tokens += tokens;
    sums[test].seconds += seconds;
  }
}

/** In a process of its own: tokens and seconds of decoding and of prompts. */
async function measureCell(dir, threads, narrowed) {
  const model = await loadModel(dir, { threads, contextLength: 512 });
  const ids = Int32Array.from({ length: 511 }, (_, i) => (i * 7919 + 13) % model.config.vocabSize);
  await model.next(ids, { promptCache: false });
  if (narrowed !== "") output("taskset", ["-a", "-c", "-p", narrowed, String(process.pid)]);
  const prompt = await forSeconds(async () => {
    await model.next(ids, { promptCache: false });
    return ids.length;
  });
  const decode = await forSeconds(async () => {
    let tokens = 0;
    for await (const event of model.generate(ids.subarray(0, 16), {
      ...{ maxTokens: 40, seed: 1, ignoreEos: true, promptCache: false },
    })) {
      if (event.type === "token") tokens += 1;
    }
    return tokens;
  });
  await model.dispose();
  console.log(JSON.stringify({ prompt, decode }));
}

async function forSeconds(work) {
  const start = performance.now();
  let tokens = 0;
  while (performance.now() - start < 1000 * SECONDS) tokens += await work();
  return { tokens, seconds: (performance.now() - start) / 1000 };
}

if (process.argv[1] === SELF) await measureCell(process.argv[2], Number(process.argv[3]), process.argv[4]);
