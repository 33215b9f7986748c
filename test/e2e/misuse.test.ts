// What a new user tries: words and options that every command line has, and input that is not what it should be.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loadTokenizer } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { alteredStoryteller, alterJson } from "./models.js";
import { bash, quipu } from "./run-cli.js";

const dir = temporaryFolder();
const SHORT = ["-s", "1", "-n", "4", "-t", "1"];

describe("help and version are commands where nothing else stands beside them", () => {
  test.concurrent.each<[string[], string[]]>([
    [["help"], ["--help"]],
    [["help", "help"], ["--help"]],
    [
      ["help", "tokens"],
      ["tokens", "--help"],
    ],
    [
      ["help", "inspect", "prompt"],
      ["inspect", "prompt", "--help"],
    ],
    [
      ["help", "tokenizer", "train"],
      ["tokenizer", "train", "--help"],
    ],
    [["tokenizer"], ["tokenizer", "--help"]],
    [["version"], ["--version"]],
  ])("%j prints what %j does", async (words, options) => {
    const [one, other] = await Promise.all([quipu(words), quipu(options)]);
    expect(one).toEqual(other);
    expect(one).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(/\S\n$/) });
    expect(one.stdout).not.toContain("outputHelp");
  });

  test.concurrent.each([["help me"], ["version of it"]])("%j is a prompt", async (prompt) => {
    const [words, option] = await Promise.all([
      quipu([...SHORT, ...prompt.split(" ")]),
      quipu([...SHORT, "-p", prompt]),
    ]);
    expect(words).toMatchObject({ status: 0, stderr: "" });
    expect(words).toEqual(option);
  });

  test("a later command is named as one, whatever stands beside it", async () => {
    for (const args of [
      ["help", "replay"],
      ["replay", "--foo"],
      ["replay", "--help"],
    ]) {
      expect(await quipu(args)).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^quipu: replay: this command is not/),
      });
    }
  });
});

describe("usage, exit status 2", () => {
  test.concurrent.each<[string, string[], string | RegExp]>([
    ["an unknown command", ["tokenizer", "trian"], "unknown command 'tokenizer trian'. Did you mean train?"],
    ["an unknown option of tokens", ["tokens", "--shw", "x"], "unknown option '--shw'. Did you mean --show?"],
    ["of next", ["next", "--tpo", "3", "x"], "unknown option '--tpo'. Did you mean --top?"],
    ["of inspect", ["inspect", "--tensor"], "unknown option '--tensor'. Did you mean --tensors?"],
    ["of inspect prompt", ["inspect", "prompt", "--specal"], "unknown option '--specal'. Did you mean --special?"],
    ["of doctor", ["doctor", "--jsn"], "unknown option '--jsn'. Did you mean --json?"],
    ["of benchmark", ["benchmark", "--repeat", "3"], "unknown option '--repeat'. Did you mean --repeats?"],
    [
      "of tokenizer train",
      ["tokenizer", "train", "--vocabsize", "9", "x"],
      "unknown option '--vocabsize'. Did you mean --vocab-size?",
    ],
    ["no size of a vocabulary", ["tokenizer", "train", "LICENSE"], /^--vocab-size: how many ids/],
    ["two prompts", ["-p", "a", "-p", "b"], /'b' is invalid. It is given twice, first as "a"\.$/],
    ["two files", ["-f", "LICENSE", "-f", "README.md"], /It is given twice/],
    ["a folder for a prompt", ["-f", "docs"], /^-f docs: cannot be read: EISDIR/],
    ["a prompt without end", ["-f", "/dev/zero"], "/dev/zero: more than 256 MiB, which no model's context holds"],
    ["an empty path", ["-f", ""], "-f: expected a path, got an empty text"],
    ["-f - without stdin", ["-f", "-", "--no-stdin"], "-f - reads stdin, and --no-stdin forbids it"],
    ["an empty model", ["-m", "", "x"], '--model: expected a path or a file URL, got ""'],
    ["an empty number", ["--temp=", "x"], /argument '' is invalid. Expected a number from 0 to 100\.$/],
    [
      "a number beyond all",
      ["-n", "99999999999999999999", "x"],
      /Expected a whole number from -1 to 9007199254740991\.$/,
    ],
    ["a stop id beyond the vocabulary", ["--stop-id", "2048", "x"], "--stop-id: expected ids from 0 to 2047, got 2048"],
    [
      "a stop id that is no special token",
      ["--stop-id", "the", "x"],
      '--stop-id: expected a special token (<|begin_of_text|>, <|end_of_text|>), got "the"',
    ],
    ["--special with --chat", ["--special", "--chat", "x"], "option '--special' cannot be used with option '--chat'"],
  ])("%s", async (_, args, message) => {
    const { status, stdout, stderr } = await quipu(args);
    const [, said] = /^quipu: (.*)\n$/.exec(stderr) ?? [];
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
  });

  test("bytes that are no UTF-8 in any argument, named by the option before them", async () => {
    for (const option of ["--system", "--stop", "-m", "-p"]) {
      const { status, stderr } = await bash(`quipu ${option} $'ab\\xff'`);
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: `quipu: the argument after ${option}: not valid UTF-8 at byte 2 (0xff). Convert it first, for example with iconv.\n`,
      });
    }
  });
});

