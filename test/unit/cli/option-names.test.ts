// The library speaks of its own options, the command line of its own.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BENCHMARK_OPTIONS } from "#quipu/benchmark/benchmark.js";
import { inOptionNames } from "#quipu/cli/option-names.js";
import { makeProgram } from "#quipu/cli/program.js";
import { PACK_OPTIONS } from "#quipu/data/pack-options.js";
import { QuipuError } from "#quipu/errors.js";
import { LOAD_OPTIONS } from "#quipu/generate/load.js";
import { NEXT_OPTIONS } from "#quipu/generate/model.js";
import { GENERATE_OPTIONS } from "#quipu/generate/option-kinds.js";
import { TRAIN_OPTIONS } from "#quipu/tokenizer/training/settings.js";
import { TRAIN_MODEL_OPTIONS } from "#quipu/train/training-options.js";

/** Options that the command line gives only good values, or never. */
const SET_BY_THE_COMMAND_LINE = [
  ...[
    "mmap",
    "cache",
    "onCacheWrite",
    "tokenizer",
    "fuse",
    "slots",
    "cacheTokens",
    "promptCache",
    "slotTimeoutMs",
    "onProgress",
    "onWarning",
    "signal",
    "ignoreEos",
    "raw",
    "addGenerationPrompt",
    "documents",
    "sampling",
  ],
  ...["onPromptProgress", "force"],
];

const said = (message: string, option?: string) =>
  inOptionNames(new QuipuError("ERR_USAGE", message, option === undefined ? {} : { option }));

test("every option of the library that a user of the command line can get wrong has its name there", () => {
  const program = makeProgram({ signal: new AbortController().signal, divertInterrupt: () => () => {} }, () => {});
  const commands = [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)];
  const flags = new Set(commands.flatMap((command) => command.options.map(({ long }) => long)));
  const all = {
    ...LOAD_OPTIONS,
    ...NEXT_OPTIONS,
    ...GENERATE_OPTIONS,
    ...BENCHMARK_OPTIONS,
    ...TRAIN_OPTIONS,
    ...PACK_OPTIONS,
    ...TRAIN_MODEL_OPTIONS,
  };
  for (const option of Object.keys(all).filter((name) => !SET_BY_THE_COMMAND_LINE.includes(name))) {
    const [flag, rest] = said(`${option}: no`, option).split(": ");
    expect([option, option === "files" || flags.has(flag!), rest]).toEqual([option, true, "no"]);
  }
});

test("ways out are put behind what names no option; other messages are left alone", () => {
  expect(said("too long. Shorten it.", "onOverflow")).toBe(
    "too long. Shorten it (--ctx-size, --on-overflow truncate-head, truncate-middle or slide).",
  );
  expect(said("topK: no", "seed")).toBe("topK: no");
  expect(said("topK: no")).toBe("topK: no");
});

test("what would fit is called by its names here", () => {
  const fitting = { contextLength: 640, kvCache: "int8", quantize: "q4", batchSize: 16, recompute: true, mmap: true };
  const error = new QuipuError("ERR_OUT_OF_MEMORY", "too large.", { fitting });
  expect(inOptionNames(error)).toBe(
    "too large. What fits: --ctx-size 640, or --kv-cache int8, or --quantize q4, or --batch-size 16, or --recompute, or without --no-mmap.",
  );
});

test("nothing below src/cli writes an option of the command line into a text", () => {
  const below = (folder: string, names: RegExp) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => names.test(name))
      .map((name) => join(folder, name));
  const files = [...below("src", /^(?!cli).*\.ts$/), ...below("native", /\.(cc|h)$/)];
  expect(files.length).toBeGreaterThan(150);
  const others = ["--omit", "--prefix"]; // npm's
  const found = files.flatMap((name) => {
    const code = readFileSync(name, "utf8").replace(/^ *(\/\/|\/?\*).*$/gm, "");
    return [...code.matchAll(/["'`][^"'`\n]*?(--[a-z][a-z-]+)/g)].map(([, option]) => `${name}: ${option}`);
  });
  expect(found.filter((one) => !others.some((other) => one.endsWith(other)))).toEqual([]);
});
