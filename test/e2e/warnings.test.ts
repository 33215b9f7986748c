// What was ignored or chosen in a model's files: a line on stderr, the start event of --json, inspect; stdout stays clean.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { alteredStoryteller } from "./models.js";
import { eventsOf, quipu, ROOT } from "./run-cli.js";

const root = temporaryFolder();
const warned = alteredStoryteller(join(root, "warned"), { eos_token_id: [2, 99999] });
const MESSAGE = "config.json: eos_token_id: expected ids from 0 to 2047, got [2,99999]: those outside are ignored";
const LINE = `quipu: warning: ${MESSAGE}\n`;
const SAY = ["-n", "2", "--temp", "0", "--no-stdin", "Once"];

describe("a warning", () => {
  test.concurrent("is a line on stderr, once, and the text is what it is without", async () => {
    const [with_, without] = await Promise.all([quipu(["-m", warned, ...SAY]), quipu(SAY)]);
    expect(with_).toEqual({ status: 0, stdout: without.stdout, stderr: LINE });
    expect(without.stderr).toBe("");
  });

  test.concurrent("is left out with --quiet", async () => {
    expect((await quipu(["-m", warned, "--quiet", ...SAY])).stderr).toBe("");
  });

  test.concurrent("is in the start event of --json", async () => {
    const { stdout, stderr } = await quipu(["-m", warned, "--json", "--quiet", ...SAY]);
    expect(eventsOf(stdout)[0]).toMatchObject({
      type: "start",
      warnings: [{ code: "WARN_CONFIG_IGNORED", message: MESSAGE }],
    });
    expect(stderr).toBe("");
  });

  test.concurrent("comes with next, inspect, tokens --limit context and benchmark, once with each", async () => {
    const benchmark = ["benchmark", "-m", warned, "--repeats", "1", "--prompt-tokens", "4", "--gen-tokens", "2"];
    const [next, inspect, json, tokens, measured] = await Promise.all([
      quipu(["next", "-m", warned, "--no-stdin", "Once"]),
      quipu(["inspect", warned]),
      quipu(["inspect", "--json", warned]),
      quipu(["tokens", "-m", warned, "--limit", "context", "--no-stdin", "Once"]),
      quipu(benchmark),
    ]);
    expect(next.stderr).toBe(LINE);
    expect(inspect).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringContaining(`warning    ${MESSAGE}\n`),
    });
    expect(JSON.parse(json.stdout).warnings).toEqual([{ code: "WARN_CONFIG_IGNORED", message: MESSAGE }]);
    expect(tokens.stderr).toBe(LINE);
    expect(measured).toMatchObject({ status: 0, stderr: LINE });
  }, 120_000);
});

test("a repository in the hub's cache is run, and one line names its snapshot", async () => {
  const repository = join(root, "models--org--name");
  const snapshot = join(repository, "snapshots", "abc123");
  mkdirSync(join(repository, "refs"), { recursive: true });
  writeFileSync(join(repository, "refs", "main"), "abc123");
  alteredStoryteller(snapshot);
  const line = `quipu: warning: ${repository} is org/name in the hub's cache: its snapshot abc123 is used (refs/main)\n`;
  expect(await quipu(["-m", repository, ...SAY])).toMatchObject({ status: 0, stderr: line });
  expect(await quipu(["tokens", "-m", repository, "--no-stdin", "Once"])).toMatchObject({ status: 0, stderr: line });
  expect((await quipu(["inspect", "prompt", "-m", repository, "--no-stdin", "Once"])).stderr).toBe(line);
});

describe("a wrong thing is named, with status 3", () => {
  const gguf = join(root, "model.gguf");
  const pointer = alteredStoryteller(join(root, "pointer"));
  const dangling = alteredStoryteller(join(root, "dangling"));
  beforeAll(() => {
    writeFileSync(gguf, "GGUF\x03\0\0\0");
    const lfs = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 4727088\n`;
    rmSync(join(pointer, "model.safetensors"));
    writeFileSync(join(pointer, "model.safetensors"), lfs);
    rmSync(join(dangling, "model.safetensors"));
    symlinkSync("nowhere", join(dangling, "model.safetensors"));
  });

  test.concurrent.each<[string, string, RegExp]>([
    ["a GGUF file", gguf, /model.gguf is a GGUF file. quipu reads safetensors: give the folder of the checkpoint/],
    ["a Git LFS pointer", pointer, /model.safetensors is a Git LFS pointer and not the file itself: run git lfs pull/],
    ["a dangling link", dangling, /model.safetensors: is a link to nowhere, which does not exist/],
  ])("%s", async (_, model, message) => {
    const { status, stdout, stderr } = await quipu(["-m", model, ...SAY]);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

test.each([
  [
    "yarn-rope-bf16",
    /^positions {2}512, rope theta 20000, yarn scaling × 8 from 48 positions, attention factor 1.2079$/m,
  ],
  ["linear-rope-f16", /^positions {2}512, rope theta 10000, linear scaling × 4$/m],
  ["llama3-rope-sharded-bf16", /^positions {2}512, rope theta 10000, llama3 scaling × 8 from 64 positions$/m],
  ["mqa-tied-bf16", /^vocabulary 320 ids, head tied to the embedding$/m],
  ["gqa-f32", /^vocabulary 256 ids, a head of its own$/m],
])("inspect says what %s has", async (name, line) => {
  expect((await quipu(["inspect", join(ROOT, "test/reference/tiny", name)])).stdout).toMatch(line);
});

test("the storyteller of this package has nothing to warn of", async () => {
  expect(JSON.parse((await quipu(["inspect", "--json"])).stdout).warnings).toEqual([]);
});
