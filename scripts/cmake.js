// The one call of cmake-js, which configures and compiles CMakeLists.txt with the headers of Node-API.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

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
  const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  return spawnSync(process.execPath, [cmakeJs, ...args], {
    ...{ cwd: root, encoding: "utf8", stdio, maxBuffer: Number.POSITIVE_INFINITY },
    env: { ...process.env, npm_config_nodedir: "" }, // cmake-js would take its headers: those of npm's node-api-headers are meant
  });
}
