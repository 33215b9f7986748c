// The normalizer of tokenizer.json: what is done to text before tokens are looked for and pieces are cut. The engine does it
// (native/tokenizer/normalizer.h); steps that change nothing are left out, and normal forms one after another are one.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";

/** The forms of Unicode that the engine knows, by its numbers: 1 is decomposed, 2 is compatible. */
const FORMS: Readonly<Record<string, number>> = { NFC: 0, NFD: 1, NFKC: 2, NFKD: 3 };

/**
 * The engine's form, undefined where text stays as it is.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a step that this version does not have.
 */
export function parseNormalizer(value: unknown, what: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const step = isJsonObject(value) ? value : {};
  if (step.type === "Sequence" && Array.isArray(step.normalizers)) {
    return step.normalizers.map((part) => parseNormalizer(part, what)).reduce(inTurn, undefined);
  }
  if (typeof step.type === "string" && Object.hasOwn(FORMS, step.type)) return FORMS[step.type];
  if (changesNothing(step)) return undefined;
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: normalizer: this version has Sequence, NFC, NFD, NFKC and NFKD; got ${shownJson(value, 120)}`,
  );
}

/**
 * The form that two in turn bring text into. The first keeps a text among those of the same decomposition, compatible or canonical, and
 * so does the second (UAX #15): the last says whether it is decomposed, and what one has made compatible stays so.
 */
function inTurn(first: number | undefined, second: number | undefined): number | undefined {
  return first === undefined || second === undefined ? (first ?? second) : second | (first & FORMS.NFKC!);
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
