// Folders of the hub's cache, as huggingface_hub 2.4 lays them out.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkpointFolder, namedCheckpoint } from "#quipu/checkpoint/hub.js";
import { inspectModel } from "#quipu/generate/inspect.js";
import { modelFolder } from "#quipu/generate/model-folder.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { ModelWarning } from "#quipu/warnings.js";
import { temporaryFolder, writeCheckpoint } from "../../checkpoint-writer.js";

const [A, B] = ["a".repeat(40), "b".repeat(40)];
const root = temporaryFolder();
let count = 0;

/** A repository with `commits` as snapshots, and refs/main as given. */
function repository(commits: readonly string[], main?: string): string {
  const dir = join(root, `hub-${count++}`, "models--org--name");
  for (const name of ["blobs", "refs", "snapshots"]) mkdirSync(join(dir, name), { recursive: true });
  for (const commit of commits) writeCheckpoint(join(dir, "snapshots", commit));
  if (main !== undefined) writeFileSync(join(dir, "refs", "main"), main);
  return dir;
}

function resolved(dir: string): { folder: string; warnings: ModelWarning[] } {
  const warnings: ModelWarning[] = [];
  return { folder: checkpointFolder(dir, (code, message) => warnings.push({ code, message })), warnings };
}

test("a repository is the snapshot of refs/main, which one warning names", async () => {
  const dir = repository([A, B], `${B}\n`);
  expect(resolved(dir)).toEqual({
    folder: join(dir, "snapshots", B),
    warnings: [
      {
        code: "WARN_SNAPSHOT_CHOSEN",
        message: `${dir} is org/name in the hub's cache: its snapshot ${B} is used (refs/main)`,
      },
    ],
  });
  expect(resolved(join(dir, "snapshots")).folder).toBe(join(dir, "snapshots", B));
  const report = await inspectModel(dir);
  expect(report).toMatchObject({ dir: join(dir, "snapshots", B), warnings: [{ code: "WARN_SNAPSHOT_CHOSEN" }] });
});

test("a snapshot whose weights are still on their way says so, and so does a folder that they are fetched into", async () => {
  const dir = repository([A], A);
  const snapshot = join(dir, "snapshots", A);
  rmSync(join(snapshot, "model.safetensors"));
  await expect(inspectModel(dir)).rejects.toMatchObject({ message: expect.not.stringContaining("incomplete") });
  writeFileSync(join(dir, "blobs", "0123.incomplete"), "");
  const said = { code: "ERR_MODEL_NOT_FOUND", message: expect.stringMatching(/0123.incomplete: the download is inc/) };
  await expect(inspectModel(dir)).rejects.toMatchObject(said);
  const local = join(root, "local");
  writeCheckpoint(local);
  rmSync(join(local, "model.safetensors"));
  mkdirSync(join(local, ".cache", "huggingface", "download"), { recursive: true });
  writeFileSync(join(local, ".cache", "huggingface", "download", "0123.incomplete"), "");
  await expect(inspectModel(local)).rejects.toMatchObject(said);
});

test("without refs/main the only snapshot is taken", () => {
  const dir = repository([A]);
  rmSync(join(dir, "refs"), { recursive: true });
  expect(resolved(dir).folder).toBe(join(dir, "snapshots", A));
});

test("the tokenizer of a repository is that of its snapshot", async () => {
  const dir = repository([A], A);
  await expect(loadTokenizer(dir)).rejects.toMatchObject({ message: expect.stringContaining(join("snapshots", A)) });
});

test.each<[string, () => string, RegExp]>([
  [
    "several snapshots and no refs/main",
    () => repository([A, B]),
    /no refs\/main says which .* there are a+, b+: give one/,
  ],
  ["a refs/main that points nowhere", () => repository([A], B), /refs\/main names the snapshot b+, which is not there/],
  ["no snapshot at all", () => repository([], A), /refs\/main names .* there is no snapshot at all, or fetch/],
  ["a refs/main that is no commit", () => repository([A], "../../../etc"), /expected a commit, got "..\/..\/..\/etc"/],
  ["an empty refs/main", () => repository([A], ""), /expected a commit, got ""/],
  [
    "a refs/main that is a pipe",
    () => {
      const dir = repository([A]);
      execFileSync("mkfifo", [join(dir, "refs", "main")]);
      return dir;
    },
    /main: is a named pipe/,
  ],
  [
    "the cache as a whole",
    () => join(repository([A], A), ".."),
    /holds the models of a hub's cache: give one of them, for example .*models--org--name/,
  ],
])("%s is an error that says so", (_, make, message) => {
  expect(() => checkpointFolder(make())).toThrow(
    expect.objectContaining({ code: "ERR_MODEL_NOT_FOUND", message: expect.stringMatching(message) }),
  );
});

