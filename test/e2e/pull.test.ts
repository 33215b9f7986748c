// quipu pull as a user runs it, against a hub on the loopback; and what else ends a pull than itself.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { contentsOf, expectedContents, HubServer, noise, type ServedFile, useHub } from "../hub.js";
import type { Asked, Fault } from "../hub-server.js";
import { describeWhere } from "../where.js";
import { CLI, finish, quipu, ROOT } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal } from "./terminal.js";

const root = temporaryFolder();
const REPO = "org/tiny";
const STORYTELLER = join(ROOT, "models/storyteller");
const FILES: readonly ServedFile[] = readdirSync(STORYTELLER).map((path) => ({
  path,
  bytes: readFileSync(join(STORYTELLER, path)),
}));
const WEIGHTS = FILES.find(({ path }) => path === "model.safetensors")!;
const CONFIG = { path: "config.json", bytes: Buffer.from("{}") };

let server: HubServer;
let cache: string;
let env: Record<string, string>;
let commit: string;
beforeEach(async () => {
  server = await HubServer.start();
  ({ cache, env } = useHub(server, root));
  commit = server.commit(REPO, FILES);
});
afterEach(() => server.close());

const repository = (...names: string[]) => join(cache, "models--org--tiny", ...names);
const snapshot = () => repository("snapshots", commit);
const isWeights = ({ kind, file }: Asked) => kind === "file" && file === WEIGHTS.path;

/** The first request for the weights gets so many bytes; resolves with what sends the rest. */
function holdWeights(bytes: number): Promise<() => void> {
  let count = 0;
  return new Promise((resolve) => {
    server.options = {
      fault: (asked: Asked): Fault => (isWeights(asked) && count++ === 0 ? { hold: bytes, held: resolve } : undefined),
    };
  });
}

test("prints the folder, says on stderr what it did, and the model answers by its name", async () => {
  const pulled = await quipu(["pull", REPO], { env });
  expect(pulled).toEqual({
    status: 0,
    stdout: `${snapshot()}\n`,
    stderr: `quipu: fetching org/tiny: 7 files, 4.7 MiB from ${server.url}\nquipu: org/tiny: 4.7 MiB fetched and verified\n`,
  });
  expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
  const asked = ["Once upon a time", "-n", "12", "-s", "3", "-t", "1"];
  const [named, embedded, again] = await Promise.all([
    quipu(["-m", REPO, ...asked], { env }),
    quipu(asked, { env }),
    quipu(["pull", REPO], { env }),
  ]);
  expect(named).toEqual(embedded);
  expect(again).toEqual({ status: 0, stdout: `${snapshot()}\n`, stderr: "" });
});

test("a file of the cache that is damaged is an error that says how to mend it, which does", async () => {
  await quipu(["pull", REPO, "--quiet"], { env });
  const generates = ["hi", "-m", REPO];
  const inspects = ["inspect", REPO]; // of a tokenizer a warning
  const plans = ["plan", REPO, "--no-speed"];
  const counts = ["tokens", "hi", "-m", REPO, "--limit", "context"];
  const damage: [name: string, text: string, readers: string[][]][] = [
    ["model.safetensors", "cut", [generates, inspects, plans]],
    ["tokenizer.json", "{", [generates, counts, ["inspect", "prompt", "hi", "-m", REPO]]],
    ["config.json", '{"model_type": ', [generates, inspects, plans, counts]],
  ];
  for (const [name, text, readers] of damage) {
    writeFileSync(join(snapshot(), name), text);
    const mend = `It is a file of ${REPO} in the hub's cache (${snapshot()}): \`quipu pull ${REPO}@${commit}\` mends it if it is damaged (with --verify).\n`;
    for (const args of readers) {
      const { status, stderr } = await quipu(args, { env });
      expect({ args, status, said: stderr.slice(-mend.length) }).toEqual({ args, status: 3, said: mend });
    }
    await quipu(["pull", `${REPO}@${commit}`, "--verify"], { env });
  }
  expect(await quipu(["-m", REPO, "hi", "-n", "1", "-t", "1"], { env })).toMatchObject({ status: 0, stderr: "" });
});

