// Weights packed at load, and kept: they are written once to a file of the cache folder, into whose mapped pages they are packed
// as they are made, and mapped from then on (docs/decisions/0022). Without a file they are packed into memory.
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { Device, FileView } from "../device/device.js";
import { FORMATS, type Packed } from "../device/formats.js";
import { bytesOf, type Shape, type Tensor } from "../device/tensor.js";
import { abortedError, isQuipuError, QuipuError } from "../errors.js";
import { compile } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import { cachePath, makeFolderOf, makeRoom, noteUse } from "../machine/cache-folder.js";
import { type Preparation, PreparedFile } from "../machine/prepared-file.js";
import { availableMemory } from "../machine/process-limits.js";
import type { Warn } from "../warnings.js";

/** A weight that is to be packed. */
export interface Packing {
  readonly name: string;
  readonly shape: Shape;
  readonly format: Packed;
}

export interface PackOptions {
  /** Whether a file of the cache folder is used, and made. */
  readonly cache: boolean;
  readonly warn: Warn;
  readonly signal?: AbortSignal | undefined;
}

export interface NewPackOptions extends PackOptions {
  /** Where a weight lies, in a file that the device has open. */
  readonly viewOf: (name: string) => FileView;
  /** Told where they have been written, once they are. */
  readonly onCacheWrite?: ((path: string, bytes: number) => void) | undefined;
  /** Told how many bytes of weights are packed. */
  readonly onProgress: (done: number) => void;
}

/** Of what lies in the sections, but for how a device packs it. To be raised when that changes. */
const VERSION = 1;
/** What is less is packed in the time in which a file is found. */
const WORTH_KEEPING = 2 ** 24;
/** Of a source that is read at once: its pages are let go then. */
const SLICE_BYTES = 2 ** 22;
/** Groups of a block's rows at which any packed matrix can be cut: their bytes are a multiple of every alignment. */
const GROUPS = 64;

/**
 * Finds weights that are kept packed. Their own files are not looked into.
 *
 * @param checkpoint the files that they are of.
 * @returns what they have become, by name; undefined where they are not kept.
 * @throws {QuipuError} ERR_ABORTED.
 */
export async function findPacked(
  device: Device,
  checkpoint: Checkpoint,
  packings: readonly Packing[],
  options: PackOptions,
): Promise<ReadonlyMap<string, Tensor> | undefined> {
  const silent = () => {}; // whoever packs them is told why they are not kept
  const place = placeOf(device, checkpoint, packings, { cache: options.cache, warn: silent });
  const found = place && (await findKept(place, sizesOf(packings), device.threads, options.warn));
  if (options.signal?.aborted) throw abortedError(options.signal);
  return found && takeSections(device, packings, found);
}

/**
 * Packs weights, all or none.
 *
 * @param checkpoint the files that they are in.
 * @returns what they have become, by name.
 * @throws {QuipuError} ERR_MODEL_INVALID naming a weight that no code can stand for, ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function packWeights(
  device: Device,
  checkpoint: Checkpoint,
  packings: readonly Packing[],
  options: NewPackOptions,
): Promise<ReadonlyMap<string, Tensor>> {
  const sizes = sizesOf(packings);
  const bytes = totalOf(sizes);
  const place = placeOf(device, checkpoint, packings, options);
  const file = place === undefined ? undefined : makeFile(place, sizes, bytes, options.warn);
  if (file === undefined) checkMemory(bytes);
  const packed = new Map<string, Tensor>();
  try {
    for (const [i, { name, format, shape }] of packings.entries()) {
      packed.set(
        name,
        file === undefined ? device.allocate(name, format, shape) : device.section(name, file, i + 1, format, shape),
      );
    }
    await packAll(device, packings, packed, options);
    if (file === undefined) return packed;
    const problem = await file.finish(device.threads);
    if (problem !== "") warnNotKept(problem, options.warn);
    else options.onCacheWrite?.(place!.which.path, file.bytes);
    for (const tensor of packed.values()) device.free(tensor);
    return takeSections(device, packings, file);
  } catch (error) {
    for (const tensor of packed.values()) device.free(tensor);
    file?.dispose();
    throw error;
  }
}

interface Place {
  readonly which: Preparation;
  readonly description: string;
}

const sizesOf = (packings: readonly Packing[]) => packings.map(({ format, shape }) => bytesOf(format, shape));
const totalOf = (sizes: readonly number[]) => sizes.reduce((sum, size) => sum + size, 0);

/**
 * Where they are kept, if they are: none where there is no cache folder. The file is named by its sources and what is made of them on which kind of device; what it says of them, and how it is packed, must be the same to its last
 * letter.
 */
