// The sampling options, from the command line's names to the library's.
import type { GenerateOptions, OnOverflow } from "../index.js";

export interface SamplingOptions {
  readonly maxTokens?: number;
  readonly temp?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repeatPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly logitBias?: ReadonlyMap<number | string, number>;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly stopId?: readonly (number | string)[];
  readonly ignoreEos?: boolean;
  readonly onOverflow?: OnOverflow;
}

/** Those of some options that are sampling options and set. */
export function pickSampling(options: SamplingOptions): SamplingOptions {
  const { maxTokens, temp, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty } = options;
  const { logitBias, seed, stop, stopId, ignoreEos, onOverflow } = options;
  const picked = {
    ...{ maxTokens, temp, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty },
    ...{ logitBias, seed, stop, stopId, ignoreEos, onOverflow },
  };
  return Object.fromEntries(Object.entries(picked).filter(([, value]) => value !== undefined));
}

export function samplingOf(options: SamplingOptions): GenerateOptions {
  const { maxTokens, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, logitBias } = options;
  const { seed, stop, stopId, ignoreEos, onOverflow } = options;
  return {
    ...{ maxTokens, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, logitBias },
    ...{ seed, stop, stopIds: stopId, ignoreEos, onOverflow },
    temperature: options.temp,
  };
}
