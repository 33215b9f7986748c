// Who may fetch what: tokens and where they go, gated and missing repositories, names and forms that are refused, hubs that say little.
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import {
  CountingClock,
  contentsOf,
  expectedContents,
  HubServer,
  noise,
  pull,
  type ServedFile,
  useHub,
} from "../hub.js";
import type { Asked, Fault } from "../hub-server.js";

const root = temporaryFolder();
const REPO = "org/tiny";
const WEIGHTS = { path: "model.safetensors", bytes: noise(3500) };
const CONFIG = { path: "config.json", bytes: Buffer.from("{}") };
const TOKEN = "hf_secret";

let server: HubServer;
let other: HubServer;
let cache: string;
beforeEach(async () => {
  [server, other] = await Promise.all([HubServer.start(), HubServer.start()]);
  ({ cache } = useHub(server, root));
});
afterEach(() => Promise.all([server.close(), other.close()]));

const tokensSeen = (by: HubServer) => new Set(by.asked.map(({ headers }) => headers.authorization));
const refused = (message: RegExp) => ({ code: "ERR_PULL", message: expect.stringMatching(message) });

describe("the token", () => {
  beforeEach(() => {
    server.options = { token: TOKEN, contentOn: other };
    server.commit(REPO, [CONFIG, WEIGHTS]);
    other.commit(REPO, [CONFIG, WEIGHTS]);
  });

  test.each<[string, () => void]>([
    ["HF_TOKEN", () => Object.assign(process.env, { HF_TOKEN: `${TOKEN}\n` })],
    ["HUGGING_FACE_HUB_TOKEN", () => Object.assign(process.env, { HUGGING_FACE_HUB_TOKEN: TOKEN })],
    ["the file in HF_HOME", () => writeFileSync(join(process.env.HF_HOME!, "token"), `${TOKEN}\n`)],
    [
      "the file of HF_TOKEN_PATH",
      () => {
        writeFileSync(join(root, "elsewhere"), TOKEN);
        process.env.HF_TOKEN_PATH = join(root, "elsewhere");
      },
    ],
  ])("of %s goes to the hub, and to no host that it leads to", async (_, give) => {
    give();
    const { folder } = await pull(REPO);
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, WEIGHTS]));
    expect(tokensSeen(server)).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(other.count("content")).toBeGreaterThan(2);
    expect(tokensSeen(other)).toEqual(new Set([undefined]));
  });

  test("of the file is left at home where HF_HUB_DISABLE_IMPLICIT_TOKEN is set", async () => {
    writeFileSync(join(process.env.HF_HOME!, "token"), TOKEN);
    process.env.HF_HUB_DISABLE_IMPLICIT_TOKEN = "1";
    await expect(pull(REPO)).rejects.toMatchObject(refused(/no such repository, or it is private, and needs a token/));
    expect(tokensSeen(server)).toEqual(new Set([undefined]));
  });

  test("comes back with a redirect to the hub itself, but not by way of another host", async () => {
    process.env.HF_TOKEN = TOKEN;
    let moved = 0;
    const fault = ({ kind, path }: Asked): Fault =>
      kind === "revision" && moved++ === 0 ? { status: 307, headers: { location: `${server.url}${path}` } } : undefined;
    server.options = { token: TOKEN, fault };
    await pull(REPO);
    expect(tokensSeen(server)).toEqual(new Set([`Bearer ${TOKEN}`]));
  });

  test.each([
    ["another port", () => other.url],
    ["another name of the same machine", () => server.url.replace("127.0.0.1", "localhost")],
  ])("is not sent to %s that the API redirects to", async (_, target) => {
    process.env.HF_TOKEN = TOKEN;
    const fault = ({ kind, path, headers }: Asked): Fault =>
      kind === "revision" && headers.host === `127.0.0.1:${server.port}`
        ? { status: 302, headers: { location: `${target()}${path}` } }
        : undefined;
    server.options = { fault };
    await pull(REPO);
    const strangers = [...server.asked, ...other.asked].filter(
      ({ headers }) => headers.host !== `127.0.0.1:${server.port}`,
    );
    expect(strangers.length).toBeGreaterThan(0);
    for (const { headers } of strangers) expect(headers.authorization).toBeUndefined();
  });

  test("that is wrong is named by where it is from, and never printed", async () => {
    process.env.HF_TOKEN = "hf_expired";
    const error = await pull(REPO).catch((error: Error) => error);
    expect(error).toMatchObject(
      refused(/does not accept the token of HF_TOKEN: is it expired\? It says: "Invalid username/),
    );
    expect((error as Error).message).not.toContain("hf_expired");
  });

  test("with what no header may hold is a usage error that does not print it", async () => {
    process.env.HF_TOKEN = "hf_a\u0001b";
    await expect(pull(REPO)).rejects.toMatchObject({ code: "ERR_USAGE", message: expect.not.stringContaining("hf_a") });
  });
});

