// Resident memory above that of an idle node process, with ids as prompts (tokenizer: false): what a prompt of 512 and 64
// decoded tokens take, beside weights + touched cache + arena. Of weights as they are, and of SmolLM2's as q8 and q4, which are packed
// in this process.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { markdown, output, ROOT } from "./measure.js";

const MIB = 2 ** 20;
const SMOLLM2 = "build/models/smollm2";
const CASES = [["models/storyteller", "none"], ...["none", "q8", "q4"].map((quantize) => [SMOLLM2, quantize])];

const PEAK = `
  const { readFileSync } = await import("node:fs");
  const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);`;

const RUN = (model, quantize) => `${PEAK}
  const { loadModel } = await import("./dist/index.js");
  const model = await loadModel(${JSON.stringify(model)}, { tokenizer: false, quantize: "${quantize}", cache: false });
  const length = Math.min(512, model.stats().contextLength - 65);
  const ids = Int32Array.from({ length }, (_, i) => (i * 7919 + 13) % model.config.vocabSize);
  for await (const _ of model.generate(ids, { maxTokens: 64, ignoreEos: true, temperature: 0 }));
  console.log(JSON.stringify({ peak: peak(), positions: length + 64, stats: model.stats() }));
  await model.dispose();`;

export async function measure() {
  const idle = Number(node(`${PEAK} console.log(peak());`));
  const rows = CASES.filter(([model]) => existsSync(join(ROOT, model, "config.json"))).map(([model, quantize]) => {
    const { peak, positions, stats } = JSON.parse(node(RUN(model, quantize)));
    const { weightBytes, cacheBytesPerPosition, arenaBytes } = stats;
    const cache = Math.ceil(positions / 64) * 64 * cacheBytesPerPosition;
    const named = weightBytes + cache + arenaBytes;
    const name = quantize === "none" ? model : `${model}, ${quantize}`;
    return [name, peak - idle, weightBytes, cache, arenaBytes, peak - idle - named].map((cell) =>
      typeof cell === "number" ? (cell / MIB).toFixed(1) : cell,
    );
  });
  return markdown(["MiB", "above idle node", "weights", "touched cache", "arena", "the rest"], rows);
}

function node(script) {
  return output(process.execPath, ["--input-type=module", "-e", script]);
}
