// Faults in the loop of a training: what it learns from, when, and what it leaves.
const RUN = "src/train/run.ts";
const BATCHES = "src/train/batches.ts";
const CHECKPOINT = "src/train/checkpoint.ts";
const GUARD = "src/train/guard.ts";
const LOOP = ["unit/train/run"];
const ROWS = ["unit/train/batches"];
const SAVED = ["unit/train/checkpoint"];
const COMMAND = ["e2e/train"];

export const mutants = [
  {
    fault: "a run goes on at the beginning of the data",
    file: RUN,
    from: "from?.position ?? BEGINNING",
    to: "BEGINNING",
    tests: LOOP,
  },
  {
    fault: "the guard begins anew after an interruption",
    file: RUN,
    from: "new Guard(MOST_SKIPPED, from?.guard)",
    to: "new Guard(MOST_SKIPPED)",
    tests: LOOP,
  },
  {
    fault: "what is gone on from stays in the log",
    file: "src/train/log.ts",
    from: "filter((event) => event.step <= step)",
    to: "filter(() => true)",
    tests: LOOP,
  },
  {
    fault: "steps that are left out count for the optimizer",
    file: RUN,
    from: "step: this.#guard.state.steps + 1,",
    to: "step: this.#step,",
    tests: LOOP,
  },
  {
    fault: "a signal ends the run without a checkpoint",
    file: RUN,
    from: "if (isLast || isInterrupted || this.#step",
    to: "if (isLast || this.#step",
    tests: LOOP,
  },
  {
    fault: "the text of special tokens has bytes",
    file: RUN,
    from: "tokenizer.decodeBytes([id]).length",
    to: "3",
    tests: LOOP,
  },
  {
    fault: "there is no ramp",
    file: RUN,
    from: "settings.ramp, before)",
    to: "0, before)",
    tests: LOOP,
  },
  {
    fault: "each pass has the same order",
    file: BATCHES,
    from: "this.#order = new Permutation(this.#file.info.documents, this.#seed, this.#epoch);\n  }\n}",
    to: "}\n}",
    tests: ROWS,
  },
  {
    fault: "positions go on where a document was split",
    file: BATCHES,
    from: "this.#positions[at + i] = i;",
    to: "this.#positions[at + i] = row + i;",
    tests: ROWS,
  },
  {
    fault: "a target is the id of its own row",
    file: BATCHES,
    from: "ids.subarray(row + 1, row + length + 1)",
    to: "ids.subarray(row, row + length)",
    tests: ROWS,
  },
  {
    fault: "what is measured is cut where a batch ends",
    file: BATCHES,
    from: "const length = Math.min(sequence, ids.length - 1 - row);",
    to: "const length = Math.min(sequence, ids.length - 1 - row, batchTokens - rows.length || sequence);",
    tests: ROWS,
  },
  {
    fault: "numbers beyond the range are documents",
    file: "src/train/permutation.ts",
    from: "while (number >= this.size);",
    to: "while (number > this.size);",
    tests: ["unit/train/permutation"],
  },
  {
    fault: "the order does not depend on the pass",
    file: "src/train/permutation.ts",
    from: "${seed} ${epoch}",
    to: "${seed}",
    tests: ["unit/train/permutation"],
  },
  {
    fault: "cosine falls to zero",
    file: "src/train/schedule.ts",
    from: "const LEAST_OF_COSINE = 0.1;",
    to: "const LEAST_OF_COSINE = 0;",
    tests: ["unit/train/schedule"],
  },
  {
    fault: "a gradient that is no number is a step like any other",
    file: GUARD,
    from: "if (!skipped) {",
    to: "if (true) {",
    tests: ["unit/train/guard"],
  },
  {
    fault: "steps left out in all end a run",
    file: GUARD,
    from: "(gradientNorm - meanNorm), skipped: 0 };",
    to: "(gradientNorm - meanNorm), skipped: this.#state.skipped };",
    tests: ["unit/train/guard"],
  },
  {
    fault: "a checkpoint has its name before it is whole",
    file: CHECKPOINT,
    from: 'await mkdir(part);\n    await writeSafetensors(join(part, WEIGHTS), tensorsOf(runtime, "F32", [undefined]));',
    to: 'await mkdir(path); await mkdir(part);\n    await writeSafetensors(join(part, WEIGHTS), tensorsOf(runtime, "F32", [undefined]));',
    tests: SAVED,
  },
  {
    fault: "the variance is not saved",
    file: CHECKPOINT,
    from: 'const MOMENTS = ["momentum", "variance"] as const;',
    to: 'const MOMENTS = ["momentum"] as const;',
    tests: LOOP,
  },
  {
    fault: "a checkpoint more than asked for is kept",
    file: CHECKPOINT,
    from: "-(keep - 1) || undefined",
    to: "-keep",
    tests: SAVED,
  },
  {
    fault: "tensors of another shape are read",
    file: CHECKPOINT,
    from: "if (got === expected) continue;",
    to: "if (found !== undefined) continue;",
    tests: SAVED,
  },
  {
    fault: "bf16 is cut and not rounded",
    file: "src/checkpoint/save.ts",
    from: "(word + 0x7fff + ((word >>> 16) & 1)) >>> 16",
    to: "word >>> 16",
    tests: SAVED,
  },
  {
    fault: "samples are markup",
    file: "src/train/report.ts",
    from: "<pre>${escaped(text)}</pre>",
    to: "<pre>${text}</pre>",
    tests: ["unit/train/report"],
  },
  {
    fault: "a run with other settings goes on",
    file: "src/train/training-options.ts",
    from: "if (was !== is)",
    to: "if (false)",
    tests: COMMAND,
  },
  {
    fault: "a vocabulary smaller than the tokenizer's is trained",
    file: "src/train/subject.ts",
    from: "config.vocabSize < tokenizer.vocabSize",
    to: "config.vocabSize < 1",
    tests: COMMAND,
  },
  {
    fault: "Ctrl-C ends with the process",
    file: "src/cli/commands/train.ts",
    from: "ending.abort();\n  });\n  try",
    to: "});\n  try",
    tests: COMMAND,
  },
];
