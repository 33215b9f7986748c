// Seeds faults, one at a time, and says which of them the tests see. In a copy of the tree, which is removed afterwards.
//
//   node scripts/test-mutants.js              all of test/mutants (half an hour)
//   node scripts/test-mutants.js rope slots   those whose list, file or fault contains one of the words
//   node scripts/test-mutants.js --check      only whether each text is there, once, and its tests: `npm run lint` asks
//
// A mutant is an exact text that is replaced (test/mutants/README.md). Native ones are compiled together, each under a condition
// that the environment chooses at start, those of native/cuda for the emulator; those of TypeScript one after another, and those that only PTX
// shows, too (nvcc, and launches that `npm run check:cuda` has recorded). First everything is tested without any, and a text that is not there
// exactly once is a failure, so that no mutant counts that was not seeded. Exit status 1 where fewer than 95 % are caught.
import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transformSync } from "esbuild";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const LEAST_CAUGHT = 0.95;
/** Tests that take so many times longer than without a fault hang; but a busy machine may hold up a short one. */
const [HANGS, SHORT_MS] = [5, 60_000];
/** What MUTANT asks, in C++. In a kernel it is no access that the emulator looks at. */
const CHOICE = `#pragma once
#include <cstdlib>
[[maybe_unused]] __attribute__((noinline, no_sanitize("thread", "undefined"))) static bool quipuMutant(int number) {
  static const char* const chosen = getenv("QUIPU_MUTANT");
  static const int chosenNumber = chosen == nullptr ? 0 : atoi(chosen);
  return chosenNumber == number;
}
`;
/** Tests on the emulator of a GPU. */
const EMULATED = { QUIPU_TEST_DEVICES: "simt", QUIPU_CPU: "scalar" };
const onlyChecks = process.argv.includes("--check");
const words = process.argv.slice(2).filter((word) => word !== "--check");

const mutants = (await readLists()).filter(
  ({ list, file, fault }) =>
    words.length === 0 || words.some((word) => [list, file, fault].some((text) => text.includes(word))),
);
const problems = mutants.flatMap(problemsOf);
if (mutants.length === 0) problems.push(`no mutant has one of: ${words.join(", ")}`);
if (problems.length > 0) fail(problems.join("\n"));
if (onlyChecks) process.exit();