test("a repository of which the cache has other forms alone: what there is, and what to take", async () => {
  await quipu(["pull", REPO, "--include", "*.json", "--quiet"], { env });
  writeFileSync(join(snapshot(), "tiny.Q4_0.gguf"), "GGUF"); // as other tools fetch single files
  const said =
    /^quipu: org\/tiny: its snapshot has no safetensors: there is tiny\.Q4_0\.gguf: a GGUF file\. quipu reads safetensors: give the folder .* \(.*\)\. `quipu pull org\/tiny` fetches safetensors where the repository has them/;
  expect(await quipu(["hi", "-m", REPO], { env })).toMatchObject({ status: 3, stderr: expect.stringMatching(said) });
  rmSync(join(snapshot(), "config.json"));
  expect(await quipu(["hi", "-m", REPO], { env })).toMatchObject({ status: 3, stderr: expect.stringMatching(said) });
});

test("--json is one object; --quiet says nothing", async () => {
  const { status, stdout, stderr } = await quipu(["pull", `${REPO}@${commit}`, "--json", "--quiet"], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const bytes = FILES.reduce((sum, file) => sum + file.bytes.length, 0);
  expect(JSON.parse(stdout)).toMatchObject({
    repo: REPO,
    revision: commit,
    commit,
    folder: snapshot(),
    bytes,
    fetchedBytes: bytes,
  });
  expect(JSON.parse(stdout).files).toContainEqual({
    ...{ path: WEIGHTS.path, bytes: WEIGHTS.bytes.length, fetchedBytes: WEIGHTS.bytes.length, verified: "sha256" },
  });
});

test("--include takes patterns, --verify mends", async () => {
  expect(await quipu(["pull", REPO, "--include", "*.json", "--include", "README*", "--quiet"], { env })).toMatchObject({
    status: 0,
  });
  expect(Object.keys(contentsOf(snapshot()))).toEqual(
    FILES.map(({ path }) => path)
      .filter((path) => /\.json$|^README/.test(path))
      .sort(),
  );
  writeFileSync(
    join(snapshot(), "config.json"),
    "x".repeat(FILES.find(({ path }) => path === "config.json")!.bytes.length),
  );
  const { status, stderr } = await quipu(["pull", REPO, "--verify"], { env });
  expect({ status, stderr }).toMatchObject({
    status: 0,
    stderr: expect.stringContaining("config.json: it is damaged in the cache"),
  });
  expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
});

describe("what it ends with", () => {
  const stranger = { path: "m.gguf", bytes: Buffer.from("GGUF") };

  test.each<[string, () => string[], number, RegExp]>([
    ["no name", () => ["pull"], 2, /missing required argument 'repo'/],
    ["a path", () => ["pull", "./models/x"], 2, /^quipu: repo: expected the name of a repository, as org\/name/],
    ["two names", () => ["pull", "a/b", "c/d"], 2, /too many arguments/],
    [
      "a repository that is not there",
      () => ["pull", "org/absent"],
      3,
      /^quipu: org\/absent: http:.* has no such repository/,
    ],
    [
      "a revision that is not there",
      () => ["pull", `${REPO}@v9`],
      3,
      /^quipu: org\/tiny: there is no branch, tag or commit "v9"/,
    ],
    [
      "only GGUF",
      () => {
        server.commit("org/gguf", [stranger]);
        return ["pull", "org/gguf"];
      },
      3,
      /^quipu: org\/gguf: there is m\.gguf: a GGUF file/,
    ],
    ["a pattern of nothing", () => ["pull", REPO, "--include", "*.bin"], 3, /none of its files is \*\.bin/],
    [
      "-m of what is not there",
      () => ["-m", "org/absent", "hi"],
      3,
      /^quipu: org\/absent: no such folder, and no model of that name in the hub's cache \(.*\)\. `quipu pull org\/absent` fetches it/,
    ],
    [
      "-m of a path that is not there",
      () => ["-m", "./absent", "hi"],
      3,
      /^quipu: \.\/absent: no such folder, and no model of that name\. Give/,
    ],
  ])("%s", async (_, args, status, message) => {
    const result = await quipu(args(), { env });
    expect(result).toMatchObject({ status, stdout: "", stderr: expect.stringMatching(message) });
  });

  test("an address that answers nothing, after a few tries", async () => {
    const { port } = server;
    await server.close();
    const result = await quipu(["pull", REPO], { env });
    expect(result).toMatchObject({ status: 3, stdout: "" });
    expect(result.stderr).toMatch(
      new RegExp(`127\\.0\\.0\\.1:${port}: the connection was refused; trying again in .* s\n.*\n.*refused, 3 times`),
    );
    server = await HubServer.start();
  });
});

/** A process that pulls, and says how many bytes of the weights are written. */
function startPull(): ReturnType<typeof spawn> {
  const program = `import { pullModel } from "quipu-llm";
    await pullModel("${REPO}", { onProgress: ({ path, done }) => path === "${WEIGHTS.path}" && process.stdout.write(done + "\\n") });`;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function said(
  child: ReturnType<typeof spawn>,
  what: RegExp,
  stream: "stdout" | "stderr" = "stdout",
): Promise<void> {
  let text = "";
  for await (const chunk of child[stream]!) {
    text += chunk;
    if (what.test(text)) return;
  }
  throw new Error(`it never said ${what}, but ${text}`);
}

test("killed in the middle, it leaves nothing that looks whole, and the next goes on there", async () => {
  const held = holdWeights(2_000_000);
  const child = startPull();
  await Promise.all([held, said(child, /^2000000$/m)]);
  child.kill("SIGKILL");
  await once(child, "exit");
  const weightsBlob = createHash("sha256").update(WEIGHTS.bytes).digest("hex"); // others may have been on their way, too
  expect(existsSync(repository("blobs", weightsBlob))).toBe(false);
  const partial = readFileSync(repository("blobs", `${weightsBlob}.incomplete`));
  expect(partial.equals(WEIGHTS.bytes.subarray(0, 2_000_000))).toBe(true);
  expect(await quipu(["-m", REPO, "hi"], { env })).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/org\/tiny: .* `quipu pull org\/tiny` fetches it/),
  });
  const { stdout } = await quipu(["pull", REPO, "--json", "--quiet"], { env });
  const weights = JSON.parse(stdout).files.find(({ path }: { path: string }) => path === WEIGHTS.path);
  expect(weights).toMatchObject({ fetchedBytes: WEIGHTS.bytes.length - 2_000_000, verified: "sha256" });
  expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
});

