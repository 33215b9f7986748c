// What the options of `quipu [prompt…]` do to a completion.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { testWhere } from "../where.js";
import { alteredStoryteller, alterJson } from "./models.js";
import { bash, eventsOf, quipu } from "./run-cli.js";

const PROMPT = "Once upon a time";
const dir = temporaryFolder();

/** stdout of a run that must succeed in silence. */
async function text(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await quipu(["-t", "1", ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

const references = new Map<string, Promise<string>>();
/** Like {@link text}, run once for all tests that compare with it. */
function reference(...args: string[]): Promise<string> {
  const key = JSON.stringify(args);
  const known = references.get(key) ?? text(...args);
  references.set(key, known);
  return known;
}

async function events(...args: string[]) {
  const all = eventsOf(await text(...args, "--json"));
  return { start: all[0], tokens: all.slice(1, -1), end: all.at(-1) };
}

/** The lines of --verbose by their first word; the second "prompt" is the timing. */
async function verbose(...args: string[]): Promise<Record<string, string>> {
  const { status, stderr } = await quipu(["-t", "1", ...args, "--verbose"]);
  expect(status).toBe(0);
  const lines = stderr.split("\n").filter((line) => line !== "");
  return Object.fromEntries(
    lines.map((line, i) => [i > 7 ? `end ${line.split(" ")[0]}` : line.split(" ")[0], line.slice(10)]),
  );
}

const SHORT = [PROMPT, "-s", "1", "-n", "12"];
const GREEDY = [PROMPT, "--temp", "0", "-n", "12"];

describe("the same completion", () => {
  test.concurrent.each<[string, string[], string[]]>([
    ["options before the words", SHORT, ["-s", "1", "-n", "12", PROMPT]],
    ["= between option and value", SHORT, [PROMPT, "--seed=1", "--max-tokens=12"]],
    ["--predict", SHORT, [PROMPT, "-s", "1", "--predict", "12"]],
    ["--n-predict", SHORT, [PROMPT, "-s", "1", "--n-predict", "12"]],
    ["--max_tokens", SHORT, [PROMPT, "-s", "1", "--max_tokens=12"]],
    ["--temperature", GREEDY, [PROMPT, "--temperature", "0", "-n", "12"]],
    ["-n12", SHORT, [PROMPT, "-s1", "-n12"]],
    [
      "an alias as the value of an option",
      ["-p", "--predict", "-s", "1", "-n", "12"],
      ["-s", "1", "-n", "12", "--", "--predict"],
    ],
    ["the embedded model by its name", SHORT, [...SHORT, "-m", "storyteller"]],
    ["the embedded model by its folder", SHORT, [...SHORT, "--model", "models/storyteller"]],
    ["two threads", SHORT, [...SHORT, "-t", "2"]],
    ["three threads", SHORT, [...SHORT, "--threads", "3"]],
    ["the prompt a token at a time", SHORT, [...SHORT, "-b", "1"]],
    ["the prompt in steps of three", SHORT, [...SHORT, "--batch-size", "3"]],
    ["weights that are read, not mapped", SHORT, [...SHORT, "--no-mmap"]],
    ["a smaller context that is large enough", SHORT, [...SHORT, "-c", "40"]],
    ["--ctx", SHORT, [...SHORT, "--ctx", "40"]],
    ["--device cpu", SHORT, [...SHORT, "-d", "cpu"]],
    ["-q none", SHORT, [...SHORT, "-q", "none"]],
    ["an f16 cache, the default", SHORT, [...SHORT, "--kv-cache", "f16"]],
    ["greedy by --top-k 1", GREEDY, [PROMPT, "--top-k", "1", "-n", "12"]],
    ["greedy by a tiny --top-p", GREEDY, [PROMPT, "--top-p", "1e-9", "-n", "12"]],
    ["greedy by --min-p 1", GREEDY, [PROMPT, "--min-p", "1", "-n", "12"]],
    [
      "penalties that do nothing",
      SHORT,
      [...SHORT, "--repeat-penalty", "1", "--presence-penalty", "0", "--frequency-penalty", "0"],
    ],
    ["a bias on an id that is never sampled", SHORT, [...SHORT, "--logit-bias", "5=-inf"]],
  ])("%s", async (_, some, others) => {
    const [first, second] = await Promise.all([reference(...some), text(...others)]);
    expect(second).toBe(first);
    expect(first).not.toBe("");
  });

  test("every instruction set", async () => {
    const { stdout, stderr } = await quipu(["-t", "1", ...SHORT], { env: { QUIPU_CPU: "scalar" } });
    expect({ stdout, stderr }).toEqual({ stdout: await reference(...SHORT), stderr: "" });
  });
});

describe("another completion", () => {
  test.concurrent.each<[string, string[]]>([
    ["another seed", ["-s", "2"]],
    ["temperature", ["--temp", "2"]],
    ["the word that is banned", ["--logit-bias", ",=-inf"]],
    ["a repeat penalty", ["--repeat-penalty", "2"]],
    ["a presence penalty", ["--presence-penalty", "20"]],
    ["a frequency penalty", ["--frequency-penalty", "20"]],
  ])("by %s", async (_, options) => {
    const length = ["-n", "60"];
    const [first, second] = await Promise.all([reference(...SHORT, ...length), text(...SHORT, ...length, ...options)]);
    expect(second).not.toBe(first);
  });
});

describe("sampling", () => {
  test("a seed is drawn, told by --verbose, and repeats the run", async () => {
    const run = async () => {
      const { stdout, stderr } = await quipu([PROMPT, "-n", "40", "-t", "1", "--verbose"]);
      return { stdout, seed: /seed (\d+)$/m.exec(stderr)![1]! };
    };
    const [a, b] = [await run(), await run()];
    expect(a.seed).not.toBe(b.seed);
    expect(a.stdout).not.toBe(b.stdout);
    expect(await text(PROMPT, "-n", "40", "-s", a.seed)).toBe(a.stdout);
  });

  test("a bias of +inf by text, by id, several", async () => {
    expect(await text("hi", "-n", "3", "--logit-bias", " dog=inf")).toBe(" dog dog dog");
    const { tokens } = await events("hi", "-n", "2", "--logit-bias", "11=inf", "--logit-bias", " dog=-inf");
    expect(tokens.map(({ id }) => id)).toEqual([11, 11]);
  });

  test("a great presence penalty lets no token come twice", async () => {
    const { tokens } = await events(PROMPT, "-n", "60", "--temp", "0", "--presence-penalty", "100", "--ignore-eos");
    expect(new Set(tokens.map(({ id }) => id)).size).toBe(60);
  });

  test("the model's own defaults come first, then ours; options win over both", async () => {
    const greedy = alteredStoryteller(join(dir, "greedy"), {}, { do_sample: false, max_new_tokens: 5 });
    const bare = alteredStoryteller(
      join(dir, "bare"),
      {},
      { do_sample: undefined, temperature: undefined, top_p: undefined, max_new_tokens: undefined },
    );
    const [own, ours, asked] = await Promise.all([
      events("hi", "-m", greedy),
      events("hi", "-m", bare, "-n", "256"),
      events("hi", "-m", greedy, "-n", "2", "--temp", "0.5"),
    ]);
    expect(own.start.settings).toMatchObject({ temperature: 0, maxTokens: 5, topP: 0.95 });
    expect(ours.start.settings).toMatchObject({ temperature: 0.8, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 });
    expect(asked.start.settings).toMatchObject({ temperature: 0.5, maxTokens: 2 });
    expect((await verbose("hi", "-m", bare, "--stop", " ")).limits).toMatch(/^max-tokens 256, seed \d+$/);
  });
});

describe("the end", () => {
  test.concurrent.each<[string, string[], string, number]>([
    ["--max-tokens", ["-n", "7"], "length", 7],
    ["no tokens at all", ["-n", "0"], "length", 0],
    ["the context", ["-n", "-1", "--ignore-eos", "-c", "64"], "context", 59],
    ["the context, with more tokens asked for", ["-n", "1000", "--ignore-eos", "-c", "64"], "context", 59],
    ["end-of-sequence", ["--logit-bias", "2047=inf"], "eos", 0],
    ["--stop-id by id", ["--logit-bias", "2046=inf", "--stop-id", "2046"], "stop", 0],
    [
      "--stop-id by text, among others and with --ignore-eos",
      ["--logit-bias", "2046=inf", "--stop-id", "3", "--stop-id", "<|begin_of_text|>", "--ignore-eos"],
      "stop",
      0,
    ],
    ["not end-of-sequence with --ignore-eos", ["--logit-bias", "2047=inf", "--ignore-eos", "-n", "3"], "length", 3],
  ])("by %s", async (_, options, reason, completionTokens) => {
    const { end, tokens } = await events(PROMPT, "-s", "1", ...options);
    expect(end).toMatchObject({ reason, usage: { promptTokens: 5, completionTokens } });
    expect(tokens).toHaveLength(completionTokens);
  });
});

describe("--json", () => {
  test("has the documented fields", async () => {
    const { start, tokens, end } = await events(...SHORT, "--temp", "0.5");
    expect(start).toEqual({
      type: "start",
      promptTokens: 5,
      droppedTokens: 0,
      droppedMessages: 0,
      warnings: [],
      seed: 1,
      settings: {
        ...{ maxTokens: 12, temperature: 0.5, topK: 0, topP: 0.95, minP: 0, repeatPenalty: 1 },
        ...{ presencePenalty: 0, frequencyPenalty: 0, stop: [], stopIds: [], ignoreEos: false, seed: 1 },
      },
    });
    expect(tokens).toHaveLength(12);
    for (const token of tokens) {
      expect(token).toEqual({
        type: "token",
        id: expect.any(Number),
        text: expect.any(String),
        logprob: expect.any(Number),
      });
      expect(token.logprob).toBeLessThanOrEqual(0);
    }
    const { timings, ...rest } = end;
    const usage = { promptTokens: 5, completionTokens: 12, cachedTokens: 0 };
    expect(rest).toEqual({ type: "end", text: "", reason: "length", usage, seed: 1 });
    const names = ["firstTokenMs", "promptMs", "promptTokensPerSecond", "decodeMs", "decodeTokensPerSecond"];
    expect(Object.keys(timings)).toEqual(names);
    for (const value of Object.values(timings)) expect(value).toBeGreaterThan(0);
  });

  test("--logprobs adds the best alternatives of every token, best first", async () => {
    const { tokens } = await events(...GREEDY, "--logprobs", "4");
    for (const { id, logprob, top } of tokens) {
      expect(top).toHaveLength(4);
      expect(top[0]).toMatchObject({ id, logprob });
      const logprobs = top.map((entry: { logprob: number }) => entry.logprob);
      expect(logprobs).toEqual([...logprobs].sort((a, b) => b - a));
      expect(logprobs.map(Math.exp).reduce((a: number, b: number) => a + b)).toBeLessThanOrEqual(1.000001);
    }
    expect((await events(...GREEDY, "--logprobs", "0")).tokens[0]).not.toHaveProperty("top");
  });

  test("--echo adds the prompt to the start event, --verbose keeps to stderr", async () => {
    const { status, stdout, stderr } = await quipu([...SHORT, "-t", "1", "--json", "--echo", "--verbose"]);
    expect(status).toBe(0);
    expect(eventsOf(stdout)[0]).toMatchObject({ type: "start", prompt: PROMPT });
    expect(stderr).toContain("end       length, seed 1");
  });
});

describe("output", () => {
  test("--echo puts the prompt before the completion", async () => {
    const [plain, echo] = await Promise.all([reference(...SHORT), text(...SHORT, "--echo")]);
    expect(echo).toBe(PROMPT + plain);
  });

  test.each([
    ["none", "4.5"],
    ["q8", "2.4"],
    ["q4", "1.4"],
  ])("-q %s has weights of %s MiB", async (quantize, size) => {
    const said = await verbose(...SHORT, "-q", quantize);
    expect(said.model).toMatch(new RegExp(`weights ${size} MiB$`));
    expect(said["end generated"]).toMatch(/^12 tokens/);
  });

  test("--verbose says what is in force and how long it took", async () => {
    const lines = await verbose(...SHORT, "--kv-cache", "int8", "-c", "100", "--top-k", "40", "--min-p", "0.05");
    expect(lines).toEqual({
      model: expect.stringMatching(/models\/storyteller, 2361408 parameters, weights 4.5 MiB$/),
      device: expect.stringMatching(/^cpu (scalar|avx2|avx-vnni|avx512|avx512-vnni), 1 thread$/),
      context: expect.stringMatching(/^100 of 512 positions that the model supports, int8 cache of [\d.]+ KiB$/),
      prompt: "5 tokens, raw",
      sampling: "temp 0.7, top-k 40, top-p 0.95, min-p 0.05, repeat 1, presence 0, frequency 0",
      limits: "max-tokens 12, seed 1",
      stops: '2047 "<|end_of_text|>" (config.json, generation_config.json, tokenizer_config.json)',
      end: "length, seed 1",
      "end prompt": expect.stringMatching(/^5 tokens in [\d.]+ ms, [\d.]+ tokens\/s$/),
      "end generated": expect.stringMatching(/^12 tokens, [\d.]+ tokens\/s after the first$/),
    });
  });

  test.each(["f32", "f16", "int8"])("--kv-cache %s is used, and the text stays sensible", async (type) => {
    expect((await verbose(...GREEDY, "--kv-cache", type)).context).toContain(`${type} cache`);
    expect(await text(...GREEDY, "--kv-cache", type)).toMatch(/^, there was a /);
  });
});

describe("the chat template", () => {
  const chat = alteredStoryteller(join(dir, "chat"));
  alterJson(join(chat, "tokenizer_config.json"), {
    chat_template:
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
  });
  const CHAT = ["-m", chat, "-s", "1", "-n", "12"];

  test.concurrent.each<[string, string[], string]>([
    ["is used where the model has one", ["Hi there"], "user: Hi there\nassistant:"],
    ["by --chat", ["--chat", "Hi there"], "user: Hi there\nassistant:"],
    ["with --system", ["--system", "Be kind.", "Hi there"], "system: Be kind.\nuser: Hi there\nassistant:"],
    ["with -sys", ["-sys", "Be kind.", "Hi there"], "system: Be kind.\nuser: Hi there\nassistant:"],
    ["not with --raw", ["--raw", "Hi there"], "Hi there"],
  ])("%s", async (_, args, rendered) => {
    const [shown, expected, inspected] = await Promise.all([
      text(...CHAT, ...args),
      text(...CHAT, "--raw", rendered),
      quipu(["inspect", "prompt", "-m", chat, ...args, "--json"]),
    ]);
    expect(shown).toBe(expected);
    const { text: prompt, tokens, template } = JSON.parse(inspected.stdout);
    expect({ prompt, template }).toEqual({ prompt: `<|begin_of_text|>${rendered}`, template: rendered !== "Hi there" });
    expect(tokens.filter(({ id }: { id: number }) => id === 2046)).toHaveLength(1); // BOS once
  });

  test.concurrent.each<[string, string, string]>([
    ["a line of echo", "Hi\n", "user: Hi\nassistant:"],
    ["a line that ends as on Windows", "Hi\r\n", "user: Hi\nassistant:"],
    ["an empty line, which stays", "Hi\n\n", "user: Hi\n\nassistant:"],
  ])("takes %s without its last newline", async (_, input, rendered) => {
    const [{ stdout }, expected, inspected] = await Promise.all([
      quipu([...CHAT, "-t", "1"], { input }),
      text(...CHAT, "--raw", rendered),
      quipu(["inspect", "prompt", "-m", chat, "--json"], { input }),
    ]);
    expect(stdout).toBe(expected);
    expect(JSON.parse(inspected.stdout).text).toBe(`<|begin_of_text|>${rendered}`);
  });

  test("takes a piped text and the argument as one message; control tokens in it stay text", async () => {
    const { stdout } = await quipu(["inspect", "prompt", "-m", chat, "Who?", "--json"], { input: "<|end_of_text|>" });
    const { text: prompt, tokens } = JSON.parse(stdout);
    expect(prompt).toBe("<|begin_of_text|>user: <|end_of_text|>\nWho?\nassistant:");
    expect(tokens.some(({ id }: { id: number }) => id === 2047)).toBe(false);
  });
});

describe("-t", () => {
  const deviceOf = (stderr: string) => /^device +(.*)$/m.exec(stderr)?.[1];
  const args = ["Once upon a time", "-n", "1", "-s", "1", "--verbose", "-t"];
  const hasTaskset = spawnSync("taskset", ["-V"]).status === 0;

  test("above the processors is cut to them, which --verbose says", async () => {
    const { status, stderr } = await quipu([...args, "1000"]);
    expect(status).toBe(0);
    expect(deviceOf(stderr)).toMatch(/^cpu [\w-]+, (\d+) threads? \(1000 asked for, \1 processors?\)$/);
  });

  testWhere(hasTaskset, "affinity: no taskset (util-linux)")(
    "the processors are those of the process's affinity",
    async () => {
      const quoted = args.map((arg) => `"${arg}"`).join(" ");
      const { status, stderr } = await bash(
        `first=$(taskset -pc $$ | sed 's/.*: //; s/[,-].*//'); taskset -c $first "${process.execPath}" bin/quipu.js ${quoted} 2`,
      );
      expect(status).toBe(0);
      expect(deviceOf(stderr)).toMatch(/^cpu [\w-]+, 1 thread \(2 asked for, 1 processor\)$/);
    },
  );
});
