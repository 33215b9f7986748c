// What a generation yields, and what can be asked of it.
import type { ChatMessage, ChatOptions } from "../chat/message.js";
import type { ModelWarning } from "../warnings.js";

export type { ChatMessage, ChatOptions, TextPart, ToolCall } from "../chat/message.js";

/** A prompt: text, messages, or ids as they are (no BOS is added to ids). */
export type Prompt = string | readonly ChatMessage[] | readonly number[] | Int32Array;

/**
 * What to do with a prompt that does not fit: refuse it, leave out ids at its head (BOS stays) or in its middle, or, of messages, whole turns,
 * the oldest first ("slide"; a system message stays).
 */
export type OnOverflow = "error" | "truncate-head" | "truncate-middle" | "slide";

/** The options of conversations (ChatOptions) are for prompts that go through the chat template; there addGenerationPrompt is true by default. */
export interface GenerateOptions extends ChatOptions {
  /** Default: generation_config.json's max_new_tokens, else 256; −1: until a stop or the context is full. */
  readonly maxTokens?: number | undefined;
  /** Default: generation_config.json, else 0.8; 0 always takes the most likely token. */
  readonly temperature?: number | undefined;
  /** Default: generation_config.json, else 0 (all). */
  readonly topK?: number | undefined;
  /** Default: generation_config.json, else 1. */
  readonly topP?: number | undefined;
  /** Default: generation_config.json, else 0. */
  readonly minP?: number | undefined;
  /** Divides the logits of ids in prompt and completion; default: generation_config.json, else 1. */
  readonly repeatPenalty?: number | undefined;
  /** Subtracted from the logits of ids in the completion; default 0. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted once for each time the id is in the completion; default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to logits: by id, or by a text that is one token. */
  readonly logitBias?: ReadonlyMap<number | string, number> | undefined;
  /** A whole number from 0 to 2⁵³ − 1; default: drawn, and told in the start and end events. */
  readonly seed?: number | undefined;
  /** Texts that end the completion, matched across token borders, never part of it. */
  readonly stop?: readonly string[] | undefined;
  /** Ids, or texts of special tokens, that end the completion beside the checkpoint's own (Model.stopTokens). */
  readonly stopIds?: readonly (number | string)[] | undefined;
  /** Goes on past the checkpoint's own stop tokens; `stop` and `stopIds` still end the completion. */
  readonly ignoreEos?: boolean | undefined;
  /** How many of the most likely alternatives of every token to report, 0 to 20; default 0. */
  readonly logprobs?: number | undefined;
  /** A string is never put into the chat template; default true. With false it becomes a user message. */
  readonly raw?: boolean | undefined;
  /** Control tokens written in a raw text become their ids; default false: they are plain text. */
  readonly special?: boolean | undefined;
  /** System message before a templated prompt. */
  readonly system?: string | undefined;
  /** Default "error". */
  readonly onOverflow?: OnOverflow | undefined;
  /**
   * false: the prompt is computed from its first token on, and neither it nor what comes after it is kept for later prompts that begin
   * the same. Default true.
   */
  readonly promptCache?: boolean | undefined;
  /** Told after every step of the prompt but the last: tokens done, and in all. */
  readonly onPromptProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends the generation after the current token: the end event's reason is "abort". */
  readonly signal?: AbortSignal | undefined;
}

/** Why a generation ended. */
export type EndReason =
  /** One of the checkpoint's stop tokens. */
  | "eos"
  /** One of `stop` or `stopIds`. */
  | "stop"
  /** maxTokens. */
  | "length"
  /** The context is full. */
  | "context"
  /** The signal. */
  | "abort";

/** What ended a completion: a token, or a stop text, which has no id. */
export interface StopCause {
  readonly id?: number;
  readonly text: string;
}

export interface TokenLogprob {
  readonly id: number;
  /** The token's text; U+FFFD where its bytes are no whole characters. Empty without a tokenizer, and for an id that it lacks. */
  readonly text: string;
  /** Natural log of its probability under the model's own distribution, before penalties and temperature. */
  readonly logprob: number;
}

export interface StartEvent {
  readonly type: "start";
  readonly promptTokens: number;
  /** Ids left out of the prompt by `onOverflow`. */
  readonly droppedTokens: number;
  /** Messages left out by "slide": those that follow the system message. */
  readonly droppedMessages: number;
  readonly seed: number;
  /** The settings in force, after defaults. */
  readonly settings: EffectiveSettings;
  /** `Model.warnings`. */
  readonly warnings: readonly ModelWarning[];
}

export interface TokenEvent {
  readonly type: "token";
  readonly id: number;
  /** The text that is whole and certain with this token: empty while a character or a possible stop text is open. */
  readonly text: string;
  readonly logprob: number;
  /** The best alternatives, best first, when `logprobs` asks for them. */
  readonly top?: readonly TokenLogprob[];
}

export interface EndEvent {
  readonly type: "end";
  /** What was held back and turned out to belong to the completion. */
  readonly text: string;
  readonly reason: EndReason;
  /** With the reasons "eos" and "stop". */
  readonly stoppedBy?: StopCause;
  readonly usage: Usage;
  readonly timings: Timings;
  readonly seed: number;
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt, those that were not computed, as an earlier prompt or completion began with them. */
  readonly cachedTokens: number;
}

/** All 0 where no token was made. */
export interface Timings {
  /** Milliseconds from the start event to the first token: waiting for a free slot and room in the cache, and the prompt. */
  readonly firstTokenMs: number;
  /** Milliseconds for the prompt, and its computed tokens a second. */
  readonly promptMs: number;
  readonly promptTokensPerSecond: number;
  /** Milliseconds for the tokens after the first, and their rate. */
  readonly decodeMs: number;
  readonly decodeTokensPerSecond: number;
}

export type GenerateEvent = StartEvent | TokenEvent | EndEvent;

/** Every sampling setting after defaults: what must be repeated to repeat a run. */
export interface EffectiveSettings {
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly stop: readonly string[];
  readonly stopIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly seed: number;
}
