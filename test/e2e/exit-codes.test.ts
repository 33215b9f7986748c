// The table of exit codes: what ends with which, and that the message says what to do.
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TINY_CONFIG, temporaryFolder, tinyTensors, writeCheckpoint } from "../checkpoint-writer.js";
import { alteredStoryteller, alterJson, writeHollowWeights } from "./models.js";
import { bash, quipu } from "./run-cli.js";

const dir = temporaryFolder();

type Case = [what: string, args: string[], message: string | RegExp];

describe("0: done", () => {
  test.concurrent.each([["--help"], ["-h"], ["--version"], ["-V"]])("%s", async (flag) => {
    const { status, stdout, stderr } = await quipu([flag]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(flag.toLowerCase().includes("v") ? /^\d+\.\d+\.\d+\n$/ : /^Usage: quipu /);
  });
});

describe("2: usage", () => {
  test.concurrent.each<Case>([
    ["an unknown option", ["--temprature", "0"], "unknown option '--temprature'. Did you mean --temperature?"],
    ["letters swapped", ["--sede", "1"], "unknown option '--sede'. Did you mean --seed?"],
    ["an option cut short", ["--max-tok", "3"], "unknown option '--max-tok'. Did you mean --max-tokens?"],
    [
      "nothing like an option",
      ["--zebra"],
      "unknown option '--zebra'; 'quipu --help' lists the options. Words that begin with '-' come after --.",
    ],
    [
      "an option of another command",
      ["doctor", "--temp", "1"],
      "unknown option '--temp'; 'quipu doctor --help' lists the options.",
    ],
    [
      "an option before a command that has it not",
      ["--temp", "1", "tokens", "hi"],
      "--temp: 'quipu tokens' has no such option",
    ],
    ["an option of a later version", ["--lines"], "--lines is not in this version; 'quipu --help' lists the options."],
    [
      "a value that is none",
      ["--on-overflow", "slides", "hi"],
      /argument 'slides' is invalid. Expected error or truncate-head or truncate-middle or slide/,
    ],
    ["-q q5", ["-q", "q5", "hi"], /argument 'q5' is invalid. Expected none or q8 or q4\.$/],
    [
      "a later command",
      ["replay", "hello"],
      'replay: this command is not in this version. To use the word as a prompt: quipu -p "replay …"',
    ],
    ["a missing value", ["hi", "-n"], "option '-n, --max-tokens <n>' argument missing"],
    [
      "no number",
      ["--temp", "hot", "hi"],
      "option '--temp <x>' argument 'hot' is invalid. Expected a number from 0 to 100.",
    ],
    ["a number out of range", ["--top-p", "0", "hi"], /'0' is invalid. Expected a number above 0, at most 1\.$/],
    ["no whole number", ["-n", "1.5", "hi"], /'1.5' is invalid. Expected a whole number of at least -1\.$/],
    [
      "a seed that is too great",
      ["-s", "9007199254740993", "hi"],
      /is invalid. Expected a whole number from 0 to 9007199254740991\.$/,
    ],
    ["an unknown word", ["--kv-cache", "f8", "hi"], /'f8' is invalid. Expected f32 or f16 or int8\.$/],
    ["an empty stop text", ["--stop", "", "hi"], /Expected a text that is not empty\.$/],
    ["a bias without a number", ["--logit-bias", "5", "hi"], /Expected an id or a text, "=", and a number/],
    [
      "a bias of a text of several tokens",
      ["--logit-bias", "Once upon=1", "hi"],
      /^--logit-bias: "Once upon" is \d tokens/,
    ],
    [
      "a bias beyond the vocabulary",
      ["--logit-bias", "2048=1", "hi"],
      "--logit-bias: expected ids from 0 to 2047, or texts, got 2048",
    ],
    ["--raw and --chat", ["--raw", "--chat", "hi"], "option '--raw' cannot be used with option '--chat'"],
    [
      "--quiet and --verbose",
      ["--quiet", "--verbose", "hi"],
      "option '--quiet' cannot be used with option '--verbose'",
    ],
    ["--logprobs without --json", ["--logprobs", "3", "hi"], /^--logprobs shows in the events of --json/],
    ["an option of --benchmark without it", ["--format", "csv", "hi"], /^--format is an option of --benchmark/],
    ["a prompt for --benchmark", ["--benchmark", "hi"], /^--benchmark makes its own prompt/],
    ["a chat template that is not there", ["--chat", "hi"], /^storyteller has no chat template/],
    [
      "a system message without a template",
      ["--system", "x", "--raw", "hi"],
      /^--system: has no place in a raw prompt/,
    ],
    [
      "more context than the model has",
      ["-c", "513", "hi"],
      /^--ctx-size: expected a whole number from 2 to 512, as the model has, got 513/,
    ],
    ["words for doctor", ["doctor", "now"], "too many arguments for 'doctor'. Expected 0 arguments but got 1."],
    ["ids that are none", ["tokens", "--decode", "12 x"], /expected ids with spaces or commas between them, got "x"/],
    ["ids beyond the vocabulary", ["tokens", "--decode", "99999"], /ids: expected ids from 0 to 2047, got 99999/],
  ])("%s", async (_, args, message) => {
    await expectFailure(args, 2, message);
  });
});

describe("3: the model cannot be used", () => {
  const altered = (name: string, config = {}) => alteredStoryteller(join(dir, name), config);
  const tiny = (name: string, change?: (tensors: ReturnType<typeof tinyTensors>) => void) => {
    const config = { ...TINY_CONFIG, vocab_size: 2048, eos_token_id: 2047 };
    const tensors = tinyTensors(config);
    change?.(tensors);
    const folder = altered(name);
    rmSync(join(folder, "model.safetensors"));
    writeCheckpoint(folder, { config, tensors });
    return folder;
  };
  const truncated = tiny("truncated");
  truncateSync(join(truncated, "model.safetensors"), 3000);
  const unreadable = altered("config");
  writeFileSync(join(unreadable, "config.json"), '{"model_type": ');
  const untokenized = altered("untokenized");
  for (const name of ["tokenizer.json", "tokenizer.model"]) rmSync(join(untokenized, name));
  const bare = altered("bare");
  rmSync(join(bare, "model.safetensors"));
  const badTemplate = altered("template");
  alterJson(join(badTemplate, "tokenizer_config.json"), { chat_template: "{% for %}" });

  test.concurrent.each<Case>([
    ["no such folder", ["-m", "/no/such/model", "hi"], /^\/no\/such\/model: no such folder, and no model of that name/],
    [
      "a file",
      ["-m", "package.json", "hi"],
      "package.json is a file: expected a folder with config.json and *.safetensors. Give its folder.",
    ],
    ["no weights", ["-m", bare, "hi"], /no model.safetensors, no model.safetensors.index.json/],
    ["no tokenizer", ["-m", untokenized, "hi"], /no tokenizer: expected tokenizer.json or tokenizer.model there/],
    ["a file that ends early", ["-m", truncated, "hi"], /model.safetensors.*Is the download complete\?/],
    ["JSON that is none", ["-m", unreadable, "hi"], /config.json.*not valid JSON/],
    [
      "another architecture",
      ["-m", altered("gpt", { architectures: ["GPT2LMHeadModel"], model_type: "gpt2" }), "hi"],
      /config.json.*gpt2/i,
    ],
    ["biases", ["-m", altered("biases", { attention_bias: true }), "hi"], /config.json: attention_bias/],
    [
      "a tensor of another shape: file, tensor, expected, got",
      ["-m", altered("shape", { num_key_value_heads: 3 }), "hi"],
      "model.layers.0.self_attn.k_proj.weight in model.safetensors: expected bf16 [96, 192], got [64, 192]. Is config.json from another checkpoint?",
    ],
    [
      "a missing tensor",
      ["-m", tiny("missing", (t) => delete t["model.layers.1.mlp.up_proj.weight"]), "hi"],
      /1 of 21 tensors are missing: model.layers.1.mlp.up_proj.weight/,
    ],
    ["a chat template that is none", ["-m", badTemplate, "hi"], /the chat template cannot be parsed/],
    ["a NaN among the logits", ["-m", tiny("nan", (t) => t["model.norm.weight"]!.data.fill(0xff)), "hi"], /NaN/],
    ["what inspect finds too", ["inspect", truncated], /model.safetensors.*Is the download complete\?/],
    ["what tokens finds too", ["tokens", "-m", untokenized, "hi"], /no tokenizer/],
  ])("%s", async (_, args, message) => {
    await expectFailure(args, 3, message);
  });
});

describe("4: the prompt does not fit the context", () => {
  const prompt = "Once upon a time there was a dog. ".repeat(60);

  test("the message has the counts and the way out", async () => {
    await expectFailure(
      [prompt],
      4,
      "the prompt has 601 tokens, the context holds 512 and needs room for at least one more. Shorten it, or have its head or its middle left out (--ctx-size, --on-overflow truncate-head, truncate-middle or slide).",
    );
  });

  test("where the model supports more, that is a way out too", async () => {
    await expectFailure(
      ["-c", "100", prompt],
      4,
      /Shorten it, take a longer context \(the model supports 512\), or have/,
    );
  });

  test.concurrent.each(["truncate-head", "truncate-middle"])("--on-overflow %s is one", async (way) => {
    const { status, stdout, stderr } = await quipu([prompt, "--on-overflow", way, "-n", "8", "-t", "1", "--verbose"]);
    expect({ status, written: stdout !== "" }).toEqual({ status: 0, written: true });
    expect(stderr).toMatch(/^prompt {4}504 tokens \(97 left out\), raw$/m);
    const dropped = "quipu: 97 tokens of the prompt are left out, as the context is full\n";
    expect(stderr).toContain(dropped);
    const args = [prompt, "--on-overflow", way, "-n", "1", "-t", "1"];
    const [said, quiet] = await Promise.all([quipu(args), quipu([...args, "--quiet"])]);
    expect([said.stderr, quiet.stderr]).toEqual([dropped.replace("97", "90"), ""]);
  });
});

describe("5: out of memory", () => {
  /** One layer whose cache takes a mebibyte a position: 16 TiB at full context, and whatever fits is said. */
  const wide = join(dir, "wide");
  const config = {
    ...TINY_CONFIG,
    num_hidden_layers: 1,
    num_attention_heads: 128,
    num_key_value_heads: 128,
    head_dim: 1024,
    max_position_embeddings: 2 ** 24,
    vocab_size: 2048,
    eos_token_id: 2047,
  };
  alteredStoryteller(wide);
  writeHollowWeights(wide, config);
  alterJson(join(wide, "config.json"), config);

  test("says what a context needs, what there is and what fits; and that does fit", async () => {
    const { status, stdout, stderr } = await quipu(["-m", wide, "-c", "16777216", "--kv-cache", "f32", "hi"]);
    expect({ status, stdout }).toEqual({ status: 5, stdout: "" });
    const said =
      /^quipu: a f32 cache of 16777216 positions needs 16777216 MiB, (\d+) MiB are free\. What fits: --ctx-size (\d+)\.\n$/.exec(
        stderr,
      );
    expect(said).not.toBeNull();
    const [, free, fits] = said!.map(Number);
    expect(fits! / free!).toBeLessThan(0.9); // what else a load takes is less than an eighth of it
    expect(fits! / free!).toBeGreaterThan(0.78);
    const fitting = await quipu(["-m", wide, "-c", String(fits), "--kv-cache", "f32", "hi", "-n", "1", "-t", "1"]);
    expect(fitting).toMatchObject({ status: 0, stderr: "" });
  });

  test("weights that are read whole must fit", async () => {
    const huge = { ...config, head_dim: 16, hidden_size: 2 ** 14, vocab_size: 2 ** 24 }; // an embedding of 1 TiB
    const folder = alteredStoryteller(join(dir, "huge"));
    writeHollowWeights(folder, huge);
    alterJson(join(folder, "config.json"), huge);
    const message = /^reading the weights whole needs \d{7} MiB, \d+ MiB are free\. What fits: without --no-mmap\.$/;
    await expectFailure(["-m", folder, "--no-mmap", "hi"], 5, message);
  });

  test("says so of weights that the address space has no room for", async () => {
    const folder = join(dir, "narrow");
    alteredStoryteller(folder);
    const long = { ...config, head_dim: 16, hidden_size: 2 ** 14, vocab_size: 2 ** 20 }; // an embedding of 64 GiB
    writeHollowWeights(folder, long);
    alterJson(join(folder, "config.json"), long);
    const { stderr } = await bash(`ulimit -v 9000000; quipu -m "${folder}" hi; echo "status $?" >&2`);
    expect(stderr).toMatch(
      /^quipu: \S+: mapping it needs \d+ bytes of address space, which the system refused\. No option by itself makes it fit\.\nstatus 5\n$/,
    );
  });

  test("names a smaller cache where that would do", async () => {
    const free = Number(/, (\d+) MiB are free/.exec((await quipu(["-m", wide, "-c", "16777216", "hi"])).stderr)![1]);
    const wanted = String(Math.floor(free * 1.5)); // of mebibytes in f32
    await expectFailure(
      ["-m", wide, "-c", wanted, "--kv-cache", "f32", "hi"],
      5,
      /\. What fits: --ctx-size \d+, or --kv-cache f16\.$/,
    );
  });
});

describe("6: device not available", () => {
  test.concurrent.each<Case>([
    [
      "--device cuda",
      ["--device", "cuda", "hi"],
      /^device cuda is not available: (.*quipu-cuda\.node does not exist\. Build it with `npm run build:cuda`.*|no NVIDIA driver answers.*) Use the device cpu \(--device\)\.$/,
    ],
    ["--device cuda:9", ["--device", "cuda:9", "hi"], /^device cuda:9 is not available.* \(--device\)\.$/],
    ["-ngl 99", ["-ngl", "99", "hi"], /^device cuda is not available.* Use the device cpu \(-ngl 0\)\.$/],
    ["a benchmark with -ngl", ["benchmark", "-ngl", "99"], /^device cuda is not available.* \(-ngl 0\)\.$/],
    ["--n-gpu-layers=1", ["--n-gpu-layers=1", "hi"], /device cuda is not available/],
    ["a benchmark", ["benchmark", "-d", "cuda"], /device cuda is not available/],
    ["a plan", ["plan", "-d", "cuda", "--no-speed"], /device cuda is not available/],
  ])("%s", async (_, args, message) => {
    await expectFailure(args, 6, message);
  });

  test("an instruction set that is not here", async () => {
    for (const args of [["hi"], ["doctor"]]) {
      const { status, stderr } = await quipu(args, { env: { QUIPU_CPU: "mmx" } });
      expect({ status, stderr }).toMatchObject({
        status: 6,
        stderr: expect.stringMatching(/no kernels "mmx" \(QUIPU_CPU\); it can run: scalar/),
      });
    }
  });

  test("-ngl 0 and --device auto are the CPU", async () => {
    for (const args of [
      ["-ngl", "0"],
      ["-d", "auto"],
      ["-d", "cpu"],
    ]) {
      expect(await quipu(["hi", "-n", "1", "-t", "1", ...args])).toMatchObject({ status: 0, stderr: "" });
    }
  });
});

describe("6: no addon", () => {
  test("QUIPU_ADDON names one that is not there", async () => {
    const { status, stderr } = await quipu(["hi"], { env: { QUIPU_ADDON: join(dir, "none.node") } });
    expect({ status, stderr }).toMatchObject({
      status: 6,
      stderr: expect.stringMatching(/^quipu: \S+none\.node, which QUIPU_ADDON names, does not exist\.\n$/),
    });
  });

  test("an addon that cannot be loaded says so", async () => {
    const garbage = join(dir, "garbage.node");
    writeFileSync(garbage, "no module");
    const { status, stderr } = await quipu(["hi"], { env: { QUIPU_ADDON: garbage } });
    expect({ status, stderr }).toMatchObject({ status: 6, stderr: expect.stringMatching(/cannot be loaded/) });
  });
});

async function expectFailure(args: readonly string[], status: number, message: string | RegExp): Promise<void> {
  const result = await quipu(args);
  expect(result).toMatchObject({ status, stdout: "" });
  const [, said] = /^quipu: (.*)\n$/.exec(result.stderr) ?? []; // one line
  if (typeof message === "string") expect(said).toBe(message);
  else expect(said).toMatch(message);
}
