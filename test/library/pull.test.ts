// pullModel against a hub on the loopback that does what hubs and the ways to them do: in the end the files are right, or the error says why.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { loadModel, modelFolder, type PullProgress, pruneModels } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { CountingClock, contentsOf, expectedContents, HubServer, noise, pull, tinyModelFiles, useHub } from "../hub.js";
import type { Asked, Fault } from "../hub-server.js";

const root = temporaryFolder();
const REPO = "org/tiny";
/** Several parts of a thousand bytes, and not a whole number of them. */
const LARGE = { path: "model.safetensors", bytes: noise(10_500) };
const CONFIG = { path: "config.json", bytes: Buffer.from("{}") };

let server: HubServer;
let cache: string;
beforeEach(async () => {
  server = await HubServer.start();
  ({ cache } = useHub(server, root));
});
afterEach(() => server.close());

const repository = (...names: string[]) => join(cache, "models--org--tiny", ...names);
const partials = () =>
  (existsSync(repository("blobs")) ? readdirSync(repository("blobs")) : []).filter((name) =>
    name.endsWith(".incomplete"),
  );
const isWeights = ({ kind, file }: Asked) => kind === "file" && file === LARGE.path;
/** A fault of the first requests for the weights. */
const first = (count: number, fault: Fault) => {
  let left = count;
  return (asked: Asked): Fault => (isWeights(asked) && left-- > 0 ? fault : undefined);
};

