// What CI proves of the CUDA device without a GPU: the emulator native/simt finds the faults that kernels are seeded with
// (test/native/simt, built into build/simt-tests), and finds none in native/cuda, whose sources it runs under the kernels' tests.
//
//   node scripts/test-simt.js            all of it; with arguments of jest, those tests alone
//   node scripts/test-simt.js --quick    what takes less than a minute, for who changes a kernel
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXCHANGING, MODELS, OPS, QUICK } from "../test/cuda/suites.js";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const out = join(build, "simt-tests");
const asked = process.argv.slice(2).flatMap((arg) => (arg === "--quick" ? QUICK : [arg]));

/** Of ops, of whole models, and of devices that are not as they should be. */
const TESTS = [...OPS, ...MODELS, "test/lifecycle/cuda"];

function run(command, args, { stdio = "pipe", env = {} } = {}) {
  const options = { cwd: root, encoding: "utf8", stdio, env: { ...process.env, ...env } };
  expectSuccess(spawnSync(command, args, options), `${command} ${args.join(" ")}`);
}

function expectSuccess({ status, signal, stdout, stderr }, what) {
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ""}${stderr ?? ""}\n${what}: exit status ${status ?? signal}\n`);
  process.exit(1);
}

if (asked.length === 0) {
  run("cmake", ["-S", join(root, "test", "native", "simt"), "-B", out]);
  run("cmake", ["--build", out, "--parallel", "2"]);
  run(join(out, "simt_tests"), [], { stdio: "inherit" });
}

const variables = { QUIPU_SIMT: "ON", QUIPU_OUTPUT: join(build, "Release") };
expectSuccess(cmake(join(build, "simt"), { target: "quipu-simt", variables }), "quipu-simt.node");
const tests = (names, env = {}) =>
  run("npm", ["test", "--", ...names], {
    stdio: "inherit",
    env: { QUIPU_TEST_DEVICES: "simt", QUIPU_CPU: "scalar", ...env },
  });
// Once more, with threads and blocks in an order of their own and interrupted at accesses.
if (asked.length === 0) tests(EXCHANGING, { QUIPU_SIMT_SEED: "1" });
tests(asked.length > 0 ? asked : TESTS);
