// A small run for compute-sanitizer: a tiny model in every format, its logits of a prompt and some tokens that it decodes.
//
//   node bench/gpu/small-run.js <cuda|simt>
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../measure.js";
import { openRuntime } from "../runtime.js";

const [kind] = process.argv.slice(2);
for (const quantize of ["none", "q8", "q4"]) {
  const { device, config, runtime } = await openRuntime(join(ROOT, "test", "reference", "tiny", "mqa-tied-bf16"), {
    ...{ device: kind, slots: 1, depth: 20, contextLength: 128, quantize },
  });
  const rows = Array.from({ length: 20 }, (_, i) => ({
    id: (i * 37 + 11) % config.vocabSize,
    slot: 0,
    position: 20 + i,
  }));
  await runtime.logits(rows, [19], new Float32Array(config.vocabSize));
  const steps = [runtime.sample([{ id: 5, slot: 0, position: 40 }], [0], [2])];
  while (steps.length < 4) steps.push(runtime.sample([{ slot: 0 }], [0], [2]));
  await Promise.all(steps);
  runtime.dispose();
  await device.dispose();
}
