// quipu [prompt…]: text to stdout as it becomes whole, everything else to stderr.
import {
  type EndEvent,
  type GenerateEvent,
  type GenerateOptions,
  type Model,
  modelFolder,
  QuipuError,
  type StartEvent,
} from "../../index.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { loadFrom, type ModelOptions } from "../model-options.js";
import { type PromptRequestOptions, readPromptRequest } from "../prompt-request.js";
import { type SamplingOptions, samplingOf } from "../sampling-options.js";
import { describeDropped } from "../terminal/dropped.js";
import { isInteractive, write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { describeStop } from "../terminal/stops.js";
import { formatBytes } from "../terminal/tables.js";
import type { BenchmarkCommandOptions } from "./benchmark.js";

export interface GenerateCommandOptions
  extends PromptRequestOptions,
    ModelOptions,
    SamplingOptions,
    BenchmarkCommandOptions {
  readonly newline?: boolean;
  readonly json?: boolean;
  readonly logprobs?: number;
  readonly echo?: boolean;
  readonly verbose?: boolean;
  readonly benchmark?: boolean;
}

export async function generate(
  words: readonly string[],
  options: GenerateCommandOptions,
  context: Context,
): Promise<void> {
  checkTogether(words, options);
  if (options.benchmark) {
    const { benchmark } = await import("./benchmark.js");
    return benchmark(options, context);
  }
  if (isForChat(words, options)) {
    const { chat } = await import("./chat.js");
    return chat(options, context, "no prompt");
  }
  await ensureModel(options.model, options, context); // a wrong name is said before stdin is waited for
  const asked = await readPromptRequest(words, options, context.signal);
  const progress = new Progress({ quiet: options.quiet === true });
  const model = await loadFrom(options, progress, context);
  try {
    const { prompt, options: how } = asked.for(model.chatTemplate);
    const request = { ...requestOf(options, progress, context), ...how };
    const print = options.json ? jsonPrinter(asked.text, options) : textPrinter(asked.text, options);
    for await (const event of model.generate(prompt, request)) {
      if (event.type === "start" && options.verbose)
        process.stderr.write(describeStart(event, model, request, options));
      progress.erase();
      const dropped = event.type === "start" && !options.quiet ? describeDropped(event) : undefined;
      if (dropped !== undefined) process.stderr.write(`quipu: ${dropped}\n`);
      await print(event);
      if (event.type === "end" && options.verbose) process.stderr.write(describeEnd(event));
    }
  } catch (error) {
    throw asked.explained(error);
  } finally {
    progress.erase();
    await model.dispose();
  }
}

/** Nothing to continue or to answer, and somebody before the terminal who can say something. */
function isForChat(words: readonly string[], options: GenerateCommandOptions): boolean {
  const { prompt, file, messages, raw, json, echo, newline, stdin } = options;
  const isGiven = words.length > 0 || [prompt, file, messages].some((source) => source !== undefined);
  return !isGiven && !raw && !json && !echo && !newline && stdin && isInteractive();
}

/** @throws {QuipuError} ERR_USAGE for options that mean nothing without another. */
function checkTogether(words: readonly string[], options: GenerateCommandOptions): void {
  const { benchmark, promptTokens, genTokens, repeats, depth, format, logprobs, json } = options;
  const measuring = { "prompt-tokens": promptTokens, "gen-tokens": genTokens, repeats, depth, format };
  const [lone] = Object.entries(measuring).find(([, value]) => value !== undefined) ?? [];
  if (lone !== undefined && !benchmark) {
    throw new QuipuError("ERR_USAGE", `--${lone} is an option of --benchmark: give both, or leave it out`);
  }
  const { prompt, file, messages } = options;
  if (benchmark && (words.length > 0 || [prompt, file, messages].some((source) => source !== undefined))) {
    throw new QuipuError("ERR_USAGE", "--benchmark makes its own prompt: expected none");
  }
  if (options.echo && messages !== undefined) {
    throw new QuipuError("ERR_USAGE", "--echo prints a text: quipu inspect prompt --messages shows a conversation");
  }
  if (logprobs !== undefined && !json) {
    throw new QuipuError("ERR_USAGE", "--logprobs shows in the events of --json: give both, or see quipu next");
  }
}

function requestOf(options: GenerateCommandOptions, progress: Progress, { signal }: Context): GenerateOptions {
  return {
    ...samplingOf(options),
    ...{ logprobs: options.logprobs, signal },
    onPromptProgress: (done, total) => progress.draw("prompt", done, total),
  };
}

type Printer = (event: GenerateEvent) => Promise<void>;

function textPrinter(prompt = "", { echo, newline }: GenerateCommandOptions): Printer {
  const last = process.stdout.isTTY ? "\n" : "";
  if (!newline) {
    return async (event) => {
      const text = event.type === "start" ? (echo ? prompt : "") : event.text;
      await write(event.type === "end" ? text + last : text);
    };
  }
  let held = ""; // newlines that may be the last ones
  return async (event) => {
    const text = held + (event.type === "start" ? (echo ? prompt : "") : event.text);
    const printed = text.replace(/\n+$/, "");
    held = text.slice(printed.length);
    await write(event.type === "end" ? `${printed}\n` : printed);
  };
}

function jsonPrinter(prompt: string | undefined, { echo }: GenerateCommandOptions): Printer {
  return async (event) => {
    const shown = echo && event.type === "start" ? { ...event, prompt } : event;
    await write(`${JSON.stringify(shown)}\n`);
  };
}

function describeStart(
  { settings, promptTokens, droppedTokens }: StartEvent,
  model: Model,
  request: GenerateOptions,
  options: GenerateCommandOptions,
): string {
  const { parameters, weightBytes, target, threads, threadsCut, device, contextLength, cacheBytes, kvCache } =
    model.stats();
  const { temperature, topK, topP, minP, repeatPenalty, presencePenalty, frequencyPenalty, maxTokens, seed } = settings;
  const supported = model.config.maxPositions;
  const context =
    contextLength < supported
      ? `${contextLength} of ${supported} positions that the model supports`
      : `${contextLength} positions`;
  return [
    `model     ${modelFolder(options.model)}, ${parameters} parameters, weights ${formatBytes(weightBytes)}`,
    `device    ${device} ${target}, ${threads} ${threads === 1 ? "thread" : "threads"}${threadsCut === undefined ? "" : ` (${threadsCut})`}`,
    `context   ${context}, ${kvCache} cache of ${formatBytes(cacheBytes)}`,
    `prompt    ${promptTokens} tokens${droppedTokens > 0 ? ` (${droppedTokens} left out)` : ""}, ${request.raw ? "raw" : "chat template"}`,
    `sampling  temp ${temperature}, top-k ${topK}, top-p ${topP}, min-p ${minP}, repeat ${repeatPenalty}, presence ${presencePenalty}, frequency ${frequencyPenalty}`,
    `limits    max-tokens ${maxTokens}, seed ${seed}`,
    `stops     ${describeStops(model, settings)}`,
    "",
  ].join("\n");
}

function describeStops({ stopTokens }: Model, { ignoreEos, stopIds, stop }: StartEvent["settings"]): string {
  const own = ignoreEos ? "the model's are ignored" : stopTokens.map(describeStop).join("; ") || "the model names none";
  const asked = [
    ...stopIds.map((id) => `${id} (--stop-id)`),
    ...stop.map((text) => `${JSON.stringify(text)} (--stop)`),
  ];
  return [own, ...asked].join("; ");
}

function describeEnd({ reason, stoppedBy, usage, timings, seed }: EndEvent): string {
  const by = stoppedBy === undefined ? "" : ` (${stoppedBy.id ?? "text"} ${JSON.stringify(stoppedBy.text)})`;
  const { promptTokens, completionTokens } = usage;
  const rate = (value: number) => value.toFixed(1);
  return [
    "",
    `end       ${reason}${by}, seed ${seed}`,
    `prompt    ${promptTokens} tokens in ${rate(timings.promptMs)} ms, ${rate(timings.promptTokensPerSecond)} tokens/s`,
    `generated ${completionTokens} tokens, ${rate(timings.decodeTokensPerSecond)} tokens/s after the first`,
    "",
  ].join("\n");
}
