// The normalizer of tokenizer.json: what is done to text before tokens are looked for and pieces are cut. The engine does it
// (native/tokenizer/normalizer.h); steps that change nothing are left out.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";

/** The forms of Unicode that the engine knows, by its numbers. */
const FORMS: Readonly<Record<string, number>> = { NFC: 0, NFD: 1, NFKC: 2, NFKD: 3 };

/**
 * The engine's steps, none where text stays as it is.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a step that this version does not have.
 */
export function parseNormalizer(value: unknown, what: string): number[] {
  if (value === undefined || value === null) return [];
  const step = isJsonObject(value) ? value : {};
  if (step.type === "Sequence" && Array.isArray(step.normalizers)) {
    return step.normalizers.flatMap((part) => parseNormalizer(part, what));
  }
  if (typeof step.type === "string" && Object.hasOwn(FORMS, step.type)) return [FORMS[step.type]!];
  if (changesNothing(step)) return [];
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: normalizer: this version has Sequence, NFC, NFD, NFKC and NFKD; got ${shownJson(value, 120)}`,
  );
}

function changesNothing(step: JsonObject): boolean {
  switch (step.type) {
    case "Strip":
      return step.strip_left === false && step.strip_right === false;
    case "Replace":
      return isJsonObject(step.pattern) && typeof step.content === "string" && step.pattern.String === step.content;
    case "BertNormalizer": {
      const asks = ["clean_text", "handle_chinese_chars", "lowercase", "strip_accents"] as const;
      return asks.every((name) => step[name] === false || (name === "strip_accents" && step[name] === null));
    }
  }
  return false;
}