describe("a model", () => {
  test("lies where the hub's other clients look for it, and loads", async () => {
    const files = tinyModelFiles();
    const commit = server.commit(REPO, files);
    const result = await pull(REPO);
    expect(result).toMatchObject({ repo: REPO, revision: "main", commit, folder: repository("snapshots", commit) });
    expect(readFileSync(repository("refs", "main"), "utf8")).toBe(commit);
    const wanted = files.filter(({ path }) => ["README.md", "config.json", "model.safetensors"].includes(path));
    expect(contentsOf(result.folder)).toEqual(expectedContents(wanted));
    expect(result.files.map(({ path, verified }) => [path, verified])).toEqual([
      ["README.md", "git-sha1"],
      ["config.json", "git-sha1"],
      ["model.safetensors", "sha256"],
    ]);
    expect(result.fetchedBytes).toBe(wanted.reduce((sum, { bytes }) => sum + bytes.length, 0));
    expect(partials()).toEqual([]);
    expect(modelFolder(REPO)).toBe(result.folder);
    await using model = await loadModel(REPO, { tokenizer: false });
    expect(model.config.vocabSize).toBe(32);
  });

  test("that is there is not fetched again, and one that has changed only where it has", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    await pull(REPO);
    server.forget();
    expect(await pull(REPO)).toMatchObject({ fetchedBytes: 0 });
    expect(server.asked.map(({ kind }) => kind)).toEqual(["revision"]);
    const changed = { ...CONFIG, bytes: Buffer.from("{ }") };
    const commit = server.commit(REPO, [changed, LARGE]);
    expect(await pull(REPO)).toMatchObject({ commit, fetchedBytes: 3 });
    expect(server.count("file", LARGE.path)).toBe(0);
    expect(contentsOf(repository("snapshots", commit))).toEqual(expectedContents([changed, LARGE]));
  });

  test("that is pinned by its commit is asked for once, and leaves main alone", async () => {
    const commit = server.commit(REPO, [CONFIG, LARGE]);
    await pull(`${REPO}@${commit}`);
    expect(existsSync(repository("refs"))).toBe(false);
    server.forget();
    expect(await pull(REPO, { revision: commit })).toMatchObject({ commit, fetchedBytes: 0 });
    expect(server.asked).toEqual([]);
    expect(modelFolder(`${REPO}@${commit}`)).toBe(repository("snapshots", commit));
  });

  test("may have a branch whose name is a path", async () => {
    const commit = server.commit(REPO, [CONFIG, LARGE]);
    await pull(`${REPO}@refs/pr/1`);
    expect(readFileSync(repository("refs", "refs", "pr", "1"), "utf8")).toBe(commit);
    expect(modelFolder(`${REPO}@refs/pr/1`)).toBe(repository("snapshots", commit));
  });

  test("comes in parts, side by side, each once", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    await pull(REPO);
    const ranges = server.asked.filter(isWeights).map(({ headers }) => headers.range);
    const starts = Array.from({ length: 11 }, (_, i) => i * 1000);
    expect(server.connections).toBeLessThanOrEqual(9); // requests at once, and one to list
    expect(ranges.sort()).toEqual(starts.map((at) => `bytes=${at}-${Math.min(at + 999, 10_499)}`).sort());
  });

  test("whose list has pages is fetched whole", async () => {
    server.options = { pageSize: 2 };
    const files = ["a", "b", "c", "d"].map((name) => ({ path: `${name}.json`, bytes: noise(10, name) }));
    server.commit(REPO, [...files, LARGE]);
    const { folder } = await pull(REPO);
    expect(contentsOf(folder)).toEqual(expectedContents([...files, LARGE]));
    expect(server.count("tree")).toBe(3);
  });

  test("with the same bytes under two names is fetched once", async () => {
    const twin = { path: "twin.safetensors", bytes: LARGE.bytes };
    server.commit(REPO, [CONFIG, { ...LARGE, path: "one.safetensors" }, twin]);
    const { folder, fetchedBytes } = await pull(REPO);
    expect(fetchedBytes).toBe(LARGE.bytes.length + 2);
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, { ...LARGE, path: "one.safetensors" }, twin]));
  });

  test("may have an empty file", async () => {
    const empty = { path: "empty.txt", bytes: Buffer.alloc(0) };
    server.commit(REPO, [CONFIG, empty, LARGE]);
    expect(contentsOf((await pull(REPO)).folder)).toEqual(expectedContents([CONFIG, empty, LARGE]));
  });

  test("tells how far each file is", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    const told: PullProgress[] = [];
    await pull(REPO, { onProgress: (progress) => told.push(progress) });
    const weights = told.filter(({ path }) => path === LARGE.path);
    expect(weights[0]).toEqual({ path: LARGE.path, done: 0, size: 10_500, state: "waiting" });
    expect(weights.at(-1)).toEqual({ path: LARGE.path, done: 10_500, size: 10_500, state: "fetched" });
    const bytes = weights.map(({ done }) => done);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(new Set(bytes).size).toBeGreaterThan(5);
    told.length = 0;
    await pull(REPO, { onProgress: (progress) => told.push(progress) });
    expect(told.map(({ state }) => state)).toEqual(["kept", "kept"]);
  });

  test("is not fetched where nobody wants it", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    const plans: unknown[] = [];
    const confirm = (plan: unknown) => plans.push(plan) > 1;
    await expect(pull(REPO, { confirm })).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(plans).toMatchObject([{ repo: REPO, files: 2, bytes: 10_502, bytesToFetch: 10_502, endpoint: server.url }]);
    expect(server.count("file")).toBe(0);
    expect(existsSync(cache)).toBe(false);
  });

  test("whose file another removes while it is asked about is fetched all the same", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    const { folder } = await pull(REPO, { include: ["*.json"] });
    const confirm = () => {
      rmSync(folder, { recursive: true });
      pruneModels();
      return true;
    };
    expect(await pull(REPO, { confirm })).toMatchObject({ fetchedBytes: 10_502 });
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });

  test("with a plain file in its snapshot, and a blob of that name that is none, keeps the file", async () => {
    const commit = server.commit(REPO, [CONFIG, LARGE]);
    const { folder } = await pull(REPO);
    const name = basename(readlinkSync(join(folder, LARGE.path)));
    rmSync(join(folder, LARGE.path));
    writeFileSync(join(folder, LARGE.path), LARGE.bytes);
    writeFileSync(repository("blobs", name), "short");
    expect(await pull(REPO)).toMatchObject({ commit, fetchedBytes: 0 });
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });
});

