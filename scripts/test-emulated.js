// The kernels of instruction sets that this machine may not have, through emulation (test/native/emulated): first each emulated
// instruction against its pseudo-code, then the kernel tests and test/model/invariance on a build of the addon that has
// them as one target more, build/Release/quipu-emulated.node.
//
//   node scripts/test-emulated.js [jest's arguments]
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
}

/** In the form of jest's summary, which .ci/run counts. */
function leaveOut(reason) {
  console.log(`Tests:       0 passed, emulated targets left out: ${reason}`);
  process.exit(0);
}

if (process.arch !== "x64") leaveOut("they are built of x86-64's instructions");

const parallel = ["--parallel", String(availableParallelism())];
const intrinsics = join(build, "emulated-tests");
run("cmake", ["-S", join("test", "native", "emulated"), "-B", intrinsics]);
run("cmake", ["--build", intrinsics, ...parallel]);
const CANNOT_EMULATE = 77;
const compared = spawnSync(join(intrinsics, "intrinsics_test"), [], { stdio: "inherit" });
if (compared.status === CANNOT_EMULATE) leaveOut("this CPU has no AVX2, FMA and F16C to emulate with");
if (compared.status !== 0) process.exit(compared.status ?? 1);

const { status } = cmake(build, { target: "quipu-emulated", stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
/** What differs with VNNI is products of codes. */
const CODES = ["build/test/kernels/quantize", "build/test/kernels/attention", "build/test/model/invariance"];
const TESTS = {
  "avx512-emulated": ["build/test/kernels", "build/test/model/invariance"],
  "avx-vnni-emulated": CODES,
  "avx512-vnni-emulated": CODES,
};
for (const [target, tests] of Object.entries(TESTS)) {
  run(process.execPath, [...jest, ...tests, ...process.argv.slice(2)], {
    QUIPU_ADDON: join(build, "Release", "quipu-emulated.node"),
    QUIPU_CPU: target,
  });
}
