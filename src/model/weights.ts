// The weights of a checkpoint on a device: every tensor checked before anything is computed, none copied to the JS heap.
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { Device, WeightUse } from "../device/device.js";
import { type DType, FILE_DTYPES } from "../device/formats.js";
import { bytesOf, elementsOf, type Shape, type Tensor } from "../device/tensor.js";
import type { WeightFile } from "../device/weight-file.js";
import { isQuipuError, QuipuError } from "../errors.js";
import { compile } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import { availableMemory } from "../machine/process-limits.js";
import type { Warn } from "../warnings.js";
import type { LlamaConfig } from "./config.js";
import type { LlamaLayer, LlamaWeights } from "./llama.js";
import { formatOf, type Quantization, type WeightRole } from "./quantization.js";
import { inverseFrequencies } from "./rope.js";
import { EMBEDDING, findTensors } from "./tensors.js";

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

/**
 * Opens the weights. With `mmap` they stay in the page cache and come in as they are first read. With `quantize` matrices are read
 * now, one after the other, and packed (quantization.ts), and their files are needed no more.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (findTensors), ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function loadWeights(
  device: Device,
  checkpoint: Checkpoint,
  config: LlamaConfig,
  {
    mmap,
    quantize = "none",
    warn = () => {},
    onProgress,
    signal,
  }: {
    mmap: boolean;
    quantize?: Quantization | undefined;
    warn?: Warn | undefined;
    onProgress?: ((done: number, total: number) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<LoadedWeights> {
  const { tensors, head } = await findTensors(config, checkpoint, warn, signal);
  const files: WeightFile[] = [];
  try {
    const fileBytes = checkpoint.files.reduce((sum, file) => sum + file.size, 0);
    const total = quantize === "none" ? fileBytes : 2 * fileBytes; // opened, and read to be quantized
    let opened = 0;
    for (const { path, size } of checkpoint.files) {
      const tell = (ready: number) => onProgress?.(opened + ready, total);
      files.push(await device.open(path, size, { mmap, onProgress: tell, signal }));
      opened += size;
      if (mmap) onProgress?.(opened, total);
      await new Promise(setImmediate); // many shards take long: let Ctrl-C and progress through
    }
    const packing: (readonly [source: Tensor, packed: Tensor])[] = [];
    let bytes = 0;
    let bytesPerToken = 0;
    let parameters = 0;
    const placedMatrices: Pick<Tensor, "dtype" | "shape">[] = [];
    const place = <const Uses extends readonly WeightUse[]>(
      name: string,
      uses: Uses,
      role: WeightRole,
      layer?: number,
    ) => {
      const { file, offset, dtype, shape } = tensors.get(name)!;
      const view = { file: files[file]!, offset, dtype: FILE_DTYPES.get(dtype)!, shape };
      const note = (source: Tensor, packed: Tensor) => packing.push([source, packed]);
      const format = formatOf(quantize, role, layer, config.layers);
      const placed = device.place(name, view, uses, format && { format, note });
      parameters += elementsOf(shape);
      for (let i = 0; i < uses.length; i++) {
        const tensor: Tensor = placed[i]!;
        if (placed.indexOf(tensor) < i) continue; // counted with another use
        const size = bytesOf(tensor.dtype, tensor.shape);
        const isTable = uses[i] === "rows" && placed.lastIndexOf(tensor) === i;
        bytes += size;
        if (uses[i] !== "vector") placedMatrices.push(tensor);
        bytesPerToken += isTable ? Math.ceil(size / shape[0]!) : size;
      }
      return placed;
    };
    const layer = (i: number) =>
      Object.fromEntries(
        (Object.entries(LAYER_WEIGHTS) as [keyof LlamaLayer, readonly [string, WeightUse]][]).map(
          ([role, [name, use]]) => [role, place(`model.layers.${i}.${name}.weight`, [use], role, i)[0]],
        ),
      ) as unknown as LlamaLayer;

    const [embedTokens, lmHead] =
      head === "tied"
        ? place(EMBEDDING, ["rows", "product"], "lmHead")
        : [...place(EMBEDDING, ["rows"], "embedTokens"), ...place("lm_head.weight", ["product"], "lmHead")];
    const layers = Array.from({ length: config.layers }, (_, i) => layer(i));
    const [norm] = place("model.norm.weight", ["vector"], "norm");

    if (packing.length > 0) {
      checkRoom(packing.map(([, packed]) => packed));
      await quantizeAll(device, packing, (done) => onProgress?.(fileBytes + done, total), signal);
      onProgress?.(total, total);
    }
    const frequencies = inverseFrequencies(config.rope, config.headSize);
    const inverse = device.allocate("inverseFrequencies", "f32", [frequencies.length]);
    await device.run(null, { writes: [[inverse, frequencies]] });
    return {
      weights: { embedTokens, inverseFrequencies: inverse, layers, norm, lmHead },
      bytes,
      bytesPerToken,
      parameters,
      formats: formatsOf(placedMatrices),
    };
  } finally {
    for (const file of files) file.dispose(); // tensors keep what they need
  }
}

/** What matrices are stored in, most bytes first. */
export function formatsOf(matrices: readonly Pick<Tensor, "dtype" | "shape">[]): WeightFormat[] {
  const formats = [...new Set(matrices.map(({ dtype }) => dtype))].map((format) => {
    const shapes = matrices.filter(({ dtype }) => dtype === format).map(({ shape }) => shape);
    const total = (of: (shape: Shape) => number) => shapes.reduce((sum, shape) => sum + of(shape), 0);
    return { format, parameters: total(elementsOf), bytes: total((shape) => bytesOf(format, shape)) };
  });
  return formats.sort((a, b) => b.bytes - a.bytes);
}

