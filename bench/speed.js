// Prompt and decode speed on a real checkpoint: share of the roofs measured in the same run, and beside transformers (PyTorch)
// on the same checkpoint, in turn. QUIPU_BENCH_MODEL names another folder, QUIPU_BENCH_PYTHON the Python that has
// torch and transformers (test/reference/README.md says how to make one).
import { existsSync } from "node:fs";
import { join } from "node:path";
import { markdown, median, output, ROOT } from "./measure.js";

const ROUNDS = 3;
const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const PYTHON = process.env.QUIPU_BENCH_PYTHON ?? join(ROOT, "build/reference-venv/bin/python");

export async function measure() {
  if (!existsSync(join(MODEL, "config.json"))) return `no model at ${MODEL}: scripts/make-smollm2.sh makes it\n`;
  const withTransformers = existsSync(PYTHON);
  const rounds = Array.from({ length: ROUNDS }, () => ({
    quipu: quipu(),
    transformers: withTransformers ? transformers() : undefined,
  }));
  const of = (pick) => median(rounds.map(pick));
  const row = (name, test, theirs) => [
    name,
    of((round) => round.quipu[test].rate).toFixed(1),
    of((round) => round.quipu[test].roof).toFixed(1),
    // None where the caches hold half of what a token reads.
    rounds[0].quipu[test].share === undefined ? "" : `${(100 * of((round) => round.quipu[test].share)).toFixed(0)} %`,
    ...(withTransformers
      ? [of(theirs).toFixed(1), `${of((round) => round.quipu[test].rate / theirs(round)).toFixed(2)} ×`]
      : []),
  ];
  const bf16 = ({ transformers: { stored } }) => Math.max(stored.decode.loop.median, stored.decode.generate.median);
  const float32 = ({ transformers: theirs }) => theirs.float32.prefill.median;
  const note = withTransformers ? "" : `\ntransformers was not measured: ${PYTHON} does not exist\n`;
  return `${markdown(
    ["test", "tokens/s", "GB/s or GFLOP/s", "of the roof", ...(withTransformers ? ["transformers", "ratio"] : [])],
    [
      row("decode, bf16 weights (transformers: bf16)", "decode", bf16),
      row("prompt of 512 (transformers: f32)", "prompt", float32),
    ],
  )}${note}`;
}

function quipu() {
  const args = [
    "--benchmark",
    "-m",
    MODEL,
    "--format",
    "json",
    "--repeats",
    "3",
    "--gen-tokens",
    "64",
    "--depth",
    "32",
  ];
  const { rows } = JSON.parse(output(process.execPath, ["bin/quipu.js", ...args, "--temp", "0"]));
  const find = (prefix, unit) => {
    const { "t/s": rate, [unit]: roof, share } = rows.find(({ test }) => test.startsWith(prefix));
    return { rate, roof, share };
  };
  return { decode: find("tg", "GB/s"), prompt: find("pp", "GFLOP/s") };
}

function transformers() {
  return JSON.parse(output(PYTHON, ["bench/reference/transformers_speed.py", MODEL, "--repeats", "3"]));
}
