// Errors of the library in the command line's words: it calls an option by the name that --help gives.
import { type Fitting, fittingSentence, type QuipuError } from "../errors.js";

/** An option of the library, and the command line's; in an error that begins with its name. */
const NAMES: Readonly<Record<string, string>> = {
  average: "--average",
  batch: "--batch",
  batchSize: "--batch-size",
  bosToken: "--bos",
  clip: "--clip",
  coolDown: "--cool-down",
  data: "--data",
  chatTemplate: "--chat-template",
  checkpoint: "--checkpoint",
  contextLength: "--ctx-size",
  continueFinalMessage: "--continue",
  depth: "--depth",
  device: "--device",
  document: "--document",
  encoding: "--encoding",
  eosToken: "--eos",
  evaluateEvery: "--evaluate-every",
  evaluateTokens: "--evaluate-tokens",
  field: "--field",
  files: "files",
  format: "--format",
  frequencyPenalty: "--frequency-penalty",
  genTokens: "--gen-tokens",
  heldOut: "--held-out",
  holdOut: "--hold-out",
  init: "--init",
  keep: "--keep",
  include: "--include",
  kvCache: "--kv-cache",
  logitBias: "--logit-bias",
  logprobs: "--logprobs",
  maxTokens: "--max-tokens",
  memory: "--memory",
  microBatch: "--micro-batch",
  minFrequency: "--min-frequency",
  minP: "--min-p",
  minPieceCount: "--min-piece-count",
  muonRate: "--muon-lr",
  onOverflow: "--on-overflow",
  optimizer: "--optimizer",
  output: "--output",
  pathOrName: "--model",
  pattern: "--pattern",
  presencePenalty: "--presence-penalty",
  promptTokens: "--prompt-tokens",
  quantize: "--quantize",
  ramp: "--ramp",
  rate: "--lr",
  recompute: "--recompute",
  repeatPenalty: "--repeat-penalty",
  repeats: "--repeats",
  resume: "--resume",
  saveEvery: "--save-every",
  schedule: "--schedule",
  seconds: "--time",
  seed: "--seed",
  sequence: "--seq",
  special: "--special",
  specialTokens: "--special",
  stop: "--stop",
  stopIds: "--stop-id",
  steps: "--steps",
  system: "--system",
  temperature: "--temp",
  templateVariables: "--template-var",
  threads: "--threads",
  tokenizer: "--tokenizer",
  tokens: "--tokens",
  tools: "--tools",
  top: "--top",
  topK: "--top-k",
  topP: "--top-p",
  vocabSize: "--vocab-size",
  warmUp: "--warm-up",
  weightDecay: "--weight-decay",
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
  init: "--init <out>/step-N, another --out, a lower --lr",
  memory: "--memory, --min-piece-count",
  mmap: "without --no-mmap",
  nGpuLayers: "-ngl 0",
  onOverflow: "--ctx-size, --on-overflow truncate-head, truncate-middle or slide",
  output: "another --out",
  resume: "--resume, or another --out",
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
  const name = NAMES[option] ?? option;
  return value === true ? name : `${name} ${value}`;
}