test("signed addresses that have expired are asked for anew", async () => {
  server.options = { contentOn: other };
  server.commit(REPO, [CONFIG, WEIGHTS]);
  other.commit(REPO, [CONFIG, WEIGHTS]);
  const uses = new Map<string, number>();
  other.options = {
    fault: ({ query }) => {
      const count = (uses.get(query) ?? 0) + 1;
      uses.set(query, count);
      return count > 1 ? { status: 403 } : undefined;
    },
  };
  const { folder } = await pull(REPO);
  expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, WEIGHTS]));
});

describe("a repository", () => {
  const answers = (status: number, headers: Record<string, string> = {}, kinds = ["revision"]) => {
    server.options = { fault: ({ kind }) => (kinds.includes(kind) ? { status, headers } : undefined) };
    server.commit(REPO, [CONFIG, WEIGHTS]);
  };

  test("that is gated says where its terms are accepted, and how a token is given", async () => {
    server.commit(REPO, [CONFIG, WEIGHTS], { gated: true });
    const page = `${server.url}/${REPO}`;
    await expect(pull(REPO)).rejects.toMatchObject(
      refused(
        new RegExp(
          `^org/tiny is gated: accept its terms on ${page} with an account there, then give a token of that account: in HF_TOKEN`,
        ),
      ),
    );
    expect(existsSync(join(cache, "models--org--tiny", "snapshots"))).toBe(false);
    answers(403, { "x-error-code": "GatedRepo" }, ["file"]);
    process.env.HF_TOKEN = TOKEN;
    await expect(pull(REPO)).rejects.toMatchObject(
      refused(/is gated: the account of the token of HF_TOKEN has no access yet\. Accept its terms on .*, and wait/),
    );
  });

  test.each<[string, number, Record<string, string>, RegExp]>([
    [
      "that is not there",
      404,
      { "x-error-code": "RepoNotFound" },
      /^org\/tiny: http:.* has no such repository, or it is private, and needs a token: HF_TOKEN/,
    ],
    ["of a hub that hides which it has", 401, {}, /has no such repository, or it is private/],
    ["that refuses", 403, {}, /^org\/tiny: access is refused\. If it is gated: accept its terms on/],
    [
      "without the revision",
      404,
      { "x-error-code": "RevisionNotFound" },
      /^org\/tiny: there is no branch, tag or commit "main"\. .*\/org\/tiny\/tree\/main lists them/,
    ],
    [
      "whose server answers nonsense",
      418,
      { "x-error-message": "I am\u0009a teapot" },
      /answered 418\. It says: "I am a teapot"$/,
    ],
  ])("%s is an error that says so", async (_, status, headers, message) => {
    answers(status, headers);
    await expect(pull(REPO)).rejects.toMatchObject(refused(message));
    expect(existsSync(cache)).toBe(false);
  });

  test("of no hub at all is an error that asks for HF_ENDPOINT", async () => {
    for (const body of ["<html>Welcome</html>", "[]", '{"sha": "../../x"}']) {
      server.options = { fault: () => ({ status: 200, body }) };
      await expect(pull(REPO)).rejects.toMatchObject(
        refused(/does not answer as a hub does: .*Is HF_ENDPOINT right\?$/),
      );
    }
  });

  test("that leads in circles, or to no place on the web, is not followed", async () => {
    const to = (location: string) => {
      server.options = { fault: () => ({ status: 302, headers: { location } }) };
    };
    to("/api/models/org/tiny/revision/main");
    await expect(pull(REPO)).rejects.toMatchObject(refused(/more than 5 redirects/));
    to("file:///etc/passwd?secret");
    await expect(pull(REPO)).rejects.toMatchObject(
      refused(/a redirect that is not followed: to "file:\/\/\/etc\/passwd"$/),
    );
  });

  test.each([
    "../../evil",
    "a/../../evil.json",
    "/etc/evil.json",
    "a//b.json",
    "..",
    "a\\b.json",
    "new\nline.json",
    "./x.json",
  ])("with a file %j is refused as a whole", async (path) => {
    server.commit(REPO, [CONFIG, WEIGHTS, { path, bytes: Buffer.from("x") }]);
    await expect(pull(REPO, { include: ["*"] })).rejects.toMatchObject(
      refused(/would leave its folder, or cannot be one\. Nothing was fetched/),
    );
    expect(server.count("file")).toBe(0);
  });

  const named = (...paths: string[]): ServedFile[] => paths.map((path) => ({ path, bytes: noise(20, path) }));

  test.each<[string, string[], RegExp]>([
    [
      "GGUF files",
      ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "README.md"],
      /there is m-Q4_K_M\.gguf: a GGUF file\. quipu reads safetensors: .* without GGUF\)\.$/,
    ],
    ["pickles", ["pytorch_model.bin", "config.json"], /there is pytorch_model\.bin: weights as PyTorch pickles them/],
    ["the original form", ["consolidated.safetensors", "params.json"], /the original form of Meta or Mistral/],
    [
      "an adapter",
      ["adapter_model.safetensors", "adapter_config.json"],
      /a LoRA adapter alone.* adapter_config\.json names the base model/,
    ],
    [
      "weights in folders",
      ["sub/model.safetensors", "config.json"],
      /its safetensors are in folders, sub\/model\.safetensors: name what to fetch/,
    ],
    ["nothing", [], /expected safetensors, but it has no files/],
  ])("with %s and no safetensors says what to take", async (_, paths, message) => {
    server.commit(REPO, named(...paths));
    await expect(pull(REPO)).rejects.toMatchObject(refused(message));
    expect(server.count("file")).toBe(0);
  });

  test.each<[string, string[], string[] | undefined, string[]]>([
    [
      "only what a checkpoint is read from",
      [
        "model.safetensors",
        "config.json",
        "tokenizer.model",
        "chat_template.jinja",
        "merges.txt",
        "LICENSE",
        "pytorch_model.bin",
        "m.gguf",
        "x.onnx",
        "run.py",
        ".gitattributes",
        "onnx/config.json",
        "additional_chat_templates/rag.jinja",
      ],
      undefined,
      [
        "LICENSE",
        "additional_chat_templates/rag.jinja",
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        "model.safetensors",
        "tokenizer.model",
      ],
    ],
    [
      "shards once, and not the original form beside them",
      [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "consolidated.safetensors",
        "model.fp16.safetensors",
      ],
      undefined,
      ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
    ],
    [
      "shards by whatever names an index has for them",
      ["model.safetensors.index.json", "a-1.safetensors", "a-2.safetensors", "consolidated.safetensors"],
      undefined,
      ["a-1.safetensors", "a-2.safetensors", "model.safetensors.index.json"],
    ],
    ["what patterns name", ["a.json", "b.json", "b.txt", "c.bin"], ["b.*", "[!ab].bin"], ["b.json", "b.txt", "c.bin"]],
    ["a folder by its name", ["on/a.json", "on/deep/b.bin", "x.json"], ["on/"], ["on/a.json", "on/deep/b.bin"]],
    ["a name with a dot as it stands", ["a.json", "aXjson"], ["a.json"], ["a.json"]],
  ])("gives %s", async (_, paths, include, expected) => {
    server.commit(REPO, named(...paths));
    const { folder, files } = await pull(REPO, { include });
    expect(Object.keys(contentsOf(folder)).sort()).toEqual([...expected].sort());
    expect(files).toHaveLength(expected.length);
  });

  test("that has none of what is asked for says what it has", async () => {
    server.commit(REPO, named("a.json", "b.json"));
    await expect(pull(REPO, { include: ["*.gguf"] })).rejects.toMatchObject(
      refused(/^org\/tiny: none of its files is \*\.gguf\. It has a\.json, b\.json\.$/),
    );
  });
});

