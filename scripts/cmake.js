// The one call of cmake-js, which configures and compiles CMakeLists.txt with the headers of Node-API.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Where they are put in a package that is installed; of a clone they are development dependencies. */
const FETCHED = join(ROOT, "build", "tools");
const BUILD_PACKAGES = ["cmake-js", "node-addon-api", "node-api-headers"];

/**
 * Sees to it that the packages which only a build takes are there: in versions that package.json names, from npm's registry.
 *
 * @returns {boolean} whether they are; npm has said why not.
 */
export function provideBuildPackages() {
  if (BUILD_PACKAGES.every((name) => folderOf(name) !== undefined)) return true;
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const wanted = BUILD_PACKAGES.map((name) => `${name}@${devDependencies[name]}`);
  console.error(`quipu: fetching what the build takes, into ${FETCHED}: ${wanted.join(", ")}`);
  mkdirSync(FETCHED, { recursive: true });
  // A folder of its own, as npm sees it. With --prefix npm would leave the machine's npmrc out, with its registry and certificates.
  writeFileSync(join(FETCHED, "package.json"), "{}\n");
  const args = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", ...wanted];
  return spawnSync("npm", args, { cwd: FETCHED, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

/** Undefined where the package is not there. */
function folderOf(name) {
  const require = createRequire(import.meta.url);
  try {
    return dirname(require.resolve(`${name}/package.json`, { paths: [ROOT, FETCHED] }));
  } catch {
    return undefined;
  }
}

/**
 * Builds in the folder `out`.
 *
 * @param {{ root?: string, target?: string, variables?: Record<string, string>, stdio?: "pipe" | "inherit" }} [options] a target
 *   instead of all; variables of CMake; what the compiler says in the result, or on the terminal.
 * @returns {import("node:child_process").SpawnSyncReturns<string>}
 */
export function cmake(out, { root = ROOT, target, variables = {}, stdio = "pipe" } = {}) {
  mkdirSync(out, { recursive: true });
  const args = ["build", "--directory", root, "--out", out, "--config", "Release"];
  if (target !== undefined) args.push("--target", target);
  for (const [name, value] of Object.entries(variables)) args.push(`--CD${name}=${value}`);
  args.push("--parallel", String(availableParallelism()));
  const cmakeJs = join(folderOf("cmake-js") ?? "cmake-js", "bin", "cmake-js");
  return spawnSync(process.execPath, [cmakeJs, ...args], {
    ...{ cwd: root, encoding: "utf8", stdio, maxBuffer: Number.POSITIVE_INFINITY },
    env: { ...process.env, npm_config_nodedir: "" }, // cmake-js would take its headers: those of npm's node-api-headers are meant
  });
}
