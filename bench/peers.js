// quipu beside llama.cpp and ik_llama.cpp on the same weights: tokens behind 16 others, then a prompt of 512, at each format. In turn, every second
// round backwards, as the bandwidth of a machine that others use moves within seconds: rates are medians, ratios those of the same rounds.
//
// llama.cpp comes through llama-cpp-python, which this builds for the machine (-DGGML_NATIVE=ON, ten minutes on two cores) into
// a folder among the system's temporary files, or QUIPU_BENCH_PEERS, and uses again the next time, as it does the models that it makes there; flash
// attention off and on, the better one counts. ik_llama.cpp is taken from QUIPU_BENCH_IK, the folder of its built programs (llama-bench), with
// run-time repacking. Weights are those of QUIPU_BENCH_MODEL (SmolLM2 where it is not set), a checkpoint in bf16: bench/make-checkpoint.js makes
// larger ones. QUIPU_BENCH_ROUNDS names another number of rounds than five, QUIPU_BENCH_WEIGHTS some of none, q8 and q4, with the peers that
// they are held against, QUIPU_BENCH_TESTS one of decode and prompt.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { describeMachine, loadModel } from "../dist/index.js";
import { QUANTIZATIONS } from "../dist/model/quantization.js";
import { interval, markdown, median, output, ROOT } from "./measure.js";

