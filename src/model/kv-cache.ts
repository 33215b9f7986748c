// The KV cache: pages of 64 keys, and a table [slots, blocks] that says which page holds which block of a slot. A page keeps
// keys with the keys across the lanes [G, d, 64], of int8 four features of a key side by side, and values row by row [G, 64, d]
// (docs/numerics.md, attention).
import type { Device, ProgramDevice, Transfer } from "../device/device.js";
import { bytesOf, rowOf, type Tensor } from "../device/tensor.js";
import { PAGE_KEYS } from "../graph/ops.js";
import type { CacheState } from "../graph/recorder.js";
import type { LlamaConfig } from "./config.js";

/** Storage of keys and values: f32 exactly, f16 rounded, int8 rotated and with one scale a key and a value of each head. */
/** From the largest to the smallest. */
export const KV_CACHE_TYPES = ["f32", "f16", "int8"] as const;
export type KvCacheType = (typeof KV_CACHE_TYPES)[number];

export interface KvCacheShape {
  /** Sequences that can be in it at once. */
  readonly slots: number;
  /** Positions of each; rounded up to whole pages. */
  readonly contextLength: number;
  /** Positions of all together, at least one sequence's; rounded up to whole pages. */
  readonly cacheTokens: number;
  readonly type: KvCacheType;
}

/** Positions of the pages that hold `positions`. */
export function wholePages(positions: number): number {
  return PAGE_KEYS * Math.ceil(positions / PAGE_KEYS);
}

function storedAs(type: KvCacheType) {
  return type === "int8" ? "i8" : type;
}

/** Bytes that one position of one sequence takes in all layers. */
export function bytesPerPosition(config: LlamaConfig, type: KvCacheType): number {
  const dtype = storedAs(type);
  const scale = dtype === "i8" ? bytesOf("f32", [1]) : 0;
  return 2 * config.layers * config.kvHeads * (bytesOf(dtype, [config.headSize]) + scale);
}

export class KvCache {
  readonly slots: number;
  /** Pages that a slot can hold. */
  readonly blocks: number;
  readonly pages: number;
  readonly layers: readonly CacheState<Tensor>[];
  /** [slots, blocks] → page, −1 none. */
  readonly pageTable: Tensor;
  readonly bytes: number;
  readonly #device: ProgramDevice;

  /** Without what {@link create} writes: for a device that is only planned. */
  constructor(device: ProgramDevice, config: LlamaConfig, { slots, contextLength, cacheTokens, type }: KvCacheShape) {
    this.#device = device;
    this.slots = slots;
    this.blocks = wholePages(contextLength) / PAGE_KEYS;
    this.pages = wholePages(cacheTokens) / PAGE_KEYS;
    const dtype = storedAs(type);
    const { kvHeads, headSize } = config;
    const allocate = (name: string, shape: number[]) => device.allocate(name, dtype, shape);
    const scales = (name: string) =>
      type === "int8" ? device.allocate(name, "f32", [this.pages, kvHeads, PAGE_KEYS]) : undefined;
    this.layers = Array.from({ length: config.layers }, (_, i) => ({
      keys: allocate(`cache.${i}.keys`, [this.pages, kvHeads, headSize, PAGE_KEYS]),
      values: allocate(`cache.${i}.values`, [this.pages, kvHeads, PAGE_KEYS, headSize]),
      keyScales: scales(`cache.${i}.keyScales`),
      valueScales: scales(`cache.${i}.valueScales`),
    }));
    this.pageTable = device.allocate("cache.pageTable", "i32", [slots, this.blocks], this.pages);
    this.bytes = this.#tensors().reduce((sum, tensor) => sum + bytesOf(tensor.dtype, tensor.shape), 0);
  }

  /** @throws {QuipuError} ERR_OUT_OF_MEMORY */
  static async create(device: Device, config: LlamaConfig, shape: KvCacheShape): Promise<KvCache> {
    const cache = new KvCache(device, config, shape);
    await device.run(null, { writes: [[cache.pageTable, new Int32Array(cache.slots * cache.blocks).fill(-1)]] });
    return cache;
  }

  /** What must be written so that `slot` has `pages`, in the order of their positions. */
  table(slot: number, pages: Int32Array): Transfer {
    const row = new Int32Array(this.blocks).fill(-1);
    row.set(pages);
    return [rowOf(this.pageTable, slot), row];
  }

  dispose(): void {
    for (const tensor of this.#tensors()) this.#device.free(tensor);
  }

  #tensors(): Tensor[] {
    const layers = this.layers.flatMap((layer) => [layer.keys, layer.values, layer.keyScales, layer.valueScales]);
    return [...layers.filter((tensor) => tensor !== undefined), this.pageTable];
  }
}
