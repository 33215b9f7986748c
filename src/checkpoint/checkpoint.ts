// A checkpoint folder in the published layout: model.safetensors, or shards named by model.safetensors.index.json. Where
// the two are there, or index and shards disagree, it is read as transformers reads it, with a warning (decisions/0006).
import { basename, join } from "node:path";
import { QuipuError } from "../errors.js";
import { firstOf, shownName, type Warn } from "../warnings.js";
import { examine, listFolder } from "./file.js";
import { ADAPTER, INDEX, isWeights, SHARD, SINGLE } from "./file-names.js";
import { isJsonObject, type JsonObject, readJsonFile, shownJson } from "./json.js";
import { ADAPTER_CONFIG, otherForm, partialDownload } from "./other-forms.js";
import { readSafetensors, readSourceSafetensors, type SafetensorsFile, type TensorInfo } from "./safetensors.js";
import { type CheckpointSource, readSourceJson } from "./source.js";

const CODE = "ERR_MODEL_INVALID";
/** Headers read at once: enough to hide latency, few enough for the limit of open files. */
const CONCURRENT_HEADERS = 8;

export interface CheckpointTensor extends TensorInfo {
  /** Index in `files`. */
  readonly file: number;
  readonly fileName: string;
}

export interface Checkpoint {
  readonly dir: string;
  readonly files: readonly Pick<SafetensorsFile, "path" | "size" | "identity">[];
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

/**
 * Reads the headers of a checkpoint's files. No data is read.
 *
 * @param warn told of weights that were chosen among others, and of an index that the shards do not agree with.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND without a folder or safetensors in it; ERR_MODEL_INVALID for anything that the files
 *   say wrongly.
 */
export async function openCheckpoint(dir: string, warn: Warn = () => {}): Promise<Checkpoint> {
  return open(
    {
      ...{ dir, names: await listFolder(dir) },
      stateOf: (name) => stateOf(dir, name),
      readHeader: (name) => readSafetensors(join(dir, name)),
      readIndex: () => readJsonFile(join(dir, INDEX), CODE, warn),
    },
    warn,
  );
}

/** {@link openCheckpoint}, of a source. @throws {QuipuError} the source's too. */
export async function openSource(
  source: CheckpointSource,
  warn: Warn = () => {},
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const files = new Map(source.files.map((file) => [file.name, file]));
  return open(
    {
      ...{ dir: source.where, names: [...files.keys()] },
      stateOf: (name) => (files.has(name) ? (files.get(name)!.problem ?? "file") : "absent"),
      readHeader: (name) => readSourceSafetensors(source, files.get(name)!, signal),
      readIndex: () => readSourceJson(source, INDEX, CODE, { warn, signal }),
    },
    warn,
  );
}

/** The files of a checkpoint, as they are read. */
interface Files {
  readonly dir: string;
  readonly names: readonly string[];
  /** "file", "absent", or what is wrong with it. */
  stateOf(name: string): string;
  readHeader(name: string): Promise<SafetensorsFile>;
  readIndex(): Promise<JsonObject | undefined>;
}

async function open(files: Files, warn: Warn): Promise<Checkpoint> {
  const { dir, names } = files;
  if (names.includes(ADAPTER_CONFIG)) {
    warn(
      "WARN_ADAPTER_IGNORED",
      `${dir}: the LoRA adapter of ${ADAPTER_CONFIG} is not applied to the weights beside it`,
    );
  }
  const single = files.stateOf(SINGLE);
  const index = files.stateOf(INDEX);
  if (single === "file") {
    const others = names.filter((name) => name === INDEX || SHARD.test(name));
    if (others.length > 0)
      warn("WARN_WEIGHTS_CHOSEN", `${dir}: the weights are those of ${SINGLE}; not read: ${firstOf(others)}`);
    return assemble(dir, [await files.readHeader(SINGLE)], warn);
  }
  if (index === "file") {
    if (single !== "absent")
      warn("WARN_WEIGHTS_CHOSEN", `${dir}: the weights are those of ${INDEX}: ${SINGLE} ${single}`);
    return openShards(files, warn);
  }
  for (const [name, state] of [[SINGLE, single] as const, [INDEX, index] as const]) {
    if (state !== "absent") throw new QuipuError("ERR_MODEL_INVALID", `${join(dir, name)}: ${state}`);
  }
  const only = await onlySafetensors(dir, names);
  return assemble(dir, [await files.readHeader(only)], warn);
}

/** "file", "absent", or what is wrong with it. */
function stateOf(dir: string, name: string): string {
  const found = examine(join(dir, name), "ERR_MODEL_INVALID");
  if (found.kind === "unreadable") return found.problem;
  return found.kind === "folder" ? "is a folder: expected a file" : found.kind;
}

async function onlySafetensors(dir: string, names: readonly string[]): Promise<string> {
  const candidates = names.filter((name) => isWeights(name) && name !== ADAPTER);
  if (candidates.length === 1) return candidates[0]!;
  if (candidates.length > 1) {
    throw new QuipuError(
      "ERR_MODEL_INVALID",
      `${dir}: ${candidates.length} safetensors files and no ${INDEX} that says which tensor is where. Is the download complete?`,
    );
  }
  const other = await otherForm(dir, names);
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${dir}: no ${SINGLE}, no ${INDEX}${other === undefined ? "" : `; ${other}`}.`,
  );
}

async function openShards({ dir, names: present, readHeader, readIndex }: Files, warn: Warn): Promise<Checkpoint> {
  const fail = (what: string): never => {
    throw new QuipuError("ERR_MODEL_INVALID", `${INDEX}: ${what}`);
  };
  const index = (await readIndex()) ?? fail("it is gone");
  const map = index.weight_map;
  if (!isJsonObject(map)) return fail("expected weight_map {tensor: file}");
  const shardNames = new Set<string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string" || shard !== basename(shard) || !/^[^\0\\/]+\.safetensors$/.test(shard)) {
      return fail(
        `${shownName(tensor)}: expected the name of a .safetensors file in the same folder, got ${shownJson(shard, 120)}`,
      );
    }
    shardNames.add(shard);
  }
  if (shardNames.size === 0) return fail("weight_map is empty");
  const names = [...shardNames].sort();
  const missing = names.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    const other = partialDownload(dir, present);
    return fail(
      `${missing.length} of ${names.length} shards are missing: ${firstOf(missing)}. ${other === undefined ? "Is the download complete?" : `But ${other}.`}`,
    );
  }
  const shards: SafetensorsFile[] = [];
  for (let start = 0; start < names.length; start += CONCURRENT_HEADERS) {
    const batch = names.slice(start, start + CONCURRENT_HEADERS);
    shards.push(...(await Promise.all(batch.map(readHeader))));
  }
  const checkpoint = assemble(dir, shards, warn);
  warnOfDifferences(map, checkpoint, warn);
  return checkpoint;
}

/** What is in the shards counts. A tensor that the model needs and that is in none is missed later (model/tensors.ts). */
function warnOfDifferences(map: Readonly<Record<string, unknown>>, { tensors }: Checkpoint, warn: Warn): void {
  const told = Object.entries(map).flatMap(([tensor, shard]) => {
    const found = tensors.get(tensor);
    if (found === undefined) return [`${tensor} is not in ${shard}`];
    return found.fileName === shard ? [] : [`${tensor} is in ${found.fileName} and not in ${shard}`];
  });
  const unlisted = [...tensors.values()]
    .filter(({ name }) => !Object.hasOwn(map, name))
    .map(({ name, fileName }) => `${name} in ${fileName} is not listed`);
  const all = [...told, ...unlisted];
  if (all.length > 0)
    warn("WARN_INDEX_MISMATCH", `${INDEX} and the shards differ, and the shards count: ${firstOf(all)}`);
}

/** A tensor that is in two files is that of the later, as in transformers. */
function assemble(dir: string, shards: readonly SafetensorsFile[], warn: Warn): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>();
  const twice: string[] = [];
  shards.forEach((shard, file) => {
    const fileName = basename(shard.path);
    for (const tensor of shard.tensors.values()) {
      const other = tensors.get(tensor.name);
      if (other !== undefined) twice.push(`${tensor.name} in ${other.fileName} and in ${fileName}`);
      tensors.set(tensor.name, { ...tensor, file, fileName });
    }
  });
  if (twice.length > 0)
    warn("WARN_TENSOR_TWICE", `${dir}: tensors in two files, of which the later counts: ${firstOf(twice)}`);
  return { dir, files: shards.map(({ path, size, identity }) => ({ path, size, identity })), tensors };
}
