// Training a vocabulary: byte-level BPE. TypeScript reads the texts; native code counts their pieces and learns the merges
// (native/tokenizer/trainer.h says by which rule).
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { callNative, fromNative } from "../addon/addon.js";
import type { NativeTokenizerTrainer } from "../addon/addon-types.js";
import { QuipuError } from "../errors.js";
import { refuseExisting } from "../machine/replace-file.js";
import { CountCheckpoint, identify } from "./training/checkpoint.js";
import { countCorpus } from "./training/count.js";
import {
  settingsOf,
  type TrainingOptions,
  type TrainingSettings,
  type TrainTokenizerOptions,
  trainingOptions,
} from "./training/settings.js";
import { outputPaths, type SaveOptions, TrainedTokenizer } from "./training/trained-tokenizer.js";

export type { SaveOptions, TrainedTokenizer, TrainTokenizerOptions };

/**
 * Trains a byte-level BPE vocabulary. The same texts in any order give the same one, whatever the threads and the memory. Where
 * no pair is left to merge, it has fewer ids than asked for.
 *
 * @throws {QuipuError} ERR_USAGE for options, files and texts that cannot be used; ERR_OUT_OF_MEMORY where `memory` is too
 * little for the distinct pieces; ERR_ABORTED.
 */
export async function trainTokenizer(given: TrainTokenizerOptions): Promise<TrainedTokenizer> {
  const options = trainingOptions(given);
  return trainWith(options, settingsOf(options));
}

/** The same with settings, whose threads may be more than there are processors: settingsOf() sees to it that they are not. */
export async function trainWith(options: TrainingOptions, settings: TrainingSettings): Promise<TrainedTokenizer> {
  const { files, output, force, signal } = options;
  if (output !== undefined && !force) await refuseExisting(outputPaths(output));
  if (signal?.aborted) throw aborted(signal);
  const { pattern, format, field } = settings;
  const identities = await identify(files);
  const { checkpoint, progress } =
    options.checkpoint === undefined
      ? {}
      : await CountCheckpoint.open(resolve(options.checkpoint), { pattern, format, field, files: identities });
  const folder = checkpoint?.folder ?? (await mkdtemp(join(tmpdir(), `quipu-train-${process.pid}-`)));
  const runs = (progress?.runs ?? []).map((run) => join(folder, run));
  const native = callNative(
    (addon) => new addon.TokenizerTrainer(pattern, settings.threads, settings.memory, folder, runs),
  );
  try {
    const sizes = identities.map(({ size }) => size);
    const counted = await countCorpus(native, { options, settings, sizes, checkpoint, progress });
    const learned = await learnMerges(native, options, settings);
    const trained = new TrainedTokenizer({ ...settings, ...learned, stats: { ...counted, ...learned.stats } });
    if (output !== undefined) await trained.save(output, { force });
    await checkpoint?.remove(native.runs().map((run) => basename(run)));
    return trained;
  } finally {
    native.dispose();
    if (checkpoint === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function learnMerges(
  native: NativeTokenizerTrainer,
  { signal, onProgress }: TrainingOptions,
  { merges: wanted, minFrequency, minPieceCount, specialTokens }: TrainingSettings,
) {
  if (signal?.aborted) throw aborted(signal);
  const cancel = () => native.cancel();
  let thrown: { error: unknown } | undefined; // by onProgress, which a timer calls
  const report = () => {
    try {
      onProgress?.("merging", native.mergesDone(), wanted);
    } catch (error) {
      thrown ??= { error };
      cancel();
    }
  };
  signal?.addEventListener("abort", cancel);
  const timer = setInterval(report, 100);
  try {
    report();
    await native.train(wanted, minFrequency, minPieceCount, [...specialTokens]);
  } catch (error) {
    if (thrown !== undefined) throw thrown.error;
    throw signal?.aborted ? aborted(signal) : fromNative(error, "memory");
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", cancel);
  }
  const [number, pieces, distinctPieces] = native.summary();
  const merges = new Uint32Array(2 * number);
  const counts = new Float64Array(number);
  native.merges(merges, counts);
  return { merges, counts, stats: { pieces, distinctPieces } };
}

function aborted(signal: AbortSignal): QuipuError {
  return new QuipuError("ERR_ABORTED", "the training was aborted", { cause: signal.reason });
}
