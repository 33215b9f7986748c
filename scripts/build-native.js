// Builds the native addon from its sources with cmake-js: build/Release/quipu.node. In a clone `npm install` runs it; where the
// package is installed a user may (`node <package>/scripts/build-native.js`), and the packages that only builds take are fetched
// then. What else is missing is explained.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake, provideBuildPackages } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, "build", "Release", "quipu.node");

/** The Debian package that brings each tool. */
const TOOLS = [
  {
    commands: process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"],
    what: "a C++20 compiler",
    install: "apt-get install g++",
  },
  { commands: ["cmake"], what: "CMake 3.18 or newer", install: "apt-get install cmake" },
  { commands: ["make", "ninja"], what: "make or ninja", install: "apt-get install make   (or ninja-build)" },
];

const answers = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

const missing = TOOLS.filter((tool) => !tool.commands.some(answers));
if (missing.length > 0) {
  console.error("quipu: the native addon cannot be built on this machine. Missing:");
  for (const tool of missing)
    console.error(`  - ${tool.what} (looked for: ${tool.commands.join(", ")}): ${tool.install}`);
  console.error("Install what is missing, then run the same command again.");
  process.exit(1);
}

if (!provideBuildPackages()) {
  console.error("After mending that, run the same command again.");
  process.exit(1);
}
const built = cmake(join(root, "build"));
if (built.status !== 0 || !existsSync(addon)) {
  process.stderr.write(built.stdout ?? "");
  process.stderr.write(built.stderr ?? "");
  console.error("\nquipu: building the native addon failed; the compiler's messages are above.");
  console.error("It needs a C++20 compiler (g++ 11 or clang 14, or newer), CMake 3.18 or newer, and make or ninja.");
  console.error("After mending that, run the same command again.");
  process.exit(1);
}
