// The loop: tokens of the scheduler to events, while the device works on those that follow.

import { isQuipuError } from "../errors.js";
import type { PageKeeper } from "../model/page-pool.js";
import type { SampledToken } from "../model/runtime.js";
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
import type { Scheduler } from "./scheduler.js";
import type { Sequence } from "./sequence.js";
import { StopStrings } from "./stop-strings.js";
import { textOfToken } from "./stop-tokens.js";

export interface GenerationRequest {
  readonly ids: Int32Array;
  /** The answer goes on with the text of the prompt; it is not a message of its own. */
  readonly goesOn: boolean;
  readonly droppedTokens: number;
  readonly droppedMessages: number;
  readonly warnings: readonly ModelWarning[];
  readonly settings: EffectiveSettings;
  readonly logitBias: ReadonlyMap<number, number>;
  /** The checkpoint's own ids that end the completion; empty where they are ignored. */
  readonly eosIds: readonly number[];
  /** Alternatives to report with every token. */
  readonly logprobs: number;
  /** Positions of the context behind the prompt. */
  readonly room: number;
  readonly promptCache: boolean;
  readonly keeper: PageKeeper | undefined;
  readonly onPromptProgress: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a generator has begun. It knows nothing of the generator: when that is forgotten and collected, the sequence can still be ended. */
export interface Holding {
  sequence: Sequence | undefined;
  /** The generator was abandoned and collected. */
  isForgotten: boolean;
}

/** Releases what a generator holds that was abandoned and collected. */
const FORGOTTEN = new FinalizationRegistry<Holding>((holding) => {
  holding.isForgotten = true;
  holding.sequence?.end();
});

/** A generator, which is watched, and what it holds. */
export function holdingOf<T extends object>(make: (holding: Holding) => T): T {
  const holding: Holding = { sequence: undefined, isForgotten: false };
  const events = make(holding);
  FORGOTTEN.register(events, holding);
  return events;
}

/** Runs a request, as the scheduler has room for it. Ends with an end event, also when the signal ends it. */
export async function* runGeneration(
  scheduler: Scheduler,
  tokenizer: Tokenizer | undefined,
  request: GenerationRequest,
  holding: Holding,
): AsyncGenerator<GenerateEvent, void, void> {
  const { ids, settings, eosIds, signal, logprobs, logitBias, promptCache, keeper, onPromptProgress } = request;
  const maxTokens = Math.min(settings.maxTokens < 0 ? Number.POSITIVE_INFINITY : settings.maxTokens, request.room);
  const texts = tokenizer?.streamDecoder({ goesOn: request.goesOn });
  const stops = new StopStrings(settings.stop);
  let reason: EndReason | undefined;
  let stoppedBy: StopCause | undefined;
  yield {
    type: "start",
    promptTokens: ids.length,
    droppedTokens: request.droppedTokens,
    droppedMessages: request.droppedMessages,
    seed: settings.seed,
    settings,
    warnings: request.warnings,
  };

  const clock = new Clock();
  let tokens = 0;
  try {
    if (maxTokens > 0) {
      const stopIds = [...eosIds, ...settings.stopIds];
      const began = performance.now();
      holding.sequence = scheduler.submit({
        ids,
        wanted: { settings: { ...settings, logitBias }, maxTokens, stopIds, best: logprobs, promptCache },
        ...{ keeper, onPromptProgress, signal },
        describe: (taken) => describe(beginningOf(ids, tokenizer), performance.now() - began, taken),
      });
    }
    while (reason === undefined && holding.sequence !== undefined) {
      const token = await holding.sequence.next();
      if (token === undefined) break;
      clock.token(holding.sequence.admittedAt);
      if (eosIds.includes(token.id) || settings.stopIds.includes(token.id)) {
        reason = eosIds.includes(token.id) ? "eos" : "stop";
        stoppedBy = { id: token.id, text: textOfToken(token.id, tokenizer) };
        break;
      }
      tokens += 1;
      const { text, stop } = stops.push(texts?.push(token.id) ?? "");
      if (stop !== undefined) holding.sequence.end(); // nothing more is computed while the event is looked at
      yield tokenEvent(token, text, logprobs, tokenizer);
      if (stop !== undefined) [reason, stoppedBy] = ["stop", { text: stop }];
      else if (signal?.aborted) reason = "abort";
    }
    reason ??= settings.maxTokens >= 0 && tokens >= settings.maxTokens ? "length" : "context";
  } catch (error) {
    if (!(signal?.aborted && isQuipuError(error) && error.code === "ERR_ABORTED")) throw error;
    reason = "abort";
  } finally {
    holding.sequence?.end();
  }
  const cachedTokens = holding.sequence?.cachedTokens ?? 0;
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
    usage: { promptTokens: ids.length, completionTokens: tokens, cachedTokens },
    timings: clock.timings(ids.length - cachedTokens),
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

function describe(prompt: string, milliseconds: number, tokens: number): string {
  const seconds = (milliseconds / 1000).toFixed(1);
  return `the generation after ${prompt} (started ${seconds} s ago, ${tokens} ${tokens === 1 ? "token" : "tokens"})`;
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

  /** A token has come, of a sequence that was admitted at that time. */
  token(admittedAt: number): void {
    this.#last = performance.now();
    if (this.#first === undefined) [this.#prompt, this.#first] = [admittedAt, this.#last];
    else this.#later += 1;
  }

  /** @param promptTokens those that were computed. */
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
