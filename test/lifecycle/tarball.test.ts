// The package quipu-llm as scripts/package.js makes it: what users need and no more, and it works where nothing of this checkout is
// beside it but an addon that was built in it. test/package has the packages of platforms, and installs all of them.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";

const root = process.cwd();
const dir = temporaryFolder();
const modules = join(dir, "node_modules");
const installed = join(modules, "quipu-llm");

function run(command: string, args: readonly string[], cwd = dir) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 250_000 });
  return { status, stdout, stderr };
}

let files: string[];
beforeAll(() => {
  const packed = run(process.execPath, ["scripts/package.js", "--to", dir, "main"], root);
  expect(packed).toMatchObject({ status: 0, stderr: "" });
  const [tarball] = readdirSync(dir).filter((name) => name.endsWith(".tgz"));
  files = run("tar", ["-tzf", tarball!]).stdout.trim().split("\n");
  files = files.map((file) => file.replace(/^package\//, ""));
  mkdirSync(installed, { recursive: true });
  expect(run("tar", ["-xzf", tarball!, "-C", installed, "--strip-components=1"]).status).toBe(0);
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies))
    symlinkSync(join(root, "node_modules", name), join(modules, name), "dir");
  cpSync(join(root, "build/Release/quipu.node"), join(installed, "build/Release/quipu.node"));
});

test("holds what runs, its types, what builds the addon, and documents", () => {
  const kinds = [
    /^(?:bin|dist\/bundle)\/[\w-]+\.js$/,
    /^dist\/.*\.d\.ts$/,
    /^(?:CMakeLists\.txt|scripts\/(?:build-cuda|build-native|cmake)\.js|native\/.*\.(?:cc|cu|h|inc))$/,
    /^models\/storyteller\//,
    /^(?:package\.json|LICENSE|[A-Z]+\.md|docs\/.*\.(?:md|svg))$/,
  ];
  expect(files.filter((file) => !kinds.some((kind) => kind.test(file)))).toEqual([]);
  expect(kinds.filter((kind) => !files.some((file) => kind.test(file)))).toEqual([]);
});

test("names no file that it does not hold", () => {
  const { status, stdout } = run("grep", ["-rl", "sourceMappingURL", "dist"], installed);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
});

test("has a command line", () => {
  const quipu = (...args: string[]) => run(process.execPath, ["node_modules/quipu-llm/bin/quipu.js", ...args]);
  expect(quipu("Once upon a time", "-n", "4", "--temp", "0")).toEqual({
    ...{ status: 0, stderr: "" },
    stdout: expect.stringMatching(/\w/),
  });
  expect(quipu("tokens", "--encoding", "o200k_base", "Once upon a time")).toEqual({
    status: 0,
    stdout: "4\n",
    stderr: "",
  });
});

test("has a library, and types for it", () => {
  const use = `import { loadModel } from "quipu-llm";
    await using model = await loadModel();
    for await (const event of model.generate("Once upon a time", { maxTokens: 4 })) console.log(event.type);`;
  writeFileSync(join(dir, "use.mts"), use);
  writeFileSync(join(dir, "use.mjs"), use.replace("await using", "const"));
  const types = [
    "--target",
    "esnext",
    "--module",
    "nodenext",
    "--types",
    "node",
    "--typeRoots",
    join(root, "node_modules/@types"),
  ];
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", ...types, "use.mts"];
  expect(run(process.execPath, tsc)).toEqual({ status: 0, stdout: "", stderr: "" });
  const { status, stdout } = run(process.execPath, ["use.mjs"]);
  expect({ status, lines: stdout.trim().split("\n") }).toEqual({
    status: 0,
    lines: expect.arrayContaining(["start", "token", "end"]),
  });
});
