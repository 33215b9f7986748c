// quipu inspect prompt: the prompt as the model sees it.
import { encodePrompt, loadChatTemplate, loadTokenizer, modelFolder } from "../../index.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { warningPrinter } from "../model-options.js";
import { type PromptRequestOptions, readPromptRequest } from "../prompt-request.js";
import { write } from "../terminal/output.js";
import { coloured, colourTokens, describeToken, tokenTable } from "../terminal/tokens.js";

export interface InspectPromptOptions extends PromptRequestOptions {
  readonly model?: string;
  readonly json?: boolean;
}

export async function inspectPrompt(
  words: readonly string[],
  options: InspectPromptOptions,
  { signal }: Context,
): Promise<void> {
  const warn = warningPrinter({});
  await ensureModel(options.model, {}, { signal }, "tokenizer");
  const dir = modelFolder(options.model, warn);
  const request = await readPromptRequest(words, options, signal);
  const [tokenizer, chatTemplate] = await Promise.all([loadTokenizer(dir, warn), loadChatTemplate(dir, warn)]);
  const { prompt, options: how } = request.for(chatTemplate);
  let ids: Int32Array;
  try {
    ids = encodePrompt(prompt, how, { tokenizer, chatTemplate, vocabSize: tokenizer.vocabSize });
  } catch (error) {
    throw request.explained(error);
  }
  const rendered = tokenizer.decode(ids, { special: true });
  if (options.json) {
    const tokens = Array.from(ids, (id) => describeToken(tokenizer, id));
    return write(`${JSON.stringify({ template: how.raw !== true, text: rendered, count: ids.length, tokens })}\n`);
  }
  const shown = coloured() ? colourTokens(tokenizer, ids) : rendered;
  const kind = how.raw ? "raw" : "chat template";
  await write(`${shown}\n\n${tokenTable(tokenizer, ids)}${ids.length} tokens, ${kind}\n`);
}