describe("a hub that tells of files", () => {
  test.each(["hashes", "nothing"] as const)("without %s: sizes are verified, and that is said", async (lists) => {
    server.options = { lists };
    server.commit(REPO, [CONFIG, WEIGHTS]);
    const notices: string[] = [];
    const { folder, files } = await pull(REPO, { onNotice: (message) => notices.push(message) });
    expect(contentsOf(folder)).toEqual(expectedContents([CONFIG, WEIGHTS]));
    expect(files.map(({ verified }) => verified)).toEqual(["size", "size"]);
    expect(notices).toContain("model.safetensors: the hub gives no hash of it: nothing but its size is verified");
  });

  test("by ETags that are the same for two of them mixes none up", async () => {
    server.options = { lists: "hashes" };
    const [one, two] = [CONFIG, { path: "generation_config.json", bytes: Buffer.from("[]") }];
    server.commit(REPO, [one, two, WEIGHTS]);
    const { folder } = await pull(REPO);
    expect(contentsOf(folder)).toEqual(expectedContents([one, two, WEIGHTS]));
    const changed = { ...one, bytes: Buffer.from("{ ") };
    server.commit(REPO, [changed, two, WEIGHTS]);
    expect(contentsOf((await pull(REPO)).folder)).toEqual(expectedContents([changed, two, WEIGHTS]));
  });

  test("without sizes is not one", async () => {
    server.options = {
      fault: ({ kind, method }) =>
        kind === "tree"
          ? { status: 200, body: '[{"type":"file","path":"a.json"}]' }
          : method === "HEAD"
            ? { status: 200, headers: { "transfer-encoding": "chunked" } }
            : undefined,
    };
    server.commit(REPO, [CONFIG, WEIGHTS]);
    await expect(pull(REPO)).rejects.toMatchObject(refused(/a\.json: expected its size in the answer's headers/));
  });
});

describe("HF_HUB_OFFLINE", () => {
  test.each(["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])(
    "by %s asks nobody, and is content with what is there",
    async (name) => {
      const commit = server.commit(REPO, [CONFIG, WEIGHTS]);
      process.env[name] = "1";
      await expect(pull(REPO)).rejects.toMatchObject(
        refused(/^org\/tiny: main is not in the cache, and nothing is fetched, as HF_HUB_OFFLINE is set/),
      );
      delete process.env[name];
      await pull(REPO);
      process.env[name] = "true";
      server.forget();
      expect(await pull(REPO)).toMatchObject({ commit, fetchedBytes: 0 });
      await expect(pull(`${REPO}@${"0".repeat(40)}`)).rejects.toMatchObject(
        refused(/there is no snapshot of it in the cache/),
      );
      expect(server.asked).toEqual([]);
    },
  );

  test("takes a snapshot of another tool's if it is whole", async () => {
    const commit = "1".repeat(40);
    const repository = join(cache, "models--org--tiny");
    mkdirSync(join(repository, "snapshots", commit), { recursive: true });
    mkdirSync(join(repository, "refs"));
    writeFileSync(join(repository, "refs", "main"), `${commit}\n`);
    writeFileSync(join(repository, "snapshots", commit, "config.json"), "{}");
    process.env.HF_HUB_OFFLINE = "1";
    await expect(pull(REPO)).rejects.toMatchObject(refused(/its snapshot has no safetensors, and nothing is fetched/));
    writeFileSync(join(repository, "snapshots", commit, "model.safetensors"), "");
    expect(await pull(REPO)).toMatchObject({ commit, folder: join(repository, "snapshots", commit) });
  });
});

describe("a cache", () => {
  test("of an older version, with plain files, locks beside blobs and newlines in references, is used as it is", async () => {
    const commit = server.commit(REPO, [CONFIG, WEIGHTS]);
    const repository = join(cache, "models--org--tiny");
    mkdirSync(join(repository, "snapshots", commit), { recursive: true });
    mkdirSync(join(repository, "refs"));
    mkdirSync(join(repository, "blobs"));
    writeFileSync(join(repository, "refs", "main"), `${commit}\n`);
    writeFileSync(join(repository, "blobs", "0123.lock"), "");
    writeFileSync(join(cache, "version.txt"), "1\n");
    writeFileSync(join(repository, "snapshots", commit, WEIGHTS.path), WEIGHTS.bytes);
    expect(await pull(REPO)).toMatchObject({ fetchedBytes: 2 });
    expect(server.count("file", WEIGHTS.path)).toBe(0);
    expect(contentsOf(join(repository, "snapshots", commit))).toEqual(expectedContents([CONFIG, WEIGHTS]));
  });

  test("of a later version is left alone", async () => {
    server.commit(REPO, [CONFIG, WEIGHTS]);
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, "version.txt"), "2");
    await expect(pull(REPO)).rejects.toMatchObject(
      refused(/version\.txt: expected version 1 of the hub's cache, got "2"\. HF_HUB_CACHE names another/),
    );
    expect(server.asked).toEqual([]);
  });

  test("whose list of a commit is damaged asks for it again", async () => {
    const commit = server.commit(REPO, [CONFIG, WEIGHTS]);
    await pull(`${REPO}@${commit}`);
    const list = join(cache, "models--org--tiny", ".quipu", `${commit}.json`);
    for (const text of ["", "{", '{"files":[{"path":"x"}],"pinned":true}', "null"]) {
      writeFileSync(list, text);
      server.forget();
      await pull(`${REPO}@${commit}`);
      expect(server.count("tree")).toBe(1);
    }
    expect(JSON.parse(readFileSync(list, "utf8")).files).toHaveLength(2);
  });

  test("with huggingface_hub's list of a commit asks for none", async () => {
    const commit = server.commit(REPO, [CONFIG, WEIGHTS]);
    const { files } = await pull(`${REPO}@${commit}`);
    const repository = join(cache, "models--org--tiny");
    const [sha1, sha256] = [CONFIG, WEIGHTS].map(({ path }) =>
      basename(readlinkSync(join(repository, "snapshots", commit, path))),
    );
    rmSync(join(repository, ".quipu"), { recursive: true });
    const entries = {
      "config.json": { size: 2, blob_id: sha1 },
      "model.safetensors": {
        size: 3500,
        blob_id: "0".repeat(40),
        lfs_sha256: sha256,
        lfs_size: 3500,
        xet_hash: "0".repeat(64),
      },
    };
    mkdirSync(join(repository, "trees"));
    const list = join(repository, "trees", `${commit}.json`);
    writeFileSync(list, JSON.stringify({ format_version: 1, files: entries }));
    server.forget();
    expect((await pull(`${REPO}@${commit}`)).files.map(({ path }) => path)).toEqual(files.map(({ path }) => path));
    expect(server.asked).toEqual([]);
    rmSync(join(repository, ".quipu"), { recursive: true });
    writeFileSync(list, JSON.stringify({ format_version: 2, files: entries }));
    await pull(`${REPO}@${commit}`);
    expect(server.asked.map(({ kind }) => kind)).toEqual(["tree"]);
  });

  test("that has the branch as it was says so where the hub is away", async () => {
    const commit = server.commit(REPO, [CONFIG, WEIGHTS]);
    await pull(REPO);
    server.options = { fault: () => ({ drop: "before" }) };
    const clock = new CountingClock();
    await expect(pull(REPO, {}, clock)).rejects.toMatchObject(
      refused(new RegExp(`3 times\\. .* The cache has main as it was at commit ${commit}`)),
    );
    expect(clock.sleeps).toHaveLength(2);
  });
});
