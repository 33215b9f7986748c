// The regular expressions by which tokenizers cut text into pieces, in JavaScript. They are written for Oniguruma
// (tokenizer.json) or Rust (tiktoken), and mean something else here, or nothing, in these places:
//   \s \S    Unicode White_Space there; JavaScript's adds U+FEFF and lacks U+0085
//   \d       any decimal digit of Unicode there, ASCII here
//   (?i:…)   not in the JavaScript of Node 20; and 's there also matches 'ſ (U+017F folds to s)
// What is not known to mean the same is refused: a piece cut differently is a wrong token that nobody sees.
import { QuipuError } from "../errors.js";

/** Llama 3's (meta-llama/llama-models, tokenizer.py). */
export const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** GPT-2's, which tokenizer.json names by ByteLevel's use_regex (openai/gpt-2, encoder.py). */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** o200k's (openai/tiktoken, openai_public.py). */
export const O200K_PATTERN = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
].join("|");

/** The patterns that the engine has a machine for (native/tokenizer/pretokenizer.h, in its order). */
export const ENGINE_PATTERN = { llama3: 0, cl100k: 1, o200k: 2, gpt2: 3, gpt2Digits: 4 } as const;

const SAME_ESCAPES = new Set([..."rntfv\\/.*+?()[]{}|^$-"]);
const FOLDED: Readonly<Record<string, string>> = { s: "ſ", k: "\u212a" };

/**
 * Translates a pattern; the result is global and finds the pieces one after another.
 *
 * @param what names the pattern in errors.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a construct that is not known to mean the same, or no valid pattern.
 */
export function compileSplitPattern(pattern: string, what: string): RegExp {
  const refuse = (construct: string): never => {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${what}: the pattern uses ${JSON.stringify(construct)}, which this version does not translate: ${pattern}`,
    );
  };
  let out = "";
  let inClass = false;
  const folding: boolean[] = []; // of each open group
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    if (c === "\\") {
      const letter = pattern[++i] ?? refuse("\\ at the end");
      if (letter === "p" || letter === "P") {
        const property = /^\{\^?[A-Za-z_=]+\}/.exec(pattern.slice(i + 1))?.[0] ?? refuse(`\\${letter}`);
        if (property.includes("^")) refuse(`\\${letter}${property}`);
        out += `\\${letter}${property}`;
        i += property.length;
      } else if (letter === "s") out += "\\p{White_Space}";
      else if (letter === "S") out += "\\P{White_Space}";
      else if (letter === "d") out += "\\p{Nd}";
      else if (SAME_ESCAPES.has(letter)) out += `\\${letter}`;
      else if (letter === "'" || letter === '"' || letter === " ") out += letter;
      else refuse(`\\${letter}`);
    } else if (inClass) {
      if (c === "[" || (c === "&" && pattern[i + 1] === "&")) refuse(`${c} in a class`);
      if (folding.includes(true)) refuse("a class under (?i");
      inClass = c !== "]";
      out += c;
    } else if (c === "[") {
      inClass = true;
      out += pattern[i + 1] === "^" ? "[^" : "[";
      if (pattern[i + 1] === "^") i++;
    } else if (c === "(") {
      const kind = /^\((\?i:|\?:|\?!|\?=|\?<!|\?<=)?/.exec(pattern.slice(i))![1];
      if (kind === undefined && pattern[i + 1] === "?") refuse(pattern.slice(i, i + 4));
      folding.push(kind === "?i:");
      out += kind === "?i:" ? "(?:" : `(${kind ?? "?:"}`;
      i += kind?.length ?? 0;
    } else if (c === ")") {
      folding.pop();
      out += c;
    } else if ("*+?}".includes(c) && pattern[i + 1] === "+") {
      refuse(`${c}+`);
    } else if (folding.includes(true) && /\p{L}/u.test(c)) {
      if (!/[A-Za-z]/.test(c)) refuse(`${c} under (?i`);
      out += `[${c.toLowerCase()}${c.toUpperCase()}${FOLDED[c.toLowerCase()] ?? ""}]`;
    } else {
      out += c;
    }
  }
  try {
    return new RegExp(out, "gu");
  } catch (cause) {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: not a valid pattern: ${pattern}`, { cause });
  }
}

/** Cuts `text` at every match: matches are pieces, and so is what lies between them. */
export function splitBy(pattern: RegExp, text: string): string[] {
  const pieces: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push(text.slice(end, match.index));
    if (match[0] !== "") pieces.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}
