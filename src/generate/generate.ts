// The loop: prompt in chunks, then a token at a time, the next step queued on the device before this one's text is worked out.

import { isQuipuError } from "../errors.js";
import type { Decoder, Row, Runtime, SampledToken } from "../model/runtime.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ModelWarning } from "../warnings.js";
import type { EffectiveSettings, EndReason, GenerateEvent, Timings, TokenEvent, TokenLogprob } from "./events.js";
import type { SlotPool } from "./slot-pool.js";
import { StopStrings } from "./stop-strings.js";

export interface GenerationRequest {
  readonly ids: Int32Array;
  readonly droppedTokens: number;
  readonly warnings: readonly ModelWarning[];
  readonly settings: EffectiveSettings;
  readonly logitBias: ReadonlyMap<number, number>;
  /** Ids that end the completion; empty when end-of-sequence is ignored. */
  readonly eosIds: readonly number[];
  /** Alternatives to report with every token. */
  readonly logprobs: number;
  /** Rows of the prompt in one step. */
  readonly batchSize: number;
  readonly onPromptProgress: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Runs a request on a slot, once one is free. Ends with an end event, also when the signal ends it. */
export async function* runGeneration(
  runtime: Runtime,
  tokenizer: Tokenizer | undefined,
  slots: SlotPool,
  request: GenerationRequest,
): AsyncGenerator<GenerateEvent, void, void> {
  const { ids, settings, eosIds, signal, logprobs } = request;
  const maxTokens = Math.min(
    settings.maxTokens < 0 ? Number.POSITIVE_INFINITY : settings.maxTokens,
    runtime.contextLength - ids.length,
  );
  const best = Math.max(1, logprobs);
  const texts = tokenizer?.streamDecoder();
  const stops = new StopStrings(settings.stop);
  let tokens = 0;
  let reason: EndReason | undefined;
  yield {
    type: "start",
    promptTokens: ids.length,
    droppedTokens: request.droppedTokens,
    seed: settings.seed,
    settings,
    warnings: request.warnings,
  };

  const clock = new Clock();
  const steps = new AbortController(); // ends the steps of this request: by its signal, or as nobody wants them any more
  const abort = () => steps.abort(signal?.reason);
  let slot: number | undefined;
  let decoder: Decoder | undefined;
  let ahead: Promise<SampledToken> | undefined;
  try {
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    if (maxTokens > 0) {
      slot = await slots.acquire(steps.signal);
      clock.prompt();
      ahead = promptThenSample(runtime, request, slot, best, steps.signal);
    }
    while (reason === undefined && ahead !== undefined && slot !== undefined) {
      const token = await ahead;
      ahead = undefined;
      if (tokens === 0) clock.firstToken();
      else clock.laterToken();
      if (eosIds.includes(token.id)) {
        reason = "eos";
        break;
      }
      tokens += 1;
      if (tokens < maxTokens && !signal?.aborted) {
        decoder ??= runtime.decoder({ id: token.id, slot, position: ids.length }, best);
        ahead = decoder.next(steps.signal);
        ahead.catch(() => {}); // awaited above, unless a stop text makes it moot
      }
      const piece = texts?.push(token.id) ?? "";
      const { text, stopped } = stops.push(piece);
      yield tokenEvent(token, text, logprobs, tokenizer);
      if (stopped) reason = "stop";
      else if (signal?.aborted) reason = "abort";
    }
    reason ??= settings.maxTokens >= 0 && tokens >= settings.maxTokens ? "length" : "context";
  } catch (error) {
    if (!(signal?.aborted && isQuipuError(error) && error.code === "ERR_ABORTED")) throw error;
    reason = "abort";
  } finally {
    signal?.removeEventListener("abort", abort);
    steps.abort();
    await ahead?.catch(() => {}); // the slot is free only when nothing runs on it any more
    decoder?.release();
    if (slot !== undefined) slots.release(slot);
  }
  let text = "";
  if (reason !== "stop") {
    const last = stops.push(texts?.end() ?? "");
    text = last.text + stops.flush();
    if (last.stopped) reason = "stop";
  }
  yield {
    type: "end",
    text,
    reason,
    usage: { promptTokens: ids.length, completionTokens: tokens },
    timings: clock.timings(ids.length),
    seed: settings.seed,
  };
}

/** The rows of `ids` in a slot, from position 0. */
export function rowsOf(ids: Int32Array, slot: number): Row[] {
  return Array.from(ids, (id, position) => ({ id, slot, position }));
}

async function promptThenSample(
  runtime: Runtime,
  request: GenerationRequest,
  slot: number,
  best: number,
  signal: AbortSignal,
): Promise<SampledToken> {
  const { ids, settings, logitBias, eosIds, batchSize } = request;
  await runtime.prepare(slot, { ...settings, logitBias }, ids, eosIds, signal);
  const rows = rowsOf(ids, slot);
  const lastChunk = Math.floor((rows.length - 1) / batchSize) * batchSize;
  for (let start = 0; start < lastChunk; start += batchSize) {
    await runtime.fill(rows.slice(start, start + batchSize), signal);
    request.onPromptProgress?.(start + batchSize, rows.length);
  }
  const last = rows.slice(lastChunk);
  const [token] = await runtime.sample(last, [last.length - 1], best, signal);
  return token!;
}

function tokenEvent(token: SampledToken, text: string, logprobs: number, tokenizer: Tokenizer | undefined): TokenEvent {
  const event = { type: "token", id: token.id, text, logprob: token.logprob } as const;
  if (logprobs === 0) return event;
  return { ...event, top: token.best.map((entry) => withText(entry, tokenizer)) };
}

/** An id and its logprob with the text of the token; ids that only pad the model's vocabulary have none. */
export function withText(
  { id, logprob }: { id: number; logprob: number },
  tokenizer: Tokenizer | undefined,
): TokenLogprob {
  // A model's vocabulary may be padded beyond the tokenizer's.
  const known = tokenizer !== undefined && id < tokenizer.vocabSize;
  return { id, logprob, text: known ? tokenizer.decode([id], { special: true }) : "" };
}

class Clock {
  readonly #start = performance.now();
  #prompt = 0;
  #first: number | undefined;
  #last = 0;
  #later = 0;

  prompt(): void {
    this.#prompt = performance.now();
  }

  firstToken(): void {
    this.#first = performance.now();
    this.#last = this.#first;
  }

  laterToken(): void {
    this.#last = performance.now();
    this.#later += 1;
  }

  timings(promptTokens: number): Timings {
    if (this.#first === undefined) {
      return { firstTokenMs: 0, promptMs: 0, promptTokensPerSecond: 0, decodeMs: 0, decodeTokensPerSecond: 0 };
    }
    const promptMs = this.#first - this.#prompt;
    const decodeMs = this.#last - this.#first;
    return {
      firstTokenMs: this.#first - this.#start,
      promptMs,
      promptTokensPerSecond: promptMs > 0 ? (promptTokens / promptMs) * 1000 : 0,
      decodeMs,
      decodeTokensPerSecond: decodeMs > 0 ? (this.#later / decodeMs) * 1000 : 0,
    };
  }
}
