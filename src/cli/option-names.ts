// Errors of the library in the command line's words: it calls an option by the name that --help gives.
import { type Fitting, fittingSentence, type QuipuError } from "../errors.js";

/** An option of the library, and the command line's; in an error that begins with its name. */
const NAMES: Readonly<Record<string, string>> = {
  batchSize: "--batch-size",
  bosToken: "--bos",
  chatTemplate: "--chat-template",
  checkpoint: "--checkpoint",
  contextLength: "--ctx-size",
  continueFinalMessage: "--continue",
  depth: "--depth",
  device: "--device",
  document: "--document",
  encoding: "--encoding",
  eosToken: "--eos",
  field: "--field",
  files: "files",
  format: "--format",
  frequencyPenalty: "--frequency-penalty",
  genTokens: "--gen-tokens",
  holdOut: "--hold-out",
  include: "--include",
  kvCache: "--kv-cache",
  logitBias: "--logit-bias",
  logprobs: "--logprobs",
  maxTokens: "--max-tokens",
  memory: "--memory",
  minFrequency: "--min-frequency",
  minP: "--min-p",
  minPieceCount: "--min-piece-count",
  onOverflow: "--on-overflow",
  output: "--output",
  pathOrName: "--model",
  pattern: "--pattern",
  presencePenalty: "--presence-penalty",
  promptTokens: "--prompt-tokens",
  quantize: "--quantize",
  repeatPenalty: "--repeat-penalty",
  repeats: "--repeats",
  seed: "--seed",
  special: "--special",
  specialTokens: "--special",
  stop: "--stop",
  stopIds: "--stop-id",
  system: "--system",
  temperature: "--temp",
  templateVariables: "--template-var",
  threads: "--threads",
  tokenizer: "--tokenizer",
  tools: "--tools",
  top: "--top",
  topK: "--top-k",
  topP: "--top-p",
  vocabSize: "--vocab-size",
};

/** The options that help, where an error names none at its beginning. */
const WAYS_OUT: Readonly<Record<string, string>> = {
  checkpoint: "--checkpoint",
  contextLength: "--ctx-size",
  depth: "--depth, --prompt-tokens, --gen-tokens",
  device: "--device",
  field: "--field",
  force: "--force, --output",
  format: "--format",
  memory: "--memory, --min-piece-count",
  mmap: "without --no-mmap",
  nGpuLayers: "-ngl 0",
  onOverflow: "--ctx-size, --on-overflow truncate-head, truncate-middle or slide",
  raw: "without --chat, --system, --messages, --tools and --template-var; or with --chat-template",
  verify: "with --verify",
};

/** The message, with the option that it is about, and those that would do, called by their names here. */
export function inOptionNames({ message, option, fitting }: QuipuError): string {
  if (fitting !== undefined)
    return message.replace(fittingSentence(fitting), () => fittingSentence(fitting, withValue));
  if (option === undefined) return message;
  if (message.startsWith(`${option}: `)) return (NAMES[option] ?? option) + message.slice(option.length);
  const way = WAYS_OUT[option];
  return way === undefined ? message : `${message.replace(/\.$/, "")} (${way}).`;
}

function withValue(option: string, value: Fitting[string]): string {
  if (option === "mmap" && value === true) return "without --no-mmap";
  return `${NAMES[option] ?? option} ${value}`;
}
