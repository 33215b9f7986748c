// quipu next: the most likely tokens after the prompt.
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { loadFrom, type ModelOptions } from "../model-options.js";
import { type PromptRequestOptions, readPromptRequest } from "../prompt-request.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { table } from "../terminal/tables.js";
import { visibleToken } from "../terminal/tokens.js";

export interface NextOptions extends PromptRequestOptions, ModelOptions {
  readonly top: number;
  readonly json?: boolean;
}

export async function next(words: readonly string[], options: NextOptions, context: Context): Promise<void> {
  await ensureModel(options.model, options, context); // a wrong name is said before stdin is waited for
  const request = await readPromptRequest(words, options, context.signal);
  const model = await loadFrom(options, new Progress({ quiet: false }), context);
  try {
    const { prompt, options: how } = request.for(model.chatTemplate);
    const top = Math.min(options.top, model.config.vocabSize);
    const best = await model.next(prompt, { ...how, top, signal: context.signal });
    const tokens = best.map((token) => ({ ...token, probability: Math.exp(token.logprob) }));
    if (options.json) return await write(`${JSON.stringify({ tokens })}\n`);
    const { tokenizer } = model;
    const rows = tokens.map(({ id, logprob, probability }, rank) => [
      rank + 1,
      id,
      `${(100 * probability).toFixed(2)} %`,
      logprob.toFixed(4),
      tokenizer === undefined ? "" : visibleToken(tokenizer, id),
    ]);
    await write(table(["rank", "id", "probability", "logprob", "text"], rows));
  } catch (error) {
    throw request.explained(error);
  } finally {
    await model.dispose();
  }
}
