// Checkpoints of a run: folders in Hugging Face layout, with what the optimizer and the order of the data need to go on beside the
// weights. A folder is written under another name and renamed when all of it is on the disk: whatever ends the process leaves
// those before it as they were.
import { closeSync, fsyncSync, openSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openFile, readAt, systemError } from "../checkpoint/file.js";
import { isJsonObject, type JsonObject, readJsonFile } from "../checkpoint/json.js";
import { readSafetensors } from "../checkpoint/safetensors.js";
import { type SavedTensor, writeSafetensors } from "../checkpoint/save.js";
import { QuipuError } from "../errors.js";
import { writeFailure } from "../machine/write-failure.js";
import type { BatchPosition } from "./batches.js";
import type { GuardState } from "./guard.js";
import type { Part } from "./parameters.js";
import type { TrainingRuntime } from "./training-runtime.js";

/** What a run is at the end of a step, beside its weights and the optimizer's state. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Rows with a target in all of them. */
  readonly tokens: number;
  /** Documents that were split, in all. */
  readonly longDocuments: number;
  /** Spent in this run, interruptions left out. */
  readonly seconds: number;
  readonly position: BatchPosition;
  readonly guard: GuardState;
  /** What the steps whose weights are averaged weigh together; 0: there are none yet. */
  readonly averaged: number;
  /** What must be the same for the run to go on. */
  readonly settings: JsonObject;
}

export interface SavedFiles {
  readonly config: JsonObject;
  readonly generationConfig: JsonObject;
  readonly tokenizer: readonly TokenizerFile[];
}

