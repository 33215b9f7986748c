// trainModel: a file of tokens and a configuration to a model, with checkpoints on the way.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { callback, checkArgument, usageError } from "../arguments.js";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import type { JsonObject } from "../checkpoint/json.js";
import { heldOutPath } from "../data/pack.js";
import { openTokens, type TokenFile } from "../data/token-file.js";
import { type Device, openDevice } from "../device/device.js";
import { abortedError, QuipuError } from "../errors.js";
import { loadModel } from "../generate/load.js";
import { tryLock } from "../machine/file-lock.js";
import { makeFolder } from "../machine/make-folder.js";
import { threadsFor } from "../machine/process-limits.js";
import { writeFailure } from "../machine/write-failure.js";
import type { LlamaConfig } from "../model/config.js";
import { disposeWeights, loadWeights } from "../model/weights.js";
import type { Warn } from "../warnings.js";
import { listCheckpoints, readState, removeParts, restore, type TrainingState } from "./checkpoint.js";
import type { TrainingEvent } from "./events.js";
import { checkMemory } from "./memory.js";
import { presetNamed } from "./presets.js";
import { LOG, MODEL, run } from "./run.js";
import { progressOf } from "./schedule.js";
import { subjectOf } from "./subject.js";
import {
  type CheckedTrainOptions,
  differenceOf,
  type TrainingSettings,
  type TrainOptions,
  trainingSettings,
  trainOptions,
} from "./training-options.js";
import { createTrainingRuntime } from "./training-runtime.js";

const SAMPLE_TOKENS = 120;
/** In the folder of a run, of the process that is at it. */
const LOCK = ".lock";

/**
 * Trains a model, and tells how it goes. `output` gets checkpoints, log.jsonl, and in the end the model, in bf16. The same options,
 * data and seed give the same bits, whatever the threads and interruptions, but where the length is in seconds. Whoever leaves the loop
 * early keeps the last checkpoint; `signal` has one more written after the step at hand.
 *
 * @throws {QuipuError} ERR_USAGE for options and data that cannot be used, ERR_OUT_OF_MEMORY before any is taken, ERR_NOT_A_NUMBER where
 * steps had to be left out one after another, ERR_WRITE, ERR_ABORTED; in all of these the checkpoints that are there stay as they are.
 */
export async function* trainModel(given: TrainOptions, warn: Warn = () => {}): AsyncGenerator<TrainingEvent> {
  const options = trainOptions(given);
  checkArgument("warn", warn, callback);
  if (options.signal?.aborted) throw abortedError(options.signal);
  const data = await openTokens(options.data);
  let heldOut: TokenFile | undefined;
  try {
    checkPairs("data", data);
    heldOut = await openHeldOut(options);
    if (heldOut !== undefined) {
      checkPairs("heldOut", heldOut);
      checkSameVocabulary(data, heldOut);
    }
    yield* trainOn(options, data, heldOut, warn);
  } finally {
    await heldOut?.close();
    await data.close();
  }
}

async function* trainOn(
  options: CheckedTrainOptions,
  data: TokenFile,
  heldOut: TokenFile | undefined,
  warn: Warn,
): AsyncGenerator<TrainingEvent> {
  const { output } = options;
  const settings = trainingSettings(options, presetNamed(options.init)?.rate);
  const { config, files, tokenizer, weights } = await subjectOf(options, settings.sequence, data, warn);
  const recorded = await recordedSettings(settings, config, data);
  const last = await lastCheckpoint(options);
  const state = last === undefined ? undefined : await stateOf(last, recorded);
  if (state !== undefined) checkModel(output, state, settings);
  const threads = threadsFor(options.threads);
  const maxDocuments = documentsOf(data, settings);
  const shape = {
    ...{ batchTokens: settings.microBatch, maxDocuments, contextLength: settings.sequence },
    recompute: options.recompute ?? false,
    ...{ optimizer: settings.optimizer, averages: settings.average > 0 },
  };
  const memory = checkMemory(config, shape, threads, settings.batch);
  const release = await takeFolder(output);
  const { evaluateEvery, saveEvery, evaluateTokens = 100_000, keep = 2, signal } = options;
  const begin = data.info.bosId ?? data.info.eosId;
  let device: Device | undefined;
  try {
    device = openDevice({ threads });
    const runtime = await createTrainingRuntime(device, config, shape);
    if (last !== undefined) await restore(last, runtime);
    else if (weights === undefined) await runtime.initialise(settings.seed);
    else {
      const loaded = await loadWeights(device, await openCheckpoint(weights), config, { mmap: true, warn, signal });
      try {
        await runtime.load(loaded.weights);
      } finally {
        disposeWeights(device, loaded.weights);
      }
    }
    yield* run(
      {
        ...{ runtime, memory, data, heldOut, tokenizer, files, settings, recorded, output, maxDocuments },
        ...{ evaluateEvery, saveEvery, evaluateTokens, keep, warn, signal },
        sample: begin === undefined ? undefined : (folder) => sampleOf(folder, begin, settings, threads, signal),
      },
      state,
    );
  } finally {
    await device?.dispose();
    release();
  }
}