const copy = mkdtempSync(join(tmpdir(), "quipu-mutants-"));
let child; // the tests that run
const usualTimes = new Map(); // by test, in milliseconds
process.on("exit", () => {
  killTests();
  rmSync(copy, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

console.log(`${mutants.length} mutants, in ${copy}`);
copyTree();
compile();
const survivors = [];
const catchers = new Map(); // of native/cuda: what caught how many
const scripts = mutants.filter(({ file }) => file.endsWith(".ts"));
const inPtx = mutants.filter(({ ptx }) => ptx !== undefined);
const [onGpu, onCpu] = [true, false].map((gpu) =>
  mutants.filter((m) => !scripts.includes(m) && !inPtx.includes(m) && isCuda(m) === gpu),
);
let addon = join(root, "build", "Release", "quipu.node");
const groups = groupsOf(onCpu);
for (const group of groups) {
  addon = buildNative(group);
  await expectGreen(group === groups[0] ? [...onCpu, ...scripts] : group); // the other groups have other builds
  for (const [i, mutant] of group.entries()) await judge(mutant, { QUIPU_MUTANT: String(i + 1) });
}
if (groups.length === 0) await expectGreen(scripts);
for (const mutant of scripts) await judgeScript(mutant);
for (const group of groupsOf(onGpu)) {
  addon = buildNative(group);
  await expectGreen(group, EMULATED);
  for (const [i, mutant] of group.entries()) await judge(mutant, { ...EMULATED, QUIPU_MUTANT: String(i + 1) });
}
if (inPtx.length > 0) judgePtx();

const caught = mutants.length - survivors.length;
for (const [by, count] of [...catchers].sort())
  console.log(`CUDA kernels: ${String(count).padStart(3)} caught by ${by}`);
console.log(`${caught} of ${mutants.length} caught (${((100 * caught) / mutants.length).toFixed(1)} %)`);
for (const { file, fault, survives } of survivors)
  console.log(`survived: ${file}: ${fault}${survives ? ` (${survives})` : ""}`);
process.exit(caught / mutants.length < LEAST_CAUGHT ? 1 : 0);

function fail(message) {
  console.error(message);
  process.exit(1);
}

async function readLists() {
  const folder = join(root, "test", "mutants");
  const lists = readdirSync(folder)
    .filter((name) => name.endsWith(".js"))
    .sort();
  const read = lists.map(async (name) => {
    const { mutants } = await import(pathToFileURL(join(folder, name)));
    return mutants.map((mutant) => ({ ...mutant, list: basename(name, ".js") }));
  });
  return (await Promise.all(read)).flat();
}

function isCuda({ file }) {
  return file.startsWith("native/cuda/");
}

function problemsOf({ list, file, fault, from, to, ptx, tests = [] }) {
  const where = `test/mutants/${list}.js: ${fault}`;
  if (!existsSync(join(root, file))) return [`${where}: there is no ${file}`];
  const found = readFileSync(join(root, file), "utf8").split(from).length - 1;
  const wrong = [];
  if (found !== 1) wrong.push(`${where}: its text is in ${file} ${found} times: expected once`);
  if (from === to) wrong.push(`${where}: it changes nothing`);
  if (!file.endsWith(".ts") && ptx === undefined && to.split("MUTANT").length !== 2)
    wrong.push(`${where}: expected MUTANT once`);
  for (const test of tests) {
    const [folder, name] = [join(root, "test", dirname(test)), basename(test)];
    if (!existsSync(folder) || !readdirSync(folder).some((entry) => entry.startsWith(name))) {
      wrong.push(`${where}: there is no test ${test}`);
    }
  }
  return wrong;
}

function run(command, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: copy,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) fail(`${stdout}\n${stderr}\n${command} ${args.join(" ")}: exit status ${status}`);
}

function copyTree() {
  const listed = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of listed.stdout.split("\0").filter((name) => name !== "" && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  if (!existsSync(join(copy, "node_modules"))) symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
}

function compile() {
  const tsc = ["node_modules/typescript/bin/tsc", "-p"];
  run(process.execPath, [...tsc, "tsconfig.json"]);
  run(process.execPath, [...tsc, "test/tsconfig.json"]);
  run(process.execPath, ["scripts/bundle.js"]);
  const reference = join("build", "Release", "quipu-reference.node"); // beside which the kernels' results are held
  if (!existsSync(join(root, reference))) fail("npm test builds the reference device: run it first");
  mkdirSync(dirname(join(copy, reference)), { recursive: true });
  cpSync(join(root, reference), join(copy, reference));
}

/** Mutants whose texts do not overlap are compiled together. */
function groupsOf(natives) {
  const groups = [];
  for (const mutant of natives) {
    const start = readFileSync(join(root, mutant.file), "utf8").indexOf(mutant.from);
    const placed = { ...mutant, start, end: start + mutant.from.length };
    const isFree = (group) =>
      group.every(({ file, start, end }) => file !== placed.file || end <= placed.start || placed.end <= start);
    const group = groups.find(isFree);
    if (group === undefined) groups.push([placed]);
    else group.push(placed);
  }
  return groups;
}

/** Native sources with all mutants of the group in them. */
function writeNative(group) {
  const header = join(copy, "mutant.h");
  writeFileSync(header, CHOICE);
  for (const folder of ["native", join("test", "native")]) {
    for (const name of readdirSync(join(root, folder), { recursive: true })) {
      if (/\.(cc|cu|h)$/.test(name))
        writeFileSync(join(copy, folder, name), nativeText(join(folder, name), group, header));
    }
  }
}

/**
 * The addon with all mutants of the group in it; where it can be, with the emulated targets, so that every target is tested. Of
 * native/cuda, the addon as it is, beside which the emulator's is.
 */
function buildNative(group) {
  writeNative(group);
  // No test here is about speed, and this takes half the time to compile.
  writeFileSync(
    join(copy, "CMakeLists.txt"),
    readFileSync(join(root, "CMakeLists.txt"), "utf8").replace(/-O[23]/g, "-O1"),
  );
  const cuda = isCuda(group[0]);
  const target = cuda ? "quipu-simt" : process.arch === "x64" ? "quipu-emulated" : "quipu";
  const started = Date.now();
  // Once for all groups: a folder that was configured is not configured again.
  const variables = mutants.some(isCuda) ? { QUIPU_SIMT: "ON" } : {};
  const { status } = cmake(join(copy, "build"), { root: copy, target, variables, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
  console.log(`${group.length} native mutants compiled in ${seconds(started)}`);
  const release = join(copy, "build", "Release");
  if (!cuda) return join(release, `${target}.node`);
  cpSync(join(root, "build", "Release", "quipu.node"), join(release, "quipu.node"));
  return join(release, "quipu.node");
}

/** A native source with the group's mutants; each translation unit has a choice of its own, so that no target shares code with another. */
function nativeText(file, group, header) {
  let text = readFileSync(join(root, file), "utf8");
  const inFile = [...group.entries()].filter(([, mutant]) => mutant.file === file);
  for (const [i, { start, end, to }] of inFile.sort(([, a], [, b]) => b.start - a.start)) {
    text = text.slice(0, start) + to.replace("MUTANT", () => `::quipuMutant(${i + 1})`) + text.slice(end);
  }
  return /\.(cc|cu)$/.test(file) ? `#include "${header}"\n${text}` : text;
}

function killTests() {
  if (child === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {} // it is gone
}

/** What stopped the tests: the name of the first that failed, or how they ended otherwise; undefined where they pass. */
function stoppedBy(tests, limit, env = {}) {
  const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", "--bail=1"];
  child = spawn(process.execPath, [...jest, ...tests.map((test) => `/build/test/${test}`)], {
    cwd: copy,
    env: { ...process.env, QUIPU_ADDON: addon, ...env },
    detached: true, // a group of its own, that ends with it
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    killTests();
  }, limit);
  return new Promise((resolve) => {
    child.on("close", (status) => {
      clearTimeout(timer);
      killTests();
      const failed = /^ +● (.*)$/m.exec(output)?.[1];
      if (status === 0) resolve(undefined);
      else resolve({ by: hangs ? "time" : (failed ?? `exit status ${status}`), output });
    });
  });
}

async function expectGreen(tested, env = {}) {
  const started = Date.now();
  for (const test of new Set(tested.flatMap(({ tests }) => tests))) {
    const from = Date.now();
    const stopped = await stoppedBy([test], 2 ** 30, env);
    if (stopped !== undefined) fail(`${stopped.output}\n${test} fails without any mutant`);
    usualTimes.set(test, Date.now() - from);
  }
  console.log(`without any mutant: passed in ${seconds(started)}`);
}

async function judge(mutant, env) {
  const started = Date.now();
  const usual = mutant.tests.reduce((sum, test) => sum + usualTimes.get(test), 0);
  const stopped = await stoppedBy(mutant.tests, Math.max(HANGS * usual, SHORT_MS), env);
  if (isCuda(mutant) && stopped !== undefined) {
    const finding = /^ *simt: ([\w ]+):/m.exec(stopped.output)?.[1];
    stopped.by = finding === undefined ? `results (${stopped.by})` : `the emulator (${finding})`;
    count(stopped.by.replace(/ \(.*/, ""));
  }
  tell(mutant, started, stopped?.by);
}

function count(by) {
  catchers.set(by, (catchers.get(by) ?? 0) + 1);
}

function tell(mutant, started, by) {
  if (by === undefined) survivors.push(mutant);
  const verdict = by === undefined ? "SURVIVED" : "caught  ";
  console.log(
    `${verdict} ${seconds(started).padStart(6)}  ${mutant.file}: ${mutant.fault}${by === undefined ? "" : `, by ${by}`}`,
  );
}

/** Each compiled by nvcc for sm_80, and run by the interpreter of PTX over the launches of its kernel. */
function judgePtx() {
  const launches = join(root, "build", "cuda-launches");
  const interpreter = join(root, "build", "cuda-venv", "bin", "python");
  if (!existsSync(launches) || !existsSync(interpreter)) fail("npm run check:cuda records launches: run it first");
  writeNative([]);
  const ptx = join(copy, "ptx");
  mkdirSync(ptx);
  const differs = ({ source, kernel }) => {
    const flags = ["-std=c++20", "-O3", "--fmad=false", "-arch=sm_80", "-I", "native", "-ptx"];
    run("nvcc", [...flags, source, "-o", join(ptx, "kernels.ptx")]);
    const replay = ["test/cuda/ptx/replay.py", launches, `sm_80=${ptx}`, "--only", kernel];
    const { stdout, stderr } = spawnSync(interpreter, replay, { cwd: root, encoding: "utf8" });
    const wrong = /, (\d+) wrong\n$/.exec(stdout)?.[1];
    if (wrong === undefined) fail(`${stdout}${stderr}\nthe interpreter did not come to an end`);
    return Number(wrong) > 0;
  };
  const sound = new Set(inPtx.map((mutant) => JSON.stringify(mutant.ptx)));
  for (const each of sound) if (differs(JSON.parse(each))) fail(`${each}: PTX differs without any mutant`);
  for (const mutant of inPtx) {
    const started = Date.now();
    const text = readFileSync(join(root, mutant.file), "utf8");
    writeFileSync(
      join(copy, mutant.file),
      text.replace(mutant.from, () => mutant.to),
    );
    const caught = differs(mutant.ptx);
    writeFileSync(join(copy, mutant.file), text);
    if (caught) count("PTX");
    tell(mutant, started, caught ? "PTX" : undefined);
  }
}

async function judgeScript(mutant) {
  const compiled = join(copy, mutant.file.replace(/^src\/(.*)\.ts$/, "dist/$1.js"));
  const before = readFileSync(compiled);
  const text = readFileSync(join(root, mutant.file), "utf8").replace(mutant.from, () => mutant.to);
  const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true, target: "es2023" } };
  writeFileSync(compiled, transformSync(text, { loader: "ts", format: "esm", tsconfigRaw }).code);
  run(process.execPath, ["scripts/bundle.js"]);
  await judge(mutant, {});
  writeFileSync(compiled, before);
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(0)} s`;
}
