// The addon for machines that have no compiler: build/prebuilt/<platform>/quipu.node, for glibc 2.28 and with the C++ runtime in it,
// checked (scripts/check-addon.js). Of linux-x64 the objects that g++ has made for this machine are linked once more, so that it has
// the speed of a build from source; linux-arm64 is compiled by zig's clang. Both take zig, which has the symbols of every glibc: from
// PyPI, into build/zig.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { OLDEST_GLIBC, problemsOf } from "./check-addon.js";
import { cmake } from "./cmake.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const ZIG_VERSION = "0.17.1";

/** What each platform's processor is called by Node, and how its addon is made at a path. */
export const PLATFORMS = {
  "linux-x64": { cpu: "x64", make: link },
  "linux-arm64": { cpu: "arm64", make: (path) => compile("aarch64", path) },
};

/**
 * Makes the addon of a platform.
 *
 * @returns {string} its path.
 * @throws {Error} where it cannot be made, or is not what may be published.
 */
export function makePrebuilt(platform) {
  const path = join(build, "prebuilt", platform, "quipu.node");
  mkdirSync(dirname(path), { recursive: true });
  PLATFORMS[platform].make(path);
  const problems = problemsOf(path);
  if (problems.length > 0) throw new Error(`${path} must not be published:\n  ${problems.join("\n  ")}`);
  return path;
}

/** The objects of build/Release/quipu.node for an older glibc. */
function link(path) {
  if (process.arch !== "x64")
    throw new Error(`linux-x64 is linked of objects that x64 has compiled; this is ${process.arch}`);
  succeed(cmake(build, { target: "quipu" }));
  const runtime = succeed(run("g++", ["-print-file-name=libstdc++.a"])).trim();
  const own = join(root, "native", "prebuilt");
  succeed(
    run(
      zig(),
      [
        ...["cc", "-target", `x86_64-linux-gnu.${OLDEST_GLIBC}`, "-O2", "-shared", "-s", "-o", path, "-Wl,-z,nodelete"],
        ...[`-Wl,--version-script=${join(own, "exports.map")}`, `@${join(build, "quipu-objects.txt")}`],
        ...[join(own, "single_threaded.c"), runtime, "-lunwind", "-lm", "-lpthread"],
      ],
      build,
    ),
  );
}

/** All of it, for a processor that this machine need not have. */
function compile(processor, path) {
  const variables = {
    ...{ QUIPU_PREBUILT: "ON", QUIPU_OUTPUT: dirname(path) },
    ...{ CMAKE_SYSTEM_NAME: "Linux", CMAKE_SYSTEM_PROCESSOR: processor },
    CMAKE_CXX_COMPILER: [zig(), "c++", "-target", `${processor}-linux-gnu.${OLDEST_GLIBC}`].join(";"),
  };
  succeed(cmake(join(dirname(path), "cmake"), { target: "quipu", variables }));
}

/** The path of zig, installed where it is not there. */
function zig() {
  process.env.ZIG_GLOBAL_CACHE_DIR = join(build, "zig-cache");
  const venv = join(build, "zig");
  const python = join(venv, "bin", "python");
  const locate = () => run(python, ["-c", "import ziglang; print(ziglang.__path__[0])"]);
  if (locate().status !== 0) {
    succeed(run("python3", ["-m", "venv", venv]));
    succeed(run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `ziglang==${ZIG_VERSION}`]));
  }
  return join(succeed(locate()).trim(), "zig");
}

function run(command, args, cwd = root) {
  return Object.assign(spawnSync(command, args, { cwd, encoding: "utf8" }), { what: `${command} ${args.join(" ")}` });
}

/** What it has printed. */
function succeed({ status, stdout, stderr, error, what = "building the addon" }) {
  if (status === 0) return stdout;
  throw new Error(`${what} failed${error ? `: ${error.message}` : ""}\n${stdout ?? ""}${stderr ?? ""}`);
}
