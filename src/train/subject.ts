// What is trained: a configuration, from a preset, a file or a checkpoint, with the tokenizer that its data was packed with.
import { dirname, join } from "node:path";
import { usageError } from "../arguments.js";
import { examine, listFolder, readWhole } from "../checkpoint/file.js";
import { checkpointFolder, namedCheckpoint } from "../checkpoint/hub.js";
import { type JsonObject, MAX_JSON_BYTES, readJsonFile } from "../checkpoint/json.js";
import type { TokenFile } from "../data/token-file.js";
import { type LlamaConfig, parseConfig } from "../model/config.js";
import { nearest } from "../nearest.js";
import { loadTokenizer, tokenizerFile } from "../tokenizer/load-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Warn } from "../warnings.js";
import type { SavedFiles, TokenizerFile } from "./checkpoint.js";
import { COMMON, PRESET_NAMES, presetNamed, readConfigFile } from "./presets.js";
import type { CheckedTrainOptions } from "./training-options.js";

export interface Subject {
  readonly config: LlamaConfig;
  /** A checkpoint whose weights are the first; undefined: they are drawn. */
  readonly weights: string | undefined;
  readonly tokenizer: Tokenizer;
  readonly files: SavedFiles;
}

/** What may lie beside a tokenizer and belongs to it. */
const COMPANIONS = ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json"];
const TEMPLATES = "additional_chat_templates";

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
    throw usageError("tokenizer", "expected the tokenizer that the data was packed with: a folder, or its file");
  const file = tokenizerFile(from, warn);
  const tokenizer = await loadTokenizer(file, warn);
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
    throw usageError(
      "init",
      `its vocabulary has ${config.vocabSize} ids, that of the tokenizer and the data ${tokenizer.vocabSize}: expected as many, or more`,
    );
  }
  if (config.maxPositions < sequence) {
    throw usageError("sequence", `expected at most the model's ${config.maxPositions} positions, got ${sequence}`);
  }
  const generation = Object.fromEntries(Object.entries(ends).filter(([, id]) => id !== null));
  const files = { config: json, generationConfig: generation, tokenizer: await filesOf(file) };
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
  throw usageError(
    "init",
    `expected a preset (${PRESET_NAMES.join(", ")}), a config.json or a checkpoint folder, got ${JSON.stringify(init)}${instead}`,
  );
}

/**
 * The files of a tokenizer as a checkpoint has them: the one that was loaded, under the name that loaders look for, and what its folder
 * has of settings and chat templates; no other tokenizer that lies there.
 */
async function filesOf(file: string): Promise<TokenizerFile[]> {
  const folder = dirname(file);
  const templates = join(folder, TEMPLATES);
  const ofTemplates = examine(templates, "ERR_USAGE").kind === "folder" ? await listFolder(templates) : [];
  const others = [
    ...COMPANIONS,
    ...ofTemplates.filter((name) => name.endsWith(".jinja")).map((name) => `${TEMPLATES}/${name}`),
  ];
  const files: TokenizerFile[] = [];
  for (const [name, path] of [
    [file.endsWith(".json") ? "tokenizer.json" : "tokenizer.model", file],
    ...others.map((name) => [name, join(folder, name)] as const),
  ] as const) {
    if (examine(path, "ERR_USAGE").kind !== "file") continue;
    const bytes = await readWhole(path, MAX_JSON_BYTES, "ERR_USAGE");
    if (bytes !== undefined) files.push({ name, bytes });
  }
  return files;
}
