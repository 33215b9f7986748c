// The split patterns of published tokenizers that the engine has a machine for (native/tokenizer/pretokenizer.h), as files spell
// them: written for Oniguruma (tokenizer.json) or Rust (tiktoken).

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Llama 3's (meta-llama/llama-models, tokenizer.py). */
export const LLAMA3_PATTERN = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;

/** Qwen 2's, 2.5's and 3's. */
export const QWEN2_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "");

/** Qwen 3.5's, where marks are letters. */
export const QWEN35_PATTERN = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`;

/** GPT-2's, which tokenizer.json names by ByteLevel's use_regex (openai/gpt-2, encoder.py). */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** As o200k's, with what may stand behind a word and how many numbers are a piece. */
const casedWords = (contractions: string, numbers: string) =>
  [
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${contractions}`,
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${contractions}`,
    `${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`,
  ].join("|");

/** o200k's (openai/tiktoken, openai_public.py). */
export const O200K_PATTERN = casedWords(`${CONTRACTIONS}?`, "\\p{N}{1,3}");

/** Mistral NeMo's. */
export const TEKKEN_PATTERN = casedWords("", "\\p{N}");

/** DeepSeek V3's and R1's, one after another. */
export const DEEPSEEK_V3_PATTERNS = [
  "\\p{N}{1,3}",
  "[一-龥\u3040-ゟ゠-ヿ]+",
  `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
] as const;

const CASED = [
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ",
  "Ὗ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ",
  "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃",
].join("");

/** DeepSeek LLM's and V2's, one after another; Digits follow them. */
export const DEEPSEEK_V2_PATTERNS = [
  "[\\r\\n]",
  `\\s?[${CASED}]+`,
  "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
  "\\s+$",
  "[一-龥\u0800-一가-\ud7ff]+",
] as const;

/** By the numbers that the engine knows them by. */
export const ENGINE_PATTERN = {
  llama3: 0,
  cl100k: 1,
  o200k: 2,
  gpt2: 3,
  gpt2Digits: 4,
  qwen2: 5,
  qwen35: 6,
  tekken: 7,
  deepSeekV2: 8,
  deepSeekV3: 9,
} as const;

/** A split that the engine has a machine for, alone or with others. */
export interface KnownSplit {
  readonly name: string;
  /** It leaves nothing of a text between its matches. */
  readonly covers: boolean;
}

const KNOWN = new Map<string, KnownSplit>([
  [LLAMA3_PATTERN, { name: "llama3", covers: true }],
  [QWEN2_PATTERN, { name: "qwen2", covers: true }],
  [QWEN35_PATTERN, { name: "qwen35", covers: true }],
  [O200K_PATTERN, { name: "o200k", covers: true }],
  [TEKKEN_PATTERN, { name: "tekken", covers: true }],
  [GPT2_PATTERN, { name: "gpt2", covers: true }],
  ...DEEPSEEK_V3_PATTERNS.map((pattern, i) => [pattern, { name: `deepseek3.${i}`, covers: false }] as const),
  ...DEEPSEEK_V2_PATTERNS.map((pattern, i) => [pattern, { name: `deepseek2.${i}`, covers: false }] as const),
]);

/** The split of a pattern of tokenizer.json, where line breaks may stand in sets as they are. */
export function knownSplit(pattern: string): KnownSplit | undefined {
  return KNOWN.get(pattern.replaceAll("\r", "\\r").replaceAll("\n", "\\n"));
}

/** The engine's pattern for steps, by their names one after another: those of {@link KnownSplit}, "digits", "bytes" and "gpt2 and bytes". */
export const ENGINE_STEPS: ReadonlyMap<string, number> = new Map([
  ["llama3, bytes", ENGINE_PATTERN.llama3],
  ["qwen2, bytes", ENGINE_PATTERN.qwen2],
  ["qwen35, bytes", ENGINE_PATTERN.qwen35],
  ["o200k, bytes", ENGINE_PATTERN.o200k],
  ["tekken, bytes", ENGINE_PATTERN.tekken],
  ["gpt2 and bytes", ENGINE_PATTERN.gpt2],
  ["gpt2, bytes", ENGINE_PATTERN.gpt2],
  ["digits, gpt2 and bytes", ENGINE_PATTERN.gpt2Digits],
  ["digits, gpt2, bytes", ENGINE_PATTERN.gpt2Digits],
  ["deepseek3.0, deepseek3.1, deepseek3.2, bytes", ENGINE_PATTERN.deepSeekV3],
  ["deepseek2.0, deepseek2.1, deepseek2.2, deepseek2.3, deepseek2.4, digits, bytes", ENGINE_PATTERN.deepSeekV2],
]);
