// quipu beside llama.cpp and ik_llama.cpp on the same weights: a prompt of 512, and tokens behind 16 others, at each format, one round
// each in turn, medians.
//
// llama.cpp comes through llama-cpp-python, which this builds for the machine (-DGGML_NATIVE=ON, ten minutes on two cores) into
// a folder among the system's temporary files, or QUIPU_BENCH_PEERS, and uses again the next time; flash attention off and on, the better one
// counts. ik_llama.cpp is taken from QUIPU_BENCH_IK, the folder of its built programs (llama-bench), with run-time repacking. Weights are
// those of QUIPU_BENCH_MODEL (SmolLM2 where it is not set), a checkpoint in bf16: bench/make-checkpoint.js makes larger ones.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { describeMachine, loadModel } from "../dist/index.js";
import { QUANTIZATIONS } from "../dist/model/quantization.js";
import { markdown, median, output, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const FOLDER = process.env.QUIPU_BENCH_PEERS ?? join(tmpdir(), "quipu-peers");
const IK = join(process.env.QUIPU_BENCH_IK ?? "ik_llama.cpp", "llama-bench");
const [VERSION, SCRIPT] = ["0.3.36", "bench/reference/llama_cpp_speed.py"];
const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 5);
const [THREADS, PROMPT, DEPTH, DECODED] = [2, 512, 16, 24];
/** llama.cpp's formats, and whether ik_llama.cpp is measured with them too. */
const PEER_FORMATS = [
  ["BF16", false],
  ["Q8_0", false],
  ["Q4_0", true],
  ["Q4_K_M", true],
];

/** The Python that has llama_cpp and gguf; throws where they cannot be installed. */
function python() {
  const python = join(FOLDER, "venv/bin/python");
  const isThere = () => spawnSync(python, ["-c", "import llama_cpp, gguf"]).status === 0;
  if (isThere()) return python;
  console.error(`peers: building llama-cpp-python ${VERSION} in ${FOLDER}`);
  mkdirSync(FOLDER, { recursive: true });
  output("python3", ["-m", "venv", join(FOLDER, "venv")]);
  const packages = [`llama-cpp-python==${VERSION}`, "gguf", "numpy"];
  output("nice", [python, "-m", "pip", "install", "--quiet", "--no-binary", "llama-cpp-python", ...packages], {
    CMAKE_ARGS: "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF", // no pictures
    CMAKE_BUILD_PARALLEL_LEVEL: String(THREADS),
  });
  return python;
}

/** What each program measures: [program, format, bytes of the weights, a round that gives milliseconds]. */
async function contestants(folder, started) {
  const all = [];
  for (const quantize of QUANTIZATIONS) {
    const options = { quantize, threads: THREADS, contextLength: 1024, tokenizer: false };
    const model = await loadModel(MODEL, options);
    started.push(() => model.dispose());
    const { target, weightBytes, formats } = model.stats();
    const name = formats.map(({ format }) => format).join(" and ");
    all.push({ program: `quipu, ${target}`, format: name, bytes: weightBytes, round: () => quipuRound(model) });
  }
  const interpreter = python();
  const files = PEER_FORMATS.map(([format]) => join(folder, `${format}.gguf`));
  output(interpreter, [SCRIPT, "gguf", MODEL, files[0]]);
  for (const [i, [format]] of PEER_FORMATS.entries())
    if (i > 0) output(interpreter, [SCRIPT, "quantize", files[0], files[i], format, String(THREADS)]);
  const server = await serve(interpreter, files, started);
  for (const [i, [format]] of PEER_FORMATS.entries()) {
    const bytes = statSync(files[i]).size;
    for (const flash of [0, 1])
      all.push({ program: "llama.cpp", format, flash, bytes, round: () => server.ask({ model: i, flash }) });
    if (existsSync(IK) && PEER_FORMATS[i][1])
      for (const flash of [0, 1])
        all.push({ program: "ik_llama.cpp", format, flash, bytes, round: () => ikRound(files[i], flash) });
  }
  return { all, about: server.about };
}

const idsFor = (length) => Int32Array.from({ length }, (_, i) => 300 + ((i * 37) % 700));

