// From a prompt to ids: template or not, BOS exactly once, and what to do with a prompt that is too long.
import {
  checkArgument,
  idsOf,
  isObject,
  type Kinds,
  madeBy,
  reading,
  readOptions,
  whole,
  wrongArgument,
} from "../arguments.js";
import { encodeChat } from "../chat/encode-chat.js";
import { type ChatOptions, checkConversation } from "../chat/message.js";
import type { ChatTemplate } from "../chat/template.js";
import { QuipuError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ChatMessage, EffectiveSettings, GenerateOptions, OnOverflow, Prompt } from "./events.js";
import { GENERATE_OPTIONS } from "./option-kinds.js";

export interface PromptContext {
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly vocabSize: number;
}

const CONTEXT: Kinds<PromptContext> = {
  tokenizer: madeBy("a tokenizer", "encode"),
  chatTemplate: madeBy("a ChatTemplate", "open"),
  vocabSize: whole(1),
};

/**
 * The ids of a prompt.
 *
 * @throws {QuipuError} ERR_USAGE for an empty prompt, ids outside the vocabulary, text without a tokenizer, messages without a chat
 *   template, and messages that are none (naming index and field); ERR_CHAT_TEMPLATE.
 */
export function encodePrompt(prompt: Prompt, given: GenerateOptions | undefined, context: PromptContext): Int32Array {
  const options = readOptions<GenerateOptions>("encodePrompt", given, GENERATE_OPTIONS);
  const { tokenizer, chatTemplate, vocabSize } = readOptions<PromptContext>("encodePrompt", context, CONTEXT);
  checkArgument("vocabSize", vocabSize, CONTEXT.vocabSize);
  if (reading("prompt", () => isIds(prompt))) {
    refuseChatOptions(options, "ids");
    return checkPrompt(idsOf("prompt", prompt, vocabSize));
  }
  if (typeof prompt !== "string" && !reading("prompt", () => isConversation(prompt))) {
    throw wrongArgument("prompt", "a text, ids, or messages { role, content }", prompt);
  }
  if (tokenizer === undefined) {
    throw new QuipuError("ERR_USAGE", "prompt: the model was loaded without a tokenizer: give the prompt's ids", {
      option: "prompt",
    });
  }
  const messages = toMessages(prompt, options);
  if (messages === undefined) return checkPrompt(encodeRaw(prompt as string, options, tokenizer, vocabSize));
  if (options.special) {
    throw new QuipuError(
      "ERR_USAGE",
      "special: control tokens are parsed in raw prompts only, and this one goes through the chat template",
      { option: "special" },
    );
  }
  const { tools, documents, templateVariables, chatTemplate: template, continueFinalMessage } = options;
  const { addGenerationPrompt = continueFinalMessage === undefined || continueFinalMessage === false } = options;
  const ids = encodeChat(tokenizer, chatTemplate!, messages, {
    ...{ tools, documents, templateVariables, chatTemplate: template, continueFinalMessage, addGenerationPrompt },
  });
  return checkPrompt(idsOf("prompt", ids, vocabSize));
}

