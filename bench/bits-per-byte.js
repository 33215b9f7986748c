// Bits per byte of models on held-out stories: what each document's tokens cost, the one that ends it left out, by the bytes of its text.
// Comparable across tokenizers. The documents are the first of ../shared/data/validation/tinystories.jsonl.gz, each by itself, from the
// token that begins a text on, its first 512 tokens (of one that is longer, bytes in proportion).
//
//   node bench/bits-per-byte.js models/storyteller folder…      stories260K, where its files are, comes for nothing
//   QUIPU_BENCH_DOCUMENTS: default 60
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { loadModel } from "../dist/index.js";
import { markdown, ROOT } from "./measure.js";
import { BOS, convertStories260k, stories260kEncoder } from "./stories260k.js";

const DOCUMENTS = Number(process.env.QUIPU_BENCH_DOCUMENTS ?? 60);
const CONTEXT = 512;
const STORIES = join(process.env.QUIPU_SHARED ?? join(ROOT, "../shared"), "data/validation/tinystories.jsonl.gz");

const documents = gunzipSync(readFileSync(STORIES))
  .toString()
  .split("\n")
  .filter(Boolean)
  .slice(0, DOCUMENTS)
  .map((line) => JSON.parse(line).text);

/** −log p of an id, in nats, by logits [V]. */
function surprise(logits, id) {
  let most = Number.NEGATIVE_INFINITY;
  for (const x of logits) if (x > most) most = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  return most + Math.log(sum) - logits[id];
}

/** @param encode a text's ids, what begins it included. */
async function measure(model, encode) {
  let [nats, tokens, bytes] = [0, 0, 0];
  for (const text of documents) {
    const all = encode(text);
    const ids = all.slice(0, CONTEXT);
    const logits = await model.logits(ids);
    const width = logits.length / ids.length;
    for (let t = 1; t < ids.length; t++) nats += surprise(logits.subarray((t - 1) * width, t * width), ids[t]);
    tokens += ids.length - 1;
    bytes += (Buffer.byteLength(text) * (ids.length - 1)) / (all.length - 1);
  }
  return [(nats / tokens).toFixed(4), tokens, Math.round(bytes), (nats / Math.LN2 / bytes).toFixed(4)];
}

const rows = [];
for (const path of process.argv.slice(2)) {
  const model = await loadModel(path);
  const { tokenizer } = model;
  rows.push([path, ...(await measure(model, (text) => [...tokenizer.encode(text, { bos: true })]))]);
  await model.dispose();
}
const folder = mkdtempSync(join(tmpdir(), "quipu-stories260k-"));
try {
  convertStories260k(folder);
  const model = await loadModel(folder, { tokenizer: false });
  const encode = stories260kEncoder();
  rows.push(["stories260K", ...(await measure(model, (text) => [BOS, ...encode(text)]))]);
  await model.dispose();
} finally {
  rmSync(folder, { recursive: true });
}
process.stdout.write(markdown(["model", "loss a token", "tokens", "bytes", "bits a byte"], rows));
