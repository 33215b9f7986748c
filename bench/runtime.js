// A model without its scheduler, for measuring single steps: by the modules of a dist, this checkout's or another's.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "./measure.js";

const DIST = process.env.QUIPU_BENCH_DIST ?? join(ROOT, "dist");

/** A module of that dist. */
export const library = (path) => import(pathToFileURL(join(DIST, path)).href);

const SETTINGS = {
  ...{ temperature: 0.8, topK: 0, topP: 1, minP: 0, seed: 1, logitBias: new Map() },
  ...{ repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
};

/** The model of `folder` on a device of its own, and a prompt of `depth` tokens in each of `slots`. */
export async function openRuntime(
  folder,
  {
    device: kind = "cpu",
    target,
    threads,
    slots,
    depth,
    contextLength,
    kvCache = "f16",
    quantize = "none",
    cache = false,
    settings = {},
  },
) {
  const { Device, openDevice } = await library("device/device.js");
  const { FUSIONS } = await library("device/fusions.js");
  const { openCheckpoint } = await library("checkpoint/checkpoint.js");
  const { readConfig } = await library("model/config.js");
  const { loadWeights } = await library("model/weights.js");
  const { Runtime } = await library("model/runtime.js");
  const device =
    kind === "cpu" && target !== undefined
      ? new Device("cpu", target, threads, { fusions: FUSIONS })
      : openDevice({ device: kind });
  const config = await readConfig(folder);
  const loaded = await loadWeights(device, await openCheckpoint(folder), config, { mmap: true, quantize, cache });
  const shape = { slots, stepRows: 512, contextLength, cacheTokens: contextLength * slots, type: kvCache };
  const runtime = await Runtime.create(device, config, loaded.weights, shape);
  const prompt = Int32Array.from({ length: depth }, (_, i) => (300 + i) % config.vocabSize);
  const pages = runtime.cache.blocks;
  for (let slot = 0; slot < slots; slot++) {
    const ofSlot = Int32Array.from({ length: pages }, (_, i) => slot * pages + i);
    const writes = runtime.begin(slot, ofSlot, { settings: { ...SETTINGS, ...settings }, prompt, stopIds: [] });
    await runtime.fill(
      Array.from(prompt, (id, position) => ({ id, slot, position })),
      { writes },
    );
  }
  return { device, config, loaded, runtime };
}

/** A step that decodes a token in each of the first `count` slots, behind a prompt of `depth` tokens; what it decoded before is overwritten. */
export function decodeStep(runtime, count, depth) {
  const rows = Array.from({ length: count }, (_, slot) => ({ id: 400 + slot, slot, position: depth }));
  const [wanted, bests] = [[...rows.keys()], rows.map(() => 0)];
  return () => runtime.sample(rows, wanted, bests);
}
