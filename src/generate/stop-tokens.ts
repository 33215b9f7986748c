// Which tokens end a completion: every published source counts (decisions/0010), as checkpoints often name only some of them.
import { shown } from "../arguments.js";
import type { ChatTemplate } from "../chat/template.js";
import { isQuipuError, QuipuError } from "../errors.js";
import type { LlamaConfig } from "../model/config.js";
import type { GenerationConfig } from "../model/generation-config.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { EosToken } from "../tokenizer/tokenizer-config.js";
import { firstOf, type Warn } from "../warnings.js";

/** A token that ends a completion. */
export interface StopToken {
  readonly id: number;
  /** Empty without a tokenizer, and for an id that it lacks. */
  readonly text: string;
  /** What names it: files of the checkpoint, and "chat template". */
  readonly sources: readonly string[];
}

interface StopParts {
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  /** What tokenizer_config.json and special_tokens_map.json name. */
  readonly eosTokens: readonly EosToken[];
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
}

/**
 * The stop tokens of a checkpoint: eos_token_id of config.json and generation_config.json, eos_token of
 * tokenizer_config.json and special_tokens_map.json, and what its chat template puts after an answer.
 *
 * @param warn told of an end of text that is no token, and is ignored.
 */
export function stopTokensOf(parts: StopParts, warn: Warn): StopToken[] {
  const { config, generationConfig, eosTokens, tokenizer, chatTemplate } = parts;
  const sources = new Map<number, string[]>();
  const add = (id: number, source: string) => {
    const known = sources.get(id);
    if (known === undefined) sources.set(id, [source]);
    else if (!known.includes(source)) known.push(source);
  };
  for (const id of config.eosIds) add(id, "config.json");
  for (const id of generationConfig.eosIds) add(id, "generation_config.json");
  if (tokenizer !== undefined) {
    for (const { file, text } of eosTokens) {
      const id = idOfToken(text, tokenizer);
      if (id !== undefined && id < config.vocabSize) add(id, file);
      else warn("WARN_CONFIG_IGNORED", `${file}: eos_token ${shown(text)} is no token of the model: it is ignored`);
    }
    const end = chatTemplate === undefined ? undefined : endOfTurn(chatTemplate, tokenizer);
    if (end !== undefined && end < config.vocabSize) add(end, "chat template");
  }
  return Array.from(sources, ([id, from]) => ({ id, text: textOfToken(id, tokenizer), sources: from }));
}

/** What is rendered in place of an answer: no template takes it for anything else. */
const ANSWER = "quipu looks for what follows";
/** Rendered at every load. Published templates take under 20,000 steps for longer conversations. */
const MAX_STEPS = 1_000_000;

/**
 * The token that ends an answer in a template: the special one that stands directly after its text (but for white space) where
 * a turn of the user follows. A begin-of-text token begins the next turn and ends nothing.
 */
function endOfTurn(template: ChatTemplate, tokenizer: Tokenizer): number | undefined {
  const turns = ["user", "assistant", "user"].map((role, i) => ({ role, content: i === 1 ? ANSWER : "hello" }));
  let rendered: string;
  try {
    rendered = template.open(turns, undefined, { maxSteps: MAX_STEPS }).text;
  } catch (error) {
    if (isQuipuError(error)) return undefined; // it refuses such a conversation
    throw error;
  }
  const at = rendered.lastIndexOf(ANSWER);
  if (at < 0) return undefined;
  const after = rendered.slice(at + ANSWER.length).trimStart();
  const [found] = [...tokenizer.specialTokens]
    .filter(([text]) => after.startsWith(text))
    .sort(([a], [b]) => b.length - a.length);
  return found === undefined || found[1] === tokenizer.bosId ? undefined : found[1];
}

/**
 * The ids that `stopIds` stands for.
 *
 * @throws {QuipuError} ERR_USAGE for an id outside the vocabulary, or a text that is no special token.
 */
export function resolveStopIds(
  wanted: readonly (number | string)[],
  tokenizer: Tokenizer | undefined,
  vocabSize: number,
): number[] {
  const fail = (problem: string) => new QuipuError("ERR_USAGE", `stopIds: ${problem}`, { option: "stopIds" });
  return wanted.map((token) => {
    if (typeof token === "number") {
      if (token < vocabSize) return token;
      throw fail(`expected ids from 0 to ${vocabSize - 1}, got ${token}`);
    }
    if (tokenizer === undefined) throw fail(`${shown(token)} needs a tokenizer; give an id instead`);
    const id = tokenizer.specialTokens.get(token);
    if (id !== undefined && id < vocabSize) return id;
    const known = firstOf([...tokenizer.specialTokens.keys()], 8);
    throw fail(`expected a special token (${known || "this model has none"}), got ${shown(token)}`);
  });
}

/** Files also name ordinary tokens; a text that is several tokens ends nothing. */
function idOfToken(text: string, tokenizer: Tokenizer): number | undefined {
  const special = tokenizer.specialTokens.get(text);
  if (special !== undefined) return special;
  const ids = tokenizer.encode(text);
  return ids.length === 1 ? ids[0] : undefined;
}

/** Of a token in a text. A model's vocabulary may be padded beyond the tokenizer's. */
export function textOfToken(id: number, tokenizer: Tokenizer | undefined): string {
  if (tokenizer === undefined || id >= tokenizer.vocabSize) return "";
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(tokenizer.decodeSingleTokenBytes(id));
}
