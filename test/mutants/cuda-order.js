// Whatever orders accesses in the CUDA kernels, left out, one at a time: every barrier, and every wait for copies or for the kernel before. Found in
// the sources, so that none is forgotten.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = "native/cuda/kernels";
const ORDER = /\b(?:__syncthreads\(\)|__syncwarp\(\)|copyAsyncWait<[^>]+>\(\)|waitForPredecessor\(\));/g;
const product = ["kernels/matmul.test", "kernels/norm-matmul-swiglu", "kernels/norm-qkv", "model/cuda-bound"];
/** The tests of a file's kernels. */
const TESTS = {
  "attention.cu": ["kernels/attention.test"],
  "attention_tile.h": ["kernels/attention.test"],
  "cache.cu": ["kernels/append-kv"],
  "cache.h": ["kernels/append-kv"],
  "draw.h": ["kernels/sample.test"],
  "elements.h": ["kernels/rms-norm.test", "kernels/gather-norm", "kernels/norm-matmul-swiglu"],
  "product.cu": product,
  "product_dense.h": ["model/cuda-bound"],
  "product_kernel.h": product,
  "product_wide.h": ["model/cuda-bound"],
  "ranking.h": ["kernels/sample.test"],
  "sample.cu": ["kernels/sample.test"],
  "simple.cu": ["add.test", "advance", "gather", "resume", "rms-norm.test", "rope.test", "rope-angles"].map(
    (name) => `kernels/${name}`,
  ),
};

/** A mutant's texts: as much before the statement as makes it the only one in the file. */
function without(text, start, statement) {
  const end = start + statement.length;
  let from = start;
  while (from > 0 && text.split(text.slice(from, end)).length > 2) --from;
  return { from: text.slice(from, end), to: `${text.slice(from, start)}if (!(MUTANT)) ${statement}` };
}

const folder = fileURLToPath(new URL(`../../${FOLDER}/`, import.meta.url));
export const mutants = readdirSync(folder)
  .sort()
  .flatMap((name) => {
    const text = readFileSync(folder + name, "utf8");
    return [...text.matchAll(ORDER)].map(({ index, 0: statement }) => ({
      fault: `line ${text.slice(0, index).split("\n").length} without ${statement.slice(0, -1)}`,
      file: `${FOLDER}/${name}`,
      ...without(text, index, statement),
      tests: TESTS[name] ?? [],
    }));
  });
const untested = mutants.find(({ tests }) => tests.length === 0);
if (untested !== undefined) throw new Error(`test/mutants/cuda-order.js: name the tests of ${untested.file}`);