/** A file of the tokenizer, or of its chat templates, as it was when the run began. */
export interface TokenizerFile {
  /** Where it lies in a checkpoint. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

type Weights = Pick<TrainingRuntime, "shapes" | "parts" | "shapeOf" | "read" | "write">;

const WEIGHTS = "model.safetensors";
const OPTIMIZER = "optimizer.safetensors";
const STATE = "training.json";
const VERSION = 2;
const NAME = /^step-(\d{8,})$/;
const PART = /^(?:\.step-\d+|model|log\.jsonl)\.\d+\.part$/;

/** The checkpoints of a run, the first step's first. */
export async function listCheckpoints(dir: string): Promise<{ readonly step: number; readonly path: string }[]> {
  const names = await readdir(dir).catch((cause: NodeJS.ErrnoException): string[] => {
    if (cause.code === "ENOENT") return [];
    throw systemError(dir, "cannot be read", cause, "ERR_USAGE");
  });
  return names
    .flatMap((name) => {
      const [, step] = NAME.exec(name) ?? [];
      return step === undefined ? [] : [{ step: Number(step), path: join(dir, name) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** Removes what runs that were killed have left of a checkpoint, the model or the log. */
export async function removeParts(dir: string): Promise<void> {
  for (const name of await readdir(dir))
    if (PART.test(name)) await rm(join(dir, name), { recursive: true, force: true });
}

/**
 * Writes a checkpoint and removes those before it, but for the last `keep`.
 *
 * @returns its folder.
 * @throws {QuipuError} ERR_WRITE: then those before it are as they were.
 */
export async function saveCheckpoint(
  dir: string,
  runtime: Weights,
  files: SavedFiles,
  state: TrainingState,
  keep: number,
): Promise<string> {
  const name = `step-${String(state.step).padStart(8, "0")}`;
  const [path, part] = [join(dir, name), join(dir, `.${name}.${process.pid}.part`)];
  try {
    await mkdir(part);
    await writeSafetensors(join(part, WEIGHTS), tensorsOf(runtime, "F32", ["parameter"]));
    await writeSafetensors(join(part, OPTIMIZER), tensorsOf(runtime, "F32", momentsOf(runtime)));
    await writeModelFiles(part, files, "float32");
    await writeJson(join(part, STATE), { version: VERSION, ...state });
    syncFolder(part);
    await rm(path, { recursive: true, force: true }); // of a run that went another way from an earlier one
    await rename(part, path);
    syncFolder(dir);
  } catch (cause) {
    await rm(part, { recursive: true, force: true });
    throw cause instanceof QuipuError ? cause : writeFailure(path, cause);
  }
  const checkpoints = await listCheckpoints(dir);
  for (const old of checkpoints.filter(({ step }) => step < state.step).slice(0, -(keep - 1) || undefined)) {
    await rm(old.path, { recursive: true, force: true });
  }
  return path;
}

/**
 * Writes the model alone, in bf16, as models are published.
 *
 * @param replaces whether one that is there is of this run, and makes room.
 * @throws {QuipuError} ERR_WRITE
 */
export async function saveModel(path: string, runtime: Weights, files: SavedFiles, replaces: boolean): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    await mkdir(part);
    await writeSafetensors(join(part, WEIGHTS), tensorsOf(runtime, "BF16", ["parameter"]));
    await writeModelFiles(part, files, "bfloat16");
    syncFolder(part);
    if (replaces) await rm(path, { recursive: true, force: true });
    await rename(part, path);
    syncFolder(dirname(path));
  } catch (cause) {
    await rm(part, { recursive: true, force: true });
    throw cause instanceof QuipuError ? cause : writeFailure(path, cause);
  }
}

/** What a step leaves for the next beside the parameters. */
function momentsOf({ parts }: Weights): Part[] {
  return parts.filter((part) => part !== "parameter" && part !== "gradient");
}

function tensorsOf(runtime: Weights, dtype: SavedTensor["dtype"], parts: readonly Part[]): SavedTensor[] {
  return parts.flatMap((part) =>
    Array.from(runtime.shapes.keys(), (name) => ({
      ...{ name: nameOf(name, part), dtype, shape: runtime.shapeOf(name, part) },
      read: () => runtime.read(name, part),
    })),
  );
}

function nameOf(name: string, part: Part): string {
  return part === "parameter" ? name : `${part}.${name}`;
}

async function writeModelFiles(
  dir: string,
  { config, generationConfig, tokenizer }: SavedFiles,
  dtype: "float32" | "bfloat16",
): Promise<void> {
  // transformers 5 calls it dtype, and reads both names.
  const { dtype: _, ...others } = config;
  await writeJson(join(dir, "config.json"), { ...others, torch_dtype: dtype });
  await writeJson(join(dir, "generation_config.json"), generationConfig);
  for (const { name, bytes } of tokenizer) {
    const path = join(dir, name);
    await mkdir(dirname(path), { recursive: true });
    await writeSynced(path, bytes);
    if (dirname(path) !== dir) syncFolder(dirname(path));
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeSynced(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A name is on the disk when its folder is. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** @throws {QuipuError} ERR_USAGE for a folder that is no checkpoint of this version. */
export async function readState(path: string): Promise<TrainingState> {
  const state = await readJsonFile(join(path, STATE), "ERR_USAGE");
  if (state?.version === VERSION && isJsonObject(state.settings)) return state as unknown as TrainingState;
  throw new QuipuError(
    "ERR_USAGE",
    `${path}: no checkpoint of a training by this version: expected ${STATE}, version ${VERSION}`,
  );
}

/**
 * Puts the weights of a checkpoint and the optimizer's state into a runtime.
 *
 * @throws {QuipuError} ERR_USAGE for one of another shape, before anything is written.
 */
export async function restore(path: string, runtime: Weights): Promise<void> {
  const saved: readonly [file: string, parts: readonly Part[]][] = [
    [WEIGHTS, ["parameter"]],
    [OPTIMIZER, momentsOf(runtime)],
  ];
  const headers = await Promise.all(saved.map(([name]) => readSafetensors(join(path, name))));
  for (const [i, [, parts]] of saved.entries()) {
    for (const { name, shape } of tensorsOf(runtime, "F32", parts)) {
      const found = headers[i]!.tensors.get(name);
      const got = found === undefined ? "nothing" : `${found.dtype} [${found.shape.join(", ")}]`;
      const expected = `F32 [${shape.join(", ")}]`;
      if (got === expected) continue;
      throw new QuipuError(
        "ERR_USAGE",
        `${headers[i]!.path}: ${name}: expected ${expected}, as the model has it, got ${got}`,
      );
    }
  }
  for (const [i, [, parts]] of saved.entries()) {
    const { path: file, tensors } = headers[i]!;
    const opened = await openFile(file, "ERR_USAGE");
    if (opened === undefined) throw new QuipuError("ERR_USAGE", `${file}: no such file`);
    try {
      for (const part of parts) {
        for (const name of runtime.shapes.keys()) {
          const { offset, bytes } = tensors.get(nameOf(name, part))!;
          const data = await readAt(file, opened.file, offset, bytes, "ERR_USAGE");
          if (data.length < bytes) throw new QuipuError("ERR_USAGE", `${file}: ended while it was read`);
          await runtime.write(name, new Float32Array(data.buffer, data.byteOffset, bytes / 4), part);
        }
      }
    } finally {
      await opened.file.close();
    }
  }
}
