// The emulator of a GPU (native/simt) in the place of the CUDA device, for what users write: "cuda" is it, in a process whose QUIPU_ADDON
// names the file that is returned. Its environment says what the GPU is like (native/simt/settings.h).
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const BUILT = join(process.cwd(), "build", "Release");

/** Makes the folder `folder`, with a module for each kind of device, and returns its quipu.node. */
export function emulatedGpu(folder: string): string {
  mkdirSync(folder);
  const modules = {
    quipu: "quipu",
    "quipu-cuda": "quipu-simt",
    "quipu-simt": "quipu-simt",
    "quipu-reference": "quipu-reference",
  };
  for (const [name, built] of Object.entries(modules)) {
    symlinkSync(join(BUILT, `${built}.node`), join(folder, `${name}.node`));
  }
  return join(folder, "quipu.node");
}
