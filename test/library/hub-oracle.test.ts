// The hub's own JavaScript client as an oracle: what it fetches quipu finds, and what quipu fetches it finds, without asking again.
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { scanCacheDir, snapshotDownload } from "@huggingface/hub";
import { listModels, loadModel, modelFolder } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { contentsOf, expectedContents, HubServer, pull, tinyModelFiles, useHub } from "../hub.js";

const root = temporaryFolder();
const REPO = "org/tiny";
const FILES = [...tinyModelFiles(), { path: "nested/deep/notes.txt", bytes: Buffer.from("deep\n") }];

let server: HubServer;
let cache: string;
beforeEach(async () => {
  server = await HubServer.start();
  ({ cache } = useHub(server, root));
  console.debug = () => {}; // where it says what it does
});
afterEach(() => server.close());

const theirs = () => snapshotDownload({ repo: REPO, hubUrl: server.url, cacheDir: cache });
const everything = () => pull(REPO, { include: ["*"] });

/** Names, links and what they lead to; without what is quipu's own, and locks, which the other client has not. */
function layoutOf(folder: string, under = ""): Record<string, string> {
  return Object.fromEntries(
    readdirSync(join(folder, under)).flatMap((name): (readonly [string, string])[] => {
      const path = join(under, name);
      if ([".quipu", ".locks"].includes(name)) return [];
      const info = lstatSync(join(folder, path));
      if (info.isDirectory()) return Object.entries(layoutOf(folder, path));
      return [[path, info.isSymbolicLink() ? `→ ${readlinkSync(join(folder, path))}` : `${info.size} bytes`]];
    }),
  );
}

test("both lay a repository out alike, link by link", async () => {
  server.commit(REPO, FILES);
  await theirs();
  const expected = layoutOf(cache);
  expect(Object.keys(expected).length).toBeGreaterThan(2 * FILES.length);
  ({ cache } = useHub(server, root));
  await everything();
  expect(layoutOf(cache)).toEqual(expected);
});

test("what it fetched is used: by its name, and by a pull that fetches nothing", async () => {
  const commit = server.commit(REPO, FILES);
  const folder = await theirs();
  expect(modelFolder(REPO)).toBe(folder);
  await using model = await loadModel(REPO, { tokenizer: false });
  expect(model.config.vocabSize).toBe(32);
  server.forget();
  expect(await everything()).toMatchObject({ commit, folder, fetchedBytes: 0 });
  expect(server.count("file")).toBe(0);
  expect(listModels()).toMatchObject([
    { repo: REPO, revisions: [{ commit, references: ["main"], files: FILES.length }] },
  ]);
});

test("what quipu fetched it finds, and counts as its own", async () => {
  const commit = server.commit(REPO, FILES);
  const { folder } = await everything();
  server.forget();
  expect(await theirs()).toBe(folder);
  expect(server.count("file")).toBe(0);
  expect(contentsOf(folder)).toEqual(expectedContents(FILES));
  const { repos, warnings } = await scanCacheDir(cache);
  expect(warnings).toEqual([]);
  expect(repos).toHaveLength(1);
  expect(repos[0]!.revisions.map(({ commitOid, refs }) => [commitOid, refs])).toEqual([[commit, ["main"]]]);
  const itsOwn = FILES.filter(({ path }) => !path.includes("/")); // it does not look into folders
  expect(repos[0]!.size).toBe(itsOwn.reduce((sum, { bytes }) => sum + bytes.length, 0));
});

test("a partial file of a download of its own that was cut is gone on from", async () => {
  server.options = {
    fault: ({ kind, file, method }) =>
      kind === "file" && file === "model.safetensors" && method === "GET" ? { drop: 3000 } : undefined,
  };
  server.commit(REPO, FILES);
  await expect(theirs()).rejects.toThrow();
  server.options = {};
  const result = await everything();
  expect(contentsOf(result.folder)).toEqual(expectedContents(FILES));
});