test("Ctrl-C ends it with 130, and what was fetched stays", async () => {
  const held = holdWeights(1_000_000);
  const child = spawn(process.execPath, [CLI, "pull", REPO], { cwd: ROOT, env: { ...process.env, ...env } });
  const ended = finish(child, "");
  await held;
  child.kill("SIGINT");
  expect(await ended).toMatchObject({
    ...{ status: 130, stdout: "" },
    stderr: expect.stringMatching(
      /fetching .*\nquipu: what has been fetched is kept: the same command goes on with it\n$/,
    ),
  });
  expect(await quipu(["pull", REPO, "--quiet"], { env })).toMatchObject({ status: 0 });
  expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
});

test("two at once fetch each byte once: the second says what it waits for", async () => {
  const held = holdWeights(1_000_000);
  const one = startPull();
  const release = await held;
  const two = spawn(process.execPath, [CLI, "pull", REPO], { cwd: ROOT, env: { ...process.env, ...env } });
  await said(two, /model\.safetensors: another process is fetching it; waiting for that/, "stderr");
  one.stdout!.resume();
  two.stdout.resume();
  release();
  const statuses = await Promise.all([one, two].map((child) => once(child, "exit").then(([status]) => status)));
  expect(statuses).toEqual([0, 0]);
  expect(server.count("file", WEIGHTS.path)).toBe(1);
  expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
});

const small = mkdtempSync(join(root, "small-"));
const mounts = (...args: string[]) => spawnSync("mount", args).status === 0;
const canMount = mounts("-t", "tmpfs", "-o", "size=8M", "tmpfs", small);

