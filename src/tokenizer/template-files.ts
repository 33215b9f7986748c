// Where a checkpoint keeps its chat templates, and the special tokens that they name; found in the order of transformers.
import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { isJsonObject, type JsonObject, readJsonFile } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { ChatTemplate } from "./chat-template.js";

/** Published templates have some tens of kilobytes. */
const MAX_TEMPLATE_BYTES = 16 * 2 ** 20;

const FILE = "chat_template.jinja";
const FOLDER = "additional_chat_templates";
const CONFIG = "tokenizer_config.json";
const LEGACY = "chat_template.json";

/**
 * The chat templates of a checkpoint folder; without names where it has none. Files of their own (chat_template.jinja, and
 * additional_chat_templates/ for those of other names) take the place of all in tokenizer_config.json; chat_template.json, which
 * processors had, counts where there is neither. They are parsed when they are used.
 *
 * @throws {QuipuError} ERR_CHAT_TEMPLATE, ERR_TOKENIZER_INVALID
 */
export async function loadChatTemplate(dir: string): Promise<ChatTemplate> {
  const config = (await readJsonFile(join(dir, CONFIG), "ERR_TOKENIZER_INVALID")) ?? {};
  const tokens = await specialTokens(dir, config);
  const files = await templateFiles(dir);
  if (files.size > 0) return new ChatTemplate(files, tokens, basename(dir));
  const inConfig = namedTemplates(config.chat_template, CONFIG);
  if (inConfig.size > 0) return new ChatTemplate(inConfig, tokens, basename(dir));
  const legacy = await readJsonFile(join(dir, LEGACY), "ERR_CHAT_TEMPLATE");
  return new ChatTemplate(namedTemplates(legacy?.chat_template, LEGACY), tokens, basename(dir));
}

async function templateFiles(dir: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const main = await readText(join(dir, FILE));
  if (main !== undefined) found.set("default", main);
  const folder = join(dir, FOLDER);
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return [];
    throw unreadable(folder, cause);
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
        `${file}: chat_template: expected a text, or a list of { name, template }, got ${JSON.stringify(value).slice(0, 80)}`,
      );
    }
    named.set(name, template);
  }
  return named;
}

const NAMED = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].map((name) => `${name}_token`);

/** Tokens by the names that templates have for them: the usual ones, any other `…_token`, and those of extra_special_tokens. */
async function specialTokens(dir: string, config: JsonObject): Promise<Record<string, string>> {
  // As transformers: the map of its own is older than added_tokens_decoder, and read where that is not.
  const map = isJsonObject(config.added_tokens_decoder)
    ? undefined
    : await readJsonFile(join(dir, "special_tokens_map.json"), "ERR_TOKENIZER_INVALID");
  const fields = { ...config, ...map };
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
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a FIFO would make it wait
  } catch (cause) {
    const isAbsent = (cause as NodeJS.ErrnoException).code === "ENOENT";
    if (isAbsent && (await lstat(path).catch(() => undefined)) === undefined) return undefined;
    throw unreadable(path, cause);
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new QuipuError("ERR_CHAT_TEMPLATE", `${path}: expected a file`);
    if (info.size > MAX_TEMPLATE_BYTES) {
      throw new QuipuError(
        "ERR_CHAT_TEMPLATE",
        `${path}: ${info.size} bytes; a chat template has at most ${MAX_TEMPLATE_BYTES}`,
      );
    }
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file.readFile());
  } catch (cause) {
    throw cause instanceof QuipuError ? cause : unreadable(path, cause);
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): QuipuError {
  const problem =
    cause instanceof TypeError
      ? "not valid UTF-8"
      : `cannot be read: ${cause instanceof Error ? cause.message : cause}`;
  return new QuipuError("ERR_CHAT_TEMPLATE", `${path}: ${problem}`, { cause });
}
