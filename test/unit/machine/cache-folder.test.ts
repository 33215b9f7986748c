// The cache folder holds so many bytes and no more: what was not used for longest leaves first, and nothing that is not ours.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statfsSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  type CacheKind,
  cachedFiles,
  cacheFolder,
  cacheLimit,
  cachePath,
  makeFolderOf,
  makeRoom,
} from "#quipu/machine/cache-folder.js";
import { temporaryFolder } from "../../checkpoint-writer.js";
import { describeWhere } from "../../where.js";

const temporary = temporaryFolder();
const kept = process.env.QUIPU_CACHE;
let folders = 0;

beforeEach(() => {
  process.env.QUIPU_CACHE = join(temporary, String(folders++));
});
afterAll(() => {
  process.env.QUIPU_CACHE = kept;
});

const HOUR = 3600;

/** A hole of so many bytes, used so many hours ago; its path. */
function hollow(kind: CacheKind, key: string, bytes: number, hours: number, end = ""): string {
  const path = cachePath(kind, key) + end;
  makeFolderOf(path);
  writeFileSync(path, "");
  truncateSync(path, Math.floor(bytes));
  const then = Date.now() / 1000 - hours * HOUR;
  utimesSync(path, then, then);
  return path;
}

const paths = () => cachedFiles().map(({ path }) => path);

/** What an empty cache may hold here: one that holds more may hold up to a fifth of that besides. */
function limit(): number {
  mkdirSync(cacheFolder(), { recursive: true });
  const most = cacheLimit([]);
  expect(most).toBeGreaterThan(0);
  const { bavail, bsize } = statfsSync(cacheFolder());
  expect(most).toBeLessThanOrEqual(Math.min(20e9, 0.21 * bavail * bsize)); // others write there too
  return most;
}

test("what was not used for longest leaves first, of weights and vocabularies alike", () => {
  const most = limit();
  const second = hollow("weights", "second", 0.39 * most, 2);
  const oldest = hollow("tokenizers", "oldest", 0.39 * most, 3);
  const last = hollow("weights", "last", 0.39 * most, 1);
  expect(paths()).toEqual([oldest, second, last]);
  const made = cachePath("weights", "made");
  expect(makeRoom(made, Math.floor(0.2 * most))).toBeUndefined();
  expect(paths()).toEqual([second, last]);
  expect(makeRoom(made, Math.floor(0.2 * most))).toBeUndefined(); // it fits now
  expect(paths()).toEqual([second, last]);
  expect(makeRoom(made, Math.floor(0.99 * most))).toBeUndefined();
  expect(paths()).toEqual([]);
});

test("what is replaced leaves, and makes room itself", () => {
  const most = limit();
  const old = hollow("weights", "old", 0.1 * most, 9);
  const place = hollow("weights", "place", 0.6 * most, 1);
  expect(makeRoom(place, Math.floor(0.7 * most))).toBeUndefined();
  expect(paths()).toEqual([old]);
});

test("what is larger than the cache may be is not made, and nothing leaves for it", () => {
  const most = limit();
  const there = hollow("weights", "there", 1000, 1);
  const problem = makeRoom(cachePath("weights", "large"), Math.ceil(1.3 * most) + 1000);
  expect(problem).toMatch(/^[0-9a-f]{32}\.packed would have \d+ bytes, the cache may have \d+: /);
  expect(paths()).toEqual([there]);
});

test("what a process that was killed has left goes after a day, what is being written stays", () => {
  const most = limit();
  const left = hollow("weights", "left", 10, 25, ".AbCdEf");
  const written = hollow("weights", "written", 0.9 * most, 23, ".AbCdEf");
  expect(cachedFiles()).toEqual([
    expect.objectContaining({ path: left, partial: true }),
    expect.objectContaining({ path: written, partial: true }),
  ]);
  expect(makeRoom(cachePath("weights", "made"), Math.floor(0.5 * most))).toBeUndefined();
  expect(paths()).toEqual([written]);
});