describeWhere(canMount, "small and read-only disks need to be mounted")("a disk of 8 MB", () => {
  afterAll(() => spawnSync("umount", [small]));
  beforeEach(() => {
    mounts("-o", "remount,rw", small);
    for (const name of readdirSync(small)) rmSync(join(small, name), { recursive: true });
    env.HF_HUB_CACHE = small;
  });

  test("is looked at before anything is fetched", async () => {
    server.commit("org/large", [CONFIG, { path: "model.safetensors", bytes: noise(9_000_000) }]);
    const { status, stderr } = await quipu(["pull", "org/large"], { env });
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /: 8\.6 MiB are to be fetched, and its disk has 8\.0 MiB free\. Free some space, or set HF_HUB_CACHE to a folder on another disk\.$/m,
    );
    expect(server.count("file")).toBe(0);
  });

  test("that others fill meanwhile is an error, and the pull goes on when there is room", async () => {
    const held = holdWeights(1_000_000);
    const ended = quipu(["pull", REPO], { env });
    const release = await held;
    writeFileSync(join(small, "other"), Buffer.alloc(6_500_000));
    release();
    expect(await ended).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(
        /\.incomplete: the disk is full \(ENOSPC.*What has been fetched is kept; free some space, or set HF_HUB_CACHE to a folder on another disk\.$/m,
      ),
    });
    expect(readdirSync(join(small, "models--org--tiny"))).toEqual(["blobs"]);
    rmSync(join(small, "other"));
    const { stdout, status } = await quipu(["pull", REPO, "--json", "--quiet"], { env });
    expect(status).toBe(0);
    const weights = JSON.parse(stdout).files.find(({ path }: { path: string }) => path === WEIGHTS.path);
    expect(weights.fetchedBytes).toBeLessThanOrEqual(WEIGHTS.bytes.length - 1_000_000);
    expect(contentsOf(JSON.parse(stdout).folder)).toEqual(expectedContents(FILES));
  });

  test("that may only be read gives what it has, and takes nothing", async () => {
    await quipu(["pull", REPO, "--quiet"], { env });
    server.commit("org/other", [CONFIG, { path: "model.safetensors", bytes: noise(100) }]);
    expect(mounts("-o", "remount,ro", small)).toBe(true);
    expect(await quipu(["pull", REPO], { env })).toMatchObject({ status: 0, stderr: "" });
    expect(await quipu(["-m", REPO, "Once", "-n", "2"], { env })).toMatchObject({ status: 0, stderr: "" });
    expect(await quipu(["pull", "org/other"], { env })).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/cannot be written: EROFS.*\. HF_HUB_CACHE names another folder for the cache\.$/m),
    });
    expect(await quipu(["models"], { env })).toMatchObject({ status: 0, stdout: expect.stringContaining("org/tiny") });
    expect(await quipu(["models", "remove", REPO], { env })).toEqual({
      ...{ status: 3, stdout: "" },
      stderr: expect.stringMatching(
        /^quipu: \S+models--org--tiny: cannot be removed: EROFS.*\. Remove it as a user who may write there\.\n$/,
      ),
    });
    expect(await quipu(["models", "prune"], { env })).toEqual({
      ...{ status: 3, stdout: "" },
      stderr: expect.stringMatching(/^quipu: \S+: cannot be (written|removed): EROFS.*\n$/),
    });
  });
});

