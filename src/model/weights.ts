// The weights of a checkpoint on a device: every tensor checked before anything is computed, none copied to the JS heap.
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { type Device, type FileView, openPacker, type WeightUse } from "../device/device.js";
import { type DType, FILE_DTYPES } from "../device/formats.js";
import type { PlannedDevice } from "../device/planned-device.js";
import { bytesOf, elementsOf, type Shape, type Tensor } from "../device/tensor.js";
import type { WeightFile } from "../device/weight-file.js";
import { QuipuError } from "../errors.js";
import { availableMemory } from "../machine/process-limits.js";
import type { Warn } from "../warnings.js";
import type { LlamaConfig } from "./config.js";
import { fill } from "./invented.js";
import type { LlamaLayer, LlamaWeights } from "./llama.js";
import { findPacked, type Packing, packWeights } from "./packed-weights.js";
import { formatOf, type Quantization, type WeightRole } from "./quantization.js";
import { inverseFrequencies } from "./rope.js";
import { EMBEDDING, type FoundTensors, findTensors, HEAD } from "./tensors.js";

/** The weights of a layer, as the checkpoint spells their names (model.layers.N.…), and what each is used as. */
const LAYER_WEIGHTS: Readonly<Record<keyof LlamaLayer, readonly [name: string, use: WeightUse]>> = {
  inputNorm: ["input_layernorm", "vector"],
  qProj: ["self_attn.q_proj", "product"],
  kProj: ["self_attn.k_proj", "product"],
  vProj: ["self_attn.v_proj", "product"],
  oProj: ["self_attn.o_proj", "product"],
  postAttentionNorm: ["post_attention_layernorm", "vector"],
  gateProj: ["mlp.gate_proj", "product"],
  upProj: ["mlp.up_proj", "product"],
  downProj: ["mlp.down_proj", "product"],
};

const nameIn = (layer: number, name: string) => `model.layers.${layer}.${name}.weight`;

/** Every weight, by its name in the checkpoint, and what it is in the model. */
function rolesOf({ layers }: LlamaConfig, head: "tied" | "stored"): [name: string, role: WeightRole, layer: number][] {
  const ofLayer = Object.entries(LAYER_WEIGHTS) as [keyof LlamaLayer, readonly [string, WeightUse]][];
  return [
    ...(head === "tied" ? [] : [[EMBEDDING, "embedTokens", 0] as [string, WeightRole, number]]),
    [head === "tied" ? EMBEDDING : HEAD, "lmHead", 0],
    ...Array.from({ length: layers }, (_, i) =>
      ofLayer.map(([role, [name]]): [string, WeightRole, number] => [nameIn(i, name), role, i]),
    ).flat(),
  ];
}

/** The weights that are packed, in the order of the model. */
function packingsOf(config: LlamaConfig, { tensors, head }: FoundTensors, quantize: Quantization): Packing[] {
  return rolesOf(config, head).flatMap(([name, role, layer]): Packing[] => {
    const format = formatOf(quantize, role, layer, config.layers);
    return format === undefined ? [] : [{ name, shape: tensors.get(name)!.shape, format }];
  });
}

/** The weights of one format, those of matrices: what vectors are stored in is told of by nobody. */
export interface WeightFormat {
  readonly format: DType;
  readonly parameters: number;
  readonly bytes: number;
}

export interface LoadedWeights {
  readonly weights: LlamaWeights;
  /** Bytes of the weights that the model uses. */
  readonly bytes: number;
  /** Bytes that a decoded token reads: all but those of a table, of which it reads a row, unless that is the head too. */
  readonly bytesPerToken: number;
  readonly parameters: number;
  /** Of the matrices, most bytes first. */
  readonly formats: readonly WeightFormat[];
}