function placeOf(
  device: Device,
  { files }: Checkpoint,
  packings: readonly Packing[],
  { cache, warn }: Pick<PackOptions, "cache" | "warn">,
): Place | undefined {
  const keep = cache && device.packedLayout !== 0 && totalOf(sizesOf(packings)) >= WORTH_KEEPING;
  if (!keep) return undefined;
  const sources = files.map(({ path, identity }) => ({ path: realPath(path), is: identity }));
  const tensors = packings.map(({ name, format, shape }) => ({ name, dtype: format, shape }));
  const layout = `${device.kind} ${device.packedLayout}`;
  const description = JSON.stringify({ files: sources, layout, tensors });
  const source = createHash("sha256").update(description).digest();
  let path: string;
  try {
    path = cachePath("weights", JSON.stringify([sources.map((source) => source.path), device.kind, tensors]));
  } catch (error) {
    warnNotKept((error as Error).message, warn);
    return undefined;
  }
  return { which: { path, kind: "weights", version: VERSION, source }, description };
}

/** Without links, of which the hub's cache has one for each name of a file. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it is gone, and open all the same
  }
}

/** The file, if it is there, of these very sources and whole. */
async function findKept(
  { which }: Place,
  sizes: readonly number[],
  threads: number,
  warn: Warn,
): Promise<PreparedFile | undefined> {
  const found = PreparedFile.find(which);
  if (typeof found === "object") {
    // Every byte, before any is used: at the speed of memory, which the first step is bound by too.
    if (found.sizes.slice(1).join() === sizes.join() && (await found.verify(threads))) {
      noteUse(which.path);
      return found;
    }
    found.dispose();
  }
  if (typeof found === "object" || found === "damaged") {
    warn("WARN_CACHE_DAMAGED", `${which.path} is damaged: the weights are packed anew`);
  }
  return undefined;
}

function makeFile({ which, description }: Place, sizes: readonly number[], bytes: number, warn: Warn) {
  const problem = makeFolderOf(which.path) ?? makeRoom(which.path, bytes);
  const made = problem ?? PreparedFile.make(which, description, sizes);
  if (typeof made !== "string") return made;
  warnNotKept(made, warn);
  return undefined;
}

function warnNotKept(problem: string, warn: Warn): void {
  warn("WARN_CACHE_UNUSABLE", `packed weights are not kept: ${problem}`);
}

function takeSections(device: Device, packings: readonly Packing[], file: PreparedFile): ReadonlyMap<string, Tensor> {
  const tensors = packings.map(({ name, format, shape }, i) => device.section(name, file, i + 1, format, shape));
  file.dispose(); // they keep it
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

/** Before anything is written: the system gives memory that it does not have. What a file keeps need not fit. */
function checkMemory(bytes: number): void {
  const free = availableMemory();
  if (bytes <= free) return;
  const [needed, there] = [bytes, free].map((count) => `${Math.ceil(count / 2 ** 20)} MiB`);
  throw new QuipuError("ERR_OUT_OF_MEMORY", `quantized weights need ${needed}, ${there} are free.`, {
    option: "quantize",
  });
}

/** Slice by slice: when one is done its source is let go, and an error names the weight. */
async function packAll(
  device: Device,
  packings: readonly Packing[],
  packed: ReadonlyMap<string, Tensor>,
  { viewOf, onProgress, signal }: NewPackOptions,
): Promise<void> {
  let done = 0;
  for (const { name, format } of packings) {
    const view = viewOf(name);
    for (const [first, rows] of slicesOf(view, format)) {
      const [whole, columns] = [packed.get(name)!, view.shape[1]!];
      const before = bytesOf(view.dtype, [first, columns]);
      const slice = { ...view, offset: view.offset + before, shape: [rows, columns] };
      const [source] = device.place(name, slice, ["product"]);
      const target = { ...whole, offset: bytesOf(format, [first, columns]), shape: [rows, columns] };
      try {
        await quantize(device, source, target, signal);
      } finally {
        device.free(source);
      }
      done += bytesOf(view.dtype, slice.shape);
      onProgress(done);
    }
  }
  if (signal?.aborted) throw abortedError(signal);
}

/** First row and count of each: groups of whole blocks, but for the last. */
export function slicesOf(
  { dtype, shape }: Pick<FileView, "dtype" | "shape">,
  format: Packed,
): (readonly [first: number, rows: number])[] {
  const [all, columns] = shape as readonly [number, number];
  const unit = GROUPS * FORMATS[format].block.rows;
  const rows = Math.max(1, Math.floor(SLICE_BYTES / bytesOf(dtype, [unit, columns]))) * unit;
  return Array.from({ length: Math.ceil(all / rows) }, (_, i) => [i * rows, Math.min(rows, all - i * rows)]);
}

/** Packs a slice. @throws {QuipuError} ERR_MODEL_INVALID naming the weight, ERR_ABORTED. */
export async function quantize(
  device: Device,
  source: Tensor,
  target: Tensor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const r = new Recorder();
  r.output(r.quantize(source, target));
  const program = compile(device, r.finish());
  try {
    await program.run({ signal });
  } catch (error) {
    if (!(isQuipuError(error) && error.code === "ERR_NOT_A_NUMBER")) throw error;
    throw new QuipuError(
      "ERR_MODEL_INVALID",
      `${source.name} cannot be quantized: a weight is NaN or infinite, or too large for ${target.dtype}. Load the model without quantizing.`,
      { option: "quantize" },
    );
  } finally {
    program.dispose();
  }
}