describe("the environment", () => {
  const home = mkdtempSync(join(root, "xdg-"));

  test.each<[string, Record<string, string>, string]>([
    ["HF_HUB_CACHE", { HF_HUB_CACHE: join(home, "a") }, join(home, "a")],
    ["HUGGINGFACE_HUB_CACHE", { HUGGINGFACE_HUB_CACHE: join(home, "b") }, join(home, "b")],
    ["HF_HOME", { HF_HOME: join(home, "c") }, join(home, "c", "hub")],
    ["HF_HOME with a tilde", { HF_HOME: "~/d", HOME: home }, join(home, "d", "hub")],
    ["HF_HOME with a variable", { HF_HOME: "$WHERE/e", WHERE: home }, join(home, "e", "hub")],
    ["XDG_CACHE_HOME", { HF_HOME: "", XDG_CACHE_HOME: join(home, "f") }, join(home, "f", "huggingface", "hub")],
    [
      "the home folder",
      { HF_HOME: "", XDG_CACHE_HOME: "", HOME: join(home, "g") },
      join(home, "g", ".cache", "huggingface", "hub"),
    ],
  ])("says where the cache is: %s", async (_, variables, expected) => {
    server.commit("org/small", [CONFIG, { path: "model.safetensors", bytes: noise(100) }]);
    mkdirSync(join(home, "g"), { recursive: true });
    const { status, stdout } = await quipu(["pull", "org/small", "--quiet"], { env: { ...env, ...variables } });
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringContaining(join(expected, "models--org--small", "snapshots")),
    });
  });

  test("HF_ENDPOINT that is no address is a usage error", async () => {
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, HF_ENDPOINT: "hub" } });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'quipu: HF_ENDPOINT: expected an address such as https://huggingface.co, got "hub"\n',
    });
  });

  test.each([
    ["HTTPS_PROXY", "proxy.example:3128", '"proxy.example:3128"'],
    ["https_proxy", "me:secret@proxy", '"…@proxy"'],
    ["HTTP_PROXY", "ftp://proxy.example", '"ftp://proxy.example"'],
  ])("%s that is no address is a usage error at once", async (name, value, shown) => {
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, [name]: value } });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `quipu: ${name}: expected an address such as http://127.0.0.1:3128, got ${shown}\n`,
    });
    expect(server.asked).toEqual([]);
  });

  test("HF_HUB_CACHE that is a file is an error, of a pull and of models", async () => {
    const file = join(home, "file");
    writeFileSync(file, "");
    const said = {
      status: 3,
      stderr: `quipu: ${file}: is no folder. HF_HUB_CACHE names the folder of the hub's cache.\n`,
    };
    for (const args of [["pull", REPO], ["models"]]) {
      expect(await quipu(args, { env: { ...env, HF_HUB_CACHE: file } })).toMatchObject(said);
    }
  });
});

const keys = mkdtempSync(join(root, "keys-"));
const [keyFile, certFile] = [join(keys, "key.pem"), join(keys, "cert.pem")];
const hasOpenssl =
  spawnSync("openssl", [
    ...[
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=127.0.0.1",
    ],
    ...["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", keyFile, "-out", certFile],
  ]).status === 0;

describeWhere(hasOpenssl, "certificates need openssl")("https", () => {
  let secure: HubServer;
  let proxy: ReturnType<typeof createServer>;
  let tunnels: string[];
  let proxyUrl: string;
  beforeEach(async () => {
    secure = await HubServer.start({}, { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") });
    secure.commit(REPO, FILES);
    tunnels = [];
    proxy = createServer().on("connect", ({ url = "", headers }, client) => {
      tunnels.push(`${url} ${headers["proxy-authorization"] ?? ""}`.trim());
      const { hostname, port } = new URL(`http://${url}`);
      const target = connect(Number(port), hostname, () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        target.pipe(client);
        client.pipe(target);
      });
      target.on("error", () => client.destroy());
      client.on("error", () => target.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    env = { HF_ENDPOINT: secure.url, HF_HOME: env.HF_HOME!, NODE_EXTRA_CA_CERTS: certFile };
    delete process.env.NO_PROXY;
  });
  afterEach(async () => {
    proxy.closeAllConnections();
    proxy.close();
    await secure.close();
  });

  test("goes through the proxy of HTTPS_PROXY, with its password", async () => {
    const HTTPS_PROXY = proxyUrl.replace("//", "//me:secret@");
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, HTTPS_PROXY } });
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.not.stringContaining("secret") });
    const expected = `127.0.0.1:${secure.port} Basic ${Buffer.from("me:secret").toString("base64")}`;
    expect(new Set(tunnels)).toEqual(new Set([expected]));
    expect(contentsOf(snapshot())).toEqual(expectedContents(FILES));
  });

  test.each([
    ["127.0.0.1", 0],
    ["example.org", 1],
    ["*", 0],
  ])("goes there directly where NO_PROXY has it: %s", async (NO_PROXY, least) => {
    const { status } = await quipu(["pull", REPO], { env: { ...env, HTTPS_PROXY: proxyUrl, NO_PROXY } });
    expect(status).toBe(0);
    expect(Math.min(1, tunnels.length)).toBe(least);
  });

  test("is not needed for a proxy: HTTP_PROXY is that of a hub by http", async () => {
    const plain = { HF_ENDPOINT: server.url, HTTP_PROXY: proxyUrl };
    expect(await quipu(["pull", REPO, "--quiet"], { env: { ...env, ...plain } })).toMatchObject({ status: 0 });
    expect(new Set(tunnels)).toEqual(new Set([`127.0.0.1:${server.port}`]));
  });

  test("with a certificate that nobody trusts is an error at once, which says what to do", async () => {
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, NODE_EXTRA_CA_CERTS: "" } });
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: expect.stringMatching(
        /^quipu: 127\.0\.0\.1:\d+: its certificate is not trusted: .*\. A proxy that opens connections .* NODE_EXTRA_CA_CERTS names its file\.\n$/,
      ),
    });
  });

  test("through a proxy that cannot be reached is an error that names the proxy", async () => {
    await new Promise((resolve) => proxy.close(resolve));
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, HTTPS_PROXY: proxyUrl } });
    expect(status).toBe(3);
    const { host } = new URL(proxyUrl);
    expect(stderr.split("\n").at(-2)).toBe(
      `quipu: the proxy ${host} (HTTPS_PROXY): the connection was refused, 3 times. Try again later: a pull goes on with what it has.`,
    );
  });

  test("through a proxy that refuses is an error that names the variables", async () => {
    proxy.removeAllListeners("connect").on("connect", (_, client) => client.end("HTTP/1.1 403 Forbidden\r\n\r\n"));
    const { status, stderr } = await quipu(["pull", REPO], { env: { ...env, HTTPS_PROXY: proxyUrl } });
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: expect.stringMatching(
        /^quipu: 127\.0\.0\.1:\d+ cannot be reached: .*403.*HTTPS_PROXY, HTTP_PROXY and NO_PROXY say which proxy/,
      ),
    });
  });
});

