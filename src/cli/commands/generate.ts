// quipu [prompt…]: text to stdout as it becomes whole, everything else to stderr.
import type { EndEvent, GenerateOptions, Model, StartEvent } from "../../index.js";
import { loadFrom, type ModelOptions, usesTemplate } from "../model-options.js";
import type { Context } from "../program.js";
import { type PromptOptions, readPrompt } from "../prompt-input.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { formatBytes } from "../terminal/tables.js";

export interface GenerateCommandOptions extends PromptOptions, ModelOptions {
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
  readonly ignoreEos?: boolean;
  readonly onOverflow?: "error" | "truncate-head" | "truncate-middle";
  readonly system?: string;
  readonly chat?: boolean;
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly logprobs?: number;
  readonly echo?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly benchmark?: boolean;
}

export async function generate(
  words: readonly string[],
  options: GenerateCommandOptions,
  context: Context,
): Promise<void> {
  if (options.benchmark) {
    const { benchmark } = await import("./benchmark.js");
    return benchmark(options, context);
  }
  const prompt = await readPrompt(words, options, context.signal);
  const progress = new Progress({ quiet: options.quiet === true });
  const model = await loadFrom(options, progress, context);
  try {
    const request = requestOf(options, model, progress, context);
    if (options.json) await writeEvents(model, prompt, request, options);
    else await writeText(model, prompt, request, options, progress);
  } finally {
    progress.erase();
    await model.dispose();
  }
}

function requestOf(
  options: GenerateCommandOptions,
  model: Model,
  progress: Progress,
  { signal }: Context,
): GenerateOptions {
  const { maxTokens, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, logitBias } = options;
  const { seed, stop, ignoreEos, onOverflow, system, logprobs } = options;
  return {
    ...{ maxTokens, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, logitBias },
    ...{ seed, stop, ignoreEos, onOverflow, system, logprobs, signal },
    temperature: options.temp,
    raw: !usesTemplate(options, model.chatTemplate !== undefined),
    onPromptProgress: (done, total) => progress.draw("prompt", done, total),
  };
}

async function writeText(
  model: Model,
  prompt: string,
  request: GenerateOptions,
  options: GenerateCommandOptions,
  progress: Progress,
): Promise<void> {
  for await (const event of model.generate(prompt, request)) {
    if (event.type === "start") {
      if (options.verbose) process.stderr.write(describeStart(event, model, request));
      if (options.echo) await write(prompt);
      continue;
    }
    progress.erase();
    await write(event.text);
    if (event.type === "end") {
      if (process.stdout.isTTY) await write("\n");
      if (options.verbose) process.stderr.write(describeEnd(event));
    }
  }
}

async function writeEvents(
  model: Model,
  prompt: string,
  request: GenerateOptions,
  { echo }: GenerateCommandOptions,
): Promise<void> {
  for await (const event of model.generate(prompt, request)) {
    const shown = echo && event.type === "start" ? { ...event, prompt } : event;
    await write(`${JSON.stringify(shown)}\n`);
  }
}

function describeStart(
  { settings, promptTokens, droppedTokens }: StartEvent,
  model: Model,
  request: GenerateOptions,
): string {
  const { parameters, weightBytes, target, threads, device, contextLength, cacheBytes, kvCache } = model.stats();
  const { temperature, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, maxTokens, seed } = settings;
  const supported = model.config.maxPositions;
  const context =
    contextLength < supported
      ? `${contextLength} of ${supported} positions that the model supports`
      : `${contextLength} positions`;
  return [
    `model     ${parameters} parameters, weights ${formatBytes(weightBytes)}`,
    `device    ${device} ${target}, ${threads} threads`,
    `context   ${context}, ${kvCache} cache of ${formatBytes(cacheBytes)}`,
    `prompt    ${promptTokens} tokens${droppedTokens > 0 ? ` (${droppedTokens} left out)` : ""}, ${request.raw ? "raw" : "chat template"}`,
    `sampling  temp ${temperature}, top-k ${topK}, top-p ${topP}, min-p ${minP}, repeat ${repeatPenalty}, presence ${presencePenalty}, frequency ${frequencyPenalty}`,
    `limits    max-tokens ${maxTokens}, seed ${seed}`,
    "",
  ].join("\n");
}

function describeEnd({ reason, usage, timings, seed }: EndEvent): string {
  const { promptTokens, completionTokens } = usage;
  const rate = (value: number) => value.toFixed(1);
  return [
    "",
    `end       ${reason}, seed ${seed}`,
    `prompt    ${promptTokens} tokens in ${rate(timings.promptMs)} ms, ${rate(timings.promptTokensPerSecond)} tokens/s`,
    `generated ${completionTokens} tokens, ${rate(timings.decodeTokensPerSecond)} tokens/s after the first`,
    "",
  ].join("\n");
}
