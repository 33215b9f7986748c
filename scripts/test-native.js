// The native tests under sanitizers: builds the addon with them and runs the tests that exercise native code on it.
//
//   node scripts/test-native.js            AddressSanitizer and UndefinedBehaviorSanitizer, into build/sanitize: kernels, device,
//                                          hostile files, lifecycle, tokenizer
//   node scripts/test-native.js --tsan     ThreadSanitizer, into build/tsan: kernels that share work in every way, devices, requests
//                                          at once, encoders, the trainer, and the threads without Node (scripts/test-threads.js)
import { spawnSync } from "node:child_process";
import { realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsan = process.argv.includes("--tsan");
const out = join(root, "build", tsan ? "tsan" : "sanitize");
const rest = process.argv.slice(2).filter((arg) => arg !== "--tsan");

const run = (command, args, env = {}) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });

/** Where gcc keeps a sanitizer's runtime. Node is not instrumented, so it is loaded first. */
const library = (name) =>
  realpathSync(spawnSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" }).stdout.trim());

if (tsan) {
  const { status } = run(process.execPath, ["scripts/test-threads.js", "--tsan"]);
  if (status !== 0) process.exit(status ?? 1);
}
const built = cmake(out, {
  variables: { QUIPU_SANITIZE: tsan ? "thread" : "address,undefined", QUIPU_REFERENCE: "ON" },
  stdio: "inherit",
});
if (built.status !== 0) process.exit(built.status ?? 1);

const tests = tsan
  ? [
      ...["kernels/matmul", "kernels/attention", "kernels/sample.test", "lifecycle/device", "lifecycle/devices"],
      ...[
        "library/slots",
        "library/scheduler",
        "lifecycle/encode",
        "unit/tokenizer/threads",
        "unit/tokenizer/train-memory",
      ],
    ]
  : ["kernels", "lifecycle", "unit/device", "unit/checkpoint", "unit/tokenizer"];
/** What computes for minutes nothing that the others do not: how often ids are drawn, what packages have in them, and on which platforms. */
const LEFT_OUT = ["kernels/sample-distribution", "lifecycle/package", "lifecycle/platforms"];
const tested = run(
  process.execPath,
  [
    "--experimental-vm-modules",
    "--no-warnings",
    "node_modules/jest/bin/jest.js",
    // Under ThreadSanitizer a run alone takes the memory and the threads that there are.
    ...(tsan ? ["--runInBand"] : []),
    ...rest,
    ...["--testPathIgnorePatterns", "/node_modules/", ...LEFT_OUT, "--"],
    ...tests.map((test) => `build/test/${test}`),
  ],
  {
    QUIPU_ADDON: join(out, "Release", "quipu.node"),
    QUIPU_SANITIZED: "1",
    ...(tsan ? threadSanitizer() : addressSanitizer()),
  },
);
process.exit(tested.status ?? 1);

/** Leaks are not looked for: V8 keeps what it allocates; the lifecycle tests count ours. */
function addressSanitizer() {
  return {
    LD_PRELOAD: `${library("libasan.so")} ${library("libubsan.so")}`,
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1",
    UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
  };
}

/** What V8 synchronizes in ways that ThreadSanitizer does not see is not ours. */
function threadSanitizer() {
  const suppressions = join(out, "suppressions");
  writeFileSync(suppressions, `race:${realpathSync(process.execPath)}\nrace:v8::\nrace:node::\n`);
  return {
    LD_PRELOAD: library("libtsan.so"),
    TSAN_OPTIONS: `halt_on_error=1 ignore_noninstrumented_modules=1 suppressions=${suppressions} exitcode=66`,
  };
}