interface OpenOptions {
  readonly mmap: boolean;
  /** Of all files. */
  readonly onProgress: (done: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Opens the files of a checkpoint; they are added to `files`, which the caller disposes of. */
async function openFiles(
  device: Device,
  checkpoint: Checkpoint,
  files: WeightFile[],
  { mmap, onProgress, signal }: OpenOptions,
): Promise<void> {
  let opened = 0;
  for (const { path, size } of checkpoint.files) {
    const tell = (ready: number) => onProgress(opened + ready);
    files.push(await device.open(path, size, { mmap, onProgress: tell, signal }));
    opened += size;
    if (mmap) onProgress(opened);
    await new Promise(setImmediate); // many shards take long: let Ctrl-C and progress through
  }
}

/** Reads tensors by themselves; each is a file of `files` then. */
async function readTensors(
  device: Device,
  checkpoint: Checkpoint,
  tensors: FoundTensors["tensors"],
  files: WeightFile[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, FileView>> {
  const views = new Map<string, FileView>();
  for (const [name, { file, offset, dtype: stored, shape }] of tensors) {
    const { path, size } = checkpoint.files[file]!;
    const dtype = FILE_DTYPES.get(stored)!;
    const part = { offset, bytes: bytesOf(dtype, shape) };
    const opened = await device.open(path, size, { mmap: false, part, signal });
    files.push(opened);
    views.set(name, { file: opened, offset: 0, dtype, shape });
  }
  return views;
}

/** Where tensors lie in files that are open. */
function viewsIn(files: readonly WeightFile[], tensors: FoundTensors["tensors"]): (name: string) => FileView {
  return (name) => {
    const { file, offset, dtype, shape } = tensors.get(name)!;
    return { file: files[file]!, offset, dtype: FILE_DTYPES.get(dtype)!, shape };
  };
}

/** Files that are read, not mapped, must fit into memory whole. */
function checkRoomFor(bytes: number): void {
  const free = availableMemory();
  if (bytes <= free) return;
  const [needed, there] = [bytes, free].map((count) => `${Math.ceil(count / 2 ** 20)} MiB`);
  throw new QuipuError("ERR_OUT_OF_MEMORY", `reading the weights whole needs ${needed}, ${there} are free.`, {
    option: "mmap",
  });
}

/**
 * Opens the weights. With `mmap` they stay in the page cache and come in as they are first read, without it files are read. With
 * `quantize` matrices are packed now (quantization.ts), or found packed (packed-weights.ts): then no more of the files is read than
 * what is left.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (findTensors), ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function loadWeights(
  device: Device,
  checkpoint: Checkpoint,
  config: LlamaConfig,
  {
    found,
    mmap,
    quantize = "none",
    cache = false,
    warn = () => {},
    onCacheWrite,
    onProgress,
    signal,
    threads,
  }: {
    /** Where the caller has found them already. */
    found?: FoundTensors | undefined;
    mmap: boolean;
    quantize?: Quantization | undefined;
    /** Of the CPU that packs for a device that does not. */
    threads?: number | undefined;
    /** Keeps packed weights in the cache folder; default false. */
    cache?: boolean | undefined;
    onCacheWrite?: ((path: string, bytes: number) => void) | undefined;
    warn?: Warn | undefined;
    onProgress?: ((done: number, total: number) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<LoadedWeights> {
  const { tensors, head } = found ?? (await findTensors(config, checkpoint, warn, signal));
  const files: WeightFile[] = [];
  let packer = device;
  try {
    const fileBytes = checkpoint.files.reduce((sum, file) => sum + file.size, 0);
    const total = quantize === "none" ? fileBytes : 2 * fileBytes; // opened, and read to be quantized
    const tell = (done: number) => onProgress?.(done, total);
    const packings = packingsOf(config, { tensors, head }, quantize);
    packer = packings.length > 0 ? openPacker(device, threads) : device;
    const packOptions = { cache, warn, onCacheWrite, signal, onProgress: (done: number) => tell(fileBytes + done) };
    let kept = await findPacked(packer, checkpoint, packings, packOptions);
    if (kept === undefined && packer !== device) {
      if (!mmap) checkRoomFor(fileBytes);
      const sources: WeightFile[] = [];
      try {
        await openFiles(packer, checkpoint, sources, { mmap, onProgress: tell, signal });
        const viewOf = viewsIn(sources, tensors);
        kept = await packWeights(packer, checkpoint, packings, { ...packOptions, viewOf });
      } finally {
        for (const file of sources) file.dispose();
      }
    }
    let read: ReadonlyMap<string, FileView> | undefined;
    if (!mmap && kept !== undefined) {
      const left = new Map([...tensors].filter(([name]) => !kept.has(name)));
      read = await readTensors(device, checkpoint, left, files, signal);
    } else {
      if (!mmap) checkRoomFor(fileBytes);
      await openFiles(device, checkpoint, files, { mmap, onProgress: tell, signal });
    }
    const viewOf = read === undefined ? viewsIn(files, tensors) : (name: string) => read!.get(name)!;
    const packed = new Map(kept ?? (await packWeights(device, checkpoint, packings, { ...packOptions, viewOf })));
    for (const [name, tensor] of packed) packed.set(name, await device.take(tensor, packer));
    if (packings.length > 0) tell(total);
    const loaded = placeWeights(device, config, head, (name, uses) => {
      const ready = packed.get(name);
      return ready === undefined ? device.place(name, viewOf(name), uses) : uses.map(() => ready);
    });
    const frequencies = inverseFrequencies(config.rope, config.headSize);
    await device.run(null, { writes: [[loaded.weights.inverseFrequencies, frequencies]] });
    return loaded;
  } finally {
    for (const file of files) file.dispose(); // tensors keep what they need
    if (packer !== device) await packer.dispose();
  }
}

/** A weight on a device, as a tensor for each of its uses; one that serves several is there once. */
type Place = (name: string, uses: readonly WeightUse[]) => readonly Tensor[];

/** All weights of a model, placed, and what they come to; the inverse frequencies are still to be written. */
function placeWeights(
  device: Pick<Device, "allocate">,
  config: LlamaConfig,
  head: FoundTensors["head"],
  place: Place,
): LoadedWeights {
  let bytes = 0;
  let bytesPerToken = 0;
  let parameters = 0;
  const placedMatrices: Pick<Tensor, "dtype" | "shape">[] = [];
  const counted = (name: string, ...uses: readonly WeightUse[]) => {
    const placed = place(name, uses);
    parameters += elementsOf(placed[0]!.shape);
    for (let i = 0; i < uses.length; i++) {
      const tensor = placed[i]!;
      if (placed.indexOf(tensor) < i) continue; // counted with another use
      const size = bytesOf(tensor.dtype, tensor.shape);
      const isTable = uses[i] === "rows" && placed.lastIndexOf(tensor) === i;
      bytes += size;
      if (uses[i] !== "vector") placedMatrices.push(tensor);
      bytesPerToken += isTable ? Math.ceil(size / tensor.shape[0]!) : size;
    }
    return placed;
  };
  const layer = (i: number) =>
    Object.fromEntries(
      Object.entries(LAYER_WEIGHTS).map(([key, [name, use]]) => [key, counted(nameIn(i, name), use)[0]]),
    ) as unknown as LlamaLayer;

  const [embedTokens, lmHead] =
    head === "tied"
      ? counted(EMBEDDING, "rows", "product")
      : [...counted(EMBEDDING, "rows"), ...counted(HEAD, "product")];
  const layers = Array.from({ length: config.layers }, (_, i) => layer(i));
  const [norm] = counted("model.norm.weight", "vector");
  const frequencies = device.allocate("inverseFrequencies", "f32", [config.headSize / 2]);
  return {
    weights: { embedTokens: embedTokens!, inverseFrequencies: frequencies, layers, norm: norm!, lmHead: lmHead! },
    ...{ bytes, bytesPerToken, parameters, formats: formatsOf(placedMatrices) },
  };
}

/** The weights of a checkpoint as {@link loadWeights} would have them, of which nothing is read. */
export function planWeights(
  device: PlannedDevice,
  config: LlamaConfig,
  { tensors, head }: FoundTensors,
  quantize: Quantization,
): LoadedWeights {
  const formats = new Map(packingsOf(config, { tensors, head }, quantize).map(({ name, format }) => [name, format]));
  return placeWeights(device, config, head, (name, uses) => {
    const { dtype, shape } = tensors.get(name)!;
    const tensor = device.place(name, formats.get(name) ?? FILE_DTYPES.get(dtype)!, shape);
    return uses.map(() => tensor);
  });
}

/**
 * Weights of the shapes and formats of a checkpoint's, with contents that mean nothing: for measuring what a step costs without the
 * weights themselves. Of the layers, those that `layers` names.
 *
 * @throws {QuipuError} ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function inventWeights(
  device: Device,
  config: LlamaConfig,
  { tensors, head }: FoundTensors,
  { quantize, layers, signal }: { quantize: Quantization; layers: readonly number[]; signal?: AbortSignal | undefined },
): Promise<LoadedWeights> {
  const formats = new Map(packingsOf(config, { tensors, head }, quantize).map(({ name, format }) => [name, format]));
  const invented = new Map<string, Tensor>();
  const frequencies = inverseFrequencies(config.rope, config.headSize);
  const loaded = placeWeights(device, { ...config, layers: layers.length }, head, (name, uses) => {
    const original = name.replace(/^model\.layers\.(\d+)\./, (_, layer) => `model.layers.${layers[Number(layer)]}.`);
    const { dtype, shape } = tensors.get(original)!;
    const tensor = device.allocate(name, formats.get(original) ?? FILE_DTYPES.get(dtype)!, shape);
    invented.set(name, tensor);
    return uses.map(() => tensor);
  });
  await device.run(null, { writes: [[loaded.weights.inverseFrequencies, frequencies]] });
  await fill(device, [...invented.values()], signal);
  return loaded;
}

/** What matrices are stored in, most bytes first. */
function formatsOf(matrices: readonly Pick<Tensor, "dtype" | "shape">[]): WeightFormat[] {
  const formats = [...new Set(matrices.map(({ dtype }) => dtype))].map((format) => {
    const shapes = matrices.filter(({ dtype }) => dtype === format).map(({ shape }) => shape);
    const total = (of: (shape: Shape) => number) => shapes.reduce((sum, shape) => sum + of(shape), 0);
    return { format, parameters: total(elementsOf), bytes: total((shape) => bytesOf(format, shape)) };
  });
  return formats.sort((a, b) => b.bytes - a.bytes);
}

/** Weights that are tensors already, by their names in the checkpoint; the inverse frequencies [d / 2] are for the caller to write. */
export function weightsOf(
  device: Pick<Device, "allocate">,
  config: LlamaConfig,
  tensorOf: (name: string) => Tensor,
): LlamaWeights {
  const head = config.tiedEmbeddings ? "tied" : "stored";
  return placeWeights(device, config, head, (name, uses) => {
    const tensor = tensorOf(name);
    return uses.map(() => tensor);
  }).weights;
}

/** The tensors of a model by their names in the checkpoint, in the order of {@link expectedTensors}; a tied head is there once. */
export function namedWeights({ embedTokens, layers, norm, lmHead }: LlamaWeights): Map<string, Tensor> {
  const ofLayers = layers.flatMap((layer, i) =>
    (Object.keys(LAYER_WEIGHTS) as (keyof LlamaLayer)[]).map(
      (role) => [nameIn(i, LAYER_WEIGHTS[role][0]), layer[role]] as const,
    ),
  );
  const head = lmHead === embedTokens ? [] : [[HEAD, lmHead] as const];
  return new Map([[EMBEDDING, embedTokens], ...ofLayers, ["model.norm.weight", norm], ...head]);
}

/** Releases the weights; programs that use them must be gone. */
export function disposeWeights(
  device: Device,
  { embedTokens, inverseFrequencies, layers, norm, lmHead }: LlamaWeights,
): void {
  const views = [embedTokens, norm, lmHead, ...layers.flatMap((layer) => Object.values(layer) as Tensor[])];
  for (const tensor of [...views, inverseFrequencies]) device.free(tensor);
}