/** Makes the folder of the run this process's own, until the function that is returned is called. @throws {QuipuError} ERR_USAGE, ERR_WRITE */
async function takeFolder(output: string): Promise<() => void> {
  let lock: ReturnType<typeof tryLock>;
  try {
    makeFolder(output);
    lock = tryLock(join(output, LOCK));
  } catch (cause) {
    throw writeFailure(output, cause);
  }
  if (lock === "held") {
    throw new QuipuError("ERR_USAGE", `another process trains in ${output}: wait for it, or end it`, {
      option: "output",
    });
  }
  const release = lock === "unsupported" ? () => {} : lock.release;
  try {
    await removeParts(output);
  } catch (cause) {
    release();
    throw writeFailure(output, cause);
  }
  return release;
}

async function openHeldOut({ data, heldOut }: CheckedTrainOptions): Promise<TokenFile | undefined> {
  const path = heldOut ?? heldOutPath(data);
  return heldOut === undefined && !existsSync(path) ? undefined : openTokens(path);
}

function checkPairs(option: "data" | "heldOut", { path, info }: TokenFile): void {
  if (info.tokens > info.documents) return;
  throw usageError(option, `${path}: no document has two tokens, one to learn from and one to learn`);
}

function checkSameVocabulary(data: TokenFile, heldOut: TokenFile): void {
  if (data.info.vocabularyHash === heldOut.info.vocabularyHash) return;
  throw usageError("heldOut", `${heldOut.path}: packed with another tokenizer than ${data.path}: pack both with one`);
}

/** What a run must have in common with the one that it goes on from. */
async function recordedSettings(settings: TrainingSettings, model: LlamaConfig, data: TokenFile): Promise<JsonObject> {
  const { documents, tokens, vocabularyHash } = data.info;
  // What differs first is told: a preset has its own rate, too.
  return { model, data: { documents, tokens, vocabularyHash, contentHash: await data.contentHash() }, ...settings };
}

/** The checkpoint that is gone on from. @throws {QuipuError} ERR_USAGE */
async function lastCheckpoint({ output, resume }: CheckedTrainOptions): Promise<string | undefined> {
  const last = (await listCheckpoints(output)).at(-1)?.path;
  if (resume && last === undefined) throw usageError("resume", `${output} has no checkpoint to go on from`);
  if (resume) return last;
  if (last !== undefined) {
    throw new QuipuError("ERR_USAGE", `${output} has checkpoints: go on from the last, or name another folder`, {
      option: "resume",
    });
  }
  for (const name of [LOG, MODEL]) {
    if (!existsSync(join(output, name))) continue;
    throw new QuipuError("ERR_USAGE", `${output} has ${name} already: name another folder, or move it away`, {
      option: "output",
    });
  }
  return undefined;
}

/** A run has a model when it is over. @throws {QuipuError} ERR_USAGE for one that is there before. */
function checkModel(output: string, state: TrainingState, { length }: TrainingSettings): void {
  const path = join(output, MODEL);
  if (progressOf(length, state) === 1 || !existsSync(path)) return;
  const problem = `${path} is not of this run, which is at step ${state.step} and has no model yet: move it away`;
  throw new QuipuError("ERR_USAGE", problem, { option: "resume" });
}

async function stateOf(path: string, recorded: JsonObject): Promise<TrainingState> {
  const state = await readState(path);
  const difference = differenceOf(state.settings, recorded);
  if (difference === undefined) return state;
  const { option, name, was, is } = difference;
  throw usageError(
    option,
    `${path} is of a run with ${name} ${was}, got ${is}. Give that of before, or name another output`,
  );
}

/** Twice as many as come on average: where there are more, rows stay unused. */
function documentsOf({ info }: TokenFile, { microBatch, sequence }: TrainingSettings): number {
  const average = Math.max(1, Math.min(sequence, info.tokens / info.documents - 1));
  return Math.min(microBatch, Math.ceil((2 * microBatch) / average) + 1);
}

/** @param begin the id that a document begins with. */
async function sampleOf(
  folder: string,
  begin: number,
  { sequence }: TrainingSettings,
  threads: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const contextLength = Math.min(sequence, 1 + SAMPLE_TOKENS);
  const model = await loadModel(folder, { threads, kvCache: "f32", contextLength, slots: 1, signal });
  try {
    let text = "";
    const options = { maxTokens: contextLength - 1, temperature: 0.8, topP: 0.95, seed: 1, signal };
    for await (const event of model.generate([begin], options)) {
      if (event.type === "token") text += event.text;
    }
    return text;
  } finally {
    await model.dispose();
  }
}
