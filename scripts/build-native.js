// Builds the native addon with cmake-js: build/Release/quipu.node. Runs as npm's install script, so it uses only what
// npm has put beside it (node-addon-api, node-api-headers) and explains what is missing instead of downloading it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, "build", "Release", "quipu.node");
const prebuilt = process.argv.includes("--if-missing");

/** Debian / macOS package that brings each tool. */
const TOOLS = [
  {
    commands: process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"],
    what: "a C++20 compiler",
    install: "apt-get install g++   (macOS: xcode-select --install)",
  },
  { commands: ["cmake"], what: "CMake 3.18 or newer", install: "apt-get install cmake   (macOS: brew install cmake)" },
  { commands: ["make", "ninja"], what: "make or ninja", install: "apt-get install make   (or ninja-build)" },
];

const answers = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

const missing = TOOLS.filter((tool) => !tool.commands.some(answers));
if (missing.length > 0) {
  console.error("quipu: the native addon cannot be built on this machine. Missing:");
  for (const tool of missing)
    console.error(`  - ${tool.what} (looked for: ${tool.commands.join(", ")}): ${tool.install}`);
  console.error("Install what is missing, then run: npm run build:native");
  process.exit(1);
}
if (prebuilt && existsSync(addon)) process.exit(0);

mkdirSync(join(root, "build"), { recursive: true });
const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
const built = spawnSync(
  process.execPath,
  [
    cmakeJs,
    "build",
    "--directory",
    root,
    "--out",
    join(root, "build"),
    "--config",
    "Release",
    "--parallel",
    String(availableParallelism()),
  ],
  { cwd: root, encoding: "utf8", maxBuffer: Number.POSITIVE_INFINITY, env: { ...process.env, npm_config_nodedir: "" } },
);
if (built.status !== 0 || !existsSync(addon)) {
  process.stderr.write(built.stdout ?? "");
  process.stderr.write(built.stderr ?? "");
  console.error("\nquipu: building the native addon failed; the compiler's messages are above.");
  console.error("It needs a C++20 compiler (g++ 11 or clang 14, or newer), CMake 3.18 or newer, and make or ninja.");
  console.error("After mending that, run: npm run build:native");
  process.exit(1);
}
