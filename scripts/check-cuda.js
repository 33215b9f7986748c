// What can be proven of the CUDA kernels without a GPU, of what `npm run build:cuda` has made of them for sm_80, sm_89 and sm_90:
//
//   node scripts/check-cuda.js [resources] [ptx] [races] [--write] [--shapes]
//
//   resources   registers, stacks, shared memory, occupancy, tensor-core instructions, loads of 16 bytes and bank conflicts of every
//               kernel, against the table of docs/cuda-kernels.md, which --write makes anew, with its essentials in docs/cuda.md (test/cuda/resources.js)
//   ptx         the PTX that nvcc emitted, run by an interpreter over launches that the emulator records: the same memory (test/cuda/ptx)
//   races       that of sm_80, proven free of races over all schedules (test/cuda/prove_races.py), of every kernel a launch; --shapes takes
//               three shapes of each, of sm_90 too
//
// Installs NVIDIA's disassemblers, numpy and sentryward from PyPI into build/cuda-venv first. Exit status 1 where anything is wrong.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  ARCHITECTURES,
  documented,
  essentialsOf,
  markdownOf,
  plain,
  problemsOf,
  resourcesIn,
  rowOf,
  tableOf,
} from "../test/cuda/resources.js";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const module = join(build, "Release", "quipu-cuda.node");
const venv = join(build, "cuda-venv");
const launches = join(build, "cuda-launches");
const shaped = join(build, "cuda-launches-shaped");
const images = join(build, "cuda-images");
const wavefronts = join(launches, "wavefronts.json");
const [table, guide] = ["cuda-kernels.md", "cuda.md"].map((name) => join(root, "docs", name));
const PACKAGES = [
  "nvidia-cuda-cuobjdump==13.4.92",
  "nvidia-cuda-nvdisasm==13.5.37",
  "numpy==2.4.6",
  "sentryward==0.1.1",
];
const TIERS = ["resources", "ptx", "races"];
const SHAPES = 3;

const asked = process.argv.slice(2);
const write = asked.includes("--write");
const shapes = asked.includes("--shapes");
const named = asked.filter((arg) => !["--write", "--shapes"].includes(arg));
const wrong = named.find((arg) => !TIERS.includes(arg));
if (wrong !== undefined) stop(2, `${wrong}: expected some of ${TIERS.join(", ")}, --write, --shapes`);
const tiers = named.length > 0 ? named : TIERS;

if (!existsSync(module)) stop(1, `there is no ${module}: npm run build:cuda -- ${ARCHITECTURES.join(" ")}`);
installTools();
buildEmulator();
extractPtx();
let failed = false;
if (tiers.includes("ptx") || tiers.includes("resources")) {
  recordLaunches(launches, 1);
  replayLaunches();
}
if (tiers.includes("resources")) checkResources();
if (tiers.includes("races")) {
  recordLaunches(shaped, SHAPES);
  for (const architecture of shapes ? ["80", "90"] : ["80"])
    python("test/cuda/prove_races.py", shaped, join(images, architecture), "--shapes", String(shapes ? SHAPES : 1));
}
process.exit(failed ? 1 : 0);

function stop(status, message) {
  console.error(message);
  process.exit(status);
}

function run(command, args, env = {}) {
  const options = { cwd: root, encoding: "utf8", env: { ...process.env, ...env }, maxBuffer: 2 ** 30 };
  const { status, signal, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) stop(1, `${stdout}${stderr}\n${command} ${args.join(" ")}: exit status ${status ?? signal}`);
  return stdout;
}

function python(script, ...args) {
  const { status } = spawnSync(join(venv, "bin", "python"), [script, ...args], { cwd: root, stdio: "inherit" });
  failed ||= status !== 0;
}

