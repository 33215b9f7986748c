// listModels, removeModel, pruneModels: what is in the hub's cache, and what may go.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { listModels, modelFolder, pruneModels, removeModel } from "#quipu/index.js";
import { tryLock } from "#quipu/machine/file-lock.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { quipu } from "../e2e/run-cli.js";
import { contentsOf, expectedContents, HubServer, noise, pull, useHub } from "../hub.js";

const root = temporaryFolder();
const WEIGHTS = { path: "model.safetensors", bytes: noise(3000) };
const CONFIG = { path: "config.json", bytes: Buffer.from("{}") };
const NEWER = { path: "config.json", bytes: Buffer.from("{ }") };

let server: HubServer;
let cache: string;
beforeEach(async () => {
  server = await HubServer.start();
  ({ cache } = useHub(server, root));
});
afterEach(() => server.close());

const folder = (...names: string[]) => join(cache, "models--org--a", ...names);
const commitOf = (reference: string) => readFileSync(folder("refs", reference), "utf8");
const kinds = (items: readonly { kind: string }[]) => items.map(({ kind }) => kind).sort();

/** Two commits of org/a that share their weights; main is the later. */
async function pullTwice(): Promise<[older: string, newer: string]> {
  const older = server.commit("org/a", [CONFIG, WEIGHTS]);
  await pull("org/a");
  const newer = server.commit("org/a", [NEWER, WEIGHTS]);
  await pull("org/a");
  return [older, newer];
}

describe("listModels", () => {
  test("has nothing where there is no cache", () => {
    expect(listModels()).toEqual([]);
  });

  test("has every revision, with its names; shared blobs count once", async () => {
    const [older, newer] = await pullTwice();
    const [model, ...others] = listModels();
    expect(others).toEqual([]);
    expect(model).toEqual({
      ...{ repo: "org/a", folder: folder(), bytes: 3005, partialBytes: 0, unusedBytes: 0 },
      revisions: [
        { commit: older, references: [], pinned: false, folder: folder("snapshots", older), files: 2, bytes: 3002 },
        {
          commit: newer,
          references: ["main"],
          pinned: false,
          folder: folder("snapshots", newer),
          files: 2,
          bytes: 3003,
        },
      ].sort((a, b) => (a.commit < b.commit ? -1 : 1)),
    });
  });

  test("says what a snapshot lacks", async () => {
    const commit = server.commit("org/a", [
      CONFIG,
      { path: "model-00001-of-00002.safetensors", bytes: noise(10) },
      { path: "model-00002-of-00002.safetensors", bytes: noise(11) },
      {
        path: "model.safetensors.index.json",
        bytes: Buffer.from(
          '{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}',
        ),
      },
    ]);
    await pull("org/a", { include: ["*.json", "*-00001-*"] });
    expect(listModels()[0]!.revisions[0]!.problem).toBe(
      "its snapshot is incomplete: 1 of 2 shards are missing: model-00002-of-00002.safetensors",
    );
    expect(() => modelFolder("org/a")).not.toThrow(); // its tokenizer, if it had one, could be used
    symlinkSync("../../blobs/gone", folder("snapshots", commit, "model-00002-of-00002.safetensors"));
    expect(listModels()[0]!.revisions[0]!.problem).toBe(
      "its snapshot is incomplete: model-00002-of-00002.safetensors is missing",
    );
    await pull("org/a");
    expect(listModels()[0]!.revisions[0]).not.toHaveProperty("problem");
  });
});

test("a file that is shorter than the hub has told is no part of a model that is ready, until a pull mends it", async () => {
  await pullTwice();
  truncateSync(folder("snapshots", commitOf("main"), WEIGHTS.path), 10);
  const [problem] = listModels()[0]!.revisions.map((revision) => revision.problem);
  expect(problem).toBe("its snapshot is damaged: model.safetensors has 10 bytes of 3000; a pull mends it");
  await pull("org/a");
  for (const revision of listModels()[0]!.revisions) expect(revision).not.toHaveProperty("problem");
});

test("a cache that is no folder is an error", () => {
  process.env.HF_HUB_CACHE = join(root, "file");
  writeFileSync(process.env.HF_HUB_CACHE, "");
  const refused = (message: RegExp) => ({ code: "ERR_PULL", message: expect.stringMatching(message) });
  const actions = [listModels, pruneModels, () => removeModel("org/a")];
  for (const action of actions) expect(action).toThrow(expect.objectContaining(refused(/file: is no folder\. HF_HUB/)));
  process.env.HF_HUB_CACHE = join(root, "file", "below");
  for (const action of actions) expect(action).toThrow(expect.objectContaining(refused(/cannot be read: ENOTDIR/)));
});