test("any other folder is its own", () => {
  const dir = join(root, "plain");
  writeCheckpoint(dir);
  mkdirSync(join(dir, "snapshots"));
  expect(resolved(dir)).toEqual({ folder: dir, warnings: [] });
  mkdirSync(join(root, "work", "snapshots"), { recursive: true }); // somebody's folder of that name
  expect(resolved(join(root, "work"))).toEqual({ folder: join(root, "work"), warnings: [] });
});

describe("a name on the hub", () => {
  const cacheOf = (dir: string) => {
    process.env.HF_HUB_CACHE = join(dir, "..");
    return dir;
  };
  afterEach(() => {
    delete process.env.HF_HUB_CACHE;
  });
  const notHere = (message: RegExp, more: object = {}) =>
    expect.objectContaining({ code: "ERR_MODEL_NOT_FOUND", message: expect.stringMatching(message), ...more });

  test("is its snapshot of main, of a revision, or of a commit, without a warning", () => {
    const dir = cacheOf(repository([A, B], B));
    writeFileSync(join(dir, "refs", "v1"), A);
    expect(namedCheckpoint("org/name", true)).toBe(join(dir, "snapshots", B));
    expect(namedCheckpoint("org/name@main", true)).toBe(join(dir, "snapshots", B));
    expect(namedCheckpoint("org/name@v1", true)).toBe(join(dir, "snapshots", A));
    expect(namedCheckpoint(`org/name@${A}`, true)).toBe(join(dir, "snapshots", A));
    expect(resolved(modelFolder("org/name"))).toEqual({ folder: join(dir, "snapshots", B), warnings: [] });
  });

  test("is the only snapshot where none is main", () => {
    const dir = cacheOf(repository([A]));
    expect(namedCheckpoint("org/name", true)).toBe(join(dir, "snapshots", A));
    expect(() => namedCheckpoint("org/name@main", true)).toThrow(notHere(/does not have this revision/));
  });

  test("that the cache has in part is refused to whoever needs all of it", async () => {
    const dir = cacheOf(repository([A], A));
    rmSync(join(dir, "snapshots", A, "model.safetensors"));
    expect(namedCheckpoint("org/name", false)).toBe(join(dir, "snapshots", A));
    expect(() => namedCheckpoint("org/name", true)).toThrow(
      notHere(/^org\/name: its snapshot has no safetensors \(.*`quipu pull org\/name`/, { repo: "org/name" }),
    );
    await expect(inspectModel("org/name")).rejects.toMatchObject({ code: "ERR_MODEL_NOT_FOUND", repo: "org/name" });
  });

  test.each(["org/other", "org/name@v2", `org/name@${B}`])(
    "that is not there, %s, is an error that says how",
    (name) => {
      cacheOf(repository([A], A));
      const how = new RegExp(`^${name}: .*\\. \`quipu pull ${name}\` fetches it \\(from code: pullModel\\)\\.$`);
      expect(() => namedCheckpoint(name, true)).toThrow(notHere(how, { repo: name }));
    },
  );

  test.each(["./x", "/x/y", "a/b/c", "..", "a/..", "x y", "a/b@", "a/b@..", "a/b@x..y/.z", "a--b/c", "a/b.git", "é/x"])(
    "is not %j",
    (text) => {
      expect(namedCheckpoint(text, true)).toBeUndefined();
    },
  );

  test("gives way to a folder of that name", () => {
    const dir = cacheOf(repository([A], A));
    const cwd = process.cwd();
    const here = join(root, "beside");
    mkdirSync(join(here, "org", "name"), { recursive: true });
    process.chdir(here);
    try {
      expect(modelFolder("org/name")).toBe("org/name");
    } finally {
      process.chdir(cwd);
    }
    expect(modelFolder("org/name")).toBe(join(dir, "snapshots", A));
  });
});
