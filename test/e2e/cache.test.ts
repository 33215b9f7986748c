// quipu cache, and what the commands that load a model say of it.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify } from "#quipu/checkpoint/file.js";
import { PreparedFile } from "#quipu/machine/prepared-file.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { writeWorthKeeping } from "../packed-cache.js";
import { quipu } from "./run-cli.js";

const temporary = temporaryFolder();
const model = withTokenizer(writeWorthKeeping(join(temporary, "model")));
const other = join(temporary, "other");
const cache = join(temporary, "cache");
const env = { QUIPU_CACHE: cache };
const weights = join(cache, "weights");
const DAY = 24 * 3600;

function withTokenizer(dir: string): string {
  cpSync("models/storyteller/tokenizer.json", join(dir, "tokenizer.json"));
  return dir;
}

const next = (dir: string, ...options: string[]) =>
  quipu(["next", "-m", dir, "-q", "q8", "--top", "1", ...options, "a"], { env });
const cacheOf = async (...args: string[]) => {
  const { status, stdout, stderr } = await quipu(["cache", ...args], { env });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
};
const entries = async () =>
  JSON.parse(await cacheOf("--json")).entries as { path: string; state: string; files: string[] }[];

test("the first load says where and how much, the next nothing, and --no-cache leaves it alone", async () => {
  const without = await next(model, "--no-cache");
  expect([without.status, without.stderr]).toEqual([0, ""]);
  expect(await cacheOf()).toBe(`0 files, 0 B in ${cache}\n`);
  const first = await next(model);
  const [name] = readdirSync(weights);
  expect(first).toEqual({
    ...without,
    stderr: `quipu: packed weights are kept in ${join(weights, name!)} (17.9 MiB)\n`,
  });
  expect(await next(model)).toEqual(without);
  expect(await cacheOf("list")).toBe(
    `what        size      days  state    of\nweights q8  17.9 MiB     0  current  ${model}\n1 files, 17.9 MiB in ${cache}\n`,
  );
  const damaged = join(weights, name!);
  writeFileSync(damaged, "what is this");
  const again = await next(model);
  expect(again.stdout).toBe(without.stdout);
  expect(again.stderr).toBe(
    `quipu: warning: ${damaged} is damaged: the weights are packed anew\nquipu: packed weights are kept in ${damaged} (17.9 MiB)\n`,
  );
});

test("--quiet says nothing of it", async () => {
  cpSync(model, other, { recursive: true });
  const { status, stderr } = await quipu(["-m", other, "-q", "q8", "-n", "1", "--quiet", "a"], { env });
  expect([status, stderr]).toEqual([0, ""]);
  expect(await entries()).toHaveLength(2);
});

test("prune removes what cannot be used, is old, is of a model, or too much; clear everything", async () => {
  expect(await cacheOf("prune")).toBe("removed 0 files, 0 B\n");

  const [first, second] = await entries();
  expect([first!.files[0], second!.files[0]]).toEqual([model, other].map((dir) => expect.stringContaining(`${dir}/`)));
  const then = Date.now() / 1000 - 5 * DAY;
  utimesSync(first!.path, then, then);
  expect(await cacheOf("list")).toMatch(/^weights q8 {2}17\.9 MiB {5}5 {2}current/m);
  expect(await cacheOf("prune", "--older-than", "6")).toBe("removed 0 files, 0 B\n");
  expect(await cacheOf("prune", "--older-than", "4")).toBe("removed 1 files, 17.9 MiB\n");
  expect((await entries()).map(({ path }) => path)).toEqual([second!.path]);

  expect(await cacheOf("prune", "-m", model)).toBe("removed 0 files, 0 B\n");
  expect(JSON.parse(await cacheOf("prune", "-m", other, "--json"))).toMatchObject({
    removed: [{ path: second!.path, kind: "weights" }],
  });

  await next(model);
  await next(other);
  expect(await cacheOf("prune", "--max-size", "40M")).toBe("removed 0 files, 0 B\n");
  expect(await cacheOf("prune", "--max-size", "20M")).toBe("removed 1 files, 17.9 MiB\n");
  const [left] = await entries();
  expect(left!.files[0]).toContain(`${other}/`); // used last

  const shard = left!.files[0]!;
  utimesSync(shard, 1, 1);
  expect(await entries()).toMatchObject([{ state: "changed" }]);
  renameSync(other, `${other}.away`);
  expect(await entries()).toMatchObject([{ state: "gone" }]);
  writeFileSync(join(weights, `${"0".repeat(32)}.packed`), "what is this");
  expect((await entries()).map(({ state }) => state).sort()).toEqual(["damaged", "gone"]);
  expect(await cacheOf("prune")).toBe("removed 2 files, 17.9 MiB\n");

  await next(model);
  expect(await cacheOf("clear")).toBe("removed 1 files, 17.9 MiB\n");
  expect(readdirSync(weights)).toEqual([]);
});

