// quipu tokenizer train, as a user runs it.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BIN = resolve("bin/quipu.js");
const TEXT = "the cat and the hat, the bat and the rat\n";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-train-e2e-"));
  writeFileSync(join(dir, "text.txt"), TEXT.repeat(3));
});
afterEach(() => rmSync(dir, { recursive: true }));

function quipu(args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { cwd: dir, input, encoding: "utf8" });
  return { status, stdout, stderr };
}
const train = (...args: string[]) => quipu(["tokenizer", "train", ...args]);

test("writes three files that the tokens command can use, and says what it did", () => {
  const { status, stdout, stderr } = train("--vocab-size", "270", "text.txt", "-o", "out/tokenizer.model");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toBe(`read        1 text, ${TEXT.length * 3} B, 36 pieces, 9 distinct
vocabulary  270 tokens: 256 bytes, 12 merges, 2 special
written     out/tokenizer.model, with tokenizer.json and tokenizer_config.json in out
`);
  expect(readdirSync(join(dir, "out")).sort()).toEqual(["tokenizer.json", "tokenizer.model", "tokenizer_config.json"]);
  const ids = (...args: string[]) =>
    quipu(["tokens", "--ids", "--bos", "--special", ...args, "the hat<|end_of_text|>"]);
  expect(ids("-m", "out").stdout).toMatch(/^268 .* 269\n$/);
  rmSync(join(dir, "out", "tokenizer.json"));
  expect(ids("-m", "out").stdout).toMatch(/^268 .* 269\n$/);
});

test("--json, --special, stdin", () => {
  const args = ["--vocab-size", "300", "--special", "<s>", "--special", "</s>", "--bos", "<s>", "--json", "-"];
  const { status, stdout, stderr } = quipu(["tokenizer", "train", ...args], "abab abab");
  expect(status).toBe(0);
  expect(stderr).toBe(
    "quipu: stopped at 261 of 300 tokens: no pair is left to merge. More text, or a smaller --vocab-size.\n",
  );
  expect(JSON.parse(stdout)).toEqual({
    output: "tokenizer.model",
    vocabSize: 261,
    merges: 3,
    specialTokens: { "<s>": 259, "</s>": 260 },
    pattern: "llama3",
    documents: 1,
    bytes: 9,
    pieces: 2,
    distinctPieces: 2,
  });
  const config = JSON.parse(readFileSync(join(dir, "tokenizer_config.json"), "utf8"));
  expect(config.bos_token).toBe("<s>");
});

test("--special none and llama3", () => {
  const special = (name: string) => {
    const { stdout } = train("--vocab-size", "600", "--special", name, "--json", "text.txt", "--force");
    return Object.keys(JSON.parse(stdout).specialTokens);
  };
  expect(special("none")).toEqual([]);
  expect(special("llama3")).toHaveLength(256);
});

test("does not overwrite without --force, whichever file it is", () => {
  const args = ["--vocab-size", "260", "text.txt"];
  expect(train(...args).status).toBe(0);
  const before = readFileSync(join(dir, "tokenizer.model"), "utf8");
  writeFileSync(join(dir, "text.txt"), "something else");
  expect(train(...args)).toMatchObject({
    status: 2,
    stdout: "",
    stderr: expect.stringMatching(/tokenizer\.model.*--force/),
  });
  rmSync(join(dir, "tokenizer.model"));
  expect(train(...args)).toMatchObject({ status: 2, stderr: expect.stringMatching(/tokenizer\.json.*--force/) });
  expect(existsSync(join(dir, "tokenizer.model"))).toBe(false);
  expect(train(...args, "--force").status).toBe(0);
  expect(readFileSync(join(dir, "tokenizer.model"), "utf8")).not.toBe(before);
});

test.each([
  ["no files", ["--vocab-size", "300"], 2, "missing required argument"],
  ["no size", ["text.txt"], 2, "--vocab-size"],
  ["a bad size of memory", ["--vocab-size", "300", "--memory", "lots", "text.txt"], 2, "512M"],
  ["a missing file", ["--vocab-size", "300", "missing.txt"], 2, "missing.txt"],
  ["an unknown option", ["--vocab-size", "300", "--patern", "gpt2", "text.txt"], 2, "--pattern"],
])("%s: exit status and a message", (_, args, expected, said) => {
  const { status, stdout, stderr } = train(...args);
  expect({ status, stdout }).toEqual({ status: expected, stdout: "" });
  expect(stderr).toContain(said);
  expect(readdirSync(dir)).toEqual(["text.txt"]);
});

test("Ctrl-C keeps a checkpoint, and the same command goes on", async () => {
  writeFileSync(join(dir, "text.txt"), TEXT.repeat(4_000_000 / TEXT.length));
  const files = Array.from({ length: 60 }, () => "text.txt");
  const args = ["tokenizer", "train", "--vocab-size", "264", "--checkpoint", "counts", "--json", ...files];
  const child = spawn(process.execPath, [BIN, ...args], { cwd: dir });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const interrupting = setInterval(() => {
    if (!existsSync(join(dir, "counts"))) return;
    clearInterval(interrupting); // a second signal would end it at once
    child.kill("SIGINT");
  }, 5);
  const status = await new Promise((end) => child.on("close", end));
  expect(status).toBe(130);
  expect(stderr).toBe("quipu: what is counted is in counts: the same command goes on from there\n");
  expect(existsSync(join(dir, "tokenizer.model"))).toBe(false);
  const { status: second, stdout } = quipu(args);
  expect(second).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ documents: 60, vocabSize: 264 });
});
