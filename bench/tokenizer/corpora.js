// The texts that the tokenizer's benchmarks encode: English prose and many languages from ../shared, code from node_modules.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const shared = process.env.QUIPU_SHARED ?? join(root, "../shared");

const documentsOf = (folder) =>
  readdirSync(join(shared, folder))
    .filter((name) => name.endsWith(".jsonl.gz"))
    .sort()
    .flatMap((name) =>
      gunzipSync(readFileSync(join(shared, folder, name)))
        .toString("utf8")
        .split("\n"),
    )
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line).text);

const codeOf = (folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|js|md)$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .filter((text) => text.length < 2e5);

/** Documents spread over the whole list, so that many languages or authors are among them, of `most` bytes together. */
export function sample(documents, most) {
  const step = Math.max(1, Math.floor(documents.reduce((sum, text) => sum + text.length, 0) / most));
  const taken = [];
  let size = 0;
  for (let i = 0; i < documents.length && size < most; i += step) {
    taken.push(documents[i]);
    size += Buffer.byteLength(documents[i]);
  }
  return { texts: taken, bytes: size };
}

/** Of each kind documents of about so many bytes: { texts, bytes }. */
export const corporaOf = (bytes) => ({
  prose: sample(documentsOf("data/stories"), bytes),
  languages: sample(documentsOf("data/multilingual"), bytes),
  code: sample(codeOf("node_modules/@types").concat(codeOf("node_modules/fast-check")), bytes),
});
