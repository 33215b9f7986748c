// The tests that say whether a CUDA device computes what it should, as jest takes them: run on the emulator of a GPU (scripts/test-simt.js), and on a GPU
// (bench/gpu-check.js).

const kernels = (names) => names.map((name) => `test/kernels/${name}`);

/** Those of ops, but sample-distribution, whose draws take the emulator more than four minutes. */
export const OPS = kernels([
  ...["add.test", "advance", "append-kv", "attention.test", "capacity", "gather", "matmul-"],
  ...["matmul.test", "norm-", "placed", "resume", "rms-norm.test", "rope.test", "rope-angles"],
  ...["sample.test", "swiglu.test"],
]);
/** Of those, what the emulator does within a minute: without sampling, gates, and products of many rows. */
export const QUICK = kernels([
  ...["add.test", "advance", "append-kv", "attention.test", "gather", "matmul.test", "norm-qkv"],
  ...["placed", "resume", "rms-norm.test", "rope.test", "rope-angles", "swiglu.test"],
]);
/** Those of whole models. */
export const MODELS = ["test/model/cuda"];
/** Those of ops whose threads exchange the most. */
export const EXCHANGING = kernels(["append-kv", "attention.test", "norm-qkv", "rms-norm.test", "sample.test"]);