describeWhere(hasTerminal, NO_TERMINAL)("a terminal", () => {
  const ESC = "\x1b";
  /** Erases what is drawn, of one line or of several. */
  const ANY_ERASE = new RegExp(`\r(?:${ESC}\\[\\dA)?${ESC}\\[J`);
  const WITHOUT_STDOUT = { terminal: ["stdin", "stderr"] as const };

  /** Half of the weights; the rest when the terminal asks for the address that is returned. */
  function holdHalf(): string {
    void holdWeights(WEIGHTS.bytes.length / 2).then((release) => {
      server.on("asked", ({ path }) => {
        if (path === "/go") release();
      });
    });
    return `${server.url}/go`;
  }

  test("has a bar for a file and a line for all, which are erased", async () => {
    // When all that is held back is, and no other file is on its way.
    const steps = [{ after: "50 % of 4.5 MiB\r\n6 of 7 files, 2.4 MiB of 4.7 MiB", get: holdHalf() }];
    const { status, terminal, stdout } = await quipuOnTerminal(["pull", REPO], { ...WITHOUT_STDOUT, env, steps });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${snapshot()}\n` });
    expect(terminal).toMatch(
      /model\.safetensors +█{10}░{10} {3}50 % of 4\.5 MiB\r\n6 of 7 files, 2\.4 MiB of 4\.7 MiB/,
    );
    for (const line of terminal.split(ANY_ERASE).flatMap((text) => text.split("\r\n"))) {
      expect(line.length).toBeLessThan(80);
    }
    expect(terminal.split(ANY_ERASE).at(-1)).toBe("quipu: org/tiny: 4.7 MiB fetched and verified\r\n");
  });

  test.each<[string, string[], Record<string, string>]>([
    ["--quiet", ["--quiet"], {}],
    ["TERM=dumb", [], { TERM: "dumb" }],
  ])("has no bars with %s", async (_, args, variables) => {
    const { status, terminal } = await quipuOnTerminal(["pull", REPO, ...args], {
      ...WITHOUT_STDOUT,
      env: { ...env, ...variables },
    });
    expect(status).toBe(0);
    expect(terminal).not.toContain("\x1b");
    expect(terminal === "").toBe(args.length > 0);
  });

  test("Ctrl-C erases the bars and says that what was fetched is kept", async () => {
    holdHalf();
    const steps = [{ after: " 50 % of", send: "\x03" }];
    const { status, terminal } = await quipuOnTerminal(["pull", REPO], { ...WITHOUT_STDOUT, env, steps });
    expect(status).toBe(130);
    expect(terminal.split(ANY_ERASE).at(-1)).toBe(
      "quipu: what has been fetched is kept: the same command goes on with it\r\n",
    );
  });

  test("is offered a model that is not here, with its size; then it answers", async () => {
    const asked = ["-m", REPO, "Once upon a time", "-n", "4", "-s", "3", "-t", "1"];
    const { stdout: expected } = await quipu(
      asked.filter((_, i) => i > 1),
      { env },
    );
    for (const answer of ["\n", "y\n"]) {
      rmSync(cache, { recursive: true, force: true });
      const steps = [{ after: `Fetch org/tiny: 7 files, 4.7 MiB from ${server.url}? [Y/n] `, send: answer }];
      const { status, terminal, stdout } = await quipuOnTerminal(asked, { ...WITHOUT_STDOUT, env, steps });
      expect({ status, stdout }).toEqual({ status: 0, stdout: expected });
      expect(terminal).toMatch(/^quipu: org\/tiny is not here, or not all of it\.\r\n/);
    }
    expect(await quipuOnTerminal(asked, { ...WITHOUT_STDOUT, env })).toMatchObject({ status: 0, terminal: "" });
  });

  test("is offered the model of a chat before its first message is asked for", async () => {
    const steps = [
      { after: "[Y/n] ", send: "\n" },
      { after: "/help lists commands", send: "\x04" },
    ];
    const template = join(root, "chat.jinja");
    writeFileSync(template, "{{ messages[-1].content }}");
    const args = ["chat", "-m", REPO, "--chat-template", template, "-t", "1"];
    const { status, terminal } = await quipuOnTerminal(args, { env, steps });
    expect({ status, terminal }).toMatchObject({ status: 0 });
    expect(terminal).toMatch(/^quipu: org\/tiny is not here, or not all of it\./);
    expect(server.count("file", WEIGHTS.path)).toBeGreaterThan(0);
  });

  test.each([
    ["no", "n\n"],
    ["Ctrl-D", "\x04"],
    ["anything else", "maybe\n"],
  ])("that answers %s gets the error that it would have had", async (_, send) => {
    const steps = [{ after: "[Y/n] ", send }];
    const { status, terminal } = await quipuOnTerminal(["-m", REPO, "hi"], { ...WITHOUT_STDOUT, env, steps });
    expect(status).toBe(3);
    expect(terminal).toMatch(
      /quipu: org\/tiny: no such folder, and no model of that name .*`quipu pull org\/tiny` fetches it/,
    );
    expect(server.count("file")).toBe(0);
  });

  test("that answers Ctrl-C ends it with 130", async () => {
    const steps = [{ after: "[Y/n] ", send: "\x03" }];
    expect(await quipuOnTerminal(["-m", REPO, "hi"], { ...WITHOUT_STDOUT, env, steps })).toMatchObject({ status: 130 });
    expect(server.count("file")).toBe(0);
  });

  test("is offered nothing but the tokenizer where only text is counted", async () => {
    const steps = [{ after: "[Y/n] ", send: "\n" }];
    const { status, stdout } = await quipuOnTerminal(["tokens", "-m", REPO, "Once upon a time"], {
      ...WITHOUT_STDOUT,
      env,
      steps,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "4\n" });
    expect(server.count("file", WEIGHTS.path)).toBe(0);
  });

  test.each<[string, readonly ("stdin" | "stderr")[], string[]]>([
    ["stderr is none", ["stdin"], []],
    ["stdin is none", ["stderr"], []],
    ["--quiet is given", ["stdin", "stderr"], ["--quiet"]],
  ])("is not asked where %s", async (_, terminal, args) => {
    expect(await quipuOnTerminal(["-m", REPO, "hi", ...args], { terminal, env })).toMatchObject({ status: 3 });
    expect(server.asked).toEqual([]);
  });
});
