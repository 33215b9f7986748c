// A GPU: whether what it computes is right, and how fast. One command for a machine that has one, offline, of eight minutes at most:
//
//   node bench/gpu-check.js [--device cuda|cuda:1|simt] [--out folder] [--minutes 8] [--shapes 1b,8b] [--only parts]
//   node bench/gpu-check.js --pack file.tar.gz [--node]
//
//   --device    the GPU; simt, the emulator of one, tries the command itself at small sizes
//   --out       where gpu-check.json and gpu-check.md are written, as far as it has come; default build/gpu-check
//   --shapes    to time, of random weights that are made for it: 1b (2.5 GB), 8b (16 GB); those that fit; default 1b
//   --only      some of models, kernels, sanitizer, speed
//   --pack      makes a copy of all that it needs, to run from without a network; with --node, Node too
//
// Build first: npm run build && npm run build:cuda && npm run --silent pretest. Exit status 1 where anything is wrong or takes too long, 6 without a
// GPU.
import { readFileSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { pack } from "./gpu/pack.js";
import { PARTS } from "./gpu/parts.js";
import { markdownOf, write } from "./gpu/report.js";
import { SHAPES } from "./gpu/shapes.js";
import { ROOT } from "./measure.js";
import { library } from "./runtime.js";

function stop(status, message) {
  console.error(`gpu-check: ${message}`);
  process.exit(status);
}

function readArguments() {
  const text = (name) => ({ type: "string", default: name });
  try {
    const { values } = parseArgs({
      options: {
        ...{
          device: text("cuda"),
          out: text(join(ROOT, "build", "gpu-check")),
          minutes: text("8"),
          shapes: text("1b"),
        },
        ...{ only: text(PARTS.map(({ name }) => name).join(",")), pack: { type: "string" }, node: { type: "boolean" } },
      },
    });
    const { device, out, minutes, node = false, pack: file } = values;
    const [shapes, only] = [values.shapes, values.only].map((names) => names.split(","));
    if (!/^(cuda(:\d{1,4})?|simt)$/.test(device))
      throw new Error(`--device: expected cuda, cuda:1 or simt, got ${device}`);
    if (!(Number(minutes) > 0)) throw new Error(`--minutes: expected a number above 0, got ${minutes}`);
    expectAmong("--shapes", shapes, Object.keys(SHAPES));
    expectAmong(
      "--only",
      only,
      PARTS.map(({ name }) => name),
    );
    return { device, out: resolve(out), seconds: 60 * Number(minutes), shapes, only, file, node };
  } catch ({ message }) {
    return stop(2, message);
  }
}

function expectAmong(option, names, known) {
  const other = names.find((name) => !known.includes(name));
  if (other !== undefined) throw new Error(`${option}: expected some of ${known.join(", ")}, got ${other}`);
}

/** The GPU as its module describes it; ends the process where there is none. */
async function describe(kind, index) {
  for (const path of ["dist/index.js", "build/test/model/reference.js", "build/Release/quipu-reference.node"]) {
    if (statSync(join(ROOT, path), { throwIfNoEntry: false }) === undefined) {
      stop(1, `there is no ${path}: npm run build && npm run --silent pretest`);
    }
  }
  const { addonOf } = await library("addon/addon.js");
  try {
    const [driver, build, ...gpus] = addonOf(kind).gpus();
    const [name, capability, bytes, free] = gpus[index] ?? [];
    if (name === undefined) throw new Error(`the driver shows ${gpus.length} GPUs, counted from 0`);
    return { name, capability, bytes, free, driver, build };
  } catch ({ message }) {
    return stop(6, `${kind}${index > 0 ? `:${index}` : ""} is not available: ${message.replace(/\.?$/, ".")}`);
  }
}

/** What children are told so that the GPU that is meant is the first that they see. */
function visible(index) {
  if (index === 0) return {};
  const shown = process.env.CUDA_VISIBLE_DEVICES?.split(",");
  return { CUDA_VISIBLE_DEVICES: shown?.[index] ?? `${index}` };
}

async function main() {
  const { device, out, seconds, shapes, only, file, node } = readArguments();
  if (file !== undefined) return console.log(pack(resolve(file), { node }));
  const [kind, number = "0"] = device.split(":");
  const gpu = await describe(kind, Number(number));
  const report = {
    ...{ quipu: JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version, device, gpu },
    ...{ cpu: cpus()[0].model.trim(), cores: cpus().length, node: process.version, when: new Date().toISOString() },
    ...{ seconds: 0, ok: true, parts: [] },
  };
  const start = performance.now();
  const passed = () => (performance.now() - start) / 1000;
  const run = { kind, gpu, shapes, small: kind === "simt", env: visible(Number(number)) };
  const asked = PARTS.filter(({ name }) => only.includes(name));
  for (const [i, part] of asked.entries()) {
    // What the parts before have not needed is this one's, too.
    const later = asked.slice(i + 1).reduce((sum, { share }) => sum + share, 0);
    const left = seconds - passed();
    const limit = (left * part.share) / (part.share + later);
    const began = passed();
    const result = { name: part.name, title: part.title, limit, rows: [], notRun: [], problems: [] };
    report.parts.push(result);
    await part.run(run, limit, result);
    result.seconds = passed() - began;
    report.seconds = passed();
    report.ok &&= result.problems.length === 0 && result.rows.every(({ ok = true }) => ok);
    write(out, report);
    console.log(markdownOf({ ...report, parts: [result] }, i === 0));
  }
  console.log(
    `${report.ok ? "All that ran is right" : "**Something is wrong**"}; ${Math.ceil(report.seconds)} s; ${out}`,
  );
  process.exit(report.ok ? 0 : 1);
}

await main();
