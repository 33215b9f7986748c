// How near `quipu plan` comes: the speed that it expects of a model beside what the same machine measures of it, and the roofs, in turn
// in each round. SmolLM2 where it is there, random weights of its shape where it is not, and of Llama 3.2 1B's shape; each as it is,
// in q8 and in q4. QUIPU_BENCH_ROUNDS says how many rounds, QUIPU_BENCH_MODEL names another folder than the 1B shape's.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCheckpoint, withCheckpoint } from "./make-checkpoint.js";
import { markdown, median, othersFromNow, ROOT } from "./measure.js";
import { library } from "./runtime.js";

const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 5);
const FORMATS = ["none", "q8", "q4"];
const SMOLLM2 = join(ROOT, "build/models/smollm2");
const SMOLLM2_SHAPE = { layers: 30, hidden: 576, heads: 9, kvHeads: 3, ffn: 1536, vocab: 49_152, tied: true };
/** What an expectation may be off by, of what is measured. */
const GOAL = 0.2;
const CONTEXT = 1024;

/** One plan and one benchmark, one after the other. */
async function round(folder, quantize) {
  const { planModel } = await library("benchmark/plan.js");
  const { runBenchmark } = await library("benchmark/benchmark.js");
  const { readConfig } = await library("model/config.js");
  const { maxPositions } = await readConfig(folder);
  const others = othersFromNow();
  const options = { quantize, contextLength: Math.min(CONTEXT, maxPositions), slots: 1 };
  const plan = await planModel(folder, { ...options, kvCache: "f16" });
  const { rows, roofs } = await runBenchmark(
    folder,
    { ...options, tokenizer: false },
    { repeats: 3, promptTokens: Math.min(512, maxPositions) },
  );
  const [{ speed }] = plan.loads;
  const rate = (name) => rows.find(({ test, unit }) => unit === "t/s" && test.startsWith(name)).value;
  const measured = { pp: rate("pp"), tg: rate("tg") };
  const expected = { pp: speed.prompt, tg: speed.decode };
  return { expected, measured, layers: speed.measuredLayers, reads: roofs.readBandwidth, others: others() };
}

async function rowsOf(name, folder) {
  const rows = [];
  const rounds = Object.fromEntries(FORMATS.map((format) => [format, []]));
  for (let i = 0; i < ROUNDS; i++) for (const format of FORMATS) rounds[format].push(await round(folder, format));
  for (const format of FORMATS) {
    const of = (pick) => median(rounds[format].map(pick));
    for (const test of ["pp", "tg"]) {
      const ratios = rounds[format]
        .map(({ expected, measured }) => expected[test] / measured[test])
        .sort((a, b) => a - b);
      const off = Math.abs(median(ratios) - 1);
      rows.push([
        `${name}, ${format}, ${test === "pp" ? "pp512" : "tg128"}`,
        rounds[format][0].layers,
        of(({ expected }) => expected[test]).toPrecision(4),
        of(({ measured }) => measured[test]).toPrecision(4),
        `${median(ratios).toFixed(2)} (${ratios[0].toFixed(2)} – ${ratios.at(-1).toFixed(2)})`,
        off <= GOAL ? "within" : "**off**",
        (of(({ reads }) => reads) / 1e9).toFixed(1),
        `${(100 * of(({ others }) => others)).toFixed(0)} %`,
      ]);
    }
  }
  return rows;
}

export async function measure() {
  const made = existsSync(join(SMOLLM2, "config.json")) ? undefined : mkdtempSync(join(tmpdir(), "quipu-bench-"));
  if (made !== undefined) makeCheckpoint(made, SMOLLM2_SHAPE);
  try {
    const rows = [
      ...(await rowsOf("storyteller", join(ROOT, "models/storyteller"))),
      ...(await rowsOf(made === undefined ? "SmolLM2" : "SmolLM2's shape", made ?? SMOLLM2)),
      ...(await withCheckpoint((folder, name) => rowsOf(name, folder))),
    ];
    const header = [
      "model, weights, test",
      "layers run",
      "expected, t/s",
      "measured, t/s",
      "expected ÷ measured, median (all)",
    ];
    return markdown([...header, `within ${100 * GOAL} %`, "read roof, GB/s", "others' use of the processors"], rows);
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true });
  }
}