test("nothing else there is ours", () => {
  const most = limit();
  const ours = hollow("weights", "ours", most, 5);
  const folder = dirname(ours);
  const name = basename(ours);
  mkdirSync(join(folder, `${"f".repeat(32)}.packed`));
  for (const other of ["notes.packed", `${name}.`, `${name}.a.b`, `x${name}`, name.replace("packed", "tables")]) {
    writeFileSync(join(folder, other), "");
  }
  symlinkSync("/nowhere", join(folder, `${"0".repeat(32)}.packed`));
  writeFileSync(join(cacheFolder(), "README"), "");
  const before = readdirSync(folder).sort();
  expect(paths()).toEqual([ours]);
  expect(makeRoom(cachePath("weights", "made"), Math.floor(0.9 * most))).toBeUndefined();
  expect(readdirSync(folder).sort()).toEqual(before.filter((each) => each !== name));
});

test("a folder that cannot be looked at is no empty one", () => {
  mkdirSync(cacheFolder());
  symlinkSync("weights", join(cacheFolder(), "weights"));
  expect(cachedFiles).toThrow(/ELOOP/);
  expect(makeRoom(cachePath("weights", "x"), 10)).toMatch(/ELOOP/);
});

test("no folder is an empty one to look at, and a problem to write to", () => {
  expect(cachedFiles()).toEqual([]);
  writeFileSync(cacheFolder(), "a file");
  expect(cachedFiles()).toEqual([]);
  expect(makeFolderOf(cachePath("weights", "x"))).toMatch(/ENOTDIR|EEXIST/);
  expect(makeRoom(cachePath("weights", "x"), 10)).toBeUndefined(); // the folder is what is wrong
});

test("a relative place is one in the current folder, wherever that is later", () => {
  process.env.QUIPU_CACHE = "some/cache";
  expect(cacheFolder()).toBe(join(process.cwd(), "some/cache"));
});

// In a namespace of its own a user may mount what is needed.
const mounts = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", temporary]).status === 0;

describeWhere(mounts, "this system mounts nothing")("where something is mounted", () => {
  /** What a program writes that has the modules `folder`, `limits` and `generate`, after a script of bash that may mount. */
  function runWhere(script: string, program: string): unknown {
    mkdirSync(cacheFolder(), { recursive: true });
    const modules = { folder: "machine/cache-folder", limits: "machine/process-limits", generate: "generate/cache" };
    const from = (path: string) => JSON.stringify(join(process.cwd(), "dist", `${path}.js`));
    const imports = Object.entries(modules).map(([name, path]) => `const ${name} = await import(${from(path)});`);
    const args = ["-rm", "bash", "-ec", `${script}; exec "$@"`, "bash", process.execPath, "--input-type=module", "-e"];
    const { stdout, stderr } = spawnSync(
      "unshare",
      [...args, `${imports.join("")}console.log(JSON.stringify(${program}))`],
      {
        encoding: "utf8",
        env: { ...process.env, QUIPU_CACHE: cacheFolder() },
      },
    );
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  }

  test("what cannot be removed stays, what can leaves, and what keeps it is said", () => {
    const most = limit();
    const locked = hollow("tokenizers", "locked", 0.3 * most, 3);
    hollow("weights", "old", 0.3 * most, 2);
    const last = hollow("weights", "last", 0.3 * most, 1);
    const lock = `mount --bind "$QUIPU_CACHE/tokenizers" "$QUIPU_CACHE/tokenizers"; mount -o remount,bind,ro "$QUIPU_CACHE/tokenizers"`;
    const made = JSON.stringify(cachePath("weights", "made"));
    expect(runWhere(lock, `[folder.makeRoom(${made}, ${Math.floor(0.3 * most)})]`)).toEqual([null]);
    expect(paths()).toEqual([locked, last]);
    const problem = `EROFS: read-only file system, unlink '${locked}'`;
    expect(runWhere(lock, `folder.makeRoom(${made}, ${Math.floor(0.9 * most)})`)).toBe(problem);
    expect(paths()).toEqual([locked]);
    hollow("weights", "old", 1000, 1);
    const cleared = "(() => { try { return generate.clearCache(); } catch (error) { return error.message; } })()";
    expect(runWhere(lock, cleared)).toBe(problem);
    expect(paths()).toEqual([locked]);
  });

  test("a disk of memory has no more room than there is memory", () => {
    const mount = `mount -t tmpfs -o size=1000g none "$QUIPU_CACHE"`;
    const [most, memory] = runWhere(mount, "[folder.cacheLimit([]), limits.availableMemory()]") as [number, number];
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(0.21 * memory); // others take memory too
  });
});
