// Training 4,096 tokens on the story corpus, against Hugging Face tokenizers' BpeTrainer in the same run, on the same pieces and with
// as many threads; the merges must be equal.
//
//   node bench/tokenizer/train.js [--python build/venv/bin/python] [--vocab-size 4096] [--repeats 3] [files…]
//
// The Python needs tokenizers (test/reference/requirements.txt). Rows: everything (reading, cutting, counting, learning) and
// learning alone, from counted pieces; the best of the repeats for quipu, one run for tokenizers, which takes long.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { describeMachine, trainTokenizer } from "../../dist/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string", default: "build/venv/bin/python" },
    "vocab-size": { type: "string", default: "4096" },
    repeats: { type: "string", default: "3" },
  },
});
const stories = "../shared/data/stories";
const files =
  positionals.length > 0
    ? positionals
    : readdirSync(stories)
        .filter((name) => name.endsWith(".jsonl.gz"))
        .map((name) => join(stories, name));
const vocabSize = Number(values["vocab-size"]);

const ours = [];
let trained;
for (let i = 0; i < Number(values.repeats); i++) {
  let learning;
  const begin = performance.now();
  const onProgress = (stage) => {
    if (stage === "merging") learning ??= performance.now();
  };
  trained = await trainTokenizer({ files, vocabSize, specialTokens: [], onProgress });
  const end = performance.now();
  ours.push({ all: (end - begin) / 1e3, learning: (end - learning) / 1e3 });
}

const theirs = await new Promise((resolve, reject) => {
  const child = spawn(values.python, ["bench/reference/bpe_trainer_speed.py", String(vocabSize), ...files]);
  const stages = new Map();
  // Its trainer tells of its stages on stderr, as they begin and end.
  createInterface({ input: child.stderr }).on("line", (line) => {
    const [, stage] = /"stage":"([^"]+)"/.exec(line) ?? [];
    if (stage === undefined) return process.stderr.write(`${line}\n`);
    if (!stages.has(stage)) stages.set(stage, performance.now());
    stages.set("end", performance.now());
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.on("error", reject);
  child.on("close", () => {
    const { seconds, version, merges } = JSON.parse(output);
    resolve({ version, merges, all: seconds, learning: (stages.get("end") - stages.get("Tokenize words")) / 1e3 });
  });
});

const texts = trained.tokens.map((token) => Buffer.from(token).toString("hex"));
const equal =
  JSON.stringify(trained.merges.map((pair) => pair.map((id) => texts[id]))) === JSON.stringify(theirs.merges);
const best = (what) => Math.min(...ours.map((run) => run[what]));
const machine = describeMachine();
const { stats } = trained;
console.log(`${machine.cpu}, ${machine.threads} threads, Node ${machine.node}, tokenizers ${theirs.version}`);
console.log(
  `${stats.documents} texts, ${(stats.bytes / 1e6).toFixed(1)} MB, ${stats.pieces} pieces, ${stats.distinctPieces} distinct; ${trained.vocabSize} tokens`,
);
console.log(`merges equal: ${equal ? "yes" : "NO"}`);
for (const what of ["all", "learning"]) {
  console.log(
    `${what.padEnd(9)} quipu ${best(what).toFixed(2)} s, tokenizers ${theirs[what].toFixed(2)} s: ${(theirs[what] / best(what)).toFixed(1)} ×`,
  );
}
if (!equal) process.exitCode = 1;