const MODEL = process.env.QUIPU_BENCH_MODEL ?? join(ROOT, "build/models/smollm2");
const FOLDER = process.env.QUIPU_BENCH_PEERS ?? join(tmpdir(), "quipu-peers");
const IK = join(process.env.QUIPU_BENCH_IK ?? "ik_llama.cpp", "llama-bench");
const [VERSION, SCRIPT] = ["0.3.36", "bench/reference/llama_cpp_speed.py"];
const ROUNDS = Number(process.env.QUIPU_BENCH_ROUNDS ?? 5);
const [THREADS, PROMPT, DEPTH, DECODED] = [2, 512, 16, 24];
const wanted = (name, all) => all.filter((one) => (process.env[name]?.split(",") ?? all).includes(one));
const TESTS = wanted("QUIPU_BENCH_TESTS", ["decode", "prompt"]);
const WEIGHTS = wanted("QUIPU_BENCH_WEIGHTS", QUANTIZATIONS);
/** llama.cpp's formats, and whether ik_llama.cpp is measured with them too. */
const PEER_FORMATS = [
  ["BF16", false],
  ["Q8_0", false],
  ["Q4_0", true],
  ["Q4_K_M", true],
];
/** [weights here, program, formats of which the best counts, what the rates of decoding and of a prompt should be at least as multiples of it]. */
const RATIOS = [
  ["none", "llama.cpp", ["BF16"]],
  ["q8", "llama.cpp", ["Q8_0"], { decode: 1.1, prompt: 2.5 }],
  ["q4", "llama.cpp", ["Q4_0", "Q4_K_M"], { decode: 1.05, prompt: 2.2 }],
  ["q4", "ik_llama.cpp", ["Q4_0"], { decode: 1, prompt: 1 }],
  ["q4", "ik_llama.cpp", ["Q4_K_M"], { decode: 1, prompt: 1 }],
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

/** The models that llama.cpp measures, made where they are not there from the last time. */
function ggufs(interpreter) {
  const stored = readdirSync(MODEL).filter((name) => name.endsWith(".safetensors"));
  const newest = Math.max(...stored.map((name) => statSync(join(MODEL, name)).mtimeMs));
  const folder = join(FOLDER, `${basename(MODEL)}-${newest.toFixed(0)}`);
  mkdirSync(folder, { recursive: true });
  const files = PEER_FORMATS.map(([format]) => join(folder, `${format}.gguf`));
  for (const [i, file] of files.entries()) {
    if (existsSync(file)) continue;
    console.error(`peers: making ${file}`);
    const part = `${file}.part`;
    if (i === 0) output(interpreter, [SCRIPT, "gguf", MODEL, part]);
    else output(interpreter, [SCRIPT, "quantize", files[0], part, PEER_FORMATS[i][0], String(THREADS)]);
    renameSync(part, file);
  }
  return files;
}

/** What is measured: program, format, bytes of the weights, a round that gives the milliseconds of a test (of a prompt, of a decoded token). */
async function contestants(started) {
  const all = [];
  let parameters = 0;
  for (const quantize of WEIGHTS) {
    const options = { quantize, threads: THREADS, contextLength: 1024, tokenizer: false };
    const model = await loadModel(MODEL, options);
    started.push(() => model.dispose());
    const stats = model.stats();
    parameters = stats.parameters;
    const round = (test) => (test === "prompt" ? quipuPrompt(model) : quipuDecode(model));
    all.push({ program: "quipu", format: quantize, bytes: stats.weightBytes, round });
  }
  const interpreter = python();
  const files = ggufs(interpreter);
  const server = await serve(interpreter, files, started);
  const against = RATIOS.filter(([quantize]) => WEIGHTS.includes(quantize)).flatMap(([, , formats]) => formats);
  for (const [i, [format, withIk]] of PEER_FORMATS.entries()) {
    if (!against.includes(format)) continue;
    const bytes = statSync(files[i]).size;
    for (const flash of [0, 1]) {
      const round = (test) => server.ask({ model: i, flash, test });
      all.push({ program: "llama.cpp", format, flash, bytes, round });
    }
    for (const flash of withIk && existsSync(IK) ? [0, 1] : [])
      all.push({ program: "ik_llama.cpp", format, flash, bytes, round: (test) => ikRound(files[i], flash, test) });
  }
  return { all, parameters, about: server.about };
}

const idsFor = (length) => Int32Array.from({ length }, (_, i) => 300 + ((i * 37) % 700));
const REQUEST = { temperature: 0, ignoreEos: true, promptCache: false };

async function quipuPrompt(model) {
  for await (const event of model.generate(idsFor(PROMPT), { ...REQUEST, maxTokens: 1 }))
    if (event.type === "end") return event.timings.promptMs;
}

async function quipuDecode(model) {
  const times = [];
  for await (const { type } of model.generate(idsFor(DEPTH), { ...REQUEST, maxTokens: DECODED + 1 }))
    if (type === "token") times.push(performance.now());
  return (times.at(-1) - times[0]) / DECODED;
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
function ikRound(file, flash, test) {
  const what = test === "prompt" ? ["-p", PROMPT, "-n", 0] : ["-p", 0, "-n", 0, "-gp", `${DEPTH},${DECODED}`];
  const options = ["-t", THREADS, "-fa", flash, "-rtr", 1, "-r", 1, ...what];
  const [row] = JSON.parse(output(IK, ["-m", file, "-o", "json", ...options.map(String)]));
  return (test === "prompt" ? PROMPT : 1) * (1000 / row.avg_ts);
}

/** Rounds of a test: milliseconds of each contestant. */
async function roundsOf(test, all) {
  const rounds = [];
  for (let i = 0; i <= ROUNDS; i++) {
    console.error(`peers: ${test}, ${i === 0 ? "what maps the weights in" : `round ${i} of ${ROUNDS}`}`);
    const round = new Array(all.length);
    const order = [...all.keys()];
    for (const k of i % 2 === 0 ? order : order.reverse()) round[k] = await all[k].round(test);
    if (i > 0) rounds.push(round);
  }
  return rounds;
}

/** The contestant of the least median of those that `of` picks; undefined where there is none. */
function best(all, rounds, of) {
  const medianOf = (k) => median(rounds.map((round) => round[k]));
  const [first] = [...all.keys()].filter((k) => of(all[k])).sort((a, b) => medianOf(a) - medianOf(b));
  return first === undefined ? undefined : { ...all[first], number: first, ms: medianOf(first) };
}

function rateRows(all, rounds, parameters) {
  const names = [...new Set(all.map(({ program, format }) => `${program}, ${format}`))];
  const flashOf = ({ flash }) => (flash === undefined ? "" : `, -fa ${flash}`);
  return names.map((name) => {
    const isOf = ({ program, format }) => name === `${program}, ${format}`;
    const { bytes } = all.find(isOf);
    const [decode, prompt] = ["decode", "prompt"].map((test) => rounds[test] && best(all, rounds[test], isOf));
    return [
      name === "quipu, none" ? "quipu, bf16" : name,
      ((8 * bytes) / parameters).toFixed(2),
      (bytes / 1e6).toFixed(0),
      decode ? `${(1000 / decode.ms).toFixed(1)}${flashOf(decode)}` : "",
      decode ? (bytes / decode.ms / 1e6).toFixed(1) : "",
      prompt ? `${((1000 * PROMPT) / prompt.ms).toFixed(1)}${flashOf(prompt)}` : "",
    ];
  });
}

const reaches = (goal, ratio, high) => (ratio >= goal ? "reached" : high >= goal ? "within the interval" : "missed");

function ratioRows(all, rounds) {
  return RATIOS.flatMap(([quantize, program, formats, goals]) =>
    TESTS.flatMap((test) => {
      const peer = best(all, rounds[test], (one) => one.program === program && formats.includes(one.format));
      if (peer === undefined) return [];
      const ours = all.findIndex((one) => one.program === "quipu" && one.format === quantize);
      if (ours < 0) return [];
      const [ratio, low, high] = interval(rounds[test].map((round) => round[peer.number] / round[ours]));
      return [
        [
          `${quantize === "none" ? "bf16" : quantize}, ${test}, beside ${program} ${peer.format}`,
          `${ratio.toFixed(2)} × (${low.toFixed(2)} – ${high.toFixed(2)})`,
          goals === undefined ? "" : `${goals[test].toFixed(2)} ×, ${reaches(goals[test], ratio, high)}`,
        ],
      ];
    }),
  );
}

export async function measure() {
  if (!existsSync(join(MODEL, "config.json"))) return `left out: ${MODEL} is not there (scripts/make-smollm2.sh)\n`;
  const started = [];
  try {
    const { all, parameters, about } = await contestants(started);
    const load = () => loadavg()[0].toFixed(2);
    const before = load();
    const rounds = {};
    for (const test of TESTS) rounds[test] = await roundsOf(test, all);
    const notes = [
      `${basename(MODEL)}, ${THREADS} threads each, ${ROUNDS} rounds, load ${before} before, ${load()} after. quipu: ${describeMachine().target}.`,
      `llama-cpp-python ${about.version}, GGML_NATIVE=ON: ${about.system.trim()}`,
      existsSync(IK)
        ? `ik_llama.cpp: ${IK}, -rtr 1.`
        : `ik_llama.cpp was left out: there is no ${IK}; QUIPU_BENCH_IK names the folder of its llama-bench.`,
    ];
    const header = [
      ...["program, format", "bits a weight", "MB", `tg${DECODED}@d${DEPTH}, t/s`],
      ...["GB/s of weights", `pp${PROMPT}, t/s`],
    ];
    const rates = markdown(header, rateRows(all, rounds, parameters));
    const ratios = markdown(
      ["quipu", "ratio (95 % interval, of few rounds their range)", "goal"],
      ratioRows(all, rounds),
    );
    return `${notes.join("  \n")}\n\n${rates}\n${ratios}`;
  } finally {
    for (const end of started) await end();
  }
}
