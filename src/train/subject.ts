// What is trained: a configuration, from a preset, a file or a checkpoint, with the tokenizer that its data was packed with.
import { dirname, join } from "node:path";
import { examine } from "../checkpoint/file.js";
import { checkpointFolder, namedCheckpoint } from "../checkpoint/hub.js";
import { type JsonObject, readJsonFile } from "../checkpoint/json.js";
import type { TokenFile } from "../data/token-file.js";
import { type LlamaConfig, parseConfig } from "../model/config.js";
import { nearest } from "../nearest.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Warn } from "../warnings.js";
import type { SavedFiles } from "./checkpoint.js";
import { COMMON, PRESET_NAMES, presetNamed, readConfigFile } from "./presets.js";
import { type CheckedTrainOptions, usage } from "./training-options.js";

export interface Subject {
  readonly config: LlamaConfig;
  /** A checkpoint whose weights are the first; undefined: they are drawn. */
  readonly weights: string | undefined;
  readonly tokenizer: Tokenizer;
  readonly files: SavedFiles;
}

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"];

/** @throws {QuipuError} ERR_USAGE for what cannot be trained; what {@link loadTokenizer} and {@link parseConfig} throw. */
export async function subjectOf(
  { init, tokenizer: named }: CheckedTrainOptions,
  sequence: number,
  data: TokenFile,
  warn: Warn,
): Promise<Subject> {
  const preset = presetNamed(init);
  const weights = preset === undefined ? checkpointOf(init, warn) : undefined;
  const from = named ?? weights;
  if (from === undefined)
    throw usage("tokenizer", "expected the tokenizer that the data was packed with: a folder, or its file");
  const tokenizer = await loadTokenizer(from, warn);
  data.checkTokenizer(tokenizer);
  const { bosId, eosId } = data.info;
  const ends = { bos_token_id: bosId ?? null, eos_token_id: eosId ?? null };
  const json: JsonObject =
    preset !== undefined
      ? { ...COMMON, vocab_size: tokenizer.vocabSize, max_position_embeddings: sequence, ...preset.config, ...ends }
      : weights === undefined
        ? { ...(await readConfigFile(init)), ...ends }
        : ((await readJsonFile(join(weights, "config.json"), "ERR_MODEL_INVALID", warn)) ?? {});
  const config = parseConfig(json, warn);
  if (config.vocabSize < tokenizer.vocabSize) {
    throw usage(
      "init",
      `its vocabulary has ${config.vocabSize} ids, that of the tokenizer and the data ${tokenizer.vocabSize}: expected as many, or more`,
    );
  }
  if (config.maxPositions < sequence) {
    throw usage("sequence", `expected at most the model's ${config.maxPositions} positions, got ${sequence}`);
  }
  const generation = Object.fromEntries(Object.entries(ends).filter(([, id]) => id !== null));
  const files = { config: json, generationConfig: generation, tokenizer: filesOf(from, warn) };
  return { config, weights, tokenizer, files };
}

/** The folder of a checkpoint; undefined for a file, which is a configuration. */
function checkpointOf(init: string, warn: Warn): string | undefined {
  const found = examine(init, "ERR_USAGE");
  if (found.kind === "file") return undefined;
  if (found.kind === "folder") return checkpointFolder(init, warn);
  const named = init.includes("/") ? namedCheckpoint(init, true) : undefined;
  if (named !== undefined) return named;
  const near = nearest(init, PRESET_NAMES);
  const instead = near === undefined ? "" : `. Did you mean ${near}?`;
  throw usage(
    "init",
    `expected a preset (${PRESET_NAMES.join(", ")}), a config.json or a checkpoint folder, got ${JSON.stringify(init)}${instead}`,
  );
}

function filesOf(tokenizer: string, warn: Warn): string[] {
  const { kind } = examine(tokenizer, "ERR_USAGE");
  const named = kind === "absent" ? namedCheckpoint(tokenizer, false) : undefined;
  const folder = kind === "file" ? dirname(tokenizer) : (named ?? checkpointFolder(tokenizer, warn));
  return TOKENIZER_FILES.map((name) => join(folder, name)).filter((file) => examine(file, "ERR_USAGE").kind === "file");
}
