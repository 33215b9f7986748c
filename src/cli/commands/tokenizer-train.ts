// quipu tokenizer train: learns a vocabulary from texts.
import { dirname } from "node:path";
import {
  isQuipuError,
  QuipuError,
  type TrainedTokenizer,
  type TrainTokenizerOptions,
  trainTokenizer,
} from "../../index.js";
import type { Context } from "../context.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { formatBytes } from "../terminal/tables.js";

export interface TokenizerTrainOptions {
  readonly vocabSize?: number;
  readonly pattern?: TrainTokenizerOptions["pattern"];
  readonly special?: readonly string[];
  readonly bos?: string;
  readonly eos?: string;
  readonly output: string;
  readonly force?: boolean;
  readonly format?: TrainTokenizerOptions["format"];
  readonly field?: string;
  readonly minFrequency?: number;
  readonly minPieceCount?: number;
  readonly threads?: number;
  readonly memory?: number;
  readonly checkpoint?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function tokenizerTrain(
  files: readonly string[],
  options: TokenizerTrainOptions,
  { signal }: Context,
): Promise<void> {
  const { special, bos, eos, json, quiet, vocabSize, ...rest } = options;
  if (vocabSize === undefined) {
    throw new QuipuError("ERR_USAGE", "--vocab-size: how many ids to learn, 256 bytes and special tokens among them");
  }
  const progress = new Progress({ quiet: quiet === true });
  let trained: TrainedTokenizer;
  try {
    trained = await trainTokenizer({
      ...rest,
      vocabSize,
      files,
      specialTokens: specialTokensOf(special),
      bosToken: bos,
      eosToken: eos,
      signal,
      onProgress: (stage, done, total) => progress.draw(stage, done, total),
    });
  } catch (error) {
    progress.erase();
    if (isQuipuError(error) && error.code === "ERR_ABORTED" && options.checkpoint !== undefined && !quiet) {
      process.stderr.write(`quipu: what is counted is in ${options.checkpoint}: the same command goes on from there\n`);
    }
    throw error;
  }
  progress.erase();
  if (trained.vocabSize < vocabSize && !quiet) {
    process.stderr.write(
      `quipu: stopped at ${trained.vocabSize} of ${vocabSize} tokens: no pair is left ${pairsLeft(options.minFrequency ?? 1)}. More text, or a smaller --vocab-size.\n`,
    );
  }
  if (json) return write(`${JSON.stringify(describe(trained, options.output))}\n`);
  if (!quiet) await write(summaryOf(trained, options.output));
}

/** --special "llama3" and "none" are sets, anything else is a token. */
function specialTokensOf(texts: readonly string[] | undefined): TrainTokenizerOptions["specialTokens"] {
  if (texts?.length === 1 && texts[0] === "llama3") return "llama3";
  if (texts?.length === 1 && texts[0] === "none") return [];
  return texts;
}

function describe({ vocabSize, merges, specialTokens, pattern, stats }: TrainedTokenizer, output: string) {
  return {
    output,
    vocabSize,
    merges: merges.length,
    specialTokens: Object.fromEntries(specialTokens),
    pattern,
    ...stats,
  };
}

function summaryOf({ vocabSize, merges, specialTokens, stats }: TrainedTokenizer, output: string): string {
  const { documents, bytes, pieces, distinctPieces } = stats;
  return `read        ${count(documents, "text")}, ${formatBytes(bytes)}, ${count(pieces, "piece")}, ${distinctPieces} distinct
vocabulary  ${count(vocabSize, "token")}: 256 bytes, ${count(merges.length, "merge")}, ${specialTokens.size} special
written     ${output}, with tokenizer.json and tokenizer_config.json in ${dirname(output)}
`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function pairsLeft(minFrequency: number): string {
  return minFrequency === 1 ? "to merge" : `that occurs ${minFrequency} times`;
}
