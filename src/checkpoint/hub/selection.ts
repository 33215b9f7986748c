// Which files of a repository are fetched: those that a checkpoint is read from, or those that patterns name.
import { QuipuError } from "../../errors.js";
import { firstOf, shownName } from "../../warnings.js";
import { ADAPTER, INDEX, isWeights, SHARD, SINGLE } from "../file-names.js";
import { formOf } from "../other-forms.js";
import type { HubFile } from "./client.js";

/** Weights, configuration, tokenizers, templates, and what the authors say. */
const WANTED = /\.(safetensors|json|txt|md|model|tiktoken|jinja)$|^(LICENSE|NOTICE|USE_POLICY)$/i;
/** The one folder that a checkpoint is read from beside its own. */
const TEMPLATES = /^additional_chat_templates\/[^/]+\.jinja$/;

/**
 * @param include patterns in place of the default: `*` is any text, "/" too, `?` a character, [abc] one of some; a folder's name and "/" is all in it.
 * @throws {QuipuError} ERR_PULL where a name leaves the folder, nothing is chosen, or the weights come in other forms only.
 */
export function selectFiles(repo: string, files: readonly HubFile[], include?: readonly string[]): HubFile[] {
  for (const { path } of files) checkPath(repo, path);
  const names = files.map(({ path }) => path);
  if (include !== undefined && include.length > 0) {
    const patterns = include.map(patternOf);
    const chosen = files.filter(({ path }) => patterns.some((pattern) => pattern.test(path)));
    if (chosen.length > 0) return chosen;
    const which = include.map(shownName).join(", ");
    throw new QuipuError("ERR_PULL", `${repo}: none of its files is ${which}. It has ${firstOf(names, 8) || "none"}.`, {
      option: "include",
    });
  }
  const wanted = files.filter(({ path }) => (WANTED.test(path) && !path.includes("/")) || TEMPLATES.test(path));
  const weights = weightsOf(wanted.map(({ path }) => path));
  if (weights.length > 0) return wanted.filter(({ path }) => !isWeights(path) || weights.includes(path));
  throw new QuipuError("ERR_PULL", `${repo}: ${describeOthers(names)}`);
}

/** Those that are read (checkpoint.ts): one file, else shards, else whatever there is. The original form beside them is the same once more. */
function weightsOf(names: readonly string[]): string[] {
  const all = names.filter(isWeights);
  if (all.includes(SINGLE)) return [SINGLE];
  const shards = names.includes(INDEX) ? all.filter((name) => SHARD.test(name)) : [];
  if (shards.length > 0) return shards;
  return all.filter((name) => !name.startsWith("consolidated") && name !== ADAPTER);
}

function describeOthers(names: readonly string[]): string {
  if (names.includes(ADAPTER)) {
    return `there is ${ADAPTER}: a LoRA adapter alone, which quipu does not apply. adapter_config.json names the base model: take that, or one with the adapter merged into it.`;
  }
  const form = formOf(names);
  if (form !== undefined) return `there is ${form}.`;
  const below = names.filter((name) => isWeights(name) && name.includes("/"));
  if (below.length > 0) {
    return `its safetensors are in folders, ${firstOf(below)}: name what to fetch (include: "${below[0]!.split("/")[0]}/*").`;
  }
  return `expected safetensors, but it has ${names.length === 0 ? "no files" : firstOf(names, 8)}.`;
}

/** A hub is not trusted: its names become paths here. @throws {QuipuError} ERR_PULL */
function checkPath(repo: string, path: string): void {
  const parts = path.split("/");
  const isInside = parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (isInside && !/[\\\p{Cc}]/u.test(path) && path.length <= 1024) return;
  throw new QuipuError(
    "ERR_PULL",
    `${repo}: the file name "${shownName(path)}" would leave its folder, or cannot be one. Nothing was fetched.`,
  );
}

/** As Python's fnmatch, which huggingface_hub takes. */
function patternOf(glob: string): RegExp {
  const whole = glob.endsWith("/") ? `${glob}*` : glob;
  const source = whole.replace(/\[(!?)([^\]]+)\]|[\s\S]/g, (text, not, set?: string) => {
    if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^]/g, "\\$&")}]`;
    if (text === "*") return ".*";
    return text === "?" ? "." : text.replace(/[\\^$.|+(){}[\]]/g, "\\$&");
  });
  try {
    return new RegExp(`^${source}$`, "su");
  } catch {
    throw new QuipuError("ERR_USAGE", `include: expected a pattern such as *.json, got "${shownName(glob)}"`, {
      option: "include",
    });
  }
}