describe("removeModel", () => {
  test("takes a model with its locks, and no other", async () => {
    await pullTwice();
    server.commit("org/b", [CONFIG, WEIGHTS]);
    await pull("org/b");
    expect(removeModel("org/a")[0]).toMatchObject({ path: folder(), kind: "snapshot" });
    expect(listModels().map(({ repo }) => repo)).toEqual(["org/b"]);
    expect(readdirSync(join(cache, ".locks"))).toEqual(["models--org--b"]);
  });

  test("takes a revision, its reference, and the blobs that no other has", async () => {
    const [older, newer] = await pullTwice();
    const removed = removeModel("org/a@main");
    expect(kinds(removed)).toEqual(["blob", "snapshot"]);
    expect(existsSync(folder("refs", "main"))).toBe(false);
    expect(existsSync(folder("snapshots", newer))).toBe(false);
    expect(contentsOf(folder("snapshots", older))).toEqual(expectedContents([CONFIG, WEIGHTS]));
    expect(kinds(removeModel(`org/a@${older}`))).toEqual(["blob", "blob", "snapshot"]);
    expect(existsSync(folder())).toBe(false);
  });

  test("of what is not there is an error that says what is", async () => {
    await pullTwice();
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_MODEL_NOT_FOUND", message: expect.stringMatching(message) });
    expect(() => removeModel("org/x")).toThrow(refused(/^org\/x: no such model in .*\. Did you mean org\/a\?$/));
    expect(() => removeModel("other/thing")).toThrow(refused(/It has org\/a\.$/));
    expect(() => removeModel("org/a@v2")).toThrow(refused(/^org\/a: the cache has no revision v2\. It has /));
  });
});

describe("pruneModels", () => {
  test("takes snapshots that nothing names since a newer one came, and their blobs", async () => {
    const [older, newer] = await pullTwice();
    const wouldGo = pruneModels({ dryRun: true });
    expect(kinds(wouldGo)).toEqual(["blob", "lock", "lock", "lock", "snapshot"]);
    expect(existsSync(folder("snapshots", older))).toBe(true);
    expect(pruneModels()).toEqual(wouldGo);
    expect(listModels()[0]!.revisions.map(({ commit }) => commit)).toEqual([newer]);
    expect(contentsOf(folder("snapshots", newer))).toEqual(expectedContents([NEWER, WEIGHTS]));
    expect(pruneModels()).toEqual([]);
  });

  test("keeps what was pulled by its commit, and the only snapshot where there are no names", async () => {
    const older = server.commit("org/a", [CONFIG, WEIGHTS]);
    await pull(`org/a@${older}`);
    const newer = server.commit("org/a", [NEWER, WEIGHTS]);
    await pull("org/a");
    pruneModels();
    expect(
      listModels()[0]!
        .revisions.map(({ commit }) => commit)
        .sort(),
    ).toEqual([older, newer].sort());
    const foreign = join(cache, "models--org--foreign", "snapshots", "1".repeat(40));
    mkdirSync(foreign, { recursive: true });
    writeFileSync(join(foreign, "config.json"), "{}");
    expect(pruneModels()).toEqual([]);
    expect(existsSync(foreign)).toBe(true);
  });

  test("takes what downloads have left: partial files of every tool, blobs of no snapshot, locks", async () => {
    await pullTwice();
    pruneModels();
    const left = ["x.incomplete", "y.0a1b2c3d.incomplete", "z", "old.lock"];
    for (const name of left) writeFileSync(folder("blobs", name), "12345");
    mkdirSync(join(cache, "models--org--begun", "blobs"), { recursive: true });
    writeFileSync(join(cache, "models--org--begun", "blobs", "w.incomplete"), "1");
    expect(kinds(pruneModels()).filter((kind) => kind !== "lock")).toEqual(["blob", "partial", "partial", "partial"]);
    expect(readdirSync(folder("blobs")).filter((name) => left.includes(name))).toEqual([]);
    expect(existsSync(join(cache, "models--org--begun"))).toBe(false);
    expect(readdirSync(join(cache, ".locks"))).toEqual([]);
  });

  test("leaves what another tool is fetching: whatever has its lock", async () => {
    await pullTwice();
    writeFileSync(folder("blobs", "abc.incomplete"), "12345");
    const lock = tryLock(join(cache, ".locks", "models--org--a", "abc.lock"));
    expect(lock).toHaveProperty("release");
    pruneModels();
    expect(existsSync(folder("blobs", "abc.incomplete"))).toBe(true);
    expect(existsSync(join(cache, ".locks", "models--org--a", "abc.lock"))).toBe(true);
    if (typeof lock === "object") lock.release();
    pruneModels();
    expect(existsSync(folder("blobs", "abc.incomplete"))).toBe(false);
  });

  test("leaves the blobs of a pull that runs, though no snapshot has them yet", async () => {
    server.commit("org/a", [CONFIG, WEIGHTS]);
    let release = () => {};
    let count = 0;
    const held = new Promise<void>((resolve) => {
      server.options = {
        fault: ({ kind, file }) => {
          const isFirst = kind === "file" && file === WEIGHTS.path && count++ === 0;
          const hold = (go: () => void) => {
            release = go;
            resolve();
          };
          return isFirst ? { hold: 500, held: hold } : undefined;
        },
      };
    });
    let fetchedConfig = () => {};
    const config = new Promise<void>((resolve) => {
      fetchedConfig = resolve;
    });
    const pulling = pull("org/a", {
      onProgress: ({ path, state }) => {
        if (path === CONFIG.path && state === "fetched") fetchedConfig();
      },
    });
    await Promise.all([held, config]);
    expect(pruneModels().filter(({ kind }) => kind !== "lock")).toEqual([]);
    release();
    expect(contentsOf((await pulling).folder)).toEqual(expectedContents([CONFIG, WEIGHTS]));
  });
});