test("a GGUF file is named as one, by its first bytes", async () => {
  const file = join(dir, "weights");
  writeFileSync(file, "GGUF\x03\0\0\0");
  expect(await quipu(["-m", file, "x"])).toMatchObject({
    status: 3,
    stderr: `quipu: ${file} is a GGUF file. quipu reads safetensors: give the folder of the checkpoint that it was made from (on a hub, usually the repository of the same name without GGUF).\n`,
  });
});

describe("what works", () => {
  test("-f - reads stdin, as -p - does", async () => {
    const input = "Once upon a time";
    const [file, prompt, piped] = await Promise.all(
      [["-f", "-"], ["-p", "-"], []].map((args) => quipu([...SHORT, ...args], { input })),
    );
    expect(file).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(/./) });
    expect([prompt, piped]).toEqual([file, file]);
    const [shown, plain] = await Promise.all([
      quipu(["inspect", "prompt", "-f", "-"], { input }),
      quipu(["inspect", "prompt", input]),
    ]);
    expect(shown).toEqual(plain);
  });

  test.concurrent.each([
    ["a negative value", ["--presence-penalty", "-1", "hi"]],
    ["words after --", ["--", "-n", "--temp"]],
    ["a file URL of a model", ["-m", pathToFileURL("models/storyteller").href, "hi"]],
  ])("%s is understood", async (_, args) => {
    expect(await quipu([...SHORT, ...args])).toMatchObject({ status: 0, stderr: "" });
  });

  test.each([
    ["a closed stdin", "quipu hi -n 2 -t 1 <&-", 0],
    ["no prompt and a closed stdin", "quipu -t 1 <&-", 2],
    ["a closed stdout", "quipu hi -n 2 -t 1 >&-", 0],
    ["a closed stderr", "quipu hi -n 2 -t 1 2>&-", 0],
    ["a full disk", "quipu hi -n 2 -t 1 >/dev/full", 1],
    ["a full disk for --help", "quipu help >/dev/full", 1],
    ["a full disk for stderr", "quipu hi -n 2 -t 1 --verbose 2>/dev/full", 0],
    ["a FIFO", "quipu -f <(echo hi) -n 2 -t 1 </dev/null", 0],
    ["a folder for stdin", "quipu -n 2 -t 1 < docs", 2],
  ])("%s", async (_, script, status) => {
    expect((await bash(script)).status).toBe(status);
  });
});

describe("--newline", () => {
  test.concurrent.each<[string, string[]]>([
    ["after a text", []],
    ["after no text", ["-n", "0"]],
    ["in place of several", ["--logit-bias", "\n=inf"]],
    ["after the prompt", ["--echo", "-n", "0"]],
  ])("one %s", async (_, args) => {
    const [plain, ended] = await Promise.all([
      quipu([...SHORT, "Once", ...args]),
      quipu([...SHORT, "Once", "--newline", ...args]),
    ]);
    expect(ended).toEqual({ ...plain, stdout: plain.stdout.replace(/\n*$/, "\n") });
  });
});

describe("--special", () => {
  const chat = alteredStoryteller(join(dir, "chat"));
  alterJson(join(chat, "tokenizer_config.json"), { chat_template: "{{ messages[0].content }}" });
  const idsOf = async (...args: string[]) => {
    const { status, stdout, stderr } = await quipu(["inspect", "prompt", "--json", ...args]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout).tokens.map(({ id }: { id: number }) => id);
  };

  test("parses control tokens of a raw prompt, and begin-of-text stands first once", async () => {
    const text = "<|begin_of_text|>Once<|end_of_text|>";
    const [once] = (await loadTokenizer("models/storyteller")).encode("Once");
    expect(await idsOf("--special", text)).toEqual([2046, once, 2047]);
    expect(await idsOf("--special", "Once<|end_of_text|>")).toEqual([2046, once, 2047]);
    expect((await idsOf(text)).length).toBeGreaterThan(10);
    expect(await idsOf("--special", "--raw", "-m", chat, text)).toEqual([2046, once, 2047]);
  });

  test.each([[[]], [["next"]], [["inspect", "prompt"]]])(
    "is refused where the prompt goes through the template: quipu %j",
    async (command) => {
      const { status, stderr } = await quipu([...command, "-m", chat, "--special", "x"]);
      expect({ status, stderr }).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^quipu: --special: control tokens are parsed in raw prompts/),
      });
    },
  );

  test("says what next says with the ids", async () => {
    const [parsed, ids] = await Promise.all([
      quipu(["next", "--special", "Once<|begin_of_text|>"]),
      quipu(["next", "Once<|begin_of_text|>"]),
    ]);
    expect(parsed.status).toBe(0);
    expect(parsed.stdout).not.toBe(ids.stdout);
  });
});