function installTools() {
  const stamp = join(venv, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === PACKAGES.join("\n")) return;
  rmSync(venv, { recursive: true, force: true });
  run("python3", ["-m", "venv", venv]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  run(join(venv, "bin", "python"), [...pip, ...PACKAGES]);
  writeFileSync(stamp, PACKAGES.join("\n"));
}

function cuobjdump(args, cwd = root) {
  const lib = join(venv, "lib");
  const tools = join(lib, readdirSync(lib)[0], "site-packages", "nvidia", "cu13", "bin");
  const env = { ...process.env, PATH: `${tools}:${process.env.PATH}` };
  return execFileSync(join(tools, "cuobjdump"), [...args, module], { cwd, env, encoding: "utf8", maxBuffer: 2 ** 30 });
}

function buildEmulator() {
  const variables = { QUIPU_SIMT: "ON", QUIPU_OUTPUT: join(build, "Release") };
  const { status, stdout, stderr } = cmake(join(build, "simt"), { target: "quipu-simt", variables });
  if (status !== 0) stop(1, `${stdout}${stderr}\nquipu-simt.node: exit status ${status}`);
  run("npm", ["run", "--silent", "pretest"]);
}

/** Every kernel once or more on the emulator, with what was in memory before and after; of everything that does not go by contents more shapes. */
function recordLaunches(folder, shapes) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  run(process.execPath, [join(build, "test", "cuda", "launches.js")], {
    QUIPU_SIMT_RECORD: folder,
    QUIPU_LAUNCH_SHAPES: String(shapes),
    QUIPU_SIMT_CHECKS: "none",
    QUIPU_SIMT_SEED: "0",
  });
}

/** The PTX of each architecture into a folder of its own. */
function extractPtx() {
  rmSync(images, { recursive: true, force: true });
  for (const architecture of ARCHITECTURES) mkdirSync(join(images, architecture), { recursive: true });
  cuobjdump(["--extract-ptx", "all"], images);
  for (const name of readdirSync(images).filter((each) => each.endsWith(".ptx"))) {
    const architecture = /sm_(\d+)/.exec(name)[1];
    if (ARCHITECTURES.includes(architecture)) renameSync(join(images, name), join(images, architecture, name));
  }
  const missing = ARCHITECTURES.find((architecture) => readdirSync(join(images, architecture)).length === 0);
  if (missing !== undefined)
    stop(1, `${module} has nothing for sm_${missing}: npm run build:cuda -- ${ARCHITECTURES.join(" ")}`);
}

/** The interpreter also counts wavefronts, which are a resource. */
function replayLaunches() {
  const folders = ARCHITECTURES.map((architecture) => `sm_${architecture}=${join(images, architecture)}`);
  python("test/cuda/ptx/replay.py", launches, ...folders, "--wavefronts", wavefronts);
}

function checkResources() {
  const measured = Object.fromEntries(ARCHITECTURES.map((a) => [a, resourcesIn(cuobjdump, a)]));
  const shapes = new Map();
  for (const line of readFileSync(join(launches, "launches.jsonl"), "utf8").trimEnd().split("\n")) {
    const { kernel, block, shared } = JSON.parse(line);
    const key = rowOf(plain(kernel));
    shapes.set(key, { threads: block[0], dynamic: Math.max(shapes.get(key)?.dynamic ?? 0, shared) });
  }
  const rows = tableOf(measured, shapes, JSON.parse(readFileSync(wavefronts, "utf8")));
  const markdown = markdownOf(rows);
  if (write) {
    replaceTable(table, "kernel", markdown);
    replaceTable(guide, "of sm_80", essentialsOf(rows));
  }
  console.log(`\n${markdown}\n`);
  const problems = problemsOf(rows, write ? rows : documented(readFileSync(table, "utf8")));
  for (const problem of problems) console.error(problem);
  failed ||= problems.length > 0;
  console.log(`${rows.size} rows of ${measured[ARCHITECTURES[0]].size} kernels, ${problems.length} wrong`);
}

/** The table of a document whose first column has this name. */
function replaceTable(path, column, markdown) {
  const rows = new RegExp(`^\\| ${column}\\b.*(\\n\\|.*)*`, "m");
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(rows, () => markdown),
  );
}
