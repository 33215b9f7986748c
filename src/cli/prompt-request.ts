// What is to be answered or continued: a text or a conversation, with what goes into the chat template.
import { type ChatTemplate, type GenerateOptions, type Prompt, QuipuError } from "../index.js";
import { type ChatInputOptions, readChatInput } from "./chat-input.js";
import { asMessage, checkOneSource, type PromptOptions, readPrompt } from "./prompt-input.js";

export interface PromptRequestOptions extends PromptOptions, ChatInputOptions {
  readonly system?: string;
  readonly chat?: boolean;
  readonly raw?: boolean;
  readonly special?: boolean;
}

export interface PromptRequest {
  /** The text as it was given; undefined for a conversation. */
  readonly text: string | undefined;
  /** The prompt for a model with these templates: through the template as asked, else where there is one. */
  for(template: ChatTemplate | undefined): { readonly prompt: Prompt; readonly options: GenerateOptions };
  /** An error of the prompt, with the file that it is from where it does not say so. */
  explained<T>(error: T): T | QuipuError;
}

/**
 * Reads all of it, so that what is wrong is said before a model is loaded.
 *
 * @throws {QuipuError} ERR_USAGE, ERR_ABORTED
 */
export async function readPromptRequest(
  words: readonly string[],
  options: PromptRequestOptions,
  signal: AbortSignal,
): Promise<PromptRequest> {
  const { messages: file, prompt, system, chat, raw, special } = options;
  if (options.continue && file === undefined) {
    throw new QuipuError("ERR_USAGE", "--continue goes on with the last message of --messages: give both");
  }
  if (file !== undefined) {
    checkOneSource({
      words: words.length > 0,
      "-p": prompt !== undefined,
      "-f": options.file !== undefined,
      "--messages": true,
    });
  }
  const input = await readChatInput(options, signal);
  const { messages, explained } = input;
  if (messages !== undefined) {
    return {
      text: undefined,
      for: (template) => ({ prompt: messages, options: { ...input.optionsFor(template), system } }),
      explained,
    };
  }
  const text = await readPrompt(words, { ...options, stdin: options.stdin && options.tools !== "-" }, signal);
  return {
    text,
    for: (template) => {
      const own = input.optionsFor(template);
      const asked = chat === true || system !== undefined || Object.keys(own).length > 0;
      const templated = asked || (raw !== true && (template?.names.length ?? 0) > 0);
      return {
        prompt: templated && !raw ? asMessage(text) : text,
        options: { ...own, system, special, raw: raw === true || !templated },
      };
    },
    explained,
  };
}
