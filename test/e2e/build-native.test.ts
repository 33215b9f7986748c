// A machine on which the addon cannot be built says what is missing, and where the compiler fails, that.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { ROOT } from "./run-cli.js";

const dir = temporaryFolder();

/** A copy of the package's sources, so that a build that fails leaves the one in use alone. */
const copy = join(dir, "package");
mkdirSync(copy);
for (const name of ["package.json", "CMakeLists.txt", "scripts", "native"])
  cpSync(join(ROOT, name), join(copy, name), { recursive: true });
symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));

/** A folder of commands that all exit with `status`. */
function commands(name: string, status: Readonly<Record<string, number>>): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  for (const [command, code] of Object.entries(status)) {
    writeFileSync(join(folder, command), `#!/bin/sh\necho "$0 says no" >&2\nexit ${code}\n`);
    chmodSync(join(folder, command), 0o755);
  }
  return folder;
}

function build(env: Readonly<Record<string, string>>, cwd = copy) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/build-native.js"], {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { status, output: stdout + stderr };
}

test("the packages that only a build takes are fetched into the installed package, in the versions that it names", () => {
  const installed = join(dir, "installed");
  cpSync(copy, installed, { recursive: true, filter: (source) => !source.endsWith("node_modules") });
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const wanted = ["cmake-js", "node-addon-api", "node-api-headers"].map((name) => `${name}@${devDependencies[name]}`);
  // In place of npm: says what it was asked for, and puts the packages of this checkout where it was told to.
  const bin = commands("npm's", { npm: 0, "c++": 0 });
  writeFileSync(join(bin, "npm"), `#!/bin/sh\necho "npm $* in $PWD" >&2\nln -s "${ROOT}/node_modules" node_modules\n`);
  const { status, output } = build({ PATH: `${bin}:${process.env.PATH}`, CXX: join(bin, "c++") }, installed);
  const tools = join(installed, "build", "tools");
  expect(output).toContain(`quipu: fetching what the build takes, into ${tools}: ${wanted.join(", ")}`);
  expect(output).toMatch(/^npm install .*--ignore-scripts .* in \S+\/build\/tools$/m);
  expect(output).toMatch(/says no[\s\S]*the compiler's messages are above\.$/m); // of the compiler: cmake-js was there
  expect(status).toBe(1);
});

test("packages that cannot be fetched: npm's message, and the command to try again", () => {
  const installed = join(dir, "offline");
  cpSync(copy, installed, { recursive: true, filter: (source) => !source.endsWith("node_modules") });
  const bin = commands("failing npm", { npm: 1 });
  const { status, output } = build({ PATH: `${bin}:${process.env.PATH}` }, installed);
  expect(output).toMatch(/says no\nAfter mending that, run the same command again\.$/m);
  expect(status).toBe(1);
});

test("nothing to build with: each tool, where it was looked for and the package that brings it", () => {
  const { status, output } = build({ PATH: commands("empty", {}), CXX: "" });
  expect(status).toBe(1);
  expect(output).toMatch(/^quipu: the native addon cannot be built on this machine\. Missing:$/m);
  expect(output).toMatch(/a C\+\+20 compiler \(looked for: c\+\+, g\+\+, clang\+\+\): apt-get install g\+\+/);
  expect(output).toMatch(/CMake 3\.18 or newer \(looked for: cmake\): apt-get install cmake/);
  expect(output).toMatch(/make or ninja \(looked for: make, ninja\): apt-get install make/);
  expect(output).toMatch(/then run the same command again\.$/m);
});

test("no compiler alone", () => {
  const { status, output } = build({ PATH: commands("tools", { cmake: 0, make: 0, ninja: 0 }), CXX: "" });
  expect(status).toBe(1);
  expect(output).toMatch(/C\+\+20 compiler/);
  expect(output).not.toMatch(/CMake|ninja/);
});

test("a compiler that CXX names and that is not there", () => {
  const { status, output } = build({ CXX: "/no/such/c++" });
  expect(status).toBe(1);
  expect(output).toMatch(/looked for: \/no\/such\/c\+\+/);
});

test("a compiler that fails: its messages, then what is needed", () => {
  const broken = join(commands("broken", { "c++": 0 }), "c++");
  writeFileSync(
    broken,
    '#!/bin/sh\ncase "$1" in --version) exit 0;; esac\necho "internal compiler error" >&2\nexit 1\n',
  );
  const { status, output } = build({ CXX: broken });
  expect(status).toBe(1);
  expect(output).toMatch(/internal compiler error/);
  expect(output).toMatch(/building the native addon failed; the compiler's messages are above\.$/m);
  expect(output).toMatch(/g\+\+ 11 or clang 14.*CMake 3\.18.*make or ninja/);
  expect(output).toMatch(/run the same command again\.$/m);
});
