// From a prompt to ids: template or not, BOS exactly once, and what to do with a prompt that is too long.
import { QuipuError } from "../errors.js";
import type { ChatOptions } from "../tokenizer/chat-message.js";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import { encodeChat } from "../tokenizer/encode-chat.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ChatMessage, EffectiveSettings, GenerateOptions, OnOverflow, Prompt } from "./events.js";

export interface PromptContext {
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly vocabSize: number;
}

/**
 * The ids of a prompt.
 *
 * @throws {QuipuError} ERR_USAGE for an empty prompt, ids outside the vocabulary, text without a tokenizer, messages without a chat
 *   template, and messages that are none (naming index and field); ERR_CHAT_TEMPLATE.
 */
export function encodePrompt(
  prompt: Prompt,
  options: GenerateOptions,
  { tokenizer, chatTemplate, vocabSize }: PromptContext,
): Int32Array {
  if (isIds(prompt)) {
    refuseChatOptions(options, "ids");
    return checkIds(prompt, vocabSize);
  }
  if (typeof prompt !== "string" && !isConversation(prompt)) {
    throw new QuipuError("ERR_USAGE", "prompt: expected a text, an Int32Array of ids, or messages { role, content }");
  }
  if (tokenizer === undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      "the model was loaded without a tokenizer: give the prompt as an Int32Array of ids",
    );
  }
  const messages = toMessages(prompt, options);
  if (messages === undefined) {
    return checkIds(tokenizer.encode(prompt as string, { bos: tokenizer.addsBos }), vocabSize);
  }
  const { continueFinalMessage = false, addGenerationPrompt = continueFinalMessage === false } = options;
  return checkIds(encodeChat(tokenizer, chatTemplate!, messages, { ...options, addGenerationPrompt }), vocabSize);
}

/** The conversation that a prompt stands for, or undefined for plain text. */
export function toMessages(prompt: Prompt, options: GenerateOptions): readonly ChatMessage[] | undefined {
  const { raw = true, system } = options;
  const head = system === undefined ? [] : [{ role: "system", content: system }];
  if (typeof prompt !== "string") return [...head, ...(prompt as readonly ChatMessage[])];
  if (!raw) return [...head, { role: "user", content: prompt }];
  refuseChatOptions(options, "a raw prompt");
  return undefined;
}

/** @throws {QuipuError} ERR_USAGE for an option of conversations beside a prompt that is none. */
function refuseChatOptions(options: GenerateOptions, what: string): void {
  const names: readonly (keyof ChatOptions | "system")[] = [
    ...(["system", "tools", "documents", "templateVariables"] as const),
    ...(["chatTemplate", "continueFinalMessage", "addGenerationPrompt"] as const),
  ];
  const name = names.find((name) => options[name] !== undefined && options[name] !== null);
  if (name === undefined) return;
  throw new QuipuError("ERR_USAGE", `${name}: has no place in ${what}: give messages, or a text with raw: false`);
}

export interface ContextRoom {
  readonly contextLength: number;
  /** What --ctx-size could be raised to. */
  readonly supported: number;
  /** Positions that the prompt must leave free. */
  readonly needed: number;
}

/**
 * Cuts a prompt that leaves too little room in the context, if asked to.
 *
 * @throws {QuipuError} ERR_CONTEXT_OVERFLOW with the counts and the ways out.
 */
export function fitPrompt(
  ids: Int32Array,
  { contextLength, supported, needed }: ContextRoom,
  { maxTokens }: EffectiveSettings,
  onOverflow: OnOverflow = "error",
  bosId?: number,
): Int32Array {
  if (ids.length + needed <= contextLength) return ids;
  if (onOverflow === "error") {
    const raise = supported > contextLength ? `raise --ctx-size (the model supports ${supported}), ` : "";
    throw new QuipuError(
      "ERR_CONTEXT_OVERFLOW",
      `the prompt has ${ids.length} tokens, the context holds ${contextLength}${needed > 0 ? " and needs room for at least one more" : ""}. ` +
        `Shorten it, ${raise}or choose --on-overflow truncate-head or truncate-middle.`,
    );
  }
  const reserve = Math.min(maxTokens < 1 ? 256 : maxTokens, Math.floor(contextLength / 2));
  const keep = Math.max(1, contextLength - reserve);
  const head = onOverflow === "truncate-middle" ? Math.ceil(keep / 2) : ids[0] === bosId && keep > 1 ? 1 : 0;
  const fitted = new Int32Array(keep);
  fitted.set(ids.subarray(0, head));
  fitted.set(ids.subarray(ids.length - (keep - head)), head);
  return fitted;
}

function isIds(prompt: Prompt): prompt is Int32Array {
  return ArrayBuffer.isView(prompt) && !(prompt instanceof DataView);
}

/** Messages are checked one by one where they are rendered. */
function isConversation(prompt: Prompt): boolean {
  return Array.isArray(prompt) && (prompt.length === 0 || (typeof prompt[0] === "object" && prompt[0] !== null));
}

/** A copy of ids that are all in the vocabulary. */
function checkIds(ids: Int32Array, vocabSize: number): Int32Array {
  if (ids.length === 0)
    throw new QuipuError("ERR_USAGE", "the prompt is empty, and no beginning-of-text id is put before it");
  const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (wrong >= 0) {
    throw new QuipuError(
      "ERR_USAGE",
      `prompt id ${ids[wrong]} at index ${wrong}: the model's ids are 0 to ${vocabSize - 1}`,
    );
  }
  return Int32Array.from(ids);
}
