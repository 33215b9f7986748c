// How long a model takes, as `quipu --benchmark` measures it and `quipu plan` expects it.
import { abortedError } from "../errors.js";
import type { GenerateOptions } from "../generate/events.js";
import type { Model } from "../generate/model.js";

/** Milliseconds from a prompt to the first token. */
export async function promptTime(model: Model, ids: Int32Array, signal: AbortSignal | undefined): Promise<number> {
  const started = performance.now();
  await model.next(ids, { top: 1, promptCache: false, signal });
  return performance.now() - started;
}

/** Milliseconds from the first token to the last, and the inter-token latencies. */
export interface Decode {
  readonly ms: number;
  readonly gapsMs: readonly number[];
}

export async function decode(
  model: Model,
  ids: Int32Array,
  maxTokens: number,
  { sampling, signal }: { readonly sampling?: GenerateOptions | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Decode> {
  const times: number[] = [];
  const request = { seed: 1, ...sampling, maxTokens, ignoreEos: true, promptCache: false, signal };
  for await (const event of model.generate(ids, request)) {
    if (event.type === "token") times.push(performance.now());
  }
  if (signal?.aborted) throw abortedError(signal);
  const gapsMs = times.slice(1).map((time, i) => time - times[i]!);
  return { ms: times.at(-1)! - times[0]!, gapsMs };
}

/** Ids spread over the vocabulary: what they say does not change what they cost. */
export function idsFor({ config }: Model, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 7919 + 13) % config.vocabSize);
}
