// The GPUs that a CUDA device can be opened on.
import { addonOf, withCodes } from "../addon/addon.js";
import type { NativeCudaAddon } from "../addon/addon-types.js";
import { isQuipuError } from "../errors.js";

export interface Gpu {
  readonly name: string;
  /** Compute capability: "9.0". */
  readonly capability: string;
  /** Bytes of its memory, and of it that are free now. */
  readonly totalMemory: number;
  readonly freeMemory: number;
}

export interface Gpus {
  /** In the order of their numbers: the first is "cuda", the second "cuda:1". */
  readonly gpus: readonly Gpu[];
  /** The CUDA version that the driver supports: "13.0". Undefined where none answers. */
  readonly driver?: string;
  /** Why there is none. */
  readonly problem?: string;
}

/** What the NVIDIA driver shows, or why it shows nothing: it is asked by the CUDA module, which is built where it is wanted. */
export function describeGpus(): Gpus {
  try {
    const [driver, , ...gpus] = withCodes(() => (addonOf("cuda") as NativeCudaAddon).gpus());
    return {
      driver,
      gpus: gpus.map(([name, capability, totalMemory, freeMemory]) => ({ name, capability, totalMemory, freeMemory })),
    };
  } catch (error) {
    if (!isQuipuError(error)) throw error;
    return { gpus: [], problem: error.message };
  }
}