/** Begin-of-text stands first once, also where the text's own control tokens begin with it. */
function encodeRaw(
  text: string,
  { special = false }: GenerateOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Int32Array {
  const { addsBos, bosId } = tokenizer;
  const ids = tokenizer.encode(text, { special });
  return idsOf("prompt", addsBos && ids[0] !== bosId ? [bosId!, ...ids] : ids, vocabSize);
}

/** Whether what follows the ids of a prompt goes on with its text, and is no message of its own. */
export function goesOnWithText(
  prompt: Prompt,
  options: GenerateOptions,
  ids: Int32Array,
  tokenizer?: Tokenizer,
): boolean {
  const { raw = true, continueFinalMessage = false } = options;
  if (typeof prompt === "string" ? !raw : isConversation(prompt)) {
    if (continueFinalMessage === false) return false;
    const name = continueFinalMessage === true ? "content" : continueFinalMessage;
    const last = typeof prompt === "string" ? { content: prompt } : (prompt as readonly ChatMessage[]).at(-1);
    return (last as Readonly<Record<string, unknown>> | undefined)?.[name] !== ""; // an empty one has no text to go on with
  }
  const special = new Set(tokenizer?.specialTokens.values());
  return ids.some((id) => !special.has(id));
}

/** The conversation that a prompt stands for, or undefined for plain text. */
export function toMessages(prompt: Prompt, options: GenerateOptions): readonly ChatMessage[] | undefined {
  const { raw = true, system } = options;
  const head = system === undefined ? [] : [{ role: "system", content: system }];
  if (typeof prompt !== "string") {
    if (system !== undefined) checkConversation(prompt, {}); // whose errors count the messages
    return [...head, ...(prompt as readonly ChatMessage[])];
  }
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
  const name = names.find((name) => options[name] !== undefined);
  if (name === undefined) return;
  const message = `${name}: has no place in ${what}, which does not go through the chat template`;
  throw new QuipuError("ERR_USAGE", message, { option: name });
}

export interface ContextRoom {
  readonly contextLength: number;
  /** What the model supports. */
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
  room: ContextRoom,
  { maxTokens }: EffectiveSettings,
  onOverflow: Exclude<OnOverflow, "slide"> = "error",
  bosId?: number,
): Int32Array {
  const { contextLength, needed } = room;
  if (ids.length + needed <= contextLength) return ids;
  if (onOverflow === "error") throw overflowError(ids.length, room);
  const reserve = Math.min(maxTokens < 1 ? 256 : maxTokens, Math.floor(contextLength / 2));
  const keep = Math.max(1, contextLength - reserve);
  const head = onOverflow === "truncate-middle" ? Math.ceil(keep / 2) : ids[0] === bosId && keep > 1 ? 1 : 0;
  const fitted = new Int32Array(keep);
  fitted.set(ids.subarray(0, head));
  fitted.set(ids.subarray(ids.length - (keep - head)), head);
  return fitted;
}

function overflowError(length: number, room: ContextRoom): QuipuError {
  const { contextLength, supported } = room;
  const raise = supported > contextLength ? `take a longer context (the model supports ${supported}), ` : "";
  return new QuipuError(
    "ERR_CONTEXT_OVERFLOW",
    `the prompt has ${counts(length, room)}. Shorten it, ${raise}or have its head or its middle left out.`,
    { option: "onOverflow" },
  );
}

/** What is said of the last turn, where all others are left out already. */
export function lastTurnError(length: number, room: ContextRoom, hasInstructions: boolean): QuipuError {
  const { contextLength, supported } = room;
  const longer = supported > contextLength ? `, or take a longer context (the model supports ${supported})` : "";
  const what = hasInstructions ? "the last turn with the system message" : "the last turn alone";
  const shorten = hasInstructions ? "Shorten one of the two" : "Shorten it";
  return new QuipuError(
    "ERR_CONTEXT_OVERFLOW",
    `${what} has ${counts(length, room)}. ${shorten}${longer}.`,
    supported > contextLength ? { option: "contextLength" } : {},
  );
}

function counts(length: number, { contextLength, needed }: ContextRoom): string {
  return `${length} tokens, the context holds ${contextLength}${needed > 0 ? " and needs room for at least one more" : ""}`;
}

function isIds(prompt: unknown): prompt is Int32Array | readonly number[] {
  if (Array.isArray(prompt))
    return prompt.length === 0 || prompt.every((id) => !isObject(id) && typeof id !== "string");
  return ArrayBuffer.isView(prompt) && !(prompt instanceof DataView);
}

/** Messages are checked one by one where they are rendered. */
export function isConversation(prompt: Prompt): boolean {
  return Array.isArray(prompt) && (prompt.length === 0 || (typeof prompt[0] === "object" && prompt[0] !== null));
}

/** @throws {QuipuError} ERR_USAGE for no ids. */
function checkPrompt(ids: Int32Array): Int32Array {
  if (ids.length > 0) return ids;
  throw new QuipuError("ERR_USAGE", "prompt: it is empty, and no begin-of-text id is put before it", {
    option: "prompt",
  });
}
