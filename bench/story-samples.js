// Stories side by side: what models, and stories260K, make of the same beginning, by the same seeds; the first, nothing chosen.
//
//   node bench/story-samples.js folder…          QUIPU_BENCH_SEEDS: default 5
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { loadModel } from "../dist/index.js";
import { markdown } from "./measure.js";
import { BOS, convertStories260k, stories260kEncoder, stories260kText } from "./stories260k.js";

const SEEDS = Number(process.env.QUIPU_BENCH_SEEDS ?? 5);
const BEGINNING = "Once upon a time";
const OPTIONS = { maxTokens: 256, temperature: 0.7, topP: 0.95 };

/** @param textOf the text of ids behind the one that begins it. */
async function stories(model, ids, textOf) {
  const told = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const all = [...ids];
    for await (const event of model.generate(ids, { ...OPTIONS, seed })) {
      if (event.type === "token") all.push(event.id);
    }
    told.push(textOf(all.slice(1)));
  }
  return told;
}

const columns = [];
for (const path of process.argv.slice(2)) {
  const model = await loadModel(path);
  const { tokenizer } = model;
  columns.push([
    path,
    ...(await stories(model, tokenizer.encode(BEGINNING, { bos: true }), (ids) => tokenizer.decode(ids))),
  ]);
  await model.dispose();
}
const folder = mkdtempSync(join(tmpdir(), "quipu-stories260k-"));
try {
  convertStories260k(folder);
  const model = await loadModel(folder, { tokenizer: false });
  const ids = [BOS, ...stories260kEncoder()(BEGINNING)];
  // A story ends where another begins.
  const untilNext = (told) => told.slice(0, told.includes(BOS) ? told.indexOf(BOS) : undefined);
  columns.push(["stories260K", ...(await stories(model, ids, (told) => stories260kText(untilNext(told))))]);
  await model.dispose();
} finally {
  rmSync(folder, { recursive: true });
}
const cell = (text) => text.trim().replaceAll("|", "\\|").replace(/\n+/g, "<br>");
const rows = Array.from({ length: SEEDS }, (_, i) => [i + 1, ...columns.map((column) => cell(column[i + 1]))]);
process.stdout.write(markdown(["seed", ...columns.map(([name]) => name)], rows).replaceAll("---:", "---"));