test("a lock that is removed while another waits for it is no lock: both have the file that is there", () => {
  const path = join(root, "x.lock");
  const first = tryLock(path);
  expect(first).toHaveProperty("release");
  expect(tryLock(path)).toBe("held");
  if (typeof first === "object") first.release();
  expect(tryLock(path)).toHaveProperty("release");
});

describe("quipu models", () => {
  const run = (...args: string[]) => quipu(["models", ...args]);

  test("lists names, revisions, sizes, and what is missing", async () => {
    const [older] = await pullTwice();
    server.commit("org/b", [CONFIG]);
    await pull("org/b", { include: ["*"] });
    const { status, stdout, stderr } = await run();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^name +revision +size +files +state$/);
    const files = readdirSync("models/storyteller").length;
    expect(lines[1]).toMatch(new RegExp(`^storyteller +4\\.7 MiB +${files} +embedded, the default$`));
    expect(lines).toContainEqual(expect.stringMatching(/^org\/a +main +2\.9 KiB +2 +ready$/));
    expect(lines).toContainEqual(
      expect.stringMatching(new RegExp(`^org/a +${older.slice(0, 12)} +2\\.9 KiB +2 +ready, no branch names it$`)),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^org\/b +main +2 B +1 +has no safetensors$/));
    expect(lines.at(-1)).toBe(`2 models, 2.9 KiB in ${cache}, what revisions share counted once`);
    const { stdout: json } = await run("list", "--json");
    expect(JSON.parse(json)).toMatchObject({
      folder: cache,
      models: JSON.parse(JSON.stringify(listModels())),
      embedded: { name: "storyteller" },
    });
  });

  test("has a row for all that counts: downloads that have not ended, and blobs of revisions that are gone", async () => {
    server.commit("org/a", [CONFIG, WEIGHTS]);
    await pull("org/a");
    writeFileSync(folder("blobs", "abc.incomplete"), noise(4000));
    const rows = async () => (await run()).stdout.trimEnd().split("\n").slice(2);
    expect(await rows()).toEqual([
      expect.stringMatching(/^org\/a +main +2\.9 KiB +2 +ready$/),
      expect.stringMatching(/^org\/a +3\.9 KiB +0 +no snapshot: a download has not ended$/),
      `1 model, 6.8 KiB in ${cache}`,
    ]);
    rmSync(folder("blobs", "abc.incomplete"));
    rmSync(folder("snapshots"), { recursive: true });
    expect(await rows()).toEqual([
      expect.stringMatching(/^org\/a +2\.9 KiB +0 +no snapshot: left by what was removed$/),
      `1 model, 2.9 KiB in ${cache}`,
    ]);
  });

  test("path, remove and prune print what they do", async () => {
    const [, newer] = await pullTwice();
    expect(await run("path", "org/a")).toEqual({ status: 0, stdout: `${folder("snapshots", newer)}\n`, stderr: "" });
    expect((await run("prune", "--dry-run")).stdout).toBe("would remove 1 snapshot, 1 blob, 3 locks, 2 B\n");
    expect((await run("prune")).stdout).toBe("removed 1 snapshot, 1 blob, 3 locks, 2 B\n");
    expect((await run("prune")).stdout).toBe("removed nothing, 0 B\n");
    expect(JSON.parse((await run("remove", "org/a", "--json")).stdout)).toMatchObject({
      bytes: expect.any(Number),
      removed: [{ path: folder() }],
    });
    expect(await run("path", "org/a")).toMatchObject({
      status: 3,
      stderr: expect.stringContaining("`quipu pull org/a` fetches it"),
    });
    expect(await run("remove", "org/a")).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/^quipu: org\/a: no such model in/),
    });
    expect(await run("prunes")).toMatchObject({ status: 2, stderr: expect.stringContaining("Did you mean prune?") });
  });
});