/** Before anything is written: the system gives memory that it does not have. */
function checkRoom(packed: readonly Tensor[]): void {
  const bytes = packed.reduce((sum, { dtype, shape }) => sum + bytesOf(dtype, shape), 0);
  const free = availableMemory();
  if (bytes <= free) return;
  const [needed, there] = [bytes, free].map((count) => `${Math.ceil(count / 2 ** 20)} MiB`);
  throw new QuipuError(
    "ERR_OUT_OF_MEMORY",
    `quantized weights need ${needed}, ${there} are free. As they are, mapped, they need not fit.`,
    { option: "quantize" },
  );
}

/** Each by itself: when it is done its source is let go, and an error names it. `onProgress` is told how many bytes are. */
async function quantizeAll(
  device: Device,
  packing: readonly (readonly [source: Tensor, packed: Tensor])[],
  onProgress: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  let done = 0;
  for (const [source, packed] of packing) {
    const r = new Recorder();
    r.output(r.quantize(source, packed));
    const program = compile(device, r.finish());
    try {
      await program.run({ signal });
    } catch (error) {
      if (!(isQuipuError(error) && error.code === "ERR_NOT_A_NUMBER")) throw error;
      throw new QuipuError(
        "ERR_MODEL_INVALID",
        `${source.name} cannot be quantized: a weight is NaN or infinite, or too large for ${packed.dtype}. Load the model without quantizing.`,
        { option: "quantize" },
      );
    } finally {
      program.dispose();
    }
    device.free(source);
    done += bytesOf(source.dtype, source.shape);
    onProgress(done);
  }
}

/** Releases the weights; programs that use them must be gone. */
export function disposeWeights(
  device: Device,
  { embedTokens, inverseFrequencies, layers, norm, lmHead }: LlamaWeights,
): void {
  const views = [embedTokens, norm, lmHead, ...layers.flatMap((layer) => Object.values(layer) as Tensor[])];
  for (const tensor of [...views, inverseFrequencies]) device.free(tensor);
}
