// quipu inspect prompt: the prompt as the model sees it.
import { encodeChat, loadChatTemplate, loadTokenizer, modelFolder, QuipuError, type Tokenizer } from "../../index.js";
import { printWarning, usesTemplate } from "../model-options.js";
import type { Context } from "../program.js";
import { asMessage, type PromptOptions, readPrompt } from "../prompt-input.js";
import { write } from "../terminal/output.js";
import { coloured, colourTokens, describeToken, tokenTable } from "../terminal/tokens.js";

export interface InspectPromptOptions extends PromptOptions {
  readonly model?: string;
  readonly system?: string;
  readonly chat?: boolean;
  readonly raw?: boolean;
  readonly special?: boolean;
  readonly json?: boolean;
}

export async function inspectPrompt(
  words: readonly string[],
  options: InspectPromptOptions,
  { signal }: Context,
): Promise<void> {
  const dir = modelFolder(options.model, (_code, message) => printWarning({ message }, {}));
  const prompt = await readPrompt(words, options, signal);
  const [tokenizer, template] = await Promise.all([loadTokenizer(dir), loadChatTemplate(dir)]);
  const templated = usesTemplate(options, template !== undefined);
  if (templated && template === undefined) {
    throw new QuipuError("ERR_USAGE", `${dir} has no chat template: leave out --chat and --system`);
  }
  if (templated && options.special) {
    throw new QuipuError("ERR_USAGE", "--special: control tokens are parsed in raw prompts only: give --raw");
  }
  const system = options.system === undefined ? [] : [{ role: "system", content: options.system }];
  const messages = [...system, { role: "user", content: asMessage(prompt) }];
  const ids =
    templated && template !== undefined
      ? encodeChat(tokenizer, template, messages, { addGenerationPrompt: true })
      : encodeRaw(tokenizer, prompt, options.special);
  const rendered = tokenizer.decode(ids, { special: true });
  if (options.json) {
    const tokens = Array.from(ids, (id) => describeToken(tokenizer, id));
    return write(`${JSON.stringify({ template: templated, text: rendered, count: ids.length, tokens })}\n`);
  }
  const shown = coloured() ? colourTokens(tokenizer, ids) : rendered;
  const kind = templated ? "chat template" : "raw";
  await write(`${shown}\n\n${tokenTable(tokenizer, ids)}${ids.length} tokens, ${kind}\n`);
}

/** Begin-of-text stands first once, also where the prompt's own control tokens begin with it. */
function encodeRaw(tokenizer: Tokenizer, prompt: string, special = false): Int32Array {
  const ids = tokenizer.encode(prompt, { special });
  const { addsBos, bosId } = tokenizer;
  return addsBos && bosId !== undefined && ids[0] !== bosId ? Int32Array.of(bosId, ...ids) : ids;
}