async function quipuRound(model) {
  const common = { temperature: 0, ignoreEos: true, promptCache: false };
  let prompt;
  for await (const event of model.generate(idsFor(PROMPT), { ...common, maxTokens: 1 }))
    if (event.type === "end") prompt = event.timings.promptMs;
  const times = [];
  for await (const { type } of model.generate(idsFor(DEPTH), { ...common, maxTokens: DECODED + 1 }))
    if (type === "token") times.push(performance.now());
  return { prompt, decode: (times.at(-1) - times[0]) / DECODED };
}

/** A process that has all of llama.cpp's models, and answers one question at a time. */
async function serve(interpreter, files, started) {
  const numbers = [THREADS, DEPTH, DECODED, PROMPT].map(String);
  const child = spawn(interpreter, [SCRIPT, "serve", ...numbers, ...files], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  started.push(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`llama.cpp ended: ${said}`);
    return JSON.parse(value);
  };
  const about = await next();
  return {
    about,
    ask: (question) => {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return next();
    },
  };
}

/** One run of llama-bench: its rates are of a process of its own, after one that it does not count. */
function ikRound(file, flash) {
  const options = [
    "-t",
    THREADS,
    "-fa",
    flash,
    "-rtr",
    1,
    "-r",
    1,
    "-p",
    PROMPT,
    "-n",
    0,
    "-gp",
    `${DEPTH},${DECODED}`,
  ];
  const rows = JSON.parse(output(IK, ["-m", file, "-o", "json", ...options.map(String)]));
  const msOf = (row) => 1000 / row.avg_ts;
  return {
    prompt: PROMPT * msOf(rows.find(({ n_gen }) => n_gen === 0)),
    decode: msOf(rows.find(({ n_gen }) => n_gen > 0)),
  };
}

/** Of contestants that differ by flash attention alone, the better one of each test. */
function rowsOf(all, rounds) {
  const rows = new Map();
  for (const [i, { program, format, flash, bytes }] of all.entries()) {
    const of = (test) => median(rounds.map((round) => round[i][test]));
    const key = `${program}, ${format}`;
    const row = rows.get(key) ?? { bytes, prompt: [], decode: [] };
    for (const test of ["prompt", "decode"]) row[test].push({ ms: of(test), flash });
    rows.set(key, row);
  }
  const better = (tests) => tests.reduce((best, test) => (test.ms < best.ms ? test : best));
  const flashOf = ({ flash }) => (flash === undefined ? "" : flash === 1 ? ", -fa 1" : ", -fa 0");
  return [...rows].map(([name, { bytes, prompt, decode }]) => {
    const [p, d] = [better(prompt), better(decode)];
    const rates = [
      `${((1000 * PROMPT) / p.ms).toFixed(1)}${flashOf(p)}`,
      `${(1000 / d.ms).toFixed(1)}${flashOf(d)}`,
      (bytes / d.ms / 1e6).toFixed(1),
    ];
    return [name, (bytes / 1e6).toFixed(0), ...rates];
  });
}

export async function measure() {
  if (!existsSync(join(MODEL, "config.json"))) return `left out: ${MODEL} is not there (scripts/make-smollm2.sh)\n`;
  const folder = mkdtempSync(join(tmpdir(), "quipu-peers-"));
  const started = [];
  try {
    const { all, about } = await contestants(folder, started);
    const before = loadavg()[0];
    const rounds = [];
    for (let i = 0; i <= ROUNDS; i++) {
      const round = [];
      for (const { round: once } of all) round.push(await once());
      if (i > 0) rounds.push(round); // the first one maps the weights in
    }
    const { target } = describeMachine();
    const notes = [
      `${basename(MODEL)}, ${THREADS} threads each, ${ROUNDS} rounds, load ${before.toFixed(2)} before. quipu: ${target}.`,
      `llama-cpp-python ${about.version}, GGML_NATIVE=ON: ${about.system.trim()}`,
      existsSync(IK)
        ? `ik_llama.cpp: ${IK}, -rtr 1.`
        : `ik_llama.cpp was left out: there is no ${IK}; QUIPU_BENCH_IK names the folder of its llama-bench.`,
    ];
    const header = ["program, format", "MB", `pp${PROMPT}, t/s`, `tg${DECODED}@d${DEPTH}, t/s`, "GB/s of weights"];
    return `${notes.join("  \n")}\n\n${markdown(header, rowsOf(all, rounds))}`;
  } finally {
    for (const end of started) await end();
    rmSync(folder, { recursive: true });
  }
}
