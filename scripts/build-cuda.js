// Builds the CUDA device: build/Release/quipu-cuda.node, beside quipu.node. `npm run build:cuda [-- 90 …]`: for which compute
// capabilities, default all that the project names. Needs nvcc, of CUDA 13, on the PATH or in /usr/local/cuda.
import { existsSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake, provideBuildPackages } from "./cmake.js";

const DEFAULT_COMPILER = "/usr/local/cuda/bin/nvcc";

const compiler = [
  ...(process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "nvcc")),
  DEFAULT_COMPILER,
].find((path) => existsSync(path));
if (compiler === undefined) {
  console.error(
    `nvcc was found neither on the PATH nor as ${DEFAULT_COMPILER}: install the CUDA toolkit, 13.0 or newer.`,
  );
  process.exit(1);
}
const architectures = process.argv.slice(2);
const wrong = architectures.find((each) => !/^[1-9]\d{1,2}[af]?$/.test(each));
if (wrong !== undefined) {
  console.error(`${wrong}: expected compute capabilities without a point, such as 80, 89 and 90.`);
  process.exit(2);
}
if (!provideBuildPackages()) process.exit(1);
const build = join(dirname(dirname(fileURLToPath(import.meta.url))), "build");
const variables = {
  QUIPU_CUDA: "ON",
  QUIPU_OUTPUT: join(build, "Release"),
  CMAKE_CUDA_COMPILER: compiler,
  ...(architectures.length > 0 && { QUIPU_CUDA_ARCHITECTURES: architectures.join(";") }),
};
rmSync(join(build, "cuda", "CMakeCache.txt"), { force: true }); // cmake-js configures once: capabilities asked for later would be ignored
const { status, stdout, stderr } = cmake(join(build, "cuda"), { target: "quipu-cuda", variables });
if (status !== 0) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
process.exit(status ?? 1);
