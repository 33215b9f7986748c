// Counting the pieces of a corpus, with checkpoints.
import { basename } from "node:path";
import { fromNative } from "../../addon/addon.js";
import type { NativeTokenizerTrainer } from "../../addon/addon-types.js";
import { QuipuError } from "../../errors.js";
import { type Place, readCorpus } from "../corpus.js";
import type { CountCheckpoint, Progress } from "./checkpoint.js";
import { BatchCounter } from "./counter.js";
import type { TrainingOptions, TrainingSettings } from "./settings.js";

// Of text between two checkpoints: a few seconds' work.
const CHECKPOINT_BYTES = 2 ** 28;
const BEGINNING: Place = { offset: 0, line: 0 };

export interface CountOptions {
  readonly options: TrainingOptions;
  readonly settings: TrainingSettings;
  /** Bytes of each file, 0 for stdin. */
  readonly sizes: readonly number[];
  readonly checkpoint: CountCheckpoint | undefined;
  /** Where an earlier run was interrupted. */
  readonly progress: Progress | undefined;
}

/** Counts all files. @returns the number of texts and their bytes. @throws {QuipuError} as trainTokenizer does. */
export async function countCorpus(
  native: NativeTokenizerTrainer,
  { options, settings, sizes, checkpoint, progress }: CountOptions,
): Promise<{ documents: number; bytes: number }> {
  const { files, signal, onProgress } = options;
  const total = files.includes("-") ? 0 : sizes.reduce((sum, size) => sum + size, 0);
  const counter = new BatchCounter(native, settings.threads);
  let { documents, bytes } = progress ?? { documents: 0, bytes: 0 };
  // The position of the next text.
  let file = progress?.file ?? 0;
  let place: Place = { offset: progress?.offset ?? 0, line: progress?.line ?? 0 };
  let saved = bytes;
  let read = sizes.slice(0, file).reduce((sum, size) => sum + size, 0);
  const save = async () => {
    if (checkpoint === undefined) return;
    await counter.drain();
    await native.spill().catch((error: unknown) => {
      throw fromNative(error, "memory");
    });
    const runs = native.runs().map((run) => basename(run));
    await checkpoint.save({ file, ...place, documents, bytes, runs });
    saved = bytes;
  };
  const corpusOptions = {
    format: settings.format,
    field: settings.field,
    signal,
    cut: (text: Uint8Array) => native.cut(text),
    onRead: (more: number) => {
      read += more;
    },
  };
  try {
    for (let reading = file; reading < files.length; reading++) {
      for await (const block of readCorpus(files[reading]!, place, corpusOptions)) {
        for (const text of block.texts) bytes += await counter.add(text);
        documents += block.documents;
        if (block.next === undefined) file = reading + 1;
        place = block.next ?? BEGINNING;
        onProgress?.("counting", total === 0 ? read : Math.min(read, total), total);
        if (bytes - saved >= CHECKPOINT_BYTES) await save();
        if (signal?.aborted) throw new QuipuError("ERR_ABORTED", "the training was aborted", { cause: signal.reason });
      }
      file = reading + 1; // also of a file that ends with a line's end
      place = BEGINNING;
    }
    await counter.drain();
    await save();
  } catch (error) {
    await counter.settle();
    if (signal?.aborted) await save();
    throw error;
  }
  return { documents, bytes };
}