test("what a file says of itself is shown in one line, and a source is current by its whole time of change", async () => {
  const folder = mkdtempSync(join(temporary, "\u001b[31m\n"));
  mkdirSync(weights, { recursive: true });
  const source = join(folder, "model.safetensors");
  writeFileSync(source, "");
  utimesSync(source, 1, 1);
  const is = identify(source);
  for (const [i, end] of [":hash", "", "5:hash"].entries()) {
    const description = JSON.stringify({ files: [{ path: source, is: is + end }], tensors: [{ dtype: "q\n1" }] });
    const path = join(weights, `${String(i).repeat(32)}.packed`);
    const made = PreparedFile.make({ path, kind: "weights", version: 1, source: new Uint8Array(32) }, description, []);
    if (typeof made === "string") throw new Error(made);
    expect(await made.finish(1)).toBe("");
    utimesSync(path, i, i);
  }
  const states = (await entries()).slice(0, 3).map(({ state }) => state);
  expect(states).toEqual(["current", "current", "changed"]);
  const shown = folder.replace("\u001b[31m\n", "\\u001b[31m\\n");
  const lines = (await cacheOf()).split("\n").slice(1, 4);
  for (const line of lines) expect(line).toMatch(/^weights q\\n1 /);
  for (const line of lines) expect(line.slice(line.indexOf("/"))).toBe(shown);
  expect(await cacheOf("prune", "-m", folder)).toMatch(/^removed 3 files, /);
});

test("a model of the hub's cache can be named as there", async () => {
  const commit = "1".repeat(40);
  const hub = join(temporary, "hub");
  const repository = join(hub, "models--org--name");
  cpSync(model, join(repository, "snapshots", commit), { recursive: true });
  const options = { env: { ...env, HF_HUB_CACHE: hub } };
  const prune = (name: string) => quipu(["cache", "prune", "-m", name, "--json"], options);
  await next(model);
  expect(await quipu(["next", "-m", "org/name", "-q", "q8", "--top", "1", "a"], options)).toMatchObject({ status: 0 });
  const before = await entries();
  expect(JSON.parse((await prune("org/other")).stdout).removed).toEqual([]);
  expect(JSON.parse((await prune("org/name")).stdout).removed).toMatchObject([{ state: "current" }]);
  expect(await entries()).toHaveLength(before.length - 1);
});

test("a model that is gone can be named by its path", async () => {
  const gone = join(temporary, "gone");
  cpSync(model, gone, { recursive: true });
  await next(gone);
  await next(model);
  renameSync(gone, `${gone}.away`);
  const removed = JSON.parse(await cacheOf("prune", "-m", gone, "--json")).removed;
  expect(removed).toMatchObject([{ state: "gone" }]);
  expect(await entries()).toHaveLength(1);
});

// Where there is neither HOME nor an entry of the user in the system, Node throws; an empty HOME is a relative one.
test.each([
  ["an empty HOME", { HOME: "" }],
  ["a relative HOME", { HOME: "home" }],
])("without a home folder, by %s, weights are not kept, and there is nothing to list", async (_what, home) => {
  const cwd = mkdtempSync(join(temporary, "cwd-"));
  const options = { env: { QUIPU_CACHE: "", XDG_CACHE_HOME: "relative", ...home }, cwd };
  const problem = "there is no cache folder, as the user has no home folder. QUIPU_CACHE names one.";
  expect(await quipu(["next", "-m", model, "-q", "q8", "--top", "1", "a"], options)).toEqual({
    ...(await next(model, "--no-cache")),
    stderr: `quipu: warning: packed weights are not kept: ${problem}\n`,
  });
  expect(await quipu(["cache"], options)).toEqual({ status: 2, stdout: "", stderr: `quipu: ${problem}\n` });
  expect(readdirSync(cwd)).toEqual([]);
});

test.each([
  [["cache", "prun"], "unknown command 'cache prun'. Did you mean prune?"],
  [["cache", "prune", "--max-size", "much"], "Expected a size of at least 0 bytes, such as 512M or 8G."],
  [["cache", "prune", "--older-than", "x"], "--older-than"],
  [["cache", "list", "model"], "too many arguments for 'list'"],
  [["cache", "prune", "model"], "too many arguments for 'prune'"],
  [["cache", "clear", "model"], "too many arguments for 'clear'"],
])("%j is refused", async (args, message) => {
  const { status, stderr } = await quipu(args, { env });
  expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
});
