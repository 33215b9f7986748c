// Where a checkpoint keeps its chat templates, and the special tokens that they name; found in the order of transformers.
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { callback, checkArgument, pathOf } from "../arguments.js";
import { examine, listFolder, readWhole, systemError } from "../checkpoint/file.js";
import { checkpointFolder, inCheckpoint, namedCheckpoint } from "../checkpoint/hub.js";
import { isJsonObject, type JsonObject, readJsonFile, shownJson } from "../checkpoint/json.js";
import { refuseWrongFile } from "../checkpoint/wrong-file.js";
import { QuipuError } from "../errors.js";
import type { Warn } from "../warnings.js";
import { ChatTemplate } from "./template.js";

/** Published templates have some tens of kilobytes. */
const MAX_TEMPLATE_BYTES = 16 * 2 ** 20;

const FILE = "chat_template.jinja";
const FOLDER = "additional_chat_templates";
const CONFIG = "tokenizer_config.json";
const LEGACY = "chat_template.json";

/**
 * The chat templates of a checkpoint folder, or of a model in the hub's cache (org/name); without names where it has none. Files of their own (chat_template.jinja, and
 * additional_chat_templates/ for those of other names) take the place of all in tokenizer_config.json; chat_template.json, which
 * processors had, counts where there is neither. They are parsed when they are used.
 *
 * @param warn told of a snapshot that was chosen, and of names that a file has twice.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND without a folder, ERR_CHAT_TEMPLATE, ERR_TOKENIZER_INVALID, ERR_USAGE
 */
export async function loadChatTemplate(folder: string | URL, warn: Warn = () => {}): Promise<ChatTemplate> {
  const given = pathOf("folder", folder);
  checkArgument("warn", warn, callback);
  const named = examine(given, "ERR_MODEL_NOT_FOUND").kind === "absent" ? namedCheckpoint(given, false) : undefined;
  if (named === undefined) await listFolder(given);
  const dir = named ?? checkpointFolder(given, warn);
  return inCheckpoint(dir, () => templatesOf(dir, warn));
}

async function templatesOf(dir: string, warn: Warn): Promise<ChatTemplate> {
  const config = (await readJsonFile(join(dir, CONFIG), "ERR_TOKENIZER_INVALID", warn)) ?? {};
  const tokens = await specialTokens(dir, config, warn);
  const made = (sources: ReadonlyMap<string, string>, place: (name: string) => string) => {
    const places = Array.from(sources.keys(), (name) => [name, place(name)] as const);
    return new ChatTemplate(sources, tokens, basename(dir), new Map(places));
  };
  const within =
    (file: string, { size }: ReadonlyMap<string, string>) =>
    (name: string) =>
      `chat_template ${size > 1 ? `${JSON.stringify(name)} ` : ""}in ${file}`;
  const files = await templateFiles(dir);
  if (files.size > 0) return made(files, (name) => (name === "default" ? FILE : `${FOLDER}/${name}.jinja`));
  const inConfig = namedTemplates(config.chat_template, CONFIG);
  if (inConfig.size > 0) return made(inConfig, within(CONFIG, inConfig));
  const legacy = await readJsonFile(join(dir, LEGACY), "ERR_CHAT_TEMPLATE", warn);
  const inLegacy = namedTemplates(legacy?.chat_template, LEGACY);
  return made(inLegacy, within(LEGACY, inLegacy));
}

async function templateFiles(dir: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const main = await readText(join(dir, FILE));
  if (main !== undefined) found.set("default", main);
  const folder = join(dir, FOLDER);
  const place = examine(folder, "ERR_CHAT_TEMPLATE");
  if (place.kind === "unreadable") throw new QuipuError("ERR_CHAT_TEMPLATE", `${folder}: ${place.problem}`);
  if (place.kind !== "folder") return found;
  const names = await readdir(folder).catch((cause: unknown) => {
    throw systemError(folder, "cannot be listed", cause, "ERR_CHAT_TEMPLATE");
  });
  for (const name of names.filter((name) => name.endsWith(".jinja")).sort()) {
    const text = await readText(join(folder, name));
    if (text !== undefined) found.set(name.slice(0, -".jinja".length), text);
  }
  return found;
}

/** One template, or several: a list of { name, template }, or an object of texts by name. */
function namedTemplates(value: unknown, file: string): Map<string, string> {
  if (value === undefined || value === null) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const entries = Array.isArray(value)
    ? value.map((entry: unknown) => (isJsonObject(entry) ? [entry.name, entry.template] : []))
    : isJsonObject(value)
      ? Object.entries(value)
      : [[]];
  const named = new Map<string, string>();
  for (const [name, template] of entries) {
    if (typeof name !== "string" || typeof template !== "string") {
      throw new QuipuError(
        "ERR_CHAT_TEMPLATE",
        `${file}: chat_template: expected a text, or a list of { name, template }, got ${shownJson(value)}`,
      );
    }
    named.set(name, template);
  }
  return named;
}

const NAMED = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].map((name) => `${name}_token`);

const END_OF_TEXT = "<|endoftext|>";
/** What a class of transformers has where the files say nothing, for byte-level tokenizers; Llama's own has none. */
const OF_CLASS: ReadonlyMap<unknown, JsonObject> = new Map([
  ["GPT2Tokenizer", { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT }],
  ["Qwen2Tokenizer", { eos_token: END_OF_TEXT, unk_token: END_OF_TEXT, pad_token: END_OF_TEXT }],
  [
    "GPTNeoXTokenizer",
    { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT, pad_token: "<|padding|>" },
  ],
]);

/** Tokens by the names that templates have for them: the usual ones, any other `…_token`, and those of extra_special_tokens. */
async function specialTokens(dir: string, config: JsonObject, warn: Warn): Promise<Record<string, string>> {
  // As transformers: the map of its own is older than added_tokens_decoder, and read where that is not.
  const map = isJsonObject(config.added_tokens_decoder)
    ? undefined
    : await readJsonFile(join(dir, "special_tokens_map.json"), "ERR_TOKENIZER_INVALID", warn);
  const { tokenizer_class: name } = config;
  const ofClass = OF_CLASS.get(typeof name === "string" ? name.replace(/Fast$/, "") : undefined);
  const fields = { ...ofClass, ...config, ...map };
  const extra = [fields.extra_special_tokens, fields.model_specific_special_tokens].filter(isJsonObject);
  const named = Object.entries(fields).filter(([name]) => NAMED.includes(name) || name.endsWith("_token"));
  return Object.fromEntries(
    [...named, ...extra.flatMap((tokens) => Object.entries(tokens))].flatMap(([name, token]) => {
      const text = isJsonObject(token) ? token.content : token;
      return typeof text === "string" ? [[name, text]] : [];
    }),
  );
}

/** The text of a file; undefined where there is none. */
async function readText(path: string): Promise<string | undefined> {
  const bytes = await readWhole(path, MAX_TEMPLATE_BYTES, "ERR_CHAT_TEMPLATE");
  if (bytes === undefined) return undefined;
  if (bytes.length > 0) refuseWrongFile(bytes, path, "ERR_CHAT_TEMPLATE");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new QuipuError("ERR_CHAT_TEMPLATE", `${path}: not valid UTF-8`, { cause });
  }
}