describe("the way there", () => {
  test.each<[string, Fault, number]>([
    ["is dropped before the answer", { drop: "before" }, 2],
    ["is dropped in the middle", { drop: 400 }, 3],
    ["ends early as if all were well", { truncate: 300 }, 3],
    ["has too many requests", { status: 429 }, 2],
    ["fails inside", { status: 503 }, 4],
    ["brings a wrong byte", { corrupt: 7 }, 1],
  ])("that %s is gone again", async (_, fault, count) => {
    server.options = { fault: first(count, fault) };
    server.commit(REPO, [CONFIG, LARGE]);
    const notices: string[] = [];
    const { folder } = await pull(REPO, { onNotice: (message) => notices.push(message) });
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
    expect(notices.length).toBeGreaterThan(0);
  });

  test("that always drops what it has begun brings all of it in the end", async () => {
    server.options = { fault: (asked) => (isWeights(asked) ? { drop: 100 } : undefined) };
    server.commit(REPO, [CONFIG, LARGE]);
    expect(contentsOf((await pull(REPO)).folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });

  test("that never brings anything is an error after some tries, longer apart each time", async () => {
    server.options = { fault: (asked) => (isWeights(asked) ? { drop: "before" } : undefined) };
    server.commit(REPO, [CONFIG, LARGE]);
    const clock = new CountingClock();
    await expect(pull(REPO, {}, clock)).rejects.toMatchObject({
      code: "ERR_PULL",
      message: expect.stringMatching(
        /^127\.0\.0\.1:\d+: the connection was dropped, 6 times\. Try again later: a pull goes on with what it has/,
      ),
    });
    expect(clock.sleeps).toHaveLength(5);
    clock.sleeps.forEach((ms, i) => {
      expect(ms).toBeGreaterThanOrEqual(0.75 * 500 * 2 ** i);
      expect(ms).toBeLessThanOrEqual(1.25 * 500 * 2 ** i);
    });
    expect(existsSync(repository("snapshots"))).toBe(false);
    expect(existsSync(repository("refs"))).toBe(false);
  });

  test("that always brings wrong bytes leaves none of them", async () => {
    server.options = { fault: (asked) => (isWeights(asked) ? { corrupt: 3 } : undefined) };
    server.commit(REPO, [CONFIG, LARGE]);
    await expect(pull(REPO)).rejects.toMatchObject({
      code: "ERR_PULL",
      message: expect.stringMatching(
        /^model\.safetensors: its bytes are wrong: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}\. It was fetched 2 times, and is not kept/,
      ),
    });
    expect(partials()).toEqual([]);
    expect(existsSync(repository("snapshots"))).toBe(false);
  });

  test.each([
    ["seconds", "7", 7000],
    ["a date", new Date(Date.UTC(2026, 0, 1, 0, 1)).toUTCString(), 60_000],
  ])("that asks to wait, by %s, is asked again then", async (_, header, ms) => {
    server.options = { fault: first(1, { status: 429, headers: { "retry-after": header } }) };
    server.commit(REPO, [CONFIG, LARGE]);
    const clock = new CountingClock();
    await pull(REPO, {}, clock);
    expect(clock.sleeps).toEqual([ms]);
  });

  test("that asks to wait for an hour is not waited for", async () => {
    server.options = { fault: first(1, { status: 429, headers: { "retry-after": "3600" } }) };
    server.commit(REPO, [CONFIG, LARGE]);
    const clock = new CountingClock();
    await expect(pull(REPO, {}, clock)).rejects.toMatchObject({
      message: expect.stringContaining("asks to wait 3600 s"),
    });
    expect(clock.sleeps).toEqual([]);
  });

  test("whose server knows no ranges brings the file once", async () => {
    server.options = { fault: (asked) => (isWeights(asked) ? { ignoreRange: true } : undefined) };
    server.commit(REPO, [CONFIG, LARGE]);
    expect(contentsOf((await pull(REPO)).folder)).toEqual(expectedContents([CONFIG, LARGE]));
    expect(server.count("file", LARGE.path)).toBe(1);
  });

  test("that is silent is left after a while", async () => {
    let held = 0;
    server.options = { fault: (asked) => (isWeights(asked) && held++ === 0 ? { hold: 0, held: () => {} } : undefined) };
    server.commit(REPO, [CONFIG, LARGE]);
    const { pullWith } = await import("#quipu/checkpoint/hub/pull.js");
    const { folder } = await pullWith({ clock: new CountingClock(), silenceMs: 300, partBytes: 1000 }, REPO);
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });

  test("that is slow is waited for: what has come is written, byte by byte", async () => {
    server.options = {
      fault: (asked) =>
        isWeights(asked) && asked.headers.range === "bytes=0-999"
          ? { hold: 300, held: (release) => releases.push(release) }
          : undefined,
    };
    const releases: (() => void)[] = [];
    server.commit(REPO, [CONFIG, LARGE]);
    const pulling = pull(REPO, {
      onProgress: ({ path, done }) => {
        if (path === LARGE.path && done === 300) for (const release of releases) release();
      },
    });
    expect(contentsOf((await pulling).folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });
});

describe("what is there of a download that was ended", () => {
  const blob = () =>
    repository("blobs", readdirSync(repository("blobs")).find((name) => name.endsWith(".incomplete"))!);

  async function abortAt(bytes: number): Promise<void> {
    const controller = new AbortController();
    const onProgress = ({ path, done }: PullProgress) => {
      if (path === LARGE.path && done >= bytes) controller.abort();
    };
    await expect(pull(REPO, { onProgress, signal: controller.signal })).rejects.toMatchObject({ code: "ERR_ABORTED" });
  }

  test("is its beginning, which the next goes on from", async () => {
    server.commit(REPO, [CONFIG, LARGE]);
    await abortAt(3000);
    const there = readFileSync(blob());
    expect(there.length).toBeGreaterThanOrEqual(3000);
    expect(there.equals(LARGE.bytes.subarray(0, there.length))).toBe(true);
    expect(() => modelFolder(REPO)).toThrow(expect.objectContaining({ code: "ERR_MODEL_NOT_FOUND", repo: REPO }));
    server.forget();
    const result = await pull(REPO);
    expect(result.files.find(({ path }) => path === LARGE.path)).toMatchObject({
      fetchedBytes: 10_500 - there.length,
      verified: "sha256",
    });
    const starts = server.asked.filter(isWeights).map(({ headers }) => Number(/\d+/.exec(headers.range!)![0]));
    expect(Math.min(...starts)).toBe(there.length);
    expect(contentsOf(result.folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });

  test.each([
    ["with other bytes", (path: string) => writeFileSync(path, noise(2000, "other"))],
    ["longer than the file", (path: string) => appendFileSync(path, noise(20_000))],
  ])("%s is not used", async (_, spoil) => {
    server.commit(REPO, [CONFIG, LARGE]);
    await abortAt(1000);
    spoil(blob());
    expect(contentsOf((await pull(REPO)).folder)).toEqual(expectedContents([CONFIG, LARGE]));
  });

  test("that an older huggingface_hub left is gone on from, and a whole one only verified", async () => {
    const commit = server.commit(REPO, [CONFIG, LARGE]);
    const { createHash } = await import("node:crypto");
    const sha = createHash("sha256").update(LARGE.bytes).digest("hex");
    mkdirSync(repository("blobs"), { recursive: true });
    writeFileSync(repository("blobs", `${sha}.incomplete`), LARGE.bytes);
    expect(await pull(REPO)).toMatchObject({ commit, fetchedBytes: 2 });
    expect(server.count("file", LARGE.path)).toBe(0);
  });
});

test("two pulls at once fetch each byte once", async () => {
  server.commit(REPO, [CONFIG, LARGE]);
  const results = await Promise.all([pull(REPO), pull(REPO)]);
  expect(results[0]!.folder).toBe(results[1]!.folder);
  expect(results[0]!.fetchedBytes + results[1]!.fetchedBytes).toBe(10_502);
  expect(contentsOf(results[0]!.folder)).toEqual(expectedContents([CONFIG, LARGE]));
});

test("what is damaged in the cache is found by verify, and mended", async () => {
  server.commit(REPO, [CONFIG, LARGE]);
  const { folder } = await pull(REPO);
  const bytes = Buffer.from(LARGE.bytes);
  bytes[77]! ^= 1;
  writeFileSync(join(folder, LARGE.path), bytes);
  expect(await pull(REPO)).toMatchObject({ fetchedBytes: 0 });
  const notices: string[] = [];
  expect(await pull(REPO, { verify: true, onNotice: (message) => notices.push(message) })).toMatchObject({
    fetchedBytes: 10_500,
  });
  expect(notices).toEqual(["model.safetensors: it is damaged in the cache, and is fetched anew"]);
  expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
});

test("a file that is shorter in the cache than it should be is fetched anew", async () => {
  server.commit(REPO, [CONFIG, LARGE]);
  const { folder } = await pull(REPO);
  writeFileSync(join(folder, LARGE.path), LARGE.bytes.subarray(0, 5000));
  await pull(REPO);
  expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, LARGE]));
});
