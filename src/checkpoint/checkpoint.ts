// A checkpoint folder in the published layout: model.safetensors, or shards named by model.safetensors.index.json.
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { QuipuError } from "../errors.js";
import { isJsonObject, readJsonFile } from "./json.js";
import { readSafetensors, type SafetensorsFile, type TensorInfo } from "./safetensors.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** Headers read at once: enough to hide latency, few enough for the limit of open files. */
const CONCURRENT_HEADERS = 8;

export interface CheckpointTensor extends TensorInfo {
  /** Index in `files`. */
  readonly file: number;
  readonly fileName: string;
}

export interface Checkpoint {
  readonly dir: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

/**
 * Reads the headers of a checkpoint's files. No data is read.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND without a folder or safetensors in it; ERR_MODEL_INVALID for anything that the files
 *   say wrongly.
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const names = await listFolder(dir);
  if (names.includes(INDEX)) return openShards(dir);
  const single = names.includes(SINGLE) ? SINGLE : onlySafetensors(dir, names);
  return assemble(dir, [await readSafetensors(join(dir, single))]);
}

async function listFolder(dir: string): Promise<string[]> {
  const info = await stat(dir).catch(() => undefined);
  if (info === undefined) throw new QuipuError("ERR_MODEL_NOT_FOUND", `${dir}: no such folder`);
  if (!info.isDirectory()) {
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${dir} is a file: expected a folder with config.json and *.safetensors`,
    );
  }
  try {
    return await readdir(dir);
  } catch (cause) {
    throw new QuipuError("ERR_MODEL_NOT_FOUND", `${dir}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function onlySafetensors(dir: string, names: readonly string[]): string {
  const candidates = names.filter((name) => name.endsWith(".safetensors"));
  if (candidates.length === 1) return candidates[0]!;
  if (candidates.length > 1) {
    throw new QuipuError(
      "ERR_MODEL_INVALID",
      `${dir}: ${candidates.length} safetensors files and no ${INDEX} that says which tensor is where. Is the download complete?`,
    );
  }
  const others = names.filter((name) => /\.(bin|gguf|pth|pt|onnx|h5|msgpack)$/.test(name));
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${dir}: no ${SINGLE}, no ${INDEX}` +
      (others.length > 0
        ? `; there is ${others.slice(0, 3).join(", ")}, but quipu reads safetensors: fetch that form of the checkpoint`
        : ""),
  );
}

async function openShards(dir: string): Promise<Checkpoint> {
  const fail = (what: string): never => {
    throw new QuipuError("ERR_MODEL_INVALID", `${INDEX}: ${what}`);
  };
  const index = (await readJsonFile(join(dir, INDEX), "ERR_MODEL_INVALID"))!;
  const map = index.weight_map;
  if (!isJsonObject(map)) return fail("expected weight_map {tensor: file}");
  const shardNames = new Set<string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string" || shard !== basename(shard) || !/^[^\0\\/]+\.safetensors$/.test(shard)) {
      return fail(
        `${tensor}: expected the name of a .safetensors file in the same folder, got ${JSON.stringify(shard)?.slice(0, 120)}`,
      );
    }
    shardNames.add(shard);
  }
  if (shardNames.size === 0) return fail("weight_map is empty");
  const names = [...shardNames].sort();
  const present = new Set(await readdir(dir));
  const missing = names.filter((name) => !present.has(name));
  if (missing.length > 0) {
    return fail(
      `${missing.length} of ${names.length} shards are missing: ${missing.slice(0, 3).join(", ")}. Is the download complete?`,
    );
  }
  const shards: SafetensorsFile[] = [];
  for (let start = 0; start < names.length; start += CONCURRENT_HEADERS) {
    const batch = names.slice(start, start + CONCURRENT_HEADERS);
    shards.push(...(await Promise.all(batch.map((name) => readSafetensors(join(dir, name))))));
  }
  const checkpoint = assemble(dir, shards);
  for (const [tensor, shard] of Object.entries(map)) {
    const found = checkpoint.tensors.get(tensor);
    if (found === undefined)
      return fail(
        `it says ${tensor} is in ${shard}, which has no such tensor. Are index and shards from the same checkpoint?`,
      );
    if (found.fileName !== shard) return fail(`it says ${tensor} is in ${shard}, but it is in ${found.fileName}`);
  }
  const unlisted = [...checkpoint.tensors.keys()].find((tensor) => !Object.hasOwn(map, tensor));
  if (unlisted !== undefined)
    return fail(`${checkpoint.tensors.get(unlisted)!.fileName} holds ${unlisted}, which the index does not list`);
  return checkpoint;
}

function assemble(dir: string, shards: readonly SafetensorsFile[]): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>();
  shards.forEach((shard, file) => {
    const fileName = basename(shard.path);
    for (const tensor of shard.tensors.values()) {
      const other = tensors.get(tensor.name);
      if (other !== undefined) {
        throw new QuipuError(
          "ERR_MODEL_INVALID",
          `${tensor.name} is in ${other.fileName} and in ${fileName}: expected it once`,
        );
      }
      tensors.set(tensor.name, { ...tensor, file, fileName });
    }
  });
  return { dir, files: shards.map(({ path, size }) => ({ path, size })), tensors };
}
