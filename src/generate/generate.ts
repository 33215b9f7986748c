// The loop: prompt in chunks, then a token at a time, the next step queued on the device before this one's text is worked out.

import { isQuipuError } from "../errors.js";
import { type Decoder, type Row, type Runtime, type SampledToken, tokenOf } from "../model/runtime.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ModelWarning } from "../warnings.js";
import type {
  EffectiveSettings,
  EndReason,
  GenerateEvent,
  StopCause,
  Timings,
  TokenEvent,
  TokenLogprob,
} from "./events.js";
import type { Lease, SlotPool } from "./slot-pool.js";
import { StopStrings } from "./stop-strings.js";
import { textOfToken } from "./stop-tokens.js";

export interface GenerationRequest {
  readonly ids: Int32Array;
  readonly droppedTokens: number;
  readonly warnings: readonly ModelWarning[];
  readonly settings: EffectiveSettings;
  readonly logitBias: ReadonlyMap<number, number>;
  /** The checkpoint's own ids that end the completion; empty where they are ignored. */
  readonly eosIds: readonly number[];
  /** Alternatives to report with every token. */
  readonly logprobs: number;
  /** Rows of the prompt in one step. */
  readonly batchSize: number;
  readonly onPromptProgress: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * What a generation holds. It knows nothing of the generator that uses it: when that is forgotten and collected, end() still
 * gives everything back.
 */
export class Holding {
  readonly #steps = new AbortController(); // ends the steps: by the request's signal, or as nobody wants them any more
  readonly #started = performance.now();
  #signal: AbortSignal | undefined;
  lease: Lease | undefined;
  decoder: Decoder | undefined;
  /** The step that runs ahead of what was yielded. */
  ahead: Promise<SampledToken> | undefined;
  tokens = 0;

  get steps(): AbortSignal {
    return this.#steps.signal;
  }

  follow(signal: AbortSignal | undefined): void {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort);
    if (signal?.aborted) this.#abort();
  }

  /** @param prompt its beginning. */
  describe(prompt: string): string {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1);
    return `the generation after ${prompt} (started ${seconds} s ago, ${this.tokens} ${this.tokens === 1 ? "token" : "tokens"})`;
  }

  /** A second call does nothing. */
  async end(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#steps.abort();
    await this.ahead?.catch(() => {}); // the slot is free only when nothing runs on it any more
    this.decoder?.release();
    this.decoder = undefined;
    this.lease?.release();
  }

  readonly #abort = () => this.#steps.abort(this.#signal?.reason);
}

/** Runs a request on a slot, once one is free. Ends with an end event, also when the signal ends it. */
export async function* runGeneration(
  runtime: Runtime,
  tokenizer: Tokenizer | undefined,
  slots: SlotPool,
  request: GenerationRequest,
  holding: Holding,
): AsyncGenerator<GenerateEvent, void, void> {
  const { ids, settings, eosIds, signal, logprobs } = request;
  const maxTokens = Math.min(
    settings.maxTokens < 0 ? Number.POSITIVE_INFINITY : settings.maxTokens,
    runtime.contextLength - ids.length,
  );
  const best = Math.max(1, logprobs);
  const texts = tokenizer?.streamDecoder();
  const stops = new StopStrings(settings.stop);
  let reason: EndReason | undefined;
  let stoppedBy: StopCause | undefined;
  yield {
    type: "start",
    promptTokens: ids.length,
    droppedTokens: request.droppedTokens,
    seed: settings.seed,
    settings,
    warnings: request.warnings,
  };

  const clock = new Clock();
  try {
    holding.follow(signal);
    if (maxTokens > 0) {
      const describe = () => holding.describe(beginningOf(ids, tokenizer));
      holding.lease = await slots.acquire(describe, holding.steps);
      clock.prompt();
      holding.ahead = promptThenSample(runtime, request, holding.lease.slot, best, holding.steps);
    }
    while (reason === undefined && holding.ahead !== undefined && holding.lease !== undefined) {
      const token = await holding.ahead;
      holding.ahead = undefined;
      if (holding.tokens === 0) clock.firstToken();
      else clock.laterToken();
      if (eosIds.includes(token.id) || settings.stopIds.includes(token.id)) {
        reason = eosIds.includes(token.id) ? "eos" : "stop";
        stoppedBy = { id: token.id, text: textOfToken(token.id, tokenizer) };
        break;
      }
      holding.tokens += 1;
      if (holding.tokens < maxTokens && !signal?.aborted) {
        holding.decoder ??= runtime.decoder({ id: token.id, slot: holding.lease.slot, position: ids.length }, best);
        holding.ahead = holding.decoder.next(holding.steps);
        holding.ahead.catch(() => {}); // awaited above, unless a stop text makes it moot
      }
      const { text, stop } = stops.push(texts?.push(token.id) ?? "");
      holding.lease.setIdle(true);
      yield tokenEvent(token, text, logprobs, tokenizer);
      holding.lease.setIdle(false);
      if (stop !== undefined) [reason, stoppedBy] = ["stop", { text: stop }];
      else if (signal?.aborted) reason = "abort";
    }
    reason ??= settings.maxTokens >= 0 && holding.tokens >= settings.maxTokens ? "length" : "context";
  } catch (error) {
    if (!(signal?.aborted && isQuipuError(error) && error.code === "ERR_ABORTED")) throw error;
    reason = "abort";
  } finally {
    await holding.end();
  }
  let text = "";
  if (reason !== "stop" || stoppedBy?.id !== undefined) {
    const last = stops.push(texts?.end() ?? "");
    text = last.text + stops.flush();
    if (last.stop !== undefined) [reason, stoppedBy] = ["stop", { text: last.stop }];
  }
  yield {
    type: "end",
    text,
    reason,
    ...(stoppedBy === undefined ? {} : { stoppedBy }),
    usage: { promptTokens: ids.length, completionTokens: holding.tokens },
    timings: clock.timings(ids.length),
    seed: settings.seed,
  };
}

/** Characters of a prompt that tell it from others, in an error. */
const BEGINNING = 40;

function beginningOf(ids: Int32Array, tokenizer: Tokenizer | undefined): string {
  const some = ids.subarray(0, BEGINNING);
  if (tokenizer === undefined || some.some((id) => id >= tokenizer.vocabSize)) {
    return `the ids ${some.subarray(0, 8).join(", ")}${ids.length > 8 ? ", …" : ""}`;
  }
  const text = tokenizer.decode(some, { special: true });
  return text.length > BEGINNING ? `${JSON.stringify(text.slice(0, BEGINNING))}…` : JSON.stringify(text);
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
  await runtime.prepare(slot, { ...settings, logitBias }, ids, [...eosIds, ...settings.stopIds], signal);
  const rows = rowsOf(ids, slot);
  const lastChunk = Math.floor((rows.length - 1) / batchSize) * batchSize;
  for (let start = 0; start < lastChunk; start += batchSize) {
    await runtime.fill(rows.slice(start, start + batchSize), signal);
    request.onPromptProgress?.(start + batchSize, rows.length);
  }
  const last = rows.slice(lastChunk);
  const [row] = await runtime.sample(last, [last.length - 1], best, signal);
  return tokenOf(row!);
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
  return { id, logprob, text: textOfToken(id, tokenizer) };
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
