// The parts of a check of a GPU. Each is run in processes of its own, with a limit: what it has come to by then is kept. A part fills `rows`, each with
// `ok` where it is right or wrong; `notRun`, what was left out and why; `problems`, what else went wrong.
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { EXCHANGING, MODELS, OPS } from "../../test/cuda/suites.js";
import { ROOT } from "../measure.js";
import { lastLines, rowsOf, runChild } from "./child.js";
import { bytesOf, SHAPES } from "./shapes.js";

const script = (name) => join(ROOT, "bench", "gpu", `${name}.js`);

/** A script that prints rows. */
async function rowsFrom(args, { env }, seconds, result) {
  const { status, stdout, stderr, late } = await runChild(process.execPath, args, { seconds, env });
  result.rows.push(...rowsOf(stdout));
  if (late) result.problems.push(`not done within ${Math.round(seconds)} s`);
  else if (status !== 0) result.problems.push(`exit status ${status}: ${lastLines(stderr)}`);
}

async function models(run, seconds, result) {
  await rowsFrom([script("models"), run.kind, run.small ? "small" : "all"], run, seconds, result);
}

/** The tests of every op against float64 and of fused ops against their parts, those of models in company with others. */
async function kernels({ kind, small, env }, seconds, result) {
  const jest = join(ROOT, "node_modules", "jest", "bin", "jest.js");
  const suites = small ? EXCHANGING.slice(-2, -1) : [...MODELS, ...OPS];
  const args = ["--experimental-vm-modules", "--no-warnings", jest, "--watchman=false", "--maxWorkers=4", ...suites];
  // Of the CPU one instruction set is enough to compare with.
  const asked = { ...env, QUIPU_TEST_DEVICES: kind, QUIPU_CPU: "scalar" };
  const { status, stderr, late } = await runChild(process.execPath, args, { seconds, env: asked });
  for (const [, verdict, suite] of stderr.matchAll(/^(PASS|FAIL) \S*?(test\/\S+)\.test\.js/gm)) {
    result.rows.push({ suite, ok: verdict === "PASS" });
  }
  const summary = /^Tests: +(.*)$/m.exec(stderr)?.[1];
  if (summary !== undefined) result.summary = summary;
  if (late) result.problems.push(`not done within ${Math.round(seconds)} s: what is listed was`);
  else if (status !== 0) result.problems.push(`exit status ${status}: ${lastLines(stderr, 40)}`);
}

const TOOLS = ["memcheck", "racecheck", "synccheck", "initcheck"];

async function sanitizer({ kind, small, env }, seconds, result) {
  const smallRun = [script("small-run"), kind];
  if (small) {
    // The run that it would look at, by itself.
    await rowsFrom(smallRun, { env }, seconds, result);
    result.notRun.push("compute-sanitizer: it looks at a GPU, not at the emulator of one");
    return;
  }
  const end = performance.now() + 1000 * seconds;
  for (const [i, tool] of TOOLS.entries()) {
    const left = (end - performance.now()) / 1000 / (TOOLS.length - i);
    const args = ["--tool", tool, "--error-exitcode", "9", process.execPath, ...smallRun];
    const { status, stdout, stderr, late, missing } = await runChild("compute-sanitizer", args, { seconds: left, env });
    if (missing) {
      result.notRun.push(`${TOOLS.slice(i).join(", ")}: compute-sanitizer is not on the PATH`);
      return;
    }
    const summary = /=+ ((?:ERROR|RACECHECK) SUMMARY: .*)/.exec(stdout)?.[1];
    if (late) result.problems.push(`${tool}: not done within ${Math.round(left)} s`);
    else
      result.rows.push({
        tool,
        says: summary ?? lastLines(`${stdout}${stderr}`, 3),
        ok: status === 0 && summary !== undefined,
      });
  }
}

/** Why a shape cannot be timed here; undefined: it can. */
function tooLarge(name, gpu) {
  const bytes = bytesOf(SHAPES[name]);
  const { bavail, bsize } = statfsSync(tmpdir());
  const gigabytes = (count) => `${(count / 1e9).toFixed(1)} GB`;
  const needed = 1.1 * bytes + 2e9; // caches of sixteen sequences, workspace, what q8 and q4 pass through
  if (needed > gpu.free) return `${gigabytes(needed)} of the GPU's memory are needed, ${gigabytes(gpu.free)} are free`;
  if (bytes > bavail * bsize) return `its ${gigabytes(bytes)} do not fit ${tmpdir()}`;
  return undefined;
}

async function speed(run, seconds, result) {
  const end = performance.now() + 1000 * seconds;
  const shapes = run.small ? ["tiny"] : run.shapes;
  for (const [i, name] of shapes.entries()) {
    const why = run.small ? undefined : tooLarge(name, run.gpu);
    const left = (end - performance.now()) / 1000 / (shapes.length - i);
    if (why !== undefined) result.notRun.push(`${name}: ${why}`);
    else await rowsFrom([script("speed"), run.kind, name, "none", "q8", "q4"], run, left, result);
  }
}

/** In their order, with their share of the time. */
export const PARTS = [
  { name: "models", title: "Whole models", share: 1, run: models },
  { name: "kernels", title: "Kernels against float64", share: 3, run: kernels },
  { name: "speed", title: "Speed", share: 2.5, run: speed },
  { name: "sanitizer", title: "compute-sanitizer", share: 1.5, run: sanitizer },
];
