// The native tests under AddressSanitizer and UndefinedBehaviorSanitizer: builds the addon with both into build/sanitize and
// runs the tests that exercise native code on it (kernels, device, hostile files, lifecycle, tokenizer).
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "build", "sanitize");
const TESTS = [
  "build/test/kernels",
  "build/test/lifecycle",
  "build/test/unit/device",
  "build/test/unit/checkpoint",
  "build/test/unit/tokenizer",
];

const run = (command, args, env = {}) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });

mkdirSync(out, { recursive: true });
const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
const built = run(
  process.execPath,
  [
    cmakeJs,
    "build",
    "--directory",
    root,
    "--out",
    out,
    "--config",
    "Release",
    "--CDQUIPU_SANITIZE=ON",
    "--parallel",
    String(availableParallelism()),
  ],
  { npm_config_nodedir: "" },
);
if (built.status !== 0) process.exit(built.status ?? 1);

// Node itself is not instrumented, so the sanitizer's runtime comes first, and leaks are not looked for (V8 keeps what it
// allocates; the lifecycle tests count ours).
const library = (name) => spawnSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" }).stdout.trim();
const tested = run(
  process.execPath,
  [
    "--experimental-vm-modules",
    "--no-warnings",
    "node_modules/jest/bin/jest.js",
    "--runInBand",
    ...TESTS,
    ...process.argv.slice(2),
  ],
  {
    QUIPU_ADDON: join(out, "Release", "quipu.node"),
    QUIPU_SANITIZED: "1",
    LD_PRELOAD: `${library("libasan.so")} ${library("libubsan.so")}`,
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1",
    UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
  },
);
process.exit(tested.status ?? 1);
