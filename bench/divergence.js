// How far two sets of logits of a text are apart, and the texts: ../shared/data/validation and a file of this tree.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { ROOT } from "./measure.js";

const VALIDATION = join(ROOT, "../shared/data/validation");

function documents(file) {
  return gunzipSync(readFileSync(join(VALIDATION, file)))
    .toString()
    .split("\n")
    .filter(Boolean)
    .slice(0, 200)
    .map((line) => JSON.parse(line).text)
    .join("\n");
}

/** Texts by name. */
export function textsOf() {
  const code = { "a file of this tree": readFileSync(join(ROOT, "src/generate/scheduler.ts"), "utf8") };
  if (!existsSync(VALIDATION)) return code;
  return {
    "validation/gutenberg": documents("gutenberg_children_00.jsonl.gz"),
    "validation/flores": documents("flores.jsonl.gz"),
    ...code,
  };
}

/** The same, and what models of TinyStories were made for. */
export function textsAndStories() {
  const stories = existsSync(VALIDATION) ? { "validation/tinystories": documents("tinystories.jsonl.gz") } : {};
  return { ...stories, ...textsOf() };
}

/** Log-probabilities of a row of logits, in place. */
function normalize(logits) {
  let most = Number.NEGATIVE_INFINITY;
  for (const x of logits) if (x > most) most = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  const log = most + Math.log(sum);
  for (let i = 0; i < logits.length; i++) logits[i] -= log;
}

/**
 * Mean KL(plain ‖ other) in nats and both perplexities, over one text.
 *
 * @param plain, other logits [ids, V] as f64; they are log-probabilities afterwards.
 */
export function compare(ids, plain, other) {
  const width = plain.length / ids.length;
  let divergence = 0;
  const losses = [0, 0];
  for (let t = 0; t < ids.length; t++) {
    const [p, q] = [plain, other].map((all) => all.subarray(t * width, (t + 1) * width));
    normalize(p);
    normalize(q);
    for (let i = 0; i < width; i++) divergence += Math.exp(p[i]) * (p[i] - q[i]);
    if (t + 1 < ids.length) for (const [k, x] of [p, q].entries()) losses[k] -= x[ids[t + 1]];
  }
  return [divergence / ids.length, ...losses.map((loss) => Math.exp(loss / (ids.length - 1)))];
}
